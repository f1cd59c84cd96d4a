"""Rules that compare rows: uniqueness, foreign keys, distinct counts. One pass per key set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec import quality as q
from crisp_spark.understanding.passes_keys import Bounds, Key, count_keys
from crisp_spark.understanding.quality_checks import RowCheck, key_columns

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule


@dataclass(frozen=True)
class KeyCounts:
    """What a pass over keys found.

    Attributes:
        failed: Rows that fail.
        samples: Most frequent failing keys as text, with their rows.
    """

    failed: int
    samples: tuple[tuple[str | None, int], ...]


@dataclass(frozen=True)
class JudgedKeys:
    """What was found about all rules that compare rows.

    Attributes:
        of_rules: Rule to its failing rows and keys.
        distinct: Rule about distinct values to their number.
        passes: Passes over the table.
    """

    of_rules: dict[str, KeyCounts]
    distinct: dict[str, int]
    passes: int


def judge_keys(
    df: DataFrame,
    checks: Sequence[RowCheck],
    distinct: Sequence[BoundRule],
    bounds: Mapping[str, Bounds | None],
    *,
    rows: int,
    parents: Mapping[str, DataFrame],
    most: int,
) -> JudgedKeys:
    """Count the rows that fail rules about keys, and distinct values, with examples.

    Args:
        df: The rows.
        checks: Rules about keys.
        distinct: Rules about distinct values.
        bounds: Bounds of keys of one whole number, by rule.
        rows: Rows of ``df``.
        parents: Sources that ``relationships`` refer to.
        most: Largest number of failing keys shown per rule.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: those of :func:`count_key_sets`, one pass per
    foreign key, and one for examples per rule that fails.
    """
    unique = [check for check in checks if isinstance(check.bound.rule, q.Unique)]
    found = count_key_sets(df, unique, distinct, bounds, rows)
    passes, of_rules = found.passes, {}
    for check in checks:
        name = check.bound.name
        if name in found.failed:
            failed = found.failed[name]
        else:
            passes += 1
            failed = count_bad_keys(df, check, parents)
        of_rules[name] = KeyCounts(failed, sample_bad_keys(df, check, parents, most, failed))
        passes += bool(failed and most)
    return JudgedKeys(of_rules, found.distinct, passes)


def bad_keys(df: DataFrame, check: RowCheck, parents: Mapping[str, DataFrame]) -> DataFrame:
    """Return the failing keys of a rule: columns ``k0 ..``, ``rows`` and ``shown``.

    Rows: one per failing key. Adds: counts. Drops: rows that pass. Jobs: none (lazy).
    """
    rule = check.bound.rule
    names = [f"k{at}" for at in range(len(check.bound.columns))]
    keys = [
        column.alias(name)
        for column, name in zip(key_columns(check.bound.columns), names, strict=True)
    ]
    counted = (
        df.where(check.evaluated)
        .select(*keys, check.shown.alias("shown"))
        .groupBy(*names)
        .agg(F.count(F.lit(1)).alias("rows"), F.min("shown").alias("shown"))
    )
    if not isinstance(rule, q.Relationships):
        return counted.where("rows > 1")
    valid = (
        parents[rule.to]
        .select(key_columns([rule.field])[0].alias("valid"))
        .where("valid IS NOT NULL")
    )
    return counted.join(valid, F.col("k0") == F.col("valid"), "left_anti")


@dataclass(frozen=True)
class KeySets:
    """What one query over all key sets found.

    Attributes:
        failed: Rule ``unique`` to the rows of repeated keys.
        distinct: Rule about distinct values to their number.
        passes: Passes over the table.
    """

    failed: dict[str, int]
    distinct: dict[str, int]
    passes: int


def count_key_sets(
    df: DataFrame,
    unique: Sequence[RowCheck],
    distinct: Sequence[BoundRule],
    bounds: Mapping[str, Bounds | None],
    rows: int,
) -> KeySets:
    """Count repeated keys and distinct values, exactly; rules on one key set share a pass.

    A key of several columns that holds a column without repeats cannot repeat: it takes no pass.

    Args:
        df: The rows.
        unique: Rules about repeated keys.
        distinct: Rules about distinct values.
        bounds: Bounds of keys of one whole number, by rule.
        rows: Rows of ``df``.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one query for single columns, one for keys of
    several; one more per key set whose hashes repeat.
    """
    counted = {bound.columns for bound in distinct}
    keys: dict[tuple[tuple[str, ...], str], Key] = {}
    for bound in distinct:
        column = key_columns(bound.columns)[0]
        keys[bound.columns, ""] = Key((column,), column.isNotNull(), listed=False)
    for check in unique:
        columns = check.bound.columns
        if _place(check) not in keys:
            hashed = columns not in counted and _worth_a_hash(df, columns)
            keys[_place(check)] = Key(
                tuple(key_columns(columns)),
                check.evaluated,
                hashed,
                listed=False,
                bounds=bounds.get(check.bound.name),
            )
    first = {place: key for place, key in keys.items() if len(place[0]) == 1}
    found = count_keys(df, first, rows)
    single = {place[0][0] for place, count in found.items() if not place[1] and not count.repeated}
    proven = {place for place in keys.keys() - first.keys() if not single.isdisjoint(place[0])}
    second = {place: key for place, key in keys.items() if place not in first.keys() | proven}
    found |= count_keys(df, second, rows)
    return KeySets(
        failed={
            check.bound.name: 0 if _place(check) in proven else found[_place(check)].repeated_rows
            for check in unique
        },
        distinct={bound.name: found[bound.columns, ""].distinct for bound in distinct},
        passes=len(first) + len(second),
    )


def _place(check: RowCheck) -> tuple[tuple[str, ...], str]:
    return check.bound.columns, str(getattr(check.bound.rule, "where", ""))


def is_whole(df: DataFrame, check: RowCheck) -> bool:
    """Say whether a rule is about repeats of one whole number."""
    columns = check.bound.columns
    unique = isinstance(check.bound.rule, q.Unique) and len(columns) == 1
    return unique and isinstance(df.schema[columns[0]].dataType, T.IntegralType)


def _worth_a_hash(df: DataFrame, columns: Sequence[str]) -> bool:
    """Say whether a hash is shorter than the values and stands for them."""
    kinds = [df.schema[name].dataType for name in columns]
    texts = [isinstance(kind, T.StringType) for kind in kinds]
    plain = all("collate" not in kind.simpleString() for kind in kinds)
    return plain and (len(columns) > 1 or texts[0])


def count_bad_keys(df: DataFrame, check: RowCheck, parents: Mapping[str, DataFrame]) -> int:
    """Count the rows that fail a rule about keys.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    bad = bad_keys(df, check, parents)
    return bad.agg(F.sum("rows").alias("n")).collect()[0]["n"] or 0


def sample_bad_keys(
    df: DataFrame, check: RowCheck, parents: Mapping[str, DataFrame], most: int, failed: int
) -> tuple[tuple[str | None, int], ...]:
    """Return the most frequent failing keys as text, with their rows.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass where rows failed.
    """
    if not failed or not most:
        return ()
    bad = bad_keys(df, check, parents)
    names = [name for name in bad.columns if name.startswith("k")]
    order: list[Column] = [F.col("rows").desc(), *[F.col(name).asc() for name in names]]
    found = bad.orderBy(*order).limit(most).select("shown", "rows").collect()
    return tuple((row["shown"], row["rows"]) for row in found)
