"""Arrow batches of prepared vectors as blocks of numbers. Runs in Python workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from crisp_spark.modeling.linear.penalty import Floats


@dataclass(frozen=True)
class Block:
    """Rows as numbers.

    Attributes:
        x: Features; shape (rows, slots).
        label: Shape (rows,).
        weight: Shape (rows,).
        fitted: Whether a row is fitted on, and not scored; shape (rows,).
    """

    x: Floats
    label: Floats
    weight: Floats
    fitted: Floats


def block_of(batch: pa.RecordBatch) -> Block:
    """Return an Arrow batch of x, y, w and f as a block."""

    def column(at: int) -> Floats:
        return np.asarray(batch.column(at).to_numpy(zero_copy_only=False), dtype=np.float64)

    rows = batch.num_rows
    flat = np.asarray(batch.column(0).flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
    return Block(flat.reshape(rows, -1) if rows else np.empty((0, 0)), *map(column, (1, 2, 3)))


def join_blocks(batches: Iterable[pa.RecordBatch]) -> Block | None:
    """Return all rows of a task as one block; None without rows."""
    blocks = [block_of(batch) for batch in batches if batch.num_rows]
    if not blocks:
        return None
    return Block(
        np.concatenate([block.x for block in blocks]),
        np.concatenate([block.label for block in blocks]),
        np.concatenate([block.weight for block in blocks]),
        np.concatenate([block.fitted for block in blocks]),
    )
