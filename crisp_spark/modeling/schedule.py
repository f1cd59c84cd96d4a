"""The schedule of a sweep, told before it runs: which fits serve which trials. Starts no job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.plain import PLAIN, PlainEngine
from crisp_spark.modeling.engines.sharing import SHARED, expected_jobs, valid
from crisp_spark.modeling.groups import Engine, FitGroup, SweepData, plan_groups

if TYPE_CHECKING:
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.results.sweep import TrialResult

_JOBS_OF_A_FIT = 30.0
"""Jobs of a learner that goes over the data until it converges. An assumption."""
_JOBS_OF_A_FOLD = 12.0
"""Jobs that prepare the features of a fold. An assumption."""
_HOUR = 3600.0


@dataclass(frozen=True)
class ScheduledGroup:
    """A fit group in the schedule.

    Attributes:
        engine: What fits it.
        label: exact or equivalent.
        family: Family of its trials.
        trials: Names of its trials.
        fits: Fits over all folds.
        fits_asked: Fits that its trials would take one by one.
        jobs: Spark jobs expected.
        seconds: Time expected; None where nothing like it has run.
        why: Why this engine.
    """

    engine: str
    label: str
    family: str
    trials: tuple[str, ...]
    fits: int
    fits_asked: int
    jobs: int
    seconds: float | None
    why: str


@dataclass(frozen=True)
class Schedule:
    """The schedule of a sweep.

    Attributes:
        mode: exact or fast.
        folds: Rounds of validation.
        trials: Trials planned.
        fits_asked: Fits that the trials would take one by one.
        fits: Fits that are done.
        jobs_asked: Spark jobs that the trials would take one by one.
        jobs: Spark jobs expected, features included.
        label: exact where every group is, else equivalent.
        seconds: Time expected; None where a part of it is unknown.
        usd: Money expected; None without a time or a price.
        groups: The groups in order.
        assumptions: What the numbers rest on.
    """

    mode: str
    folds: int
    trials: int
    fits_asked: int
    fits: int
    jobs_asked: int
    jobs: int
    label: str
    seconds: float | None
    usd: float | None
    groups: tuple[ScheduledGroup, ...]
    assumptions: tuple[str, ...]


def schedule(
    trials: Sequence[PlannedTrial],
    data: SweepData,
    engines: Sequence[Engine],
    *,
    history: Sequence[TrialResult] = (),
    usd_per_hour: float | None = None,
    assumptions: Sequence[str] = (),
) -> Schedule:
    """Return the schedule of a sweep. No job.

    Args:
        trials: Trials in order.
        data: What engines decide by.
        engines: Engines of the sweep.
        history: Trials of an earlier sweep of this project.
        usd_per_hour: What an hour of the machines costs.
        assumptions: What is not known of the data and was assumed.
    """
    groups = [
        _scheduled(group, data.folds, history) for group in plan_groups(trials, data, engines)
    ]
    asked = plan_groups(trials, data, [PlainEngine()])
    features = data.folds * _JOBS_OF_A_FOLD
    known = [group.seconds for group in groups if group.seconds is not None]
    seconds = sum(known) if groups and len(known) == len(groups) else None
    usd = None if seconds is None or usd_per_hour is None else seconds / _HOUR * usd_per_hour
    return Schedule(
        mode=data.mode,
        folds=data.folds,
        trials=len(trials),
        fits_asked=len(trials) * data.folds,
        fits=sum(group.fits for group in groups),
        jobs_asked=round(features + sum(_jobs(group) for group in asked) * data.folds),
        jobs=round(features + sum(group.jobs for group in groups)),
        label="exact" if all(group.label == "exact" for group in groups) else "equivalent",
        seconds=seconds,
        usd=usd,
        groups=tuple(groups),
        assumptions=(
            *assumptions,
            "jobs are estimates: learners stop when they have converged",
        ),
    )


def _scheduled(group: FitGroup, folds: int, history: Sequence[TrialResult]) -> ScheduledGroup:
    trials = group.trials
    return ScheduledGroup(
        engine=group.engine,
        label=group.label,
        family=trials[0].family.label,
        trials=tuple(trial.name for trial in trials),
        fits=group.fits * folds,
        fits_asked=len(trials) * folds,
        jobs=max(1, round(_jobs(group) * folds)),
        seconds=_expected_seconds(group, history),
        why=group.why,
    )


def _jobs(group: FitGroup) -> float:
    """Return the jobs of a group on one fold."""
    if group.engine != PLAIN:
        return group.jobs
    trial = group.trials[0]
    trees = bool(trial.info.library) or (trial.info.kind in SHARED and valid(trial))
    return expected_jobs(trial) if trees else _JOBS_OF_A_FIT


def _expected_seconds(group: FitGroup, history: Sequence[TrialResult]) -> float | None:
    """Return the time of like trials: of the same engine, or fitted one by one by MLlib."""
    like = [
        trial
        for trial in history
        if trial.family == group.trials[0].family.label and trial.status == "finished"
    ]
    same = [trial.seconds for trial in like if trial.engine == group.engine]
    if same:
        return sum(same) / len(same) * len(group.trials)
    alone = [trial.seconds for trial in like if trial.engine in ("", PLAIN)]
    return max(alone) * group.fits if alone else None
