"""Everything about one split: metrics with intervals, matrices, curves, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crisp_spark.evaluation.curves import curves_of, residuals_of
from crisp_spark.evaluation.estimates import share_of, with_interval
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.metrics import measure
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.evaluation.slices import confusion_of
from crisp_spark.results.evaluate import ClassMetrics, SplitEvaluation
from crisp_spark.spec.evaluation import METRICS


def describe_split(
    rows: ScoredRows, judge: Judge, *, classes: Sequence[str], points: int
) -> SplitEvaluation:
    """Measure every metric of a split and draw what belongs to its problem.

    Args:
        rows: Labelled, scored rows.
        judge: Threshold, values, confidence.
        classes: Names of the classes (multiclass).
        points: Most points of a curve.
    """
    extra: dict[str, Any] = {}
    if judge.problem == "binary":
        counts = confusion_of(rows, judge)
        extra = {"positives": counts.tp + counts.fn, "confusion": counts}
        if rows.size:
            extra["curves"] = curves_of(rows, points=points, confidence=judge.confidence)
            if extra["curves"] is not None and not judge.probabilities:
                update: dict[str, Any] = {"calibration": [], "calibration_error": None}
                extra["curves"] = extra["curves"].model_copy(update=update)
    elif judge.problem == "multiclass":
        extra = {
            "class_matrix": class_matrix(rows, len(classes)),
            "classes": class_table(rows, judge, classes),
        }
    elif judge.problem in {"regression", "recommendation"}:
        extra = {"residuals": residuals_of(rows)}
    return SplitEvaluation(
        split=rows.split,
        rows=rows.total_rows,
        read_rows=rows.read_rows,
        labelled_rows=rows.labelled_rows,
        metrics={name: measure(rows, judge, name) for name in METRICS[judge.problem]},
        **extra,
    )


def class_matrix(rows: ScoredRows, count: int) -> list[list[int]]:
    """Count rows by label (row) and prediction (column); scaled up where rows are a sample."""
    inside = (rows.prediction >= 0) & (rows.prediction < count) & (rows.label < count)
    cells = rows.label[inside].astype(np.intp) * count + rows.prediction[inside].astype(np.intp)
    found = np.bincount(cells, minlength=count * count).reshape(count, count)
    return [[round(float(n) * rows.weight) for n in line] for line in found]


def class_table(rows: ScoredRows, judge: Judge, classes: Sequence[str]) -> list[ClassMetrics]:
    """Precision, recall and F1 of every class."""
    found = []
    for index, name in enumerate(classes):
        truth, said = np.equal(rows.label, index), np.equal(rows.prediction, index)
        precision = share_of(truth & said, said, empty="never predicted")
        recall = share_of(truth & said, truth, empty="no such rows")
        both = int(truth.sum() + said.sum())
        found.append(
            ClassMetrics(
                label=name,
                support=int(truth.sum()),
                predicted=int(said.sum()),
                precision=with_interval("precision", precision, judge.confidence),
                recall=with_interval("recall", recall, judge.confidence),
                f1=2 * int((truth & said).sum()) / both if both else None,
            )
        )
    return found
