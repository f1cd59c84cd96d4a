"""Statistics of training rows: what several operations ask for is computed together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from crisp_spark.modeling.quantiles import Answer, Quantiles, find_quantiles
from crisp_spark.modeling.statements import number
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MOST_CATEGORIES = 10_000
"""Most categories of a column that are told apart; the most frequent ones."""

_AT_ONCE = 240
"""Aggregates of one query: planning thousands takes the driver longer than reading again."""

NULL_KEY = "null"
"""Key of a missing category; all others start with ``=``, so no text can collide with it."""


def key_sql(sql: str) -> str:
    """Return the SQL of a category's key: never null, never empty."""
    return f"coalesce(concat('=', CAST({sql} AS STRING)), '{NULL_KEY}')"


def group_key_sql(sqls: Sequence[str]) -> str:
    """Return the SQL of the key of a combination of values; lengths keep the parts apart."""
    parts = [
        f"coalesce(concat(char_length(CAST({sql} AS STRING)), ':', CAST({sql} AS STRING)), 'n')"
        for sql in sqls
    ]
    return f"concat({', '.join(parts)})"


def median_sql(sql: str) -> Quantiles:
    """Return the SQL of the exact median."""
    return Quantiles(f"percentile({sql}, 0.5D)", sql, (0.5,), one=True)


def quantiles_sql(sql: str, shares: Sequence[float]) -> Quantiles:
    """Return the SQL of exact quantiles."""
    listed = ", ".join(number(share) for share in shares)
    return Quantiles(f"percentile({sql}, array({listed}))", sql, shares, one=False)


def category_of(key: str) -> str | None:
    """Return the category of a key, None for the missing one."""
    return None if key == NULL_KEY else key[1:]


@dataclass(frozen=True)
class Category:
    """Counts of one category.

    Attributes:
        key: Key of the category.
        rows: Training rows.
        sums: Sum of each target over them.
        part_rows: Rows by part of the training rows.
        part_sums: Sums of each target by part.
    """

    key: str
    rows: int
    sums: tuple[float, ...]
    part_rows: tuple[int, ...] = ()
    part_sums: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Categories:
    """Categories of a column, the most frequent first, ties by key.

    Attributes:
        items: The most frequent categories.
        distinct: All categories, those beyond the limit included.
        rows: All training rows.
    """

    items: tuple[Category, ...]
    distinct: int
    rows: int


@dataclass
class Requests:
    """What is asked for: aggregates, category counts, aggregates by group."""

    scalars: dict[str, None] = field(default_factory=dict)
    categories: dict[str, None] = field(default_factory=dict)
    groups: dict[str, dict[str, None]] = field(default_factory=dict)

    def scalar(self, sql: str) -> str:
        """Ask for an aggregate over all rows; its SQL is the key of the answer."""
        self.scalars[sql] = None
        return sql

    def count(self, key_column: str) -> None:
        """Ask for the counts of a key column."""
        self.categories[key_column] = None

    def group(self, key_column: str, sql: str) -> None:
        """Ask for an aggregate per value of a key column."""
        self.groups.setdefault(key_column, {})[sql] = None


@dataclass(frozen=True)
class Statistics:
    """The answers."""

    scalars: Mapping[str, Any]
    categories: Mapping[str, Categories]
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def number(self, sql: str) -> float | None:
        """Return an aggregate as a number; None where it is null."""
        value: Any = self.scalars[sql]
        return None if value is None else float(value)

    def numbers(self, sql: str) -> list[float] | None:
        """Return an aggregate that is an array of numbers, NaN for nulls in it; None for null."""
        value: Any = self.scalars[sql]
        return None if value is None else [nan if x is None else float(x) for x in value]


@dataclass(frozen=True)
class Targets:
    """What the label is, for statistics that look at it.

    Attributes:
        sqls: Spark SQL of each target: the label, or one indicator per class.
        part: Spark SQL of the part that a row belongs to (out-of-fold encodings).
        parts: Values of ``part``.
    """

    sqls: tuple[str, ...] = ()
    part: str = "0"
    parts: tuple[int, ...] = ()


def measure_statistics(frame: DataFrame, requests: Requests, targets: Targets) -> Statistics:
    """Answer all requests.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one for aggregates and one or two more for
    quantiles, one for all category counts, one per grouping; none for what is not asked.
    """
    return _measured(frame, requests, {0: targets}, (), frame)[0]


def measure_sets(
    frame: DataFrame, column: str, requests: Requests, targets: Mapping[int, Targets]
) -> dict[int, Statistics]:
    """Answer all requests for several sets of rows at once.

    Args:
        frame: Rows with an array of the numbers of the sets that a row belongs to.
        column: That array.
        requests: What is asked of every set.
        targets: The label by set; they differ in their parts only.

    Rows: once for each of their sets. Adds: nothing. Drops: nothing. Jobs: those of one set. A
    set without rows has no answer.
    """
    others = [F.col(quoted(name)) for name in frame.columns if name != column]
    each = frame.select(*others, F.explode(column).alias(column))
    return _measured(each, requests, targets, (column,), frame)


def _scalars(
    frame: DataFrame, by: Sequence[str], asked: Sequence[str], rows: DataFrame
) -> dict[int, dict[str, Any]]:
    """Answer aggregates over all rows of each set.

    Args:
        frame: Rows, once for each of their sets.
        by: Column of the set; none for all rows together, which are set 0.
        asked: The aggregates.
        rows: Rows, once; ``by`` is an array there.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one for 240 aggregates, and those of quantiles.
    """
    quantiles = [sql for sql in asked if isinstance(sql, Quantiles)]
    plain = [sql for sql in asked if not isinstance(sql, Quantiles)]
    if not asked:
        return {}
    found: dict[int, dict[str, Any]] = {}
    sizes: dict[int, int] = {}
    for start in range(0, max(len(plain), 1), _AT_ONCE):
        own = plain[start : start + _AT_ONCE]
        for row in frame.groupBy(*by).agg(F.count(F.lit(1)), *_aliased(own)).collect():
            number = _set_of(row, by)
            sizes[number] = int(row[len(by)])
            found.setdefault(number, {}).update(zip(own, row[len(by) + 1 :], strict=True))
    answers: Mapping[int, Mapping[str, Answer]] = (
        find_quantiles(rows, quantiles, sizes, by[0] if by else None) if quantiles else {}
    )
    left = [sql for sql in quantiles if any(sql not in known for known in answers.values())]
    for number, known in answers.items():
        found[number] |= known
    if left:
        for row in frame.groupBy(*by).agg(*_aliased(left)).collect():
            found[_set_of(row, by)] |= dict(zip(left, row[len(by) :], strict=True))
    return found


def _measured(
    frame: DataFrame,
    requests: Requests,
    targets: Mapping[int, Targets],
    by: Sequence[str],
    rows: DataFrame,
) -> dict[int, Statistics]:
    """Answer requests for every value of ``by``; for all rows together, as set 0, without it."""
    scalars = _scalars(frame, by, list(requests.scalars), rows)
    groups: dict[int, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for key, sqls in requests.groups.items():
        grouping = [*map(F.col, by), F.col(quoted(key)).alias("k")]
        for row in frame.groupBy(*grouping).agg(*_aliased(sqls)).collect():
            own = groups.setdefault(_set_of(row, by), {}).setdefault(key, {})
            own[str(row[len(by)])] = dict(zip(sqls, row[len(by) + 1 :], strict=True))
    keys = list(requests.categories)
    counted = _count_categories(frame, keys, targets, by)
    known = set(scalars) | set(groups) | set(counted) if by else {0}
    nothing = {key: dict[str, Mapping[str, Any]]() for key in requests.groups}
    return {
        each: Statistics(
            scalars.get(each, {}), counted.get(each, {}), nothing | groups.get(each, {})
        )
        for each in known
    }


def _aliased(sqls: Iterable[str]) -> list[Column]:
    return [F.expr(sql).alias(f"s{index}") for index, sql in enumerate(sqls)]


def _set_of(row: Any, by: Sequence[str]) -> int:
    return int(row[0]) if by else 0


def _count_categories(
    frame: DataFrame, keys: Sequence[str], targets: Mapping[int, Targets], by: Sequence[str]
) -> dict[int, dict[str, Categories]]:
    if not keys:
        return {}
    cells = F.array(
        *(
            F.struct(F.lit(index).alias("c"), F.col(quoted(key)).alias("k"))
            for index, key in enumerate(keys)
        )
    )
    some = next(iter(targets.values()))
    parts = sorted({part for own in targets.values() for part in own.parts})
    ys = [F.expr(sql).cast("double").alias(f"y{n}") for n, sql in enumerate(some.sqls)]
    long = frame.select(*by, F.inline(cells), F.expr(some.part).alias("part"), *ys)
    sums = [F.sum(f"y{n}") for n in range(len(ys))]
    by_part = [
        F.sum(F.when(F.col("part") == part, value).otherwise(0))
        for part in parts
        for value in (F.lit(1), *(F.col(f"y{n}") for n in range(len(ys))))
    ]
    counted = (
        long.groupBy(*by, "c", "k")
        .agg(F.count(F.lit(1)), *sums, *by_part)
        .toDF(*by, "c", "k", "n", *(f"v{n}" for n in range(len(sums) + len(by_part))))
    )
    within = Window.partitionBy(*by, "c")
    ranked = counted.select(
        "*",
        F.row_number().over(within.orderBy(F.col("n").desc(), "k")).alias("rank"),
        F.count(F.lit(1)).over(within).alias("distinct"),
        F.sum("n").over(within).alias("rows"),
    ).where(F.col("rank") <= MOST_CATEGORIES)
    found: dict[int, dict[int, list[tuple[Any, ...]]]] = {}
    for row in ranked.collect():
        own = found.setdefault(_set_of(row, by), {})
        own.setdefault(row["c"], []).append(tuple(row[len(by) :]))
    return {
        each: {
            key: _categories(
                sorted(rows.get(index, ()), key=lambda row: row[-3]),
                len(ys),
                [parts.index(part) for part in targets[each].parts],
            )
            for index, key in enumerate(keys)
        }
        for each, rows in (found.items() if by else [(0, found.get(0, {}))])
    }


def _categories(rows: Sequence[tuple[Any, ...]], width: int, kept: Sequence[int]) -> Categories:
    """Unpack rows of (c, k, n, sums..., (n, sums...) per part, rank, distinct, rows).

    Args:
        rows: The rows, by rank.
        width: Number of targets.
        kept: Places of the parts that the set has.
    """
    items = []
    for row in rows:
        values = [float(value or 0.0) for value in row[3:-3]]
        sums, rest = values[:width], values[width:]
        every = [rest[at : at + width + 1] for at in range(0, len(rest), width + 1)]
        parts = [every[at] for at in kept]
        items.append(
            Category(
                str(row[1]),
                int(row[2]),
                tuple(sums),
                tuple(int(part[0]) for part in parts),
                tuple(tuple(part[1:]) for part in parts),
            )
        )
    distinct, total = (rows[0][-2], rows[0][-1]) if rows else (0, 0)
    return Categories(tuple(items), int(distinct), int(total))
