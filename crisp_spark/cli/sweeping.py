"""Commands about the sweep: sweep explain."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import CrispError, SpecError

if TYPE_CHECKING:
    from crisp_spark.modeling.groups import SweepData
    from crisp_spark.modeling.schedule import Schedule
    from crisp_spark.results.sweep import SweepResult
    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.spec.project import ProjectSpec

_ASSUMED_ROWS = 100_000
_ASSUMED_SLOTS = 50
_LONGEST_LIST = 3
_DECIDED_ON_THE_WAY = frozenset({"tpe", "halving", "hyperband"})


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    sweep = typer.Typer(no_args_is_help=True, help="The search for the best model.")
    app.add_typer(sweep, name="sweep", rich_help_panel="Check")
    command(sweep, "explain")(explain)


def explain(shared: Shared) -> None:
    """Show how the sweep will be carried out: fits, engines, jobs, time and money.

    From the project file and the records of earlier runs; starts no Spark job.
    """
    project = shared.load()
    found = _schedule(project)
    shared.out.data(asdict(found))
    _print(shared, found)


def _schedule(project: LoadedProject) -> Schedule:
    from crisp_spark.modeling.engines.choice import engines_for
    from crisp_spark.modeling.schedule import schedule
    from crisp_spark.modeling.search import plan_trials

    spec, problem = project.spec.modeling, project.spec.business.mining_goal.problem
    faults = spec.faults(problem)
    if faults:
        raise SpecError(f"modeling: {faults[0]}", faults=faults[1:])
    trials = plan_trials(spec.families_for(problem), spec.search, seed=project.spec.project.seed)
    earlier = _results(project)
    last: SweepResult | None = earlier.get("sweep")
    data, assumed = _data(project, earlier)
    return schedule(
        trials[: spec.budget.max_trials],
        data,
        engines_for(spec),
        history=() if last is None else last.trials,
        usd_per_hour=_usd_per_hour(project),
        assumptions=assumed,
    )


def _results(project: LoadedProject) -> dict[str, Any]:
    from crisp_spark.run.status import results_of

    return results_of(project)


def _data(project: LoadedProject, earlier: dict[str, Any]) -> tuple[SweepData, list[str]]:
    """Return what is known of the data from records, and what had to be assumed."""
    from crisp_spark.modeling.groups import SweepData

    spec = project.spec
    goal, assumed = spec.business.mining_goal, list[str]()
    last, split = earlier.get("sweep"), earlier.get("split")
    if spec.modeling.search.kind in _DECIDED_ON_THE_WAY:
        assumed.append(
            f"{spec.modeling.search.kind} decides on the way what it tries, and on how much: "
            "its first trials are taken for all, each at its full size"
        )
    if last is not None:
        rows, slots = last.train_rows, max((f.features for f in last.folds), default=1)
        classes = max(len(last.classes), 2)
    else:
        slots, classes = _ASSUMED_SLOTS, 2
        assumed.append(f"the sweep has not run yet: {slots} features are assumed")
        part = None if split is None else next((p for p in split.parts if p.name == "train"), None)
        rows = _ASSUMED_ROWS if part is None else part.rows
        if part is None:
            assumed.append(f"the split has not run yet: {rows} training rows are assumed")
    nominal = last is not None and any(
        feature.kind == "categorical" and feature.slots == 1 for feature in last.features
    )
    return (
        SweepData(
            problem=goal.problem,
            class_count=classes,
            rows=rows,
            slots=slots,
            arity=1 if nominal else 0,
            weighted=spec.modeling.class_weights != "none",
            folds=_rounds(spec),
            mode=spec.modeling.search.mode,
            task_mb=float("inf"),
        ),
        assumed,
    )


def _rounds(spec: ProjectSpec) -> int:
    """Return the rounds of validation, as the sweep plans them."""
    from crisp_spark.modeling.folds import plan_folds

    asked, split = spec.modeling.validation, spec.preparation.split
    in_time = "expanding" if split.kind == "time" else "k_fold"
    return len(
        plan_folds(
            range(split.folds),
            in_time if asked == "auto" else asked,
            window=spec.modeling.window,
            repeats=spec.modeling.repeats,
        )
    )


def _usd_per_hour(project: LoadedProject) -> float | None:
    """Return what an hour of the target's machines may cost; None where they cost nothing."""
    from crisp_spark.cli.costing import planned

    try:
        return planned(project).usd_per_hour
    except CrispError:
        return None


def _print(shared: Shared, found: Schedule) -> None:
    out = shared.out
    out.text(
        f"{found.trials} trials on {found.folds} folds: {found.fits_asked} fits asked for, "
        f"{found.fits} done, {found.label} (mode {found.mode})"
    )
    out.text(
        f"about {found.jobs} Spark jobs; fitted one by one it would be about {found.jobs_asked}"
    )
    time = (
        "unknown: nothing like it has run here" if found.seconds is None else _span(found.seconds)
    )
    out.text(f"time       {time}")
    if found.usd is not None:
        out.text(f"money      about {found.usd:.2f} USD")
    out.table(
        ("trials", "family", "engine", "", "fits", "jobs", "time", "why"),
        [
            (
                _listed(group.trials),
                group.family,
                group.engine,
                group.label,
                f"{group.fits} for {group.fits_asked}",
                group.jobs,
                "" if group.seconds is None else _span(group.seconds),
                group.why,
            )
            for group in found.groups
        ],
    )
    for words in found.assumptions:
        out.text(f"note       {words}")


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_LONGEST_LIST])
    return (
        shown if len(names) <= _LONGEST_LIST else f"{shown} and {len(names) - _LONGEST_LIST} more"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004
