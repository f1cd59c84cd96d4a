"""Statistics of a column from its value counts: exact, and without another pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.results.profile import Bin, Numbers, Texts, ValueCount
from crisp_spark.understanding.profile_scan import QUANTILES
from crisp_spark.understanding.text_shapes import count_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 30
TOP = 20
_SHAPES = 15
_NARROW = 40
# From here on whole numbers are no longer all there: one more may be the same number.
_EXACT = 2.0**53
_LONGEST_SHOWN = 120


def numbers_of(values: NDArray[np.float64], counts: NDArray[np.int64]) -> Numbers:
    """Compute moments and quantiles from distinct values and their counts.

    Args:
        values: Distinct values, shape (k,); NaN and infinities allowed.
        counts: Rows per value, shape (k,).

    Returns:
        Exact statistics of the finite values. A quantile is the smallest value that reaches the
        probability (the inverse of the distribution function).
    """
    finite = np.isfinite(values)
    order = np.argsort(values[finite], kind="stable")
    known, rows = values[finite][order], counts[finite][order]
    mean, std, skewness, kurtosis = _moments(known, rows)
    cuts = dict(zip(QUANTILES, quantiles(known, rows, QUANTILES), strict=True)) if len(rows) else {}
    outside = None
    if cuts:
        reach = 1.5 * (cuts[0.75] - cuts[0.25])
        outside = int(rows[(known < cuts[0.25] - reach) | (known > cuts[0.75] + reach)].sum())
    return Numbers(
        mean=mean,
        std=std,
        skewness=skewness,
        kurtosis=kurtosis,
        sum=_finite(float((known * rows).sum())) if len(rows) else None,
        zeros=int(counts[values == 0].sum()),
        negatives=int(counts[values < 0].sum()),
        nans=int(counts[np.isnan(values)].sum()),
        positive_infinities=int(counts[values == np.inf].sum()),
        negative_infinities=int(counts[values == -np.inf].sum()),
        quantiles={str(probability): value for probability, value in cuts.items()},
        outside_fences=outside,
    )


def quantiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], probabilities: Sequence[float]
) -> list[float]:
    """Return quantiles of sorted values with counts, as values that occur."""
    reached = np.cumsum(counts)
    # The sliver keeps 0.05 * 20 from asking for the second row.
    ranks = [max(1, math.ceil(p * int(reached[-1]) - 1e-9)) for p in probabilities]
    return [float(values[np.searchsorted(reached, rank)]) for rank in ranks]


def _moments(
    values: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[float | None, float | None, float | None, float | None]:
    total = int(counts.sum())
    if not total:
        return None, None, None, None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((values * (counts / total)).sum())
        off = values - mean
        second, third, fourth = (float((off**power * counts).sum() / total) for power in (2, 3, 4))
    if not second > 0:
        return _finite(mean), (0.0 if total > 1 and second == 0 else None), None, None
    std = math.sqrt(second * total / (total - 1)) if total > 1 else None
    with np.errstate(over="ignore", invalid="ignore"):
        skewness = float(np.float64(third) / np.float64(second) ** 1.5)
        kurtosis = float(np.float64(fourth) / np.float64(second) ** 2 - 3)
    return _finite(mean), _finite(std), _finite(skewness), _finite(kurtosis)


def edges_of(low: float, high: float, *, whole: bool) -> list[float]:
    """Return the inner edges of a histogram between two robust ends, low and high included."""
    if not (math.isfinite(low) and math.isfinite(high)) or not low < high:
        return []
    span = high - low
    if not math.isfinite(span):
        return []
    if max(abs(low), abs(high)) >= _EXACT:
        whole = False
    if whole and span <= _NARROW:
        edges = [low + step for step in range(int(span) + 2)]
    elif whole:
        width = max(1.0, math.ceil(span / BINS))
        edges = [low + step * width for step in range(math.ceil(span / width) + 1)]
    else:
        # From the share of the way, not by a width: `span / (span / 30)` may round to more
        # than 30, and a width between two neighbouring tiny numbers to zero.
        edges = [*(low + span * (step / BINS) for step in range(BINS)), high]
    return edges if len(set(edges)) == len(edges) else [low, high]


def histogram_of(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[Bin, ...]:
    """Count values into bars; the outermost bars reach to the extremes."""
    finite = np.isfinite(values)
    order = np.argsort(values[finite], kind="stable")
    known, rows = values[finite][order], counts[finite][order]
    if not len(known):
        return ()
    whole = bool(np.all(known == np.floor(known)))
    low, high = quantiles(known, rows, (0.005, 0.995))
    if (whole and known[-1] - known[0] <= _NARROW) or low == high:
        low, high = float(known[0]), float(known[-1])
    edges = edges_of(low, high, whole=whole)
    if not edges:
        return (Bin(low=float(known[0]), high=float(known[-1]), rows=int(rows.sum())),)
    places = np.searchsorted(np.asarray(edges), known, side="right") - 1
    totals = np.bincount(places + 1, weights=rows, minlength=len(edges) + 1)
    return bars(edges, [int(total) for total in totals], float(known[0]), float(known[-1]))


def bars(edges: Sequence[float], totals: Sequence[int], low: float, high: float) -> tuple[Bin, ...]:
    """Turn counts below, between and above edges into bars.

    Args:
        edges: Rising edges, k of them.
        totals: k + 1 counts: below the first edge, between neighbours, from the last edge on.
        low: Smallest value.
        high: Largest value.
    """
    inner = list(totals[1:-1])
    top = (
        [Bin(low=edges[-1], high=high, rows=totals[-1])] if totals[-1] and high > edges[-1] else []
    )
    if totals[-1] and not top:
        inner[-1] += totals[-1]
    below = [Bin(low=low, high=edges[0], rows=totals[0])] if totals[0] else []
    between = [
        Bin(low=start, high=end, rows=rows)
        for start, end, rows in zip(edges, edges[1:], inner, strict=False)
    ]
    return (*below, *between, *top)


def texts_of(values: Sequence[str], counts: Sequence[int], known: int) -> Texts:
    """Compute lengths and shapes from distinct texts and their counts."""
    pairs = list(zip(values, counts, strict=True))
    lengths = [len(text) for text in values]
    foreign = sum(rows for text, rows in pairs if not text.isascii())
    return Texts(
        min_length=min(lengths, default=None),
        max_length=max(lengths, default=None),
        mean_length=sum(len(text) * rows for text, rows in pairs) / known if known else None,
        blank=sum(rows for text, rows in pairs if not text.strip(" ")),
        padded=sum(rows for text, rows in pairs if text != text.strip(" ")),
        non_ascii=foreign,
        non_ascii_share=foreign / known if known else 0.0,
        patterns=top_of(count_shapes(pairs), known, _SHAPES),
    )


def top_of(
    counted: Sequence[tuple[Any, int]], known: int, most: int = TOP
) -> tuple[ValueCount, ...]:
    """Return the most frequent values; ties in the order of their text."""
    ranked = sorted(counted, key=lambda item: (-item[1], str(item[0])))[:most]
    return tuple(
        ValueCount(value=_short(value), rows=rows, share=rows / known) for value, rows in ranked
    )


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return value[:_LONGEST_SHOWN] + "…"
    return value


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
