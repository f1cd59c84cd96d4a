"""Declared values as Spark columns, and the conditions made of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from crisp_spark.errors import suggest
from crisp_spark.understanding.profile_columns import LONGEST_TEXT, ColumnPlan, Family


class FaultError(Exception):
    """What is wrong with one rule."""


def literal_of(plan: ColumnPlan, value: Any) -> Column:
    """Bring a declared value to the column's type."""
    truth, text = isinstance(value, bool), isinstance(value, str)
    fits = {
        Family.NUMBER: not truth and not text,
        Family.BOOLEAN: truth,
        Family.TEXT: text,
        Family.MOMENT: text,
    }.get(plan.family, False)
    if not fits:
        raise FaultError(f"{value!r} does not fit {plan.name!r} ({plan.type})")
    if plan.family is not Family.MOMENT:
        return F.lit(value)
    moment = moment_of(value)
    if plan.type == "date" and is_date(value):
        return F.lit(value).cast("date")
    plain = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return F.lit(plain).cast("timestamp" if plan.type == "date" else plan.type)


def near(message: str, name: str, valid: Any) -> str:
    """Add the nearest valid name to a message."""
    near = suggest(name, valid)
    return f"{message}; did you mean {near!r}?" if near else message


def is_date(text: str) -> bool:
    """Say whether a text is an ISO date without a time."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def moment_of(text: str) -> datetime:
    """Read an ISO date or timestamp; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise FaultError(f"{text!r} is no ISO date or timestamp") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def between(
    value: Column, low: Column | None, high: Column | None, *, strict: tuple[bool, bool]
) -> Column:
    """Build the condition that a value lies between bounds; ``strict`` leaves out the ends."""
    holds = F.lit(True)
    if low is not None:
        holds = holds & ((value > low) if strict[0] else (value >= low))
    if high is not None:
        holds = holds & ((value < high) if strict[1] else (value <= high))
    return holds


def within(value: Column, low: int | None, high: int | None) -> Column:
    """Build the condition that a count lies within its bounds."""
    ends = (None if end is None else F.lit(end) for end in (low, high))
    return between(value, *ends, strict=(False, False))


def shown_text(plan: ColumnPlan) -> Column:
    """Return a value as a text of bounded length, whatever its type."""
    if plan.family is Family.NESTED:
        return F.substring(F.to_json(F.struct(plan.column)), 1, LONGEST_TEXT)
    if plan.family is Family.BINARY:
        return F.substring(F.hex(plan.column), 1, LONGEST_TEXT)
    return F.substring(plan.text, 1, LONGEST_TEXT)
