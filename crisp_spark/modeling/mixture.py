"""MLlib's Gaussian mixture, fitted by steps that end where MLlib's never would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark import StorageLevel
from pyspark.ml.clustering import GaussianMixture, GaussianMixtureModel
from pyspark.ml.common import _java2py, _py2java
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import DenseMatrix, DenseVector
from pyspark.sql import functions as F

from crisp_spark.errors import ModelError
from crisp_spark.modeling.linear.frames import collect_parts
from crisp_spark.modeling.mixture_steps import Components, Densities, Sums, cut, fit_mixture, join
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.mixture_steps import Floats

_DRAWN = 5
"""Rows that each component starts with, as in MLlib."""
_ONE_TASK_BYTES = 2**27
"""Size of a table whose steps all run in one task."""
_MOST_CELLS = 2**27
"""Numbers of all covariances, 1 GiB."""
_FAULT = b"fault:"


@dataclass(frozen=True)
class _Order:
    """What is to be fitted."""

    start: Components
    most: int
    tolerance: float

    def carry_out(self, step: Callable[[Densities], Sums]) -> Components:
        return fit_mixture(self.start, step, most=self.most, tolerance=self.tolerance)


class BoundedGaussianMixture(GaussianMixture):
    """A Gaussian mixture with the start, the steps and the model of MLlib.

    MLlib's own fit may never end. A component that shrinks to rows that are all alike has a
    density without bounds; its covariance becomes infinite after some steps, and the
    decomposition of an infinite matrix by MLlib's LAPACK is an endless loop that no cancelling
    of a job interrupts. Here such a component is an error that names it.

    Jobs: four for a table of up to 128 MiB, which is fitted in one task; else one more per step.
    """

    def _fit(self, dataset: DataFrame) -> GaussianMixtureModel:
        if self.isDefined("weightCol"):
            raise ModelError("gaussian_mixture: rows cannot be weighted")
        self._transfer_params_to_java()  # checks them as MLlib does
        column, count = self.getFeaturesCol(), int(self.getK())
        vectors = dataset.select(F.col(column))
        start = Components.start(_drawn(vectors, count * _DRAWN, int(self.getSeed())), count)
        slots = start.means.shape[1]
        if count * slots**2 > _MOST_CELLS:
            raise ModelError(
                f"gaussian_mixture: {count} components of {slots:,} features are too much: each "
                "has a covariance of every feature with every other",
                hint="join features first (pca)",
            )
        order = _Order(start, int(self.getMaxIter()), float(self.getTol()))
        blocks = (
            vectors.select(vector_to_array(F.col(column)).alias("x"))
            .mapInArrow(_packed, "x binary")
            .persist(StorageLevel.MEMORY_AND_DISK)
        )

        def step(densities: Densities) -> Sums:
            parts = collect_parts(blocks, partial(_sums_of_task, densities=densities))
            found = [Sums(np.frombuffer(p)[0], *cut(p[8:], count, slots)) for p in parts]
            return sum(found[1:], start=found[0])

        try:
            size = blocks.agg(F.sum(F.length("x"))).head()[0]  # type: ignore[index]
            if size > _ONE_TASK_BYTES:
                found = order.carry_out(step)
            else:
                # In the order of partitions, so that the same layout gives the same sums.
                (answer,) = collect_parts(blocks.coalesce(1), partial(_fit_in_task, order=order))
                if answer.startswith(_FAULT):
                    message, hint = json.loads(answer.removeprefix(_FAULT))
                    raise ModelError(message, hint=hint)
                found = Components(*cut(answer, count, slots))
        finally:
            blocks.unpersist()
        return self._model(found, dataset)

    def _model(self, found: Components, dataset: DataFrame) -> GaussianMixtureModel:
        context: Any = dataset.sparkSession.sparkContext
        jvm, gateway = context._jvm, context._gateway  # noqa: SLF001
        gaussian = jvm.org.apache.spark.ml.stat.distribution.MultivariateGaussian
        weights = gateway.new_array(jvm.double, len(found.weights))
        gaussians = gateway.new_array(gaussian, len(found.weights))
        for at, (mean, covariance) in enumerate(zip(found.means, found.covariances, strict=True)):
            matrix = DenseMatrix(len(mean), len(mean), covariance.ravel())
            weights[at] = float(found.weights[at])
            gaussians[at] = gaussian(
                _py2java(context, DenseVector(mean)), _py2java(context, matrix)
            )
        made = jvm.org.apache.spark.ml.clustering.GaussianMixtureModel(self.uid, weights, gaussians)
        return self._copyValues(self._create_model(made))


def _drawn(vectors: DataFrame, rows: int, seed: int) -> Floats:
    """Return the rows that MLlib would start with; shape (rows, slots). Jobs: two."""
    context = vectors.sparkSession.sparkContext
    jdf: Any = vectors._jdf  # noqa: SLF001
    drawn = jdf.rdd().takeSample(True, rows, seed)
    if not len(drawn):
        raise ModelError("gaussian_mixture: there are no rows to fit")
    return np.array([_java2py(context, row.get(0)).toArray() for row in drawn])


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    keep_archives_read()
    for batch in batches:
        if not batch.num_rows:
            continue
        flat = batch.column(0).flatten().to_numpy(zero_copy_only=False)
        block = pa.array([flat.astype(np.float64).tobytes()], pa.binary())
        yield pa.RecordBatch.from_arrays([block], ["x"])


def _blocks(batches: Iterable[pa.RecordBatch], slots: int) -> Iterator[Floats]:
    for batch in batches:
        for block in batch.column(0):
            yield np.frombuffer(block.as_buffer(), dtype=np.float64).reshape(-1, slots)


def _sums_of_task(batches: Iterable[pa.RecordBatch], densities: Densities) -> Iterator[bytes]:
    slots = densities.components.means.shape[1]
    total: Sums | None = None
    for rows in _blocks(batches, slots):
        part = densities.sums(rows)
        total = part if total is None else total + part
    if total is not None:
        yield join(total.likelihood, total.weights, total.means, total.squares)


def _fit_in_task(batches: Iterable[pa.RecordBatch], order: _Order) -> Iterator[bytes]:
    """Fit on all rows of a task; a fault comes back as words, and not as a failed task."""
    rows = np.concatenate(list(_blocks(batches, order.start.means.shape[1])))
    try:
        found = order.carry_out(lambda densities: densities.sums(rows))
    except ModelError as error:
        yield _FAULT + json.dumps([error.message, error.hint]).encode()
    else:
        yield join(found.weights, found.means, found.covariances)
