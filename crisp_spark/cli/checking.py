"""Commands that check a project before anything runs: validate, plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.cli.configuring import leaves
from crisp_spark.cli.machines import machines_of, print_machines
from crisp_spark.errors import SpecError, UsageError

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

_PLACE = re.compile(r"^(?P<place>[a-z_]+(?:\.[^\s:]+)*)(?: '(?P<name>[^']+)')?[^:]*: ")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "validate", panel="Check")(validate)
    command(app, "plan", panel="Check")(plan)


def validate(
    shared: Shared,
    *,
    every_target: Annotated[
        bool, typer.Option("--every-target", help="Check the file for each of its targets.")
    ] = False,
) -> None:
    """Check the project file: all faults at once, with file, line and a way out.

    Reads no data and starts no Spark. Exit code 78 when there are faults.
    """
    project = shared.load()
    names = [project.target]
    if every_target:
        names = list(project.spec.targets) or names
        for name in names:
            _load_target(shared, name)
    missing = [_with_line(fault, project) for fault in _missing_here(project)]
    if missing:
        raise SpecError(f"{shared.project}: {_count(len(missing), 'fault')}", faults=missing)
    spec = project.spec
    sources, criteria = len(spec.data.sources), len(spec.business.criteria)
    targets = [name for name in names if name]
    shared.out.data(
        {
            "valid": True,
            "file": str(shared.project),
            "project": spec.project.name,
            "targets": targets,
            "sources": list(spec.data.sources),
            "criteria": [criterion.id for criterion in spec.business.criteria],
        }
    )
    found = f"{_count(sources, 'source')}, {_count(criteria, 'criterion', 'criteria')}"
    where = f", target {', '.join(targets)}" if targets else ""
    shared.out.text(f"{shared.project}: valid ({spec.project.name}: {found}{where})")


def _missing_here(project: LoadedProject) -> tuple[str, ...]:
    """Return what families need and is not installed, where the sweep runs on this machine."""
    from crisp_spark.modeling.installed import missing_libraries

    return missing_libraries(project.spec.modeling) if project.compute.kind == "local" else ()


def _load_target(shared: Shared, name: str | None) -> None:
    from dataclasses import replace

    replace(shared, target=name).load()


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"


def plan(
    shared: Shared,
    *,
    machines_only: Annotated[
        bool,
        typer.Option("--machines", help="Only the target's machines: no Spark, no data."),
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Ask AWS for prices, subnets and types as well.")
    ] = False,
) -> None:
    """Try the whole preparation on empty tables: missing columns, wrong types, leaks.

    Reads schemas and headers only and runs no Spark job. For a target on AWS it then prints the
    machines, what each choice means, hazards and the price; nothing is started there either. Exit
    code 78 when there are faults.
    """
    project = shared.load()
    machines = machines_of(project, live=live)
    if machines_only and machines is None:
        raise UsageError("plan --machines: the target is local", hint="name one with --target")
    from crisp_spark.run.plan import PlanReport, plan_project

    report = PlanReport() if machines_only else plan_project(project)
    faults = [_with_line(fault, project) for fault in (*report.faults, *_missing_here(project))]
    faults += machines.faults if machines else []
    shared.out.data(
        {
            "faults": faults,
            "warnings": report.warnings,
            "tables": report.tables,
            "machines": machines,
        }
    )
    for name, columns in report.tables.items():
        shared.out.table(("column", "type"), columns, title=f"{name} ({len(columns)} columns)")
        shared.out.text()
    for warning in report.warnings:
        shared.out.text(f"warning: {_with_line(warning, project)}", style="yellow")
    if machines:
        print_machines(shared, machines)
    if faults:
        count = _count(len(faults), "fault")
        raise SpecError(f"plan of {shared.project}: {count}", faults=faults)
    next_command = f"crisp submit --target {project.target}" if machines else "crisp run"
    shared.out.text(f"plan: no faults; `{next_command}` does it", style="bold green")


def _with_line(fault: str, project: LoadedProject) -> str:
    """Put file and line before a fault that names its place in the project file."""
    found = _PLACE.match(fault)
    if found is None:
        return fault
    place = found["place"]
    named = [one for one in project.origins if f"{one}.".startswith((f"{place}.", f"{place}["))]
    called = [one for one in named if found["name"] and _is_called(one, found["name"], project)]
    for candidate in called or named:
        origin = project.origins[candidate]
        if origin != "default":
            return f"{origin.partition(' (')[0]}: {fault}"
    return fault


def _is_called(place: str, name: str, project: LoadedProject) -> bool:
    """Say whether the value at ``place`` is the id or name of a list item."""
    return place.endswith((".id", ".name")) and dict(leaves(project.resolved)).get(place) == name
