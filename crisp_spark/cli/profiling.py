"""Commands about profiles: compare those of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import StorageError, UsageError

if TYPE_CHECKING:
    from crisp_spark.engine.commits import Commit
    from crisp_spark.results.profile_changes import ProfileChange
    from crisp_spark.run.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    profile = typer.Typer(no_args_is_help=True, help="Profiles of the data.")
    app.add_typer(profile, name="profile", rich_help_panel="Look")
    command(profile, "compare")(compare)


def compare(
    shared: Shared,
    before: Annotated[str, typer.Argument(metavar="RUN_A", help="The earlier run.")],
    after: Annotated[
        str | None, typer.Argument(metavar="RUN_B", help="The later run; else the current profile.")
    ] = None,
    *,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page as well.")
    ] = None,
) -> None:
    """Compare the profiles of two runs: schema, missing values, distributions.

    Reads what the runs published, no data, and starts no Spark.
    """
    project = shared.load()
    from crisp_spark.results.profile import ProfileResult
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.understanding.profile_compare import compare_profiles

    workspace = Workspace(project)
    commits = [_commit(workspace, before), _commit(workspace, after)]
    first, second = (ProfileResult.model_validate(commit.result) for commit in commits)
    runs = (before, after or commits[1].run_id)
    found = compare_profiles(first, second, runs=runs)
    if html is not None:
        from crisp_spark.reporting.profile_change_page import render_changes

        html.write_text(render_changes(found, project.spec.project.name), encoding="utf-8")
    shared.out.data(found)
    _print(shared, found)
    if html is not None:
        shared.out.text(f"page: {html}")


def _commit(workspace: Workspace, run_id: str | None) -> Commit:
    found = workspace.commits.current("profile")
    if run_id is not None:
        found = workspace.pinned(run_id, "profile")
    if found is not None:
        return found
    if run_id is None:
        raise StorageError("profile: has not run in this workspace", hint="run `crisp run`")
    runs = [commit.run_id for commit in workspace.commits.all("profile")]
    raise UsageError(
        f"profile compare: run {run_id!r} has no profile",
        hint=f"runs that made one: {', '.join(runs[-5:]) or 'none'}",
    )


def _print(shared: Shared, found: ProfileChange) -> None:
    for source in found.sources:
        shared.out.text(
            f"{source.name}: {source.rows.before:,} rows before, {source.rows.after:,} after",
            style="bold",
        )
        changed = [column for column in source.columns if column.change.value != "same"]
        rows = [
            (
                column.name,
                column.change.value,
                "" if column.psi is None else f"{column.psi:.3f}",
                "" if column.ks is None else f"{column.ks:.3f} ± {column.ks_error:.3f}",
                "; ".join(column.reasons),
            )
            for column in changed
        ]
        if rows:
            shared.out.table(("column", "change", "psi", "ks", "in words"), rows)
        same = len(source.columns) - len(changed)
        shared.out.text(f"{same} of {len(source.columns)} columns are as before")
        shared.out.text()
    for name in found.added:
        shared.out.text(f"{name}: a new source")
    for name in found.removed:
        shared.out.text(f"{name}: the source is gone", style="yellow")
