"""What is needed to judge rows, and what a model or a baseline says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crisp_spark.evaluation.estimates import Flags, Floats
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.spec.business import OutcomeValues


@dataclass(frozen=True)
class Judge:
    """What is needed, beside the rows, to judge them.

    Attributes:
        problem: binary, multiclass, regression, clustering or recommendation.
        confidence: Confidence of intervals.
        threshold: A score of at least this is an alert (binary).
        baseline_thresholds: The same for each baseline.
        values: What outcomes are worth.
        class_count: Number of classes (multiclass).
        top_k: Length of a list (recommendation).
        relevant_from: A rating of at least this is relevant (recommendation).
        probabilities: Whether scores are probabilities, or an order only (binary).
    """

    problem: str
    confidence: float = 0.95
    threshold: float = 0.5
    baseline_thresholds: Mapping[str, float] = field(default_factory=dict)
    values: OutcomeValues | None = None
    class_count: int = 2
    top_k: int = 10
    relevant_from: float = 0.0
    probabilities: bool = True


@dataclass(frozen=True)
class Answers:
    """What a model or a baseline says about rows whose label is known.

    Attributes:
        label: Label; shape (rows,).
        score: Score; shape (rows,).
        prediction: Prediction; shape (rows,).
        alert: Score at or above the threshold (binary); shape (rows,).
        rows: The rows themselves.
        of_model: Whether the model answers, or a baseline.
    """

    label: Floats
    score: Floats
    prediction: Floats
    alert: Flags
    rows: ScoredRows
    of_model: bool

    @property
    def positive(self) -> Flags:
        """Whether the row is positive (binary)."""
        return np.greater(self.label, 0.5)


def answers(rows: ScoredRows, judge: Judge, baseline: str | None = None) -> Answers:
    """Return what the model, or a baseline, says about the rows."""
    if baseline is None:
        score, prediction, threshold = rows.score, rows.prediction, judge.threshold
    else:
        score = prediction = rows.baselines[baseline]
        threshold = judge.baseline_thresholds.get(baseline, 0.5)
    alert = np.greater_equal(score, threshold)
    return Answers(rows.label, score, prediction, alert, rows, baseline is None)


def row_values(positive: Flags, alert: Flags, values: OutcomeValues) -> Floats:
    """Money of each row's outcome."""
    return np.where(
        positive,
        np.where(alert, values.tp, values.fn),
        np.where(alert, values.fp, values.tn),
    ).astype(np.float64)
