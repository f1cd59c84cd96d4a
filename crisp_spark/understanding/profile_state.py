"""Profiles that add up: new rows are measured, and merged with what is kept of the old ones.

Counts, extremes and moments are exact, whatever the parts (moments by the pairwise formulas of
Chan, Golub and LeVeque, 1983, and Pébay, 2008). Quantiles come from counts per logarithmic bin, as
in DDSketch (Masson, Rim and Lee, 2019): each lies within 1 % of the true quantile's value. Distinct
counts come from HyperLogLog sketches with a relative standard error of 1.6 %.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Cell
from crisp_spark.results.profile_state import ColumnState, TableState
from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.passes_fused import rows_where
from crisp_spark.understanding.profile_columns import (
    LONGEST_TEXT,
    ColumnPlan,
    Family,
    cell,
    chunks,
    plan_columns,
)

VALUE_ERROR = 0.01
"""Largest relative error of a quantile's value."""
DISTINCT_ERROR = 0.016
"""Relative standard error of a distinct count: 1.04 / sqrt(4096)."""
_GROWTH = (1 + VALUE_ERROR) / (1 - VALUE_ERROR)
_SMALLEST = 1e-12
"""Numbers nearer to zero count as zero."""
SHIFT = 1 - math.ceil(math.log(_SMALLEST) / math.log(_GROWTH))
_SKETCH_BITS = 12
_GROUP = 25
_BINS_GROUP = 60


def measure_state(df: DataFrame, name: str, files: Mapping[str, str] | None = None) -> TableState:
    """Measure what adds up.

    Args:
        df: Rows; columns starting with ``_crisp_`` are left out.
        name: Name of the source.
        files: Source files that the rows come from, with the hashes of their contents.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: two passes.
    """
    plans = plan_columns(df, {})
    rows, answers = _sums(df, plans)
    bins = _bins(df, [plan for plan in plans if plan.family is Family.NUMBER])
    columns = [_state(plan, answers, bins.get(plan.index, {})) for plan in plans]
    return TableState(name=name, rows=rows, columns=tuple(columns), files=dict(files or {}))


def _sums(df: DataFrame, plans: Sequence[ColumnPlan]) -> tuple[int, dict[str, Any]]:
    answers: dict[str, Any] = {}
    for number, group in enumerate(chunks(plans, _GROUP) or [()]):
        parts = {
            f"{key}{plan.index}": column
            for plan in group
            for key, column in _aggregates(plan).items()
        }
        if number == 0:
            parts["rows"] = F.count(F.lit(1))
        answers |= df.agg(*[part.alias(key) for key, part in parts.items()]).collect()[0].asDict()
    return answers["rows"], answers


def _aggregates(plan: ColumnPlan) -> dict[str, Column]:
    column = plan.column
    parts = {"known": F.count(column)}
    if plan.hashable and plan.family is not Family.NESTED:
        value = column if plan.family is Family.BINARY else plan.text
        parts["sketch"] = F.hll_sketch_agg(value, _SKETCH_BITS)
    if plan.family is Family.NUMBER:
        value = plan.finite.cast("double")
        parts |= {
            "low": F.min(plan.finite),
            "high": F.max(plan.finite),
            "finite": F.count(value),
            "mean": F.avg(value),
            "var": F.var_pop(value),
            "skew": F.skewness(value),
            "kurt": F.kurtosis(value),
            "zeros": rows_where(column == 0),
            "negatives": rows_where(column < 0),
        }
        if plan.fractional:
            parts |= {
                "nans": rows_where(F.isnan(column)),
                "pinf": rows_where(column == float("inf")),
                "ninf": rows_where(column == float("-inf")),
            }
    elif plan.family is Family.MOMENT:
        # Moments leave Spark as text: Python would move them to the driver's time zone.
        parts |= {"low": F.min(column).cast("string"), "high": F.max(column).cast("string")}
    elif plan.family is Family.TEXT:
        short = F.substring(column, 1, LONGEST_TEXT)
        parts |= {
            "low": F.min(short),
            "high": F.max(short),
            "short": F.min(F.length(column)),
            "long": F.max(F.length(column)),
            "lengths": F.sum(F.length(column)),
            "blank": rows_where(F.trim(column) == ""),
            "padded": rows_where(F.trim(column) != column),
            "ascii": rows_where(F.octet_length(column) == F.length(column)),
        }
    return parts


def _bins(df: DataFrame, plans: Sequence[ColumnPlan]) -> dict[int, dict[int, int]]:
    """Rows per column and logarithmic bin; zeros are counted elsewhere."""
    found: dict[int, dict[int, int]] = {plan.index: {} for plan in plans}
    for group in chunks(plans, _BINS_GROUP):
        pairs = [F.struct(F.lit(plan.index).alias("i"), _bin(plan).alias("b")) for plan in group]
        counted = (
            df.select(F.explode(F.array(*pairs)).alias("p"))
            .select("p.i", "p.b")
            .where(F.col("b").isNotNull())
            .groupBy("i", "b")
            .count()
        )
        table = collect_arrow(counted)
        columns = (table.column(key).to_pylist() for key in ("i", "b", "count"))
        for index, place, rows in zip(*columns, strict=True):
            found[index][place] = rows
    return found


def _bin(plan: ColumnPlan) -> Column:
    value = plan.finite.cast("double")
    size = F.abs(value)
    place = F.ceil(F.log(size) / F.lit(math.log(_GROWTH))).cast("int") + F.lit(SHIFT)
    return F.when(size > _SMALLEST, F.when(value > 0, place).otherwise(-place))


def _state(plan: ColumnPlan, answers: Mapping[str, Any], bins: dict[int, int]) -> ColumnState:
    def told(key: str, default: Any = None) -> Any:
        value = answers.get(f"{key}{plan.index}")
        return default if value is None else value

    finite = told("finite", 0)
    m2 = _steady(told("var", 0.0) * finite)
    deviation = math.sqrt(m2 / finite) if finite and m2 > 0 else 0.0
    sketch = told("sketch")
    return ColumnState(
        name=plan.name,
        type=plan.type,
        known=told("known"),
        low=cell(told("low")),
        high=cell(told("high")),
        finite=finite,
        mean=_steady(told("mean", 0.0)),
        m2=m2,
        m3=_steady(told("skew", 0.0) * finite * deviation**3) if deviation else 0.0,
        m4=_steady((told("kurt", 0.0) + 3) * finite * deviation**4) if deviation else 0.0,
        zeros=told("zeros", 0),
        negatives=told("negatives", 0),
        nans=told("nans", 0),
        positive_infinities=told("pinf", 0),
        negative_infinities=told("ninf", 0),
        bins=bins,
        min_length=told("short"),
        max_length=told("long"),
        length_sum=told("lengths", 0),
        blank=told("blank", 0),
        padded=told("padded", 0),
        ascii=told("ascii", 0),
        sketch=base64.b64encode(bytes(sketch)).decode() if sketch is not None else "",
    )


def _steady(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def merge_states(states: Sequence[TableState]) -> TableState:
    """Add states up; the estimates of distinct values are left open.

    Raises:
        ValueError: Their columns or types differ, or a file is in two of them.
    """
    first = states[0]
    for other in states[1:]:
        schemas = [[(c.name, c.type) for c in state.columns] for state in (first, other)]
        if schemas[0] != schemas[1]:
            raise ValueError(f"the columns of {first.name} changed")
    files: dict[str, str] = {}
    for state in states:
        twice = files.keys() & state.files.keys()
        if twice:
            raise ValueError(f"file {min(twice)!r} was measured twice")
        files |= state.files
    merged = [_merged([state.columns[at] for state in states]) for at in range(len(first.columns))]
    return TableState(
        name=first.name,
        rows=sum(state.rows for state in states),
        columns=tuple(merged),
        files=files,
    )


def _merged(parts: Sequence[ColumnState]) -> ColumnState:
    total = parts[0]
    for part in parts[1:]:
        total = total.model_copy(update=_added(total, part))
    return total


def _added(one: ColumnState, two: ColumnState) -> dict[str, Any]:
    counts = (
        "known", "zeros", "negatives", "nans", "positive_infinities", "negative_infinities",
        "length_sum", "blank", "padded", "ascii",
    )  # fmt: skip
    found: dict[str, Any] = {key: getattr(one, key) + getattr(two, key) for key in counts}
    bins = dict(one.bins)
    for place, rows in two.bins.items():
        bins[place] = bins.get(place, 0) + rows
    ends: dict[str, Any] = {
        "low": _end(min, one.low, two.low),
        "high": _end(max, one.high, two.high),
        "min_length": _end(min, one.min_length, two.min_length),
        "max_length": _end(max, one.max_length, two.max_length),
    }
    # The estimate of the union needs the sketches: it is made by `estimated`.
    sketch = {"sketch": "\n".join(part for part in (one.sketch, two.sketch) if part)}
    return found | {"bins": bins, "distinct": None} | ends | sketch | _moments(one, two)


def _end(choose: Any, one: Cell, two: Cell) -> Cell:
    known = [end for end in (one, two) if end is not None]
    found: Cell = choose(known) if known else None
    return found


def _moments(one: ColumnState, two: ColumnState) -> dict[str, Any]:
    """Central moments of two parts together."""
    a, b = one.finite, two.finite
    if not a or not b:
        part = one if a else two
        return {key: getattr(part, key) for key in ("finite", "mean", "m2", "m3", "m4")}
    n, d = a + b, two.mean - one.mean
    m2 = one.m2 + two.m2 + d**2 * a * b / n
    m3 = one.m3 + two.m3 + d**3 * a * b * (a - b) / n**2 + 3 * d * (a * two.m2 - b * one.m2) / n
    m4 = (
        one.m4
        + two.m4
        + d**4 * a * b * (a**2 - a * b + b**2) / n**3
        + 6 * d**2 * (a**2 * two.m2 + b**2 * one.m2) / n**2
        + 4 * d * (a * two.m3 - b * one.m3) / n
    )
    return {"finite": n, "mean": one.mean + d * b / n, "m2": m2, "m3": m3, "m4": m4}


def estimated(state: TableState, spark: Any) -> TableState:
    """Unite the sketches and estimate the distinct values. Jobs: one, over the sketches only."""
    pairs = [
        (at, base64.b64decode(part))
        for at, column in enumerate(state.columns)
        for part in column.sketch.split("\n")
        if part
    ]
    if not pairs:
        return state
    united = (
        spark.createDataFrame(pairs, "i int, s binary")
        .groupBy("i")
        .agg(F.hll_union_agg("s").alias("s"))
        .select("i", "s", F.hll_sketch_estimate("s").alias("n"))
    )
    found = {row["i"]: row for row in united.collect()}
    columns = [
        column.model_copy(
            update={
                "sketch": base64.b64encode(bytes(found[at]["s"])).decode(),
                "distinct": int(found[at]["n"]),
            }
        )
        if at in found
        else column
        for at, column in enumerate(state.columns)
    ]
    return state.model_copy(update={"columns": tuple(columns)})
