"""Says what a plan chose and what each choice means, for people."""

from __future__ import annotations

from dataclasses import dataclass

from crisp_spark.aws.emr.fleets import core_types, primary_types, spot_types
from crisp_spark.aws.emr.releases import release_of
from crisp_spark.spec.compute import EmrCompute


@dataclass(frozen=True)
class Choice:
    """One choice of a plan.

    Attributes:
        what: What was chosen about.
        value: The choice.
        meaning: What it means.
    """

    what: str
    value: str
    meaning: str


def explained(compute: EmrCompute, usd_per_hour: float | None) -> tuple[Choice, ...]:
    """Return the choices of a cluster plan, most important first."""
    if compute.cluster_id:
        cluster = Choice(
            "cluster",
            compute.cluster_id,
            "an existing cluster: steps are added, it is never ended by crisp, its machines are "
            "not those below",
        )
    else:
        cluster = Choice("cluster", "made for the run", "it ends after its last step, or when idle")
    rate = "unknown" if usd_per_hour is None else f"{usd_per_hour:.2f} USD"
    return (
        cluster,
        _release(compute),
        *_machines(compute),
        *_limits(compute),
        *_safety(compute),
        Choice("an hour at most", rate, "everything at its largest; bundled prices, upper bound"),
    )


def _release(compute: EmrCompute) -> Choice:
    release = release_of(compute.release)
    until = release.supported_until
    support = f"supported until {until}" if until else "end of support not known here"
    return Choice(
        "release", compute.release, f"Spark {release.spark}, Scala {release.scala}, {support}"
    )


def _machines(compute: EmrCompute) -> tuple[Choice, ...]:
    task = compute.task
    found = [
        Choice(
            "primary",
            f"1 x {primary_types(compute)[0]}, on demand",
            f"runs YARN's resource manager; {len(primary_types(compute))} types to choose from",
        ),
        Choice(
            "core",
            f"{compute.core.nodes} x {core_types(compute)[0]}, on demand",
            "HDFS, application master and driver: losing one would end the run, so no spot, and "
            "the number never changes",
        ),
    ]
    if task.max_vcpu:
        types = spot_types(compute)
        found.append(
            Choice(
                "task",
                f"{task.initial_vcpu} vCPU at first, {task.min_vcpu} to {task.max_vcpu}, spot",
                f"executors only: what is lost is made again; {len(types)} types of "
                f"{compute.architecture} ({', '.join(types[:3])} ...), {task.strategy}",
            )
        )
        after = f"after {task.provisioning_minutes} min without spot capacity"
        found.append(
            Choice(
                "no spot capacity",
                f"{task.without_spot} {after}",
                "at the start only; a later enlargement gives up quietly after "
                f"{task.resize_minutes} min and the run goes on with what there is",
            )
        )
    return tuple(found)


def _limits(compute: EmrCompute) -> tuple[Choice, ...]:
    return (
        Choice(
            "executors",
            f"{compute.executor_vcpu} vCPU, {compute.executor_memory_gib} GiB heap + 20 %",
            "fixed, so that every instance type holds a whole number of them",
        ),
        Choice(
            "application master",
            "pinned to on-demand machines by YARN labels",
            "otherwise it may land on a spot machine, whose loss would end the run",
        ),
        Choice(
            "ends",
            f"after {compute.idle_minutes} idle minutes; a run after {compute.timeout_minutes} min",
            "no cluster stays behind, even if the caller dies",
        ),
    )


def _safety(compute: EmrCompute) -> tuple[Choice, ...]:
    key = "the declared KMS key" if compute.kms_key else "AWS's keys (S3 objects)"
    role = compute.runtime_role or f"the machines' profile {compute.instance_profile}"
    logs = compute.log_group or "off"
    return (
        Choice("encryption", key, "at rest; in transit is not switched on (needs certificates)"),
        Choice("metadata service", "version 2 only", "a forged request cannot read credentials"),
        Choice("role of the steps", role, "what the jobs may read and write"),
        Choice(
            "logs", f"{compute.log_uri}; CloudWatch {logs}", "S3 with some delay, CloudWatch live"
        ),
    )
