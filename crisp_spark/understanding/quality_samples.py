"""Failing values of rules about rows: the most frequent ones, all rules in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Protocol

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from crisp_spark.results.profile import Cell
from crisp_spark.results.quality import FailingValue
from crisp_spark.spec import quality as q
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, row_hash
from crisp_spark.understanding.quality_checks import RowCheck
from crisp_spark.understanding.text_shapes import masked

_MOST_FAILURES = 200_000
_PARTS = 1_000_000


def sample_failures(
    df: DataFrame, checks: Sequence[RowCheck], failed: Mapping[str, int], most: int
) -> dict[str, list[tuple[str, int | None]]]:
    """Return the most frequent failing values of each rule, as text with their rows.

    A rule that very many rows fail is looked at in a share of them, chosen by hash; the rows per
    value are then not known.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    found: dict[str, list[tuple[str, int | None]]] = {check.bound.name: [] for check in checks}
    # A missing value has nothing to show.
    shown = [check for check in checks if not isinstance(check.bound.rule, q.NotNull)]
    if not shown or not most:
        return found
    part = F.pmod(row_hash(df, df.columns), F.lit(_PARTS))
    many = {at for at, check in enumerate(shown) if failed[check.bound.name] > _MOST_FAILURES}
    pairs, some = [], []
    for at, check in enumerate(shown):
        fails = check.fails
        if at in many:
            share = _MOST_FAILURES / failed[check.bound.name]
            fails = fails & (part < math.ceil(share * _PARTS))
        some.append(fails)
        value = F.when(fails, check.shown)
        pairs.append(F.struct(F.lit(at).alias("i"), value.alias("v")))
    counted = (
        df.where(reduce(or_, some))
        .select(F.explode(F.array(*pairs)).alias("p"))
        .select("p.i", "p.v")
        .where(F.col("v").isNotNull())
        .groupBy("i", "v")
        .count()
    )
    order = Window.partitionBy("i").orderBy(F.col("count").desc(), F.col("v"))
    top = counted.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= most)
    for row in top.orderBy("i", "rank").collect():
        rows = None if row["i"] in many else row["count"]
        found[shown[row["i"]].bound.name].append((row["v"], rows))
    return found


class Speaking(Protocol):
    """A check of one engine or another."""

    @property
    def speaks_of(self) -> tuple[str, ...]:
        """Columns whose values its examples hold."""
        ...


def failing_values(
    check: Speaking,
    values: Sequence[tuple[str | None, int | None]],
    plans: Mapping[str, ColumnPlan],
    private: frozenset[str],
) -> tuple[FailingValue, ...]:
    """Bring failing values to their type, and mask those of personal data."""
    hide = not private.isdisjoint(check.speaks_of)
    plan = plans.get(check.speaks_of[0]) if len(check.speaks_of) == 1 else None
    return tuple(
        FailingValue(value=masked(text) if hide else _typed(plan, text), rows=rows)
        for text, rows in values
        if text is not None
    )


def _typed(plan: ColumnPlan | None, text: str) -> Cell:
    if plan is not None and plan.family is Family.NUMBER:
        number = float(text)
        if not math.isfinite(number):
            return text
        return number if plan.fractional or "." in text or "E" in text else int(text)
    if plan is not None and plan.family is Family.BOOLEAN:
        return text == "true"
    return text
