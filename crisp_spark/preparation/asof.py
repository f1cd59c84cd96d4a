"""Point-in-time joins: each left row gets the last right row known at its time, no later one."""

from __future__ import annotations

from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    ROW,
    analysed,
    column,
    is_moment,
    is_number,
    need_type,
    type_of,
)
from crisp_spark.preparation.joining import Joined, check_keys, matched_flag, right_names
from crisp_spark.spec.merging import AsOf, MergeStep
from crisp_spark.spec.sqltext import literal

_TIME, _SIDE, _TIE = "_crisp_time", "_crisp_side", "_crisp_tie"
_LEFT, _RIGHT, _LAST = "_crisp_l", "_crisp_r", "_crisp_last"
_SEEN = "_crisp_seen"


def join_asof(place: str, step: MergeStep, left: DataFrame, right: DataFrame) -> Joined:
    """Join each left row with the last right row at or before its time, per key.

    Both sides are laid one below the other, ordered by time within the key, and each left row
    takes the last right row above it: one shuffle, whatever the number of right rows per key. Of
    right rows with the same key and time the one with the largest ``_crisp_row`` counts. Null keys
    and null times match nothing.

    Rows: unchanged. Adds: right columns, flag. Drops: right keys. Jobs: none.
    """
    assert step.asof is not None
    check_keys(place, step, left, right)
    _check_times(place, step.asof, left, right)
    names = right_names(place, step, left, right)
    keys = [f"_crisp_k{n}" for n in range(len(step.keys))]
    both = _left_side(step, left, keys).unionByName(
        _right_side(step, right, keys, names), allowMissingColumns=True
    )
    window = (
        Window.partitionBy(*keys)
        .orderBy(_TIME, _SIDE, F.col(_TIE).asc_nulls_first())
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    with analysed(place, left):
        last = both.withColumn(_LAST, F.last(_RIGHT, ignorenulls=True).over(window))
        matched = _in_time(step.asof, type_of(left, step.asof.left))
        last = last.where(F.col(_LEFT).isNotNull()).withColumn(matched_flag(step), matched)
    frame = last.select(
        *(F.col(_LEFT).getField(name).alias(name) for name in left.columns),
        *(
            F.when(F.col(matched_flag(step)), F.col(_LAST).getField(new)).alias(new)
            for new in names.values()
        ),
        F.col(matched_flag(step)),
    )
    absent = {name: ~F.col(matched_flag(step)) for name in names.values()}
    return Joined(step, place, (left, right), frame, added=tuple(names.values()), absent=absent)


def _left_side(step: MergeStep, left: DataFrame, keys: list[str]) -> DataFrame:
    assert step.asof is not None
    return left.select(
        *(column(name).alias(key) for name, key in zip(step.keys, keys, strict=True)),
        column(step.asof.left).alias(_TIME),
        # A right row of the same time stands above the left row only where that is allowed.
        F.lit(1 if step.asof.allow_exact else 0).alias(_SIDE),
        F.struct(*map(column, left.columns)).alias(_LEFT),
    )


def _right_side(
    step: MergeStep, right: DataFrame, keys: list[str], names: dict[str, str]
) -> DataFrame:
    assert step.asof is not None
    needed = [*step.keys.values(), step.asof.right]
    known = reduce(and_, (column(name).isNotNull() for name in needed))
    payload = [column(name).alias(new) for name, new in names.items()]
    return right.where(known).select(
        *(column(name).alias(key) for name, key in zip(step.keys.values(), keys, strict=True)),
        column(step.asof.right).alias(_TIME),
        F.lit(0 if step.asof.allow_exact else 1).alias(_SIDE),
        (F.col(ROW) if ROW in right.columns else F.lit(None).cast("bigint")).alias(_TIE),
        F.struct(column(step.asof.right).alias(_SEEN), *payload).alias(_RIGHT),
    )


def _in_time(asof: AsOf, kind: T.DataType) -> Column:
    found = F.col(_LAST).isNotNull() & F.col(_TIME).isNotNull()
    if asof.tolerance is None:
        return found
    if is_number(kind):
        oldest = F.col(_TIME) - F.lit(float(asof.tolerance))
    else:
        oldest = F.expr(f"{_TIME} - INTERVAL {literal(asof.tolerance)}")
    return F.coalesce(found & (F.col(_LAST).getField(_SEEN) >= oldest), F.lit(False))


def _check_times(place: str, asof: AsOf, left: DataFrame, right: DataFrame) -> None:
    need_type(place, left, [asof.left], "moment", "number")
    need_type(place, right, [asof.right], "moment", "number")
    one, other = type_of(left, asof.left), type_of(right, asof.right)
    if is_moment(one) != is_moment(other):
        raise SpecError(
            f"{place}: wrong type: times {asof.left!r} and {asof.right!r} cannot be compared, got "
            f"{one.simpleString()} and {other.simpleString()}"
        )
    if is_number(one) and asof.tolerance is not None:
        try:
            float(asof.tolerance)
        except ValueError as error:
            raise SpecError(
                f"{place}: {asof.left!r} is a number, so tolerance must be one, "
                f"got {asof.tolerance!r}"
            ) from error
