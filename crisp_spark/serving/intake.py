"""Values from JSON, CSV or Python in the types that the model was trained with.

The rules are those of batch scoring: a value of another type is taken where nothing is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from crisp_spark.serving import calendar, javatext
from crisp_spark.serving.casting import converter
from crisp_spark.serving.refusal import InputError
from crisp_spark.serving.typenames import WHOLE, decimal_parts, element_of

_NO_VALUE = object()


@dataclass(frozen=True)
class Field:
    """A column of the input.

    Attributes:
        name: Its name.
        type: Spark type in simple form.
        use: ``model``, ``key`` or ``fallback``: who reads it; a fallback column may be absent.
        required: Whether a row without a value is refused.
    """

    name: str
    type: str
    use: str = "model"
    required: bool = False


def _number(value: Any) -> Any:
    """Plain Python for NumPy's scalars."""
    return value.item() if hasattr(value, "item") else value


def _double(value: Any) -> float | None:
    if type(value) is float:
        return value
    value = _number(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        try:
            return float(value)
        except OverflowError:
            return None
    return javatext.parse_double(value) if isinstance(value, str) else None


def _float(value: Any) -> float | None:
    found = _double(value)
    return None if found is None else javatext.single(found)


def _whole(kind: str) -> Callable[[Any], int | None]:
    low, high = WHOLE[kind]

    def read(value: Any) -> int | None:
        if type(value) is int:
            return value if low <= value <= high else None
        value = _number(value)
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            value = javatext.parse_decimal(value)
        if isinstance(value, float | Decimal):
            value = int(value) if math.isfinite(value) and value == int(value) else None
        return value if isinstance(value, int) and low <= value <= high else None

    return read


def _decimal(kind: str) -> Callable[[Any], Decimal | None]:
    precision, scale = decimal_parts(kind)

    def read(value: Any) -> Decimal | None:
        value = _number(value)
        if isinstance(value, float):
            value = repr(value)
        if isinstance(value, str):
            value = javatext.parse_decimal(value)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return None
        return javatext.rounded(Decimal(value), precision, scale)

    return read


def _boolean(value: Any) -> bool | None:
    value = _number(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value)
    return converter("string", "boolean")(value) if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value
    value = _number(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return javatext.double_text(value)
    if isinstance(value, datetime):
        return calendar.moment_text(calendar.micros_from(value))
    return calendar.date_text(calendar.days_from(value)) if isinstance(value, date) else None


def _date(value: Any) -> int | None:
    if isinstance(value, datetime):
        return calendar.micros_from(value) // calendar.DAY
    if isinstance(value, date):
        return calendar.days_from(value)
    return calendar.parse_date(javatext.trimmed(value)) if isinstance(value, str) else None


def _moment(value: Any) -> int | None:
    if isinstance(value, datetime):
        return calendar.micros_from(value)
    if isinstance(value, date):
        return calendar.days_from(value) * calendar.DAY
    return calendar.parse_moment(javatext.trimmed(value)) if isinstance(value, str) else None


def _list(kind: str) -> Callable[[Any], list[Any] | None]:
    inner = reader(element_of(kind))

    def read(value: Any) -> list[Any] | None:
        if not isinstance(value, list | tuple):
            return None
        items = [None if item is None else inner(item) for item in value]
        wrong = any(a is None and b is not None for a, b in zip(items, value, strict=True))
        return None if wrong else items

    return read


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "double": _double,
    "float": _float,
    "boolean": _boolean,
    "string": _text,
    "date": _date,
    "timestamp": _moment,
    "timestamp_ntz": _moment,
    "void": lambda _value: None,
}


def reader(kind: str) -> Callable[[Any], Any]:
    """Return how a value becomes one of a Spark type; it gives None where it cannot.

    Raises:
        InputError: Values of that type are not taken.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in WHOLE:
        return _whole(kind)
    if kind.startswith("decimal"):
        return _decimal(kind)
    if kind.startswith("array<"):
        return _list(kind)
    raise InputError(f"serving: a column of type {kind} cannot be scored outside Spark")


def _faults(field: Field, value: Any, found: Any) -> list[str]:
    """Say what is wrong with a value that could not be read, or that is required."""
    name = field.name
    if field.use == "fallback":
        return []
    if value is _NO_VALUE:
        missing = [f"{name}: missing"] if field.required else []
        return [f"{name}: the field is missing", *missing]
    if found is None and value is not None:
        return [f"{name}: not a {field.type}"]
    is_text = field.type == "string"
    if field.required and (found is None or (is_text and not str(found).strip(" "))):
        return [f"{name}: missing"]
    return []


class Intake:
    """Reads rows and columns of a signature.

    Args:
        fields: The signature, in the order of the slots.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self._steps = [
            (field.name, reader(field.type), field.type == "string", field.required, field)
            for field in fields
        ]

    def row(self, given: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
        """Return the values of a row by slot, and what is wrong with it."""
        values: list[Any] = []
        faults: list[str] = []
        for name, read, is_text, required, field in self._steps:
            value = given.get(name, _NO_VALUE)
            if type(value) is str and not is_text and not value.strip():
                value = None  # an empty cell of a CSV
            found = None if value is None or value is _NO_VALUE else read(value)
            if found is None or required:
                faults += _faults(field, value, found)
            values.append(found)
        return values, faults

    def rows(self, data: Any) -> list[tuple[list[Any], list[str]]]:
        """Return all rows of a list of mappings, or of a mapping of columns.

        Raises:
            InputError: It is neither, a column is missing, or columns differ in length.
        """
        if isinstance(data, Mapping):
            return self._columns(data)
        if not isinstance(data, Iterable) or isinstance(data, str | bytes):
            raise InputError(
                f"serving: a list of rows or columns by name is needed, got {type(data).__name__}"
            )
        found = []
        for at, given in enumerate(data):
            if not isinstance(given, Mapping):
                raise InputError(
                    f"serving: row {at} must map names to values, got {type(given).__name__}"
                )
            found.append(self.row(given))
        return found

    def _columns(self, data: Mapping[str, Any]) -> list[tuple[list[Any], list[str]]]:
        names = [field.name for field in self.fields if field.name in data]
        missing = [f.name for f in self.fields if f.use != "fallback" and f.name not in data]
        if missing:
            raise InputError(
                f"serving: no such column {', '.join(map(repr, missing))}",
                hint=f"given: {', '.join(map(str, data))}",
            )
        try:
            lengths = {len(data[name]) for name in names}
        except TypeError as error:
            raise InputError("serving: each column must be a list of values") from error
        if len(lengths) > 1 or any(isinstance(data[name], str) for name in names):
            raise InputError(f"serving: columns differ in length, got {sorted(lengths)}")
        columns = [data[name] for name in names]
        return [
            self.row(dict(zip(names, cells, strict=True))) for cells in zip(*columns, strict=True)
        ]
