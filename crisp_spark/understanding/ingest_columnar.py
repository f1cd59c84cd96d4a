"""Parquet and ORC files: footers read on the driver, one read per schema found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.ingest_infer import column_types
from crisp_spark.understanding.ingest_layout import Layout, Target
from crisp_spark.understanding.ingest_lines import file_name
from crisp_spark.understanding.ingest_records import (
    BYTES,
    EARLY,
    FILE,
    ROW,
    SOUND,
    TEXT,
    Records,
    early_reasons,
    path_value,
    raw,
)
from crisp_spark.understanding.ingest_types import sql_text
from crisp_spark.understanding.sourcefiles import FileReader, SourceFile, attempt, for_each

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Footers:
    """What the footers of the files say.

    Attributes:
        rows: File name to its rows.
        schemas: Schema, as the format writes it, to the files that have it.
        damaged: File name to what is wrong with the file.
    """

    rows: Mapping[str, int]
    schemas: Mapping[str, tuple[SourceFile, ...]]
    damaged: Mapping[str, str]


def read_footers(reader: FileReader, files: Sequence[SourceFile], kind: str) -> Footers:
    """Read all footers on the driver; a file without a readable one is damaged."""
    read = reader.parquet_footer if kind == "parquet" else reader.orc_footer
    found = for_each(files, lambda file: attempt(lambda: read(file)))
    rows: dict[str, int] = {}
    schemas: dict[str, tuple[SourceFile, ...]] = {}
    damaged: dict[str, str] = {}
    for file, (footer, fault) in zip(files, found, strict=True):
        if footer is None:
            damaged[file.name] = f"not a readable {kind} file ({fault})"
            continue
        schema, rows[file.name] = footer
        schemas[schema] = (*schemas.get(schema, ()), file)
    return Footers(rows, schemas, damaged)


def open_files(
    spark: SparkSession, kind: str, files: Sequence[SourceFile], names: Sequence[str] = ()
) -> DataFrame:
    """Open files that share one schema, which is taken from the first.

    Rows: all · Adds: nothing · Drops: nothing · Jobs: 1, small
    """
    schema = spark.read.format(kind).load(files[0].pattern).schema
    frame = spark.read.format(kind).schema(schema).load([file.pattern for file in files])
    return frame.select(*map(quoted, names)) if names else frame


def frame_records(
    frame: DataFrame, place: str, layout: Layout, targets: Sequence[Target]
) -> Records:
    """Bring typed rows to the shape of records; a rejected row's text is its JSON.

    Args:
        frame: Rows.
        place: SQL that gives the file of a row, aliased.
        layout: Where the columns are.
        targets: Columns of the table.

    Rows: all · Adds: raw columns, text · Drops: other columns · Jobs: none
    """
    have = column_types(frame)
    columns = ", ".join(map(quoted, have))
    text = f"to_json(struct({columns}))"
    nested_map = any("map<" in kind for kind in have.values())
    reasons = early_reasons([("true", layout.reject)] if layout.reject else [])
    values, types = [], []
    for target in targets:
        field = layout.places.get(target.name)
        if field is not None:
            values.append(quoted(field))
            types.append(have[field])
        elif target.origin == "path":
            values.append(path_value(target.name))
            types.append("string")
        else:
            values.append(f"CAST(NULL AS {target.spark_type})")
            types.append(target.spark_type)
    selected = frame.selectExpr("*", place).selectExpr(
        FILE,
        f"xxhash64({text if nested_map else columns}) AS {ROW}",  # maps cannot be hashed
        f"{text} AS {TEXT}",
        f"CAST(NULL AS BINARY) AS {BYTES}",
        f"{'false' if layout.reject else 'true'} AS {SOUND}",
        f"{reasons} AS {EARLY}",
        *(f"{value} AS {raw(number)}" for number, value in enumerate(values)),
    )
    return Records(selected, tuple(types), all_sound=not layout.reject)


def from_files(root: str) -> str:
    """SQL of a row's file, for :func:`frame_records`."""
    return file_name(root)


def from_place(place: str) -> str:
    """SQL of a constant place, for :func:`frame_records`."""
    return f"{sql_text(place)} AS {FILE}"
