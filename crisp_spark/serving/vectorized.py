"""Compiles expressions for many rows: on columns where that is known, value by value elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crisp_spark.serving import branches, columnwise
from crisp_spark.serving.columns import (
    Column,
    ColumnRun,
    Frame,
    GiveUpError,
    Mask,
    column_of,
    constant,
    value_by_value,
)
from crisp_spark.serving.expressions import (
    compile_expression,
    is_constant,
    literal,
    strict_function,
)
from crisp_spark.serving.nodes import Node
from crisp_spark.serving.refusal import RowError
from crisp_spark.serving.typenames import element_of

_MAKERS: Mapping[str, columnwise.Make] = {**columnwise.STRICT, **branches.SPECIAL}
_ROW_BY_ROW = frozenset({"With", "CommonExpressionRef", "NamedLambdaVariable", "LambdaFunction"})


def compile_columns(node: Node, slots: Mapping[str, int]) -> ColumnRun:
    """Return the function from rows to the column of an expression.

    It gives up (:class:`crisp_spark.serving.columns.GiveUpError`) where a row may be refused.

    Args:
        node: Tree of the expression.
        slots: Column to its place in the row.

    Raises:
        UnsupportedError: The expression has a part without a counterpart.
    """
    if "c" in node:
        slot, kind = slots[node["c"]], node["t"]
        return lambda frame, _active: frame.read(slot, kind)
    if is_constant(node):
        return _constant(node)
    # What binds a variable is evaluated with all that is below it.
    if any(argument.get("f") in _ROW_BY_ROW for argument in (node, *node["a"])):
        return _row_by_row(node, slots)
    return _made(node, slots)


def _made(node: Node, slots: Mapping[str, int]) -> ColumnRun:
    name, arguments = node["f"], node["a"]
    if name == "ElementAt" and is_constant(arguments[0]):
        table = _values(arguments[0])
        place = compile_columns(arguments[1], slots)
        kind, fails = element_of(arguments[0]["t"]), node.get("fail", True)
        return columnwise.looked_up(table, kind, place, fails=fails)
    runs = [compile_columns(argument, slots) for argument in arguments]
    make = columnwise.cast if name == "Cast" else _MAKERS.get(name)
    found = make(node, runs) if make is not None else None
    if found is not None:
        return found
    function = strict_function(node)
    if function is None:
        return _row_by_row(node, slots)
    return value_by_value(function, node["t"], runs)


def _values(node: Node) -> Any:
    """Return a constant's value; None for null, and where it refuses every row that reaches it."""
    if "v" in node:
        return literal(node["v"], node["t"])
    try:
        return compile_expression(node, {})([])
    except RowError:
        return None


def _constant(node: Node) -> ColumnRun:
    kind = node["t"]
    if "v" in node:
        value = literal(node["v"], kind)
        return lambda frame, _active: constant(value, kind, len(frame))
    run = compile_expression(node, {})
    try:
        made = run([])
    except RowError:
        return _refused
    return lambda frame, _active: constant(made, kind, len(frame))


def _refused(frame: Frame, active: Mask) -> Column:
    if active.any():
        raise GiveUpError
    return constant(None, "void", len(frame))


def _row_by_row(node: Node, slots: Mapping[str, int]) -> ColumnRun:
    run, kind = compile_expression(node, slots), node["t"]
    used = [slots[name] for name in _columns_in(node)]

    def apply(frame: Frame, active: Mask) -> Column:
        made: list[Any] = [None] * len(frame)
        rows = frame.settled(*used)
        for at in np.flatnonzero(active).tolist():
            made[at] = run(rows[at])
        return column_of(made, kind)

    return apply


def _columns_in(node: Node) -> set[str]:
    if "c" in node:
        return {node["c"]}
    return set().union(*map(_columns_in, node.get("a", ())))
