"""The whole chain: the generated state machine drives the loop-back EMR, whose steps really run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crisp_spark.aws.schedule.cleanup import cleanup_machine
from crisp_spark.aws.schedule.machine import state_machine
from crisp_spark.aws.schedule.stack import plan_stack
from crisp_spark.spec.load import load_project
from emr.loopback import LoopbackEmr
from tests.aws.interpreter import REGION, RefusedError, client, interpreter, look, run, start, wait
from tests.aws.loopback_fixtures import QUICK, until

EXAMPLE = Path(__file__).parents[2] / "emr" / "schedule" / "crisp.yml"
BUCKET = "shop-crisp"
DUE = {"scheduled_time": "2026-11-24T05:30:00Z"}
# A job that leaves its last word as jobs/run.py does, without the JVM.
JOB = """
import json, sys, boto3, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name, run_id = given["--outcome"], given["--run-id"]
if given["--steps"] == "sweep" and "{slow}":
    time.sleep(60)
word = {{"lost": name in "{lost}".split(), "decision": "deploy"}}
boto3.client("s3").put_object(
    Bucket="shop-crisp", Key=f"orders/workspace/runs/{{run_id}}/outcomes/{{name}}.json",
    Body=json.dumps(word).encode())
print("done", given["--steps"])
sys.exit(70 if word["lost"] else 0)
"""


class Jobs:
    """Steps are processes of this interpreter."""

    def __init__(self, *, lost: str = "", slow: str = "") -> None:
        self.script = JOB.format(lost=lost, slow=slow)

    def spark_submit(self, job_uri, args, *, conf):
        return [sys.executable, "-c", self.script, *args]


class Emr:
    """EMR's calls of a state machine, sent to the loop-back server as boto3 sends them."""

    def __init__(self, loopback: LoopbackEmr) -> None:
        self.loopback = loopback

    @cached_property
    def client(self) -> Any:
        return self.loopback.client("emr", REGION)

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._send(operation, request)
        except ClientError as error:
            raise RefusedError(f"Emr.{error.response['Error']['Code']}", str(error)) from error

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "addStep":
            given = {"JobFlowId": request["ClusterId"], "Steps": [request["Step"]]}
            (identity,) = self.client.add_job_flow_steps(**given)["StepIds"]
            return {"ClusterId": request["ClusterId"], "StepId": identity}
        if operation == "terminateCluster":
            self.client.terminate_job_flows(JobFlowIds=[request["ClusterId"]])
            return dict(request)
        calls = {
            "runJobFlow": self.client.run_job_flow,
            "describeCluster": self.client.describe_cluster,
            "listClusters": self.client.list_clusters,
            "terminateJobFlows": self.client.terminate_job_flows,
        }
        answer = calls[operation](**request)
        answer.pop("ResponseMetadata", None)
        return json.loads(json.dumps(answer, default=str))

    def watch(self, operation: str, started: Mapping[str, Any]) -> dict[str, Any] | None:
        if operation == "terminateCluster":
            found = self.client.describe_cluster(ClusterId=started["ClusterId"])
            ended = found["Cluster"]["Status"]["State"].startswith("TERMINATED")
            return {"ended": True} if ended else None
        given = {"ClusterId": started["ClusterId"], "StepId": started["StepId"]}
        step = json.loads(json.dumps(self.client.describe_step(**given)["Step"], default=str))
        state = step["Status"]["State"]
        if state in {"FAILED", "CANCELLED"}:
            raise RefusedError("States.TaskFailed", json.dumps({"Step": step}))
        return {"Step": step} if state == "COMPLETED" else None


@pytest.fixture
def emr(monkeypatch):
    project = load_project(EXAMPLE, environ={})
    loopback = LoopbackEmr(QUICK)
    calls = Emr(loopback)
    with interpreter(calls, calls.watch), loopback:
        place = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
        client("s3").create_bucket(Bucket=BUCKET, **place)
        loopback.plan = plan_stack(project.spec, project.target, project.resolved).machine()
        yield loopback


def machine(emr: LoopbackEmr, jobs: Jobs) -> dict[str, Any]:
    """The machine of the example, with its tokens filled in and no package to install."""
    request = {key: one for key, one in emr.plan.request.items() if key != "BootstrapActions"}
    definition = state_machine(replace(emr.plan, request=request, command=jobs))
    tokens = {
        "Topic": client("sns").create_topic(Name="t")["TopicArn"],
        "ProjectUri": "s3://shop-crisp/orders/projects/x/crisp.json",
        "JobUri": "s3://shop-crisp/orders/jobs/run.py",
        "CodeDigest": "0" * 64,
        "SecurityConfiguration": "crisp-security",
    }
    text = json.dumps(definition)
    for name, value in tokens.items():
        text = text.replace(f"${{{name}}}", value)
    return json.loads(text)


def state(emr: LoopbackEmr) -> str:
    (cluster,) = emr.client("emr", REGION).list_clusters()["Clusters"]
    return cluster["Status"]["State"]


def test_example_runs_to_its_end_on_a_real_endpoint_with_one_step_lost(emr):
    done = run(machine(emr, Jobs(lost="sweep-1")), DUE)
    assert done.status == "SUCCEEDED", done
    assert done.output["decision"] == "deploy"
    (cluster,) = emr.clusters.values()
    assert state(emr).startswith("TERMINATED")
    assert [(step.request["Name"].split()[0], step.state) for step in cluster.steps] == [
        ("prepare", "COMPLETED"),
        ("sweep", "FAILED"),
        ("sweep", "COMPLETED"),
        ("decide", "COMPLETED"),
        ("deploy", "COMPLETED"),
    ]
    assert {one["InstanceFleetType"] for one in cluster.request["Instances"]["InstanceFleets"]} == {
        "MASTER",
        "CORE",
        "TASK",
    }


def test_stopped_execution_loses_its_cluster_to_the_clean_up(emr):
    arn = start(machine(emr, Jobs(slow="yes")), DUE)
    until(lambda: look(arn).states[-1:] == ["Sweep"], 30)
    client("stepfunctions").stop_execution(executionArn=arn)
    assert wait(arn).status == "ABORTED"
    assert state(emr) in {"RUNNING", "WAITING"}
    event = {"name": arn.rsplit(":", 1)[1], "status": "ABORTED"}
    topic = "arn:aws:sns:eu-central-1:123456789012:t"
    done = run(cleanup_machine("orders", topic=topic), event)
    assert len(done.output["ended"]) == 1
    until(lambda: state(emr).startswith("TERMINATED"))
