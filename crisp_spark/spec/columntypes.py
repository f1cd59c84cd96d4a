"""Spark's column types as users write them, brought to the names that Spark reports."""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from crisp_spark.errors import suggest

SIMPLE_TYPES: tuple[str, ...] = (
    "string",
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "date",
    "timestamp",
    "timestamp_ntz",
    "binary",
)
"""Types without parameters; besides them there are ``decimal(p,s)`` and the nested types."""

INTEGER_TYPES: tuple[str, ...] = ("tinyint", "smallint", "int", "bigint")
"""Whole numbers, from narrow to wide."""

_ALIASES = {
    "str": "string",
    "text": "string",
    "varchar": "string",
    "bool": "boolean",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "datetime": "timestamp",
    "decimal": "decimal(10,0)",
    "numeric": "decimal(10,0)",
}
_DECIMAL = re.compile(r"^(?:decimal|numeric)\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)$")
_NESTED = ("array<", "struct<", "map<")
_MAX_PRECISION = 38


def normal_type(text: str) -> str:
    """Return the name that Spark reports for a declared type (``integer`` becomes ``int``).

    Raises:
        PydanticCustomError: Spark has no such type.
    """
    name = text.strip().lower()
    name = _ALIASES.get(name, name)
    if name in SIMPLE_TYPES:
        return name
    decimal = _DECIMAL.match(name)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2] or 0)
        if 1 <= precision <= _MAX_PRECISION and scale <= precision:
            return f"decimal({precision},{scale})"
    elif name.startswith(_NESTED) and _balanced(name):
        return text.strip()
    near = suggest(name, (*SIMPLE_TYPES, *_ALIASES))
    raise PydanticCustomError(
        "column_type",
        "no column type {got}{near}; types: {types}",
        {
            "got": repr(text),
            "near": f", did you mean {near!r}?" if near else "",
            "types": ", ".join(
                (*SIMPLE_TYPES, "decimal(p,s)", "array<..>", "struct<..>", "map<..>")
            ),
        },
    )


def is_nested(name: str) -> bool:
    """Say whether a type holds other types."""
    return name.lower().startswith(_NESTED)


def _balanced(name: str) -> bool:
    depth = 0
    for sign in name:
        depth += (sign == "<") - (sign == ">")
        if depth < 0:
            return False
    return depth == 0 and name.endswith(">")
