"""One pass that counts values: of every column, of periods, of patterns of missing values.

Each row is turned into (slot, text) pairs and the pairs are counted. A slot is a column with few
values (each value counts), a column with many (bars of its histogram, or the values that were
frequent in the sample), or something about the row as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Bin
from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.distributions import bars, edges_of
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, chunks
from crisp_spark.understanding.profile_moments import (
    Centre,
    Sums,
    bars_of,
    lengths_of,
    moments_of,
    number_sql,
    place_sql,
    text_sql,
)
from crisp_spark.understanding.profile_sample import Sample
from crisp_spark.understanding.profile_scan import Basics

COMPLETE = "complete"
PATTERN = "pattern"
TARGET = "target"
_GROUP = 60
_BUDGET = 200_000
_FEWEST, _MOST = 100, 10_000
_CANDIDATES = 40
_PATTERN_COLUMNS = 30
_MOST_PATTERNS = 500
VALUE_FAMILIES = frozenset({Family.NUMBER, Family.TEXT, Family.MOMENT, Family.BOOLEAN})


@dataclass
class Slots:
    """What is counted.

    Attributes:
        texts: A name per slot, and the text to count (null: nothing).
        measures: Slots beside whose texts goes a number, to be summed up.
        edges: Edges of the histograms, by column.
    """

    texts: dict[str, Column] = field(default_factory=dict)
    measures: dict[str, Column] = field(default_factory=dict)
    edges: dict[int, list[float]] = field(default_factory=dict)


@dataclass
class Counts:
    """What was counted: rows per text of a slot, and details of columns with many values."""

    texts: dict[str, dict[str, int]] = field(default_factory=dict)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)


def few_values(plans: Sequence[ColumnPlan], basics: Mapping[int, Basics]) -> frozenset[int]:
    """Choose the columns whose values are all counted; the total is bounded for wide tables."""
    limit = most_values(len(plans))
    return frozenset(
        plan.index
        for plan in plans
        if plan.family in VALUE_FAMILIES and (basics[plan.index].distinct or 0) <= limit
    )


def most_values(columns: int) -> int:
    """Return the most values of a column that are all counted, in a table of so many columns."""
    return max(_FEWEST, min(_MOST, _BUDGET // max(1, columns)))


def plan_slots(
    plans: Sequence[ColumnPlan],
    basics: Mapping[int, Basics],
    sample: Sample,
    centres: Mapping[int, Centre],
    extra: Mapping[str, Column],
) -> Slots:
    """Decide what is counted for every column.

    Args:
        plans: Columns.
        basics: Answers of the first pass.
        sample: The sample, for the ends of histograms and for frequent values.
        centres: Centres of numbers with many values.
        extra: Slots about the row as a whole.
    """
    slots = Slots(texts=dict(extra))
    few = few_values(plans, basics)
    for plan in plans:
        if not basics[plan.index].known or plan.family not in VALUE_FAMILIES:
            continue
        if plan.index in few:
            slots.texts[f"v{plan.index}"] = F.expr(plan.text_sql)
        else:
            _plan_many(slots, plan, sample, centres.get(plan.index))
    return slots


def _plan_many(slots: Slots, plan: ColumnPlan, sample: Sample, centre: Centre | None) -> None:
    at = plan.index
    if plan.family is Family.TEXT:
        values = _frequent(sample.texts[plan.name])
        if values:
            slots.texts[f"c{at}"] = F.when(plan.column.isin(values), plan.column)
        code, beside = text_sql(plan)
        slots.texts[f"l{at}"], slots.measures[f"l{at}"] = F.expr(code), F.expr(beside)
        return
    edges = _edges(plan, sample)
    if edges:
        slots.edges[at] = edges
    if centre is not None:
        code, beside = number_sql(plan, centre, edges)
        slots.texts[f"m{at}"], slots.measures[f"m{at}"] = F.expr(code), F.expr(beside)
    elif edges:
        place = place_sql(plan.number_sql, edges)
        slots.texts[f"b{at}"] = F.expr(
            f"CASE WHEN {plan.sql} IS NOT NULL THEN CAST({place} AS string) END"
        )


def count_values(df: DataFrame, slots: Slots) -> Counts:
    """Count the texts of every slot, and sum up what goes beside them.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    counts = Counts(texts={name: {} for name in slots.texts if name not in slots.measures})
    for group in chunks(list(slots.texts), _GROUP):
        found: dict[str, list[Sums]] = {name: [] for name in group}
        for number, *sums in _counted(df, slots, group):
            found[group[number]].append(Sums(*sums))
        for name, sums in found.items():
            _keep(counts, slots, name, sums)
    return counts


def _counted(df: DataFrame, slots: Slots, group: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    measured = any(name in slots.measures for name in group)
    nothing = F.lit(None).cast("double")
    pairs = [
        F.struct(
            F.lit(number).alias("i"),
            slots.texts[name].alias("v"),
            *([slots.measures.get(name, nothing).alias("z")] if measured else []),
        )
        for number, name in enumerate(group)
    ]
    sums = ["sum(z)", "sum(z * z)", "sum(z * z * z)", "sum(z * z * z * z)", "min(z)", "max(z)"]
    counted = (
        df.select(F.explode(F.array(*pairs)).alias("p"))
        .select("p.*")
        .where("v IS NOT NULL")
        .groupBy("i", "v")
        .agg(
            F.count(F.lit(1)).alias("n"),
            *[F.expr(one).alias(f"z{at}") for at, one in enumerate(sums if measured else [])],
        )
    )
    table = collect_arrow(counted)
    columns = [column.to_pylist() for column in table.columns]
    columns += [[None] * table.num_rows] * (len(Sums._fields) + 1 - len(columns))
    return zip(*columns, strict=True)


def _keep(counts: Counts, slots: Slots, name: str, found: Sequence[Sums]) -> None:
    if name not in slots.measures:
        counts.texts[name] = {one.code: one.rows for one in found}
        return
    at = int(name[1:])
    if name.startswith("l"):
        counts.details[at] = lengths_of(found)
        return
    counts.details[at] = moments_of(found)
    if at in slots.edges:
        counts.texts[f"b{at}"] = bars_of(found)


def _edges(plan: ColumnPlan, sample: Sample) -> list[float]:
    values = sample.numbers[plan.name]
    values = values[~np.isnan(values)]
    if not len(values):
        return []
    low, high = (float(end) for end in np.quantile(values, [0.005, 0.995], method="inverted_cdf"))
    if low == high:
        low, high = float(values.min()), float(values.max())
    whole = plan.family is Family.NUMBER and bool(np.all(values == np.floor(values)))
    return edges_of(low, high, whole=whole)


def bars_from(
    counts: Mapping[str, int], edges: Sequence[float], low: float, high: float
) -> tuple[Bin, ...]:
    """Turn the counts of a histogram's slot into bars."""
    totals = [counts.get(str(place), 0) for place in range(len(edges) + 1)]
    return bars(edges, totals, low, high)


def _frequent(texts: np.ndarray[tuple[int], np.dtype[np.object_]]) -> list[str]:
    counts = Counter(text for text in texts if text is not None)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [text for text, rows in ranked[:_CANDIDATES] if rows > 1]


def gap_columns(
    plans: Sequence[ColumnPlan], basics: Mapping[int, Basics], rows: int
) -> list[ColumnPlan]:
    """Choose the columns with most gaps; columns without any value tell nothing."""
    return sorted(
        (plan for plan in plans if 0 < rows - basics[plan.index].known < rows),
        key=lambda plan: (basics[plan.index].known, plan.index),
    )[:_PATTERN_COLUMNS]


def missing_slots(
    plans: Sequence[ColumnPlan],
    basics: Mapping[int, Basics],
    rows: int,
    patterns: Mapping[str, int],
) -> dict[str, str]:
    """Plan the slots for missing values: a text of 0 and 1 per row, as SQL.

    The columns with most gaps are looked at. Where the sample holds very many patterns, they are
    not counted in all rows; the sample then has to do.
    """
    gaps = gap_columns(plans, basics, rows)
    if not gaps:
        return {}
    slots = {}
    few = len(patterns) <= _MOST_PATTERNS
    if few:
        signs = ", ".join(f"CAST(CAST({plan.sql} IS NULL AS int) AS string)" for plan in gaps)
        slots[PATTERN] = f"concat({signs})"
    if not few or sum(basics[plan.index].known < rows for plan in plans) > len(gaps):
        nulls = ", ".join(f"{plan.sql} IS NULL" for plan in plans)
        slots[COMPLETE] = f"CASE WHEN NOT array_contains(array({nulls}), true) THEN '1' END"
    return slots


def sampled_patterns(sample: Sample, columns: Sequence[str]) -> Counter[str]:
    """Count the patterns of missing values in the sample, as texts of 0 and 1."""
    if not sample.rows or not columns:
        return Counter()
    signs = np.column_stack([sample.missing[name] for name in columns]).astype(np.uint8)
    found, counts = np.unique(signs, axis=0, return_counts=True)
    return Counter(
        {"".join(map(str, row)): int(rows) for row, rows in zip(found, counts, strict=True)}
    )
