"""Equality and order on columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crisp_spark.serving.columns import ColumnRun, Mask, Values, strict
from crisp_spark.serving.nodes import Node
from crisp_spark.serving.typenames import FRACTIONS, WHOLE

_ARRAYS = frozenset({"double", "float", "boolean", "date", "timestamp", "timestamp_ntz", *WHOLE})


def equal_as(kind: str) -> Callable[[Values, Values], Mask]:
    """Return equality on arrays: NaN equals NaN."""
    if kind in FRACTIONS:
        return lambda a, b: np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
    return lambda a, b: np.asarray(a == b, dtype=np.bool_)


def below_as(kind: str) -> Callable[[Values, Values], Mask]:
    """Return the order on arrays: NaN is above all numbers."""
    if kind in FRACTIONS:
        return lambda a, b: np.asarray((a < b) | (np.isnan(b) & ~np.isnan(a)))
    return lambda a, b: np.asarray(a < b)


def compared(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    """Return a comparison; None where values of the type have no array."""
    name, kind = node["f"], node["a"][0]["t"]
    if name == "EqualTo" and (kind == "string" or kind in _ARRAYS):
        equal = equal_as(kind)
        return strict(lambda values, _active: equal(*values))(arguments)
    if kind not in _ARRAYS:
        return None
    below = below_as(kind)
    found: Mapping[str, Callable[[Values, Values], Mask]] = {
        "LessThan": below,
        "GreaterThan": lambda a, b: below(b, a),
        "LessThanOrEqual": lambda a, b: ~below(b, a),
        "GreaterThanOrEqual": lambda a, b: ~below(a, b),
    }
    test = found.get(name)
    if test is None:
        return None
    return strict(lambda values, _active: test(*values))(arguments)
