"""Casts between Spark's types under ANSI rules: a value that does not fit raises, or is null."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from crisp_spark.serving import calendar, javatext
from crisp_spark.serving.refusal import RowError, UnsupportedError
from crisp_spark.serving.typenames import WHOLE, decimal_parts, element_of

Convert = Callable[[Any], Any]
"""Gives the value in another type; None where it does not fit. Never called with None."""

_TRUE = {"t", "true", "y", "yes", "1"}
_FALSE = {"f", "false", "n", "no", "0"}
_TEXT = "string"
_MOMENTS = ("timestamp", "timestamp_ntz")


def cast(source: str, target: str, *, strict: bool) -> Convert:
    """Return the cast from one type to another.

    Args:
        source: Spark type, in simple form.
        target: Spark type, in simple form.
        strict: Whether a value that does not fit raises (``CAST``) or is null (``TRY_CAST``).

    Raises:
        UnsupportedError: There is no such cast here.
    """
    convert = converter(source, target)
    if not strict or _always_fits(source, target):
        return convert

    def checked(value: Any) -> Any:
        found = convert(value)
        if found is None:
            raise RowError(f"{_shown(value)} cannot be cast from {source} to {target}")
        return found

    # Not a number becomes a null decimal, whatever the mode.
    if target.startswith("decimal") and source in ("double", "float"):
        return lambda value: checked(value) if math.isfinite(value) else None
    return checked


def _always_fits(source: str, target: str) -> bool:
    """Say whether no value of a type can fail to become one of another."""
    return source == target or (source in WHOLE and target in (_TEXT, "double"))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004


def converter(source: str, target: str) -> Convert:
    """Return the conversion; it gives None where a value does not fit.

    Raises:
        UnsupportedError: There is no such conversion here.
    """
    if source in (target, "void"):
        return lambda value: value
    if target in _PLAIN:
        return _PLAIN[target](source)
    if target in WHOLE:
        return _to_whole(source, target)
    if target in ("double", "float"):
        return _to_float(source, target)
    if target.startswith("decimal"):
        return _to_decimal(source, target)
    if target in _MOMENTS:
        return _to_moment(source, target)
    if target.startswith("array") and source.startswith("array"):
        inner = converter(element_of(source), element_of(target))
        return lambda value: [None if item is None else inner(item) for item in value]
    raise UnsupportedError(f"CAST from {source} to {target}")


def _to_text(source: str) -> Convert:
    if source in WHOLE:
        return str
    if source.startswith("decimal"):
        return javatext.decimal_text
    found: dict[str, Convert] = {
        "double": javatext.double_text,
        "float": javatext.float_text,
        "boolean": lambda value: "true" if value else "false",
        "date": calendar.date_text,
        "timestamp": calendar.moment_text,
        "timestamp_ntz": calendar.moment_text,
    }
    if source not in found:
        raise UnsupportedError(f"CAST from {source} to string")
    return found[source]


def _to_boolean(source: str) -> Convert:
    if source == _TEXT:

        def read(value: str) -> bool | None:
            word = javatext.trimmed(value).lower()
            return True if word in _TRUE else False if word in _FALSE else None

        return read
    if source in WHOLE or source in ("double", "float") or source.startswith("decimal"):
        return lambda value: bool(value != 0)
    raise UnsupportedError(f"CAST from {source} to boolean")


def _to_whole(source: str, target: str) -> Convert:
    low, high = WHOLE[target]

    def fits(value: int) -> int | None:
        return value if low <= value <= high else None

    def read(text: str) -> int | None:
        found = javatext.parse_whole(text)
        return None if found is None else fits(found)

    # The bounds are compared as the JVM does: as floating point.
    top = javatext.single(float(high)) if source == "float" else float(high)

    def cut(value: float) -> int | None:
        if not math.isfinite(value) or math.floor(value) > top or math.ceil(value) < low:
            return None
        return max(min(int(value), high), low)

    if source.startswith("decimal"):
        return lambda value: fits(int(value))
    found: dict[str, Convert] = {
        **dict.fromkeys(WHOLE, fits),
        "string": read,
        "boolean": int,
        "double": cut,
        "float": cut,
        "timestamp": lambda value: fits(value // calendar.SECOND),
    }
    if source not in found:
        raise UnsupportedError(f"CAST from {source} to {target}")
    return found[source]


def _to_float(source: str, target: str) -> Convert:
    single = target == "float"
    if source == _TEXT:

        def read(text: str) -> float | None:
            found = javatext.parse_double(text)
            return javatext.single(found) if single and found is not None else found

        return read
    if source in WHOLE or source in ("boolean", "double", "float") or source.startswith("decimal"):
        return (lambda value: javatext.single(float(value))) if single else float
    if source == "timestamp":
        return lambda value: value / calendar.SECOND
    raise UnsupportedError(f"CAST from {source} to {target}")


def _to_decimal(source: str, target: str) -> Convert:
    precision, scale = decimal_parts(target)
    if source == _TEXT:

        def read(text: str) -> Decimal | None:
            found = javatext.parse_decimal(text)
            return None if found is None else javatext.rounded(found, precision, scale)

        return read
    if source in WHOLE or source == "boolean" or source.startswith("decimal"):
        return lambda value: javatext.rounded(Decimal(value), precision, scale)
    if source in ("double", "float"):

        def exact(value: float) -> Decimal | None:
            if not math.isfinite(value):
                return None
            return javatext.rounded(Decimal(repr(value)), precision, scale)

        return exact
    raise UnsupportedError(f"CAST from {source} to {target}")


def _to_date(source: str) -> Convert:
    if source == _TEXT:
        return lambda value: calendar.parse_date(javatext.trimmed(value))
    if source in _MOMENTS:
        return lambda value: value // calendar.DAY
    raise UnsupportedError(f"CAST from {source} to date")


def _to_moment(source: str, target: str) -> Convert:
    if source == _TEXT:
        return lambda value: calendar.parse_moment(javatext.trimmed(value))
    if source == "date":
        return lambda value: value * calendar.DAY
    if source in _MOMENTS:
        return lambda value: value
    if source in WHOLE and target == "timestamp":
        return lambda value: value * calendar.SECOND
    raise UnsupportedError(f"CAST from {source} to {target}")


_PLAIN: dict[str, Callable[[str], Convert]] = {
    _TEXT: _to_text,
    "boolean": _to_boolean,
    "date": _to_date,
}
