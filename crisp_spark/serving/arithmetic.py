"""Numbers: whole ones that overflow, fractions, decimals, and functions of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

from crisp_spark.serving.javatext import rounded, single
from crisp_spark.serving.nodes import Builder, Node, Run, Strict
from crisp_spark.serving.refusal import RowError, UnsupportedError
from crisp_spark.serving.typenames import FRACTIONS, WHOLE, decimal_parts

_WIDE = Context(prec=120, rounding=ROUND_HALF_UP)
_WIDEST = Context(prec=700)
"""Holds every digit of the largest and the smallest double."""
_DIVISION_SCALE = Decimal(1).scaleb(-39)
_Binary = Callable[[Any, Any], Any]


def _fitted(node: Node, function: _Binary) -> _Binary:
    """Bring results into the node's type: overflow raises, or is null in a TRY_ function."""
    kind, lenient = node["t"], node.get("mode") == "TRY"

    def refuse() -> None:
        if not lenient:
            raise RowError(f"{node['f'].lower()}: the result does not fit {kind}")

    if kind in WHOLE:
        low, high = WHOLE[kind]

        def whole(a: Any, b: Any) -> Any:
            value = function(a, b)
            return value if low <= value <= high else refuse()

        return whole
    if kind.startswith("decimal"):
        precision, scale = decimal_parts(kind)

        def exact(a: Any, b: Any) -> Any:
            value = rounded(function(a, b), precision, scale)
            return refuse() if value is None else value

        return exact
    if kind == "float":
        return lambda a, b: single(function(a, b))
    if kind == "double" or kind.startswith("interval "):
        return function
    raise UnsupportedError(f"{node['f']} of {kind}")


def _basic(function: _Binary) -> Strict:
    return lambda node: _fitted(node, function)


def _plain(name: str) -> Strict:
    """Addition, subtraction, multiplication: exact for whole numbers and decimals."""
    plain = {"Add": operator.add, "Subtract": operator.sub, "Multiply": operator.mul}[name]
    exact = {"Add": _WIDE.add, "Subtract": _WIDE.subtract, "Multiply": _WIDE.multiply}[name]

    def build(node: Node) -> _Binary:
        return _fitted(node, exact if node["t"].startswith("decimal") else plain)

    return build


def _divided(name: str) -> Builder:
    """Division and remainders: the divisor is looked at first, zero raises."""

    def build(node: Node, arguments: list[Run]) -> Run:
        left, right = arguments
        lenient = node.get("mode") == "TRY"
        function = _fitted(node, _DIVISIONS[name](node["a"][0]["t"]))

        def run(row: Sequence[Any]) -> Any:
            divisor = right(row)
            if divisor is None:
                return None
            value = left(row)
            if value is None:
                return None
            if divisor == 0:
                if lenient:
                    return None
                raise RowError("division by zero")
            return function(value, divisor)

        return run

    return build


def _divide(kind: str) -> _Binary:
    if kind.startswith("decimal"):
        return lambda a, b: _WIDE.divide(a, b).quantize(_DIVISION_SCALE, context=_WIDE)
    return operator.truediv


def _whole_divide(kind: str) -> _Binary:
    if kind.startswith("decimal"):
        return lambda a, b: int(_WIDE.divide_int(a, b))

    def cut(a: int, b: int) -> int:
        value = abs(a) // abs(b)
        return value if (a < 0) == (b < 0) else -value

    return cut


def _remainder(kind: str) -> _Binary:
    if kind.startswith("decimal"):
        return _WIDE.remainder
    if kind in FRACTIONS:
        return _fmod
    return lambda a, b: int(math.copysign(1, a)) * (abs(a) % abs(b))


def _fmod(a: float, b: float) -> float:
    return math.nan if math.isinf(a) or a != a or b != b else math.fmod(a, b)  # noqa: PLR0124


def _positive_remainder(kind: str) -> _Binary:
    remainder = _remainder(kind)
    add = _WIDE.add if kind.startswith("decimal") else operator.add

    def run(a: Any, b: Any) -> Any:
        value = remainder(a, b)
        return remainder(add(value, b), b) if value < 0 else value

    return run


_DIVISIONS: dict[str, Callable[[str], _Binary]] = {
    "Divide": _divide,
    "IntegralDivide": _whole_divide,
    "Remainder": _remainder,
    "Pmod": _positive_remainder,
}


def _unary(function: Callable[[Any], Any]) -> Strict:
    def build(node: Node) -> Callable[[Any], Any]:
        fitted = _fitted(node, lambda a, _b: function(a))
        return lambda a: fitted(a, None)

    return build


def _quiet(function: Callable[..., float]) -> Callable[..., float]:
    """What C reports as an error, the JVM answers with NaN or infinity."""

    def run(*values: float) -> float:
        try:
            return function(*values)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _real(function: Callable[..., float]) -> Strict:
    quiet = _quiet(function)
    return lambda _node: quiet


def _logarithm(function: Callable[[float], float], lowest: float) -> Strict:
    """A logarithm is null where it does not exist."""
    return lambda _node: lambda x: None if x <= lowest else function(x)


def _log_to_base(_node: Node) -> _Binary:
    return lambda base, x: None if x <= 0 or base <= 0 else _log_ratio(math.log(x), math.log(base))


def _log_ratio(top: float, bottom: float) -> float:
    if bottom == 0:
        return math.nan if top == 0 or top != top else math.copysign(math.inf, top)  # noqa: PLR0124
    return top / bottom


def _power(a: float, b: float) -> float:
    if b != b or (abs(a) == 1 and math.isinf(b)):  # noqa: PLR0124
        return math.nan  # in Java also 1 to the power of NaN
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan


def _round(mode: str) -> Strict:
    """Round to digits behind the point, as the decimal that is shown."""

    def build(node: Node) -> Callable[..., Any]:
        kind = node["t"]

        def run(value: Any, digits: int) -> Any:
            if kind in FRACTIONS and not math.isfinite(value):
                return value
            if kind in WHOLE and digits >= 0:
                return value
            exact = Decimal(repr(value)) if kind in FRACTIONS else Decimal(value)
            shown = exact.quantize(Decimal(1).scaleb(-digits), rounding=mode, context=_WIDEST)
            if kind == "float":
                return single(float(shown))
            return float(shown) if kind == "double" else shown

        def fitted(value: Any, digits: int) -> Any:
            if kind in FRACTIONS:
                return run(value, digits)
            return _fitted(node, run)(value, digits)

        if kind in WHOLE:
            return lambda value, digits: int(fitted(value, digits))
        return fitted

    return build


def _to_whole(function: Callable[[Any], int]) -> Strict:
    """Floor and ceiling: of a double a bigint, of a decimal a decimal."""

    def saturated(value: float) -> int:
        if math.isnan(value):
            return 0
        low, high = WHOLE["bigint"]
        if math.isinf(value):
            return high if value > 0 else low
        return max(min(function(value), high), low)

    def build(node: Node) -> Callable[[Any], Any]:
        if node["t"].startswith("decimal"):
            return _unary(lambda value: Decimal(function(value)))(node)
        return saturated if node["a"][0]["t"] in FRACTIONS else function

    return build


def _atan2(y: float, x: float) -> float:
    return math.atan2(y + 0.0, x + 0.0)  # no negative zeros, as in Spark


def _hypot(a: float, b: float) -> float:
    return math.hypot(a, b)


def _sign(value: Any) -> float:
    return value if value != value or value == 0 else math.copysign(1.0, value)  # noqa: PLR0124


def _rint(value: float) -> float:
    return float(round(value)) if math.isfinite(value) and abs(value) < 2**53 else value


_REALS: dict[str, Callable[..., float]] = {
    "Sin": math.sin,
    "Cos": math.cos,
    "Tan": math.tan,
    "Asin": math.asin,
    "Acos": math.acos,
    "Atan": math.atan,
    "Atan2": _atan2,
    "Sinh": math.sinh,
    "Cosh": math.cosh,
    "Tanh": math.tanh,
    "Exp": math.exp,
    "Expm1": math.expm1,
    "Sqrt": math.sqrt,
    "Cbrt": math.cbrt,
    "Hypot": _hypot,
    "ToDegrees": math.degrees,
    "ToRadians": math.radians,
}

STRICT: dict[str, Strict] = {
    "Add": _plain("Add"),
    "Subtract": _plain("Subtract"),
    "Multiply": _plain("Multiply"),
    "UnaryMinus": _unary(operator.neg),
    "UnaryPositive": lambda _node: lambda value: value,
    "Abs": _unary(abs),
    "BitwiseAnd": _basic(operator.and_),
    "BitwiseOr": _basic(operator.or_),
    "BitwiseXor": _basic(operator.xor),
    "BitwiseNot": _unary(operator.invert),
    **{name: _real(function) for name, function in _REALS.items()},
    "Log": _logarithm(math.log, 0.0),
    "Log10": _logarithm(math.log10, 0.0),
    "Log2": _logarithm(lambda x: math.log(x) / math.log(2), 0.0),
    "Log1p": _logarithm(math.log1p, -1.0),
    "Logarithm": _log_to_base,
    "Pow": lambda _node: _power,
    "Signum": lambda _node: _sign,
    "Rint": lambda _node: _rint,
    "Round": _round(ROUND_HALF_UP),
    "BRound": _round(ROUND_HALF_EVEN),
    "Floor": _to_whole(math.floor),
    "Ceil": _to_whole(math.ceil),
}

SPECIAL: dict[str, Builder] = {
    **{name: _divided(name) for name in _DIVISIONS},
    "Pi": lambda _node, _arguments: lambda _row: math.pi,
    "EulerNumber": lambda _node, _arguments: lambda _row: math.e,
}
