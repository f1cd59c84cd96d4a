"""What one column alone says about the target, and which columns say too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.results.profile import Power, Suspect
from crisp_spark.understanding.associations import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
BINS = 50
TARGET_BINS = 20
SUSPICIOUS_POWER = 0.8
"""From here on a single column is suspected to leak: an AUC of 0.9, or an r² of 0.8."""
STRONG_POWER = 0.6
"""From here on (an AUC of 0.8) a column is suspected where it stands far above all others."""
_FAR_ABOVE = 1.8
_PRIOR_ROWS = 10.0
_MOST_LEVELS = 2000
_MOST_CLASSES = 50
_MOST_MEASURED = 10
_FEWEST_ROWS = 50


@dataclass(frozen=True)
class Target:
    """The target in the sample.

    Attributes:
        problem: ``binary``, ``multiclass`` or ``regression``.
        values: Shape (n,): 0 and 1, class names, or numbers.
        known: Shape (n,): whether the target is known.
    """

    problem: str
    values: NDArray[Any]
    known: NDArray[np.bool_]


def bins_of(values: NDArray[np.float64], most: int = BINS) -> NDArray[np.int64]:
    """Cut numbers into bins of about equal counts; the last code is "missing".

    Few distinct values are bins themselves.
    """
    known = ~np.isnan(values)
    found = np.unique(values[known])
    if len(found) <= most:
        edges = found[1:]
    else:
        cuts = np.quantile(values[known], np.arange(1, most) / most, method="inverted_cdf")
        edges = np.unique(cuts)
    codes = np.searchsorted(edges, values, side="right")
    codes[~known] = len(edges) + 1
    return codes.astype(np.int64)


def levels_of(values: NDArray[Any]) -> NDArray[np.int64]:
    """Number the levels of a category; the last code is "missing"."""
    category = encode(values, _MOST_LEVELS)
    return np.where(category.codes < 0, category.levels, category.codes)


def out_of_fold_means(codes: NDArray[np.int64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict each row by the mean target of its bin in the other folds.

    A bin's mean is drawn towards the overall mean as if by ten more rows, so that rare levels
    say little. Row i belongs to fold i mod 5; the order of the sample is that of a hash.
    """
    folds = np.arange(len(codes)) % FOLDS
    size = int(codes.max()) + 1
    guess = np.empty(len(codes))
    for fold in range(FOLDS):
        inside = folds == fold
        others = ~inside
        mean = float(target[others].mean())
        counts = np.bincount(codes[others], minlength=size)
        sums = np.bincount(codes[others], weights=target[others], minlength=size)
        guess[inside] = ((sums + _PRIOR_ROWS * mean) / (counts + _PRIOR_ROWS))[codes[inside]]
    return guess


def roc_auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve (the Mann-Whitney statistic, ties count one half)."""
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((rank[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def mutual_information(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[float, float]:
    """Mutual information of two codes in nats, and as a share of the entropy of ``right``.

    Less the bias (rows - 1)(columns - 1) / 2n of Miller and Madow, not below 0.
    """
    rows = len(left)
    wide = int(right.max()) + 1
    _, small = np.unique(left, return_inverse=True)
    table = np.bincount(small * wide + right).astype(float)
    table = np.pad(table, (0, -len(table) % wide)).reshape(-1, wide)
    table = table[:, table.sum(axis=0) > 0] / rows
    across, down = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    with np.errstate(all="ignore"):
        terms = np.where(table > 0, table * np.log(table / (across * down)), 0.0)
    cells = (table > 0).sum() - len(across) - down.size + 1
    information = max(0.0, float(terms.sum()) - max(0, int(cells)) / (2 * rows))
    entropy = float(-(down[down > 0] * np.log(down[down > 0])).sum())
    return information, min(1.0, information / entropy) if entropy > 0 else 0.0


def measure_power(codes: Mapping[str, NDArray[np.int64]], target: Target) -> list[Power]:
    """Measure each column against the target, strongest first.

    Args:
        codes: Column to bin or level of each row, as of :func:`bins_of` or :func:`levels_of`.
        target: The target.
    """
    known = target.known
    if int(known.sum()) < _FEWEST_ROWS:
        return []
    values = target.values[known]
    if target.problem == "regression":
        numbers = values.astype(float)
        classes = bins_of(numbers, TARGET_BINS)
    else:
        numbers = values.astype(float) if target.problem == "binary" else np.empty(0)
        classes = encode(values, _MOST_CLASSES).codes
    if len(np.unique(classes)) < 2:  # noqa: PLR2004
        return []
    found = []
    for name, all_codes in codes.items():
        own = all_codes[known]
        value = _measure(own, numbers, classes, target.problem)
        if value is None:
            continue
        measure = {"binary": "roc_auc", "regression": "r2"}.get(target.problem, "macro_roc_auc")
        information, share = mutual_information(own, classes)
        power = value if measure == "r2" else 2 * value - 1
        found.append(
            Power(
                column=name,
                measure=measure,
                value=round(value, 6),
                power=round(min(1.0, max(0.0, power)), 6),
                mutual_information=round(information, 6),
                mutual_information_share=round(share, 6),
                rows=len(own),
                missing_share=0.0,
            )
        )
    found.sort(key=lambda power: (-power.power, -power.mutual_information, power.column))
    return found


def _measure(
    codes: NDArray[np.int64],
    numbers: NDArray[np.float64],
    classes: NDArray[np.int64],
    problem: str,
) -> float | None:
    if problem == "binary":
        return roc_auc(out_of_fold_means(codes, numbers), numbers > 0)
    if problem == "regression":
        error = float(((out_of_fold_means(codes, numbers) - numbers) ** 2).sum())
        total = float(((numbers - numbers.mean()) ** 2).sum())
        return 1 - error / total if total > 0 else None
    areas = []
    for one in range(min(_MOST_MEASURED, int(classes.max()) + 1)):
        member = classes == one
        area = roc_auc(out_of_fold_means(codes, member.astype(float)), member)
        areas += [] if area is None else [area]
    return float(np.mean(areas)) if areas else None


def suspects(
    powers: list[Power], declared_outcome: set[str], in_target: set[str]
) -> tuple[Suspect, ...]:
    """Name the columns that may leak the outcome, and why.

    Args:
        powers: Power of each column.
        declared_outcome: Columns declared ``known_at: outcome``.
        in_target: Columns that the target is computed from.
    """
    reasons: dict[str, list[str]] = {}
    for name in sorted(in_target):
        reasons.setdefault(name, []).append("the target is computed from it")
    words = {"roc_auc": "AUC", "macro_roc_auc": "mean AUC", "r2": "r²"}
    for power in powers:
        if power.power >= SUSPICIOUS_POWER:
            reasons.setdefault(power.column, []).append(
                "alone it predicts the target almost perfectly"
                f" ({words[power.measure]} {power.value:.3f})"
            )
    for power, follower in _far_above(powers, declared_outcome | in_target):
        reasons.setdefault(power.column, []).append(
            f"it predicts the target far better than any other column"
            f" ({words[power.measure]} {power.value:.3f}, next {follower:.3f})"
        )
    for name in sorted(declared_outcome):
        reasons.setdefault(name, []).append("declared as known only at the outcome")
    strength = {power.column: power.power for power in powers}
    found = [
        Suspect(
            column=name,
            reasons=tuple(why),
            declared=name in declared_outcome,
            power=strength.get(name),
        )
        for name, why in reasons.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.declared, -(one.power or 0), one.column)))


def _far_above(powers: list[Power], explained: set[str]) -> list[tuple[Power, float]]:
    """Find the columns above the widest jump in power, with the value of the next one.

    An honest predictor rarely tells twice as much as all others: 0.89 beside 0.63 asks for a look.
    """
    rest = [power for power in powers if power.column not in explained]
    for at in range(len(rest) - 2, -1, -1):
        power, follower = rest[at], rest[at + 1]
        if power.power >= STRONG_POWER and power.power >= _FAR_ABOVE * follower.power:
            return [(one, follower.value) for one in rest[: at + 1] if one.power < SUSPICIOUS_POWER]
    return []
