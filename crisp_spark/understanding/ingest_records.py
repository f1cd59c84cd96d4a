"""Records as read, and how they part into rows kept and rows rejected.

Every kind of source is first brought to one shape: a record per row, with the raw value of each
target column, the original text and what is wrong with the record as a whole. Types are checked
here, the same way for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.ingest_layout import Target
from crisp_spark.understanding.ingest_types import (
    VALUE_MARK,
    Typed,
    sql_text,
    typed_text,
    typed_value,
)

FILE = "_crisp_file"
ROW = "_crisp_row"
TEXT = "_crisp_text"
BYTES = "_crisp_bytes"
SOUND = "_crisp_sound"
EARLY = "_crisp_early"
TORN = "wrong number of fields"
"""Start of the reason after which no other is given: such a record has its values in the wrong
columns, so what they look like says nothing."""
REJECT_SCHEMA = (
    f"{FILE} string, {ROW} bigint, text string, text_bytes binary, reasons array<string>"
)
"""Columns of ``rejects.<source>``: ``text_bytes`` holds the bytes that are not valid text."""


@dataclass(frozen=True)
class Records:
    """Records of one layout.

    Attributes:
        frame: File, row hash, original text and bytes, whether the record is sound, the reasons
            where it is not, and one raw column per target.
        types: Spark type of each raw column.
        all_sound: No record can be unsound.
    """

    frame: DataFrame
    types: tuple[str, ...]
    all_sound: bool = False


def raw(index: int) -> str:
    """Name of the raw column of the target at ``index``."""
    return f"_crisp_r{index}"


def record_columns() -> list[str]:
    """Columns that every frame of records starts with."""
    return [FILE, ROW, TEXT, BYTES, SOUND, EARLY]


def path_value(name: str) -> str:
    """SQL of the value that a folder ``name=value`` gives."""
    pattern = sql_text(f"(^|/){re.escape(name)}=([^/]*)/")
    found = f"nullif(regexp_extract({FILE}, {pattern}, 2), '')"
    decoded = f"url_decode(replace({found}, '+', '%2B'))"
    return f"nullif({decoded}, '__HIVE_DEFAULT_PARTITION__')"


def early_reasons(conditions: Sequence[tuple[str, str]]) -> str:
    """SQL of the array of those reasons whose condition holds."""
    if not conditions:
        return "CAST(array() AS ARRAY<STRING>)"
    cases = [
        f"CASE WHEN {condition} THEN {sql_text(reason)} END" for condition, reason in conditions
    ]
    return f"filter(array({', '.join(cases)}), reason -> reason IS NOT NULL)"


def kept_rows(records: Records, targets: Sequence[Target]) -> DataFrame:
    """Return the rows without any fault, typed, in the order of the targets.

    Rows: sound ones · Adds: typed columns · Drops: raw columns · Jobs: none
    """
    typed = _typed(records, targets)
    names = [quoted(target.name) for target in targets]
    frame = _with_values(records, typed)
    values = [_value(index, one) for index, one in enumerate(typed)]
    sound = [f"NOT ({fault})" for fault, _ in _faults(records, typed)]
    if not sound:
        pairs = zip(values, names, strict=True)
        return frame.selectExpr(*(f"{value} AS {name}" for value, name in pairs), FILE, ROW)
    fields = ", ".join(
        f"{sql_text(target.name)}, {value}" for target, value in zip(targets, values, strict=True)
    )
    kept = _rows_where(" AND ".join(sound), f"named_struct({fields})")
    return frame.selectExpr(FILE, ROW, kept).select(*names, FILE, ROW)


def rejected_rows(records: Records, targets: Sequence[Target]) -> DataFrame | None:
    """Return the rows with a fault, as text, with all reasons; None where there can be none.

    Rows: those with a fault · Adds: text, text_bytes, reasons · Drops: raw columns · Jobs: none
    """
    typed = _typed(records, targets)
    faults = _faults(records, typed)
    if not faults:
        return None
    late = faults if records.all_sound else faults[1:]
    torn = f"exists({EARLY}, reason -> startswith(reason, {sql_text(TORN)}))"
    reasons = f"CASE WHEN {torn} THEN {EARLY} ELSE concat({EARLY}, {early_reasons(late)}) END"
    fields = f"'text', {TEXT}, 'text_bytes', {BYTES}, 'reasons', {reasons}"
    wrong = " OR ".join(f"({fault})" for fault, _ in faults)
    return _with_values(records, typed).selectExpr(
        FILE, ROW, _rows_where(wrong, f"named_struct({fields})")
    )


def _rows_where(condition: str, row: str) -> str:
    """SQL of a generator that gives ``row`` where ``condition`` holds, and else nothing.

    A filter would be moved by the optimizer below the projections it needs, with every cast of
    every column written out in it again; a generator stays where it is.
    """
    return f"inline(CASE WHEN {condition} THEN array({row}) END)"


def _with_values(records: Records, typed: Sequence[Typed]) -> DataFrame:
    """Add the typed value of each target whose value is not the raw one."""
    values = [
        f"{one.value} AS {_value(index, one)}"
        for index, one in enumerate(typed)
        if one.value != raw(index)
    ]
    return records.frame.selectExpr("*", *values)


def _value(index: int, typed: Typed) -> str:
    return raw(index) if typed.value == raw(index) else f"_crisp_t{index}"


def _faults(records: Records, typed: Sequence[Typed]) -> list[tuple[str, str]]:
    """Conditions over raw and typed columns; that of an unsound record comes first."""
    own = [] if records.all_sound else [(f"NOT {SOUND}", "")]
    return own + [
        (fault.replace(VALUE_MARK, _value(index, one)), reason)
        for index, one in enumerate(typed)
        for fault, reason in one.faults
    ]


def union_all(frames: Sequence[DataFrame]) -> DataFrame:
    """Put frames with the same columns below each other.

    Rows: all of all frames · Adds: nothing · Drops: nothing · Jobs: none
    """
    return reduce(DataFrame.unionByName, frames)


def _typed(records: Records, targets: Sequence[Target]) -> list[Typed]:
    return [
        _typed_one(raw(index), have, target)
        for index, (have, target) in enumerate(zip(records.types, targets, strict=True))
    ]


def _typed_one(value: str, have: str, target: Target) -> Typed:
    if have == "string":
        return typed_text(value, target.name, target.spark_type, target.spec.format)
    return typed_value(value, target.name, have, target.spark_type)
