"""Areas under curves, with influence functions, and the counts at every distinct score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crisp_spark.evaluation.estimates import Estimate, Flags, Floats, undefined


@dataclass(frozen=True)
class ScoreCells:
    """Counts at every distinct score, highest first.

    Attributes:
        scores: Distinct scores, falling; shape (cells,).
        positives: Positive rows at the score.
        negatives: Negative rows at the score.
        cell: For every row, the index of its score; shape (rows,).
    """

    scores: Floats
    positives: Floats
    negatives: Floats
    cell: NDArray[np.intp]

    @property
    def tp(self) -> Floats:
        """Positives at or above each score."""
        return np.cumsum(self.positives)

    @property
    def fp(self) -> Floats:
        """Negatives at or above each score."""
        return np.cumsum(self.negatives)


def score_cells(label: Floats, score: Floats) -> ScoreCells:
    """Count positives and negatives at every distinct score, highest score first."""
    scores, inverse = np.unique(-score, return_inverse=True)
    inverse = inverse.reshape(-1)
    size = scores.size
    positives = np.bincount(inverse, weights=label, minlength=size).astype(np.float64)
    total = np.bincount(inverse, minlength=size).astype(np.float64)
    return ScoreCells(-scores, positives, total - positives, inverse.astype(np.intp))


def roc_auc(label: Floats, score: Floats) -> Estimate:
    """Area under the ROC curve: P(score of a positive > of a negative), ties count half.

    The influence function comes from placement values: DeLong, DeLong and Clarke-Pearson,
    "Comparing the areas under two or more correlated receiver operating characteristic curves",
    Biometrics 44 (1988) 837-845.

    Args:
        label: 1.0 positive, 0.0 negative; shape (rows,).
        score: Higher means more likely positive; shape (rows,).
    """
    cells = score_cells(label, score)
    positives, negatives = float(cells.positives.sum()), float(cells.negatives.sum())
    if positives == 0 or negatives == 0:
        return undefined("only one class is present" if label.size else "no labelled rows")
    negatives_below = negatives - cells.fp + cells.negatives / 2
    positives_above = cells.tp - cells.positives / 2
    # Share of negatives that a positive at this score beats, of positives that beat a negative.
    of_positive = negatives_below / negatives
    of_negative = positives_above / positives
    area = float((cells.positives * of_positive).sum() / positives)
    is_positive: Flags = label > 0.5  # noqa: PLR2004
    prevalence = positives / label.size
    influence = np.where(
        is_positive,
        (of_positive[cells.cell] - area) / prevalence,
        (of_negative[cells.cell] - area) / (1 - prevalence),
    )
    return Estimate(area, influence, int(min(positives, negatives)), scale="delong")


def average_precision(label: Floats, score: Floats) -> Estimate:
    """Area under the precision-recall curve as average precision (no interpolation).

    AP(w) = sum_i w_i y_i TP_w(s_i) / N_w(s_i) / sum_i w_i y_i with TP and N the weights of
    positives and of all rows at or above a score. Its derivative by w_j at equal weights is
    (1/P) [ y_j (prec(s_j) - AP) + sum over positives i with s_i <= s_j of
    (y_j / N(s_i) - TP(s_i) / N(s_i)^2) ]; n times that is the influence of row j.

    Args:
        label: 1.0 positive, 0.0 negative; shape (rows,).
        score: Higher means more likely positive; shape (rows,).
    """
    cells = score_cells(label, score)
    positives = float(cells.positives.sum())
    if positives == 0:
        return undefined("no positives" if label.size else "no labelled rows")
    above = cells.tp + cells.fp
    precision = cells.tp / above
    area = float((cells.positives * precision).sum() / positives)
    # Sums over cells at or below each score, hence from the end.
    per_row = np.cumsum((cells.positives / above)[::-1])[::-1]
    per_hit = np.cumsum((cells.positives * cells.tp / above**2)[::-1])[::-1]
    of_positive = precision - area + per_row - per_hit
    of_negative = -per_hit
    influence = np.where(label > 0.5, of_positive[cells.cell], of_negative[cells.cell])  # noqa: PLR2004
    return Estimate(area, influence * (label.size / positives), int(positives), scale="unit")
