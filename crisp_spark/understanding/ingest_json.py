"""JSON: one object per line, or whole documents.

Keys play the part of the header: those of each file are collected in the counting pass. A line is
parsed with the types wanted, and only a line on which that fails is parsed again as text, to tell
which field is to blame.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import DataError
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.columntypes import is_nested
from crisp_spark.spec.data import JsonSource
from crisp_spark.spec.encodings import MULTILINE_ENCODINGS
from crisp_spark.understanding.ingest_infer import column_types
from crisp_spark.understanding.ingest_layout import IngestPlan, Target
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
    Records,
    early_reasons,
    path_value,
    raw,
    record_columns,
)
from crisp_spark.understanding.ingest_types import sql_text
from crisp_spark.understanding.sourcefiles import SourceFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrameReader, SparkSession

_BAD = "_crisp_bad"
_P, _S, _N, _K = "_crisp_p", "_crisp_s", "_crisp_n", "_crisp_k"
_OPTIONS = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BAD}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_AS_TEXT = frozenset({"string", "binary", "date", "timestamp", "timestamp_ntz"})


@dataclass(frozen=True)
class JsonFields:
    """Which keys hold which target, and as what they are read.

    Attributes:
        keys: Target to its keys, most fitting first; none for columns from the path.
        types: Target to the type it is read as.
    """

    keys: Mapping[str, tuple[str, ...]]
    types: Mapping[str, str]

    def schema(self, *, as_text: bool = False) -> str:
        """Schema of a line: every key, and the corrupt record."""
        fields = [
            f"{quoted(key)} {'STRING' if as_text else self.types[name]}"
            for name, keys in self.keys.items()
            for key in keys
        ]
        return ", ".join([*fields, f"{_BAD} STRING"])


def json_fields(plan: IngestPlan) -> JsonFields:
    """Decide which keys are read for which target of a typed plan."""
    seen = {place for layout in plan.layouts for place in layout.places.values()}
    keys = {
        target.name: tuple(
            key for key in (target.name, *target.spec.aliases) if key in seen or key == target.name
        )
        for target in plan.targets
        if target.origin != "path"
    }
    return JsonFields(keys, {target.name: _read_type(target.spark_type) for target in plan.targets})


def _read_type(kind: str) -> str:
    if kind in _AS_TEXT:
        return "string"
    decimal = _DECIMAL.match(kind)
    if decimal:
        # Wider than wanted, so that digits too many are seen and not rounded away.
        scale = int(decimal[2])
        return f"decimal(38,{max(scale, min(18, 38 - (int(decimal[1]) - scale)))})"
    return kind


def infer_json_types(
    spark: SparkSession, place: str, texts: DataFrame | Sequence[SourceFile], source: JsonSource
) -> dict[str, str]:
    """Let Spark find the types of all keys.

    Args:
        spark: Session.
        place: Source, for messages.
        texts: Decoded lines; files, where each is a document.
        source: How they are written.

    Raises:
        DataError: Keys differ only in case.

    Rows: none · Adds: nothing · Drops: everything · Jobs: 1
    """
    reader = _reader(spark, source)
    try:
        if isinstance(texts, DataFrame):
            frame = _read_lines_as_json(spark, reader, texts)
        else:
            frame = reader.json([file.pattern for file in texts])
    except AnalysisException as error:
        raise DataError(
            f"{place}: the types of the keys cannot be inferred ({str(error).splitlines()[0]})",
            hint="keys that differ only in case, or occur twice, are one column: declare the "
            "columns with their types, and set infer: false",
        ) from error
    return {name: kind for name, kind in column_types(frame).items() if name != _BAD}


def _read_lines_as_json(
    spark: SparkSession, reader: DataFrameReader, lines: DataFrame
) -> DataFrame:
    """Read lines without those that name a key twice, which would stop Spark."""
    once = (
        "coalesce(size(json_object_keys({0})) = size(array_distinct(json_object_keys({0}))), true)"
    )
    sound = lines.where(once.format(LINE)).select(LINE)
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark itself reads lines only through Python workers
    texts = getattr(sound._jdf, "as")(jvm.org.apache.spark.sql.Encoders.STRING())  # noqa: SLF001
    return DataFrame(reader._jreader.json(texts), spark)  # noqa: SLF001


def _reader(spark: SparkSession, source: JsonSource) -> DataFrameReader:
    options = _OPTIONS | {"multiLine": str(source.multiline).lower()}
    if source.multiline:
        options["encoding"] = MULTILINE_ENCODINGS[source.encoding]
    return spark.read.options(**options)


def parse_lines(lines: DataFrame, fields: JsonFields) -> DataFrame:
    """Parse lines with the types wanted, and again as text where that fails.

    Rows: records · Adds: parsed values · Drops: blank lines · Jobs: none
    """
    parsed = without_headers(lines, ()).select(
        FILE,
        LINE,
        VALUE,
        F.inline(
            F.array(
                F.struct(
                    F.from_json(LINE, fields.schema(), _OPTIONS).alias(_P),
                    F.expr(f"json_array_length(concat('[', {LINE}, ']'))").alias(_N),
                    F.json_object_keys(LINE).alias(_K),
                )
            )
        ),
    )
    again = F.when(
        F.col(f"{_P}.{_BAD}").isNotNull(),
        F.from_json(LINE, fields.schema(as_text=True), _OPTIONS),
    )
    # Generators are walls for the optimizer: every line is parsed once.
    return parsed.select("*", F.inline(F.array(F.struct(again.alias(_S)))))


def read_documents(
    spark: SparkSession,
    root: str,
    files: Sequence[SourceFile],
    source: JsonSource,
    fields: JsonFields,
) -> DataFrame:
    """Read files that are one JSON document each; an array gives a record per element.

    The records of a document with a fault anywhere are rejected, each with the whole text.

    Rows: records · Adds: parsed values · Drops: nothing · Jobs: none
    """
    frame = _reader(spark, source).schema(fields.schema()).json([file.pattern for file in files])
    names = ", ".join(quoted(name) for name in frame.columns)
    values = ", ".join(quoted(name) for name in frame.columns if name != _BAD)
    text = f"coalesce({_BAD}, to_json(struct({values})))"
    return frame.selectExpr(
        file_name(root),
        f"{text} AS {LINE}",
        f"{text} AS {VALUE}",
        f"struct({names}) AS {_P}",
        f"CAST(NULL AS STRUCT<{_BAD}: STRING>) AS {_S}",
    )


def json_records(
    parsed: DataFrame,
    fields: JsonFields,
    source: JsonSource,
    targets: Sequence[Target],
    rejected_files: Mapping[str, Sequence[str]],
    seen: Collection[str] = (),
) -> Records:
    """Find the raw value of each target, and what is wrong with a record.

    Args:
        parsed: From :func:`parse_lines` or :func:`read_documents`.
        fields: What was read.
        source: How the files are written.
        targets: Columns of the table.
        rejected_files: Reason to the files that are rejected for it.
        seen: All keys that lines have.

    Rows: records · Adds: raw columns, reasons · Drops: parsed values · Jobs: none
    """
    faults = _file_faults(rejected_files)
    if not source.multiline or source.encoding in {"utf-8", "ascii"}:
        # The text of a broken document is not decoded, so it says nothing in other encodings.
        faults.append((INVALID, f"bytes that are not valid {source.encoding}"))
    values = [_value(target, fields, source) for target in targets]
    faults += _document_faults() if source.multiline else _line_faults(fields, seen)
    if not source.multiline:
        faults += [fault for target in targets for fault in _field_faults(target, fields)]
    faults += [fault for target in targets for fault in _infinite(target, fields)]
    everything = " AND ".join(f"({value}) IS NULL" for value in values)
    faults.append((f"{_P}.{_BAD} IS NULL AND {everything}", "no value in any field"))
    unsound = " OR ".join(f"coalesce({condition}, false)" for condition, _ in faults)
    reasons = early_reasons(faults)
    # Some values fail only together with the schema; then no single field is to blame.
    fallback = "array('the record does not fit the types of the columns')"
    some = f"CASE WHEN size({reasons}) = 0 THEN {fallback} ELSE {reasons} END"
    frame = parsed.selectExpr(
        FILE,
        *text_columns(),
        f"NOT ({unsound} OR {_P}.{_BAD} IS NOT NULL) AS {SOUND}",
        f"CASE WHEN {unsound} OR {_P}.{_BAD} IS NOT NULL THEN {some} "
        f"ELSE CAST(array() AS ARRAY<STRING>) END AS {EARLY}",
        *(f"{value} AS {raw(number)}" for number, value in enumerate(values)),
    )
    types = tuple(
        "string" if target.origin == "path" else fields.types[target.name] for target in targets
    )
    return Records(frame.select(*record_columns(), *map(raw, range(len(values)))), types)


def _file_faults(rejected_files: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [
        (f"{FILE} IN ({', '.join(sql_text(name) for name in names)})", reason)
        for reason, names in rejected_files.items()
    ]


def _line_faults(fields: JsonFields, seen: Collection[str]) -> list[tuple[str, str]]:
    faults = [
        (f"{_N} IS NULL", "not valid JSON"),
        (f"{_N} <> 1", "more than one value on the line"),
        (f"{_N} = 1 AND {_K} IS NULL", "not a JSON object"),
        (f"size({_K}) > size(array_distinct({_K}))", "a key occurs twice"),
    ]
    read = {key for keys in fields.keys.values() for key in keys}
    columns = {key.lower(): name for name, keys in fields.keys.items() for key in keys}
    # Keys are read as they are written; Spark could not tell two apart by case alone.
    return faults + [
        (
            f"array_contains({_K}, {sql_text(key)})",
            f"key {key!r} differs from column {columns[key.lower()]!r} only in case",
        )
        for key in sorted(seen)
        if key not in read and key.lower() in columns
    ]


def _document_faults() -> list[tuple[str, str]]:
    reason = "the document is not valid JSON, or a value in it does not fit its type"
    return [(f"{_P}.{_BAD} IS NOT NULL", reason)]


def _field_faults(target: Target, fields: JsonFields) -> list[tuple[str, str]]:
    reason = f"column {target.name!r}: not of type {target.type}"
    keys = fields.keys.get(target.name, ())
    if fields.types[target.name] == "string":
        return []
    if is_nested(fields.types[target.name]):
        # A nested value can fail in part; what was read then differs from what was written.
        return []
    return [
        (f"{_P}.{quoted(key)} IS NULL AND {_S}.{quoted(key)} IS NOT NULL", reason) for key in keys
    ]


def _infinite(target: Target, fields: JsonFields) -> list[tuple[str, str]]:
    if fields.types[target.name] not in {"double", "float"}:
        return []
    reason = f"column {target.name!r}: too large for type {target.type}"
    return [
        (f"abs({_P}.{quoted(key)}) = DOUBLE('Infinity')", reason)
        for key in fields.keys.get(target.name, ())
    ]


def _value(target: Target, fields: JsonFields, source: JsonSource) -> str:
    if target.origin == "path":
        return path_value(target.name)
    value = f"coalesce({', '.join(f'{_P}.{quoted(key)}' for key in fields.keys[target.name])})"
    marks = source.null_values if target.spec.null_values is None else target.spec.null_values
    if not marks or fields.types[target.name] != "string":
        return value
    known = ", ".join(sql_text(mark) for mark in marks)
    return f"CASE WHEN trim({value}) IN ({known}) THEN NULL ELSE {value} END"
