"""Exact quantiles of many columns over overlapping sets of rows, without sorting all values.

Spark's ``percentile`` counts every distinct value of every column in a map, for every set anew; of
numbers that hardly repeat, such a map is the column itself, boxed. Here a small table comes to the
driver as columns. Of a large one a sample does, which brackets each quantile; one more pass counts
what is below the brackets and fetches what is inside. The answers are ``percentile``'s, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pyspark.sql import functions as F

from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Floats = NDArray[np.float64]

WHOLE = 50_000
"""Most rows of a set of a table that comes as a whole."""
_CELLS = 16_000_000
"""Numbers that come to the driver at once."""
_SIGMAS = 5.0
_SEED = 20_240_229
_PART = "ask int, set int, share int, number long, value binary, times binary"


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


Answer = list[float] | float | None


@dataclass(frozen=True)
class _Bracket:
    """Between which values a quantile of a set lies, ends included."""

    ask: int
    set: int
    share: int
    low: float
    high: float


def find_quantiles(
    frame: DataFrame, asks: Sequence[Quantiles], sizes: Mapping[int, int], sets: str | None
) -> dict[int, dict[str, Answer]]:
    """Return the quantiles of each set, by their SQL; without those that only Spark can tell.

    Left out are quantiles that the sample missed and those that fall on NaN.

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
    rows, portion, cells = max(sizes.values(), default=0), list[Quantiles](), 0.0
    size = _sample_size(rows)
    inside = 0.0 if size == rows else rows * _SIGMAS / sqrt(size) * len(sizes)
    for ask in asks:
        more = size + inside * len(ask.shares)
        if portion and cells + more > _CELLS:
            yield portion
            portion, cells = [], 0.0
        portion.append(ask)
        cells += more
    if portion:
        yield portion


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
    values = [F.expr(ask.of).cast("double").alias(f"v{at}") for at, ask in enumerate(asks)]
    narrow = frame.select(membership.cast("array<int>").alias("sets"), *values)
    rows = max(sizes.values(), default=0)
    size = _sample_size(rows)
    some = narrow if size == rows else narrow.sample(fraction=size / rows, seed=_SEED)
    drawn = _drawn(some, len(asks), sizes)
    if size == rows:
        cells = {cell: _numbered(numbers) for cell, numbers in drawn.items()}
        return _from(asks, sizes, lambda at, number, _share: cells[at, number])
    brackets = [
        _bracket(at, number, place, share, drawn[at, number])
        for at, ask in enumerate(asks)
        for number in sizes
        for place, share in enumerate(ask.shares)
    ]
    inside = _inside(narrow, brackets)
    return _from(asks, sizes, lambda at, number, share: inside[at, number, share])


# --- what comes to the driver -------------------------------------------------------------------


@dataclass(frozen=True)
class _Inside:
    """What a pass saw of a set of numbers.

    Attributes:
        number: Numbers, nulls left out.
        below: Numbers below those that came.
        values: Numbers that came, ascending.
        ends: How often each of them or one before it occurred, those below not counted.
    """

    number: int
    below: int
    values: Floats
    ends: NDArray[np.int64]

    def at(self, rank: int) -> float | None:
        """Return the number of a rank, from 0; None where it did not come, or is none."""
        place = int(np.searchsorted(self.ends, rank - self.below, side="right"))
        if rank < self.below or place >= self.values.size:
            return None
        value = float(self.values[place])
        return None if np.isnan(value) else value


def _numbered(numbers: Floats) -> _Inside:
    return _Inside(numbers.size, 0, numbers, np.arange(1, numbers.size + 1))


def _from(asks: Sequence[Quantiles], sizes: Mapping[int, int], seen: Any) -> dict[int, Any]:
    """Return the answers of each set from what was seen of (ask, set, share)."""
    found: dict[int, dict[str, Answer]] = {number: {} for number in sizes}
    for at, ask in enumerate(asks):
        for number, own in found.items():
            if not seen(at, number, 0).number:
                own[ask] = None
                continue
            values = [_quantile(seen(at, number, n), share) for n, share in enumerate(ask.shares)]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                own[ask] = known[0] if ask.one else known
    return found


def _quantile(seen: _Inside, share: float) -> float | None:
    """Return a quantile as Spark's ``percentile`` computes it from the two numbers around it."""
    position = (seen.number - 1) * share
    lower, higher = floor(position), ceil(position)
    low, high = seen.at(lower), seen.at(higher)
    if low is None or high is None or lower == higher or low == high:
        return low if high is not None else None
    return (higher - position) * low + (position - lower) * high


def _bracket(at: int, number: int, place: int, share: float, sample: Floats) -> _Bracket:
    """Bracket a quantile by the ranks that a sorted sample of this size may be off by."""
    size = sample.size
    spread = _SIGMAS * sqrt(size * share * (1 - share)) + _SIGMAS
    first, last = floor(share * size - spread), ceil(share * size + spread)
    low = float(sample[min(first, size - 1)]) if size and first >= 0 else -np.inf
    high = float(sample[last]) if last < size else np.inf
    return _Bracket(at, number, place, low, high)


# --- what runs in Python workers ----------------------------------------------------------------


def _cells(
    batch: pa.RecordBatch, columns: Iterable[int], sets: Iterable[int]
) -> Iterator[tuple[int, int, Floats]]:
    """Give the numbers of each column in each set; nulls are left out, NaN are not."""
    listed = batch.column(0)
    flat = listed.flatten().to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(batch.num_rows), listed.value_lengths().to_numpy())
    members = {number: row[flat == number] for number in sets}
    for at in columns:
        column = batch.column(at + 1)
        values = column.to_numpy(zero_copy_only=False)
        some = None if not column.null_count else column.is_valid().to_numpy(zero_copy_only=False)
        for number, own in members.items():
            chosen = values[own]
            yield at, number, chosen if some is None else chosen[some[own]]


def _drawn(frame: DataFrame, asks: int, sizes: Mapping[int, int]) -> dict[tuple[int, int], Floats]:
    """Return the numbers of each ask and set, sorted; rows come once. Jobs: one."""
    import pyarrow as pa

    def whole(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_archives_read()
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            part = pa.array([sink.getvalue().to_pybytes()], pa.binary())
            yield pa.RecordBatch.from_arrays([part], ["part"])

    found: dict[tuple[int, int], list[Floats]] = {}
    for row in frame.mapInArrow(whole, "part binary").collect():
        for batch in pa.ipc.open_stream(row[0]):
            for at, number, numbers in _cells(batch, range(asks), sizes):
                found.setdefault((at, number), []).append(numbers)
    none = [np.empty(0)]
    return {
        (at, number): np.sort(np.concatenate(found.get((at, number), none)))
        for at in range(asks)
        for number in sizes
    }


def _inside(frame: DataFrame, brackets: Sequence[_Bracket]) -> dict[tuple[int, int, int], _Inside]:
    """Count below each bracket, and fetch what is inside. Jobs: one."""
    parts: dict[tuple[int, int, int], list[Any]] = {
        (one.ask, one.set, one.share): [] for one in brackets
    }
    for row in frame.mapInArrow(partial(_looked, brackets=brackets), _PART).collect():
        parts[row["ask"], row["set"], row["share"]].append(row)
    return {name: _joined(rows) for name, rows in parts.items()}


def _joined(rows: Sequence[Any]) -> _Inside:
    values = np.concatenate([np.empty(0), *(np.frombuffer(row["value"]) for row in rows)])
    counts = [np.frombuffer(row["times"], dtype=np.int64) for row in rows]
    number, below = sum(row["number"] for row in rows), sum(int(count[0]) for count in counts)
    order = np.argsort(values, kind="stable")
    times = np.concatenate([np.empty(0, dtype=np.int64), *(count[1:] for count in counts)])
    return _Inside(number, below, values[order], np.cumsum(times[order]))


def _looked(
    batches: Iterable[pa.RecordBatch], brackets: Sequence[_Bracket]
) -> Iterator[pa.RecordBatch]:
    """Give for each bracket how many numbers there are, how many below, and which inside."""
    import pyarrow as pa

    keep_archives_read()
    by_cell: dict[tuple[int, int], list[int]] = {}
    for place, one in enumerate(brackets):
        by_cell.setdefault((one.ask, one.set), []).append(place)
    columns = sorted({at for at, _ in by_cell})
    sets = sorted({number for _, number in by_cell})
    total, below = np.zeros(len(brackets), dtype=np.int64), np.zeros(len(brackets), dtype=np.int64)
    inside: list[list[Floats]] = [[] for _ in brackets]
    for batch in batches:
        for at, number, numbers in _cells(batch, columns, sets):
            for place in by_cell.get((at, number), ()):
                one = brackets[place]
                total[place] += numbers.size
                below[place] += np.count_nonzero(numbers < one.low)
                inside[place].append(numbers[(numbers >= one.low) & (numbers <= one.high)])
    values, counts = list[bytes](), list[bytes]()
    for place, found in enumerate(inside):
        single, times = np.unique(np.concatenate([np.empty(0), *found]), return_counts=True)
        values.append(single.tobytes())
        counts.append(np.concatenate([[below[place]], times]).astype(np.int64).tobytes())
    names = [(one.ask, one.set, one.share) for one in brackets]
    cells = [pa.array(part, pa.int32()) for part in zip(*names, strict=True)]
    cells += [pa.array(total), pa.array(values, pa.binary()), pa.array(counts, pa.binary())]
    yield pa.RecordBatch.from_arrays(cells, ["ask", "set", "share", "number", "value", "times"])
