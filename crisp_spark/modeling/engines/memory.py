"""Memory of one task outside the JVM."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LEAST_OVERHEAD_MB = 384.0
_OVERHEAD_SHARE = 0.1
_UNITS = {"k": 2**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20}


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
