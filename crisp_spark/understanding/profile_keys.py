"""Duplicate rows and keys, all in one pass over hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import KeyCheck
from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, row_hash
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
    names = [name for name in df.columns if not name.startswith("_crisp_")]
    keys = [key for key in dict.fromkeys([declared, *candidates]) if key]
    slots = [F.struct(F.lit(0).alias("i"), row_hash(df, names).alias("h"))]
    for number, key in enumerate(keys, start=1):
        missing = F.lit(False)
        for name in key:
            missing = missing | F.col(quoted(name)).isNull()
        hashed = F.when(~missing, row_hash(df, key))
        slots.append(F.struct(F.lit(number).alias("i"), hashed.alias("h")))
    counted = (
        df.select(F.explode(F.array(*slots)).alias("p"))
        .select("p.i", "p.h")
        .groupBy("i", "h")
        .count()
        .groupBy("i")
        .agg(
            F.count("h").alias("distinct"),
            F.sum(F.when(F.col("h").isNull(), F.col("count"))).alias("missing"),
            F.sum(F.when(F.col("h").isNotNull(), F.col("count"))).alias("rows"),
            F.sum(F.when(F.col("h").isNotNull() & (F.col("count") > 1), F.col("count"))).alias(
                "duplicated"
            ),
        )
    )
    found = {row["i"]: row for row in counted.collect()}
    checks = []
    for number, key in enumerate(keys, start=1):
        row = found[number].asDict() if number in found else {}
        values = {
            name: row.get(name) or 0 for name in ("distinct", "missing", "rows", "duplicated")
        }
        checks.append(
            KeyCheck(
                columns=key,
                declared=key == declared,
                rows=values["rows"],
                distinct=values["distinct"],
                duplicated_rows=values["duplicated"],
                missing_rows=values["missing"],
                unique=not values["duplicated"] and not values["missing"],
            )
        )
    return (found[0]["duplicated"] or 0 if 0 in found else 0), tuple(checks)
