"""A whole table in one Spark task: rows travel from task to task in blocks, not by the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark import TaskContext
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.modeling.engines.boosters import FlatTree, Order, Table, boost
from crisp_spark.modeling.estimators import WEIGHT
from crisp_spark.modeling.labels import LABEL
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BLOCK_BYTES = 2**23
_PACKED = "part int, at int, x binary, y binary, w binary"

Answer = tuple[list[list[FlatTree]], str]
"""Trees, or in words why there are none."""


def boost_in_one_task(frame: DataFrame, column: str, order: Order) -> Answer:
    """Bring all rows into one task and boost there.

    The rows come in the order of their partitions, so the same layout gives the same trees.

    Args:
        frame: Rows with vector, label and perhaps weight.
        column: Column of the vector.
        order: What is to be grown.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: two, gathering and boosting.
    """
    weighted = WEIGHT in frame.columns
    weight = F.col(WEIGHT) if weighted else F.lit(1.0)
    chosen = frame.select(
        vector_to_array(F.col(column)).alias("x"), F.col(LABEL).alias("y"), weight.alias("w")
    )
    packed = chosen.mapInArrow(_packed, _PACKED).repartition(1)
    (answer,) = packed.rdd.mapPartitions(_boosting(order, weighted=weighted)).collect()
    return answer


def _packed(batches: Iterable[Any]) -> Iterator[Any]:
    import pyarrow as pa

    context = TaskContext.get()
    part, at = 0 if context is None else context.partitionId(), 0
    for batch in batches:
        rows = len(batch)
        flat = batch.column(0).flatten().to_numpy(zero_copy_only=False)
        table = flat.reshape(rows, -1)
        label, weight = (
            batch.column(n).to_numpy(zero_copy_only=False).astype(np.float64) for n in (1, 2)
        )
        step = max(1, _BLOCK_BYTES // max(8 * table.shape[1], 1))
        for start in range(0, rows, step):
            own = slice(start, start + step)
            columns = [pa.array([part], pa.int32()), pa.array([at], pa.int32())]
            columns += [pa.array([v[own].tobytes()], pa.binary()) for v in (table, label, weight)]
            yield pa.RecordBatch.from_arrays(columns, names=["part", "at", "x", "y", "w"])
            at += 1


def _boosting(order: Order, *, weighted: bool) -> Callable[[Iterable[Any]], Iterator[Answer]]:
    def in_task(rows: Iterable[Any]) -> Iterator[Answer]:
        keep_archives_read()
        try:
            yield boost(order, _table(rows, weighted=weighted)), ""
        except ModuleNotFoundError as error:
            yield [], f"the package {error.name} is not installed on the executors"
        except ValueError as error:
            yield [], str(error)

    return in_task


def _table(rows: Iterable[Any], *, weighted: bool) -> Table:
    blocks = sorted(rows, key=lambda row: (row["part"], row["at"]))
    y, w = (
        np.concatenate([np.frombuffer(row[name], dtype=np.float64) for row in blocks])
        for name in ("y", "w")
    )
    x, start = np.empty((y.size, len(blocks[0]["x"]) // len(blocks[0]["y"]))), 0
    for row in blocks:
        count = len(row["y"]) // 8
        x[start : start + count] = np.frombuffer(row["x"], dtype=np.float64).reshape(count, -1)
        start += count
    if np.isnan(x).any():
        raise ValueError("a feature holds values that are not numbers")
    return Table(x, y, w if weighted else None)
