"""An EMR that answers by script: states of clusters, ends of steps, refusals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.aws.emr.validate import validate_service_request
from tests.aws.interpreter import RefusedError, client

BUCKET, PREFIX = "bucket", "crisp/workspace"


@dataclass
class StepEnd:
    """How a step ends: its state, and the last word that its job leaves in the workspace."""

    state: str = "COMPLETED"
    word: Mapping[str, Any] | None = None
    reason: str = ""


Script = Callable[[str, int], StepEnd | None]
"""``(stage, number of the call for this stage)`` to the end of the step; None: it runs for ever."""


def all_well(stage: str, _number: int) -> StepEnd:
    return StepEnd(word={"lost": False, "decision": "deploy" if stage == "decide" else None})


@dataclass
class ScriptedEmr:
    """Answers what state machines ask of EMR; every request is held against botocore's model."""

    script: Script = all_well
    cluster_states: list[str] = field(default_factory=lambda: ["STARTING", "WAITING"])
    reason: Mapping[str, str] = field(default_factory=dict)
    refuse: dict[str, list[RefusedError]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    refused: int = 0
    late: dict[str, Any] | None = None

    def named(self, operation: str) -> list[dict[str, Any]]:
        """Requests of one operation."""
        return [request for name, request in self.calls if name == operation]

    def stages(self) -> list[str]:
        """Stages whose steps were added, in order."""
        return [stage for _, stage, _ in self.steps.values()]

    @property
    def alive(self) -> list[str]:
        """Clusters that cost money."""
        return [key for key, one in self.clusters.items() if one["State"] != "TERMINATED"]

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, request))
        if self.refuse.get(operation):
            self.refused += 1
            raise self.refuse[operation].pop(0)
        check_request(operation, request)
        answers = {
            "runJobFlow": self._run,
            "describeCluster": self._describe,
            "addStep": self._add,
            "terminateCluster": self._terminate,
            "terminateJobFlows": self._terminate_all,
            "listClusters": self._list,
        }
        return answers[operation](request)

    def watch(self, operation: str, started: dict[str, Any]) -> dict[str, Any] | None:
        """Say how a started call ended."""
        if operation == "terminateCluster":
            return {"Cluster": {"Status": {"State": "TERMINATED"}}}
        cluster, stage, number = self.steps[started["StepId"]]
        end = self.script(stage, number)
        if end is None:
            return None
        if end.word is not None:
            run_id = tag(self.clusters[cluster], "crisp:run-id")
            body = json.dumps(dict(end.word)).encode()
            key = f"{PREFIX}/runs/{run_id}/outcomes/{stage}-{number}.json"
            client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        if end.state != "COMPLETED":
            status = {"State": end.state, "FailureDetails": {"Message": end.reason}}
            answer = {"Step": {"Id": started["StepId"], "Status": status}}
            raise RefusedError("States.TaskFailed", json.dumps(answer))
        return {"Step": {"Id": started["StepId"], "Status": {"State": "COMPLETED"}}}

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        identity = f"j-{len(self.clusters) + 1:013d}"
        self.clusters[identity] = request | {
            "State": "STARTING",
            "ahead": itertools.chain(self.cluster_states, itertools.repeat("")),
        }
        return {"JobFlowId": identity, "ClusterArn": f"arn:aws:elasticmapreduce:::{identity}"}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self.clusters[request["ClusterId"]]
        if cluster["State"] != "TERMINATED":
            cluster["State"] = next(cluster["ahead"]) or cluster["State"]
        status = {"State": cluster["State"], "StateChangeReason": dict(self.reason)}
        return {"Cluster": {"Id": request["ClusterId"], "Name": cluster["Name"], "Status": status}}

    def _add(self, request: dict[str, Any]) -> dict[str, Any]:
        stage = request["Step"]["Name"].split()[0]
        earlier = [step[:2] for step in self.steps.values()]
        number = earlier.count((request["ClusterId"], stage)) + 1
        identity = f"s-{len(self.steps) + 1:013d}"
        self.steps[identity] = (request["ClusterId"], stage, number)
        return {"StepId": identity}

    def _terminate(self, request: dict[str, Any]) -> dict[str, Any]:
        self.clusters[request["ClusterId"]]["State"] = "TERMINATED"
        return {}

    def _terminate_all(self, request: dict[str, Any]) -> dict[str, Any]:
        for identity in request["JobFlowIds"]:
            self.clusters[identity]["State"] = "TERMINATED"
        return {}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = [
            {"Id": identity, "Name": one["Name"], "Status": {"State": one["State"]}}
            for identity, one in self.clusters.items()
            if one["State"] in request["ClusterStates"]
        ]
        start = int(request.get("Marker", "0"))
        page = wanted[start : start + 2]
        more = {"Marker": str(start + 2)} if len(wanted) > start + 2 else {}
        if self.late is not None:  # asked for before, seen after this call
            self._run(self.late)
            self.late = None
        return {"Clusters": page} | more


def tag(cluster: Mapping[str, Any], key: str) -> str:
    return next(one["Value"] for one in cluster["Tags"] if one["Key"] == key)


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Hold a request against EMR's service model."""
    if operation == "addStep":
        name = "AddJobFlowSteps"
        given = {
            "JobFlowId": request["ClusterId"],
            "Steps": [request["Step"]],
            **{key: request[key] for key in request if key == "ExecutionRoleArn"},
        }
    elif operation == "terminateCluster":
        name, given = "TerminateJobFlows", {"JobFlowIds": [request["ClusterId"]]}
    else:
        name, given = operation[0].upper() + operation[1:], dict(request)
    faults = validate_service_request("emr", name, given)
    assert not [one for one in faults if "MASTER fleet is missing" not in one], faults
