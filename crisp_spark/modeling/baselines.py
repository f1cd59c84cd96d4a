"""Rules to beat: always the simplest guess, and the rules of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from crisp_spark.modeling.folds import FoldCounts, FoldPlan
from crisp_spark.modeling.labels import FOLD, LABEL
from crisp_spark.modeling.layout import sampled
from crisp_spark.modeling.metrics import Metrics, Scored, collect_arrays, mean_metrics, metrics_of
from crisp_spark.modeling.statements import number, text
from crisp_spark.modeling.statistics import Requests, Targets, measure_sets, median_sql
from crisp_spark.results.sweep import BaselineResult
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.spec.business import OutcomeValues
    from crisp_spark.spec.modeling import BaselineRule

BASELINE_PREFIX = "_crisp_baseline_"
_MOST_ROWS = 1_000_000
_HALF = 0.5


@dataclass(frozen=True)
class BaselineTask:
    """What baselines need to know.

    Attributes:
        problem: Kind of problem.
        classes: Class names.
        rules: Rules of the project.
        metric: Metric of the sweep.
        user: Column of the user (recommendation).
        top_k: k of ranking metrics.
        relevant_from: A rating of at least this is relevant.
        key: Columns that name a row.
        seed: Seed of the sample of very large tables.
        values: What outcomes are worth.
    """

    problem: str
    classes: tuple[str, ...]
    rules: Sequence[BaselineRule]
    metric: str
    user: str | None = None
    top_k: int = 10
    relevant_from: float = 0.0
    key: tuple[str, ...] = ()
    seed: int = 42
    values: OutcomeValues | None = None


def with_baselines(frame: DataFrame, baselines: Sequence[BaselineResult]) -> DataFrame:
    """Add the score or prediction of every baseline.

    Rows: all. Adds: ``_crisp_baseline_<name>`` double each. Drops: nothing. Jobs: none.
    """
    return frame.withColumns(
        {f"{BASELINE_PREFIX}{b.name}": F.expr(b.expression).cast("double") for b in baselines}
    )


def _constants(
    problem: str, counts: FoldCounts, folds: Sequence[int], median: float | None
) -> dict[str, tuple[float, str]]:
    """Return the simplest guesses from the training rows of some folds."""
    rows = sum(counts.rows[fold] for fold in folds)
    if problem in ("binary", "multiclass"):
        found = counts.class_counts(folds)
        frequent = max(found, key=lambda label: (found[label], -label), default=0.0)
        if problem == "multiclass":
            return {"most_frequent": (frequent, "the most frequent class")}
        share = found.get(1.0, 0) / rows if rows else 0.0
        return {
            "prior": (share, "the share of positives, for every row"),
            "most_frequent": (frequent, "the more frequent class, for every row"),
        }
    mean = sum(counts.sums[fold] for fold in folds) / rows if rows else 0.0
    guesses = {"mean": (mean, "the mean of the training rows")}
    if median is not None:
        guesses["median"] = (median, "the median of the training rows")
    return guesses


def rule_sql(problem: str, rule: str, classes: Sequence[str], fallback: float) -> str:
    """Return the SQL of a project's rule as a number; unknown answers take the fallback."""
    if problem == "multiclass":
        names = ", ".join(text(name) for name in classes)
        place = f"nullif(array_position(array({names}), CAST(({rule}) AS STRING)), 0) - 1"
        return f"coalesce(CAST({place} AS DOUBLE), {number(fallback)})"
    return f"coalesce(CAST(({rule}) AS DOUBLE), {number(fallback)})"


def evaluate_baselines(
    rows: DataFrame, counts: FoldCounts, plans: Sequence[FoldPlan], task: BaselineTask
) -> tuple[BaselineResult, ...]:
    """Fit and score every baseline on the very folds of the trials.

    Rows: labelled training rows. Jobs: one, and some for medians of numbers; none for clustering.
    """
    if task.problem == "clustering":
        return ()
    numeric = task.problem in ("regression", "recommendation")
    medians = _medians(rows, plans) if numeric else {}
    everything = _constants(task.problem, counts, counts.folds, medians.get(None))
    fallback = next(iter(everything.values()))[0]
    arrays = _collect(rows, counts, task, fallback)
    found = []
    for name, (value, doc) in everything.items():
        per_fold = [
            _scored(
                task,
                arrays,
                plan.fold,
                _constants(task.problem, counts, plan.training, medians.get(plan.fold))[name][0],
            )
            for plan in plans
        ]
        found.append(_result(name, number(value), doc, per_fold, task))
    for at, rule in enumerate(task.rules):
        sql = rule_sql(task.problem, rule.rule, task.classes, fallback)
        per_fold = [_scored(task, arrays, plan.fold, arrays[f"r{at}"]) for plan in plans]
        found.append(_result(rule.name, sql, rule.doc or rule.rule, per_fold, task, user=True))
    return tuple(found)


def _result(
    name: str,
    sql: str,
    doc: str,
    per_fold: Sequence[Mapping[str, float | None]],
    task: BaselineTask,
    *,
    user: bool = False,
) -> BaselineResult:
    return BaselineResult(
        name=name,
        expression=sql,
        doc=doc,
        metrics=mean_metrics(per_fold),
        fold_metrics=[fold.get(task.metric) for fold in per_fold],
        user=user,
    )


def _medians(rows: DataFrame, plans: Sequence[FoldPlan]) -> dict[int | None, float]:
    """Median of the label on all rows (None) and on the training rows of each fold. Jobs: three."""
    everywhere, asked = -1, Requests()
    median = asked.scalar(median_sql(LABEL))
    places = [F.when(plan.train_rows(), F.lit(plan.fold)) for plan in plans]
    sets = F.array_compact(F.array(F.lit(everywhere), *places))
    targets = {number: Targets() for number in (everywhere, *(plan.fold for plan in plans))}
    found = measure_sets(rows.select(LABEL, sets.alias("sets")), "sets", asked, targets)
    named = {None if at == everywhere else at: own.number(median) for at, own in found.items()}
    return {fold: value for fold, value in named.items() if value is not None}


def _collect(
    rows: DataFrame, counts: FoldCounts, task: BaselineTask, fallback: float
) -> dict[str, Any]:
    share = _MOST_ROWS / counts.total if counts.total > _MOST_ROWS else 1.0
    columns = [F.col(FOLD), F.col(LABEL)]
    if task.user is not None:
        columns.append(F.xxhash64(F.col(quoted(task.user))).alias("user"))
    for at, rule in enumerate(task.rules):
        columns.append(
            F.expr(rule_sql(task.problem, rule.rule, task.classes, fallback)).alias(f"r{at}")
        )
    return collect_arrays(sampled(rows, share, task.key, task.seed).select(*columns))


def _scored(task: BaselineTask, arrays: Mapping[str, Any], fold: int, guess: Any) -> Metrics:
    chosen = arrays[FOLD] == fold
    label = np.asarray(arrays[LABEL][chosen], dtype=np.float64)
    score = np.full(label.size, guess) if np.isscalar(guess) else np.asarray(guess)[chosen]
    score = score.astype(np.float64)
    prediction = (score > _HALF).astype(np.float64) if task.problem == "binary" else score
    user = arrays["user"][chosen] if "user" in arrays else None
    rows = Scored(label, score, prediction, user=user)
    return metrics_of(
        task.problem, rows, k=task.top_k, relevant_from=task.relevant_from, values=task.values
    )
