"""Assumptions of the winner's technique, checked on what is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.results.findings import AssumptionResult
from crisp_spark.results.sweep import TrialResult

if TYPE_CHECKING:
    from crisp_spark.modeling.metrics import Floats

LINEAR = frozenset(
    {
        "logistic_regression",
        "linear_svc",
        "linear_regression",
        "generalized_linear_regression",
        "survival_regression",
    }
)
"""Families whose coefficients are read: collinear features make them worthless."""

_MOST_INFLATED = 10.0
_MOST_NAMED = 4
_PERFECT = 0.9999
_EVENTS_PER_SLOT = 10
_FEWEST_OF_A_CLASS = 30
_STABLE = 0.8
_TWO = 2


def check_assumptions(
    kind: str,
    best: TrialResult,
    sample: tuple[Floats, Sequence[str]] | None,
    class_counts: Mapping[str, int],
    *,
    slots: int,
) -> list[AssumptionResult]:
    """Return the assumptions of a technique, and whether they hold.

    Args:
        kind: Family of the winner.
        best: The winner's trial.
        sample: Sampled feature vectors, shape (rows, slots looked at), and the slots' names.
        class_counts: Training rows by class; empty for numbers.
        slots: Length of the feature vector.
    """
    found = []
    if kind in LINEAR and sample is not None:
        found.append(_collinearity(*sample))
    if kind == "logistic_regression":
        found.append(_separation(best))
    if class_counts:
        found.append(_class_counts(kind, class_counts, slots))
    return found


def stability_assumption(stability: float | None) -> list[AssumptionResult]:
    """Return whether clusters are the same whichever rows they are found on."""
    if stability is None:
        return []
    words = f"models of different folds agree by {stability:.2f} (adjusted Rand index)"
    verdict: Any = "pass" if stability >= _STABLE else "warn"
    return [AssumptionResult(name="stable clusters", verdict=verdict, finding=words)]


def _collinearity(cells: Floats, names: Sequence[str]) -> AssumptionResult:
    found = inflation(cells)
    known = [at for at in range(found.size) if np.isfinite(found[at])]
    tied = [names[at] for at in range(found.size) if np.isinf(found[at])]
    worst = sorted((at for at in known if found[at] > _MOST_INFLATED), key=lambda at: -found[at])
    name = "features are not collinear"
    if tied:
        some = ", ".join(tied[:_MOST_NAMED])
        words = f"{len(tied)} are sums of the others ({some}): their coefficients mean nothing"
        return AssumptionResult(name=name, verdict="warn", finding=words)
    if worst:
        some = ", ".join(f"{names[at]} {found[at]:.0f}" for at in worst[:_MOST_NAMED])
        words = f"variance inflation above {_MOST_INFLATED:.0f}: {some}"
        return AssumptionResult(name=name, verdict="warn", finding=words)
    if not known:
        return AssumptionResult(name=name, verdict="unknown", finding="too few rows were sampled")
    most = max(found[at] for at in known)
    return AssumptionResult(
        name=name, verdict="pass", finding=f"largest variance inflation {most:.1f}"
    )


def inflation(cells: Floats) -> Floats:
    """Return the variance inflation of each column: 1 / (1 - R2) on all others.

    The diagonal of the inverse of the correlation matrix; infinite where a column is a linear
    function of others, not a number where it is constant or rows are too few. Source: D. A.
    Belsley, E. Kuh and R. E. Welsch, "Regression Diagnostics" (1980).

    Args:
        cells: Values, shape (rows, columns).
    """
    rows, columns = cells.shape
    found = np.full(columns, np.nan)
    spread = cells.std(axis=0)
    kept = np.flatnonzero(spread > 0)
    if kept.size < _TWO or rows <= kept.size + 1:
        return found
    matrix = np.corrcoef(cells[:, kept], rowvar=False)
    values, vectors = np.linalg.eigh(matrix)
    zero = values < kept.size * np.finfo(np.float64).eps * max(float(values[-1]), 1.0) * 1e3
    # A column takes part in an exact dependence where it weighs in a direction without spread.
    tied = (np.square(vectors[:, zero]).sum(axis=1) > 1e-8) if zero.any() else np.zeros(kept.size)  # noqa: PLR2004
    whole = np.where(zero, 1.0, values)
    diagonal = (np.square(vectors) / whole * ~zero).sum(axis=1)
    found[kept] = np.where(tied, np.inf, diagonal)
    return found


def _separation(best: TrialResult) -> AssumptionResult:
    area = best.metrics.get("roc_auc")
    name = "classes overlap"
    if area is None:
        return AssumptionResult(name=name, verdict="unknown", finding="no ROC AUC was measured")
    if area >= _PERFECT:
        words = (
            f"ROC AUC {area:.4f}: the features separate the classes, so that only a penalty or "
            "the limit of iterations keeps the coefficients finite"
        )
        return AssumptionResult(name=name, verdict="warn", finding=words)
    return AssumptionResult(name=name, verdict="pass", finding=f"ROC AUC {area:.3f} is below 1")


def _class_counts(kind: str, counts: Mapping[str, int], slots: int) -> AssumptionResult:
    rarest = min(counts, key=lambda label: counts[label])
    fewest = counts[rarest]
    name = "enough rows of each class"
    if kind in LINEAR and fewest < _EVENTS_PER_SLOT * slots:
        words = (
            f"{fewest:,} rows of {rarest} for {slots} places of the feature vector; "
            f"{_EVENTS_PER_SLOT} each are the usual rule"
        )
        return AssumptionResult(name=name, verdict="warn", finding=words)
    verdict: Any = "pass" if fewest >= _FEWEST_OF_A_CLASS else "warn"
    return AssumptionResult(
        name=name, verdict=verdict, finding=f"the rarest, {rarest}, has {fewest:,} rows"
    )


def adjusted_rand(first: Floats, second: Floats) -> float:
    """Return the adjusted Rand index of two clusterings of the same rows: 1 same, 0 chance.

    Source: L. Hubert and P. Arabie, "Comparing partitions" (1985).

    Args:
        first: Cluster of each row, shape (rows,).
        second: Cluster of each row, shape (rows,).
    """
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a.reshape(-1), b.reshape(-1)), 1)

    def pairs(counts: Any) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, in_a, in_b = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    every = pairs(np.asarray([float(a.size)]))
    expected = in_a * in_b / every if every else 0.0
    most = (in_a + in_b) / 2
    return 1.0 if most == expected else float((both - expected) / (most - expected))
