"""One pass that counts values: of every column, of periods, of patterns of missing values.

Each row is turned into (slot, text) pairs and the pairs are counted. A slot is a column with few
values (each value counts), a column with many (bars of its histogram, or the values that were
frequent in the sample), or something about the row as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Bin
from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.distributions import bars, edges_of
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, chunks
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
_VALUE_FAMILIES = frozenset({Family.NUMBER, Family.TEXT, Family.MOMENT, Family.BOOLEAN})


@dataclass
class Slots:
    """What is counted: a name per slot, and the text to count (null: nothing)."""

    texts: dict[str, Column] = field(default_factory=dict)
    edges: dict[int, list[float]] = field(default_factory=dict)


def few_values(plans: Sequence[ColumnPlan], basics: Mapping[int, Basics]) -> frozenset[int]:
    """Choose the columns whose values are all counted; the total is bounded for wide tables."""
    limit = max(_FEWEST, min(_MOST, _BUDGET // max(1, len(plans))))
    return frozenset(
        plan.index
        for plan in plans
        if plan.family in _VALUE_FAMILIES and (basics[plan.index].distinct or 0) <= limit
    )


def plan_slots(
    plans: Sequence[ColumnPlan],
    basics: Mapping[int, Basics],
    sample: Sample,
    extra: Mapping[str, Column],
) -> Slots:
    """Decide what is counted for every column.

    Args:
        plans: Columns.
        basics: Answers of the first pass.
        sample: The sample, for the ends of histograms and for frequent values.
        extra: Slots about the row as a whole.
    """
    slots = Slots(texts=dict(extra))
    few = few_values(plans, basics)
    for plan in plans:
        known = basics[plan.index]
        if not known.known or plan.family not in _VALUE_FAMILIES:
            continue
        if plan.index in few:
            slots.texts[f"v{plan.index}"] = plan.text
            continue
        if plan.family is not Family.TEXT:
            edges = _edges(plan, sample)
            if edges:
                slots.edges[plan.index] = edges
                slots.texts[f"b{plan.index}"] = _bar(plan, edges)
        if plan.family is Family.TEXT:
            values = _frequent(sample.texts[plan.name])
            if values:
                slots.texts[f"c{plan.index}"] = F.when(plan.column.isin(values), plan.column)
    return slots


def count_values(df: DataFrame, slots: Slots) -> dict[str, dict[str, int]]:
    """Count the texts of every slot.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    found: dict[str, dict[str, int]] = {name: {} for name in slots.texts}
    for group in chunks(list(slots.texts), _GROUP):
        pairs = F.explode(
            F.array(
                *[
                    F.struct(F.lit(number).alias("i"), slots.texts[name].alias("v"))
                    for number, name in enumerate(group)
                ]
            )
        )
        counted = (
            df.select(pairs.alias("p"))
            .select("p.i", "p.v")
            .where(F.col("v").isNotNull())
            .groupBy("i", "v")
            .count()
        )
        table = collect_arrow(counted)
        columns = (table.column(name).to_pylist() for name in ("i", "v", "count"))
        for number, text, rows in zip(*columns, strict=True):
            found[group[number]][text] = rows
    return found


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


def _bar(plan: ColumnPlan, edges: Sequence[float]) -> Column:
    value = plan.finite.cast("double") if plan.family is Family.NUMBER else plan.number
    width = edges[1] - edges[0]
    # Ends first: the quotient of a far outlier does not fit into an integer.
    place = (
        F.when(value < edges[0], F.lit(0))
        .when(value >= edges[-1], F.lit(len(edges)))
        .otherwise(
            F.least(F.floor((value - edges[0]) / width).cast("int") + 1, F.lit(len(edges) - 1))
        )
    )
    return F.when(value.isNotNull(), place).cast("string")


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


def missing_slots(
    plans: Sequence[ColumnPlan], basics: Mapping[int, Basics], rows: int, sample: Sample
) -> tuple[list[str], dict[str, Column]]:
    """Plan the slots for missing values: which columns, and a text of 0 and 1 per row.

    The columns with most gaps are looked at. Where the sample holds very many patterns, they are
    not counted in all rows; the sample then has to do.
    """
    gaps = sorted(
        (plan for plan in plans if 0 < rows - basics[plan.index].known < rows),
        key=lambda plan: (basics[plan.index].known, plan.index),
    )[:_PATTERN_COLUMNS]
    names = [plan.name for plan in gaps]
    if not gaps:
        return names, {}
    slots = {}
    few = len(sampled_patterns(sample, names)) <= _MOST_PATTERNS
    if few:
        signs = [plan.column.isNull().cast("int").cast("string") for plan in gaps]
        slots[PATTERN] = F.concat(*signs)
    if not few or sum(basics[plan.index].known < rows for plan in plans) > len(gaps):
        anything = F.array_contains(F.array(*[plan.column.isNull() for plan in plans]), True)
        slots[COMPLETE] = F.when(~anything, F.lit("1"))
    return names, slots


def sampled_patterns(sample: Sample, columns: Sequence[str]) -> Counter[str]:
    """Count the patterns of missing values in the sample, as texts of 0 and 1."""
    if not sample.rows:
        return Counter()
    signs = np.column_stack([sample.missing[name] for name in columns]).astype(np.uint8)
    found, counts = np.unique(signs, axis=0, return_counts=True)
    return Counter(
        {"".join(map(str, row)): int(rows) for row, rows in zip(found, counts, strict=True)}
    )
