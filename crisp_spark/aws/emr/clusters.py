"""Clusters that crisp made, and those among them that nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.emr.submit import ACTIVE_STATES, RUN_TAG

PROJECT_TAG = "crisp:project"
_ACTIVE_STEPS = ("PENDING", "RUNNING", "CANCEL_PENDING")


@dataclass(frozen=True)
class ClusterView:
    """One cluster that crisp made.

    Attributes:
        id: Its id.
        name: Its name.
        state: Its state.
        project: Project that it was made for.
        run_id: Run that it was made for; empty: none is named.
        created: When it was made.
        busy: Whether a step runs or waits on it.
        protected: Whether it is protected from being ended.
        leak: Why nobody needs it any more; empty: it is needed.
    """

    id: str
    name: str
    state: str
    project: str
    run_id: str
    created: datetime
    busy: bool
    protected: bool
    leak: str = ""


def clusters_of_crisp(
    aws: Clients,
    *,
    records: Submissions | None = None,
    project: str = "",
    idle: timedelta = timedelta(minutes=30),
    longest: timedelta = timedelta(days=1),
) -> list[ClusterView]:
    """Return the active clusters that carry crisp's tags, and which of them are leaked.

    A cluster is leaked when it has no work for ``idle``, is older than ``longest``, would never
    end by itself, or belongs to a run that is recorded to be on another cluster.

    Args:
        aws: Clients of the region to look in.
        records: Records of the workspace, to find clusters that lost a race.
        project: Only clusters of this project; all when empty.
        idle: Time without work, from the last end of a step, that a cluster is given.
        longest: Age at which a cluster is looked at with suspicion.
    """
    found = []
    with translated("clusters"):
        for summary in _active(aws):
            whole = aws.emr.describe_cluster(ClusterId=summary["Id"])["Cluster"]
            tags = {tag["Key"]: tag.get("Value", "") for tag in whole.get("Tags", ())}
            if PROJECT_TAG not in tags or project not in {"", tags[PROJECT_TAG]}:
                continue
            found.append(_view(aws, whole, tags, records=records, limits=(idle, longest)))
    return found


def end_clusters(aws: Clients, clusters: list[ClusterView]) -> list[str]:
    """End the clusters that are not protected; return their ids."""
    ids = [one.id for one in clusters if not one.protected]
    if ids:
        with translated("clusters: ending"):
            aws.emr.terminate_job_flows(JobFlowIds=ids)
    return ids


def _active(aws: Clients) -> Iterator[Mapping[str, Any]]:
    pages = aws.emr.get_paginator("list_clusters")
    for page in pages.paginate(ClusterStates=list(ACTIVE_STATES)):
        yield from page["Clusters"]


def _view(
    aws: Clients,
    whole: Mapping[str, Any],
    tags: Mapping[str, str],
    *,
    records: Submissions | None,
    limits: tuple[timedelta, timedelta],
) -> ClusterView:
    pages = aws.emr.get_paginator("list_steps").paginate(ClusterId=whole["Id"])
    steps = [step["Status"] for page in pages for step in page["Steps"]]
    busy = any(step["State"] in _ACTIVE_STEPS for step in steps)
    times = whole["Status"]["Timeline"]
    ends = [step["Timeline"].get("EndDateTime") for step in steps]
    last = max([times["CreationDateTime"], *(end for end in ends if end)])
    age = datetime.now(UTC) - times["CreationDateTime"]
    idle = datetime.now(UTC) - last
    run_id = tags.get(RUN_TAG, "")
    leak = ""
    if _elsewhere(records, run_id, whole["Id"]):
        leak = "its run is on another cluster"
    elif not busy and idle > limits[0]:
        leak = f"no work for {_minutes(idle)} min"
    elif age > limits[1]:
        leak = f"{age.total_seconds() / 3600:.0f} h old"
    elif not whole.get("AutoTerminate") and not _ends_when_idle(aws, whole["Id"]):
        leak = "never ends by itself"
    return ClusterView(
        id=whole["Id"],
        name=whole.get("Name", ""),
        state=whole["Status"]["State"],
        project=tags[PROJECT_TAG],
        run_id=run_id,
        created=times["CreationDateTime"],
        busy=busy,
        protected=bool(whole.get("TerminationProtected")),
        leak=leak,
    )


def _elsewhere(records: Submissions | None, run_id: str, cluster_id: str) -> bool:
    if records is None or not run_id:
        return False
    recorded = records.find(run_id)
    return recorded is not None and recorded.place != cluster_id


def _ends_when_idle(aws: Clients, cluster_id: str) -> bool:
    policy = aws.emr.get_auto_termination_policy(ClusterId=cluster_id)
    return bool(policy.get("AutoTerminationPolicy"))


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
