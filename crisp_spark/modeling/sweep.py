"""The sweep: plan trials, carry them out, choose, refit, describe.

:func:`crisp_spark.modeling.planning.plan_sweep` says what is tried on which folds, engines
(:mod:`crisp_spark.modeling.groups`) share fits among trials, and
:func:`crisp_spark.modeling.executing.carry_out` runs them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.ml import PipelineModel
from pyspark.sql import functions as F

from crisp_spark.errors import DataError, SpecError
from crisp_spark.modeling.baselines import BaselineTask, evaluate_baselines
from crisp_spark.modeling.engines.choice import engines_for
from crisp_spark.modeling.estimators import CENSOR
from crisp_spark.modeling.executing import fitter, fold_models
from crisp_spark.modeling.folds import FoldCounts, count_folds, with_redrawn_folds
from crisp_spark.modeling.groups import Work
from crisp_spark.modeling.labels import FOLD, LABEL, MODEL_COLUMNS, class_names, with_label
from crisp_spark.modeling.layout import laid_out
from crisp_spark.modeling.planning import SweepPlan, SweepTask, plan_sweep
from crisp_spark.modeling.preparing import Preparation
from crisp_spark.modeling.recording import SweepFacts, build_result
from crisp_spark.modeling.searching import search_through
from crisp_spark.modeling.stability import cluster_stability
from crisp_spark.modeling.trials import TrialTask
from crisp_spark.modeling.vectorizing import PreparationTask
from crisp_spark.modeling.winner import choose_winner, out_of_fold, pipeline
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted
from crisp_spark.spec.features import Scale

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves.

    Attributes:
        result: The record.
        model: Pipeline from the merged row to the prediction, fitted on all training rows.
        validation: Training rows with the out-of-fold scores of the winner.
        release: Drops what is cached; call it when ``validation`` has been written.
    """

    result: SweepResult
    model: PipelineModel
    validation: DataFrame
    release: Callable[[], None]


def run_sweep(train: DataFrame, task: SweepTask) -> SweepOutcome:
    """Try everything on the training rows, and fit the winner on all of them.

    Args:
        train: Training rows with ``_crisp_fold``; the target is a column.
        task: What is tried.

    Raises:
        SpecError: The sweep does not fit the problem, or a feature operation its columns.
        DataError: No labelled rows, or fewer than two folds.
        ModelError: Every trial failed.

    Rows: all labelled. Adds: scores. Drops: rows without a label. Jobs: many.
    """
    begun = time.monotonic()
    _check_names(train)
    classes = class_names(train, task.goal)
    rows = _labelled(train, task, classes)
    drawn = rows
    if task.repeats > 1:
        drawn = with_redrawn_folds(rows, task.unit or task.key, task.repeats, task.seed)
    base = laid_out(_inputs(drawn, task), task.key, task.partitions, task.seed).persist(
        StorageLevel.MEMORY_AND_DISK
    )
    preparations = list[Preparation]()

    def release() -> None:
        for preparation in preparations:
            preparation.release()
        base.unpersist()

    try:
        classified = task.goal.problem in ("binary", "multiclass")
        counts = count_folds(base, is_classes=classified, repeats=task.repeats)
        preparations.append(Preparation(base, counts, _preparation_task(task, classes)))

        def sample(count: int) -> Preparation:
            asked = replace(preparations[0].task, trial_rows=count)
            preparations.append(Preparation(base, counts, asked))
            return preparations[-1]

        facts = _swept(rows, preparations[0], task, (begun, sample))
        validation = out_of_fold(rows, facts.models, facts.plan.first, task.goal.problem)
        return SweepOutcome(build_result(facts), facts.model, validation, release)
    except BaseException:
        release()
        raise


def _swept(
    rows: DataFrame,
    preparation: Preparation,
    task: SweepTask,
    how: tuple[float, Callable[[int], Preparation]],
) -> SweepFacts:
    """Carry out the plan, choose the winner and fit it on all rows."""
    counts, classes = preparation.counts, preparation.task.classes
    begun, sample = how
    plan = plan_sweep(task, counts.folds, rows=counts.total)
    trial_task = _trial_task(task, counts, plan, classes)
    baselines = evaluate_baselines(
        rows, counts, plan.first, _baseline_task(task, classes, plan, trial_task)
    )
    work, engines = Work(preparation, plan.folds, trial_task), engines_for(task.spec)
    plan, executed = search_through(plan, work, task, engines, sample)
    best, reason = choose_winner(
        executed.trials,
        higher_is_better=plan.metric.higher_is_better,
        one_standard_error=task.spec.selection == "one_standard_error",
    )
    trial = next(planned for planned in plan.trials if planned.name == best.name)
    fit = fitter(best, work, engines)
    refit = task.spec.refit_folds and preparation.share < 1
    models = fold_models(trial, work, fit, executed.models, refit=refit)
    stability = None
    if task.goal.problem == "clustering":
        stability = cluster_stability(
            rows, models, total=counts.total, key=task.key, seed=task.seed
        )
    for fold in plan.folds:
        # The final fit needs the room; fitted stages stay, vectors go.
        preparation.release(fold)
    started = time.monotonic()
    final = preparation.fold(None)
    fitted = fit(trial, final)
    return SweepFacts(
        task=task,
        plan=plan,
        executed=executed,
        classes=classes,
        counts=counts,
        trial=trial,
        best=best,
        reason=reason,
        final=final,
        notes=fitted.notes,
        models=models,
        baselines=baselines,
        model=pipeline(final, fitted),
        share=preparation.share,
        final_seconds=time.monotonic() - started,
        seconds=time.monotonic() - begun,
        stability=stability,
    )


def _check_names(train: DataFrame) -> None:
    taken = [name for name in MODEL_COLUMNS if name in train.columns]
    if taken:
        raise DataError(
            f"modeling: the model writes a column {taken[0]!r}, and the training rows have one",
            hint="rename it in preparation.clean or preparation.merge",
        )


def _labelled(train: DataFrame, task: SweepTask, classes: Sequence[str]) -> DataFrame:
    rows = with_label(train, task.goal, classes)
    if task.goal.problem != "clustering":
        rows = rows.where(F.col(LABEL).isNotNull())
    if task.spec.censor is not None:
        if task.spec.censor not in train.columns:
            raise SpecError(f"modeling.censor: no column {task.spec.censor!r}")
        rows = rows.withColumn(CENSOR, F.col(quoted(task.spec.censor)).cast("double"))
    return rows


def _inputs(rows: DataFrame, task: SweepTask) -> DataFrame:
    """Keep what features, folds and layout need. Nothing known only later gets near a learner."""
    own = {LABEL, FOLD, CENSOR}
    kept = [
        name
        for name in rows.columns
        if name in own
        or name.startswith(f"{FOLD}_")
        or name in task.key
        or name in (task.goal.user, task.goal.item)
        or (not name.startswith(RESERVED_PREFIX) and name not in task.features.excluded)
    ]
    return rows.select(*(F.col(quoted(name)) for name in kept))


def _preparation_task(task: SweepTask, classes: tuple[str, ...]) -> PreparationTask:
    clustering = task.goal.problem == "clustering"
    scaled = any(isinstance(op, Scale) for op in task.features.ops)
    refused = bool(task.spec.families) and all(f.standardize == "no" for f in task.spec.families)
    return PreparationTask(
        problem=task.goal.problem,
        classes=classes,
        features=task.features,
        key=task.key,
        seed=task.seed,
        trial_rows=task.spec.search.rows,
        class_weights=task.spec.class_weights,
        values=task.values,
        user=task.goal.user,
        item=task.goal.item,
        standardize=clustering and not scaled and not refused,
    )


def _trial_task(
    task: SweepTask, counts: FoldCounts, plan: SweepPlan, classes: Sequence[str]
) -> TrialTask:
    relevant = task.spec.relevant_from
    return TrialTask(
        problem=task.goal.problem,
        metric=plan.metric.name,
        class_count=max(len(classes), 2),
        seed=task.seed,
        parallelism=task.spec.search.parallelism,
        limit_s=task.spec.budget.max_trial_seconds,
        top_k=task.spec.top_k,
        relevant_from=counts.mean(counts.folds) if relevant is None else relevant,
        values=task.values,
    )


def _baseline_task(
    task: SweepTask, classes: tuple[str, ...], plan: SweepPlan, trial_task: TrialTask
) -> BaselineTask:
    return BaselineTask(
        problem=task.goal.problem,
        classes=classes,
        rules=task.rules,
        metric=plan.metric.name,
        user=task.goal.user,
        top_k=trial_task.top_k,
        relevant_from=trial_task.relevant_from,
        key=task.key,
        seed=task.seed,
        values=task.values,
    )
