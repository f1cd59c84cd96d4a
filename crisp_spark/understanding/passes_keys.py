"""Repeated and distinct keys: narrow hash aggregations of all key sets, in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.understanding.passes_fused import rows_where

Name = TypeVar("Name")
MOST_GROUPS = 10_000
"""Repeated keys that are brought to the driver."""
_BROADCAST_GROUPS = 1_000_000
_BUCKET = 32_768
"""Values that one bitmap of Spark's holds."""
_MOST_BUCKETS = 512
_LEAST_ROWS_PER_BUCKET = 1_024
_ROWS_PER_PART = 125_000
"""Hashes whose groups fit the caches of a core."""
_MOST_SPREAD = 100_000_000


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest value of a whole-number key, and how many rows it has.

    Attributes:
        low: Smallest value.
        high: Largest value.
        rows: Rows that count; none of them without a value.
    """

    low: int
    high: int
    rows: int

    @property
    def dense(self) -> bool:
        """Whether bitmaps are small beside the values: 4 KiB for each 32,768 whole numbers."""
        buckets = (self.high - self.low) // _BUCKET + 1
        return buckets <= min(_MOST_BUCKETS, self.rows // _LEAST_ROWS_PER_BUCKET)


def bounds_sql(column: Column, where: Column) -> Column:
    """Return the aggregate behind :func:`bounds_of`."""
    value = F.when(where, column.cast("long"))
    missing = rows_where(where & column.isNull())
    return F.struct(F.min(value), F.max(value), F.count(value), missing)


def bounds_of(found: Sequence[Any] | None) -> Bounds | None:
    """Return the bounds of a key; None where a value is missing, or there is none."""
    if found is None or found[0] is None or found[3]:
        return None
    return Bounds(found[0], found[1], found[2])


@dataclass(frozen=True, eq=False)
class Key:
    """A key set.

    Attributes:
        columns: Its columns.
        where: Rows that count; null counts as no.
        hashed: Group by a 64-bit hash first. Equal hashes can only report too many repeats:
            rows of repeated hashes are looked at again by their values.
        flags: Conditions over ``k0``, ``k1`` .. whose distinct keys are counted; not with
            ``hashed``.
        listed: Whether the repeated keys themselves are wanted, as far as they are few.
        bounds: Bounds of a key of one whole number, where they are known. Numbers that lie close
            are then counted in bitmaps, without a group for each of them; only where some repeat
            they are grouped after all.
    """

    columns: tuple[Column, ...]
    where: Column
    hashed: bool = False
    listed: bool = True
    flags: tuple[Column, ...] = ()
    bounds: Bounds | None = None

    @property
    def bitmap(self) -> bool:
        """Whether bitmaps are tried first."""
        plain = len(self.columns) == 1 and not self.hashed and not self.flags
        return plain and self.bounds is not None and self.bounds.dense

    @property
    def names(self) -> list[str]:
        """Names of the key's columns in grouped frames."""
        return [f"k{at}" for at in range(len(self.columns))]


@dataclass(frozen=True)
class KeyCount:
    """What was found about a key set.

    Attributes:
        distinct: Distinct keys.
        rows: Rows that count.
        repeated: Keys that stand in several rows.
        repeated_rows: Rows of repeated keys.
        flagged: Distinct keys for which each flag is true.
        groups: The repeated keys with their rows; None where they are too many, or none.
    """

    distinct: int
    rows: int
    repeated: int
    repeated_rows: int
    flagged: tuple[int, ...] = ()
    groups: tuple[tuple[tuple[Any, ...], int], ...] | None = field(default=None, repr=False)


def count_keys(df: DataFrame, keys: Mapping[Name, Key], rows: int = 0) -> dict[Name, KeyCount]:
    """Count distinct and repeated keys, exactly.

    Args:
        df: The rows.
        keys: Key sets by name.
        rows: Rows of ``df``, 0 where they are not known; only how the work is cut depends on it.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one query for all key sets, another one for
    whole numbers that repeat, and one per key set that repeats.
    """
    if not keys:
        return {}
    counts = dict(zip(keys, _first_pass(df, list(keys.values()), rows), strict=True))
    again = {
        name: replace(key, bounds=None)
        for name, key in keys.items()
        if key.bitmap and counts[name].distinct < counts[name].rows
    }
    if again:
        counts |= dict(zip(again, _first_pass(df, list(again.values()), rows), strict=True))
    return {name: _exact(df, key, counts[name]) for name, key in keys.items()}


def _first_pass(df: DataFrame, keys: Sequence[Key], rows: int) -> list[KeyCount]:
    width = max(len(key.flags) for key in keys)
    branches = []
    for at, key in enumerate(keys):
        flags = [*key.flags, *[F.lit(None).cast("boolean")] * (width - len(key.flags))]
        counted = (
            _bitmaps(df, key) if key.bitmap else _grouped(df, key, hashed=key.hashed, rows=rows)
        )
        branches.append(
            counted.select(
                F.lit(at).alias("key"),
                (F.col("distinct") if key.bitmap else F.lit(1).cast("long")).alias("distinct"),
                "n",
                # How often a value of a bitmap stands there is not known.
                F.lit(not key.bitmap).alias("single"),
                *[flag.alias(f"f{number}") for number, flag in enumerate(flags)],
            )
        )
    repeats = F.col("single") & (F.col("n") > 1)
    found = (
        reduce(DataFrame.unionAll, branches)
        .groupBy("key")
        .agg(
            F.sum("distinct"),
            F.sum("n"),
            F.count_if(repeats),
            F.sum(F.when(repeats, F.col("n"))),
            *[F.count_if(F.col(f"f{number}")) for number in range(width)],
        )
        .collect()
    )
    by_key = {row[0]: row for row in found}
    counts = []
    for at, key in enumerate(keys):
        row = by_key.get(at, (at, 0, 0, 0, 0, *[0] * width))
        flagged = tuple(row[5 : 5 + len(key.flags)])
        counts.append(KeyCount(row[1], row[2] or 0, row[3], row[4] or 0, flagged))
    return counts


def _bitmaps(df: DataFrame, key: Key) -> DataFrame:
    """Count whole numbers that lie close: a bit for each value, a row for each bucket."""
    assert key.bounds is not None
    # From 1 on: Spark counts the others in buckets of their own.
    place = key.columns[0].cast("long") - F.lit(key.bounds.low) + 1
    return (
        df.where(key.where)
        .select(place.alias("place"))
        .groupBy(F.bitmap_bucket_number("place"))
        .agg(
            F.bitmap_count(F.bitmap_construct_agg(F.bitmap_bit_position("place"))).alias(
                "distinct"
            ),
            F.count(F.lit(1)).alias("n"),
        )
    )


def _grouped(df: DataFrame, key: Key, *, hashed: bool, rows: int = 0) -> DataFrame:
    found = df.where(key.where)
    if hashed:
        found, names = found.select(F.xxhash64(*key.columns).alias("h")), ["h"]
        parts = rows // _ROWS_PER_PART
        if parts > 1 and rows <= _MOST_SPREAD:
            # Keys that hardly repeat gain nothing from being counted before the shuffle. Where
            # they repeat after all, one task may get all rows: so not with very many.
            parts = max(parts, df.sparkSession.sparkContext.defaultParallelism)
            found = found.repartition(parts, "h")
    else:
        names = key.names
        found = found.select(
            *[column.alias(name) for column, name in zip(key.columns, names, strict=True)]
        )
    return found.groupBy(*names).agg(F.count(F.lit(1)).alias("n"))


def repeated_keys(df: DataFrame, key: Key, repeated: int) -> DataFrame:
    """Return the keys that stand in several rows, by value: ``k0 ..`` and ``n``.

    Args:
        df: The rows.
        key: The key set.
        repeated: Repeated keys (or hashes) found before.

    Rows: one per repeated key. Adds: ``n``. Drops: keys of one row. Jobs: none (lazy).
    """
    if key.hashed and repeated <= _BROADCAST_GROUPS:
        hashes = F.broadcast(_grouped(df, key, hashed=True).where("n > 1").select("h"))
        rows = (
            df.where(key.where)
            .select(
                F.xxhash64(*key.columns).alias("h"),
                *[column.alias(name) for column, name in zip(key.columns, key.names, strict=True)],
            )
            .join(hashes, "h", "left_semi")
        )
        counted = rows.groupBy(*key.names).agg(F.count(F.lit(1)).alias("n"))
    else:
        counted = _grouped(df, key, hashed=False)
    return counted.where("n > 1")


def _exact(df: DataFrame, key: Key, count: KeyCount) -> KeyCount:
    known = not key.hashed and (not key.listed or count.repeated > MOST_GROUPS)
    if not count.repeated or known:
        return count
    frame = repeated_keys(df, key, count.repeated)
    if count.repeated > MOST_GROUPS:
        row = frame.agg(F.count(F.lit(1)), F.sum("n")).collect()[0]
        return _corrected(count, row[0], row[1] or 0, None)
    rows = frame.collect()
    groups = tuple((tuple(row[:-1]), row[-1]) for row in rows)
    return _corrected(count, len(groups), sum(n for _, n in groups), groups)


def _corrected(
    count: KeyCount,
    repeated: int,
    repeated_rows: int,
    groups: tuple[tuple[tuple[Any, ...], int], ...] | None,
) -> KeyCount:
    # Rows of a repeated hash that share no value are distinct keys of their own.
    distinct = count.rows - repeated_rows + repeated
    return KeyCount(distinct, count.rows, repeated, repeated_rows, count.flagged, groups)
