"""Types of columns that nobody declared: found once, on all rows, and then kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.results.ingest import IngestProblem
from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.ingest_layout import Target
from crisp_spark.understanding.ingest_records import SOUND, Records, raw, union_all
from crisp_spark.understanding.ingest_types import DATE, sql_text

_WHOLE, _NUMBER, _TRUTH, _DAY, _MOMENT, _OTHER = 1, 2, 4, 8, 16, 32
# A leading zero or plus sign makes a code or a telephone number, not a number.
_SHAPES: tuple[tuple[int, str], ...] = (
    (_WHOLE, "^ *-?(0|[1-9][0-9]{0,17}) *$"),
    (_NUMBER, "^ *-?((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *$"),
    (_TRUTH, "^ *([tT]rue|TRUE|[fF]alse|FALSE) *$"),
    (_DAY, DATE),
    (_MOMENT, "^ *[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}.*)?$"),
)
_TYPES: Mapping[int, str] = {
    _WHOLE: "bigint",
    _NUMBER: "double",
    _WHOLE | _NUMBER: "double",
    _TRUTH: "boolean",
    _DAY: "date",
    _MOMENT: "timestamp",
    _DAY | _MOMENT: "timestamp",
}
_NEARLY = 0.9


@dataclass(frozen=True)
class Inferred:
    """Types found, and what a reader should know about them."""

    types: Mapping[str, str]
    problems: tuple[IngestProblem, ...] = ()


def infer_text_types(records: Sequence[Records], targets: Sequence[Target]) -> Inferred:
    """Find the type that every value of an untyped column has; text where they do not agree.

    Rows: one · Adds: shapes of the values · Drops: values · Jobs: 1
    """
    open_targets = [(index, target) for index, target in enumerate(targets) if target.type is None]
    if not open_targets:
        return Inferred({})
    frames = [
        one.frame.where(SOUND).select(*(raw(index) for index, _ in open_targets)) for one in records
    ]
    if not frames:
        return Inferred({target.name: "string" for _, target in open_targets})
    shapes = union_all(frames).selectExpr(
        *(f"{_shape(raw(index))} AS {raw(index)}" for index, _ in open_targets)
    )
    measures = []
    for index, _ in open_targets:
        name = raw(index)
        measures += [
            F.expr(f"bit_or({name})"),
            F.expr(f"count({name})"),
            F.expr(f"count_if({name} = {_OTHER})"),
        ]
    row = shapes.agg(*measures).head()
    if row is None:  # an aggregate without groups always has a row
        return Inferred({})
    found = [row[3 * position : 3 * position + 3] for position in range(len(open_targets))]
    types = {
        target.name: _TYPES.get(seen or 0, "string")
        for (_, target), (seen, _, _) in zip(open_targets, found, strict=True)
    }
    problems = [
        _nearly(target.name, seen, count, other)
        for (_, target), (seen, count, other) in zip(open_targets, found, strict=True)
        if other and other < (1 - _NEARLY) * count
    ]
    return Inferred(types, tuple(problem for problem in problems if problem is not None))


def _shape(value: str) -> str:
    cases = " ".join(f"WHEN {value} RLIKE {sql_text(shape)} THEN {bit}" for bit, shape in _SHAPES)
    return f"CASE WHEN {value} IS NULL THEN NULL {cases} ELSE {_OTHER} END"


def _nearly(name: str, seen: int, count: int, other: int) -> IngestProblem | None:
    kind = _TYPES.get(seen & ~_OTHER)
    if kind is None:
        return None
    return IngestProblem(
        kind="inferred_string",
        level="warn",
        message=f"column {name!r} was read as string: {other} of {count} values are not {kind}",
        column=name,
        suggestion=f"declare `type: {kind}` for column {name!r} to reject those rows",
    )


def ddl(kind: T.DataType) -> str:
    """Return a Spark type as SQL, with the names of nested fields in backticks."""
    if isinstance(kind, T.StructType):
        fields = ",".join(f"{quoted(field.name)}:{ddl(field.dataType)}" for field in kind.fields)
        return f"struct<{fields}>"
    if isinstance(kind, T.ArrayType):
        return f"array<{ddl(kind.elementType)}>"
    if isinstance(kind, T.MapType):
        return f"map<{ddl(kind.keyType)},{ddl(kind.valueType)}>"
    if isinstance(kind, T.NullType):
        return "string"
    return kind.simpleString()


def column_types(frame: DataFrame) -> dict[str, str]:
    """Return name and SQL type of each column."""
    return {field.name: ddl(field.dataType) for field in frame.schema.fields}
