"""Fits all linear models of a fold on prepared vectors: in one task, or over partitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from crisp_spark.modeling.linear.frames import collect_parts, linear_scores, numbers, portions
from crisp_spark.modeling.linear.kernels import moments_of
from crisp_spark.modeling.linear.least_squares import fit_least_squares
from crisp_spark.modeling.linear.logistic import fit_logistic
from crisp_spark.modeling.linear.moments import Moments
from crisp_spark.modeling.linear.partitions import RowsInPartitions, measure_scale
from crisp_spark.modeling.linear.solving import (
    FoldFit,
    FoldWork,
    in_task,
    matrix,
    measure,
    unpack,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.linear.penalty import LinearFit, Penalty
    from crisp_spark.modeling.metrics import Metrics


def run_in_task(train: DataFrame, validation: DataFrame, work: FoldWork) -> FoldFit:
    """Bring a fold to one task, and fit, score and measure everything there.

    Args:
        train: Prepared vectors to fit on.
        validation: Prepared vectors to score.
        work: What is fitted.

    Jobs: one.
    """
    rows = numbers(train, fitted=True).union(numbers(validation, fitted=False)).coalesce(1)
    parts = collect_parts(rows, partial(in_task, work=work))
    return unpack(parts[0])


def run_over_partitions(
    train: DataFrame, validation: DataFrame, validation_rows: int, work: FoldWork
) -> FoldFit:
    """Fit by passes over the partitions, and score all models in one more.

    Args:
        train: Prepared vectors to fit on.
        validation: Prepared vectors to score.
        validation_rows: Number of them.
        work: What is fitted.

    Jobs: two for least squares; one per pass and a few more for logistic regression.
    """
    rows = numbers(train, fitted=True)
    if work.learner == "least_squares":
        parts = collect_parts(rows, moments_of)
        fits = fit_least_squares(total_moments(parts), work.penalties, exact=work.exact)
    else:
        fits = _logistic_over_partitions(rows, work.penalties)
    coefficients, intercepts = matrix(fits)
    metrics: list[Metrics] = []
    for part in portions(len(fits), validation_rows):
        label, scores = linear_scores(validation, coefficients[part], intercepts[part])
        metrics += measure(work, label, scores)
    return FoldFit(fits, metrics)


def total_moments(parts: Sequence[bytes]) -> Moments:
    """Return the moments of all parts; at least one."""
    first, *rest = (Moments.from_bytes(part) for part in parts)
    return sum(rest, start=first)


def _logistic_over_partitions(rows: DataFrame, penalties: Sequence[Penalty]) -> list[LinearFit]:
    scale = measure_scale(rows)
    opened: list[RowsInPartitions] = []

    def passes(intercept: bool) -> RowsInPartitions:
        opened.append(RowsInPartitions.cached(rows, scale, intercept=intercept))
        return opened[-1]

    try:
        return fit_logistic(scale, passes, penalties)
    finally:
        for each in opened:
            each.release()
