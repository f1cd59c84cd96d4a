"""Clusters and steps as EMR tells them: states, reasons, times, fleets, instances."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACTIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
STEP_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Return an id as EMR makes them: a letter and 13 characters."""
    alphabet = string.ascii_uppercase + string.digits
    return prefix + "".join(random.choices(alphabet, k=13))  # noqa: S311  # no secret


@dataclass
class Step:
    """One step."""

    request: Mapping[str, Any]
    id: str = field(default_factory=lambda: new_id("s-"))
    state: str = "PENDING"
    role: str = ""
    message: str = ""
    failure: dict[str, str] = field(default_factory=dict)
    created: datetime = field(default_factory=now)
    started: datetime | None = None
    ended: datetime | None = None
    lost: bool = False

    @property
    def action(self) -> str:
        """ActionOnFailure, with the name that EMR uses today."""
        asked = str(self.request.get("ActionOnFailure") or "TERMINATE_CLUSTER")
        return "TERMINATE_CLUSTER" if asked == "TERMINATE_JOB_FLOW" else asked

    @property
    def args(self) -> list[str]:
        """Arguments of the jar."""
        return list(self.request["HadoopJarStep"].get("Args", ()))

    def end(
        self, state: str, message: str = "", *, failure: Mapping[str, str] | None = None
    ) -> None:
        """End the step."""
        self.state = state
        self.message = message
        self.failure = dict(failure or {})
        self.ended = now()

    def shown(self) -> dict[str, Any]:
        """Return the step as DescribeStep and ListSteps do."""
        jar = self.request["HadoopJarStep"]
        status: dict[str, Any] = {
            "State": self.state,
            "StateChangeReason": {"Message": self.message} if self.message else {},
            "Timeline": timeline(
                CreationDateTime=self.created, StartDateTime=self.started, EndDateTime=self.ended
            ),
        }
        if self.failure:
            status["FailureDetails"] = self.failure
        properties = {one["Key"]: one["Value"] for one in jar.get("Properties", ())}
        return {
            "Id": self.id,
            "Name": self.request["Name"],
            "Config": {"Jar": jar["Jar"], "Args": self.args, "Properties": properties},
            "ActionOnFailure": self.action,
            "Status": status,
            **({"ExecutionRoleArn": self.role} if self.role else {}),
        }


@dataclass
class Instance:
    """One machine that only exists on paper."""

    fleet: str
    kind: str
    market: str
    role: str
    id: str = field(default_factory=lambda: new_id("ci-"))
    ec2_id: str = field(default_factory=lambda: f"i-{random.getrandbits(64):017x}")
    state: str = "RUNNING"
    reason: dict[str, str] = field(default_factory=dict)
    created: datetime = field(default_factory=now)
    ended: datetime | None = None

    def end(self, code: str, message: str) -> None:
        """End the machine, unless it has ended."""
        if self.ended is None:
            self.state, self.ended = "TERMINATED", now()
            self.reason = {"Code": code, "Message": message}

    def shown(self) -> dict[str, Any]:
        """Return the machine as ListInstances does."""
        return {
            "Id": self.id,
            "Ec2InstanceId": self.ec2_id,
            "Status": {
                "State": self.state,
                "StateChangeReason": self.reason,
                "Timeline": timeline(
                    CreationDateTime=self.created,
                    ReadyDateTime=self.created,
                    EndDateTime=self.ended,
                ),
            },
            "InstanceFleetId": self.fleet,
            "Market": self.market,
            "InstanceType": self.kind,
            "PrivateIpAddress": "127.0.0.1",
        }


@dataclass
class Fleet:
    """One instance fleet, as it was asked for."""

    request: dict[str, Any]
    id: str = field(default_factory=lambda: new_id("if-"))
    state: str = "PROVISIONING"

    def launch(self) -> list[Instance]:
        """Return the machines that meet the targets: all of the first type."""
        types = self.request.get("InstanceTypeConfigs") or [{"InstanceType": "m5.xlarge"}]
        first = types[0]
        weight = int(first.get("WeightedCapacity") or 1)
        role = str(self.request["InstanceFleetType"])
        made = []
        for market, key in (
            ("ON_DEMAND", "TargetOnDemandCapacity"),
            ("SPOT", "TargetSpotCapacity"),
        ):
            count = math.ceil(int(self.request.get(key) or 0) / weight)
            made += [Instance(self.id, first["InstanceType"], market, role) for _ in range(count)]
        return made

    def shown(self) -> dict[str, Any]:
        """Return the fleet as ListInstanceFleets does."""
        on_demand = int(self.request.get("TargetOnDemandCapacity") or 0)
        spot = int(self.request.get("TargetSpotCapacity") or 0)
        up = self.state not in {"PROVISIONING", "TERMINATED"}
        kept = ("Name", "InstanceFleetType", "LaunchSpecifications", "ResizeSpecifications")
        return {
            "Id": self.id,
            **{key: self.request[key] for key in kept if key in self.request},
            "Status": {"State": self.state, "StateChangeReason": {"Message": ""}},
            "TargetOnDemandCapacity": on_demand,
            "TargetSpotCapacity": spot,
            "ProvisionedOnDemandCapacity": on_demand if up else 0,
            "ProvisionedSpotCapacity": spot if up else 0,
            "InstanceTypeSpecifications": [
                {key: value for key, value in one.items() if key != "EbsConfiguration"}
                for one in self.request.get("InstanceTypeConfigs", ())
            ],
        }


@dataclass
class ClusterStatus:
    """State of a cluster and why it has it."""

    state: str = "STARTING"
    code: str = ""
    message: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    created: datetime = field(default_factory=now)
    ready: datetime | None = None
    ended: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """Return the status as DescribeCluster does."""
        reason = {"Code": self.code, "Message": self.message} if self.code else {}
        return {
            "State": self.state,
            "StateChangeReason": reason,
            "Timeline": timeline(
                CreationDateTime=self.created, ReadyDateTime=self.ready, EndDateTime=self.ended
            ),
            "ErrorDetails": list(self.errors),
        }


def timeline(**times: datetime | None) -> dict[str, datetime]:
    """Return the times that are known."""
    return {key: value for key, value in times.items() if value is not None}


def tags_of(pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return a list of tags as a dictionary."""
    return {pair["Key"]: pair.get("Value", "") for pair in pairs}
