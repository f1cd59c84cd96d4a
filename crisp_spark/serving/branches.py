"""Branches and three-valued logic on columns: each part sees only the rows that reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crisp_spark.serving.columns import Column, ColumnRun, Frame, Mask, constant, dtype_of
from crisp_spark.serving.comparing import below_as, equal_as
from crisp_spark.serving.nodes import Node
from crisp_spark.serving.typenames import FRACTIONS, WHOLE

_COMPARED = frozenset({"string", "boolean", "date", "timestamp", "timestamp_ntz", *WHOLE})


def _truth(column: Column) -> Mask:
    return column.values & ~column.null


def _falsehood(column: Column) -> Mask:
    return ~column.values & ~column.null


def _and(_node: Node, arguments: list[ColumnRun]) -> ColumnRun:
    left, right = arguments

    def run(frame: Frame, active: Mask) -> Column:
        first = left(frame, active)
        no = _falsehood(first)
        second = right(frame, active & ~no)
        no = no | _falsehood(second)
        return Column(~no, ~no & (first.null | second.null))

    return run


def _or(_node: Node, arguments: list[ColumnRun]) -> ColumnRun:
    left, right = arguments

    def run(frame: Frame, active: Mask) -> Column:
        first = left(frame, active)
        yes = _truth(first)
        second = right(frame, active & ~yes)
        yes = yes | _truth(second)
        return Column(yes, ~yes & (first.null | second.null))

    return run


def _merged(kind: str, frame: Frame, parts: list[tuple[Mask, Column]]) -> Column:
    """Put columns together, each where its rows are; elsewhere null."""
    values = np.zeros(len(frame), dtype=dtype_of(kind))
    null = np.ones(len(frame), dtype=np.bool_)
    for where, column in parts:
        values[where] = column.values[where]
        null[where] = column.null[where]
    return Column(values, null)


def _case(node: Node, arguments: list[ColumnRun]) -> ColumnRun:
    pairs = list(zip(arguments[0::2], arguments[1::2], strict=False))
    otherwise = arguments[-1] if len(arguments) % 2 else None

    def run(frame: Frame, active: Mask) -> Column:
        left, parts = active, list[tuple[Mask, Column]]()
        for test, then in pairs:
            where = left & _truth(test(frame, left))
            if where.any():
                parts.append((where, then(frame, where)))
            left = left & ~where
        if otherwise is not None and left.any():
            parts.append((left, otherwise(frame, left)))
        return _merged(node["t"], frame, parts)

    return run


def _coalesce(node: Node, arguments: list[ColumnRun]) -> ColumnRun:
    def run(frame: Frame, active: Mask) -> Column:
        left, parts = active, list[tuple[Mask, Column]]()
        for argument in arguments:
            if not left.any():
                break
            found = argument(frame, left)
            where = left & ~found.null
            parts.append((where, found))
            left = left & found.null
        return _merged(node["t"], frame, parts)

    return run


def _null_safe_equal(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    kind = node["a"][0]["t"]
    if kind not in _COMPARED and kind not in FRACTIONS:
        return None
    left, right = arguments
    equal = equal_as(kind)

    def run(frame: Frame, active: Mask) -> Column:
        first, second = left(frame, active), right(frame, active)
        either = first.null | second.null
        same = np.where(either, first.null & second.null, equal(first.values, second.values))
        return Column(same.astype(np.bool_), np.zeros(len(frame), dtype=np.bool_))

    return run


def _in(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    kind = node["a"][0]["t"]
    if kind not in _COMPARED and kind not in FRACTIONS:
        return None
    wanted, *others = arguments
    equal = equal_as(kind)

    def run(frame: Frame, active: Mask) -> Column:
        value = wanted(frame, active)
        left = active & ~value.null
        yes = np.zeros(len(frame), dtype=np.bool_)
        unknown = yes.copy()
        for other in others:
            found = other(frame, left)
            unknown |= left & found.null
            hit = left & ~found.null & equal(value.values, found.values)
            yes |= hit
            left = left & ~hit
        return Column(yes, value.null | (unknown & ~yes))

    return run


def _extreme(*, largest: bool) -> Callable[[Node, list[ColumnRun]], ColumnRun | None]:
    def make(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
        kind = node["a"][0]["t"]
        if kind not in FRACTIONS and (kind not in _COMPARED or kind == "string"):
            return None
        below = below_as(kind)

        def run(frame: Frame, active: Mask) -> Column:
            best = constant(None, kind, len(frame))
            for argument in arguments:
                found = argument(frame, active)
                a, b = best.values, found.values
                better = below(a, b) if largest else below(b, a)
                take = ~found.null & (best.null | better)
                best = Column(np.where(take, b, a), best.null & found.null)
            return best

        return run

    return make


def _nan_or(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    left, right = arguments

    def run(frame: Frame, active: Mask) -> Column:
        first = left(frame, active)
        odd = active & ~first.null & np.isnan(first.values)
        if not odd.any():
            return first
        return _merged(node["t"], frame, [(~odd, first), (odd, right(frame, odd))])

    return run if node["t"] in FRACTIONS else None


def _told(test: Callable[[Column], Mask]) -> Callable[[Node, list[ColumnRun]], ColumnRun]:
    """A test that is never null."""

    def make(_node: Node, arguments: list[ColumnRun]) -> ColumnRun:
        (only,) = arguments

        def run(frame: Frame, active: Mask) -> Column:
            found = only(frame, active)
            return Column(np.asarray(test(found)), np.zeros(len(frame), dtype=np.bool_))

        return run

    return make


def _is_nan(node: Node, arguments: list[ColumnRun]) -> ColumnRun | None:
    if node["a"][0]["t"] not in FRACTIONS:
        return None
    return _told(lambda column: ~column.null & np.isnan(column.values))(node, arguments)


SPECIAL: Mapping[str, Callable[[Node, list[ColumnRun]], ColumnRun | None]] = {
    "And": _and,
    "Or": _or,
    "If": _case,
    "CaseWhen": _case,
    "Coalesce": _coalesce,
    "EqualNullSafe": _null_safe_equal,
    "In": _in,
    "Greatest": _extreme(largest=True),
    "Least": _extreme(largest=False),
    "NaNvl": _nan_or,
    "IsNaN": _is_nan,
    "IsNull": _told(lambda column: column.null),
    "IsNotNull": _told(lambda column: ~column.null),
}
"""Functions with a meaning of their own for nulls, by the name of their node."""
