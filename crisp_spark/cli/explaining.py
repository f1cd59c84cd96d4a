"""Commands that tell what something will cost before it is done."""

from __future__ import annotations

from typing import Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import nearest


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    quality = typer.Typer(no_args_is_help=True, help="Quality rules: what judging them costs.")
    app.add_typer(quality, name="quality", rich_help_panel="Check")
    command(quality, "explain")(explain_quality_rules)


def explain_quality_rules(
    shared: Shared,
    *,
    source: Annotated[
        str | None, typer.Option("--source", help="Only this source; else all of them.")
    ] = None,
) -> None:
    """Print how the quality rules will be judged: rules, scans, jobs, columns read.

    Reads schemas and headers only and runs no Spark job. The numbers are those of a table in which
    no row fails; broken rules add scans that look for examples.
    """
    project = shared.load()
    sources = project.spec.data.sources
    if source is not None and source not in sources:
        hint = nearest(source, sources, kind="sources")
        raise UsageError(f"--source: no source {source!r}", hint=hint)
    from crisp_spark.run.explain import explain_quality

    plans, notes = explain_quality(project)
    plans = [plan for plan in plans if source in {None, plan.source}]
    shared.out.data(
        {
            "sources": [
                {
                    "source": plan.source,
                    "rules": plan.rules,
                    "scans": plan.scans,
                    "jobs": plan.jobs,
                    "columns": list(plan.columns),
                    "passes": [
                        {
                            "name": one.name,
                            "rules": list(one.rules),
                            "scans": one.scans,
                            "jobs": one.jobs,
                            "columns": list(one.columns),
                        }
                        for one in plan.passes
                    ],
                }
                for plan in plans
            ],
            "notes": notes,
        }
    )
    for plan in plans:
        if not plan.passes:
            shared.out.text(f"{plan.source}: no rules")
            continue
        shared.out.table(
            ["pass", "rules", "scans", "jobs", "columns read"],
            [
                [one.name, len(one.rules), one.scans, one.jobs, ", ".join(one.columns)]
                for one in plan.passes
            ],
            title=f"{plan.source}: {plan.rules} rules, {plan.scans} scans, {plan.jobs} jobs",
        )
    for note in notes:
        shared.out.text(note, style="yellow")
