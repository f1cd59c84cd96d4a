"""Rows of a fold as bins of one byte, cut where MLlib would cut them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.modeling.engines.kernel import MOST_BINS, Block
from crisp_spark.modeling.engines.nodes import gateway, mapper, singleton
from crisp_spark.modeling.labels import LABEL
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    from pyspark.ml.base import Estimator
    from pyspark.sql import Row

    from crisp_spark.modeling.engines.kernel import Floats
    from crisp_spark.modeling.preparing import Prepared

_BYTES_PER_VALUE = 7
"""Bytes of a value in a task at its peak: bins here and in the library, float32 on the way."""
_BYTES_PER_ROW = 64
_TWO, _HALF = 2, 0.5


def megabytes(rows: int, slots: int) -> float:
    """Return the memory that a task needs for a binned fold, MiB."""
    return rows * (slots * _BYTES_PER_VALUE + _BYTES_PER_ROW) / 2**20


def split_candidates(boosting: Estimator[Any], train: DataFrame, column: str) -> list[Floats]:
    """Return MLlib's own candidates of splits, drawn by MLlib itself, for every slot.

    Above max(maxBins^2, 10,000) rows MLlib draws them from a seeded sample; it is asked for them,
    so they are the same. A place of a one-hot vector says of itself that it has two values; MLlib
    asks for no candidate there and splits between them, which is what a cut half way does.

    Args:
        boosting: Learner with its hyperparameters set.
        train: Rows to fit on.
        column: Column of the vector.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: three or four.

    Raises:
        ValueError: A slot holds unordered codes of more than two categories.
    """
    learner: Any = boosting
    learner._transfer_params_to_java()  # noqa: SLF001
    java, frame = learner._java_obj, train._jdf  # noqa: SLF001
    ml = gateway().jvm.org.apache.spark.ml
    rows = singleton("org.apache.spark.ml.util.DatasetUtils$")
    instances = rows.extractInstances(java, frame, singleton("scala.None$"))
    categories = ml.util.MetadataUtils.getCategoricalFeatures(frame.schema().apply(column))
    numbers = singleton("org.apache.spark.mllib.tree.configuration.Algo$").Regression()
    strategy = java.getOldBoostingStrategy(categories, numbers).treeStrategy()
    about = singleton("org.apache.spark.ml.tree.impl.DecisionTreeMetadata$").buildMetadata(
        instances, strategy, 1, "all"
    )
    forest = singleton("org.apache.spark.ml.tree.impl.RandomForest$")
    found = forest.findSplits(instances, about, learner.getSeed())
    # As one text: asking each split for its threshold is a call to the JVM, a thousand times.
    slots = json.loads(mapper().writeValueAsString(found))
    return [
        _codes(at, categories)
        if categories.contains(at)
        # A sum of two huge numbers may be infinite, which JSON has as a text.
        else np.array([float(split["threshold"]) for split in slot], dtype=np.float64)
        for at, slot in enumerate(slots)
    ]


def _codes(at: int, categories: Any) -> Floats:
    arity = int(categories.apply(at))
    if arity > _TWO:
        raise ValueError(f"slot {at} holds unordered codes of {arity} categories")
    return np.array([_HALF] * (arity - 1))


@dataclass(frozen=True)
class Case:
    """A fold as bins.

    Attributes:
        block: Its rows, as a broadcast variable that holds a :class:`Block`.
        thresholds: Upper ends of the bins of each slot.
    """

    block: Any
    thresholds: list[Floats]


def binned_fold(boosting: Estimator[Any], prepared: Prepared, column: str) -> Case:
    """Return a fold as bins.

    Jobs: those of the candidates, and one for the rows.

    Raises:
        ValueError: A slot has more bins than a byte holds.
    """
    thresholds = split_candidates(boosting, prepared.train, column)
    most = max((ends.size for ends in thresholds), default=0)
    if most > MOST_BINS:
        raise ValueError(f"{most + 1} bins do not fit a byte")
    frames = [prepared.train]
    if prepared.validation is not None:
        frames.append(prepared.validation)
    (bins, label), *rest = _collected(frames, column, thresholds)
    scored_bins, scored_label = rest[0] if rest else _binned([], thresholds)
    tops = np.array([ends.size for ends in thresholds], dtype=np.int64)
    block = Block(uuid4().hex, bins, label, tops, scored_bins, scored_label)
    return Case(prepared.train.sparkSession.sparkContext.broadcast(block), thresholds)


_Binned = tuple[np.ndarray[Any, np.dtype[np.uint8]], "Floats"]


def _collected(
    frames: Sequence[DataFrame], column: str, thresholds: Sequence[Floats]
) -> list[_Binned]:
    """Bin rows where they lie and bring the bins to the driver: one byte a value. Jobs: one."""

    def to_bins(batches: Iterable[Any]) -> Iterable[Any]:
        import pyarrow as pa

        keep_archives_read()
        for batch in batches:
            flat = batch.column(0).flatten().to_numpy(zero_copy_only=False)
            table = flat.reshape(-1, len(thresholds))
            bins = np.empty((len(thresholds), batch.num_rows), dtype=np.uint8)
            for slot, ends in enumerate(thresholds):
                bins[slot] = np.searchsorted(ends, table[:, slot], side="left")
            label = batch.column(1).to_numpy(zero_copy_only=False).astype(np.float64)
            frame = batch.column(2).to_numpy()
            # Where its parts are partitioned alike, a union may put their rows into one batch.
            for at in np.unique(frame):
                own = frame == at
                parts = [bins[:, own].tobytes()], [label[own].tobytes()]
                yield pa.RecordBatch.from_arrays(
                    [*map(pa.array, parts), pa.array([at], pa.int32())], names=["x", "y", "frame"]
                )

    chosen = [
        frame.select(
            vector_to_array(F.col(column)).alias("x"), F.col(LABEL).alias("y"), F.lit(at).alias("f")
        )
        for at, frame in enumerate(frames)
    ]
    together = reduce(DataFrame.union, chosen)
    found = together.mapInArrow(to_bins, "x binary, y binary, frame int").collect()
    return [
        _binned([row for row in found if row["frame"] == at], thresholds)
        for at in range(len(frames))
    ]


def _binned(found: Sequence[Row], thresholds: Sequence[Floats]) -> _Binned:
    labels = [np.frombuffer(row["y"]) for row in found]
    blocks = [
        np.frombuffer(row["x"], dtype=np.uint8).reshape(len(thresholds), label.size)
        for row, label in zip(found, labels, strict=True)
    ]
    if not blocks:
        return np.empty((len(thresholds), 0), dtype=np.uint8), np.empty(0)
    return np.ascontiguousarray(np.concatenate(blocks, axis=1)), np.concatenate(labels)
