"""Cleaning operations that change cells: new values by column, from the row alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    ROW,
    analysed,
    column,
    is_fraction,
    is_number,
    is_text,
    need_columns,
    need_type,
    type_of,
    user_columns,
)
from crisp_spark.preparation.constants import constant, constant_or_none
from crisp_spark.spec import cleaning as ops
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.deriving import bin_sql

SPACE = r"[\s\p{Z}\u200B\uFEFF]+"
"""White space as people see it, also the kinds that trim() leaves."""

Values = dict[str, Column]
"""New value by column; columns that are not there yet are added."""


def new_values(place: str, frame: DataFrame, op: ops.CleanOp) -> Values:
    """Return the columns that a cell operation makes.

    Raises:
        MissingColumnsError: It names a column that is not there.
        SpecError: A column has the wrong type for it.
    """
    return _MAKERS[type(op)](place, frame, op)


def changes_cells(op: ops.CleanOp) -> bool:
    """Say whether the operation only changes cells or adds columns."""
    if isinstance(op, ops.Outside):
        return op.op != "drop_outside"
    return type(op) in _MAKERS


def texts(place: str, frame: DataFrame, columns: ops.Columns) -> list[str]:
    """Names of the text columns that an operation is for."""
    if columns == "*":
        return [name for name in user_columns(frame) if is_text(type_of(frame, name))]
    need_type(place, frame, columns, "text")
    return list(columns)


def _missing_codes(place: str, frame: DataFrame, op: ops.MissingCodes) -> Values:
    names = user_columns(frame) if op.columns == "*" else list(op.columns)
    need_columns(place, frame, names)
    found: Values = {}
    for name in names:
        tests = [
            test
            for code in op.codes
            if (test := _is_code(type_of(frame, name), column(name), code, op.ignore_case))
            is not None
        ]
        if not tests and op.columns != "*":
            raise SpecError(
                f"{place}: wrong type: no code fits column {name!r} of type "
                f"{type_of(frame, name).simpleString()}, got {op.codes}"
            )
        if tests:
            hit = F.lit(False)
            for test in tests:
                hit = hit | test
            found[name] = F.when(~F.coalesce(hit, F.lit(False)), column(name))
    return found


def _is_code(kind: T.DataType, value: Column, code: ops.Scalar, ignore_case: bool) -> Column | None:
    if is_fraction(kind) and str(code).lower() == "nan":
        return F.isnan(value.cast("double"))
    if is_text(kind):
        text = code if isinstance(code, str) else None
        if text is None and not isinstance(code, bool):
            text = repr(code)
        if text is None:
            return None
        if ignore_case:
            return (
                F.lower(F.regexp_replace(value, f"^{SPACE}|{SPACE}$", "")) == text.strip().lower()
            )
        return value == F.lit(text)
    made = constant_or_none(kind, code)
    return None if made is None else value == made


def _trim(place: str, frame: DataFrame, op: ops.Trim) -> Values:
    found: Values = {}
    for name in texts(place, frame, op.columns):
        value = F.regexp_replace(column(name), f"^{SPACE}|{SPACE}$", "")
        if op.collapse:
            value = F.regexp_replace(value, SPACE, " ")
        if op.empty_to_null:
            value = F.nullif(value, F.lit(""))
        found[name] = value
    return found


def _case(place: str, frame: DataFrame, op: ops.Case) -> Values:
    function = {"lower": F.lower, "upper": F.upper, "title": F.initcap}[op.to]
    return {name: function(column(name)) for name in texts(place, frame, op.columns)}


def _unicode(place: str, frame: DataFrame, op: ops.Unicode) -> Values:
    from crisp_spark.preparation.unicode import with_normal_form

    return {
        name: with_normal_form(column(name), op.form, strip_accents=op.strip_accents)
        for name in texts(place, frame, op.columns)
    }


def _replace(place: str, frame: DataFrame, op: ops.Replace) -> Values:
    return {
        name: F.regexp_replace(column(name), op.pattern, op.replacement)
        for name in texts(place, frame, op.columns)
    }


def _map(place: str, frame: DataFrame, op: ops.MapValues) -> Values:
    need_columns(place, frame, op.columns)
    return {name: _mapped(place, frame, op, name) for name in op.columns}


def _mapped(place: str, frame: DataFrame, op: ops.MapValues, name: str) -> Column:
    kind = type_of(frame, name)
    replacements = [*op.values.values(), op.missing]
    if op.others == "default":
        replacements.append(op.default)
    target = _type_for(place, name, kind, [r for r in replacements if r is not None], op.others)

    def made(value: Any) -> Column:
        return F.lit(None).cast(target) if value is None else constant(place, name, target, value)

    value = column(name)
    mapped = F.when(value.isNull(), made(op.missing))
    for text, replacement in op.values.items():
        mapped = mapped.when(_equals(place, name, kind, text), made(replacement))
    others = {"keep": value.cast(target), "null": made(None), "default": made(op.default)}
    return mapped.otherwise(others[op.others])


def _equals(place: str, name: str, kind: T.DataType, text: str) -> Column:
    if is_text(kind):
        return column(name) == F.lit(text)
    value: bool | float | str = text
    if isinstance(kind, T.BooleanType):
        value = text.lower() == "true" if text.lower() in {"true", "false"} else text
    elif is_number(kind):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        value = int(number) if number == number // 1 else number
    return column(name) == constant(place, name, kind, value)


def _type_for(
    place: str, name: str, kind: T.DataType, values: list[ops.Scalar], others: str
) -> T.DataType:
    """Type of a mapped column: as before where the new values fit, else that of the new values."""
    if all(constant_or_none(kind, value) is not None for value in values):
        return kind
    for candidate in (T.BooleanType(), T.IntegerType(), T.DoubleType(), T.StringType()):
        if all(constant_or_none(candidate, value) is not None for value in values) and (
            others != "keep" or is_text(candidate) or is_number(kind)
        ):
            return candidate
    raise SpecError(
        f"{place}: wrong type: column {name!r} is {kind.simpleString()} and cannot take the new "
        f"values {values}",
        hint="give all values one type, or set others to null or default",
    )


def _fill(place: str, frame: DataFrame, op: ops.Fill) -> Values:
    if op.values:
        need_columns(place, frame, op.values)
        return {
            name: F.coalesce(column(name), constant(place, name, type_of(frame, name), value))
            for name, value in op.values.items()
        }
    names = user_columns(frame) if op.columns == "*" else list(op.columns)
    need_columns(place, frame, names)
    if op.expression is not None:
        with analysed(place, frame):
            made = F.expr(op.expression)
            frame.select(*(F.coalesce(column(n), made.cast(type_of(frame, n))) for n in names))
        return {n: F.coalesce(column(n), made.cast(type_of(frame, n))) for n in names}
    assert op.value is not None
    found: Values = {}
    for name in names:
        kind = type_of(frame, name)
        if op.columns == "*":
            fitting = constant_or_none(kind, op.value)
        else:
            fitting = constant(place, name, kind, op.value)
        if fitting is not None:
            found[name] = F.coalesce(column(name), fitting)
    return found


def _flag_missing(place: str, frame: DataFrame, op: ops.FlagMissing) -> Values:
    need_columns(place, frame, op.columns)
    return {f"{name}{op.suffix}": column(name).isNull().cast("int") for name in op.columns}


def outside(place: str, frame: DataFrame, op: ops.Outside, name: str) -> tuple[Column, Column]:
    """Conditions "below the smallest" and "above the largest valid value"; never null."""
    need_type(place, frame, [name], "number", "moment")
    never = F.lit(False)
    kind, value = type_of(frame, name), column(name)
    # Bounds of a whole-number column may be fractions: compare as double then.
    if isinstance(kind, T.IntegralType) and any(isinstance(b, float) for b in (op.min, op.max)):
        kind, value = T.DoubleType(), value.cast("double")
    low = never if op.min is None else value < constant(place, name, kind, op.min)
    high = never if op.max is None else value > constant(place, name, kind, op.max)
    return F.coalesce(low, never), F.coalesce(high, never)


def _outside(place: str, frame: DataFrame, op: ops.Outside) -> Values:
    found: Values = {}
    for name in op.columns:
        low, high = outside(place, frame, op, name)
        kind, value = type_of(frame, name), column(name)
        if op.op == "flag_outside":
            found[f"{name}{op.suffix}"] = (low | high).cast("int")
        elif op.op == "null_outside":
            found[name] = F.when(~(low | high), value)
        else:
            clipped = F.when(low, value if op.min is None else constant(place, name, kind, op.min))
            clipped = clipped.when(
                high, value if op.max is None else constant(place, name, kind, op.max)
            )
            found[name] = clipped.otherwise(value)
    return found


def _round(place: str, frame: DataFrame, op: ops.Round) -> Values:
    if op.columns == "*":
        names = [name for name in user_columns(frame) if is_fraction(type_of(frame, name))]
    else:
        names = list(op.columns)
        need_type(place, frame, names, "number")
    return {name: F.round(column(name), op.digits).cast(type_of(frame, name)) for name in names}


def _bin(place: str, frame: DataFrame, op: ops.Bin) -> Values:
    need_type(place, frame, op.columns, "number")
    return {f"{name}{op.suffix}": F.expr(bin_sql(name, op.edges, op.labels)) for name in op.columns}


def _smooth(place: str, frame: DataFrame, op: ops.Smooth) -> Values:
    need_type(place, frame, op.columns, "number")
    need_columns(place, frame, [op.order_by, *op.partition_by])
    ties = [column(ROW)] if ROW in frame.columns else []
    window = (
        Window.partitionBy(F.col(DROPPED_BY).isNull(), *map(column, op.partition_by))
        .orderBy(column(op.order_by), *ties)
        .rowsBetween(1 - op.rows, 0)
    )
    return {
        f"{name}{op.suffix}": F.when(
            column(name).isNotNull(), F.avg(column(name).cast("double")).over(window)
        )
        for name in op.columns
    }


def _cast(place: str, frame: DataFrame, op: ops.Cast) -> Values:
    need_columns(place, frame, op.columns)
    found: Values = {}
    for name, wanted in op.columns.items():
        if op.format is not None and wanted.lower() in {"date", "timestamp"}:
            text = f"try_to_timestamp(CAST({quoted(name)} AS STRING), '{_escaped(op.format)}')"
            made = F.expr(f"CAST({text} AS {wanted})")
        else:
            made = F.expr(f"try_cast({quoted(name)} AS {wanted})")
        with analysed(place, frame):
            frame.select(made)
        found[name] = made
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


DROPPED_BY = "_crisp_dropped_by"
"""Number of the operation that dropped the row; null while it is alive."""

_MAKERS: Mapping[type[Any], Callable[[str, DataFrame, Any], Values]] = {
    ops.MissingCodes: _missing_codes,
    ops.Trim: _trim,
    ops.Case: _case,
    ops.Unicode: _unicode,
    ops.Replace: _replace,
    ops.MapValues: _map,
    ops.Fill: _fill,
    ops.FlagMissing: _flag_missing,
    ops.Outside: _outside,
    ops.Round: _round,
    ops.Bin: _bin,
    ops.Smooth: _smooth,
    ops.Cast: _cast,
}
