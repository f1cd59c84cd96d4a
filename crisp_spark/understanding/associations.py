"""How strongly pairs of columns go together: numbers, categories, and one of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.results.profile import Association

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LEVELS = 50
MOST_NUMBERS = 300
MOST_CATEGORIES = 60
_FEWEST_ROWS = 30
_SIGNS = 1e-9


@dataclass(frozen=True)
class Category:
    """A categorical column: codes 0 .. levels-1, -1 where missing."""

    codes: NDArray[np.int64]
    levels: int


def encode(values: NDArray[Any], most: int = MOST_LEVELS) -> Category:
    """Number the values by frequency (ties by text); beyond ``most`` levels the rest is one.

    Args:
        values: Texts or numbers, shape (n,); None or NaN where missing.
        most: Largest number of levels.
    """
    known = np.array([value is not None and value == value for value in values], dtype=bool)  # noqa: PLR0124
    codes = np.full(len(values), -1, dtype=np.int64)
    if not known.any():
        return Category(codes, 0)
    labels, inverse, counts = np.unique(
        values[known].astype(str), return_inverse=True, return_counts=True
    )
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.lexsort((labels, -counts))] = np.arange(len(labels))
    codes[known] = np.minimum(rank[inverse], most - 1)
    return Category(codes, int(min(len(labels), most)))


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average ranks of the known values; NaN stays NaN."""
    out = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    _, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    out[known] = (last - (counts - 1) / 2)[inverse]
    return out


def correlations(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pearson correlations over the rows that both columns know.

    Args:
        matrix: Shape (rows, columns), NaN where missing.

    Returns:
        Correlations and numbers of common rows, both (columns, columns); NaN where undefined.
    """
    known = (~np.isnan(matrix)).astype(float)
    with np.errstate(all="ignore"):
        centre = np.nan_to_num(np.nansum(matrix, axis=0) / known.sum(axis=0))
        scale = np.sqrt(np.nansum((matrix - centre) ** 2, axis=0) / known.sum(axis=0))
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
        filled = np.nan_to_num((matrix - centre) / scale)
        common = known.T @ known
        sums = filled.T @ known
        squares = (filled**2).T @ known
        cross = filled.T @ filled
        covariance = cross / common - (sums / common) * (sums.T / common)
        variance = squares / common - (sums / common) ** 2
        variance = np.where(variance > _SIGNS, variance, np.nan)
        result = covariance / np.sqrt(variance * variance.T)
    return np.clip(result, -1.0, 1.0), common.astype(np.int64)


def cramers_v(left: Category, right: Category) -> tuple[float | None, int]:
    """Bias-corrected Cramér's V (Bergsma 2013), and the rows that both columns know.

    V = sqrt(phi / min(k - 1, r - 1)) with phi = max(0, chi²/n - (k-1)(r-1)/(n-1)),
    k = k - (k-1)²/(n-1), r = r - (r-1)²/(n-1) over the levels that occur.
    """
    known = (left.codes >= 0) & (right.codes >= 0)
    rows = int(known.sum())
    if rows < 2 or not left.levels or not right.levels:  # noqa: PLR2004
        return None, rows
    table = np.bincount(
        left.codes[known] * right.levels + right.codes[known],
        minlength=left.levels * right.levels,
    ).reshape(left.levels, right.levels)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(float)
    high, wide = table.shape
    if min(high, wide) < 2:  # noqa: PLR2004
        return None, rows
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / rows
    phi = float(((table - expected) ** 2 / expected).sum()) / rows
    phi = max(0.0, phi - (high - 1) * (wide - 1) / (rows - 1))
    smaller = min(high - (high - 1) ** 2 / (rows - 1), wide - (wide - 1) ** 2 / (rows - 1)) - 1
    return (min(1.0, (phi / smaller) ** 0.5) if smaller > 0 else None), rows


def correlation_ratio(category: Category, values: NDArray[np.float64]) -> tuple[float | None, int]:
    """Eta: root of the share of a number's variance that lies between the levels of a category."""
    known = (category.codes >= 0) & ~np.isnan(values)
    rows = int(known.sum())
    if rows < 2:  # noqa: PLR2004
        return None, rows
    found, codes = values[known], category.codes[known]
    with np.errstate(all="ignore"):
        scale = float(np.abs(found).max()) or 1.0
        off = found / scale - (found / scale).mean()
        counts = np.bincount(codes, minlength=category.levels)
        sums = np.bincount(codes, weights=off, minlength=category.levels)
        between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
        total = float((off**2).sum())
    if not total > _SIGNS * rows * 1e-9 or (counts > 0).sum() < 2:  # noqa: PLR2004
        return None, rows
    return min(1.0, (between / total) ** 0.5), rows


def associations(
    numbers: Mapping[str, NDArray[np.float64]], categories: Mapping[str, Category]
) -> list[Association]:
    """Measure every pair of columns, strongest first.

    Ranks for Spearman are taken over all known values of a column. Wide tables: the first 300
    numbers and the first 60 categories.
    """
    found = _number_pairs(dict(list(numbers.items())[:MOST_NUMBERS]))
    few = list(categories.items())[:MOST_CATEGORIES]
    for at, (left, first) in enumerate(few):
        for right, second in few[at + 1 :]:
            found += _one(left, right, "cramers_v", cramers_v(first, second))
        for right, values in list(numbers.items())[:MOST_CATEGORIES]:
            found += _one(left, right, "correlation_ratio", correlation_ratio(first, values))
    found.sort(key=lambda pair: (-abs(pair.value), pair.left, pair.right, pair.measure))
    return found


def _number_pairs(numbers: Mapping[str, NDArray[np.float64]]) -> list[Association]:
    if len(numbers) < 2:  # noqa: PLR2004
        return []
    names = list(numbers)
    columns = [numbers[name] for name in names]
    found: list[Association] = []
    for measure, matrix in (
        ("pearson", np.column_stack(columns)),
        ("spearman", np.column_stack([ranks(values) for values in columns])),
    ):
        values, rows = correlations(matrix)
        for i, left in enumerate(names):
            for j in range(i + 1, len(names)):
                pair = (None if np.isnan(values[i, j]) else float(values[i, j]), int(rows[i, j]))
                found += _one(left, names[j], measure, pair)
    return found


def _one(
    left: str, right: str, measure: str, measured: tuple[float | None, int]
) -> Iterable[Association]:
    value, rows = measured
    if value is None or rows < _FEWEST_ROWS:
        return ()
    return (Association(left=left, right=right, measure=measure, value=round(value, 6), rows=rows),)


def strongest(found: Sequence[Association], most: int) -> tuple[tuple[Association, ...], int]:
    """Return the strongest pairs and how many were left out."""
    return tuple(found[:most]), max(0, len(found) - most)
