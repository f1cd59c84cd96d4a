"""Which time a table covers, and where rows are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pyspark.sql import Column
from pyspark.sql import functions as F

from crisp_spark.results.profile import Gap, Period, TimeCoverage
from crisp_spark.understanding.profile_columns import ColumnPlan, Family
from crisp_spark.understanding.profile_scan import Basics

TimeSlots = dict[str, tuple[ColumnPlan, str, Column]]
"""Slot to column, length of a period, and the period's start as text."""
_UNITS: tuple[tuple[str, float], ...] = (("hour", 3.0), ("day", 1100.0), ("month", 40_000.0))
_MOST_GAPS = 50
_MOST_PERIODS = 2000
_MOST_COLUMNS = 3


def time_slots(
    plans: Sequence[ColumnPlan], basics: Mapping[int, Basics], declared: str
) -> TimeSlots:
    """Plan one slot per time column: the declared one, or else the first few."""
    moments = [plan for plan in plans if plan.family is Family.MOMENT and basics[plan.index].known]
    chosen = [plan for plan in moments if plan.name == declared] or moments[:_MOST_COLUMNS]
    slots = {}
    for plan in chosen:
        unit = _unit(str(basics[plan.index].low), str(basics[plan.index].high))
        start = F.date_trunc(unit, plan.column.cast("timestamp"))
        slots[f"t{plan.index}"] = (plan, unit, F.date_format(start, "yyyy-MM-dd HH:mm"))
    return slots


def _unit(low: str, high: str) -> str:
    start, end = _parse(low), _parse(high)
    if start is None or end is None:
        return "year"
    days = (end - start) / timedelta(days=1)
    return next((unit for unit, most in _UNITS if days <= most), "year")


def coverage(
    plan: ColumnPlan, unit: str, counts: Mapping[str, int], basics: Basics
) -> TimeCoverage:
    """Turn counts per period into the coverage of a time column."""
    starts = sorted(counts)
    periods = [
        Period(start=_shown(start, unit), rows=counts[start]) for start in starts[:_MOST_PERIODS]
    ]
    gaps: list[Gap] = []
    for before, after in pairwise(starts):
        first, end = _next(_parse(before), unit, 1), _parse(after)
        if first is None or end is None or first >= end:
            continue
        gaps.append(
            Gap(
                first=_shown(first.isoformat(" "), unit),
                last=_shown(_before(end, unit).isoformat(" "), unit),
                periods=_between(first, end, unit),
            )
        )
    missing = sum(gap.periods for gap in gaps)
    gaps.sort(key=lambda gap: (-gap.periods, gap.first))
    return TimeCoverage(
        column=plan.name,
        unit=unit,
        first=None if basics.low is None else str(basics.low),
        last=None if basics.high is None else str(basics.high),
        periods=tuple(periods),
        gaps=tuple(sorted(gaps[:_MOST_GAPS], key=lambda gap: gap.first)),
        missing_periods=missing,
    )


def _parse(text: str) -> datetime | None:
    # Years beyond Python's calendar (Spark knows them) have no periods to count.
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _next(moment: datetime | None, unit: str, step: int) -> datetime | None:
    if moment is None:
        return None
    try:
        if unit in {"hour", "day"}:
            return moment + step * (timedelta(hours=1) if unit == "hour" else timedelta(days=1))
        months = moment.year * 12 + moment.month - 1 + step * (1 if unit == "month" else 12)
        return moment.replace(year=months // 12, month=months % 12 + 1)
    except (ValueError, OverflowError):
        return None


def _before(moment: datetime, unit: str) -> datetime:
    return _next(moment, unit, -1) or moment


def _between(first: datetime, end: datetime, unit: str) -> int:
    if unit == "hour":
        return round((end - first) / timedelta(hours=1))
    if unit == "day":
        return (end - first).days
    months = (end.year - first.year) * 12 + end.month - first.month
    return months if unit == "month" else months // 12


def _shown(start: str, unit: str) -> str:
    return start[: {"hour": 16, "day": 10, "month": 7, "year": 4}[unit]]
