"""Spark SQL expressions without Spark: trees that an export took from Spark's own analyser.

Spark has resolved names, put in every implicit cast and named the type of each node, so that only
the meaning of each node is left to keep: nulls, NaN above all numbers, ANSI errors, and branches
that are only evaluated where they are reached.

A node is a dictionary with its type ``t``: ``{"c": column}``, ``{"v": literal}``, or
``{"f": function, "a": arguments}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

from crisp_spark.serving import arithmetic, conditions, lists, moments, texts
from crisp_spark.serving.casting import cast
from crisp_spark.serving.nodes import Builder, Node, Run, Strict
from crisp_spark.serving.refusal import RowError, UnsupportedError
from crisp_spark.serving.typenames import element_of

_STRICT: Mapping[str, Strict] = {
    **arithmetic.STRICT,
    **conditions.STRICT,
    **texts.STRICT,
    **moments.STRICT,
    **lists.STRICT,
}
_SPECIAL: Mapping[str, Builder] = {
    **arithmetic.SPECIAL,
    **conditions.SPECIAL,
    **texts.SPECIAL,
    **lists.SPECIAL,
}
_OWN = frozenset({"Cast", "LambdaFunction", "NamedLambdaVariable", "With", "CommonExpressionRef"})

FUNCTIONS: frozenset[str] = frozenset({*_STRICT, *_SPECIAL, *_OWN})
"""Nodes of Spark's expression trees that have a counterpart here."""


def compile_expression(node: Node, slots: Mapping[str, int]) -> Run:
    """Return the function from a row (a list) to the value of the expression.

    Args:
        node: Tree of the expression.
        slots: Column to its place in the row.

    Raises:
        UnsupportedError: The expression has a part without a counterpart.
    """
    return _Compiler(slots).run(node)


def strict_function(node: Node) -> Callable[..., Any] | None:
    """Return the function of values of a node that is null where an argument is.

    None for a node with another meaning of nulls, and for lambdas and what they use.
    """
    name = node["f"]
    if name == "Cast":
        return cast(node["a"][0]["t"], node["t"], strict=node.get("mode") != "TRY")
    if name in _SPECIAL or name not in _STRICT:
        return None
    return _STRICT[name](node)


def literal(value: Any, kind: str) -> Any:
    """Return a literal as rows hold it."""
    if value is None:
        return None
    if kind in ("double", "float"):
        return float(value)
    if kind.startswith("decimal"):
        return Decimal(value)
    if kind.startswith("array"):
        return [literal(item, element_of(kind)) for item in value]
    return value


class _Compiler:
    """Compiles one expression; keeps the values of lambda variables and common parts."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        self._slots = slots
        self._bound: dict[str, list[Any]] = {}

    def run(self, node: Node) -> Run:
        """Return the function of a node; one without columns is evaluated here and now."""
        if "c" in node:
            return itemgetter(self._slots[node["c"]])
        if "v" in node:
            value = literal(node["v"], node["t"])
            return lambda _row: value
        made = self._made(node)
        if not is_constant(node):
            return made
        try:
            value = made([])
        except RowError:
            return made  # it refuses the rows that reach it, and only those
        return lambda _row: value

    def _made(self, node: Node) -> Run:
        name, arguments = node["f"], node["a"]
        if name in ("CommonExpressionRef", "NamedLambdaVariable"):
            cell = self._bound[node["id"]]
            return lambda _row: cell[0]
        if name == "With":
            return self._common(node)
        if name == "Cast" and arguments[0]["t"] == node["t"]:
            return self.run(arguments[0])
        if name == "LambdaFunction":
            return self._lambda(node)
        if name in _SPECIAL:
            return _SPECIAL[name](node, [self.run(argument) for argument in arguments])
        function = strict_function(node)
        if function is not None:
            return _null_safe(function, [self.run(argument) for argument in arguments])
        raise UnsupportedError(f"expression {name}")

    def _common(self, node: Node) -> Run:
        """A part that is used twice: computed when it is first needed is not told from before."""
        body, common = node["a"]
        cell = self._bound[node["id"]] = [None]
        value = self.run(common)
        inner = self.run(body)

        def run(row: Sequence[Any]) -> Any:
            cell[0] = value(row)
            return inner(row)

        return run

    def _lambda(self, node: Node) -> Run:
        """Give a function of values (not of a row): ``run(row)`` returns it."""
        body, *variables = node["a"]
        cells = [self._bound.setdefault(variable["id"], [None]) for variable in variables]
        inner = self.run(body)

        def run(row: Sequence[Any]) -> Callable[..., Any]:
            def call(*values: Any) -> Any:
                for cell, value in zip(cells, values, strict=False):
                    cell[0] = value
                return inner(row)

            return call

        return run


def is_constant(node: Node) -> bool:
    """Say whether a node is the same for every row."""
    if "c" in node or node.get("f") in ("CommonExpressionRef", "NamedLambdaVariable"):
        return False
    return all(map(is_constant, node.get("a", ())))


def _null_safe(function: Callable[..., Any], arguments: Sequence[Run]) -> Run:
    """Null where an argument is null; arguments behind a null one are not evaluated."""
    if len(arguments) == 1:
        (only,) = arguments

        def one(row: Sequence[Any]) -> Any:
            value = only(row)
            return None if value is None else function(value)

        return one
    if len(arguments) == 2:  # noqa: PLR2004
        left, right = arguments

        def two(row: Sequence[Any]) -> Any:
            first = left(row)
            if first is None:
                return None
            second = right(row)
            return None if second is None else function(first, second)

        return two

    def many(row: Sequence[Any]) -> Any:
        values = []
        for argument in arguments:
            value = argument(row)
            if value is None:
                return None
            values.append(value)
        return function(*values)

    return many
