"""How each column of a table is looked at: as a number, a text, a moment, ..."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.results.profile import Cell
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted

if TYPE_CHECKING:
    from crisp_spark.spec.data import ColumnSpec

LONGEST_TEXT = 200
"""Characters of a text that are brought to the driver."""

Item = TypeVar("Item")


class Family(StrEnum):
    """Ways to look at a column."""

    NUMBER = "number"
    TEXT = "text"
    MOMENT = "moment"
    BOOLEAN = "boolean"
    BINARY = "binary"
    NESTED = "nested"


@dataclass(frozen=True)
class ColumnPlan:
    """A column to profile.

    Attributes:
        index: Position, used in the names of generated columns.
        name: Name of the column.
        type: Spark type as text.
        family: How it is looked at.
        fractional: Its type knows NaN and infinity.
        hashable: Its values can be compared for equality.
        spec: What the project file says about it.
    """

    index: int
    name: str
    type: str
    family: Family
    fractional: bool
    hashable: bool
    spec: ColumnSpec | None

    @property
    def sql(self) -> str:
        """The column itself, as SQL: one text costs the driver less than a tree of columns."""
        return quoted(self.name)

    @property
    def number_sql(self) -> str:
        """The value as a double: moments in seconds since 1970, truth as 0 and 1."""
        through = {Family.MOMENT: "timestamp", Family.BOOLEAN: "int"}.get(self.family)
        inner = f"CAST({self.sql} AS {through})" if through else self.sql
        return f"CAST({inner} AS double)"

    @property
    def finite_sql(self) -> str:
        """The value, null where it is NaN or infinite."""
        if not self.fractional:
            return self.sql
        # NaN is not below infinity in Spark's order.
        return f"CASE WHEN abs({self.sql}) < CAST('Infinity' AS double) THEN {self.sql} END"

    @property
    def text_sql(self) -> str:
        """The value as a text."""
        return f"CAST({self.sql} AS string)"

    @property
    def column(self) -> Column:
        """The column itself."""
        return F.col(self.sql)

    @property
    def number(self) -> Column:
        """The value as a double: moments in seconds since 1970, truth as 0 and 1."""
        return F.expr(self.number_sql)

    @property
    def finite(self) -> Column:
        """The value, null where it is NaN or infinite."""
        return F.expr(self.finite_sql)

    @property
    def text(self) -> Column:
        """The value as a text."""
        return self.column.cast("string")


def plan_columns(df: DataFrame, specs: Mapping[str, ColumnSpec]) -> tuple[ColumnPlan, ...]:
    """Plan every column of the table but the generated ones. No job."""
    fields = [field for field in df.schema.fields if not field.name.startswith(RESERVED_PREFIX)]
    return tuple(
        ColumnPlan(
            index=index,
            name=field.name,
            type=field.dataType.simpleString(),
            family=_family(field.dataType),
            fractional=isinstance(field.dataType, T.FloatType | T.DoubleType),
            hashable=not unhashable(field.dataType),
            spec=specs.get(field.name),
        )
        for index, field in enumerate(fields)
    )


def _family(kind: T.DataType) -> Family:
    if isinstance(kind, T.NumericType):
        return Family.NUMBER
    if isinstance(kind, T.StringType | T.CharType | T.VarcharType):
        return Family.TEXT
    if isinstance(kind, T.DateType | T.TimestampType | T.TimestampNTZType):
        return Family.MOMENT
    if isinstance(kind, T.BooleanType):
        return Family.BOOLEAN
    return Family.BINARY if isinstance(kind, T.BinaryType) else Family.NESTED


def unhashable(kind: T.DataType) -> bool:
    """Say whether values of a type cannot be compared for equality (maps, variants)."""
    if isinstance(kind, T.ArrayType):
        return unhashable(kind.elementType)
    if isinstance(kind, T.StructType):
        return any(unhashable(field.dataType) for field in kind.fields)
    return isinstance(kind, T.MapType) or type(kind).__name__ == "VariantType"


def row_hash(df: DataFrame, names: Iterable[str]) -> Column:
    """Return a 64-bit hash of the named columns; a missing value counts as a value."""
    return F.expr(row_hash_sql(df, names))


def row_hash_sql(df: DataFrame, names: Iterable[str]) -> str:
    """Return :func:`row_hash` as SQL."""
    kinds = {field.name: field.dataType for field in df.schema.fields}
    parts: list[str] = []
    for name in names:
        column = f"to_json(struct({quoted(name)}))" if unhashable(kinds[name]) else quoted(name)
        # xxhash64 skips nulls: without the flag (null, 1) would equal (1, null).
        parts += [column, f"{column} IS NULL"]
    return f"xxhash64({', '.join(parts)})" if parts else "0L"


def chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a sequence into pieces of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def cell(value: Any) -> Cell:
    """Bring a value from Spark into a form that JSON carries."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else str(value)
