"""Weighted first and second moments of rows: additive over parts, so folds can be taken off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Moments of the columns of some rows about their means.

    Attributes:
        rows: Number of rows.
        weight: Sum of their weights.
        mean: Weighted means; shape (columns,).
        scatter: Weighted sums of products of deviations; shape (columns, columns).
    """

    rows: int
    weight: float
    mean: Floats
    scatter: Floats

    @staticmethod
    def of(values: Floats, weights: Floats | None = None) -> Moments:
        """Return the moments of a block.

        Args:
            values: Shape (rows, columns).
            weights: 0 or more; shape (rows,). None for ones.
        """
        rows, columns = values.shape
        total = float(rows) if weights is None else float(weights.sum())
        if total <= 0:
            return Moments(rows, 0.0, np.zeros(columns), np.zeros((columns, columns)))
        mean = (values.sum(axis=0) if weights is None else weights @ values) / total
        apart = values - mean
        scatter = apart.T @ (apart if weights is None else apart * weights[:, None])
        return Moments(rows, total, mean, scatter)

    @staticmethod
    def none(columns: int) -> Moments:
        """Return the moments of no rows."""
        return Moments(0, 0.0, np.zeros(columns), np.zeros((columns, columns)))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both parts (Chan, Golub and LeVeque, 1983)."""
        weight = self.weight + other.weight
        if weight <= 0:
            return Moments(self.rows + other.rows, 0.0, self.mean, self.scatter)
        gap = other.mean - self.mean
        shift = np.outer(gap, gap) * (self.weight * other.weight / weight)
        mean = self.mean + gap * (other.weight / weight)
        scatter = self.scatter + other.scatter + shift
        return Moments(self.rows + other.rows, weight, mean, scatter)

    def __sub__(self, part: Moments) -> Moments:
        """Return the moments of the rows that are not in ``part``.

        Raises:
            ValueError: ``part`` holds more than there is.
        """
        rows, weight = self.rows - part.rows, self.weight - part.weight
        if rows < 0:
            raise ValueError(f"moments: {part.rows} rows cannot be taken off {self.rows}")
        if rows == 0 or weight <= 0:
            return Moments(rows, 0.0, np.zeros_like(self.mean), np.zeros_like(self.scatter))
        mean = self.mean + (self.mean - part.mean) * (part.weight / weight)
        gap = part.mean - mean
        shift = np.outer(gap, gap) * (weight * part.weight / self.weight)
        return Moments(rows, weight, mean, self.scatter - part.scatter - shift)

    def to_bytes(self) -> bytes:
        """Return the moments as bytes."""
        head = np.array([self.rows, self.weight, self.mean.size], dtype=np.float64)
        return b"".join(
            np.ascontiguousarray(part).tobytes() for part in (head, self.mean, self.scatter)
        )

    @staticmethod
    def from_bytes(data: bytes) -> Moments:
        """Return the moments that bytes hold."""
        flat = np.frombuffer(data, dtype=np.float64)
        columns = int(flat[2])
        mean, scatter = flat[3 : 3 + columns], flat[3 + columns :]
        return Moments(int(flat[0]), float(flat[1]), mean, scatter.reshape(columns, columns))
