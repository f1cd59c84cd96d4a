"""Scored rows as arrays: the compact form on which everything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crisp_spark.evaluation.estimates import Flags, Floats

MISSING = "(missing)"
"""Name of the slice of rows without a value."""


@dataclass(frozen=True)
class SliceColumn:
    """A column by which rows are sliced.

    Attributes:
        name: Column.
        codes: Index into ``names`` for every row, -1 for missing (text columns).
        names: Distinct values as text, sorted (text columns).
        numbers: Values, NaN for missing (number columns); then codes and names are empty.
    """

    name: str
    codes: NDArray[np.intp]
    names: tuple[str, ...]
    numbers: Floats | None = None

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers."""
        return self.numbers is not None

    def matches(self, value: str) -> Flags:
        """Say for every row whether its value, written as text, is ``value``."""
        if self.numbers is not None:
            try:
                return np.equal(self.numbers, float(value))
            except ValueError:
                return np.zeros(self.numbers.size, dtype=np.bool_)
        if value == MISSING:
            return np.equal(self.codes, -1)
        if value not in self.names:
            return np.zeros(self.codes.size, dtype=np.bool_)
        return np.equal(self.codes, self.names.index(value))

    def take(self, chosen: NDArray[np.intp]) -> SliceColumn:
        """Return the column of the chosen rows."""
        numbers = None if self.numbers is None else self.numbers[chosen]
        return replace(
            self, codes=self.codes[chosen] if self.codes.size else self.codes, numbers=numbers
        )


@dataclass(frozen=True)
class ScoredRows:
    """Labelled, scored rows of one split, in a canonical order.

    Attributes:
        split: train, validation, test or later.
        total_rows: Rows of the split, with and without a label.
        read_rows: Rows read to the driver, with and without a label.
        label: Label (binary 0/1, class index, or the value); shape (rows,).
        score: Score, higher is more likely positive (binary); shape (rows,).
        prediction: Predicted label or value; shape (rows,).
        row_loss: Log loss of each row (multiclass), squared distance to the own centre
            (clustering); shape (rows,).
        silhouette: Silhouette of each row (clustering); shape (rows,).
        user: Code of the user (recommendation); shape (rows,).
        baselines: Name -> score or prediction of the baseline; shape (rows,).
        columns: Columns by which rows are sliced.
        counts: Exact tp, fp, fn, tn where only a sample was read.
    """

    split: str
    total_rows: int
    read_rows: int
    label: Floats
    score: Floats
    prediction: Floats
    row_loss: Floats | None = None
    silhouette: Floats | None = None
    user: NDArray[np.intp] | None = None
    baselines: Mapping[str, Floats] = field(default_factory=dict)
    columns: Mapping[str, SliceColumn] = field(default_factory=dict)
    counts: tuple[int, int, int, int] | None = None

    @property
    def size(self) -> int:
        """Labelled rows read."""
        return int(self.label.size)

    @property
    def labelled_rows(self) -> int:
        """Labelled rows of the split; estimated where only a sample was read."""
        return round(self.size * self.weight)

    @property
    def weight(self) -> float:
        """Rows of the split for each row read."""
        return self.total_rows / self.read_rows if self.read_rows else 1.0

    def take(self, chosen: NDArray[np.intp]) -> ScoredRows:
        """Return the chosen rows; sums still stand for all rows of the split."""
        return replace(
            self,
            label=self.label[chosen],
            score=self.score[chosen],
            prediction=self.prediction[chosen],
            row_loss=None if self.row_loss is None else self.row_loss[chosen],
            silhouette=None if self.silhouette is None else self.silhouette[chosen],
            user=None if self.user is None else self.user[chosen],
            baselines={name: values[chosen] for name, values in self.baselines.items()},
            columns={name: column.take(chosen) for name, column in self.columns.items()},
            counts=None,
        )

    def where(self, flags: Flags) -> ScoredRows:
        """Return the rows for which ``flags`` is true."""
        return self.take(np.flatnonzero(flags))
