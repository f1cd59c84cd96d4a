"""Numbers as the Java virtual machine writes and reads them."""

from __future__ import annotations

import math
import re
import struct
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WORDS = {
    "inf": math.inf,
    "+inf": math.inf,
    "infinity": math.inf,
    "+infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
    "nan": math.nan,
}
_BLANK = "".join(map(chr, [*range(33), 127]))
"""What Spark trims around a text that is cast."""
_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)


def trimmed(text: str) -> str:
    """Return a text without blanks and control signs around it."""
    return text.strip(_BLANK)


def double_text(value: float) -> str:
    """Return a double as Java writes it: ``1.0``, ``1.0E10``, ``NaN``."""
    return _text(value, repr(value))


def float_text(value: float) -> str:
    """Return a 32-bit float as Java writes it."""
    if not math.isfinite(value) or value == 0:
        return _text(value, repr(value))
    for digits in range(1, 10):
        shown = f"{value:.{digits}g}"
        if single(float(shown)) == value:
            break
    return _text(value, repr(float(shown)))


def _text(value: float, shortest: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    sign, digits, exponent = Decimal(shortest).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    place = len(digits) + int(exponent)  # digits before the point
    minus = "-" if sign else ""
    if 1e-3 <= abs(value) < 1e7:  # noqa: PLR2004
        if place <= 0:
            return f"{minus}0.{'0' * -place}{text}"
        return f"{minus}{text[:place].ljust(place, '0')}.{text[place:] or '0'}"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{place - 1}"


def single(value: float) -> float:
    """Return the nearest 32-bit float."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def parse_double(text: str) -> float | None:
    """Read a double as Spark's cast does; None where it cannot."""
    plain = trimmed(text)
    if _DECIMAL.fullmatch(plain):
        return float(plain)
    if plain[-1:] in tuple("dDfF") and _DECIMAL.fullmatch(plain[:-1]):
        return float(plain[:-1])
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?\d+[dDfF]?", plain, re.ASCII):
        try:
            return float.fromhex(plain.rstrip("dDfF") if plain[-1] in "dDfF" else plain)
        except (ValueError, OverflowError):
            return None
    return _WORDS.get(plain.lower())


def parse_whole(text: str) -> int | None:
    """Read a whole number as Spark's ANSI cast does; None where it cannot."""
    plain = trimmed(text)
    return int(plain) if re.fullmatch(r"[+-]?\d+", plain, re.ASCII) else None


def parse_decimal(text: str) -> Decimal | None:
    """Read an exact number; None where it is none."""
    plain = trimmed(text)
    try:
        return Decimal(plain) if _DECIMAL.fullmatch(plain) else None
    except InvalidOperation:
        return None


def rounded(value: Decimal, precision: int, scale: int) -> Decimal | None:
    """Return a decimal rounded half up to its scale; None where it has too many digits."""
    if value.adjusted() >= precision:
        return None
    found = value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
    if found == 0:
        return found.copy_abs()  # decimals of the JVM have no negative zero
    return found if found.adjusted() < precision - scale else None


def decimal_text(value: Decimal) -> str:
    """Return a decimal without exponent."""
    return format(value, "f")
