"""Configurations of a cluster: interpreter, executors that outlive spot losses, YARN labels."""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.emr.fleets import core_vcpu
from crisp_spark.spec.compute import HOURLY_RATE, Compute, EmrCompute
from crisp_spark.spec.secrets import is_reference

ARCHIVE_PYTHON = "./environment/bin/python"
"""Interpreter inside an unpacked environment."""

_OVERHEAD = "0.2"
_ON_DEMAND_LABEL = "ON_DEMAND"

SURVIVAL: dict[str, str] = {
    # Losing a machine is everyday: neither the application nor a stage may give up for it.
    "spark.task.maxFailures": "10",
    "spark.stage.maxConsecutiveAttempts": "12",
    "spark.executor.maxNumFailures": "1000",
    "spark.executor.failuresValidityInterval": "1h",
    # Fetch failures caused by an announced loss do not count, which needs the second line too.
    "spark.stage.ignoreDecommissionFetchFailure": "true",
    "spark.scheduler.maxRetainedRemovedDecommissionExecutors": "256",
    # A second driver would repeat a failed step in silence; `crisp` decides about that.
    "spark.yarn.maxAppAttempts": "1",
}
"""Spark settings for machines that disappear."""


def configurations(
    compute: EmrCompute, *, interpreter: str | None, usd_per_hour: float | None
) -> list[dict[str, Any]]:
    """Return the classifications of a cluster that is made for a run.

    Args:
        compute: What is declared.
        interpreter: Python that the bootstrap script builds; EMR's own when None.
        usd_per_hour: What an hour of the cluster may cost, if known.
    """
    python = {"PYSPARK_PYTHON": interpreter} if interpreter else {}
    found = [
        _classified("spark", {"maximizeResourceAllocation": "false"}),
        _classified("spark-defaults", spark_defaults(compute, interpreter, usd_per_hour)),
        _classified("yarn-site", _yarn()),
        _classified(
            "capacity-scheduler",
            {
                # Counts processors as well as memory: types of 4 and of 8 GiB per vCPU can mix.
                "yarn.scheduler.capacity.resource-calculator": (
                    "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"
                )
            },
        ),
        _classified("hdfs-site", {"dfs.replication": str(min(2, compute.core.nodes))}),
    ]
    if python:
        exported = _classified("export", python)
        found.append({**_classified("spark-env", {}), "Configurations": [exported]})
    return found


def spark_defaults(
    compute: EmrCompute, interpreter: str | None, usd_per_hour: float | None
) -> dict[str, str]:
    """Return the Spark settings of a cluster; those of the project file win."""
    settings = {
        "spark.executor.cores": str(compute.executor_vcpu),
        "spark.executor.memory": f"{compute.executor_memory_gib}g",
        "spark.executor.memoryOverheadFactor": _OVERHEAD,
        "spark.driver.cores": str(compute.driver_vcpu),
        "spark.driver.memory": f"{compute.driver_memory_gib}g",
        "spark.driver.memoryOverheadFactor": _OVERHEAD,
        "spark.shuffle.service.enabled": "true",
        **_executors(compute),
        **SURVIVAL,
        **interpreter_settings(interpreter),
    }
    if usd_per_hour is not None:
        settings[HOURLY_RATE] = f"{usd_per_hour:.4f}"
    return settings | declared_settings(compute)


def interpreter_settings(interpreter: str | None) -> dict[str, str]:
    """Return the settings that point every part of an application at one interpreter."""
    if interpreter is None:
        return {}
    return {
        "spark.pyspark.python": interpreter,
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": interpreter,
        "spark.executorEnv.PYSPARK_PYTHON": interpreter,
    }


def declared_settings(compute: Compute) -> dict[str, str]:
    """Return the project file's Spark settings without references to secrets.

    Cluster settings are readable by anyone who may describe the cluster; secrets are looked up by
    the driver.
    """
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in compute.conf.items()
        if not (isinstance(value, str) and is_reference(value))
    }


def _executors(compute: EmrCompute) -> dict[str, str]:
    per = compute.executor_vcpu
    core = core_vcpu(compute)
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.initialExecutors": str(
            max(1, (core - compute.driver_vcpu + compute.task.initial_vcpu) // per)
        ),
        "spark.dynamicAllocation.maxExecutors": str(
            max(1, (core - compute.driver_vcpu + compute.task.max_vcpu) // per)
        ),
        # Cached folds of a sweep are dear: executors that hold some stay longer.
        "spark.dynamicAllocation.cachedExecutorIdleTimeout": "20min",
    }


def _yarn() -> dict[str, str]:
    return {
        # Since EMR 7.2 these two keep application masters off spot machines.
        "yarn.node-labels.enabled": "true",
        "yarn.node-labels.am.default-node-label-expression": _ON_DEMAND_LABEL,
    }


def _classified(name: str, properties: dict[str, str]) -> dict[str, Any]:
    return {"Classification": name, "Properties": properties}
