"""The plan of a sweep: what is tried on which folds. Starts no job; any executor can take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import SpecError
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.folds import FoldPlan, plan_folds
from crisp_spark.modeling.proposing import Proposing
from crisp_spark.modeling.rounds import OneRound, Rounds, Sifting, brackets_of
from crisp_spark.modeling.search import PlannedTrial, plan_trials
from crisp_spark.results.sweep import TrialResult

if TYPE_CHECKING:
    from crisp_spark.spec.business import MiningGoal, OutcomeValues
    from crisp_spark.spec.evaluation import MetricInfo
    from crisp_spark.spec.modeling import BaselineRule, ModelingSpec


@dataclass(frozen=True)
class SweepTask:
    """What a sweep is told.

    Attributes:
        spec: What is tried.
        goal: What is predicted.
        features: What features are made of.
        key: Columns that name a row.
        seed: Seed of everything drawn.
        partitions: Partitions of training data.
        unit: Columns whose equal values share a fold; the key without them.
        expanding: Whether folds are consecutive in time.
        values: What outcomes are worth.
        rules: Rules to beat.
        finished: Journal of an interrupted attempt: key of a trial -> its record.
        on_trial: Told of every trial as it finishes or is taken over (key, record).
        must_stop: Asked before every trial after the first; words stop the sweep there.
        on_round: Told of every round of proposals before its trials start (name, points).
        on_progress: Told how far the sweep is, whenever that changes.
    """

    spec: ModelingSpec
    goal: MiningGoal
    features: FeaturePlan
    key: tuple[str, ...] = ()
    seed: int = 42
    partitions: int = 4
    unit: tuple[str, ...] = ()
    expanding: bool = False
    values: OutcomeValues | None = None
    rules: Sequence[BaselineRule] = ()
    finished: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    on_trial: Callable[[str, TrialResult], None] = lambda _key, _result: None
    must_stop: Callable[[], str] = str
    on_round: Callable[[str, Mapping[str, Any]], None] = lambda _name, _entry: None
    on_progress: Callable[[SweepProgress], None] = lambda _progress: None

    @property
    def validation(self) -> str:
        """How trials are validated, once ``auto`` is resolved.

        Raises:
            SpecError: The folds are consecutive in time, and are to be drawn anew.
        """
        asked = self.spec.validation
        if asked == "repeated" and self.expanding:
            raise SpecError(
                "modeling.validation: folds in time cannot be drawn anew",
                hint="use expanding or sliding, or another kind of split",
            )
        if asked == "auto":
            return "expanding" if self.expanding else "k_fold"
        return asked

    @property
    def repeats(self) -> int:
        """Drawings of the folds."""
        return self.spec.repeats if self.validation == "repeated" else 1


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        done: Trials finished, failed or taken over.
        failed: Trials that failed.
        planned: Trials of the whole search, as far as that is known.
        best: Best metric so far.
        best_trial: Its trial.
        metric: Name of the metric.
        seconds: Time since the first trial began.
        left: Estimate of the time left, by the mean of the trials so far; None before the first.
    """

    done: int
    failed: int
    planned: int
    best: float | None
    best_trial: str
    metric: str
    seconds: float
    left: float | None


@dataclass(frozen=True)
class SweepPlan:
    """What is tried on which folds.

    Attributes:
        trials: Trials in order; of a search of several rounds those of the first.
        left_out: Trials that the budget leaves out.
        folds: Rounds of validation.
        metric: Metric that decides.
        search: Gives the trials round by round; its first round is ``trials``.
    """

    trials: tuple[PlannedTrial, ...]
    left_out: int
    folds: tuple[FoldPlan, ...]
    metric: MetricInfo
    search: Rounds

    @property
    def first(self) -> tuple[FoldPlan, ...]:
        """Rounds of the first drawing of the folds: they score each row at most once."""
        return tuple(fold for fold in self.folds if fold.turn == 0)


def plan_sweep(task: SweepTask, folds: Sequence[int], *, rows: int = 0) -> SweepPlan:
    """Plan a sweep. No job.

    Args:
        task: What the sweep is told.
        folds: Numbers of the folds.
        rows: Training rows in all, for a search that samples them.

    Raises:
        SpecError: The sweep does not fit the problem.
        DataError: Fewer than two folds.
    """
    problem = task.goal.problem
    faults = task.spec.faults(problem)
    if faults:
        raise SpecError(f"modeling: {faults[0]}", faults=faults[1:])
    search = _rounds(task, problem, rows)
    trials = search.next({})
    most = task.spec.budget.max_trials or len(trials)
    return SweepPlan(
        trials[:most],
        len(trials) - len(trials[:most]),
        plan_folds(folds, task.validation, window=task.spec.window, repeats=task.repeats),
        task.spec.metric_info(problem),
        search,
    )


def _rounds(task: SweepTask, problem: str, rows: int) -> Rounds:
    families, search = task.spec.families_for(problem), task.spec.search
    sign = 1.0 if task.spec.metric_info(problem).higher_is_better else -1.0
    if search.kind == "tpe":
        return Proposing(
            families,
            search,
            task.seed,
            sign,
            remembered=task.finished,
            remember=task.on_round,
        )
    trials = plan_trials(families, search, seed=task.seed)
    if search.kind not in ("halving", "hyperband"):
        return OneRound(trials)
    # Trials see the training rows of a fold; all folds but one, as near as it matters here.
    return Sifting(brackets_of(trials, search), search, sign, search.rows or rows)
