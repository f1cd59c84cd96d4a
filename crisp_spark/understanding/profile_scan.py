"""Fused aggregations of the profile: every column of a table in one pass.

A very long list of aggregates outgrows the code that Spark generates for it, and then runs many
times slower. So the columns are taken in groups; a group reads only its own columns, and all
groups together read the table once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Cell, Numbers
from crisp_spark.understanding.profile_columns import (
    LONGEST_TEXT,
    ColumnPlan,
    Family,
    cell,
    chunks,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SKETCH_BITS = 13
DISTINCT_ERROR = 0.0115
"""Relative standard error of approximate distinct counts: 1.04 / sqrt(2 ** 13)."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
QUANTILE_ACCURACY = 1000
"""One over the rank error of approximate quantiles."""
_FEW = 40
_SOME = 12


@dataclass(frozen=True)
class Basics:
    """What the first pass knows about a column."""

    known: int
    distinct: int | None
    low: Cell
    high: Cell


@dataclass(frozen=True)
class Centre:
    """Where the values of a column lie, roughly: sums around it lose no digits."""

    mean: float
    scale: float
    fence_low: float
    fence_high: float


def scan_basics(
    df: DataFrame, plans: Sequence[ColumnPlan], extra: Mapping[str, Column]
) -> tuple[dict[int, Basics], dict[str, Any]]:
    """Count rows, and per column known values, distinct values and extremes.

    Args:
        df: Table.
        plans: Columns.
        extra: Further aggregates, by name; ``rows`` is always among the answers.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass.
    """
    found: dict[int, Basics] = {}
    answers: dict[str, Any] = {}
    for number, group in enumerate(chunks(plans, _FEW) or [()]):
        aggregates = [part for plan in group for part in _basics_of(plan)]
        if number == 0:
            aggregates.append(F.count(F.lit(1)).alias("rows"))
            aggregates += [column.alias(f"x_{name}") for name, column in extra.items()]
        row = df.agg(*aggregates).collect()[0].asDict()
        if number == 0:
            answers = {"rows": row["rows"]} | {name: row[f"x_{name}"] for name in extra}
        for plan in group:
            at = plan.index
            found[at] = Basics(
                known=row[f"n{at}"],
                distinct=row.get(f"d{at}"),
                low=cell(row.get(f"l{at}")),
                high=cell(row.get(f"h{at}")),
            )
    return found, answers


def _basics_of(plan: ColumnPlan) -> list[Column]:
    at, column = plan.index, plan.column
    parts = [F.count(column).alias(f"n{at}")]
    if plan.hashable:
        # One buffer per sketch. `approx_count_distinct` keeps hundreds of buffer columns, and the
        # planner's work grows with their square: 40 columns cost it seconds before the first row.
        hashed = F.when(column.isNotNull(), F.xxhash64(column))
        sketch = F.hll_sketch_agg(hashed, F.lit(_SKETCH_BITS))
        parts.append(F.hll_sketch_estimate(sketch).alias(f"d{at}"))
    ends: Column | None = None
    if plan.family is Family.NUMBER:
        ends = plan.finite
    elif plan.family is Family.TEXT:
        ends = F.substring(column, 1, LONGEST_TEXT)
    elif plan.family is Family.MOMENT:
        ends = column
    if ends is not None:
        # Moments leave Spark as text: Python would move them to the driver's time zone.
        low, high = F.min(ends), F.max(ends)
        as_text = plan.family is Family.MOMENT
        parts.append((low.cast("string") if as_text else low).alias(f"l{at}"))
        parts.append((high.cast("string") if as_text else high).alias(f"h{at}"))
    return parts


def centre_of(values: NDArray[np.float64]) -> Centre:
    """Find the centre of a column from its values in the sample (NaN where missing)."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Centre(0.0, 1.0, float("-inf"), float("inf"))
    low, high = np.quantile(values, [0.25, 0.75], method="inverted_cdf")
    with np.errstate(over="ignore"):
        mean, scale, reach = float(values.mean()), float(values.std()), 1.5 * float(high - low)
    if not np.isfinite(mean) or not np.isfinite(scale) or not scale:
        mean, scale = (mean if np.isfinite(mean) else 0.0), 1.0
    return Centre(mean, scale, float(low) - reach, float(high) + reach)


def scan_details(
    df: DataFrame, plans: Sequence[ColumnPlan], centres: Mapping[int, Centre]
) -> dict[int, dict[str, Any]]:
    """Measure columns with many distinct values: moments, quantiles, lengths.

    Columns with few values need no second pass: their value counts tell it all.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: two passes (the second for quantiles).
    """
    found: dict[int, dict[str, Any]] = {plan.index: {} for plan in plans}
    kinds = {Family.NUMBER, Family.TEXT, Family.MOMENT}
    wanted = [plan for plan in plans if plan.family in kinds]
    for group in chunks([plan for plan in wanted if plan.family is not Family.MOMENT], _SOME):
        aggregates = [
            column.alias(f"{name}{plan.index}")
            for plan in group
            for name, column in _details_of(plan, centres).items()
        ]
        row = df.agg(*aggregates).collect()[0].asDict()
        for plan in group:
            names = _details_of(plan, centres)
            found[plan.index] |= {name: row[f"{name}{plan.index}"] for name in names}
    for group in chunks([plan for plan in wanted if plan.family is not Family.TEXT], _SOME):
        cuts = df.agg(*[_quantiles_of(plan).alias(f"q{plan.index}") for plan in group]).collect()[0]
        for plan in group:
            found[plan.index]["quantiles"] = cuts[f"q{plan.index}"]
    return found


def _quantiles_of(plan: ColumnPlan) -> Column:
    # Quantiles have a pass of their own: beside them, no aggregate gets generated code.
    value = plan.finite.cast("double") if plan.family is Family.NUMBER else plan.number
    return F.percentile_approx(value, list(QUANTILES), QUANTILE_ACCURACY)


def _details_of(plan: ColumnPlan, centres: Mapping[int, Centre]) -> dict[str, Column]:
    column = plan.column
    if plan.family is Family.TEXT:
        return {
            "short": F.min(F.length(column)),
            "long": F.max(F.length(column)),
            "mean": F.avg(F.length(column)),
            "blank": F.count_if(F.trim(column) == ""),
            "padded": F.count_if(F.trim(column) != column),
            "ascii": F.count_if(F.octet_length(column) == F.length(column)),
        }
    centre = centres[plan.index]
    value = plan.finite.cast("double")
    z = (value - F.lit(centre.mean)) / F.lit(centre.scale)
    outside = (value < F.lit(centre.fence_low)) | (value > F.lit(centre.fence_high))
    parts = {
        "finite": F.count(value),
        "z1": F.sum(z),
        "z2": F.sum(z * z),
        "z3": F.sum(z * z * z),
        "z4": F.sum(z * z * z * z),
        "zeros": F.count_if(column == 0),
        "negatives": F.count_if(column < 0),
        "outside": F.count_if(outside),
    }
    if plan.fractional:
        parts |= {
            "nan": F.count_if(F.isnan(column)),
            "pinf": F.count_if(column == float("inf")),
            "ninf": F.count_if(column == float("-inf")),
        }
    return parts


def numbers_from_details(found: Mapping[str, Any], centre: Centre) -> Numbers:
    """Turn sums around a centre into moments.

    With z = (x - c) / s the central moments of z follow from its power sums; mean and standard
    deviation of x are c + s mean(z) and s std(z); skewness and kurtosis are those of z.
    """
    count = found["finite"]
    moments = _moments(count, *(found[f"z{power}"] for power in (1, 2, 3, 4)))
    mean = None if moments[0] is None else centre.mean + centre.scale * moments[0]
    return Numbers(
        mean=steady(mean),
        std=steady(None if moments[1] is None else centre.scale * moments[1]),
        skewness=steady(moments[2]),
        kurtosis=steady(moments[3]),
        sum=steady(None if mean is None else mean * count),
        zeros=found["zeros"],
        negatives=found["negatives"],
        nans=found.get("nan", 0),
        positive_infinities=found.get("pinf", 0),
        negative_infinities=found.get("ninf", 0),
        quantiles=dict(zip(map(str, QUANTILES), found["quantiles"] or (), strict=False)),
        quantile_error=1 / QUANTILE_ACCURACY,
        outside_fences=found["outside"],
    )


def _moments(
    count: int, z1: float | None, z2: float | None, z3: float | None, z4: float | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """Mean, sample standard deviation, population skewness and excess kurtosis from power sums."""
    if not count or z1 is None or z2 is None or z3 is None or z4 is None:
        return None, None, None, None
    mean = z1 / count
    second = z2 / count - mean**2
    third = z3 / count - 3 * mean * z2 / count + 2 * mean**3
    fourth = z4 / count - 4 * mean * z3 / count + 6 * mean**2 * z2 / count - 3 * mean**4
    if math.isnan(second):
        return mean, None, None, None
    if second <= 0:
        return mean, 0.0 if count > 1 else None, None, None
    std = math.sqrt(second * count / (count - 1)) if count > 1 else None
    return mean, std, third / second**1.5, fourth / second**2 - 3


def steady(value: float | None) -> float | None:
    """Round a sum of doubles to 12 digits: its last ones depend on the order of the rows."""
    return float(f"{value:.12g}") if value is not None and math.isfinite(value) else None
