"""The first pass of the profile: counts, sketches and extremes of every column, and the sample.

A very long list of aggregates outgrows the code that Spark generates for it, and then runs many
times slower. So the columns are taken in groups; a group reads only its own columns, and all
groups together read the table once. Aggregates are written as SQL: each is one call to the JVM,
where a tree of columns takes a dozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Cell
from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.profile_columns import (
    LONGEST_TEXT,
    ColumnPlan,
    Family,
    cell,
    chunks,
)

if TYPE_CHECKING:
    import pyarrow as pa

_SKETCH_BITS = 13
DISTINCT_ERROR = 0.0115
"""Relative standard error of approximate distinct counts: 1.04 / sqrt(2 ** 13)."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
QUANTILE_ACCURACY = 1000
"""One over the rank error of approximate quantiles."""
_FEW = 40
_SAMPLE = "sample"


@dataclass(frozen=True)
class Basics:
    """What the first pass knows about a column.

    Attributes:
        known: Rows with a value.
        distinct: Distinct values, approximately; None where values cannot be compared.
        low: Smallest value.
        high: Largest value.
        quantiles: Values at :data:`QUANTILES`, of numbers, where they were asked for.
    """

    known: int
    distinct: int | None
    low: Cell
    high: Cell
    quantiles: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FirstPass:
    """Answers of the first pass.

    Attributes:
        rows: Rows of the table.
        basics: What is known about each column, by index.
        extra: Answers of further aggregates, by name.
        sampled: The rows of the sample, and a few more.
        reads: How often a row was read.
    """

    rows: int
    basics: dict[int, Basics]
    extra: dict[str, Any]
    sampled: pa.ListScalar
    reads: int


def scan_basics(
    df: DataFrame,
    plans: Sequence[ColumnPlan],
    extra: Mapping[str, Column],
    sampled: Column,
    *,
    quantiles: bool,
) -> FirstPass:
    """Count rows, and per column known values, distinct values and extremes; draw the sample.

    Args:
        df: Table.
        plans: Columns.
        extra: Further aggregates, by name.
        sampled: The aggregate that collects the sample.
        quantiles: Sketch the quantiles of numbers.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass; of wide tables another one for the
    sample, which needs all columns of a row at once.
    """
    groups = chunks(plans, _FEW) or [()]
    whole = [F.count(F.lit(1)).alias("rows"), sampled.alias(_SAMPLE)]
    whole += [column.alias(f"x_{name}") for name, column in extra.items()]
    found: dict[int, Basics] = {}
    first: dict[str, Any] = {}
    wide = len(groups) > 1
    for group in [*groups, ()] if wide else groups:
        parts = [F.expr(part) for plan in group for part in _basics_of(plan, quantiles=quantiles)]
        parts += [] if group and wide else whole
        table = collect_arrow(df.agg(*parts))
        row = {name: table.column(name)[0] for name in table.column_names}
        sample = row.pop(_SAMPLE, None)
        told = {name: value.as_py() for name, value in row.items()}
        found |= {plan.index: _basics_from(plan.index, told) for plan in group}
        if sample is not None:
            first = told | {_SAMPLE: sample}
    return FirstPass(
        rows=first["rows"],
        basics=found,
        extra={name: first[f"x_{name}"] for name in extra},
        sampled=first[_SAMPLE],
        reads=1 + wide,
    )


def _basics_from(at: int, row: Mapping[str, Any]) -> Basics:
    cuts = row.get(f"q{at}")
    return Basics(
        known=row[f"n{at}"],
        distinct=row.get(f"d{at}"),
        low=cell(row.get(f"l{at}")),
        high=cell(row.get(f"h{at}")),
        quantiles=None if cuts is None else tuple(cuts),
    )


def _basics_of(plan: ColumnPlan, *, quantiles: bool) -> list[str]:
    at, column = plan.index, plan.sql
    parts = [f"count({column}) AS n{at}"]
    if plan.hashable:
        # One buffer per sketch. `approx_count_distinct` keeps hundreds of buffer columns, and the
        # planner's work grows with their square: 40 columns cost it seconds before the first row.
        hashed = f"CASE WHEN {column} IS NOT NULL THEN xxhash64({column}) END"
        sketch = f"hll_sketch_agg({hashed}, {_SKETCH_BITS})"
        parts.append(f"hll_sketch_estimate({sketch}) AS d{at}")
    ends = {
        Family.NUMBER: plan.finite_sql,
        Family.TEXT: f"substring({column}, 1, {LONGEST_TEXT})",
        Family.MOMENT: column,
    }.get(plan.family)
    if ends is not None:
        # Moments leave Spark as text: Python would move them to the driver's time zone.
        kind = "CAST({0}({1}) AS string)" if plan.family is Family.MOMENT else "{0}({1})"
        parts.append(f"{kind.format('min', ends)} AS l{at}")
        parts.append(f"{kind.format('max', ends)} AS h{at}")
    if quantiles and plan.family is Family.NUMBER:
        cuts = ", ".join(f"{cut}D" for cut in QUANTILES)
        value = f"CAST({plan.finite_sql} AS double)"
        parts.append(f"percentile_approx({value}, array({cuts}), {QUANTILE_ACCURACY}) AS q{at}")
    return parts


def steady(value: float | None) -> float | None:
    """Round a sum of doubles to 12 digits: its last ones depend on the order of the rows."""
    return float(f"{value:.12g}") if value is not None and math.isfinite(value) else None
