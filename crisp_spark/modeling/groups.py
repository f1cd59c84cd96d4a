"""Trials that share a fit, and what an engine must do to serve them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from crisp_spark.modeling.folds import FoldPlan
    from crisp_spark.modeling.preparing import Preparation, Prepared
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.modeling.trials import FittedTrial, TrialOutcome, TrialTask

Label = Literal["exact", "equivalent"]
"""``exact``: what the learner gives for each trial alone. ``equivalent``: as good, not the same."""


@dataclass(frozen=True)
class SweepData:
    """What engines decide by: measured on the prepared folds, or expected from records.

    Attributes:
        problem: Kind of problem.
        class_count: Number of classes.
        rows: Rows of the largest fold, fitted and scored ones together.
        slots: Length of the feature vector.
        arity: Largest number of unordered codes of a feature; 0 where all are numbers.
        weighted: Whether rows carry weights.
        folds: Rounds of validation.
        mode: ``exact`` or ``fast``.
        cores: Tasks that run at the same time.
        task_mb: Memory that one task may use outside the JVM, MiB.
    """

    problem: str
    class_count: int
    rows: int
    slots: int
    arity: int
    weighted: bool
    folds: int
    mode: Literal["exact", "fast"] = "exact"
    cores: int = 2
    task_mb: float = 512.0


@dataclass(frozen=True)
class FitGroup:
    """Trials that one engine serves together, by one fit or a few on each fold.

    Attributes:
        engine: Name of the engine.
        trials: The trials, in the order of the plan.
        label: Whether each trial comes out as MLlib alone would have it.
        why: Why this engine, and what is shared, for readers.
        fits: Fits on each fold.
        jobs: Spark jobs expected on each fold, fit and scores together.
    """

    engine: str
    trials: tuple[PlannedTrial, ...]
    label: Label = "exact"
    why: str = ""
    fits: int = 1
    jobs: float = 1.0


@dataclass(frozen=True)
class Work:
    """What groups are carried out on.

    Attributes:
        preparation: Prepared folds.
        folds: Rounds of validation.
        task: What every trial is told.
    """

    preparation: Preparation
    folds: tuple[FoldPlan, ...]
    task: TrialTask


class Engine(Protocol):
    """Serves fit groups."""

    name: str
    """Name in the record of a trial."""
    at_once: int
    """Groups that may run at the same time."""

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Return groups of those trials that this engine serves on such data. No job."""
        ...

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Fit and score a group on every fold; one outcome per trial, in the group's order.

        A trial without an outcome goes to the engines behind this one; the engine has the reason in
        ``declined``, by the trial's name.

        A trial that cannot be fitted has its error in its outcome. An exception gives the whole
        group back: its trials are then fitted one by one by MLlib.
        """
        ...

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit one trial of this engine on prepared rows, for the final model."""
        ...


def plan_groups(
    trials: Sequence[PlannedTrial], data: SweepData, engines: Iterable[Engine]
) -> tuple[FitGroup, ...]:
    """Give every trial to the first engine that takes it; groups in the order of their trials.

    Args:
        trials: Trials in the order of the plan.
        data: What engines decide by.
        engines: Engines, the most economical first; the last one takes whatever is left.

    Raises:
        ValueError: No engine took a trial.
    """
    place = {trial.name: at for at, trial in enumerate(trials)}
    left, groups = list(trials), list[FitGroup]()
    for engine in engines:
        if not left:
            break
        found = engine.take(left, data)
        groups += found
        taken = {trial.name for group in found for trial in group.trials}
        left = [trial for trial in left if trial.name not in taken]
    if left:
        raise ValueError(f"no engine serves {left[0].name}")
    return tuple(sorted(groups, key=lambda group: min(place[t.name] for t in group.trials)))
