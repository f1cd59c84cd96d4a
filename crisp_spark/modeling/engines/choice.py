"""Which engines a sweep has, the most economical first, and what they are told of the data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crisp_spark.modeling.engines.histogram import HistogramEngine, check_installed
from crisp_spark.modeling.engines.linear import LinearEngine
from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.engines.sharing import ForestPrefixEngine, SharingEngine
from crisp_spark.modeling.groups import Engine, SweepData, Work

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crisp_spark.spec.modeling import ModelingSpec

_LEAST_OVERHEAD_MB = 384.0
_OVERHEAD_SHARE = 0.1
_UNITS = {"k": 2**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20}


def engines_for(spec: ModelingSpec) -> tuple[Engine, ...]:
    """Return the engines of a sweep; the last one takes whatever the others leave.

    Raises:
        SpecError: ``mode: fast`` boosts trees, without the package that it needs for that.
    """
    exact: tuple[Engine, ...] = (
        LinearEngine("least_squares", "moments"),
        LinearEngine("logistic", "newton"),
        SharingEngine(),
        PlainEngine(),
    )
    if spec.search.mode == "exact":
        return exact
    # Without families, every learner of the problem is tried.
    if not spec.families or any(one.kind == "gradient_boosting" for one in spec.families):
        check_installed()
    return (HistogramEngine(), ForestPrefixEngine(), *exact)


def measured(work: Work, spec: ModelingSpec) -> SweepData:
    """Return what engines decide by, from the prepared folds. Jobs: those of preparing them."""
    folds = work.preparation.all_folds(work.folds, work.task.parallelism) if work.folds else []
    session = folds[0].train.sparkSession if folds else None
    return SweepData(
        problem=work.task.problem,
        class_count=work.task.class_count,
        rows=max((fold.train_rows + fold.validation_rows for fold in folds), default=0),
        slots=max((fold.facts.width for fold in folds), default=0),
        arity=max((fold.facts.arity for fold in folds), default=0),
        weighted=any(fold.weights for fold in folds),
        folds=len(folds),
        mode=spec.search.mode,
        cores=session.sparkContext.defaultParallelism if session else 1,
        task_mb=task_megabytes(session) if session else 0.0,
    )


def task_megabytes(session: SparkSession) -> float:
    """Return the memory outside the JVM that one task may use, MiB.

    On a cluster that is an executor's overhead (or its Python memory, where set) shared by its
    tasks; on one machine half of its memory.
    """
    context: Any = session.sparkContext
    conf = context.getConf()
    if str(context.master).startswith("local"):
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
        return whole / 2 / max(1, int(context.defaultParallelism))
    heap = _mb(conf.get("spark.executor.memory", "1g"))
    share = float(conf.get("spark.executor.memoryOverheadFactor", str(_OVERHEAD_SHARE)))
    plain = max(_LEAST_OVERHEAD_MB, heap * share)
    overhead = _mb(conf.get("spark.executor.memoryOverhead", f"{plain:.0f}m"))
    python = conf.get("spark.executor.pyspark.memory", None)
    cores = int(conf.get("spark.executor.cores", "1"))
    return (_mb(python) if python else overhead) / max(1, cores)


def _mb(text: str) -> float:
    """Return a size as Spark writes it (``4g``, ``512m``, ``2048`` in MiB) in MiB."""
    plain = text.strip().lower().removesuffix("b")
    unit = plain[-1:]
    return float(plain[:-1]) * _UNITS[unit] if unit in _UNITS else float(plain)
