"""Functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crisp_spark.serving.conditions import below_as, equal_as
from crisp_spark.serving.nodes import Builder, Node, Run, Strict
from crisp_spark.serving.refusal import RowError
from crisp_spark.serving.typenames import element_of


def _create(_node: Node, arguments: list[Run]) -> Run:
    return lambda row: [argument(row) for argument in arguments]


def _element_at(node: Node) -> Callable[[list[Any], int], Any]:
    strict = node.get("fail", True)

    def run(values: list[Any], place: int) -> Any:
        if 0 < place <= len(values):
            return values[place - 1]
        if place == 0:
            raise RowError("element_at: places start at 1, got 0")
        if -len(values) <= place < 0:
            return values[place]
        if strict:
            raise RowError(f"element_at: place {place} of an array of {len(values)}")
        return None

    return run


def _get(node: Node) -> Callable[[list[Any], int], Any]:
    strict = node.get("fail", True)

    def run(values: list[Any], place: int) -> Any:
        if 0 <= place < len(values):
            return values[place]
        if strict:
            raise RowError(f"array index {place} of an array of {len(values)}")
        return None

    return run


def _size(node: Node, arguments: list[Run]) -> Run:
    (only,) = arguments
    of_null = -1 if node.get("legacy") else None

    def run(row: Sequence[Any]) -> int | None:
        values = only(row)
        return of_null if values is None else len(values)

    return run


def _contains(node: Node) -> Callable[[list[Any], Any], bool | None]:
    equal = equal_as(node["a"][1]["t"])

    def run(values: list[Any], wanted: Any) -> bool | None:
        if any(value is not None and equal(value, wanted) for value in values):
            return True
        return None if None in values else False

    return run


def _position(node: Node) -> Callable[[list[Any], Any], int]:
    equal = equal_as(node["a"][1]["t"])

    def run(values: list[Any], wanted: Any) -> int:
        for at, value in enumerate(values):
            if value is not None and equal(value, wanted):
                return at + 1
        return 0

    return run


def _extreme(*, largest: bool) -> Strict:
    def build(node: Node) -> Callable[[list[Any]], Any]:
        below = below_as(element_of(node["a"][0]["t"]))

        def run(values: list[Any]) -> Any:
            best = None
            for value in values:
                if value is not None and (
                    best is None or (below(best, value) if largest else below(value, best))
                ):
                    best = value
            return best

        return run

    return build


def _higher(apply: Callable[[list[Any], Callable[..., Any]], Any]) -> Builder:
    def build(_node: Node, arguments: list[Run]) -> Run:
        source, function = arguments

        def run(row: Sequence[Any]) -> Any:
            values = source(row)
            return None if values is None else apply(values, function(row))

        return run

    return build


def _exists(values: list[Any], test: Callable[..., Any]) -> bool | None:
    unknown = False
    for at, value in enumerate(values):
        found = test(value, at)
        if found is True:
            return True
        unknown = unknown or found is None
    return None if unknown else False


def _distinct(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not any(value is other or (value is not None and value == other) for other in found):
            found.append(value)
    return found


STRICT: dict[str, Strict] = {
    "ElementAt": _element_at,
    "GetArrayItem": _get,
    "ArrayContains": _contains,
    "ArrayPosition": _position,
    "ArrayMax": _extreme(largest=True),
    "ArrayMin": _extreme(largest=False),
    "ArrayDistinct": lambda _node: _distinct,
}

SPECIAL: dict[str, Builder] = {
    "CreateArray": _create,
    "Size": _size,
    "ArrayFilter": _higher(
        lambda values, test: [v for at, v in enumerate(values) if test(v, at) is True]
    ),
    "ArrayTransform": _higher(lambda values, make: [make(v, at) for at, v in enumerate(values)]),
    "ArrayExists": _higher(_exists),
}
