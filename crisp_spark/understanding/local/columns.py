"""Columns and declared values as DuckDB's SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from crisp_spark.understanding.local.patterns import CannotError
from crisp_spark.understanding.profile_columns import LONGEST_TEXT, ColumnPlan, Family
from crisp_spark.understanding.quality_literals import is_date, moment_of

_FAMILIES = {
    "string": Family.TEXT,
    "boolean": Family.BOOLEAN,
    "date": Family.MOMENT,
    "timestamp": Family.MOMENT,
    "timestamp_ntz": Family.MOMENT,
    "binary": Family.BINARY,
}
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")
_TEXTS = re.compile(r"^(?:string|char|varchar)\b")


def local_columns(types: Mapping[str, str]) -> dict[str, ColumnPlan]:
    """Describe columns by their Spark types as texts.

    Raises:
        CannotError: Two names differ in case only, which DuckDB does not tell apart.
    """
    if len({name.lower() for name in types}) < len(types):
        raise CannotError("columns whose names differ in case only")
    return {
        name: ColumnPlan(
            index=at,
            name=name,
            type=kind,
            family=_family(kind),
            fractional=kind in {"float", "double"},
            hashable="map<" not in kind and "variant" not in kind,
            spec=None,
        )
        for at, (name, kind) in enumerate(types.items())
    }


def _family(kind: str) -> Family:
    if kind in _NUMBERS or kind.startswith("decimal"):
        return Family.NUMBER
    return Family.TEXT if _TEXTS.match(kind) else _FAMILIES.get(kind, Family.NESTED)


def empty_type(kind: str) -> str:
    """Return DuckDB's type for a column of a table without files."""
    if kind.startswith("decimal"):
        return kind
    plain = {"string": "VARCHAR", "binary": "BLOB", "timestamp_ntz": "TIMESTAMP", "int": "INTEGER"}
    simple = kind in {*_NUMBERS, *_FAMILIES}
    return plain.get(kind, kind.upper() if simple else "VARCHAR")


def named(name: str) -> str:
    """Return a column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def value_of(plan: ColumnPlan) -> str:
    """Return a column as SQL; timestamps without a zone, in UTC."""
    if plan.type.startswith("timestamp"):
        return f"CAST({named(plan.name)} AS TIMESTAMP)"
    return named(plan.name)


def compared(plan: ColumnPlan, value: Any) -> tuple[str, str]:
    """Return a column and a declared value as SQL of one type, the one that Spark compares in."""
    column = value_of(plan)
    if isinstance(value, bool):
        return column, "true" if value else "false"
    if isinstance(value, float):
        return f"CAST({column} AS DOUBLE)", f"CAST({value!r} AS DOUBLE)"
    if isinstance(value, int):
        return (f"CAST({column} AS DOUBLE)" if plan.fractional else column), str(value)
    if plan.family is not Family.MOMENT:
        return column, text(value)
    if plan.type == "date" and is_date(value):
        return column, f"CAST({text(value)} AS DATE)"
    plain = moment_of(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"CAST({column} AS TIMESTAMP)", f"CAST({text(plain)} AS TIMESTAMP)"


def among(plan: ColumnPlan, values: Sequence[Any]) -> str:
    """Return the condition that a column holds one of some values."""
    if any(isinstance(value, float) for value in values):
        values = [float(value) for value in values]
    pairs = [compared(plan, value) for value in values]
    groups: dict[str, list[str]] = {}
    for column, value in pairs:
        groups.setdefault(column, []).append(value)
    tests = [f"{column} IN ({', '.join(listed)})" for column, listed in groups.items()]
    return " OR ".join(tests)


def shown(plan: ColumnPlan) -> str:
    """Return a column as the text that Spark shows, of bounded length."""
    column = value_of(plan)
    if plan.fractional:
        signs = f"CASE WHEN {column} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        plain = f"CAST({column} AS VARCHAR)"
        return (
            f"CASE WHEN isnan({column}) THEN 'NaN' WHEN isinf({column}) THEN {signs}"
            f" ELSE {plain} END"
        )
    if plan.family is Family.BINARY:
        return f"substring(hex({column}), 1, {LONGEST_TEXT})"
    if plan.family is Family.NESTED:
        return f"substring(CAST(to_json({column}) AS VARCHAR), 1, {LONGEST_TEXT})"
    return f"substring(CAST({column} AS VARCHAR), 1, {LONGEST_TEXT})"
