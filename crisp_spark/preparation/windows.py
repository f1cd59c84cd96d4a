"""Values from earlier rows: strictly before the row in time, so that no window looks ahead.

Rows of the same moment are left out, sums are taken in decimals and ties are broken by the hash of
the original record: a window's value does not depend on the layout.
"""

from __future__ import annotations

import re
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import Window as Over
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.window import WindowSpec

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import ROW, column, is_moment, need_columns, type_of
from crisp_spark.spec.deriving import Window

_UNIT_MICROS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?=\s|\d|$)")
_AT, _FOUND, _NUMBER, _WANTED, _KEY = (
    f"_crisp_window_{name}" for name in ("at", "found", "number", "wanted", "key")
)


def interval_micros(place: str, text: str) -> int:
    """Return the length of an interval such as ``7 days`` or ``1 hour 30 minutes`` in microseconds.

    Raises:
        SpecError: It cannot be read; months and years have no fixed length and are refused.
    """
    parts = _PART.findall(text.strip().lower())
    rest = _PART.sub("", text.strip().lower()).strip()
    if rest or not parts or any(unit not in _UNIT_MICROS for _, unit in parts):
        raise SpecError(
            f"{place}: an interval like '7 days' is expected, got {text!r}",
            hint=f"units: {', '.join(_UNIT_MICROS)}",
        )
    return round(sum(float(number) * _UNIT_MICROS[unit] for number, unit in parts))


def with_window(frame: DataFrame, op: Window) -> DataFrame:
    """Add one window column.

    The value is null where the row's own time, or a column it is partitioned by, is null.

    Rows: as given. Adds: ``op.name``. Drops: none. Jobs: none.

    Raises:
        MissingColumnsError: A column is not there.
        SpecError: A column has a type that the function cannot use.
    """
    place = f"preparation.derive {op.name!r}"
    need_columns(place, frame, [*op.partition_by, op.order_by, *([op.column] if op.column else [])])
    timed = frame.withColumn(_AT, _position(place, frame, op))
    if op.function == "lag" and op.offset > 1:
        return _with_far_lag(timed, op).drop(_AT)
    usable = [F.col(_AT), *map(column, op.partition_by)]
    complete = reduce(Column.__and__, [part.isNotNull() for part in usable])
    value = _value(place, timed, op)
    return timed.withColumn(op.name, F.when(complete, value)).drop(_AT)


def _position(place: str, frame: DataFrame, op: Window) -> Column:
    """Where the row stands: microseconds for a time, the number itself for a whole number."""
    kind = type_of(frame, op.order_by)
    if is_moment(kind):
        return F.unix_micros(column(op.order_by).cast("timestamp"))
    if isinstance(kind, T.IntegralType):
        if op.over or op.known_after or op.function == "recency":
            raise SpecError(
                f"{place}: over, known_after and recency need a time, got column {op.order_by!r} "
                f"of type {kind.simpleString()}"
            )
        return column(op.order_by).cast("bigint")
    raise SpecError(
        f"{place}: order_by must be a date, a time or a whole number, got column "
        f"{op.order_by!r} of type {kind.simpleString()}",
        hint="cast it first",
    )


def _earlier(place: str, op: Window) -> tuple[int, int]:
    """Bounds of the frame relative to the row: never the row's own moment or later."""
    end = -max(1, interval_micros(place, op.known_after)) if op.known_after else -1
    start = -interval_micros(place, op.over) if op.over else Over.unboundedPreceding
    if start > end:
        raise SpecError(
            f"{place}: nothing lies in the window, over {op.over} is shorter than known_after "
            f"{op.known_after}"
        )
    return start, end


def _value(place: str, frame: DataFrame, op: Window) -> Column:
    # Rows without a time come last, out of every frame of earlier rows.
    ordered = Over.partitionBy(*map(column, op.partition_by)).orderBy(F.col(_AT).asc_nulls_last())
    earlier = ordered.rangeBetween(*_earlier(place, op))
    if op.function == "count":
        return F.count("*").over(earlier)
    if op.function == "frequency":
        assert op.over is not None  # the spec demands it
        days = interval_micros(place, op.over) / _UNIT_MICROS["day"]
        return F.count("*").over(earlier) / F.lit(days)
    if op.function == "recency":
        unit = _UNIT_MICROS[op.unit.removesuffix("s")]
        return (F.col(_AT) - F.max(_AT).over(earlier)) / F.lit(unit)
    assert op.column is not None  # the spec demands it
    value = column(op.column)
    if op.function == "lag":
        ties = [F.col(ROW)] if ROW in frame.columns else []
        return F.max(F.struct(F.col(_AT), *ties, value.alias("value"))).over(earlier)["value"]
    if op.function in {"min", "max"}:
        return (F.min if op.function == "min" else F.max)(value).over(earlier)
    return _moment(op.function, _number(place, frame, op), earlier)


def _moment(function: str, value: Column, earlier: WindowSpec) -> Column:
    """Sum, mean or standard deviation in decimals, which do not depend on the order of rows."""
    exact = value.cast("decimal(24,6)")
    rows = F.count(exact).over(earlier)
    total = F.sum(exact).over(earlier).cast("double")
    if function == "sum":
        return total
    if function == "mean":
        return F.when(rows > 0, total / F.nullif(rows, F.lit(0)))
    square = (exact.cast("double") * exact.cast("double")).cast("decimal(38,6)")
    squares = F.sum(square).over(earlier).cast("double")
    variance = (squares - total * total / F.nullif(rows, F.lit(0))) / F.when(rows > 1, rows - 1)
    return F.sqrt(F.when(variance < 0, 0.0).otherwise(variance))


def _number(place: str, frame: DataFrame, op: Window) -> Column:
    assert op.column is not None  # the spec demands it
    kind = type_of(frame, op.column)
    if not isinstance(kind, T.NumericType | T.BooleanType):
        raise SpecError(
            f"{place}: {op.function} needs a number, got column {op.column!r} of type "
            f"{kind.simpleString()}"
        )
    value = column(op.column)
    number = value.cast("int") if isinstance(kind, T.BooleanType) else value
    if isinstance(kind, T.DoubleType | T.FloatType):
        finite = ~F.isnan(number) & (F.abs(number) < F.lit(1e17))
        number = F.when(finite, number)
    return number


def _with_far_lag(frame: DataFrame, op: Window) -> DataFrame:
    """Look ``op.offset`` rows back from the first row of the row's own moment."""
    assert op.column is not None  # the spec demands it
    parts = list(map(column, op.partition_by))
    keys = [f"{_KEY}{number}" for number in range(len(parts))]
    ties = [F.col(ROW)] if ROW in frame.columns else []
    # Rows without a time come last: they have no place in the order and push nobody back.
    order = Over.partitionBy(*parts).orderBy(F.col(_AT).asc_nulls_last(), *ties)
    rows = frame.withColumn(_NUMBER, F.row_number().over(order))
    first = F.min(_NUMBER).over(Over.partitionBy(*parts, _AT))
    rows = rows.withColumn(_WANTED, F.when(F.col(_AT).isNotNull(), first - F.lit(op.offset)))
    rows = rows.withColumns(dict(zip(keys, parts, strict=True)))
    earlier = rows.select(*keys, F.col(_NUMBER).alias(_WANTED), column(op.column).alias(_FOUND))
    joined = rows.join(earlier, [*keys, _WANTED], "left")
    return joined.withColumn(op.name, F.col(_FOUND)).select(
        *map(column, frame.columns), column(op.name)
    )
