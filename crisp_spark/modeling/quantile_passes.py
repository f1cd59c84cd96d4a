"""Passes over rows that bring numbers of overlapping sets of rows to the driver, or count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.modeling.metrics import collect_table
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Floats = NDArray[np.float64]

_PART = "bracket int, number long, value binary, times binary"


@dataclass(frozen=True)
class Bracket:
    """Between which values some quantiles of a set lie, ends included."""

    ask: int
    set: int
    low: float
    high: float


@dataclass(frozen=True)
class Inside:
    """What came of the numbers of a set: those within a bracket.

    Attributes:
        number: All its numbers, nulls left out.
        below: Numbers below those that came.
        values: Numbers that came, ascending.
        ends: How often each of them or one before it occurred, those below not counted.
    """

    number: int
    below: int
    values: Floats
    ends: NDArray[np.int64]

    @staticmethod
    def of_all(numbers: Floats) -> Inside:
        """Return what came where all came, sorted."""
        return Inside(numbers.size, 0, numbers, np.arange(1, numbers.size + 1))

    def at(self, rank: int) -> float | None:
        """Return the number of a rank, from 0; None where it did not come, or is none."""
        place = int(np.searchsorted(self.ends, rank - self.below, side="right"))
        if rank < self.below or place >= self.values.size:
            return None
        value = float(self.values[place])
        return None if np.isnan(value) else value


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


def draw(frame: DataFrame, asks: int, sizes: Mapping[int, int]) -> dict[tuple[int, int], Floats]:
    """Return the numbers of each ask and set, sorted; rows come once. Jobs: one."""
    found: dict[tuple[int, int], list[Floats]] = {}
    table = collect_table(frame)
    for batch in table.to_batches() if table is not None else ():
        for at, number, numbers in _cells(batch, range(asks), sizes):
            found.setdefault((at, number), []).append(numbers)
    none = [np.empty(0)]
    return {
        (at, number): np.sort(np.concatenate(found.pop((at, number), none)))
        for at in range(asks)
        for number in sizes
    }


def count_inside(
    frame: DataFrame, brackets: Sequence[Bracket]
) -> dict[tuple[int, int], list[Inside]]:
    """Count below each bracket, and fetch what is inside. Jobs: one."""
    parts: list[list[Any]] = [[] for _ in brackets]
    for row in frame.mapInArrow(partial(_looked, brackets=brackets), _PART).collect():
        parts[row["bracket"]].append(row)
    found: dict[tuple[int, int], list[Inside]] = {}
    for one, rows in zip(brackets, parts, strict=True):
        found.setdefault((one.ask, one.set), []).append(_joined(rows))
    return found


def _joined(rows: Sequence[Any]) -> Inside:
    values = np.concatenate([np.empty(0), *(np.frombuffer(row["value"]) for row in rows)])
    counts = [np.frombuffer(row["times"], dtype=np.int64) for row in rows]
    number, below = sum(row["number"] for row in rows), sum(int(count[0]) for count in counts)
    order = np.argsort(values, kind="stable")
    times = np.concatenate([np.empty(0, dtype=np.int64), *(count[1:] for count in counts)])
    return Inside(number, below, values[order], np.cumsum(times[order]))


def _looked(
    batches: Iterable[pa.RecordBatch], brackets: Sequence[Bracket]
) -> Iterator[pa.RecordBatch]:
    """Give for each bracket how many numbers there are, how many below, and which inside."""
    import pyarrow as pa

    keep_archives_read()
    by_cell: dict[tuple[int, int], list[int]] = {}
    for place, one in enumerate(brackets):
        by_cell.setdefault((one.ask, one.set), []).append(place)
    columns = sorted({at for at, _ in by_cell})
    sets = sorted({number for _, number in by_cell})
    total, below = np.zeros((2, len(brackets)), dtype=np.int64)
    # Counted batch by batch: a column of few values must not pile up row by row.
    inside: list[list[tuple[Floats, NDArray[np.intp]]]] = [[] for _ in brackets]
    for batch in batches:
        for at, number, numbers in _cells(batch, columns, sets):
            ordered = np.sort(numbers)
            for place in by_cell.get((at, number), ()):
                start = np.searchsorted(ordered, brackets[place].low, side="left")
                end = np.searchsorted(ordered, brackets[place].high, side="right")
                total[place] += numbers.size
                below[place] += start
                inside[place].append(np.unique(ordered[start:end], return_counts=True))
    values, counts = list[bytes](), list[bytes]()
    for place, found in enumerate(inside):
        many = np.concatenate([np.empty(0), *(part for part, _ in found)])
        often = np.concatenate([np.empty(0, dtype=np.intp), *(part for _, part in found)])
        single, where = np.unique(many, return_inverse=True)
        times = np.bincount(where.ravel(), weights=often, minlength=single.size)
        values.append(single.tobytes())
        counts.append(np.concatenate([[below[place]], times]).astype(np.int64).tobytes())
    cells = [pa.array(range(len(brackets)), pa.int32()), pa.array(total)]
    cells += [pa.array(part, pa.binary()) for part in (values, counts)]
    yield pa.RecordBatch.from_arrays(cells, ["bracket", "number", "value", "times"])
