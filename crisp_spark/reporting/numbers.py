"""Numbers as people read them: separators, sensible digits, units; a dash for what is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

UNKNOWN = "\u2013"
_MINUS = "\u2212"
_NBSP = "\u00a0"
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CNY": "¥"}
_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)


def count(value: float | None) -> str:
    """A whole number with thousands separators: ``336,776``."""
    return _signed(f"{value:,.0f}") if value is not None and _known(value) else UNKNOWN


def number(value: float | None, digits: int = 3) -> str:
    """A measured number with ``digits`` significant digits, never in exponents for usual sizes."""
    if value is None or not _known(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10 ** (digits - 1)):
        return count(value) if abs(value) < 1e15 else _power(value, digits)  # noqa: PLR2004
    size = abs(value)
    if size >= 1e15 or size < 1e-6:  # noqa: PLR2004 - outside what people read as decimals
        return _power(value, digits)
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text)


def _power(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return _signed(f"{mantissa}e{int(exponent)}")


def fixed(value: float | None, decimals: int = 3) -> str:
    """A number with a fixed count of decimals, for columns that should line up."""
    return _signed(f"{value:,.{decimals}f}") if value is not None and _known(value) else UNKNOWN


def percent(fraction: float | None, decimals: int | None = None) -> str:
    """A fraction as a percentage; small shares keep a digit: ``0.04 %``."""
    if fraction is None or not _known(fraction):
        return UNKNOWN
    value = round(float(fraction) * 100, 10)
    if decimals is None:
        decimals = _percent_decimals(abs(value))
    text = f"{value:,.{decimals}f}"
    if fraction and float(text.replace(",", "")) == 0:
        return f"< 0.01{_NBSP}%" if fraction > 0 else f"> {_MINUS}0.01{_NBSP}%"
    if fraction < 1 and text == "100.00":
        text = "> 99.99"
    return _signed(text) + f"{_NBSP}%"


def _percent_decimals(size: float) -> int:
    if size <= 100 and size.is_integer():  # noqa: PLR2004 - declared shares are whole
        return 0
    if size < 1 or size > 99:  # noqa: PLR2004 - near the ends a digit matters
        return 2
    return 1


def money(value: float | None, currency: str = "") -> str:
    """An amount: whole units from 100 on, cents below; ``-$1,234`` or ``1,234 CHF``."""
    if value is None or not _known(value):
        return UNKNOWN
    small = abs(value) < 100 and not float(value).is_integer()  # noqa: PLR2004
    digits = f"{abs(value):,.{2 if small else 0}f}"
    sign = _MINUS if value < 0 and digits.strip("0.,") else ""
    symbol = _SYMBOLS.get(currency.upper())
    if symbol:
        return f"{sign}{symbol}{digits}"
    return f"{sign}{digits}{_NBSP}{currency}" if currency else f"{sign}{digits}"


def size(value: float | None) -> str:
    """Bytes in decimal units: ``12.3 MB``."""
    if value is None or not _known(value):
        return UNKNOWN
    amount, unit = float(value), 0
    while abs(amount) >= 1000 and unit < len(_BYTES) - 1:  # noqa: PLR2004 - decimal units
        amount, unit = amount / 1000, unit + 1
    return f"{number(amount) if unit else count(amount)}{_NBSP}{_BYTES[unit]}"


def duration(seconds: float | None) -> str:
    """A span of time: ``0.4 s``, ``2 min 05 s``, ``3 h 20 min``, ``4 days 2 h``."""
    if seconds is None or not _known(seconds):
        return UNKNOWN
    if seconds < 0:
        return _MINUS + duration(-seconds)
    if seconds < 60:  # noqa: PLR2004
        return f"{number(seconds, 2)}{_NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}{_NBSP}min {rest:02d}{_NBSP}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours}{_NBSP}h {minutes:02d}{_NBSP}min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours}{_NBSP}h"


def moment(value: datetime | str | None) -> str:
    """A point in time, to the minute, in UTC."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    shown = value.astimezone(UTC) if value.tzinfo else value
    return shown.strftime("%Y-%m-%d %H:%M UTC")


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in words that a screen reader can say: ``0.61 to 0.64``."""
    if not _known(low) or not _known(high):
        return UNKNOWN
    return f"{number(low, digits)} to {number(high, digits)}"


def short(value: float | None) -> str:
    """A number for an axis: ``1.2k``, ``3M``."""
    if value is None or not _known(value):
        return UNKNOWN
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{number(value / limit)}{suffix}"
    return number(value)


def alike(values: Iterable[float | None]) -> Callable[[float | None], str]:
    """A format that writes all ``values`` with the same decimals: three digits for the largest."""
    known = [abs(value) for value in values if value is not None and _known(value)]
    largest = max(known, default=0.0)
    if largest == 0 or largest >= 100:  # noqa: PLR2004 - whole numbers tell enough
        return number
    decimals = min(6, max(0, 2 - math.floor(math.log10(largest))))
    return lambda value: fixed(value, decimals)


def plural(amount: float, noun: str, many: str | None = None) -> str:
    """``1 row``, ``2 rows``; ``many`` gives an irregular plural."""
    return f"{count(amount)} {noun if amount == 1 else many or noun + 's'}"
