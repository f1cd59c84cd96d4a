"""What Python workers do with a partition of blocks: sums that the driver adds up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.modeling.linear.blocks import block_of
from crisp_spark.modeling.linear.moments import Moments
from crisp_spark.modeling.linear.rows import BLOCK, RowsInMemory, Scale, Spread

if TYPE_CHECKING:
    import pyarrow as pa

    from crisp_spark.modeling.linear.penalty import Floats


def spread_of(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Give the spread of a partition's features and label."""
    total: Spread | None = None
    for batch in batches:
        if batch.num_rows:
            block = block_of(batch)
            part = Spread.of(np.column_stack([block.x, block.label]), block.weight)
            total = part if total is None else total + part
    if total is not None:
        head = [total.weight, total.squares]
        yield np.r_[head, total.mean, total.deviations].tobytes()


def blocks_of(
    batches: Iterable[pa.RecordBatch], *, scale: Scale, intercept: bool
) -> Iterator[pa.RecordBatch]:
    """Give a partition's rows as blocks on one scale, as bytes."""
    import pyarrow as pa

    for batch in batches:
        for at in range(0, batch.num_rows, BLOCK):
            block = block_of(batch.slice(at, BLOCK))
            x = scale.apply(block.x, intercept=intercept)
            held = [x, block.label, block.weight / scale.weight]
            cells = [pa.array([part.tobytes()], pa.binary()) for part in held]
            yield pa.RecordBatch.from_arrays(cells, ["x", "y", "w"])


def _in_memory(batch: pa.RecordBatch, at: int) -> RowsInMemory:
    x, y, w = (np.frombuffer(batch.column(n)[at].as_py()) for n in range(3))
    return RowsInMemory(x.reshape(y.size, -1), y, w)


def slopes(batches: Iterable[pa.RecordBatch], *, weights: Floats) -> Iterator[bytes]:
    """Give losses, largest margins and gradients over a partition's blocks."""
    loss, reach = np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
    gradient = np.zeros_like(weights)
    for batch in batches:
        for at in range(batch.num_rows):
            found = _in_memory(batch, at).slopes(weights)
            loss += found[0]
            gradient += found[1]
            np.maximum(reach, found[2], out=reach)
    yield np.r_[loss, reach, gradient.reshape(-1)].tobytes()


def curvatures(batches: Iterable[pa.RecordBatch], *, weights: Floats) -> Iterator[bytes]:
    """Give second derivatives over a partition's blocks."""
    total = np.zeros((weights.shape[0], weights.shape[1], weights.shape[1]))
    for batch in batches:
        for at in range(batch.num_rows):
            total += _in_memory(batch, at).curvatures(weights)
    yield total.tobytes()


def moments_of(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Give the moments of a partition's features and label."""
    total: Moments | None = None
    for batch in batches:
        if batch.num_rows:
            block = block_of(batch)
            part = Moments.of(np.column_stack([block.x, block.label]), block.weight)
            total = part if total is None else total + part
    if total is not None:
        yield total.to_bytes()
