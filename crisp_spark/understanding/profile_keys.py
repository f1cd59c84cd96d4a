"""Duplicate rows and keys, all in one pass over hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import KeyCheck
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, row_hash_sql
from crisp_spark.understanding.profile_scan import Basics

_MOST_CANDIDATES = 2
_NEARLY = 0.9
_KEY_FAMILIES = frozenset({Family.NUMBER, Family.TEXT, Family.MOMENT})


def key_candidates(
    plans: Sequence[ColumnPlan], basics: Mapping[int, Basics], rows: int
) -> list[tuple[str, ...]]:
    """Choose columns that might identify a row by themselves."""
    found: list[tuple[str, ...]] = [
        (plan.name,)
        for plan in plans
        if plan.family in _KEY_FAMILIES
        and not plan.fractional
        and rows > 1
        and basics[plan.index].known == rows
        and (basics[plan.index].distinct or 0) >= _NEARLY * rows
    ]
    return found[:_MOST_CANDIDATES]


def check_keys(
    df: DataFrame, declared: tuple[str, ...], candidates: Sequence[tuple[str, ...]]
) -> tuple[int, tuple[KeyCheck, ...]]:
    """Count duplicate rows, and duplicates of the declared and of the possible keys.

    Equal hashes are taken for equal values: two of n different rows share one with a probability
    of about n² / 3.7e19.

    Returns:
        Rows whose content occurs more than once, and one check per key.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    keys = distinct_keys(declared, candidates)
    slots = [f"struct(0 AS i, {content_sql(df)} AS h)"]
    slots += [
        f"struct({number} AS i, {key_sql(df, key)} AS h)" for number, key in enumerate(keys, 1)
    ]
    counted = (
        df.selectExpr(f"explode(array({', '.join(slots)})) AS p")
        .select("p.*")
        .groupBy("i", "h")
        .agg(F.count(F.lit(1)).alias("n"))
        .groupBy("i")
        .agg(
            F.count("h").alias("distinct"),
            F.expr("sum(CASE WHEN h IS NULL THEN n END)").alias("missing"),
            F.expr("sum(CASE WHEN h IS NOT NULL THEN n END)").alias("rows"),
            F.expr("sum(CASE WHEN h IS NOT NULL AND n > 1 THEN n END)").alias("duplicated"),
        )
    )
    found = {row["i"]: KeyRows(*(value or 0 for value in row[1:])) for row in counted.collect()}
    checks = tuple(
        key_check(key, found.get(number, KeyRows()), declared=key == declared)
        for number, key in enumerate(keys, 1)
    )
    return found.get(0, KeyRows()).duplicated, checks


class KeyRows(NamedTuple):
    """Distinct keys, and rows: without a key, with one, with one that occurs more than once."""

    distinct: int = 0
    missing: int = 0
    rows: int = 0
    duplicated: int = 0


def distinct_keys(
    declared: tuple[str, ...], candidates: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return the keys to check: the declared one, where there is one, first."""
    return [key for key in dict.fromkeys([declared, *candidates]) if key]


def content_sql(df: DataFrame) -> str:
    """Return a hash of a row's content, as SQL."""
    return row_hash_sql(df, [name for name in df.columns if not name.startswith(RESERVED_PREFIX)])


def key_sql(df: DataFrame, key: Sequence[str]) -> str:
    """Return a hash of a key, as SQL; null where a part of it is missing."""
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    return f"CASE WHEN {known} THEN {row_hash_sql(df, key)} END"


def key_check(key: tuple[str, ...], found: KeyRows, *, declared: bool) -> KeyCheck:
    """Return the verdict on a key."""
    return KeyCheck(
        columns=key,
        declared=declared,
        rows=found.rows,
        distinct=found.distinct,
        duplicated_rows=found.duplicated,
        missing_rows=found.missing,
        unique=not found.duplicated and not found.missing,
    )
