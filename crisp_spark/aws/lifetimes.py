"""What a cluster's machines did: lives, losses, failed steps, and the spot prices of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.submit import RUN_TAG

_ROLES = {"MASTER": "primary", "CORE": "core", "TASK": "task"}
_ENDED_BADLY = {"FAILED", "INTERRUPTED", "CANCELLED"}
_KEPT = timedelta(days=60)
_LINUX = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]


@dataclass(frozen=True)
class Life:
    """One machine, from request to end.

    Attributes:
        id: EC2 instance id.
        instance_type: Its type.
        role: ``primary``, ``core`` or ``task``.
        market: ``ON_DEMAND`` or ``SPOT``.
        started: When it was asked for; paid time begins a little later.
        ended: When it ended, or now.
        interrupted: Whether it was lost before the cluster ended it.
    """

    id: str
    instance_type: str
    role: str
    market: str
    started: datetime
    ended: datetime
    interrupted: bool = False


@dataclass(frozen=True)
class ClusterLife:
    """A cluster and its machines.

    Attributes:
        cluster_id: The cluster.
        region: Its Region.
        zone: Its availability zone.
        lives: Its machines, terminated ones too.
        redone_seconds: Seconds of steps that failed or were cancelled.
        is_over: Whether it has ended.
    """

    cluster_id: str
    region: str
    zone: str
    lives: tuple[Life, ...]
    redone_seconds: float = 0.0
    is_over: bool = True


def read_cluster(aws: Clients, cluster_id: str, *, now: datetime | None = None) -> ClusterLife:
    """Read the machines of a cluster; EMR keeps them for two months.

    Args:
        aws: Clients of its Region.
        cluster_id: The cluster.
        now: End of machines that still run; the current time when None.

    Raises:
        CrispError: AWS did not answer, or refused.
    """
    moment = now or datetime.now(UTC)
    with translated(f"cluster {cluster_id}"):
        emr = aws.emr
        cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
        fleets = {
            fleet["Id"]: _ROLES.get(fleet["InstanceFleetType"], "task")
            for fleet in _pages(emr, "list_instance_fleets", "InstanceFleets", cluster_id)
        }
        instances = _pages(emr, "list_instances", "Instances", cluster_id)
        steps = _pages(emr, "list_steps", "Steps", cluster_id)
    lives = [life_of(found, fleets, moment) for found in instances]
    return ClusterLife(
        cluster_id=cluster_id,
        region=aws.region,
        zone=cluster.get("Ec2InstanceAttributes", {}).get("Ec2AvailabilityZone", ""),
        lives=tuple(sorted((one for one in lives if one), key=lambda one: (one.started, one.id))),
        redone_seconds=sum(_lost(step) for step in steps),
        is_over=cluster["Status"]["State"].startswith("TERMINATED"),
    )


def cluster_of_run(aws: Clients, run_id: str, *, now: datetime | None = None) -> str:
    """Return the newest cluster of the last two months that carries the run's tag; else nothing.

    Args:
        aws: Clients of the Region.
        run_id: The run.
        now: The current time when None.

    Raises:
        CrispError: AWS did not answer, or refused.
    """
    since = (now or datetime.now(UTC)) - _KEPT
    with translated(f"clusters of run {run_id}"):
        emr = aws.emr
        pages = emr.get_paginator("list_clusters").paginate(CreatedAfter=since)
        for page in pages:  # newest first
            for found in page["Clusters"]:
                cluster = emr.describe_cluster(ClusterId=found["Id"])["Cluster"]
                if {"Key": RUN_TAG, "Value": run_id} in cluster.get("Tags", ()):
                    return str(found["Id"])
    return ""


def life_of(found: Mapping[str, Any], fleets: Mapping[str, str], now: datetime) -> Life | None:
    """Return the life of one entry of ListInstances; None if the machine never started.

    Args:
        found: The entry.
        fleets: Fleet id to role.
        now: End of a machine that still runs.
    """
    status = found["Status"]
    times = status.get("Timeline", {})
    started = times.get("CreationDateTime")
    if started is None or not found.get("Ec2InstanceId"):
        return None
    reason = status.get("StateChangeReason", {})
    market = found.get("Market", "ON_DEMAND")
    # AWS names no code for a spot loss: a spot machine that failed by itself is taken for one.
    lost = market == "SPOT" and (
        reason.get("Code") == "INSTANCE_FAILURE" or "spot" in str(reason.get("Message")).lower()
    )
    return Life(
        id=found["Ec2InstanceId"],
        instance_type=found["InstanceType"],
        role=fleets.get(found.get("InstanceFleetId", ""), "task"),
        market=market,
        started=started,
        ended=times.get("EndDateTime") or now,
        interrupted=lost,
    )


def spot_history(
    aws: Clients, lives: Sequence[Life], zone: str
) -> dict[str, list[tuple[datetime, float]]]:
    """Return the spot price of each spot type over the machines' lives; AWS keeps 90 days.

    Args:
        aws: Clients of the Region.
        lives: The machines.
        zone: Their availability zone.

    Returns:
        Instance type to its prices in USD per hour, oldest first; a price holds until the next.

    Raises:
        CrispError: AWS did not answer, or refused.
    """
    spots = [life for life in lives if life.market == "SPOT"]
    if not spots:
        return {}
    found: dict[str, list[tuple[datetime, float]]] = {}
    with translated("spot prices"):
        pages = (
            aws.get("ec2")
            .get_paginator("describe_spot_price_history")
            .paginate(
                InstanceTypes=sorted({life.instance_type for life in spots}),
                ProductDescriptions=_LINUX,
                StartTime=min(life.started for life in spots),
                EndTime=max(life.ended for life in spots),
                **({"AvailabilityZone": zone} if zone else {}),
            )
        )
        for page in pages:
            for entry in page["SpotPriceHistory"]:
                point = (entry["Timestamp"], float(entry["SpotPrice"]))
                found.setdefault(entry["InstanceType"], []).append(point)
    return {name: sorted(points) for name, points in found.items()}


def _pages(emr: Any, operation: str, key: str, cluster_id: str) -> list[dict[str, Any]]:
    pages = emr.get_paginator(operation).paginate(ClusterId=cluster_id)
    return [item for page in pages for item in page[key]]


def _lost(step: Mapping[str, Any]) -> float:
    status = step["Status"]
    times = status.get("Timeline", {})
    start, end = times.get("StartDateTime"), times.get("EndDateTime")
    if status["State"] not in _ENDED_BADLY or start is None or end is None:
        return 0.0
    seconds: float = (end - start).total_seconds()
    return seconds
