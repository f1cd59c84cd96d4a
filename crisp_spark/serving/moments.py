"""Dates and moments in UTC."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from crisp_spark.serving import calendar
from crisp_spark.serving.calendar import DAY, SECOND, civil, days_of
from crisp_spark.serving.nodes import Node, Strict
from crisp_spark.serving.refusal import RowError, UnsupportedError
from crisp_spark.serving.texts import constant

_DAYS = {
    name: at
    for at, names in enumerate(
        (
            ("MO", "MON", "MONDAY"),
            ("TU", "TUE", "TUESDAY"),
            ("WE", "WED", "WEDNESDAY"),
            ("TH", "THU", "THURSDAY"),
            ("FR", "FRI", "FRIDAY"),
            ("SA", "SAT", "SATURDAY"),
            ("SU", "SUN", "SUNDAY"),
        )
    )
    for name in names
}
_UNITS = {"MICROSECOND": 1, "MILLISECOND": 1000, "SECOND": SECOND, "MINUTE": 60 * SECOND}
_UNITS |= {"HOUR": 3600 * SECOND, "DAY": DAY, "WEEK": 7 * DAY}


def weekday(days: int) -> int:
    """Return 0 (Monday) to 6."""
    return (days + 3) % 7


def _plain(function: Callable[..., Any]) -> Strict:
    return lambda _node: function


def _of_day(function: Callable[[int], int]) -> Strict:
    return lambda _node: function


def _of_clock(divisor: int, size: int) -> Strict:
    return lambda _node: lambda micros: micros // divisor % size


def _day_of_year(days: int) -> int:
    return days - (days_of(civil(days)[0], 1, 1) or 0) + 1


def _last_day(days: int) -> int:
    year, month, day = civil(days)
    return days + calendar.days_in_month(year, month) - day


def _next_day(_node: Node) -> Callable[[int, str], int | None]:
    def run(days: int, name: str) -> int | None:
        wanted = _DAYS.get(name.strip().upper())
        if wanted is None:
            raise RowError(f"next_day: {name!r} is no day of the week")
        return days + 1 + (wanted - weekday(days) - 1) % 7

    return run


def _make_date(year: int, month: int, day: int) -> int:
    found = days_of(year, month, day)
    if found is None:
        raise RowError(f"make_date: there is no day {year}-{month}-{day}")
    return found


def _zoned(name: str) -> Strict:
    """Shift by a zone whose offsets the bundle carries."""

    def build(node: Node) -> Callable[[int, str], int]:
        zone = calendar.Zone(*node["zone"])
        shift = zone.local if name == "FromUTCTimestamp" else zone.moment
        return lambda micros, _zone: shift(micros)

    return build


def truncated(days: int, unit: str) -> int | None:
    """Return the first day of the week, month, quarter or year; None for another unit."""
    year, month, _ = civil(days)
    unit = unit.upper()
    if unit in ("YEAR", "YYYY", "YY"):
        return days_of(year, 1, 1)
    if unit == "QUARTER":
        return days_of(year, (month - 1) // 3 * 3 + 1, 1)
    if unit in ("MONTH", "MM", "MON"):
        return days_of(year, month, 1)
    return days - weekday(days) if unit == "WEEK" else None


def _trunc_date(node: Node) -> Callable[[int, str], int | None]:
    constant(node, 1)
    return truncated


def _trunc_moment(node: Node) -> Callable[[str, int], int | None]:
    unit = str(constant(node, 0)).upper()
    size = _UNITS.get({"DD": "DAY"}.get(unit, unit))
    if size is not None and unit != "WEEK":
        return lambda _unit, micros: micros - micros % size

    def run(_unit: str, micros: int) -> int | None:
        days = truncated(micros // DAY, unit)
        return None if days is None else days * DAY

    return run


def _months_between(_node: Node) -> Callable[..., float]:
    def run(later: int, earlier: int, exact: bool) -> float:
        (first, at), (second, until) = divmod(later, DAY), divmod(earlier, DAY)
        y1, m1, d1 = civil(first)
        y2, m2, d2 = civil(second)
        months = (y1 - y2) * 12 + m1 - m2
        last = (calendar.days_in_month(y1, m1), calendar.days_in_month(y2, m2))
        if d1 == d2 or (d1, d2) == last:
            return float(months)
        seconds = (d1 - d2) * 86400 + at // SECOND - until // SECOND
        value = months + seconds / (31 * 86400)
        return float(round(Decimal(repr(value)), 8)) if exact else value

    return run


def _shift(node: Node) -> Callable[[int, Any], int]:
    """Add an interval to a moment or a day."""
    kind, sign = node["a"][1]["t"], -1 if node["f"].endswith("Sub") else 1
    if kind == "interval":

        def calendar_interval(micros: int, interval: Any) -> int:
            months, days, rest = interval
            day, clock = divmod(micros, DAY)
            moved: int = calendar.with_months(day, sign * months) + sign * days
            return moved * DAY + clock + int(sign * rest)

        return calendar_interval
    if kind.startswith("interval ") and ("year" in kind or "month" in kind):

        def by_months(value: int, months: int) -> int:
            if node["t"] == "date":
                return calendar.with_months(value, sign * months)
            day, clock = divmod(value, DAY)
            return calendar.with_months(day, sign * months) * DAY + clock

        return by_months
    if kind.startswith("interval ") and node["t"] != "date":
        return lambda micros, rest: micros + sign * rest
    raise UnsupportedError(f"{node['f']} of {kind}")


def _difference(node: Node) -> Callable[[int, int], int]:
    size = DAY if node["a"][0]["t"] == "date" else 1
    if not node["t"].startswith("interval "):
        raise UnsupportedError("differences as calendar intervals")
    return lambda a, b: (a - b) * size


def _to_seconds(node: Node) -> Callable[..., int]:
    kind = node["a"][0]["t"]
    if kind not in ("timestamp", "timestamp_ntz", "date"):
        raise UnsupportedError(f"{node['f']} of {kind} (a format)")
    if kind == "date":
        return lambda days, *_format: days * 86400
    # Cut off towards 1970, unlike unix_seconds, which rounds down.
    return lambda micros, *_format: -(-micros // SECOND) if micros < 0 else micros // SECOND


STRICT: dict[str, Strict] = {
    "Year": _of_day(lambda days: civil(days)[0]),
    "Quarter": _of_day(lambda days: (civil(days)[1] + 2) // 3),
    "Month": _of_day(lambda days: civil(days)[1]),
    "DayOfMonth": _of_day(lambda days: civil(days)[2]),
    "DayOfWeek": _of_day(lambda days: (days + 4) % 7 + 1),
    "WeekDay": _of_day(weekday),
    "DayOfYear": _of_day(_day_of_year),
    "WeekOfYear": _of_day(calendar.iso_week),
    "LastDay": _of_day(_last_day),
    "NextDay": _next_day,
    "Hour": _of_clock(3600 * SECOND, 24),
    "Minute": _of_clock(60 * SECOND, 60),
    "Second": _of_clock(SECOND, 60),
    "DateAdd": _plain(lambda days, more: days + more),
    "DateSub": _plain(lambda days, less: days - less),
    "DateDiff": _plain(lambda end, start: end - start),
    "AddMonths": _plain(calendar.with_months),
    "DateAddYMInterval": _shift,
    "TimestampAddYMInterval": _shift,
    "TimeAdd": _shift,
    "TimestampAddInterval": _shift,
    "SubtractDates": _difference,
    "SubtractTimestamps": _difference,
    "MonthsBetween": _months_between,
    "MakeDate": _plain(_make_date),
    "FromUTCTimestamp": _zoned("FromUTCTimestamp"),
    "ToUTCTimestamp": _zoned("ToUTCTimestamp"),
    "TruncDate": _trunc_date,
    "TruncTimestamp": _trunc_moment,
    "UnixTimestamp": _to_seconds,
    "ToUnixTimestamp": _to_seconds,
    "UnixDate": _plain(lambda days: days),
    "DateFromUnixDate": _plain(lambda days: days),
    "UnixSeconds": _plain(lambda micros: micros // SECOND),
    "UnixMillis": _plain(lambda micros: micros // 1000),
    "UnixMicros": _plain(lambda micros: micros),
    "ExtractANSIIntervalDays": _plain(
        lambda micros: int(micros / DAY) if micros < 0 else micros // DAY
    ),
}
