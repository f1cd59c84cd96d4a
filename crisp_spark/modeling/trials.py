"""One trial: fit a learner on every fold, score the rows left out, measure."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.errors import CrispError, ModelError
from crisp_spark.modeling.engines.converting import fit_by_library
from crisp_spark.modeling.engines.leaves import fit_keeping_leaves
from crisp_spark.modeling.estimators import USER, BuildContext, build_estimator
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.formatting import format_trial
from crisp_spark.modeling.labels import LABEL, PREDICTION, PROBABILITIES, SCORE, score_columns
from crisp_spark.modeling.limits import in_job_group
from crisp_spark.modeling.metrics import (
    Metrics,
    Scored,
    collect_arrays,
    mean_metrics,
    metrics_of,
)
from crisp_spark.results.sweep import TrialResult

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.folds import FoldPlan
    from crisp_spark.modeling.preparing import Preparation, Prepared
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.spec.business import OutcomeValues

logger = logging.getLogger(__name__)

_LONGEST_ERROR = 1000


@dataclass(frozen=True)
class FittedTrial:
    """A learner fitted on prepared rows.

    Attributes:
        stages: Fitted stages from the vector to the prediction.
        notes: Fixes made to fit the learner's demands.
    """

    stages: tuple[Transformer, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial left.

    Attributes:
        result: Its record.
        models: Fitted stages by fold; empty when it failed.
    """

    result: TrialResult
    models: Mapping[int, FittedTrial]


@dataclass(frozen=True)
class TrialTask:
    """What every trial is told.

    Attributes:
        problem: Kind of problem.
        metric: Metric that decides.
        class_count: Number of classes.
        seed: Seed of learners.
        parallelism: Folds fitted at the same time.
        limit_s: Most seconds for a trial; None for no limit.
        top_k: k of ranking metrics.
        relevant_from: A rating of at least this is relevant.
        values: What outcomes are worth.
    """

    problem: str
    metric: str
    class_count: int
    seed: int
    parallelism: int = 2
    limit_s: float | None = None
    top_k: int = 10
    relevant_from: float = 0.0
    values: OutcomeValues | None = None


def fit_trial(trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
    """Fit a learner on prepared rows.

    Raises:
        ModelError: The learner cannot take the rows.
    """
    formatted = format_trial(trial, prepared.facts, FEATURES)
    weighted = bool(prepared.weights)
    notes = list(formatted.notes)
    if weighted and not trial.info.weighted:
        notes.append("class weights are not supported by this learner: fitted without")
    train, stages = prepared.train, list[Any]()
    if formatted.stage is not None:
        stage: Any = formatted.stage
        stage = stage.fit(train) if hasattr(stage, "fit") else stage
        train = stage.transform(train)
        stages.append(stage)
    context = BuildContext(
        problem=task.problem,
        column=formatted.column,
        width=prepared.facts.width,
        class_count=task.class_count,
        seed=task.seed,
        weighted=weighted,
        base=trial.family.base,
    )
    if formatted.params.get("keepLeafProbabilities"):
        model: Any = fit_keeping_leaves(trial.info, formatted.params, context, train)
    elif trial.info.library:
        rows = prepared.train_rows
        model = fit_by_library(trial.info, formatted.params, context, train, rows)
    else:
        model = build_estimator(trial.info, formatted.params, context).fit(train)
    return FittedTrial((*stages, model, *prepared.post), tuple(notes))


def score_validation(fitted: FittedTrial, prepared: Prepared, task: TrialTask) -> Metrics:
    """Score the rows left out and measure. Jobs: one."""
    if prepared.validation is None:
        return {}
    scored = PipelineModel(list(fitted.stages)).transform(prepared.validation)
    return metrics_of(
        task.problem,
        _scored_rows(scored, task.problem),
        k=task.top_k,
        relevant_from=task.relevant_from,
        values=task.values,
    )


def _scored_rows(scored: DataFrame, problem: str) -> Scored:
    columns = score_columns(scored, problem)
    chosen = [columns[PREDICTION].alias("p"), columns[SCORE].alias("s")]
    if problem == "clustering":
        chosen.append(vector_to_array(F.col(FEATURES)).alias("x"))
    else:
        chosen.append(F.col(LABEL).alias("y"))
    if PROBABILITIES in columns:
        chance = F.element_at(columns[PROBABILITIES], F.col(LABEL).cast("int") + 1)
        chosen.append(chance.alias("c"))
    if problem == "recommendation":
        chosen.append(F.col(USER).cast("long").alias("u"))
    arrays = collect_arrays(scored.select(*chosen))
    prediction = np.asarray(arrays["p"], dtype=np.float64)
    if np.isnan(prediction).any():
        raise ModelError("modeling: the model gave predictions that are not numbers")
    label = arrays.get("y")
    return Scored(
        label=np.zeros(prediction.size) if label is None else np.asarray(label, dtype=np.float64),
        score=np.asarray(arrays["s"], dtype=np.float64),
        prediction=prediction,
        chance=arrays.get("c"),
        user=arrays.get("u"),
        vectors=arrays.get("x"),
    )


def run_trial(
    trial: PlannedTrial, preparation: Preparation, folds: Sequence[FoldPlan], task: TrialTask
) -> TrialOutcome:
    """Fit and score a trial on every fold. What goes wrong is recorded, not raised.

    Raises:
        Exception: Spark itself is gone; no trial could succeed any more.
    """
    watch = Stopwatch()

    def one(plan: FoldPlan) -> tuple[FittedTrial, Metrics]:
        prepared = preparation.fold(plan)
        fitted = fit_trial(trial, prepared, task)
        return fitted, score_validation(fitted, prepared, task)

    try:
        found = in_job_group(
            preparation.rows.sparkSession.sparkContext,
            trial.name,
            [partial(one, fold) for fold in folds],
            parallelism=task.parallelism,
            limit_s=task.limit_s,
        )
    except Exception as error:
        # One bad point must not cost the others; a dead Spark would fail them all.
        if spark_is_gone(preparation):
            raise
        return failed_outcome(trial, error, watch)
    models = {plan.fold: fitted for plan, (fitted, _) in zip(folds, found, strict=True)}
    notes = list(dict.fromkeys(note for fitted, _ in found for note in fitted.notes))
    return measured_outcome(
        trial, [metrics for _, metrics in found], task, watch, models=models, notes=notes
    )


@dataclass(frozen=True)
class Stopwatch:
    """When a trial began; trials of one group share it.

    Attributes:
        trials: Trials that share the time.
        started_ms: Start, milliseconds since the epoch.
        begun: Start on a clock that only goes forward, s.
    """

    trials: int = 1
    started_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time of one trial so far."""
        return round((time.monotonic() - self.begun) / self.trials, 3)


def _record(trial: PlannedTrial, watch: Stopwatch) -> dict[str, Any]:
    return {
        "name": trial.name,
        "family": trial.family.label,
        # As JSON gives them back: a list stays equal to itself, a tuple does not.
        "params": {n: list(v) if isinstance(v, tuple) else v for n, v in trial.params.items()},
        "complexity": trial.complexity,
        "started_ms": watch.started_ms,
        "seconds": watch.seconds,
    }


def failed_outcome(trial: PlannedTrial, error: Exception, watch: Stopwatch) -> TrialOutcome:
    """Return the outcome of a trial that failed."""
    logger.warning("trial %s failed: %s", trial.name, type(error).__name__)
    record = _record(trial, watch)
    return TrialOutcome(TrialResult(**record, status="failed", error=error_text(error)), {})


def measured_outcome(
    trial: PlannedTrial,
    per_fold: Sequence[Metrics],
    task: TrialTask,
    watch: Stopwatch,
    *,
    models: Mapping[int, FittedTrial],
    notes: Sequence[str] = (),
) -> TrialOutcome:
    """Return the outcome of a trial from its metrics; failed where the metric is undefined.

    Args:
        trial: The trial.
        per_fold: Metrics of each fold.
        task: What every trial is told.
        watch: When it began.
        models: Fitted stages by fold; may be made on first use, or be empty.
        notes: Fixes made before it was fitted.
    """
    values = [fold.get(task.metric) for fold in per_fold]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        undefined = ModelError(
            f"modeling: {task.metric} is undefined on {len(values) - len(known)} of "
            f"{len(values)} folds",
            hint="one class or one cluster only?",
        )
        return failed_outcome(trial, undefined, watch)
    result = TrialResult(
        **_record(trial, watch),
        status="finished",
        metric=sum(known) / len(known),
        std=statistics.stdev(known) if len(known) > 1 else None,
        fold_metrics=values,
        metrics=mean_metrics(list(per_fold)),
        notes=list(notes),
    )
    return TrialOutcome(result, models)


def error_text(error: BaseException) -> str:
    """Return an error in a few words: the first cause that the JVM names, not its stack."""
    if isinstance(error, CrispError):
        return str(error)[:_LONGEST_ERROR]
    cause: Any = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    text = str(cause.toString()) if cause is not None else str(error) or type(error).__name__
    return text.split("\n\tat ")[0].strip()[:_LONGEST_ERROR]


def spark_is_gone(preparation: Preparation) -> bool:
    """Say whether the Spark session behind prepared rows has ended."""
    context: Any = preparation.rows.sparkSession.sparkContext
    return context._jsc is None or bool(context._jsc.sc().isStopped())  # noqa: SLF001
