"""Cleaning: ordered operations that mark rows as dropped, change cells, and keep count of both.

No operation filters. A dropped row stays in the frame with its reason, and later operations leave
it alone; at the end the frame is divided into kept and dropped rows. Beside each column that an
operation touches runs a code per row, so that one aggregation counts what every operation did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import (
    column,
    need_columns,
    need_new_names,
    type_of,
    user_columns,
)
from crisp_spark.preparation.clean_cells import (
    DROPPED_BY,
    Values,
    changes_cells,
    new_values,
)
from crisp_spark.preparation.clean_rows import (
    drop_reason,
    drops_rows,
    missing_share_columns,
    sparse_columns,
)
from crisp_spark.preparation.hooks import call_hook, load_hook
from crisp_spark.spec import cleaning as ops
from crisp_spark.spec.columns import RESERVED_PREFIX

REASON = "_crisp_drop_reason"
"""Column of dropped rows: the first reason to drop the row."""
CAST_FAILURES = "_crisp_cast_failures"
"""Column: array of (column, text) of cells that could not be cast; null where there are none."""
SAME, CHANGED, NULLED, FILLED, STILL_NULL = range(5)
"""Codes of what an operation did to a cell."""

_NO_FAILURES = "array<struct<column:string,text:string>>"


@dataclass(frozen=True)
class Trace:
    """What is known of an operation before anything runs.

    Attributes:
        number: Place among the source's operations.
        op: The operation.
        codes: Column touched, to the column that holds the code per row.
        added: Columns added.
        removed: Columns taken away.
    """

    number: int
    op: ops.CleanOp
    codes: Mapping[str, str] = field(default_factory=dict)
    added: Sequence[str] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True)
class Cleaned:
    """A source after cleaning: all rows, with marks and codes.

    Attributes:
        tracked: Every row that came in.
        traces: What each operation touched.
    """

    tracked: DataFrame
    traces: tuple[Trace, ...] = ()

    @property
    def kept(self) -> DataFrame:
        """Rows that stay, without marks and codes.

        Rows: those not dropped. Adds: nothing. Drops: marks and codes. Jobs: none.
        """
        return self.tracked.where(F.col(DROPPED_BY).isNull()).select(*self._published())

    @property
    def dropped(self) -> DataFrame:
        """Rows that go, with the reason.

        Rows: those dropped. Adds: ``_crisp_drop_reason``. Drops: marks and codes. Jobs: none.
        """
        # Where nothing can drop rows Spark sees that there are none, and reads nothing.
        gone = F.col(DROPPED_BY).isNotNull() if self.can_drop else F.lit(False)
        return self.tracked.where(gone).select(*self._published(), F.col(REASON))

    @property
    def can_drop(self) -> bool:
        """True where an operation may have dropped rows."""
        return any(
            drops_rows(trace.op) or (isinstance(trace.op, ops.Cast) and trace.op.on_fail == "drop")
            for trace in self.traces
        )

    def _published(self) -> list[Column]:
        codes = {code for trace in self.traces for code in trace.codes.values()}
        hidden = codes | {DROPPED_BY, REASON}
        names = [name for name in self.tracked.columns if name not in hidden]
        return [
            F.when(F.size(name) > 0, F.col(name)).alias(name)
            if name == CAST_FAILURES
            else column(name)
            for name in names
        ]


@dataclass(frozen=True)
class Cleaning:
    """Settings of one source's cleaning.

    Attributes:
        source: Name of the source, for messages.
        folder: Folder of the project file, where Python hooks lie.
        shares: Missing share per column, by the number of the operation that drops sparse columns
            (:func:`missing_shares_frame` measures it). Without it such an operation drops none.
    """

    source: str
    folder: Path | None = None
    shares: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def place(self, number: int, op: ops.CleanOp) -> str:
        """Where an operation stands in the project file."""
        return f"preparation.clean.{self.source}[{number}] {op.op}"


def clean_frame(frame: DataFrame, operations: Sequence[ops.CleanOp], cleaning: Cleaning) -> Cleaned:
    """Apply cleaning operations in order.

    Args:
        frame: Rows of the source; ``_crisp_row`` breaks ties where it is there.
        operations: Operations, in order.
        cleaning: Settings.

    Raises:
        MissingColumnsError: An operation names a column that is not there.
        SpecError: An operation does not fit the columns' types.

    Rows: unchanged. Adds: declared columns, marks, codes. Drops: columns left out. Jobs: none.
    """
    marked = frame.withColumns(
        {DROPPED_BY: F.lit(None).cast("int"), REASON: F.lit(None).cast("string")}
    )
    cleaned = Cleaned(marked)
    for number, op in enumerate(operations):
        cleaned = _apply(cleaned, number, op, cleaning)
    return cleaned


def missing_shares_frame(cleaned: Cleaned, place: str, op: ops.DropMissing) -> DataFrame:
    """One row: the missing share (0 to 1) of each column an operation looks at, in order.

    Rows: one. Adds: one column per column looked at. Drops: all others. Jobs: none.
    """
    alive = F.col(DROPPED_BY).isNull()
    names = missing_share_columns(place, cleaned.tracked, op)
    return cleaned.tracked.where(alive).select(
        *(F.avg(column(name).isNull().cast("int")).alias(name) for name in names)
    )


def _apply(cleaned: Cleaned, number: int, op: ops.CleanOp, cleaning: Cleaning) -> Cleaned:
    place = cleaning.place(number, op)
    trace = Trace(number, op)
    frame = cleaned.tracked
    if isinstance(op, ops.Cast):
        frame = _note_cast_failures(frame, place, op)
    if isinstance(op, ops.Select):
        frame, trace = _select(frame, place, op, trace)
    elif isinstance(op, ops.DropMissing) and op.axis == "columns":
        sparse = sparse_columns(op, cleaning.shares.get(number, {}))
        frame, trace = frame.drop(*map(column, sparse)), replace(trace, removed=sparse)
    elif isinstance(op, ops.PythonHook):
        frame, trace = _run_hook(cleaned, place, trace, cleaning.folder)
    elif changes_cells(op):
        values = new_values(place, frame, op)
        frame, trace = _change_cells(cleaned, frame, place, trace, values)
        if isinstance(op, ops.Cast) and op.on_fail == "drop":
            frame = _mark(frame, number, _uncast_reason(trace, op))
    elif drops_rows(op):
        frame = _mark(frame, number, drop_reason(place, frame, op))
    else:
        raise SpecError(f"{place}: no such cleaning operation")
    return Cleaned(frame, (*cleaned.traces, trace))


def _change_cells(
    cleaned: Cleaned, frame: DataFrame, place: str, trace: Trace, values: Values
) -> tuple[DataFrame, Trace]:
    """Put new values in place of the old ones in live rows, and codes beside them."""
    known = set(frame.columns)
    changed = [name for name in values if name in known]
    added = [name for name in values if name not in known]
    need_new_names(place, frame, added)
    alive = F.col(DROPPED_BY).isNull() if cleaned.can_drop else F.lit(True)
    made = {
        f"_crisp_n{n}": values[name]
        if not cleaned.can_drop or isinstance(trace.op, ops.Cast)
        else F.when(alive, values[name]).otherwise(column(name))
        for n, name in enumerate(changed)
    }
    extra = {name: values[name] for name in added}
    wide = frame.withColumns({**made, **extra}) if values else frame
    codes = {name: f"_crisp_t{trace.number}_{n}" for n, name in enumerate(changed)}
    final = {name: f"_crisp_n{n}" for n, name in enumerate(changed)}
    columns = [F.col(final[n]).alias(n) if n in final else column(n) for n in frame.columns]
    columns += [column(name) for name in added]
    columns += [
        F.when(alive, _code(frame, wide, name, final[name])).alias(code)
        for name, code in codes.items()
    ]
    return wide.select(*columns), replace(trace, codes=codes, added=tuple(added))


def _code(frame: DataFrame, wide: DataFrame, name: str, made: str) -> Column:
    old_kind, new_kind = type_of(frame, name), type_of(wide, made)
    old, new = column(name), F.col(made)
    if old_kind == new_kind and not isinstance(old_kind, T.MapType):
        differs = ~old.eqNullSafe(new)
    elif isinstance(old_kind, T.NumericType) and isinstance(new_kind, T.NumericType):
        differs = ~old.cast("double").eqNullSafe(new.cast("double"))
    else:
        differs = F.lit(False)
    code = (
        F.when(old.isNull(), F.when(new.isNull(), STILL_NULL).otherwise(FILLED))
        .when(new.isNull(), NULLED)
        .when(differs, CHANGED)
        .otherwise(SAME)
    )
    return code.cast("tinyint")


def _mark(frame: DataFrame, number: int, reason: Column) -> DataFrame:
    """Mark live rows that have a reason; the first reason stays."""
    alive = F.col(DROPPED_BY).isNull()
    why = f"_crisp_why{number}"
    wide = frame.withColumn(why, F.when(alive, reason))
    hit = F.col(why).isNotNull()
    return wide.withColumns(
        {
            DROPPED_BY: F.when(hit, F.lit(number)).otherwise(F.col(DROPPED_BY)),
            REASON: F.coalesce(F.col(REASON), F.col(why)),
        }
    ).drop(why)


def _note_cast_failures(frame: DataFrame, place: str, op: ops.Cast) -> DataFrame:
    """Keep the text of every cell that cannot be cast, also in rows dropped before."""
    values = new_values(place, frame, op)
    failed = [
        F.when(
            column(name).isNotNull() & value.isNull(),
            F.struct(F.lit(name).alias("column"), column(name).cast("string").alias("text")),
        )
        for name, value in values.items()
    ]
    earlier = F.col(CAST_FAILURES) if CAST_FAILURES in frame.columns else F.array()
    return frame.withColumn(
        CAST_FAILURES,
        F.concat(earlier.cast(_NO_FAILURES), F.array_compact(F.array(*failed)).cast(_NO_FAILURES)),
    )


def _uncast_reason(trace: Trace, op: ops.Cast) -> Column:
    return F.coalesce(
        *(
            F.when(F.col(code) == NULLED, F.lit(op.reason or f"{name} is no {op.columns[name]}"))
            for name, code in trace.codes.items()
        )
    )


def _select(frame: DataFrame, place: str, op: ops.Select, trace: Trace) -> tuple[DataFrame, Trace]:
    need_columns(place, frame, [*op.keep, *op.exclude])
    kept = op.keep or [name for name in user_columns(frame) if name not in set(op.exclude)]
    removed = [name for name in user_columns(frame) if name not in set(kept)]
    own = [name for name in frame.columns if name.startswith(RESERVED_PREFIX)]
    return frame.select(*map(column, [*kept, *own])), replace(trace, removed=tuple(removed))


def _run_hook(
    cleaned: Cleaned, place: str, trace: Trace, folder: Path | None
) -> tuple[DataFrame, Trace]:
    """Give the live rows to a Python function; dropped ones pass by."""
    assert isinstance(trace.op, ops.PythonHook)
    frame = cleaned.tracked
    hook = load_hook(place, trace.op.python, folder)
    alive = F.col(DROPPED_BY).isNull()
    made = call_hook(place, hook, frame.where(alive) if cleaned.can_drop else frame)
    before, after = user_columns(frame), user_columns(made)
    if cleaned.can_drop:
        gone = [name for name in before if name not in set(after)]
        rest = frame.where(~alive).drop(*map(column, gone))
        made = made.unionByName(rest, allowMissingColumns=True)
    return made, replace(
        trace,
        added=tuple(name for name in after if name not in set(before)),
        removed=tuple(name for name in before if name not in set(after)),
    )
