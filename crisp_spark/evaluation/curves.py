"""Curves of a binary model and residuals of a regression, in a bounded number of points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crisp_spark.evaluation.estimates import Floats, wilson
from crisp_spark.evaluation.ranks import score_cells
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.results.evaluate import (
    CalibrationBin,
    CurvePoint,
    Curves,
    ErrorDecile,
    HistogramBin,
    LiftPoint,
    Residuals,
)

CALIBRATION_BINS = 10
LIFT_POINTS = 20
HISTOGRAM_BINS = 40
DECILES = 10


def thinned(size: int, points: int) -> NDArray[np.intp]:
    """Return at most ``points`` indices below ``size``, evenly spread, both ends included."""
    return np.unique(np.linspace(0, size - 1, min(size, points)).round().astype(np.intp))


def curves_of(rows: ScoredRows, *, points: int, confidence: float) -> Curves | None:
    """Draw ROC, PR, calibration, gain and lift; None where only one class is present.

    Args:
        rows: Labelled, scored rows of a binary problem.
        points: Most points of a curve.
        confidence: Confidence of the calibration intervals.
    """
    cells = score_cells(rows.label, rows.score)
    positives, negatives = float(cells.positives.sum()), float(cells.negatives.sum())
    if positives == 0 or negatives == 0:
        return None
    tp, fp = cells.tp, cells.fp
    roc = [CurvePoint(x=0.0, y=0.0)]
    # Even steps along the curve, not along the scores: steep parts keep their points.
    walked = (tp / positives + fp / negatives) / 2
    chosen = np.unique(np.searchsorted(walked, np.linspace(0, 1, points - 1)).clip(0, tp.size - 1))
    roc += [
        CurvePoint(x=fp[i] / negatives, y=tp[i] / positives, threshold=cells.scores[i])
        for i in chosen
    ]
    along = np.unique(np.searchsorted(tp / positives, np.linspace(0, 1, points)))
    pr = [
        CurvePoint(x=tp[i] / positives, y=tp[i] / (tp[i] + fp[i]), threshold=cells.scores[i])
        for i in along.clip(0, tp.size - 1)
    ]
    bins, error = _calibration(rows, confidence)
    return Curves(
        roc=roc, pr=pr, calibration=bins, calibration_error=error, gains=_gains(rows, positives)
    )


def _calibration(rows: ScoredRows, confidence: float) -> tuple[list[CalibrationBin], float]:
    """Cut rows into tenths by score; equal scores stay together."""
    order = np.argsort(rows.score, kind="stable")
    score, label = rows.score[order], rows.label[order]
    cuts = np.searchsorted(score, score[(np.arange(1, CALIBRATION_BINS) * score.size) // 10])
    edges = np.unique(np.r_[0, cuts, score.size])
    bins, gap = [], 0.0
    for start, end in pairwise(edges):
        count, hits = int(end - start), float(label[start:end].sum())
        low, high = wilson(hits, count, confidence)
        mean = float(score[start:end].mean())
        gap += abs(mean - hits / count) * count
        bins.append(
            CalibrationBin(rows=count, mean_score=mean, rate=hits / count, low=low, high=high)
        )
    return bins, gap / score.size


def _gains(rows: ScoredRows, positives: float) -> list[LiftPoint]:
    """Gain and lift of the best-scored shares; rows of equal score count by their mean label."""
    cells = score_cells(rows.label, rows.score)
    upto = np.r_[0.0, cells.tp + cells.fp]
    found = np.r_[0.0, cells.tp]
    shares = np.arange(1, LIFT_POINTS + 1) / LIFT_POINTS
    gains = np.interp(shares * rows.size, upto, found) / positives
    return [
        LiftPoint(share=float(share), gain=float(gain), lift=float(gain / share))
        for share, gain in zip(shares, gains, strict=True)
    ]


def residuals_of(rows: ScoredRows) -> Residuals | None:
    """Describe prediction minus label: histogram, quantiles, errors by tenth of the prediction."""
    if rows.size == 0:
        return None
    error: Floats = rows.prediction - rows.label
    low, high = np.quantile(error, [0.005, 0.995])
    # The outermost half percent is counted in the outermost bins, so that the middle shows.
    edges = np.linspace(low, high if high > low else low + 1.0, HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(error.clip(edges[0], edges[-1]), bins=edges)
    levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    return Residuals(
        histogram=[
            HistogramBin(low=edges[i], high=edges[i + 1], rows=int(count))
            for i, count in enumerate(counts)
        ],
        deciles=_deciles(rows, error),
        quantiles={
            str(level): float(found)
            for level, found in zip(levels, np.quantile(error, levels), strict=True)
        },
    )


def _deciles(rows: ScoredRows, error: Floats) -> list[ErrorDecile]:
    order = np.argsort(rows.prediction, kind="stable")
    return [
        ErrorDecile(
            decile=number + 1,
            rows=int(part.size),
            mean_prediction=float(rows.prediction[part].mean()),
            mean_label=float(rows.label[part].mean()),
            mae=float(np.abs(error[part]).mean()),
            bias=float(error[part].mean()),
        )
        for number, part in enumerate(np.array_split(order, DECILES))
        if part.size
    ]
