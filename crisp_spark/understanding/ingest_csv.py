"""Delimited text: headers read on the driver, fields cut by Spark, names matched per file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.spec.data import CsvSource
from crisp_spark.spec.encodings import MULTILINE_ENCODINGS
from crisp_spark.understanding.ingest_layout import Fields, Layout, Target
from crisp_spark.understanding.ingest_lines import (
    INVALID,
    LINE,
    VALUE,
    file_name,
    text_columns,
    without_headers,
)
from crisp_spark.understanding.ingest_records import (
    EARLY,
    FILE,
    SOUND,
    TORN,
    Records,
    early_reasons,
    path_value,
    raw,
)
from crisp_spark.understanding.ingest_types import sql_text
from crisp_spark.understanding.sourcefiles import SourceFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BAD = "_crisp_bad"
_MAX_COLUMNS = 100_000
_BOM = b"\xef\xbb\xbf"


def header_of(head: bytes, source: CsvSource) -> tuple[tuple[str, ...], frozenset[bytes]]:
    """Return the field names of a file, and the raw lines that are its header.

    The header is the first line with anything on it. Empty names become ``column_<position>``.

    Args:
        head: First bytes of the file, unpacked.
        source: How the file is written.
    """
    content = head.removeprefix(_BOM)
    if source.encoding not in {"utf-8", "ascii"} and source.multiline:
        text = head.decode(source.encoding, errors="replace").removeprefix("\ufeff")
        line = next((line for line in text.splitlines() if line.strip()), "")
        raw_line = b""
    else:
        raw_line = next((line for line in content.splitlines() if line.strip()), b"")
        line = raw_line.decode(source.encoding, errors="replace")
    names = tuple(
        name if name.strip() else f"column_{position}"
        for position, name in enumerate(split_fields(line, source), start=1)
    )
    if not source.header:
        return names, frozenset()
    return names, frozenset({raw_line, _BOM + raw_line})


def split_fields(line: str, source: CsvSource) -> list[str]:
    """Cut one line into fields."""
    if not line.strip():
        return []
    if len(source.separator) > 1:
        return line.split(source.separator)
    doubled = source.escape == source.quote
    reader = csv.reader(
        [line],
        delimiter=source.separator,
        quotechar=source.quote,
        doublequote=doubled,
        escapechar=None if doubled else source.escape,
    )
    try:
        return next(iter(reader), [])
    except csv.Error:  # longer than the parser takes: nothing that names columns
        return [line]


def group_by_header(
    files: Sequence[tuple[SourceFile, bytes]], source: CsvSource
) -> tuple[list[Fields], list[SourceFile]]:
    """Put files with the same fields together.

    Args:
        files: Files with their first bytes.
        source: How the files are written.

    Returns:
        The groups, and the files that hold no line at all.
    """
    groups: dict[tuple[str, ...], list[tuple[SourceFile, frozenset[bytes]]]] = {}
    blank: list[SourceFile] = []
    for file, head in files:
        names, headers = header_of(head, source)
        if not names:
            blank.append(file)
            continue
        groups.setdefault(names if source.header else (), []).append((file, headers))
    if not source.header and groups:
        count = max(len(header_of(head, source)[0]) for _, head in files)
        return [Fields(_positional(source, count), tuple(file for file, _ in groups[()]))], blank
    return [
        Fields(
            names,
            tuple(file for file, _ in members),
            frozenset(header for _, headers in members for header in headers),
        )
        for names, members in groups.items()
    ], blank


def _positional(source: CsvSource, count: int) -> tuple[str, ...]:
    declared = tuple(source.columns)
    if not source.infer or len(declared) >= count:
        return declared
    return declared + tuple(f"column_{number}" for number in range(len(declared) + 1, count + 1))


def csv_options(source: CsvSource) -> dict[str, str]:
    """Options of Spark's CSV parser."""
    return {
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": _BAD,
        "sep": source.separator,
        "quote": source.quote,
        "escape": source.escape,
        "maxColumns": str(_MAX_COLUMNS),
        "maxCharsPerColumn": "-1",
        "columnPruning": "false",
    }


def parse_lines(lines: DataFrame, layout: Layout, source: CsvSource) -> DataFrame:
    """Cut the lines of a layout into text fields ``_crisp_f0, _crisp_f1, ...``.

    Rows: records · Adds: fields, text of records with a wrong number of fields · Drops: headers,
    blanks · Jobs: none
    """
    fields = F.from_csv(LINE, _schema(layout), csv_options(source))
    # The generator is a wall for the optimizer: without it a filter on a field would be moved
    # below, and every line parsed once per field.
    return without_headers(lines, layout.fields.headers).select(
        FILE, LINE, VALUE, F.inline(F.array(fields))
    )


def read_multiline(spark: SparkSession, root: str, layout: Layout, source: CsvSource) -> DataFrame:
    """Read files whose fields may hold line breaks; a record's text is its fields put together.

    Rows: records · Adds: file, line, fields · Drops: headers · Jobs: none
    """
    options = csv_options(source) | {
        "multiLine": "true",
        "header": str(source.header).lower(),
        "enforceSchema": "true",
        "encoding": MULTILINE_ENCODINGS[source.encoding],
    }
    frame = (
        spark.read.schema(_schema(layout))
        .options(**options)
        .csv([file.pattern for file in layout.fields.files])
    )
    fields = ", ".join(f"coalesce({_field(i)}, '')" for i in range(len(layout.fields.names)))
    text = f"coalesce({_BAD}, concat_ws({sql_text(source.separator)}, {fields}))"
    return frame.selectExpr(
        file_name(root), f"{text} AS {LINE}", f"{text} AS {VALUE}", *frame.columns
    )


def csv_records(
    parsed: DataFrame, layout: Layout, source: CsvSource, targets: Sequence[Target]
) -> Records:
    """Find the raw value of each target in the fields, and what is wrong with a record as such.

    Rows: records · Adds: raw columns, reasons · Drops: fields · Jobs: none
    """
    index = {name: number for number, name in enumerate(layout.fields.names)}
    values = []
    for target in targets:
        place = layout.places.get(target.name)
        if place is not None:
            values.append(_value(_field(index[place]), target, source))
        elif target.origin == "path":
            values.append(path_value(target.name))
        else:
            values.append("CAST(NULL AS STRING)")
    columns = [raw(number) for number in range(len(values))]
    frame = parsed.selectExpr(
        "*", *(f"{value} AS {column}" for value, column in zip(values, columns, strict=True))
    )
    faults = _record_faults(layout, source, columns)
    sound = " AND ".join(f"NOT ({condition})" for condition, _ in faults)
    frame = frame.selectExpr(
        FILE,
        *text_columns(),
        f"({sound}) AS {SOUND}",
        f"{early_reasons(faults)} AS {EARLY}",
        *columns,
    )
    return Records(frame, ("string",) * len(columns))


def _record_faults(
    layout: Layout, source: CsvSource, columns: Sequence[str]
) -> list[tuple[str, str]]:
    if layout.reject:
        return [("true", layout.reject)]
    count = len(layout.fields.names)
    return [
        (INVALID, f"bytes that are not valid {source.encoding}"),
        (f"{_BAD} IS NOT NULL", f"{TORN}, not {count}"),
        (f"{_BAD} IS NULL AND coalesce({', '.join(columns)}) IS NULL", "no value in any field"),
    ]


def _value(field: str, target: Target, source: CsvSource) -> str:
    marks = source.null_values if target.spec.null_values is None else target.spec.null_values
    text = field if "" in marks else f"coalesce({field}, '')"
    if not marks:
        return text
    known = ", ".join(sql_text(mark) for mark in marks)
    return f"CASE WHEN trim({text}) IN ({known}) THEN NULL ELSE {text} END"


def _field(index: int) -> str:
    return f"_crisp_f{index}"


def _schema(layout: Layout) -> str:
    fields = [f"{_field(index)} STRING" for index in range(len(layout.fields.names))]
    return ", ".join([*fields, f"{_BAD} STRING"])
