"""Exact quantiles of many columns over overlapping sets of rows, without sorting all values.

Spark's ``percentile`` counts every distinct value of every column in a map, for every set anew; of
numbers that hardly repeat, such a map is the column itself, boxed. Here a small table comes to the
driver as columns. Of a large one a sample does, which brackets each quantile; one more pass counts
what is below the brackets and fetches what is inside. The answers are ``percentile``'s, bit by bit
but for the sign of a zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pyspark.sql import functions as F

from crisp_spark.modeling.quantile_passes import Bracket, Inside, count_inside, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Floats = NDArray[np.float64]

WHOLE = 50_000
"""Most rows of a set of a table that comes as a whole."""
_CELLS = 16_000_000
"""Numbers that come to the driver at once; with how often each occurs, 16 bytes."""
_SIGMAS = 5.0
_SEED = 20_240_229


class Quantiles(str):
    """The SQL of exact quantiles, which may also be found without ``percentile``.

    Attributes:
        of: SQL of the numbers.
        shares: The quantiles.
        one: Whether the answer is a number, not an array.
    """

    __slots__ = ("of", "one", "shares")
    of: str
    shares: tuple[float, ...]
    one: bool

    def __new__(cls, text: str, of: str, shares: Sequence[float], *, one: bool) -> Self:
        """Name the quantiles ``shares`` of ``of`` by the SQL ``text``."""
        found = super().__new__(cls, text)
        found.of, found.shares, found.one = of, tuple(shares), one
        return found

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Say how a copy is made."""
        return (str(self), self.of, self.shares), {"one": self.one}


Answer = list[float] | float | None


def find_quantiles(
    frame: DataFrame, asks: Sequence[Quantiles], sizes: Mapping[int, int], sets: str | None
) -> dict[int, dict[str, Answer]]:
    """Return the quantiles of each set, by their SQL; without those that only Spark can tell.

    Left out are quantiles that the sample missed, those that fall on NaN, and so many quantiles of
    so many rows that the driver could not hold what is in their brackets.

    Args:
        frame: The rows.
        asks: What is asked of every set.
        sizes: Rows of each set; set 0 is all rows where ``sets`` is None.
        sets: Column with an array of the numbers of the sets that a row belongs to.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one; two above 50,000 rows, and as many again
    for each portion of what is asked, where that is much.
    """
    found: dict[int, dict[str, Answer]] = {number: {} for number in sizes}
    for own in _portions(asks, sizes):
        for number, answers in _answers(frame, own, sizes, sets).items():
            found[number] |= answers
    return found


def _portions(asks: Sequence[Quantiles], sizes: Mapping[int, int]) -> Iterator[list[Quantiles]]:
    """Cut asks so that what comes to the driver for a portion fits there."""
    portion, cells = list[Quantiles](), 0.0
    for ask in asks:
        more = _cells_of(ask, sizes)
        if more > _CELLS:
            continue
        if portion and cells + more > _CELLS:
            yield portion
            portion, cells = [], 0.0
        portion.append(ask)
        cells += more
    if portion:
        yield portion


def _cells_of(ask: Quantiles, sizes: Mapping[int, int]) -> float:
    """Return how many numbers come for an ask, at most: those of the sample and of brackets."""
    rows = max(sizes.values(), default=0)
    fraction = _sample_size(rows) / max(rows, 1)
    if fraction == 1:
        return float(sum(sizes.values()))
    inside = (
        min(size, len(ask.shares) * (_SIGMAS * sqrt(size / fraction) + 2 * _SIGMAS / fraction))
        for size in sizes.values()
    )
    return sum(sizes.values()) * fraction + sum(inside)


def _sample_size(rows: int) -> int:
    """Return the size of the sample for which sample and brackets together hold the fewest rows.

    A bracket holds ``rows * sigmas / sqrt(size)`` rows, at most, as a sample's ranks are that much
    off; the sum of that and ``size`` is least where its derivative is 0.
    """
    return rows if rows <= WHOLE else int((_SIGMAS / 2 * rows) ** (2 / 3))


def _answers(
    frame: DataFrame, asks: Sequence[Quantiles], sizes: Mapping[int, int], sets: str | None
) -> dict[int, dict[str, Answer]]:
    membership = F.array(F.lit(0)) if sets is None else F.col(sets)
    columns = [F.expr(ask.of).cast("double").alias(f"v{at}") for at, ask in enumerate(asks)]
    narrow = frame.select(membership.cast("array<int>").alias("sets"), *columns)
    if sets is not None:
        narrow = narrow.where(F.size("sets") > 0)
    rows = max(sizes.values(), default=0)
    size = _sample_size(rows)
    some = narrow if size == rows else narrow.sample(fraction=size / rows, seed=_SEED)
    drawn = draw(some, len(asks), sizes)
    if size == rows:
        seen = {cell: [Inside.of_all(numbers)] for cell, numbers in drawn.items()}
    else:
        brackets = [
            bracket
            for (at, number), sample in drawn.items()
            for bracket in _brackets(at, number, asks[at].shares, sample)
        ]
        seen = count_inside(narrow, brackets)
    found: dict[int, dict[str, Answer]] = {number: {} for number in sizes}
    for at, ask in enumerate(asks):
        for number, own in found.items():
            if not seen[at, number][0].number:
                own[ask] = None
                continue
            values = [_quantile(seen[at, number], share) for share in ask.shares]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                own[ask] = known[0] if ask.one else known
    return found


def _quantile(seen: Sequence[Inside], share: float) -> float | None:
    """Return a quantile as Spark's ``percentile`` computes it from the two numbers around it."""
    position = (seen[0].number - 1) * share
    lower, higher = floor(position), ceil(position)
    low, high = _at(seen, lower), _at(seen, higher)
    if low is None or high is None:
        return None
    if lower == higher or low == high:
        return low
    return (higher - position) * low + (position - lower) * high


def _at(seen: Sequence[Inside], rank: int) -> float | None:
    return next((value for one in seen if (value := one.at(rank)) is not None), None)


def _brackets(at: int, number: int, shares: Sequence[float], sample: Floats) -> Iterator[Bracket]:
    """Bracket quantiles by the ranks that a sorted sample may be off by; what touches is one."""
    size = sample.size
    low = high = None
    for share in sorted(shares):
        spread = _SIGMAS * sqrt(size * share * (1 - share)) + _SIGMAS
        first, last = floor(share * size - spread), ceil(share * size + spread)
        start = float(sample[min(first, size - 1)]) if size and first >= 0 else -np.inf
        end = float(sample[last]) if last < size else np.inf
        if low is not None and high is not None and start > high:
            yield Bracket(at, number, low, high)
            low = None
        low, high = start if low is None else low, end
    if low is not None and high is not None:
        yield Bracket(at, number, low, high)
