"""From prepared vectors to blocks of numbers in Python workers, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.modeling.estimators import WEIGHT
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.labels import LABEL
from crisp_spark.modeling.linear.blocks import block_of
from crisp_spark.modeling.metrics import collect_arrays
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.linear.penalty import Floats

MOST_CELLS = 24_000_000
"""Scores that are brought to the driver at once."""


def numbers(frame: DataFrame, *, fitted: bool) -> DataFrame:
    """Return vectors as arrays of numbers, with label and weight.

    Rows: all. Adds: ``x``, ``y``, ``w``, ``f``. Drops: all other columns. Jobs: none.
    """
    weight = F.col(WEIGHT) if WEIGHT in frame.columns else F.lit(1.0)
    return frame.select(
        vector_to_array(F.col(FEATURES)).alias("x"),
        F.col(LABEL).cast("double").alias("y"),
        weight.cast("double").alias("w"),
        F.lit(1.0 if fitted else 0.0).alias("f"),
    )


def collect_parts(
    frame: DataFrame, work: Callable[[Iterable[pa.RecordBatch]], Iterator[bytes]]
) -> list[bytes]:
    """Run ``work`` on every partition and return what it gives, in the order of partitions.

    Rows: those that ``work`` gives. Adds: nothing. Drops: everything. Jobs: one.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        keep_archives_read()
        for found in work(batches):
            yield pa.RecordBatch.from_arrays([pa.array([found], pa.binary())], ["part"])

    rows = frame.mapInArrow(run, "part binary").collect()
    return [bytes(row[0]) for row in rows]


def linear_scores(
    frame: DataFrame, coefficients: Floats, intercepts: Floats
) -> tuple[Floats, Floats]:
    """Return the labels of some rows, and the linear score of every model for each of them.

    Args:
        frame: Prepared vectors.
        coefficients: Shape (models, slots).
        intercepts: Shape (models,).

    Returns:
        Shapes (rows,) and (rows, models).

    Rows: all. Adds: scores. Drops: features. Jobs: one.
    """

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        keep_archives_read()
        for batch in batches:
            block = block_of(batch)
            if not batch.num_rows:
                continue
            margin = block.x @ coefficients.T + intercepts
            ends = np.arange(0, margin.size + 1, intercepts.size, dtype=np.int32)
            scores = pa.ListArray.from_arrays(pa.array(ends), pa.array(margin.reshape(-1)))
            yield pa.RecordBatch.from_arrays([pa.array(block.label), scores], ["y", "s"])

    scored = numbers(frame, fitted=False).mapInArrow(score, "y double, s array<double>")
    found = collect_arrays(scored)
    return found["y"], found["s"].reshape(found["y"].size, -1)


def portions(models: int, rows: int) -> Sequence[slice]:
    """Cut models so that the scores of a portion fit the driver."""
    size = max(1, min(models, MOST_CELLS // max(rows, 1)))
    return [slice(at, at + size) for at in range(0, models, size)]
