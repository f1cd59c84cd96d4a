"""Submits a run: makes its cluster, or adds its steps to one, exactly once.

EMR has no token that makes RunJobFlow idempotent, so three things together do it: a claim that
only one process gets, names and tags that find what a killed process left behind, and a record
that only one cluster gets. A cluster that lost the race for the record is ended by whoever made
it, long before its first step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crisp_spark.aws.clients import Clients, error_code, translated
from crisp_spark.aws.emr.records import Claim, Submission, Submissions
from crisp_spark.aws.emr.waiting import LostAnswerError, Pace, patiently, sent_once, single_shot
from crisp_spark.aws.emr.work import Work
from crisp_spark.errors import CrispError, UnavailableError, UsageError

logger = logging.getLogger(__name__)

RUN_TAG = "crisp:run-id"
_EARLIER = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=5)
ACTIVE_STATES = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
"""States of a cluster that costs money."""

_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
_LOOKS = 4


@dataclass(frozen=True)
class Patience:
    """How long others are waited for.

    Attributes:
        stale: Seconds after which a claim without a cluster counts as abandoned.
        pace: How often is asked.
    """

    stale: float = 180.0
    pace: Pace = field(default_factory=lambda: Pace(first=2.0, longest=10.0))


def submit(
    aws: Clients,
    records: Submissions,
    work: Work,
    *,
    patience: Patience | None = None,
    told: Callable[[str], None] = lambda _text: None,
) -> Submission:
    """Submit the run unless that has happened; return where it is.

    Args:
        aws: Clients of the target's region.
        records: Records of the workspace.
        work: What is submitted.
        patience: How long others are waited for.
        told: Told what happens, in one line each.

    Raises:
        CrispError: AWS refused, or cannot be reached.
    """
    waits = patience or Patience()
    entry = _Entry(aws, work, waits.pace, told)
    number = 1
    for wait in waits.pace.waits():
        recorded = records.find(work.run_id)
        if recorded is not None:
            entry.end_others(recorded)
            return recorded
        claim = records.claim(work.run_id, number)
        if claim is not None:
            return _settled(records, entry, _carried_out(records, entry, claim))
        current = records.last_claim(work.run_id)
        if current is not None:
            left_behind = entry.found(since=current.at)
            if left_behind:
                told(f"an earlier submission was cut off; taking up {left_behind}")
                return _settled(records, entry, left_behind)
            age = datetime.now(UTC) - current.at
            if current.refused or age > timedelta(seconds=waits.stale):
                number = current.number + 1
                continue
            told("another process is submitting this run; waiting for it")
        waits.pace.sleep(wait)
    raise AssertionError("waits never end")  # pragma: no cover


def _carried_out(records: Submissions, entry: _Entry, claim: Claim) -> str:
    """Return the cluster of a claim that is ours; a refusal makes room for the next claim."""
    left_behind = entry.found(since=claim.at - _EARLIER)
    if left_behind:
        return left_behind
    try:
        return entry.ask(claim)
    except CrispError:
        records.refuse(entry.work.run_id, claim)
        raise


def _settled(records: Submissions, entry: _Entry, place: str) -> Submission:
    recorded = records.settle(entry.work.submission(place, entry.aws.region))
    entry.end_others(recorded)
    return recorded


@dataclass
class _Entry:
    """The way to AWS for one run."""

    aws: Clients
    work: Work
    pace: Pace
    told: Callable[[str], None]

    def ask(self, claim: Claim) -> str:
        """Make the cluster, or add the steps; return the cluster's id."""
        self._ensure_security()
        client = single_shot(self.aws, "emr")
        for wait in self.pace.waits():
            try:
                return self._ask_once(client)
            except LostAnswerError as error:
                self.told(f"{error.message}; looking whether it was carried out")
                place = self._look_again(claim)
                if place:
                    return place
            except UnavailableError as error:
                self.told(f"{error.message}; trying again")
                self.pace.sleep(wait)
        raise AssertionError("waits never end")  # pragma: no cover

    def _ask_once(self, client: Any) -> str:
        work = self.work
        if work.cluster_id:
            role = {"ExecutionRoleArn": work.role} if work.role else {}
            sent_once(
                "submit",
                lambda: client.add_job_flow_steps(
                    JobFlowId=work.cluster_id, Steps=work.steps(), **role
                ),
            )
            return work.cluster_id
        request = self._request()
        return str(sent_once("submit", lambda: client.run_job_flow(**request))["JobFlowId"])

    def _request(self) -> dict[str, Any]:
        name = f"crisp-{self.work.project}-{self.work.run_id}"
        tags = {RUN_TAG: self.work.run_id}
        return self.work.plan.run_job_flow(name=name, tags=tags, steps=self.work.steps())

    def _look_again(self, claim: Claim) -> str:
        """Look several times: a listing may lag behind a request that was carried out."""
        for _, wait in zip(range(_LOOKS), self.pace.waits(), strict=False):
            self.pace.sleep(wait)
            place = self.found(since=claim.at)
            if place:
                return place
        return ""

    def found(self, *, since: datetime) -> str:
        """Return the cluster that has this run's steps, or an empty text."""
        if self.work.cluster_id:
            return self.work.cluster_id if self._steps_there() else ""
        clusters = self._clusters(since)
        return clusters[0] if clusters else ""

    def _clusters(self, since: datetime, states: Sequence[str] = ()) -> list[str]:
        """Return the clusters made for this run, the oldest first."""
        name = self._request()["Name"]
        filtered = {"ClusterStates": list(states)} if states else {}

        def listed() -> list[dict[str, Any]]:
            pages = self.aws.emr.get_paginator("list_clusters")
            with translated("submit: listing clusters"):
                return [
                    one
                    for page in pages.paginate(CreatedAfter=since - _CLOCKS_DIFFER, **filtered)
                    for one in page["Clusters"]
                    if one["Name"] == name and self._is_ours(one["Id"])
                ]

        found = patiently(listed, pace=self.pace, told=self.told)
        found.sort(key=lambda one: one["Status"]["Timeline"]["CreationDateTime"])
        return [str(one["Id"]) for one in found]

    def _is_ours(self, cluster_id: str) -> bool:
        tags = self.aws.emr.describe_cluster(ClusterId=cluster_id)["Cluster"].get("Tags", ())
        return any(t["Key"] == RUN_TAG and t["Value"] == self.work.run_id for t in tags)

    def _steps_there(self) -> list[dict[str, Any]]:
        """Return this run's steps on a cluster that is not ours, the oldest first."""
        names = {step["Name"] for step in self.work.steps()}

        def listed() -> list[dict[str, Any]]:
            pages = self.aws.emr.get_paginator("list_steps")
            with translated(f"submit: listing steps of {self.work.cluster_id}"):
                return [
                    one
                    for page in pages.paginate(ClusterId=self.work.cluster_id)
                    for one in page["Steps"]
                    if one["Name"] in names
                ]

        found = patiently(listed, pace=self.pace, told=self.told)
        # Listed the newest first; of equal times the listing's order decides.
        found.reverse()
        return sorted(found, key=lambda one: one["Status"]["Timeline"]["CreationDateTime"])

    def end_others(self, recorded: Submission) -> None:
        """End what a lost race left: clusters besides the recorded one, steps that came twice."""
        if recorded.own_place:
            since = recorded.submitted - _EARLIER
            extra = [one for one in self._clusters(since, ACTIVE_STATES) if one != recorded.place]
            if extra:
                self.told(f"ending {', '.join(extra)}: the run is on {recorded.place}")
                with translated("submit: ending a second cluster"):
                    self.aws.emr.terminate_job_flows(JobFlowIds=extra)
            return
        seen: set[str] = set()
        twice = []
        for step in self._steps_there():
            if step["Name"] in seen and step["Status"]["State"] not in _ENDED:
                twice.append(step["Id"])
            seen.add(step["Name"])
        if twice:
            self.told(f"cancelling {', '.join(twice)}: the same steps are there already")
            with translated("submit: cancelling second steps"):
                self.aws.emr.cancel_steps(ClusterId=recorded.place, StepIds=twice)

    def _ensure_security(self) -> None:
        wanted = None if self.work.cluster_id else self.work.plan.security_configuration()
        if wanted is None:
            return
        emr = self.aws.emr
        try:
            with translated("submit: security configuration"):
                emr.describe_security_configuration(Name=wanted["Name"])
        except UsageError:
            with translated("submit: security configuration"):
                try:
                    emr.create_security_configuration(**wanted)
                except emr.exceptions.InvalidRequestException as error:
                    # Another process made it meanwhile; its name tells its content.
                    if "already exists" not in str(error):
                        raise
                    logger.debug("security configuration exists: %s", error_code(error))
