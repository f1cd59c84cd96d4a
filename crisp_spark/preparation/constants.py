"""Declared constants as columns of the right type, checked before anything runs."""

from __future__ import annotations

import math
from datetime import date, datetime

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import SpecError

Constant = bool | int | float | str

_RANGES = {"tinyint": 2**7, "smallint": 2**15, "int": 2**31, "bigint": 2**63}


def constant_or_none(kind: T.DataType, value: Constant) -> Column | None:
    """Return ``value`` as a column of type ``kind``, or None where the type cannot hold it."""
    if isinstance(kind, T.BooleanType):
        return F.lit(value) if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if isinstance(kind, T.StringType):
        return F.lit(value) if isinstance(value, str) else None
    if isinstance(kind, T.NumericType):
        return _number(kind, value)
    if isinstance(value, str):
        return _moment(kind, value)
    return None


def constant(place: str, name: str, kind: T.DataType, value: Constant) -> Column:
    """Return ``value`` as a column of type ``kind``.

    Raises:
        SpecError: The type of column ``name`` cannot hold the value.
    """
    found = constant_or_none(kind, value)
    if found is None:
        raise SpecError(
            f"{place}: wrong type: column {name!r} is {kind.simpleString()}, got {value!r}",
            hint="write a value of that type, or cast the column first",
        )
    return found


def _number(kind: T.NumericType, value: Constant) -> Column | None:
    if isinstance(value, str):
        return None
    if isinstance(kind, T.IntegralType):
        limit = _RANGES[kind.simpleString()]
        if not math.isfinite(value) or value != int(value) or not -limit <= value < limit:
            return None
        return F.lit(int(value)).cast(kind)
    if isinstance(kind, T.DecimalType):
        if not math.isfinite(value) or abs(value) >= 10 ** (kind.precision - kind.scale):
            return None
        return F.lit(str(value)).cast(kind)
    return F.lit(float(value)).cast(kind)


def _moment(kind: T.DataType, value: str) -> Column | None:
    try:
        if isinstance(kind, T.DateType):
            return F.lit(date.fromisoformat(value))
        if isinstance(kind, T.TimestampType | T.TimestampNTZType):
            datetime.fromisoformat(value)
            return F.lit(value).cast(kind)
    except ValueError:
        return None
    return None
