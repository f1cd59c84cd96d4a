"""From the text of a field to a typed value: what counts as a value of which type.

Spark's own casts are too kind for an ingest: ``2013`` becomes a date, ``12:30`` becomes today,
``5d`` a double, ``1e400`` infinite and ``1.239`` rounds to ``1.24`` without a word. So the shape of
the text is checked first, and what the cast made of it afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crisp_spark.spec.columntypes import INTEGER_TYPES, is_nested

# Written without backslashes, which SQL literals would need doubled.
NUMBER = "^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)? *$"
DATE = "^ *[0-9]{4}-[0-9]{1,2}-[0-9]{1,2} *$"
MOMENT = "^ *[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{1,2}.*)?$"
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_MAX_PRECISION = 38
_MOMENTS = ("timestamp", "timestamp_ntz")


VALUE_MARK = "{value}"
"""Stands for the column of the typed value in conditions."""


@dataclass(frozen=True)
class Typed:
    """A typed value and the ways in which it can be wrong, as Spark SQL.

    Attributes:
        value: The value; null where the field is empty or wrong.
        faults: Condition and reason of each fault; a condition is never null.
    """

    value: str
    faults: tuple[tuple[str, str], ...] = ()


def typed_text(text: str, name: str, kind: str, pattern: str = "") -> Typed:
    """Read a text as a value of type ``kind``.

    Args:
        text: SQL of the text; null where the value is missing.
        name: Column, for the reasons.
        kind: Spark type.
        pattern: Pattern of dates and timestamps; ISO 8601 without it.
    """
    if kind in {"string", "binary"} or is_nested(kind):
        return Typed(f"CAST({text} AS BINARY)" if kind == "binary" else text)
    decimal = _DECIMAL.match(kind)
    if pattern:
        value = f"CAST(try_to_timestamp({text}, {sql_text(pattern)}) AS {kind})"
    elif kind in {"double", "float"} or decimal:
        value = _shaped(text, NUMBER, kind)
    elif kind == "date":
        value = _shaped(text, DATE, kind)
    elif kind in _MOMENTS:
        value = _shaped(text, MOMENT, kind)
    else:
        value = f"try_cast({text} AS {kind})"
    wrong = (f"{text} IS NOT NULL AND {VALUE_MARK} IS NULL", f"column {name!r}: not of type {kind}")
    if decimal:
        whole = int(decimal[1]) - int(decimal[2])
        exact = f"try_cast({text} AS DECIMAL({_MAX_PRECISION},{_MAX_PRECISION - whole}))"
        cut = f"coalesce({VALUE_MARK} <> {exact}, false)"
        return Typed(value, (wrong, (cut, f"column {name!r}: more than {decimal[2]} decimals")))
    if kind in {"double", "float"}:
        large = f"coalesce(abs({VALUE_MARK}) = DOUBLE('Infinity'), false)"
        return Typed(value, (wrong, (large, f"column {name!r}: too large for type {kind}")))
    return Typed(value, (wrong,))


def typed_value(value: str, name: str, have: str, want: str) -> Typed:
    """Bring a value of type ``have`` to type ``want`` without losing anything.

    Args:
        value: SQL of the value.
        name: Column, for the reasons.
        have: Its Spark type.
        want: Spark type it shall have.
    """
    if have == want:
        return Typed(value)
    if have == "string":
        return typed_text(value, name, want)
    result = f"try_cast({value} AS {want})"
    reason = f"column {name!r}: {have} does not fit type {want}"
    if want == "string" or is_nested(want):
        return Typed(result, ((f"{value} IS NOT NULL AND {VALUE_MARK} IS NULL", reason),))
    # There and back again: what does not come back was cut, rounded or shifted.
    back = f"coalesce(try_cast({VALUE_MARK} AS {have}) = {value}, false)"
    return Typed(result, ((f"{value} IS NOT NULL AND NOT {back}", reason),))


def wider_type(types: list[str]) -> str:
    """Return the type that takes the values of all ``types``; ``string`` where only text does."""
    kinds = list(dict.fromkeys(types))
    if len(kinds) == 1:
        return kinds[0]
    if all(kind in INTEGER_TYPES for kind in kinds):
        return max(kinds, key=INTEGER_TYPES.index)
    if all(kind in {*INTEGER_TYPES, "float", "double"} for kind in kinds):
        return "double"
    decimals = [_DECIMAL.match(kind) for kind in kinds]
    if all(decimals):
        scale = max(int(found[2]) for found in decimals if found)
        whole = max(int(found[1]) - int(found[2]) for found in decimals if found)
        if scale + whole <= _MAX_PRECISION:
            return f"decimal({scale + whole},{scale})"
    if set(kinds) == {"date", "timestamp"}:
        return "timestamp"
    return "string"


def sql_text(text: str) -> str:
    """Return ``text`` as a literal of Spark SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _shaped(text: str, shape: str, kind: str) -> str:
    return f"CASE WHEN {text} RLIKE {sql_text(shape)} THEN try_cast({text} AS {kind}) END"
