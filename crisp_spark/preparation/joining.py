"""One join: names settled, keys checked, rows that found nothing marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    FILE,
    ROW,
    column,
    is_number,
    need_columns,
    type_of,
    user_columns,
)
from crisp_spark.spec.columns import RESERVED_PREFIX
from crisp_spark.spec.lineage import taken_as
from crisp_spark.spec.merging import MergeStep

FLAGS = ("_crisp_matched_", "_crisp_left_", "_crisp_input_")
"""Beginnings of the columns that tell, per merge step, what a row was made of."""


@dataclass(frozen=True)
class Joined:
    """The output of one step, lazily.

    Attributes:
        step: What was declared.
        place: Where it stands in the project file.
        inputs: Frames that went in, the left one first.
        frame: The output, with the step's flags.
        added: Columns that came from the right, under their new names.
        absent: Column to the condition "null because the merge found nothing to put here".
        base: A frame with the same rows and fewer columns, from which key columns of the left side
            are read more cheaply; ``frame`` itself where there is none.
        type_changes: Union only: column to the types that were reconciled.
    """

    step: MergeStep
    place: str
    inputs: tuple[DataFrame, ...]
    frame: DataFrame
    added: tuple[str, ...] = ()
    absent: Mapping[str, Column] = field(default_factory=dict)
    base: DataFrame | None = None
    type_changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def keeps_rows(self) -> bool:
        """True where each left row gives exactly one output row."""
        one = self.step.cardinality in {"one_to_one", "many_to_one"}
        return self.step.how == "asof" or (self.step.how == "left" and one)


def matched_flag(step: MergeStep) -> str:
    """Column that is true where a right row was found."""
    return f"_crisp_matched_{step.id}"


def left_flag(step: MergeStep) -> str:
    """Column that is true where there is a left row (outer joins)."""
    return f"_crisp_left_{step.id}"


def right_key(number: int) -> str:
    """Name of a right key column while a join is made."""
    return f"_crisp_rk{number}"


def check_keys(place: str, step: MergeStep, left: DataFrame, right: DataFrame) -> None:
    """Check that the keys are there and can be compared without guessing.

    Raises:
        MissingColumnsError: A key is not there.
        SpecError: The types of a pair do not fit.
    """
    need_columns(f"{place}, left {step.left!r}", left, step.keys)
    need_columns(f"{place}, right {step.right!r}", right, step.keys.values())
    for one, other in step.keys.items():
        a, b = type_of(left, one), type_of(right, other)
        if a != b and not (is_number(a) and is_number(b)):
            raise SpecError(
                f"{place}: wrong type: keys {one!r} and {other!r} cannot be compared, got "
                f"{a.simpleString()} and {b.simpleString()}",
                hint="cast one of them in preparation.clean",
            )
        if isinstance(a, T.MapType):
            raise SpecError(f"{place}: wrong type: {one!r} is a map, which cannot be a key")


def right_names(place: str, step: MergeStep, left: DataFrame, right: DataFrame) -> dict[str, str]:
    """Right columns taken, with the name each gets.

    Raises:
        MissingColumnsError: ``columns`` names one that is not there.
        SpecError: A name is taken already.
    """
    if step.columns is not None:
        need_columns(f"{place}, right {step.right!r}", right, step.columns)
    names = {name: new for name in user_columns(right) if (new := taken_as(step, name)) is not None}
    taken = {name.lower() for name in left.columns}
    clashes = sorted(
        new for new in names.values() if new.lower() in taken or new.startswith(RESERVED_PREFIX)
    )
    lower = Counter(new.lower() for new in names.values())
    clashes += sorted({new for new in names.values() if lower[new.lower()] > 1})
    if clashes:
        raise SpecError(
            f"{place}: both sides have a column {', '.join(map(repr, clashes))}",
            hint=f"give the right ones a prefix (prefix: {step.right}_), or list the columns to "
            "take and their new names under columns",
        )
    return names


def join_equal(place: str, step: MergeStep, left: DataFrame, right: DataFrame) -> Joined:
    """Join on equal keys (or on nothing: ``cross``).

    Null keys match nothing. ``_crisp_row`` and ``_crisp_file`` are those of the left row; where
    rows may be multiplied, ``_crisp_row`` is a hash of both rows.

    Rows: as ``how`` says. Adds: right columns, flags. Drops: right keys. Jobs: none.
    """
    check_keys(place, step, left, right)
    if step.how in {"semi", "anti"}:
        side = right.select(*_keys(step))
        frame = left.join(side, _condition(step), f"left{step.how}")
        return Joined(step, place, (left, right), frame)
    names = right_names(place, step, left, right)
    side = right.select(
        *(column(name).alias(new) for name, new in names.items()),
        *_keys(step),
        *(column(name) for name in right.columns if name.startswith(FLAGS)),
        *(
            F.col(name).alias(f"_crisp_right{name}")
            for name in (ROW, FILE)
            if name in right.columns
        ),
        F.lit(True).alias("_crisp_found"),
    )
    main = left.withColumn("_crisp_here", F.lit(True))
    if step.how == "cross":
        wide = main.crossJoin(side)
    else:
        wide = main.join(side, _condition(step), {"outer": "full_outer"}.get(step.how, step.how))
    frame = wide.select(
        *(_left_column(step, side, name) for name in left.columns),
        *(column(new) for new in names.values()),
        *(column(name) for name in right.columns if name.startswith(FLAGS)),
        F.col("_crisp_found").isNotNull().alias(matched_flag(step)),
        *([F.col("_crisp_here").isNotNull().alias(left_flag(step))] if step.how == "outer" else []),
    )
    return Joined(
        step,
        place,
        (left, right),
        frame,
        added=tuple(names.values()),
        absent=_absent(step, left, list(names.values())),
    )


def _keys(step: MergeStep) -> list[Column]:
    return [column(name).alias(right_key(n)) for n, name in enumerate(step.keys.values())]


def _condition(step: MergeStep) -> Column:
    return reduce(and_, (column(name) == F.col(right_key(n)) for n, name in enumerate(step.keys)))


def _left_column(step: MergeStep, side: DataFrame, name: str) -> Column:
    other = f"_crisp_right{name}"
    if name == ROW and other in side.columns and step.cardinality not in {
        "one_to_one",
        "many_to_one",
    }:  # fmt: skip
        return F.xxhash64(F.col(ROW), F.col(other)).alias(ROW)
    if step.how != "outer":
        return column(name)
    if name in step.keys:
        key = right_key(list(step.keys).index(name))
        return F.coalesce(column(name), F.col(key)).alias(name)
    if name in {ROW, FILE} and other in side.columns:
        return F.coalesce(F.col(name), F.col(other)).alias(name)
    return column(name)


def _absent(step: MergeStep, left: DataFrame, added: list[str]) -> dict[str, Column]:
    if step.how not in {"left", "outer"}:
        return {}
    found: dict[str, Column] = {name: ~F.col(matched_flag(step)) for name in added}
    if step.how == "outer":
        others = [name for name in user_columns(left) if name not in step.keys]
        found |= {name: ~F.col(left_flag(step)) for name in others}
    return found
