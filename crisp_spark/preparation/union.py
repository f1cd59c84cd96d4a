"""Unions: rows one below the other, columns matched by name, types reconciled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    FILE,
    ROW,
    column,
    is_moment,
    is_number,
    user_columns,
)
from crisp_spark.preparation.joining import FLAGS, Joined
from crisp_spark.spec.merging import MergeStep

_WIDTH = ("tinyint", "smallint", "int", "bigint", "float", "double")


def input_flag(step: MergeStep) -> str:
    """Column with the number of the input that a row came from, from 0."""
    return f"_crisp_input_{step.id}"


def union_frames(place: str, step: MergeStep, frames: Sequence[DataFrame]) -> Joined:
    """Lay frames one below the other.

    A column that an input lacks is null there. Different types become one that holds both: the
    wider number, timestamp for date and timestamp, text for all else. ``distinct`` keeps one of
    the rows that are equal in every column.

    Rows: of all inputs. Adds: missing columns, flag. Drops: equal rows if asked. Jobs: none.
    """
    kinds, changes = _common_types(place, frames)
    own = [
        name
        for name in dict.fromkeys(name for frame in frames for name in frame.columns)
        if name in {ROW, FILE} or name.startswith(FLAGS)
    ]
    made = [_aligned(frame, kinds, own, number, step) for number, frame in enumerate(frames)]
    frame = made[0]
    for other in made[1:]:
        frame = frame.unionByName(other, allowMissingColumns=True)
    if step.distinct:
        frame = _one_of_equal(frame, list(kinds), input_flag(step))
    absent: dict[str, Column] = {}
    for name in kinds:
        lacking = [n for n, one in enumerate(frames) if name not in user_columns(one)]
        if lacking:
            absent[name] = F.col(input_flag(step)).isin(lacking)
    first = set(user_columns(frames[0]))
    added = tuple(name for name in kinds if name not in first)
    return Joined(
        step, place, tuple(frames), frame, added=added, absent=absent, type_changes=changes
    )


def common_type(one: T.DataType, other: T.DataType) -> T.DataType:
    """Return the type that holds the values of both."""
    if one == other:
        return one
    a, b = one.simpleString(), other.simpleString()
    if a in _WIDTH and b in _WIDTH:
        wide = _WIDTH[max(_WIDTH.index(a), _WIDTH.index(b))]
        # A float does not hold every int or bigint; a double holds every int.
        return T.DoubleType() if wide == "float" else (one if a == wide else other)
    if is_number(one) and is_number(other):
        return _with_decimal(one, other)
    if is_moment(one) and is_moment(other):
        return T.TimestampType()
    return T.StringType()


def _with_decimal(one: T.DataType, other: T.DataType) -> T.DataType:
    digits = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}
    parts = []
    for kind in (one, other):
        if isinstance(kind, T.DecimalType):
            parts.append((kind.precision - kind.scale, kind.scale))
        elif kind.simpleString() in digits:
            parts.append((digits[kind.simpleString()], 0))
        else:
            return T.DoubleType()
    whole, scale = max(p[0] for p in parts), max(p[1] for p in parts)
    return T.DecimalType(min(38, whole + scale), scale)


def _common_types(
    place: str, frames: Sequence[DataFrame]
) -> tuple[dict[str, T.DataType], dict[str, str]]:
    kinds: dict[str, T.DataType] = {}
    seen: dict[str, list[str]] = {}
    for frame in frames:
        for field in frame.schema.fields:
            if field.name not in user_columns(frame):
                continue
            known = kinds.get(field.name, field.dataType)
            kinds[field.name] = common_type(known, field.dataType)
            seen.setdefault(field.name, []).append(field.dataType.simpleString())
            if kinds[field.name] == T.StringType() and isinstance(
                field.dataType, T.ArrayType | T.MapType | T.StructType
            ):
                raise SpecError(
                    f"{place}: wrong type: column {field.name!r} is {', '.join(seen[field.name])}",
                    hint="derive a column of one type before the union, or leave it out",
                )
    lower = Counter(name.lower() for name in kinds)
    clashes = sorted(name for name in kinds if lower[name.lower()] > 1)
    if clashes:
        raise SpecError(f"{place}: names differ only in case: {', '.join(clashes)}")
    changes = {
        name: f"{', '.join(dict.fromkeys(types))} -> {kinds[name].simpleString()}"
        for name, types in seen.items()
        if len(set(types)) > 1
    }
    return kinds, changes


def _aligned(
    frame: DataFrame,
    kinds: dict[str, T.DataType],
    own: list[str],
    number: int,
    step: MergeStep,
) -> DataFrame:
    known = set(frame.columns)
    return frame.select(
        *(
            (column(name) if name in known else F.lit(None)).cast(kind).alias(name)
            for name, kind in kinds.items()
        ),
        *(column(name) for name in own if name in known),
        F.lit(number).alias(input_flag(step)),
    )


def _one_of_equal(frame: DataFrame, names: list[str], flag: str) -> DataFrame:
    ties = [F.col(name) for name in (flag, ROW, FILE) if name in frame.columns]
    window = Window.partitionBy(*map(column, names)).orderBy(*ties)
    ranked = frame.withColumn("_crisp_rank", F.row_number().over(window))
    return ranked.where(F.col("_crisp_rank") == 1).drop("_crisp_rank")
