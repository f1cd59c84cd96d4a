"""Comparisons, three-valued logic and branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crisp_spark.serving.nodes import Builder, Node, Run, Strict
from crisp_spark.serving.typenames import FRACTIONS

Test = Callable[[Any, Any], bool]


def equal_as(kind: str) -> Test:
    """Return equality of a type: NaN equals NaN."""
    if kind in FRACTIONS:
        return lambda a, b: a == b or (a != a and b != b)  # noqa: PLR0124
    return lambda a, b: bool(a == b)


def below_as(kind: str) -> Test:
    """Return the order of a type: NaN is above all numbers."""
    if kind in FRACTIONS:
        return lambda a, b: a < b or (b != b and a == a)  # noqa: PLR0124
    if kind.startswith("array"):
        return lambda a, b: _list_key(a) < _list_key(b)
    return lambda a, b: bool(a < b)


def _list_key(values: Sequence[Any]) -> list[tuple[int, Any]]:
    return [(0, 0) if v is None else (2, 0) if v != v else (1, v) for v in values]  # noqa: PLR0124


def _kind(node: Node) -> str:
    return str(node["a"][0]["t"])


def _less(node: Node) -> Test:
    return below_as(_kind(node))


def _less_or_equal(node: Node) -> Test:
    below = below_as(_kind(node))
    return lambda a, b: not below(b, a)


def _greater(node: Node) -> Test:
    below = below_as(_kind(node))
    return lambda a, b: below(b, a)


def _greater_or_equal(node: Node) -> Test:
    below = below_as(_kind(node))
    return lambda a, b: not below(a, b)


def _and(_node: Node, arguments: list[Run]) -> Run:
    left, right = arguments

    def run(row: Sequence[Any]) -> bool | None:
        first = left(row)
        if first is False:
            return False
        second = right(row)
        if second is False:
            return False
        return None if first is None or second is None else True

    return run


def _or(_node: Node, arguments: list[Run]) -> Run:
    left, right = arguments

    def run(row: Sequence[Any]) -> bool | None:
        first = left(row)
        if first is True:
            return True
        second = right(row)
        if second is True:
            return True
        return None if first is None or second is None else False

    return run


def _null_safe_equal(node: Node, arguments: list[Run]) -> Run:
    left, right = arguments
    equal = equal_as(_kind(node))

    def run(row: Sequence[Any]) -> bool:
        first, second = left(row), right(row)
        if first is None or second is None:
            return first is second
        return equal(first, second)

    return run


def _in(node: Node, arguments: list[Run]) -> Run:
    wanted, *others = arguments
    equal = equal_as(_kind(node))

    def run(row: Sequence[Any]) -> bool | None:
        value = wanted(row)
        if value is None:
            return None
        unknown = False
        for other in others:
            found = other(row)
            if found is None:
                unknown = True
            elif equal(value, found):
                return True
        return None if unknown else False

    return run


def _if(_node: Node, arguments: list[Run]) -> Run:
    test, then, otherwise = arguments
    return lambda row: then(row) if test(row) is True else otherwise(row)


def _case(_node: Node, arguments: list[Run]) -> Run:
    pairs = list(zip(arguments[0::2], arguments[1::2], strict=False))
    otherwise = arguments[-1] if len(arguments) % 2 else None
    if len(pairs) == 1:
        ((test, then),) = pairs
        if otherwise is None:
            return lambda row: then(row) if test(row) is True else None
        return lambda row: then(row) if test(row) is True else otherwise(row)

    def run(row: Sequence[Any]) -> Any:
        for test, then in pairs:
            if test(row) is True:
                return then(row)
        return None if otherwise is None else otherwise(row)

    return run


def _coalesce(_node: Node, arguments: list[Run]) -> Run:
    if len(arguments) == 2:  # noqa: PLR2004
        left, right = arguments

        def either(row: Sequence[Any]) -> Any:
            value = left(row)
            return right(row) if value is None else value

        return either

    def run(row: Sequence[Any]) -> Any:
        for argument in arguments:
            value = argument(row)
            if value is not None:
                return value
        return None

    return run


def _extreme(*, largest: bool) -> Builder:
    def build(node: Node, arguments: list[Run]) -> Run:
        below = below_as(_kind(node))

        def run(row: Sequence[Any]) -> Any:
            best = None
            for argument in arguments:
                value = argument(row)
                if value is None:
                    continue
                if best is None or (below(best, value) if largest else below(value, best)):
                    best = value
            return best

        return run

    return build


def _nan_or(_node: Node, arguments: list[Run]) -> Run:
    left, right = arguments

    def run(row: Sequence[Any]) -> Any:
        value = left(row)
        return right(row) if value is not None and value != value else value  # noqa: PLR0124

    return run


def _is_nan(_node: Node, arguments: list[Run]) -> Run:
    (only,) = arguments

    def run(row: Sequence[Any]) -> bool:
        value = only(row)
        return value is not None and value != value  # noqa: PLR0124

    return run


STRICT: dict[str, Strict] = {
    "EqualTo": lambda node: equal_as(_kind(node)),
    "LessThan": _less,
    "LessThanOrEqual": _less_or_equal,
    "GreaterThan": _greater,
    "GreaterThanOrEqual": _greater_or_equal,
    "Not": lambda _node: lambda value: not value,
}

SPECIAL: dict[str, Builder] = {
    "And": _and,
    "Or": _or,
    "EqualNullSafe": _null_safe_equal,
    "In": _in,
    "If": _if,
    "CaseWhen": _case,
    "Coalesce": _coalesce,
    "Greatest": _extreme(largest=True),
    "Least": _extreme(largest=False),
    "NaNvl": _nan_or,
    "IsNaN": _is_nan,
    "IsNull": lambda _node, arguments: lambda row: arguments[0](row) is None,
    "IsNotNull": lambda _node, arguments: lambda row: arguments[0](row) is not None,
}
