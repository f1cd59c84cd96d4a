"""What a model takes and gives, as an endpoint knows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Literal, Protocol

Use = Literal["model", "key", "fallback"]

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_WHOLE_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")
LARGEST_FLOAT = 3.4028234663852886e38


class WrongTypeError(Exception):
    """A value is not of a type; the text is what the type takes."""


Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """A column that a request brings along.

    Attributes:
        name: Its name.
        type: Spark type in simple form.
        use: Read by the model; part of the key, and given back; or read by the fallback rule only.
        required: Whether a row without a value is refused by the model.
    """

    name: str
    type: str
    use: Use = "model"
    required: bool = False

    @property
    def needed(self) -> bool:
        """Whether a request must have the column."""
        return self.use == "model" or self.required


@dataclass(frozen=True)
class RowAnswer:
    """What the model, or the rule that stands in for it, says to one row.

    Attributes:
        prediction: Class name, number or group; None where nothing can be said.
        score: Probability of the positive class, or the predicted number.
        decision: Whether an alert is raised (binary).
        probabilities: Class name to probability.
        answered_by: ``model``, ``fallback`` or, where neither could, None.
        reasons: Why the model did not answer.
    """

    prediction: Any = None
    score: float | None = None
    decision: bool | None = None
    probabilities: Mapping[str, float] | None = None
    answered_by: Literal["model", "fallback"] | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Identity:
    """Which model answers.

    Attributes:
        name: Name in the registry.
        version: Version in the registry.
        digest: SHA-256 of the bundle.
        spark: Version of Spark that trained it.
        problem: binary, multiclass, regression, clustering or recommendation.
        classes: Class names in the order of their labels.
        threshold: A row scored at least this high raises an alert (binary).
        key: Columns that name one unit of prediction.
    """

    name: str
    version: str
    digest: str = ""
    spark: str = ""
    problem: str = ""
    classes: Sequence[str] = ()
    threshold: float | None = None
    key: Sequence[str] = ()


class Model(Protocol):
    """A loaded model."""

    @property
    def identity(self) -> Identity:
        """Which model it is."""
        ...

    @property
    def fields(self) -> Sequence[Field]:
        """Columns of a request."""
        ...

    def answers(self, columns: Mapping[str, Sequence[Any]], rows: int) -> Sequence[RowAnswer]:
        """Answer rows that are given as columns, one answer for each, in their order."""
        ...

    def stand_in(
        self, columns: Mapping[str, Sequence[Any]], rows: int
    ) -> Sequence[RowAnswer] | None:
        """Answer by the fallback rule alone; None where there is no rule."""
        ...

    def reference_row(self) -> Mapping[str, Any]:
        """Return the row that contributions are measured from: what is usual in training."""
        ...


def converter(kind: str) -> Convert:
    """Return the function that takes a JSON value as a Spark type; it raises WrongTypeError.

    Nothing is guessed: a text is no number, a number is no truth value, and what a type cannot
    hold is refused. Null is handled before.

    Args:
        kind: Spark type in simple form.

    Raises:
        ValueError: The type cannot be written in JSON here.
    """
    if kind in _WHOLE_BITS:
        bits = _WHOLE_BITS[kind]
        return lambda value: _whole(value, bits)
    if found := _DECIMAL.fullmatch(kind):
        precision, scale = (int(part) for part in found.groups())
        return lambda value: _decimal(value, precision, scale)
    if kind.startswith("array<"):
        inner = converter(kind[len("array<") : -1])
        return lambda value: _list(value, inner)
    plain: dict[str, Convert] = {
        "void": _nothing,
        "double": _number,
        "float": _float,
        "string": _text,
        "boolean": _truth,
        "date": _date,
        "timestamp": _timestamp,
        "timestamp_ntz": _local_time,
    }
    if kind not in plain:
        raise ValueError(f"type {kind} cannot be sent to an endpoint")
    return plain[kind]


def _nothing(_value: Any) -> None:
    raise WrongTypeError("null only")


def _list(value: Any, inner: Convert) -> list[Any]:
    if not isinstance(value, list):
        raise WrongTypeError("a list")
    return [None if item is None else inner(item) for item in value]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongTypeError("a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise WrongTypeError("a finite number")
    return number


def _float(value: Any) -> float:
    number = _number(value)
    if abs(number) > LARGEST_FLOAT:
        raise WrongTypeError("a number of single precision")
    return number


def _whole(value: Any, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongTypeError("a whole number")
    if isinstance(value, float) and not value.is_integer():
        raise WrongTypeError("a whole number")
    number = int(value)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise WrongTypeError(f"a whole number of {bits} bits")
    return number


def _decimal(value: Any, precision: int, scale: int) -> Decimal:
    wanted = f"a decimal number of {precision - scale} digits and {scale} places"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise WrongTypeError(wanted)
    try:
        number = Decimal(str(value))
        fits = number.is_finite() and abs(number) < Decimal(10) ** (precision - scale)
        rounded = number.quantize(Decimal(1).scaleb(-scale)) if fits else number
    except InvalidOperation:
        raise WrongTypeError(wanted) from None
    if not fits or rounded != number:
        raise WrongTypeError(wanted)
    return rounded


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongTypeError("a text")
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise WrongTypeError("a text of whole characters")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongTypeError("true or false")
    return value


def _date(value: Any) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise WrongTypeError("a date such as 2026-11-24")


def _timestamp(value: Any) -> datetime:
    moment = _moment(value)
    with suppress(OverflowError):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    raise WrongTypeError("a point in time that has a year in UTC")


def _local_time(value: Any) -> datetime:
    if isinstance(value, str) and _OFFSET.search(value):
        raise WrongTypeError("a point in time without an offset")
    return _moment(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, str) and _DAY.match(value):
        with suppress(ValueError):
            if len(value) == len("2026-11-24"):
                return datetime.combine(date.fromisoformat(value), time())
            return datetime.fromisoformat(value)
    raise WrongTypeError("a point in time such as 2026-11-24T08:30:00Z")
