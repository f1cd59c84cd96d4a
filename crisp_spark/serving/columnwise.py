"""Spark SQL on columns: the functions worth it on arrays, all others value by value.

The meaning of every function is that of its counterpart for one row; only those whose arrays give
the same bits are here. Logarithms and their kin stay value by value, because NumPy's differ from
the standard library's in the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crisp_spark.serving.calendar import DAY, SECOND
from crisp_spark.serving.columns import (
    Column,
    ColumnRun,
    Frame,
    GiveUpError,
    Mask,
    Values,
    column_of,
    refuse_where,
    strict,
)
from crisp_spark.serving.comparing import compared
from crisp_spark.serving.nodes import Node
from crisp_spark.serving.typenames import WHOLE

Make = Callable[[Node, list[ColumnRun]], ColumnRun | None]
"""From a node and its arguments on columns to its function; None where there is none."""

_PRODUCT = 2**31
"""Whole numbers below this have products of at most 62 bits."""


# --- numbers -------------------------------------------------------------------------------------


def _fits(values: Values, kind: str, active: Mask) -> Values:
    low, high = WHOLE[kind]
    refuse_where((values < low) | (values > high), active)
    return values


def _add(kind: str, a: Values, b: Values, active: Mask) -> Values:
    found = a + b
    if kind == "bigint":
        refuse_where(((a ^ found) & (b ^ found)) < 0, active)
    return found


def _subtract(kind: str, a: Values, b: Values, active: Mask) -> Values:
    found = a - b
    if kind == "bigint":
        refuse_where(((a ^ b) & (a ^ found)) < 0, active)
    return found


def _multiply(kind: str, a: Values, b: Values, active: Mask) -> Values:
    if kind == "bigint":
        large = (a >= _PRODUCT) | (a <= -_PRODUCT) | (b >= _PRODUCT) | (b <= -_PRODUCT)
        refuse_where(large, active)
    return np.asarray(a * b)


_SUMS = {"Add": _add, "Subtract": _subtract, "Multiply": _multiply}


def _arithmetic(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    kind, function = node["t"], _SUMS[node["f"]]
    if node.get("mode") is not None or (kind != "double" and kind not in WHOLE):
        return None

    def apply(values: list[Values], active: Mask) -> Values:
        found = function(kind, values[0], values[1], active)
        return found if kind == "double" else _fits(found, kind, active)

    return strict(apply)(arguments)


def _divided(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    name, kind = node["f"], node["a"][0]["t"]
    if node.get("mode") is not None or not (
        (name in ("Divide", "Remainder") and kind == "double")
        or (name in ("Remainder", "Pmod") and kind in WHOLE)
    ):
        return None
    whole = kind != "double"

    def apply(values: list[Values], active: Mask) -> Values:
        divisor, value = values
        refuse_where(divisor == 0, active)
        if whole:
            # The smallest number has no counterpart; and no division by what does not count.
            refuse_where(divisor == -1, active)
            divisor = np.where(active, divisor, 1)
        if name == "Divide":
            return np.asarray(value / divisor)
        rest = np.fmod(value, divisor)
        if name == "Pmod":
            rest = np.where(rest < 0, np.fmod(rest + divisor, divisor), rest)
        return np.asarray(rest)

    # The divisor is looked at first.
    return strict(apply)(arguments[::-1])


def _numeric(function: Callable[[Values], Values], *, edge: bool = False) -> Make:
    """A function of one number; ``edge``: the smallest whole number has no result."""

    def make(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
        kind = node["t"]
        if kind != "double" and kind not in WHOLE:
            return None

        def apply(values: list[Values], active: Mask) -> Values:
            (value,) = values
            if edge and kind != "double":
                refuse_where(value == WHOLE[kind][0], active)
            return function(value)

        return strict(apply)(arguments)

    return make


def _sign(x: Values) -> Values:
    return np.where((x == 0) | np.isnan(x), x, np.copysign(1.0, x))


def _signum(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    if node["a"][0]["t"] != "double":
        return None
    return strict(lambda values, _active: _sign(values[0]))(arguments)


def whole_of(x: Values) -> Values:
    """Return floats without a fraction as 64-bit whole numbers; NaN gives 0, others the ends."""
    low, high = WHOLE["bigint"]
    inside = (x > float(low)) & (x < float(high))
    found = np.where(inside, x, 0.0).astype(np.int64)
    return np.where(inside | np.isnan(x), found, np.where(x > 0, high, low))


def _to_whole(function: Callable[[Values], Values]) -> Make:
    def make(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
        if node["a"][0]["t"] != "double" or node["t"] != "bigint":
            return None
        return strict(lambda values, _active: whole_of(function(values[0])))(arguments)

    return make


# --- days and clocks -----------------------------------------------------------------------------


def civil(days: Values) -> tuple[Values, Values, Values]:
    """Return years, months and days of the month of days since 1970-01-01."""
    era, rest = np.divmod(days + 719_468, 146_097)
    of_era = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    of_year = rest - (365 * of_era + of_era // 4 - of_era // 100)
    at = (5 * of_year + 2) // 153
    month = np.where(at < 10, at + 3, at - 9)  # noqa: PLR2004
    return of_era + era * 400 + (month <= 2), month, of_year - (153 * at + 2) // 5 + 1  # noqa: PLR2004


def _of_values(function: Callable[[Values], Values]) -> Make:
    return lambda _node, arguments: strict(lambda values, _active: np.asarray(function(values[0])))(
        arguments
    )


def _of_two(function: Callable[[Values, Values], Values]) -> Make:
    return lambda _node, arguments: strict(
        lambda values, _active: np.asarray(function(values[0], values[1]))
    )(arguments)


# --- casts ---------------------------------------------------------------------------------------


def cast(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    """Return a cast between numbers, truth values, days and moments; None for any other."""
    source, target = node["a"][0]["t"], node["t"]
    if source == target:
        return arguments[0]
    if node.get("mode") is not None:
        return None
    convert = _conversion(source, target)
    return None if convert is None else strict(convert)(arguments)


def _conversion(source: str, target: str) -> Callable[[list[Values], Mask], Values] | None:
    if target == "double" and (source in WHOLE or source in ("boolean", "float")):
        return lambda values, _active: values[0].astype(np.float64)
    if target in WHOLE and source == "boolean":
        return lambda values, _active: values[0].astype(np.int64)
    if target in WHOLE and source in WHOLE:
        return lambda values, active: _fits(values[0], target, active)
    if target in WHOLE and source == "double":
        return lambda values, active: _cut(values[0], target, active)
    if target == "boolean" and (source in WHOLE or source == "double"):
        return lambda values, _active: np.asarray(values[0] != 0)
    if target == "date" and source in ("timestamp", "timestamp_ntz"):
        return lambda values, _active: np.asarray(values[0] // DAY)
    return None


def _cut(x: Values, kind: str, active: Mask) -> Values:
    low, high = WHOLE[kind]
    bad = ~np.isfinite(x) | (np.floor(x) > float(high)) | (np.ceil(x) < low)
    refuse_where(bad, active)
    # Close to the ends, floats go beyond them.
    return np.clip(whole_of(np.trunc(x)), low, high)


# --- look-ups ------------------------------------------------------------------------------------


def looked_up(
    table: Sequence[Any] | None, kind: str, place: ColumnRun, *, fails: bool
) -> ColumnRun:
    """Return the element of a list that is the same for every row, by its place from 1 on."""
    entries = column_of(table or [], kind)
    count = len(entries.values)

    def run(frame: Frame, active: Mask) -> Column:
        if table is None:
            raise GiveUpError
        found = place(frame, active)
        at = np.where(found.values < 0, found.values + count + 1, found.values)
        outside = (at < 1) | (at > count)
        refuse_where(found.values == 0, active & ~found.null)
        if fails or not count:
            refuse_where(outside, active & ~found.null)
        chosen = np.where(outside, 1, at) - 1
        return Column(entries.values[chosen], entries.null[chosen] | found.null | outside)

    return run


STRICT: Mapping[str, Make] = {
    **dict.fromkeys(_SUMS, _arithmetic),
    **dict.fromkeys(("Divide", "Remainder", "Pmod"), _divided),
    **dict.fromkeys(
        ("EqualTo", "LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual"), compared
    ),
    "Not": _of_values(operator.invert),
    "UnaryMinus": _numeric(operator.neg, edge=True),
    "Abs": _numeric(np.abs, edge=True),
    "Sqrt": _numeric(np.sqrt),
    "Signum": _signum,
    "Floor": _to_whole(np.floor),
    "Ceil": _to_whole(np.ceil),
    "Year": _of_values(lambda days: civil(days)[0]),
    "Quarter": _of_values(lambda days: (civil(days)[1] + 2) // 3),
    "Month": _of_values(lambda days: civil(days)[1]),
    "DayOfMonth": _of_values(lambda days: civil(days)[2]),
    "DayOfWeek": _of_values(lambda days: (days + 4) % 7 + 1),
    "WeekDay": _of_values(lambda days: (days + 3) % 7),
    "Hour": _of_values(lambda micros: micros // (3600 * SECOND) % 24),
    "Minute": _of_values(lambda micros: micros // (60 * SECOND) % 60),
    "Second": _of_values(lambda micros: micros // SECOND % 60),
    "DateAdd": _of_two(operator.add),
    "DateSub": _of_two(operator.sub),
    "DateDiff": _of_two(operator.sub),
}
"""Functions that are null where an argument is, by the name of their node."""
