"""Passes over rows that stay in their partitions, as blocks of numbers in Spark's cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pyspark import StorageLevel

from crisp_spark.modeling.linear.frames import collect_parts
from crisp_spark.modeling.linear.kernels import blocks_of, curvatures, slopes, spread_of
from crisp_spark.modeling.linear.rows import Scale, Spread

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.linear.penalty import Floats

_MOST_CURVATURE_CELLS = 4_000_000
"""Numbers that the curvatures of one pass may have, for each partition."""


def measure_scale(rows: DataFrame) -> Scale:
    """Return the scale of the features of some rows.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.
    """
    found = [np.frombuffer(part) for part in collect_parts(rows, spread_of)]
    columns = (found[0].size - 2) // 2
    parts = (Spread(float(p[0]), float(p[1]), p[2 : 2 + columns], p[2 + columns :]) for p in found)
    return Scale.of(Spread.total(parts, columns))


@dataclass(frozen=True)
class RowsInPartitions:
    """Passes over cached blocks: each is one job, and sums come back in the order of partitions.

    Attributes:
        blocks: Rows of a few thousand standardized rows each, as bytes.
    """

    blocks: DataFrame

    @staticmethod
    def cached(rows: DataFrame, scale: Scale, *, intercept: bool) -> RowsInPartitions:
        """Turn rows of :func:`numbers` into cached blocks. Lazy."""
        made = rows.mapInArrow(
            partial(blocks_of, scale=scale, intercept=intercept), "x binary, y binary, w binary"
        )
        return RowsInPartitions(made.persist(StorageLevel.MEMORY_AND_DISK))

    def release(self) -> None:
        """Drop the cached blocks."""
        self.blocks.unpersist()

    def slopes(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean losses, their gradients and the largest margins of some points. Jobs: one."""
        points = weights.shape[0]
        found = [
            np.frombuffer(part)
            for part in collect_parts(self.blocks, partial(slopes, weights=weights))
        ]
        total = np.sum(found, axis=0)
        reach = np.max([part[points : 2 * points] for part in found], axis=0)
        return total[:points], total[2 * points :].reshape(weights.shape), reach

    def curvatures(self, weights: Floats) -> Floats:
        """Return second derivatives; shape (points, slots, slots). Jobs: one, more if large."""
        points, slots = weights.shape
        size = max(1, _MOST_CURVATURE_CELLS // max(slots * slots, 1))
        found = []
        for at in range(0, points, size):
            part = partial(curvatures, weights=weights[at : at + size])
            total = sum(np.frombuffer(each) for each in collect_parts(self.blocks, part))
            found.append(np.asarray(total).reshape(-1, slots, slots))
        return np.concatenate(found)
