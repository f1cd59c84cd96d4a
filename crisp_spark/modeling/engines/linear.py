"""Linear and logistic regression: all penalties of a fold from shared passes.

Least squares need the second moments of the rows only, so one pass serves every penalty. Logistic
regression takes proximal Newton steps for all points at once. A fold that fits one task is fitted,
scored and measured there, in one job; a larger one by passes over its partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import ModelError
from crisp_spark.modeling.engines.plain import PLAIN
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.formatting import format_trial
from crisp_spark.modeling.groups import FitGroup, Label, SweepData, Work
from crisp_spark.modeling.linear.fold import run_in_task, run_over_partitions
from crisp_spark.modeling.linear.models import mllib_model
from crisp_spark.modeling.linear.penalty import LinearFit, Penalty
from crisp_spark.modeling.linear.solving import FoldFit, FoldWork, Learner
from crisp_spark.modeling.trials import (
    FittedTrial,
    Stopwatch,
    TrialOutcome,
    TrialTask,
    failed_outcome,
    fit_trial,
    measured_outcome,
    run_trial,
)

if TYPE_CHECKING:
    from crisp_spark.modeling.folds import FoldPlan
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial

WIDEST: Mapping[Learner, int] = {"least_squares": 2000, "logistic": 1000}
"""Longest vectors whose matrix of second derivatives is kept on the driver."""
_COPIES = 5
"""Copies of a fold's numbers that a task holds at its worst moment."""
_FEWEST_STEPS = 50
"""With a lower ``maxIter`` MLlib's model is one that stopped early; only MLlib stops there."""
_LOOSEST = 1e-4


@dataclass(frozen=True)
class LinearGroup(FitGroup):
    """Penalties that are served together.

    Attributes:
        in_task: Whether each fold is brought to one task.
    """

    in_task: bool = True


def fits_one_task(data: SweepData) -> bool:
    """Say whether the rows of a fold fit the memory of one task."""
    return data.rows * (data.slots + 3) * 8 * _COPIES <= data.task_mb * 2**20


def _is_early_stop(params: Mapping[str, Any]) -> bool:
    most, tolerance = params.get("maxIter", 100), params.get("tol", 1e-6)
    return int(most) < _FEWEST_STEPS or float(tolerance) > _LOOSEST


@dataclass
class LinearEngine:
    """Serves all penalties of linear or logistic regression together.

    Attributes:
        learner: Which of the two.
        name: Name in the record of a trial.
        at_once: Groups that may run at the same time.
        in_task: Whether a fold is brought to one task; None to choose by its size.
    """

    learner: Learner
    name: str
    at_once: int = 1
    in_task: bool | None = None

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take the trials whose minimum does not depend on how it is found, as one group."""
        if data.slots > WIDEST[self.learner]:
            return []
        taken = tuple(trial for trial in trials if self._serves(trial, data))
        if not taken:
            return []
        one = fits_one_task(data) if self.in_task is None else self.in_task
        place = "in one task for each fold" if one else "by passes over the partitions"
        shared = "one matrix of second moments" if self.learner == "least_squares" else "one batch"
        labels = {_label(self.learner, trial) for trial in taken}
        passes = 2.0 if self.learner == "least_squares" else 25.0
        return [
            LinearGroup(
                self.name,
                taken,
                "exact" if labels == {"exact"} else "equivalent",
                f"{len(taken)} penalties from {shared}, {place}",
                fits=1,
                jobs=1.0 if one else passes,
                in_task=one,
            )
        ]

    def _serves(self, trial: PlannedTrial, data: SweepData) -> bool:
        params, kind = trial.params, trial.family.kind
        # A scale fitted for one family is a stage of its own.
        if trial.family.standardize == "yes":
            return False
        exact = _label(self.learner, trial) == "exact"
        if not exact and (data.mode == "exact" or _is_early_stop(params)):
            return False
        if self.learner == "least_squares":
            return (
                kind == "linear_regression"
                and params.get("loss", "squaredError") == "squaredError"
                and params.get("solver", "auto") != "l-bfgs"
            )
        return (
            kind == "logistic_regression"
            and data.problem == "binary"
            and params.get("family", "auto") != "multinomial"
        )

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Fit and score a group on every fold. Jobs: those of its plan."""
        watch, one = Stopwatch(len(group.trials)), getattr(group, "in_task", True)
        refused = {trial.name: _refusal(trial, work) for trial in group.trials}
        served = [trial for trial in group.trials if refused[trial.name] is None]
        found: dict[str, TrialOutcome] = {}
        if served:
            asked = FoldWork(
                self.learner,
                tuple(Penalty.of(trial.params) for trial in served),
                exact=group.label == "exact",
                values=work.task.values,
            )
            with ThreadPoolExecutor(max_workers=work.task.parallelism) as pool:
                fitted = list(
                    pool.map(lambda plan: _fold(plan, asked, work, in_task=one), work.folds)
                )
            for at, trial in enumerate(served):
                found[trial.name] = self._outcome(trial, at, fitted, work, watch)
        for trial in group.trials:
            error = refused[trial.name]
            if error is not None:
                found[trial.name] = failed_outcome(trial, error, watch)
        return [found[trial.name] for trial in group.trials]

    def _outcome(
        self,
        trial: PlannedTrial,
        at: int,
        fitted: Sequence[FoldFit],
        work: Work,
        watch: Stopwatch,
    ) -> TrialOutcome:
        trouble = next((f.fits[at].trouble for f in fitted if f.fits[at].trouble), "")
        if trouble:
            outcome = run_trial(trial, work.preparation, work.folds, work.task)
            notes = [*outcome.result.notes, f"{trouble}: fitted by MLlib"]
            marks = {"notes": notes, "engine": PLAIN, "label": "exact"}
            return TrialOutcome(outcome.result.model_copy(update=marks), outcome.models)
        models = LazyModels(
            trial, {p.fold: f.fits[at] for p, f in zip(work.folds, fitted, strict=True)}, work
        )
        outcome = measured_outcome(
            trial, [fold.metrics[at] for fold in fitted], work.task, watch, models=models
        )
        marks = {"engine": self.name, "label": _label(self.learner, trial)}
        return TrialOutcome(outcome.result.model_copy(update=marks), outcome.models)

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit one trial by MLlib: the final model is MLlib's own."""
        return fit_trial(trial, prepared, task)


def _fold(plan: FoldPlan, asked: FoldWork, work: Work, *, in_task: bool) -> FoldFit:
    prepared = work.preparation.fold(plan)
    if prepared.validation is None:
        raise ModelError(f"modeling: fold {plan.fold} has no rows to score")
    if in_task:
        return run_in_task(prepared.train, prepared.validation, asked)
    return run_over_partitions(prepared.train, prepared.validation, prepared.validation_rows, asked)


def _label(learner: Learner, trial: PlannedTrial) -> Label:
    """Only sums of squares without absolute values have a closed form, MLlib's own."""
    penalty = Penalty.of(trial.params)
    return "exact" if learner == "least_squares" and penalty.l1 == 0 else "equivalent"


def _refusal(trial: PlannedTrial, work: Work) -> ModelError | None:
    """Return why a fold cannot be fitted, as MLlib's way would find it."""
    for plan in work.folds:
        try:
            format_trial(trial, work.preparation.fold(plan).facts, FEATURES)
        except ModelError as error:
            return error
    return None


@dataclass(frozen=True)
class LazyModels(Mapping[int, FittedTrial]):
    """MLlib's models of a trial by fold, built when asked for: most never are.

    Attributes:
        trial: The trial.
        fits: Fitted numbers by fold.
        work: Prepared folds.
    """

    trial: PlannedTrial
    fits: Mapping[int, LinearFit]
    work: Work

    def __getitem__(self, fold: int) -> FittedTrial:
        """Return the model of a fold."""
        fit = self.fits[fold]
        plan = next(plan for plan in self.work.folds if plan.fold == fold)
        prepared, task = self.work.preparation.fold(plan), self.work.task
        formatted = format_trial(self.trial, prepared.facts, FEATURES)
        context = BuildContext(
            problem=task.problem,
            column=formatted.column,
            width=prepared.facts.width,
            class_count=task.class_count,
            seed=task.seed,
            weighted=bool(prepared.weights),
        )
        estimator = build_estimator(self.trial.info, formatted.params, context)
        spark = prepared.train.sparkSession.sparkContext
        return FittedTrial((mllib_model(estimator, fit, spark), *prepared.post), formatted.notes)

    def __iter__(self) -> Iterator[int]:
        """Return the folds."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self.fits)
