"""The calls of EMR's API, on top of moto's dispatcher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from moto.core.responses import ActionResult, EmptyResult
from moto.emr.exceptions import InvalidRequestException, ValidationException
from moto.emr.responses import ElasticMapReduceResponse

from emr.loopback.cluster import LOSE_TAG, Cluster
from emr.loopback.rules import faults_of_run_job_flow, faults_of_steps

RELEASES: dict[str, dict[str, str]] = {
    "emr-spark-8.1.0": {"Spark": "4.1.1"},
    "emr-spark-8.0.0": {"Spark": "4.0.2"},
    "emr-7.14.0": {"Spark": "3.5.8", "Hadoop": "3.4.2", "Hive": "3.1.3"},
    "emr-7.13.0": {"Spark": "3.5.6", "Hadoop": "3.4.2", "Hive": "3.1.3"},
}


_TOLD_BACK = (
    "LogUri",
    "ReleaseLabel",
    "Configurations",
    "SecurityConfiguration",
    "ServiceRole",
    "CustomAmiId",
    "MonitoringConfiguration",
    "ScaleDownBehavior",
    "EbsRootVolumeSize",
    "OSReleaseLabel",
)


class Clusters(Protocol):
    """What the calls need of the server."""

    page_size: int
    clusters: dict[str, Cluster]

    def launch(self, request: Mapping[str, Any], *, region: str) -> Cluster:
        """Start a cluster."""
        ...


class LoopbackResponse(ElasticMapReduceResponse):
    """Answers of the loop-back EMR; calls that are not here are moto's own."""

    home: ClassVar[Clusters]

    @property
    def _asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = json.loads(self.body or "{}")
        return asked

    def _cluster(self, cluster_id: str | None = None) -> Cluster:
        wanted = cluster_id or self._asked.get("ClusterId") or self._asked.get("JobFlowId")
        try:
            return self.home.clusters[str(wanted)]
        except KeyError:
            raise InvalidRequestException(f"Cluster id '{wanted}' is not valid.") from None

    def _page(self, key: str, items: Sequence[Any]) -> ActionResult:
        start = int(self._asked.get("Marker") or 0)
        end = start + self.home.page_size
        more = {"Marker": str(end)} if end < len(items) else {}
        return ActionResult({key: list(items[start:end]), **more})

    # -- clusters ----------------------------------------------------------------------------

    def run_job_flow(self) -> ActionResult:
        """Start a cluster."""
        request = self._asked
        faults = faults_of_run_job_flow(request)
        if request.get("ReleaseLabel") not in RELEASES:
            faults.append("The supplied release label is invalid")
        if faults:
            raise ValidationException("; ".join(faults))
        cluster = self.home.launch(request, region=self.region)
        return ActionResult({"JobFlowId": cluster.id, "ClusterArn": self._arn(cluster)})

    def _arn(self, cluster: Cluster) -> str:
        return f"arn:aws:elasticmapreduce:{self.region}:{self.current_account}:cluster/{cluster.id}"

    def describe_cluster(self) -> ActionResult:
        """Tell everything about a cluster."""
        cluster = self._cluster()
        asked = cluster.request
        instances = asked.get("Instances", {})
        subnets = instances.get("Ec2SubnetIds") or [instances.get("Ec2SubnetId") or "subnet-0"]
        return ActionResult(
            {
                "Cluster": {
                    **{key: asked[key] for key in _TOLD_BACK if key in asked},
                    "Id": cluster.id,
                    "Name": asked.get("Name"),
                    "Status": cluster.status.shown(),
                    "Ec2InstanceAttributes": {
                        "Ec2SubnetId": subnets[0],
                        "RequestedEc2SubnetIds": subnets,
                        "Ec2AvailabilityZone": f"{self.region}a",
                        "IamInstanceProfile": asked.get("JobFlowRole", ""),
                    },
                    "InstanceCollectionType": "INSTANCE_FLEET",
                    "AutoTerminate": not cluster.keep_alive,
                    "TerminationProtected": cluster.protected,
                    "UnhealthyNodeReplacement": bool(instances.get("UnhealthyNodeReplacement")),
                    "Applications": [
                        {"Name": one["Name"], "Version": self._versions(asked).get(one["Name"], "")}
                        for one in asked.get("Applications", ())
                    ],
                    "Tags": [{"Key": key, "Value": value} for key, value in cluster.tags.items()],
                    "NormalizedInstanceHours": 0,
                    "MasterPublicDnsName": "localhost",
                    "ClusterArn": self._arn(cluster),
                    "StepConcurrencyLevel": cluster.concurrency,
                }
            }
        )

    @staticmethod
    def _versions(asked: Mapping[str, Any]) -> dict[str, str]:
        return RELEASES.get(str(asked.get("ReleaseLabel")), {})

    def list_clusters(self) -> ActionResult:
        """List clusters, the newest first."""
        asked = self._asked
        states = asked.get("ClusterStates")
        after, before = _time(asked.get("CreatedAfter")), _time(asked.get("CreatedBefore"))
        found = [
            {
                "Id": cluster.id,
                "Name": cluster.request.get("Name"),
                "Status": cluster.status.shown(),
                "ClusterArn": self._arn(cluster),
            }
            for cluster in reversed(list(self.home.clusters.values()))
            if (not states or cluster.status.state in states)
            and (after is None or cluster.status.created >= after)
            and (before is None or cluster.status.created <= before)
        ]
        return self._page("Clusters", found)

    def modify_cluster(self) -> ActionResult:
        """Change the number of steps that run at once."""
        cluster = self._cluster()
        cluster.concurrency = int(self._asked.get("StepConcurrencyLevel") or cluster.concurrency)
        return ActionResult({"StepConcurrencyLevel": cluster.concurrency})

    def terminate_job_flows(self) -> ActionResult:
        """End clusters."""
        clusters = [self._cluster(one) for one in self._asked["JobFlowIds"]]
        if any(cluster.protected for cluster in clusters):
            raise ValidationException(
                "Could not shut down one or more job flows since they are termination protected."
            )
        for cluster in clusters:
            cluster.terminate()
        return EmptyResult()

    def set_termination_protection(self) -> ActionResult:
        """Protect clusters, or not."""
        for one in self._asked["JobFlowIds"]:
            self._cluster(one).protected = bool(self._asked["TerminationProtected"])
        return EmptyResult()

    def add_tags(self) -> ActionResult:
        """Tag a cluster; a tag ``loopback:lose`` takes the step that it names away."""
        cluster = self._cluster(self._asked["ResourceId"])
        for tag in self._asked["Tags"]:
            if tag["Key"] == LOSE_TAG:
                cluster.lose(tag["Value"])
            else:
                cluster.tags[tag["Key"]] = tag.get("Value", "")
        return EmptyResult()

    def remove_tags(self) -> ActionResult:
        """Take tags off a cluster."""
        cluster = self._cluster(self._asked["ResourceId"])
        for key in self._asked["TagKeys"]:
            cluster.tags.pop(key, None)
        return EmptyResult()

    # -- steps -------------------------------------------------------------------------------

    def add_job_flow_steps(self) -> ActionResult:
        """Add steps to a cluster that has not ended."""
        cluster, asked = self._cluster(), self._asked
        if cluster.ended:
            raise ValidationException(
                "A job flow that is shutting down, terminated, or finished may not be modified."
            )
        faults = faults_of_steps(
            asked["Steps"],
            concurrency=cluster.concurrency,
            present=[step.state for step in cluster.steps],
        )
        if faults:
            raise ValidationException("; ".join(faults))
        added = cluster.add_steps(asked["Steps"], role=asked.get("ExecutionRoleArn", ""))
        return ActionResult({"StepIds": added})

    def describe_step(self) -> ActionResult:
        """Tell everything about a step."""
        step = self._cluster().step(self._asked["StepId"])
        if step is None:
            raise InvalidRequestException(f"Step id '{self._asked['StepId']}' is not valid.")
        return ActionResult({"Step": step.shown()})

    def list_steps(self) -> ActionResult:
        """List steps, the newest first."""
        asked = self._asked
        ids, states = asked.get("StepIds"), asked.get("StepStates")
        found = [
            step.shown()
            for step in reversed(self._cluster().steps)
            if (not ids or step.id in ids) and (not states or step.state in states)
        ]
        return self._page("Steps", found)

    def cancel_steps(self) -> ActionResult:
        """Cancel steps that wait or run."""
        cluster, asked = self._cluster(), self._asked
        kill = asked.get("StepCancellationOption") == "TERMINATE_PROCESS"
        answers = []
        for step_id in asked["StepIds"]:
            status, reason = cluster.cancel(step_id, kill=kill)
            answers.append({"StepId": step_id, "Status": status, "Reason": reason})
        return ActionResult({"CancelStepsInfoList": answers})

    # -- machines ----------------------------------------------------------------------------

    def list_bootstrap_actions(self) -> ActionResult:
        """List bootstrap actions."""
        found = [
            {
                "Name": one["Name"],
                "ScriptPath": one["ScriptBootstrapAction"]["Path"],
                "Args": one["ScriptBootstrapAction"].get("Args", []),
            }
            for one in self._cluster().request.get("BootstrapActions", ())
        ]
        return self._page("BootstrapActions", found)

    def list_instance_fleets(self) -> ActionResult:
        """List instance fleets."""
        return self._page("InstanceFleets", [fleet.shown() for fleet in self._cluster().fleets])

    def modify_instance_fleet(self) -> ActionResult:
        """Change a fleet's targets."""
        self._cluster().resize(self._asked["InstanceFleet"])
        return EmptyResult()

    def list_instances(self) -> ActionResult:
        """List machines, those that have ended too."""
        asked = self._asked
        found = [
            one.shown()
            for one in self._cluster().instances
            if asked.get("InstanceFleetId") in {None, one.fleet}
            and asked.get("InstanceFleetType") in {None, one.role}
            and (not asked.get("InstanceStates") or one.state in asked["InstanceStates"])
        ]
        return self._page("Instances", found)

    # -- policies and releases ---------------------------------------------------------------

    def get_managed_scaling_policy(self) -> ActionResult:
        """Return the managed scaling policy."""
        return ActionResult(_known(ManagedScalingPolicy=self._cluster().scaling))

    def put_managed_scaling_policy(self) -> ActionResult:
        """Keep a managed scaling policy."""
        self._cluster().scaling = self._asked["ManagedScalingPolicy"]
        return EmptyResult()

    def remove_managed_scaling_policy(self) -> ActionResult:
        """Forget the managed scaling policy."""
        self._cluster().scaling = None
        return EmptyResult()

    def get_auto_termination_policy(self) -> ActionResult:
        """Return the auto-termination policy."""
        return ActionResult(_known(AutoTerminationPolicy=self._cluster().auto_termination))

    def put_auto_termination_policy(self) -> ActionResult:
        """Keep, and follow, an auto-termination policy."""
        self._cluster().auto_termination = self._asked["AutoTerminationPolicy"]
        return EmptyResult()

    def remove_auto_termination_policy(self) -> ActionResult:
        """Forget the auto-termination policy."""
        self._cluster().auto_termination = None
        return EmptyResult()

    def describe_release_label(self) -> ActionResult:
        """Tell the applications of a release."""
        label = self._asked.get("ReleaseLabel")
        if label not in RELEASES:
            raise InvalidRequestException(f"Release label '{label}' is not valid.")
        found = [{"Name": name, "Version": version} for name, version in RELEASES[label].items()]
        return ActionResult({"ReleaseLabel": label, "Applications": found})

    def list_release_labels(self) -> ActionResult:
        """List the releases."""
        return ActionResult({"ReleaseLabels": list(RELEASES)})


def response_class(home: Clusters) -> Callable[..., Any]:
    """Return the entry point of requests to the clusters of one server."""

    class Bound(LoopbackResponse):
        """Answers for the clusters of one server."""

    Bound.home = home
    dispatch: Callable[..., Any] = Bound.dispatch
    return dispatch


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
