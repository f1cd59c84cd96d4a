"""Cleaning operations that drop rows: the reason per row, null where the row stays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    FILE,
    ROW,
    analysed,
    column,
    need_columns,
    type_of,
    user_columns,
)
from crisp_spark.preparation.clean_cells import DROPPED_BY, outside
from crisp_spark.spec import cleaning as ops


def drop_reason(place: str, frame: DataFrame, op: ops.CleanOp) -> Column:
    """Return why the operation drops a row, as text; null where the row stays.

    Raises:
        MissingColumnsError: It names a column that is not there.
        SpecError: Its expression, or the type of a column, does not fit.
    """
    if isinstance(op, ops.Filter):
        stays = condition(place, frame, op.expression)
        return F.when(~stays, F.lit(op.reason))
    if isinstance(op, ops.Deduplicate):
        return F.when(_is_duplicate(place, frame, op), F.lit(op.reason or _same(op)))
    if isinstance(op, ops.DropMissing):
        return _missing_too_much(place, frame, op)
    if isinstance(op, ops.Outside):
        bad = [F.when(or_(*outside(place, frame, op, name)), F.lit(name)) for name in op.columns]
        first = F.coalesce(*bad)
        why = op.reason or f"outside {_bounds(op)}"
        return F.when(first.isNotNull(), F.concat(F.lit(f"{why}: "), first))
    raise SpecError(f"{place}: {op.op!r} drops no rows")


def drops_rows(op: ops.CleanOp) -> bool:
    """Say whether the operation drops rows by a rule of its own."""
    if isinstance(op, ops.Outside):
        return op.op == "drop_outside"
    if isinstance(op, ops.DropMissing):
        return op.axis == "rows"
    return isinstance(op, ops.Filter | ops.Deduplicate)


def condition(place: str, frame: DataFrame, expression: str) -> Column:
    """Return a SQL condition that is false where it is unknown.

    Raises:
        MissingColumnsError: It names a column that is not there.
        SpecError: It cannot be read, or is no condition.
    """
    with analysed(place, frame):
        made = F.expr(expression)
        kind = frame.select(made.alias("_crisp_test")).schema.fields[0].dataType
    if not isinstance(kind, T.BooleanType):
        raise SpecError(
            f"{place}: wrong type: a condition is needed, got {expression!r} of type "
            f"{kind.simpleString()}"
        )
    return F.coalesce(made, F.lit(False))


def missing_share_columns(place: str, frame: DataFrame, op: ops.DropMissing) -> list[str]:
    """Columns whose missing share decides."""
    if op.columns == "*":
        return user_columns(frame)
    need_columns(place, frame, op.columns)
    return list(op.columns)


def sparse_columns(op: ops.DropMissing, shares: Mapping[str, float]) -> list[str]:
    """Columns that miss more than is tolerated."""
    return [name for name, share in shares.items() if share > op.max_share]


def _missing_too_much(place: str, frame: DataFrame, op: ops.DropMissing) -> Column:
    names = missing_share_columns(place, frame, op)
    if not names:
        return F.lit(None).cast("string")
    missing = reduce(lambda a, b: a + b, (column(name).isNull().cast("int") for name in names))
    # Whole numbers on both sides: 3 of 10 is not more than 0.3, whatever binary fractions say.
    limit = int(op.max_share * len(names) + 1e-9)
    what = "any column" if op.columns == "*" else ", ".join(names)
    why = op.reason or f"more than {op.max_share:.0%} missing of {what}"
    return F.when(missing > limit, F.lit(why))


def _is_duplicate(place: str, frame: DataFrame, op: ops.Deduplicate) -> Column:
    names = op.keys or user_columns(frame)
    needed = [*names, *([op.order_by] if op.order_by else [])]
    need_columns(place, frame, needed)
    for name in names:
        if isinstance(type_of(frame, name), T.MapType):
            raise SpecError(f"{place}: wrong type: {name!r} is a map, which cannot be compared")
    alive = F.col(DROPPED_BY).isNull()
    window = Window.partitionBy(alive, *map(column, names)).orderBy(*_order(frame, op))
    again = F.row_number().over(window) > 1
    if op.keys:
        # An unknown key says nothing about another unknown key.
        again = again & ~reduce(or_, (column(name).isNull() for name in names))
    return again


def _order(frame: DataFrame, op: ops.Deduplicate) -> list[Column]:
    order: list[Column] = []
    if op.survivor == "most_complete":
        cells = (column(name).isNotNull().cast("int") for name in user_columns(frame))
        order.append(reduce(lambda a, b: a + b, cells).desc())
    if op.order_by:
        by = column(op.order_by)
        order.append(by.desc_nulls_last() if op.survivor == "last" else by.asc_nulls_last())
    order += [column(name) for name in (ROW, FILE) if name in frame.columns]
    if ROW not in frame.columns:
        order += [
            column(name)
            for name in user_columns(frame)
            if not isinstance(type_of(frame, name), T.MapType)
        ]
    return order


def _same(op: ops.Deduplicate) -> str:
    return f"duplicate of {', '.join(op.keys)}" if op.keys else "duplicate record"


def _bounds(op: ops.Outside) -> str:
    low = "-" if op.min is None else op.min
    high = "-" if op.max is None else op.max
    return f"{low} to {high}"
