"""Rows on their way through a pipeline: values with nulls, and vectors as matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.columns import Frame
from crisp_spark.serving.refusal import RowsRefusedError

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
Spec = Mapping[str, Any]


@dataclass
class Layout:
    """Where columns lie while a pipeline is built.

    Attributes:
        slots: Column of values to its place in a row.
        widths: Column of vectors to their length.
    """

    slots: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)

    def value(self, name: str) -> int:
        """Return the place of a new column of values, which takes the name from any other."""
        self.widths.pop(name, None)
        self.slots[name] = self.room
        self.room += 1
        return self.slots[name]

    def vector(self, name: str, width: int) -> None:
        """Note a new column of vectors."""
        self.slots.pop(name, None)
        self.widths[name] = width

    room: int = 0


@dataclass
class Batch:
    """Rows under way.

    Attributes:
        frame: Values by row and slot; None is null, and NaN is a number like any other.
        vectors: Column of vectors to a matrix, rows by places.
        absent: Column of vectors to the rows whose vector is null.
    """

    frame: Frame
    vectors: dict[str, Floats] = field(default_factory=dict)
    absent: dict[str, set[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def rows(self) -> list[list[Any]]:
        """Values of each row by slot."""
        return self.frame.rows

    def set_values(self, slot: int, make: Callable[[Any], Any], source: int) -> None:
        """Set a column from another, row by row.

        Raises:
            RowsRefusedError: ``make`` refuses some rows.
        """
        refused: dict[int, str] = {}
        for at, row in enumerate(self.frame.settled(source)):
            try:
                row[slot] = make(row[source])
            except ValueError as error:
                refused[at] = str(error)
        if refused:
            raise RowsRefusedError(refused)

    def put(self, name: str, matrix: Floats, absent: set[int] | None = None) -> None:
        """Set a column of vectors."""
        self.vectors[name] = matrix
        if absent:
            self.absent[name] = absent
        else:
            self.absent.pop(name, None)

    def vector(self, name: str) -> Floats:
        """Return a column of vectors for a stage that takes no null.

        Raises:
            RowsRefusedError: Some rows have none.
        """
        absent = self.absent.get(name)
        if absent:
            raise RowsRefusedError(dict.fromkeys(absent, "a vector is missing"))
        return self.vectors[name]

    def without(self, refused: Sequence[int]) -> Batch:
        """Return fresh rows without the refused ones, to be run from the start."""
        gone = set(refused)
        return Batch(Frame([row for at, row in enumerate(self.rows) if at not in gone]))


Stage = Callable[[Batch], None]
"""A stage of a pipeline: adds columns to a batch."""

Build = Callable[[Spec, Arrays, Layout], Stage]
"""From the description of a stage to the stage."""
