"""Text files line by line: decoded, counted, with the file that each line comes from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.spec.encodings import single_byte_signs
from crisp_spark.understanding.ingest_records import BYTES, FILE, ROW, TEXT
from crisp_spark.understanding.ingest_types import sql_text
from crisp_spark.understanding.sourcefiles import SourceFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LINE = "_crisp_line"
VALUE = "_crisp_value"
INVALID = f"{LINE} RLIKE '\ufffd'"
"""Condition: the line holds bytes that are not valid in its encoding.

A regular expression looks at the line as a Java string, in which such bytes have become U+FFFD.
"""
_BLANK = f"NOT {LINE} RLIKE '[^ \t\u000b\f\r]'"
_LATIN_1 = "".join(map(chr, range(128, 256)))


@dataclass(frozen=True)
class LineCount:
    """Physical lines of one file."""

    lines: int
    headers: int
    blanks: int
    keys: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """Lines that are neither header nor blank."""
        return self.lines - self.headers - self.blanks


def file_name(root: str) -> str:
    """SQL of the file's name below ``root``, as :class:`SourceFile` has it."""
    decoded = "url_decode(replace(_metadata.file_path, '+', '%2B'))"
    return f"substring({decoded}, {len(root) + 2}) AS {FILE}"


def read_lines(
    spark: SparkSession, root: str, files: Sequence[SourceFile], encoding: str
) -> DataFrame:
    """Read all lines of text files.

    Rows: physical lines · Adds: file, decoded line, raw value · Drops: nothing · Jobs: none
    """
    frame = spark.read.text([file.pattern for file in files])
    frame = frame.selectExpr(file_name(root), f"value AS {VALUE}")
    if encoding == "utf-8":
        return frame.withColumn(LINE, F.col(VALUE))
    latin = f"decode(CAST({VALUE} AS BINARY), 'ISO-8859-1')"
    signs = single_byte_signs(encoding)
    return frame.withColumn(
        LINE, F.expr(f"translate({latin}, {sql_text(_LATIN_1)}, {sql_text(signs)})")
    )


def is_header(headers: Collection[bytes]) -> str:
    """SQL condition: the line is one of the raw header lines."""
    if not headers:
        return "false"
    known = ", ".join(f"X'{header.hex()}'" for header in sorted(headers))
    return f"CAST({VALUE} AS BINARY) IN ({known})"


def without_headers(lines: DataFrame, headers: Collection[bytes]) -> DataFrame:
    """Drop header lines and blank lines.

    Rows: records · Adds: nothing · Drops: headers, blanks · Jobs: none
    """
    return lines.where(f"NOT ({is_header(headers)}) AND NOT ({_BLANK})")


def count_lines(
    frames: Sequence[tuple[DataFrame, Collection[bytes]]], *, keys: bool = False
) -> dict[str, LineCount]:
    """Count lines, headers and blanks per file, before anything is parsed.

    Args:
        frames: Lines, with the headers of their files.
        keys: Collect the keys of JSON objects as well.

    Rows: one per file · Adds: counts · Drops: lines · Jobs: 1
    """
    flagged = [
        lines.selectExpr(
            FILE,
            f"CAST({is_header(headers)} AS INT) AS headers",
            f"CAST({_BLANK} AS INT) AS blanks",
            *([f"json_object_keys({LINE}) AS keys"] if keys else []),
        )
        for lines, headers in frames
    ]
    merged = flagged[0]
    for frame in flagged[1:]:
        merged = merged.unionByName(frame)
    measures = [F.count("*"), F.sum("headers"), F.sum("blanks")]
    if keys:
        measures.append(F.sort_array(F.array_distinct(F.flatten(F.collect_set("keys")))))
    return {
        row[0]: LineCount(row[1], row[2], row[3], tuple(row[4] or ()) if keys else ())
        for row in merged.groupBy(FILE).agg(*measures).collect()
    }


def text_columns() -> list[str]:
    """SQL of row hash, original text and original bytes of a line."""
    # Invalid bytes must not reach a string column of a table: readers choke on them.
    valid = f"regexp_replace({LINE}, '\ufffd', '\ufffd')"
    return [
        f"xxhash64({VALUE}) AS {ROW}",
        f"CASE WHEN {INVALID} THEN {valid} ELSE {LINE} END AS {TEXT}",
        f"CASE WHEN {INVALID} THEN CAST({VALUE} AS BINARY) END AS {BYTES}",
    ]
