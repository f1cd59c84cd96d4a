"""Rows of a fold on one scale, and passes over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crisp_spark.modeling.linear.penalty import Floats

BLOCK = 4096
"""Rows of a block; its margins stay in the processor's cache."""
_FLAT = 1e-13
"""A variance below this share of the mean square is rounding of a constant."""


@dataclass(frozen=True)
class Spread:
    """Weighted means and squares of deviations of some columns; additive over parts.

    Attributes:
        weight: Sum of weights.
        squares: Sum of squared weights.
        mean: Shape (columns,).
        deviations: Weighted sums of squared deviations; shape (columns,).
    """

    weight: float
    squares: float
    mean: Floats
    deviations: Floats

    @staticmethod
    def of(values: Floats, weights: Floats) -> Spread:
        """Return the spread of a block: values of shape (rows, columns), weights (rows,)."""
        total = float(weights.sum())
        if total <= 0:
            return Spread(0.0, 0.0, np.zeros(values.shape[1]), np.zeros(values.shape[1]))
        mean = weights @ values / total
        return Spread(total, float(weights @ weights), mean, weights @ np.square(values - mean))

    def __add__(self, other: Spread) -> Spread:
        """Return the spread of both parts (Chan, Golub and LeVeque, 1983)."""
        weight = self.weight + other.weight
        if weight <= 0:
            return self
        gap = other.mean - self.mean
        shift = np.square(gap) * (self.weight * other.weight / weight)
        return Spread(
            weight,
            self.squares + other.squares,
            self.mean + gap * (other.weight / weight),
            self.deviations + other.deviations + shift,
        )

    @staticmethod
    def total(parts: Iterable[Spread], columns: int) -> Spread:
        """Return the spread of all parts."""
        found = Spread(0.0, 0.0, np.zeros(columns), np.zeros(columns))
        for part in parts:
            found = found + part
        return found


@dataclass(frozen=True)
class Scale:
    """How features are brought to one scale: sample standard deviations, as MLlib takes them.

    Attributes:
        mean: Weighted means; shape (slots,).
        deviation: Standard deviations, 0 for constants; shape (slots,).
        share: Weighted share of the positive class.
        weight: Sum of weights.
    """

    mean: Floats
    deviation: Floats
    share: float
    weight: float

    @staticmethod
    def of(spread: Spread) -> Scale:
        """Return the scale of rows whose last column is the label."""
        weight = spread.weight
        if weight <= 0:
            return Scale(spread.mean[:-1], np.zeros(spread.mean.size - 1), 0.0, 0.0)
        freedom = max(weight - spread.squares / weight, 0.0)
        variance = spread.deviations / freedom if freedom > 0 else np.zeros_like(spread.mean)
        rounding = _FLAT * (variance + np.square(spread.mean))
        deviation = np.sqrt(np.where(variance > rounding, variance, 0.0))
        return Scale(spread.mean[:-1], deviation[:-1], float(spread.mean[-1]), weight)

    @property
    def on(self) -> NDArray[np.intp]:
        """Places of features that vary."""
        return np.flatnonzero(self.deviation > 0)

    def apply(self, x: Floats, *, intercept: bool) -> Floats:
        """Return features that vary, on one scale.

        With an intercept they are centred, and a last column of ones stands for it.

        Args:
            x: Shape (rows, slots).
            intercept: Whether there is one.
        """
        on = self.on
        found = np.empty((x.shape[0], on.size + intercept))
        inner = found[:, : on.size]
        np.subtract(x[:, on], self.mean[on] if intercept else 0.0, out=inner)
        inner /= self.deviation[on]
        if intercept:
            found[:, -1] = 1.0
        return found


def slopes_of(
    x: Floats, label: Floats, row_weight: Floats, weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return sums of losses, their gradients, and largest margins, over a block of rows.

    Args:
        x: Shape (rows, slots).
        label: 0 or 1; shape (rows,).
        row_weight: Shape (rows,).
        weights: Shape (points, slots).

    Returns:
        Shapes (points,), (points, slots), (points,).
    """
    margin = x @ weights.T
    size = np.abs(margin)
    small = np.exp(-size)
    loss = np.log1p(small) + np.maximum(margin, 0) - label[:, None] * margin
    chance = np.where(margin >= 0, 1.0, small) / (1 + small)
    pull = (chance - label[:, None]) * row_weight[:, None]
    return row_weight @ loss, pull.T @ x, size.max(axis=0, initial=0.0)


def curvatures_of(x: Floats, row_weight: Floats, weights: Floats) -> Floats:
    """Return sums of second derivatives over a block; shape (points, slots, slots)."""
    small = np.exp(-np.abs(x @ weights.T))
    spread = row_weight[:, None] * small / np.square(1 + small)
    return np.stack([(x * spread[:, at, None]).T @ x for at in range(weights.shape[0])])


@dataclass(frozen=True)
class RowsInMemory:
    """Passes over rows that are all here.

    Attributes:
        x: Features on one scale; shape (rows, slots).
        label: 0 or 1; shape (rows,).
        row_weight: Weights that sum to 1; shape (rows,).
    """

    x: Floats
    label: Floats
    row_weight: Floats

    def _blocks(self) -> Iterator[slice]:
        return (slice(at, at + BLOCK) for at in range(0, self.label.size, BLOCK))

    def slopes(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean losses, their gradients and the largest margins of some points."""
        loss, reach = np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
        gradient = np.zeros_like(weights)
        for part in self._blocks():
            found = slopes_of(self.x[part], self.label[part], self.row_weight[part], weights)
            loss += found[0]
            gradient += found[1]
            np.maximum(reach, found[2], out=reach)
        return loss, gradient, reach

    def curvatures(self, weights: Floats) -> Floats:
        """Return second derivatives of the mean losses; shape (points, slots, slots)."""
        slots = self.x.shape[1]
        found = np.zeros((weights.shape[0], slots, slots))
        for part in self._blocks():
            found += curvatures_of(self.x[part], self.row_weight[part], weights)
        return found
