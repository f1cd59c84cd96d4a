"""Columns of many rows as NumPy arrays with null masks, and how expressions run on them.

An expression on columns gives what it gives row by row, or gives up: where a row that it reaches
would be refused, the whole expression is evaluated row by row instead, and each row has its own
answer. ``active`` marks the rows that reach a part of an expression (a branch, the right side of
``AND``); what stands in other rows is arbitrary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.typenames import FRACTIONS, WHOLE

Values = NDArray[Any]
Mask = NDArray[np.bool_]

FEW = 128
"""Fewer rows than this are evaluated one by one: arrays would only be slower."""


class GiveUpError(Exception):
    """A row may be refused, or a value has no array: evaluate row by row."""


class Column:
    """Values of a column.

    Args:
        values: One for each row: floats, 64-bit whole numbers, truth values, else objects.
        null: Where the value is null; what ``values`` holds there is arbitrary.
    """

    __slots__ = ("null", "values")

    def __init__(self, values: Values, null: Mask) -> None:
        self.values = values
        self.null = null

    def listed(self) -> list[Any]:
        """Return plain values as rows hold them, None where null."""
        found: list[Any] = self.values.tolist()
        for at in np.flatnonzero(self.null).tolist():
            found[at] = None
        return found

    def floats(self) -> NDArray[np.float64]:
        """Return the values as floats, NaN where null."""
        plain = self.values.astype(np.float64)
        return np.where(self.null, np.nan, plain) if self.null.any() else plain


class Frame:
    """Rows under way as columns; columns that were made become part of the rows when asked for.

    Args:
        rows: Values of each row by slot.
    """

    def __init__(self, rows: list[list[Any]]) -> None:
        self._rows = rows
        self._known: dict[int, Column] = {}
        self._pending: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[list[Any]]:
        """The rows, with every column in them."""
        if self._pending:
            self.settled(*self._pending)
        return self._rows

    def settled(self, *slots: int) -> list[list[Any]]:
        """Return the rows, with some columns in them for certain."""
        if self._pending:
            for slot in self._pending.intersection(slots):
                for row, value in zip(self._rows, self._known[slot].listed(), strict=True):
                    row[slot] = value
                self._pending.discard(slot)
        return self._rows

    def read(self, slot: int, kind: str) -> Column:
        """Return a column.

        Raises:
            GiveUpError: Its values have no array.
        """
        if slot not in self._known:
            self._known[slot] = column_of([row[slot] for row in self._rows], kind)
        return self._known[slot]

    def write(self, slot: int, column: Column) -> None:
        """Set a column."""
        self._known[slot] = column
        self._pending.add(slot)

    def floats(self, slot: int) -> NDArray[np.float64]:
        """Return numbers as floats, NaN where null."""
        if slot in self._known:
            return self._known[slot].floats()
        # None becomes NaN here.
        return np.array([row[slot] for row in self._rows], dtype=np.float64)


ColumnRun = Callable[[Frame, Mask], Column]
"""From rows, and which of them reach the expression, to its column."""

_DTYPES: dict[str, Any] = {
    **dict.fromkeys(FRACTIONS, np.float64),
    **dict.fromkeys(WHOLE, np.int64),
    "date": np.int64,
    "timestamp": np.int64,
    "timestamp_ntz": np.int64,
    "boolean": np.bool_,
}


def dtype_of(kind: str) -> Any:
    """Return the type of the array that holds values of a Spark type."""
    return _DTYPES.get(kind, object)


def column_of(listed: Sequence[Any], kind: str) -> Column:
    """Return plain values as a column.

    Raises:
        GiveUpError: A whole number has more than 64 bits.
    """
    dtype = dtype_of(kind)
    null = np.fromiter((value is None for value in listed), dtype=np.bool_, count=len(listed))
    if dtype is object:
        # One by one: NumPy would take lists of lists for a matrix.
        return Column(np.fromiter(listed, dtype=object, count=len(listed)), null)
    if dtype is not np.float64 and null.any():
        listed = [0 if value is None else value for value in listed]
    try:
        # None becomes NaN here.
        return Column(np.array(listed, dtype=dtype), null)
    except OverflowError as error:
        raise GiveUpError from error


def constant(value: Any, kind: str, count: int) -> Column:
    """Return the same value for every row."""
    dtype = dtype_of(kind)
    null = np.full(count, value is None)
    if dtype is object:
        values = np.empty(count, dtype=object)
        values.fill(value)
        return Column(values, null)
    return Column(np.full(count, 0 if value is None else value, dtype=dtype), null)


def refuse_where(wrong: Mask, active: Mask) -> None:
    """Give up where a row that counts is wrong.

    Raises:
        GiveUpError: There is one.
    """
    if bool((wrong & active).any()):
        raise GiveUpError


def _evaluated(
    arguments: Sequence[ColumnRun], frame: Frame, active: Mask
) -> tuple[list[Values], Mask]:
    """Return the values of arguments, and where one is null: those behind it are not evaluated."""
    values, null = [], np.zeros(len(frame), dtype=np.bool_)
    for argument in arguments:
        found = argument(frame, active & ~null)
        values.append(found.values)
        null = null | found.null
    return values, null


def strict(
    function: Callable[[list[Values], Mask], Values],
) -> Callable[[list[ColumnRun]], ColumnRun]:
    """Return what makes a function that is null where an argument is.

    Args:
        function: From the arguments' values, and the rows that count, to the result's values.
    """

    def build(arguments: list[ColumnRun]) -> ColumnRun:
        def run(frame: Frame, active: Mask) -> Column:
            values, null = _evaluated(arguments, frame, active)
            return Column(function(values, active & ~null), null)

        return run

    return build


def value_by_value(
    function: Callable[..., Any], kind: str, arguments: list[ColumnRun]
) -> ColumnRun:
    """Return a strict function without an array form, called for the rows that count."""

    def run(frame: Frame, active: Mask) -> Column:
        values, null = _evaluated(arguments, frame, active)
        reached = np.flatnonzero(active & ~null)
        made = [None] * len(frame)
        chosen = [each[reached].tolist() for each in values]
        for at, result in zip(reached.tolist(), map(function, *chosen), strict=True):
            made[at] = result
        return column_of(made, kind)

    return run
