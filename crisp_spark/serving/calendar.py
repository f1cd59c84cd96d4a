"""Days and microseconds of the proleptic Gregorian calendar, for every year that Spark knows."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime

DAY = 86_400_000_000
"""Microseconds of a day."""
SECOND = 1_000_000
_ERA_DAYS = 146_097
_EPOCH = date(1970, 1, 1).toordinal()
_DATE = re.compile(r"([+-]?\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.DOTALL | re.ASCII)
_MOMENT = re.compile(
    r"([+-]?\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[ T](?:(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,}))?)?\s?(\S.*)?)?)?)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}))?)?", re.ASCII)


def days_of(year: int, month: int, day: int) -> int | None:
    """Return days since 1970-01-01; None where there is no such day."""
    if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):  # noqa: PLR2004
        return None
    # Howard Hinnant's days_from_civil: years that start in March have their odd day at the end.
    shifted = year - (month <= 2)  # noqa: PLR2004
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * _ERA_DAYS + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def civil(days: int) -> tuple[int, int, int]:
    """Return year, month and day of days since 1970-01-01."""
    era, rest = divmod(days + 719_468, _ERA_DAYS)
    of_era = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    of_year = rest - (365 * of_era + of_era // 4 - of_era // 100)
    at = (5 * of_year + 2) // 153
    month = at + 3 if at < 10 else at - 9  # noqa: PLR2004
    return of_era + era * 400 + (month <= 2), month, of_year - (153 * at + 2) // 5 + 1  # noqa: PLR2004


def is_leap(year: int) -> bool:
    """Say whether a year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    """Return the length of a month in days."""
    if month == 2:  # noqa: PLR2004
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def with_months(days: int, months: int) -> int:
    """Add months to a day; the last day of a shorter month stands for those it lacks."""
    year, month, day = civil(days)
    count = year * 12 + month - 1 + months
    year, month = count // 12, count % 12 + 1
    return days_of(year, month, min(day, days_in_month(year, month))) or 0


def iso_week(days: int) -> int:
    """Return the ISO week of a day."""
    thursday = days + 3 - (days + 3) % 7
    year, _, _ = civil(thursday)
    return (thursday - (days_of(year, 1, 1) or 0)) // 7 + 1


def date_text(days: int) -> str:
    """Return a day as Spark writes it."""
    year, month, day = civil(days)
    sign = "-" if year < 0 else "+" if year > 9999 else ""  # noqa: PLR2004
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"


def moment_text(micros: int) -> str:
    """Return a moment in UTC as Spark writes it."""
    days, rest = divmod(micros, DAY)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{date_text(days)} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def parse_date(text: str) -> int | None:
    """Read a day from a trimmed text as Spark's cast does; None where it cannot."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    return days_of(int(found[1]), int(found[2] or 1), int(found[3] or 1))


def parse_moment(text: str) -> int | None:
    """Read a moment from a trimmed text as Spark's cast does, UTC where no offset is given."""
    found = _MOMENT.fullmatch(text)
    if not found:
        return None
    days = days_of(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    hour, minute, second = (int(found[n] or 0) for n in (4, 5, 6))
    offset = parse_offset(found[8]) if found[8] else 0
    if days is None or hour > 23 or minute > 59 or second > 59 or offset is None:  # noqa: PLR2004
        return None
    micros = int((found[7] or "0")[:6].ljust(6, "0"))
    return days * DAY + (hour * 3600 + minute * 60 + second - offset) * SECOND + micros


def parse_offset(zone: str) -> int | None:
    """Return the offset of ``Z``, ``UTC`` or ``+02:00`` in seconds; None for anything else."""
    if zone in ("Z", "UTC", "GMT", "UT"):
        return 0
    found = _OFFSET.fullmatch(zone)
    if not found:
        return None
    hours, minutes, seconds = int(found[2]), int(found[3] or 0), int(found[4] or 0)
    if hours > 18 or minutes > 59 or seconds > 59:  # noqa: PLR2004
        return None
    total = hours * 3600 + minutes * 60 + seconds
    return -total if found[1] == "-" else total


def days_from(value: date) -> int:
    """Return days since 1970-01-01 of a Python date."""
    return value.toordinal() - _EPOCH


def micros_from(value: datetime) -> int:
    """Return microseconds since 1970 of a Python moment; without an offset it counts as UTC."""
    plain = value.astimezone(UTC) if value.tzinfo is not None else value
    seconds = (plain.hour * 60 + plain.minute) * 60 + plain.second
    return days_from(plain.date()) * DAY + seconds * SECOND + plain.microsecond


class Zone:
    """Offsets of a time zone, as they were when the bundle was made.

    Args:
        instants: Microseconds since 1970 from which the next offset holds, rising.
        offsets: Seconds; one more than instants.
    """

    def __init__(self, instants: Sequence[int], offsets: Sequence[int]) -> None:
        self._instants = list(instants)
        self._offsets = list(offsets)
        # As wall-clock time: a gap takes the offset before it, an overlap the earlier offset.
        self._walls = [
            at + max(before, after) * SECOND
            for at, before, after in zip(instants, offsets, offsets[1:], strict=False)
        ]

    def local(self, micros: int) -> int:
        """Return the wall-clock time of a moment."""
        return micros + self._offsets[bisect_right(self._instants, micros)] * SECOND

    def moment(self, wall: int) -> int:
        """Return the moment of a wall-clock time."""
        return wall - self._offsets[bisect_right(self._walls, wall)] * SECOND
