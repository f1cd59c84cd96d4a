"""Commands that run the flow and look at its state: run, status, show, report, ui, gc."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark import flow
from crisp_spark.cli.command import Shared, command
from crisp_spark.cli.decision import print_decision, print_whole_decision
from crisp_spark.cli.outline import print_result
from crisp_spark.cli.progress import RunProgress
from crisp_spark.cli.remote import (
    VIEW_COLUMNS,
    AllLines,
    Poll,
    RunId,
    as_data,
    newest_views,
    records_of,
    rows_of,
    workspace_of,
)
from crisp_spark.cli.remote import follow as follow_run
from crisp_spark.errors import CrispError, StorageError, UsageError

if TYPE_CHECKING:
    from crisp_spark.results.decide import DecideResult
    from crisp_spark.run.runner import RunSummary
    from crisp_spark.spec.load import LoadedProject

_STATE_STYLES = {"current": "green", "stale": "yellow", "missing": "dim"}
_SOME_BYTES = 1024


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "run", panel="Run")(run)
    command(app, "status", panel="Run")(status)
    command(app, "show", panel="Look")(show)
    command(app, "report", panel="Look")(report)
    command(app, "gc", panel="Run")(collect)


def run(
    shared: Shared,
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Start with this step.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="STEP", help="End with this step.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STEP", help="Run just this step; may be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run steps even where nothing has changed.")
    ] = False,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="Take up, or name, a run.")
    ] = None,
) -> None:
    """Run the flow, or a part of it; what has not changed is skipped.

    The steps in order: charter, ingest, profile, quality, clean, merge, derive, split, sweep,
    evaluate, decide, deploy, monitor, report. A run that was cut off goes on at the first
    unfinished step when the command is given again.
    """
    names = [name for text in only or () for name in text.split(",")]
    steps = flow.select_steps(first=first, last=last, only=names)
    project = shared.load()
    if project.compute.kind != "local":
        raise UsageError(
            f"run: target {project.target} computes on AWS ({project.compute.kind})",
            hint=f"`crisp submit --target {project.target}` runs it there",
        )
    from crisp_spark.run.runner import run_flow
    from crisp_spark.run.status import stale_inputs

    stale = [] if run_id else stale_inputs(project, steps)
    if stale:
        sys.stderr.write(
            f"warning: {', '.join(stale)}: stale (settings, inputs or code have changed since); "
            f"this run builds on it as it is, `crisp run{shared.command_options}` renews it\n"
        )
    try:
        with RunProgress(quiet=shared.out.as_json) as progress:
            summary = run_flow(project, steps, run_id=run_id, force=force, on_event=progress)
    except (CrispError, KeyboardInterrupt):
        again = f"crisp run{shared.command_options}"
        sys.stderr.write(f"finished steps are kept: `{again}` goes on from there\n")
        raise
    _summarise(shared, project, summary)


def _summarise(shared: Shared, project: LoadedProject, summary: RunSummary) -> None:
    from crisp_spark.run.status import report_file

    ran = {event.step for event in summary.events}
    decision = _decision(project) if "decide" in ran else None
    page = report_file(project)
    shared.out.data(
        {
            "run_id": summary.run_id,
            "steps": [
                {"step": e.step, "state": e.state, "seconds": e.seconds, "notes": list(e.notes)}
                for e in summary.events
            ],
            "decision": decision,
            "report": page,
        }
    )
    states = [event.state for event in summary.events]
    seconds = sum(event.seconds for event in summary.events)
    shared.out.text()
    shared.out.text(
        f"run {summary.run_id}: {states.count('done')} done, {states.count('skipped')} unchanged, "
        f"{seconds:.0f} s"
    )
    if decision:
        print_decision(shared.out, decision)
    if page:
        shared.out.text(f"report    {page}")
    shared.out.text(f"MLflow    crisp ui{shared.command_options}")


def _decision(project: LoadedProject) -> DecideResult:
    from crisp_spark.results.decide import DecideResult
    from crisp_spark.run.status import result_of

    found = result_of(project, "decide")
    if not isinstance(found, DecideResult):
        raise StorageError("decide: the commit holds another kind of result")
    return found


def status(
    shared: Shared,
    *,
    run_id: RunId = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow a run at AWS to its end.")
    ] = False,
    poll: Poll = None,
    all_lines: AllLines = False,
) -> None:
    """Show the state of every step: current, stale (something it depends on changed), missing.

    With a target at AWS also how the newest runs there are doing.
    """
    project = shared.load()
    if follow:
        workspace = workspace_of(project)
        submission = records_of(workspace).get(run_id)
        view = follow_run(shared, workspace, submission, poll=poll, all_lines=all_lines)
        shared.out.data(as_data(view))
        shared.out.table(VIEW_COLUMNS, rows_of([view]))
        return
    from crisp_spark.run.status import status_of

    found = status_of(project)
    views = newest_views(project, run_id=run_id)
    shared.out.data({"steps": found, "runs": [as_data(one) for one in views]} if views else found)
    if shared.out.as_json:
        return
    if views:
        shared.out.table(VIEW_COLUMNS, rows_of(views))
        shared.out.text()
    from rich.text import Text

    rows = [
        (
            one.step,
            one.phase,
            Text(one.state, style=_STATE_STYLES.get(one.state, "")),
            one.finished_at,
            None if one.seconds is None else f"{one.seconds:.1f}",
            one.run_id,
        )
        for one in found
    ]
    shared.out.table(("step", "phase", "state", "finished (UTC)", "seconds", "run"), rows)


def show(
    shared: Shared,
    step: Annotated[str, typer.Argument(help="A step, e.g. decide.")],
    place: Annotated[
        str | None, typer.Argument(metavar="[PLACE]", help="Only this part, e.g. criteria[0].")
    ] = None,
) -> None:
    """Show the current result of a step."""
    flow.step(step)
    project = shared.load()
    from crisp_spark.run.status import result_of

    if step == "decide" and place is None and not shared.out.as_json:
        print_whole_decision(shared.out, _decision(project))
        return
    print_result(shared.out, result_of(project, step), place)


def report(
    shared: Shared,
    *,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the web browser.")] = False,
) -> None:
    """Say where the HTML report lies; it needs no network and no scripts."""
    project = shared.load()
    from crisp_spark.run.status import report_file

    page = report_file(project)
    if page is None:
        raise StorageError(
            "report: there is none yet", hint=f"run `crisp run{shared.command_options}`"
        )
    shared.out.data({"report": page})
    shared.out.text(str(page))
    if open_:
        typer.launch(page.as_uri())


def collect(
    shared: Shared,
    *,
    older_than_hours: Annotated[
        float, typer.Option("--older-than-hours", min=0, help="Leave younger attempts alone.")
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove what killed runs left behind; nothing that any commit names."""
    project = shared.load()
    from crisp_spark.run.garbage import collect_garbage

    found = collect_garbage(project, older_than_hours=older_than_hours, dry_run=dry_run)
    shared.out.data(
        {"attempts": list(found.attempts), "bytes": found.bytes, "removed": not dry_run}
    )
    verb = "would remove" if dry_run else "removed"
    shared.out.text(f"{verb} {len(found.attempts)} attempts, {_size(found.bytes)}")


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < _SOME_BYTES:
            return f"{number:.0f} {unit}"
        number /= _SOME_BYTES
    return f"{number:.1f} GiB"
