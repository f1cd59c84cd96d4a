"""The loop-back EMR behaves like EMR where crisp relies on it; all through plain boto3."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import boto3
import moto.emr.urls
import pytest
from botocore.exceptions import ClientError
from moto.core.responses import BaseResponse
from moto.emr.responses import ElasticMapReduceResponse
from moto.server import ThreadedMotoServer

from emr.loopback import LoopbackEmr, SparkHere
from emr.loopback.responses import LoopbackResponse
from emr.loopback.spark_line import local_line
from tests.aws.loopback_fixtures import QUICK, Watched, request, serving, shell, step, until


@pytest.fixture(scope="module")
def loopback():
    with serving() as started:
        yield started


def test_steps_run_one_after_another_and_the_cluster_ends_itself(loopback, tmp_path):
    seen = tmp_path / "seen"
    cluster = Watched(
        loopback,
        request(
            shell(f"sleep 0.2; echo one >> {seen}; echo said"),
            shell(f"echo two >> {seen}; echo trouble >&2"),
        ),
    )
    status = cluster.end()
    assert status["State"] == "TERMINATED"
    assert status["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"
    assert cluster.states == ["COMPLETED", "COMPLETED"]
    assert seen.read_text() == "one\ntwo\n"
    assert cluster.step_log(0, "stdout") == "said\n"
    assert cluster.step_log(1, "stderr") == "trouble\n"
    assert "Step succeeded with exitCode 0" in cluster.step_log(1, "controller")
    times = cluster.steps[1]["Status"]["Timeline"]
    assert times["CreationDateTime"] <= times["StartDateTime"] <= times["EndDateTime"]
    with pytest.raises(ClientError, match="may not be modified"):
        cluster.emr.add_job_flow_steps(JobFlowId=cluster.id, Steps=[shell("true")])


def test_a_failed_step_ends_the_cluster_and_cancels_the_rest(loopback):
    cluster = Watched(
        loopback, request(shell("exit 65", action="TERMINATE_CLUSTER"), shell("true"), keep=True)
    )
    status = cluster.end()
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "STEP_FAILURE"
    assert cluster.states == ["FAILED", "CANCELLED"]
    assert "exitCode 65" in cluster.step_log(0, "controller")
    failure = cluster.steps[0]["Status"]["FailureDetails"]
    assert failure["LogFile"].endswith(f"/steps/{cluster.steps[0]['Id']}/stderr.gz")


def test_cancel_and_wait_keeps_the_cluster(loopback):
    cluster = Watched(
        loopback, request(shell("false", action="CANCEL_AND_WAIT"), shell("true"), keep=True)
    )
    cluster.wait_steps("FAILED", "CANCELLED")
    cluster.wait("WAITING")
    cluster.emr.add_job_flow_steps(JobFlowId=cluster.id, Steps=[shell("true")])
    cluster.wait_steps("FAILED", "CANCELLED", "COMPLETED")
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])
    assert cluster.end()["StateChangeReason"]["Code"] == "USER_REQUEST"


def test_continue_goes_on_and_says_so_at_the_end(loopback):
    cluster = Watched(loopback, request(shell("false"), shell("true")))
    status = cluster.end()
    assert cluster.states == ["FAILED", "COMPLETED"]
    assert status["State"] == "TERMINATED"
    assert status["StateChangeReason"]["Message"] == "Steps completed with errors"


def test_as_many_steps_run_at_once_as_asked_for(loopback, tmp_path):
    meet = f"touch {tmp_path}/$0; for i in $(seq 100); do [ -e {tmp_path}/$1 ] && exit 0; sleep 0.05; done; exit 1"
    cluster = Watched(
        loopback,
        request(
            step("bash", "-c", meet, "a", "b"),
            step("bash", "-c", meet, "b", "a"),
            StepConcurrencyLevel=2,
        ),
    )
    cluster.end()
    assert cluster.states == ["COMPLETED", "COMPLETED"]
    with pytest.raises(ClientError, match="concurrent"):
        Watched(loopback, request(shell("true", action="CANCEL_AND_WAIT"), StepConcurrencyLevel=2))


def test_bootstrap_actions_are_really_run_with_their_arguments(loopback, tmp_path):
    loopback.client("s3").put_object(
        Bucket="logs",
        Key="boot/node.sh",
        Body=f'aws s3 cp --quiet s3://logs/boot/node.sh {tmp_path}/copy && echo "$1" > {tmp_path}/ran'.encode(),
    )
    action = {
        "Name": "node",
        "ScriptBootstrapAction": {"Path": "s3://logs/boot/node.sh", "Args": ["hello"]},
    }
    cluster = Watched(loopback, request(shell(f"cat {tmp_path}/ran"), BootstrapActions=[action]))
    assert cluster.end()["State"] == "TERMINATED"
    assert cluster.step_log(0, "stdout") == "hello\n"
    assert "aws s3 cp" in (tmp_path / "copy").read_text()
    listed = cluster.emr.list_bootstrap_actions(ClusterId=cluster.id)["BootstrapActions"]
    assert listed == [{"Name": "node", "ScriptPath": "s3://logs/boot/node.sh", "Args": ["hello"]}]


@pytest.mark.parametrize(
    ("body", "what"),
    [(b"echo broken >&2; exit 3", "non-zero return code"), (None, "could not be downloaded")],
)
def test_a_failed_bootstrap_action_ends_the_cluster_before_any_step(loopback, body, what):
    key = f"boot/{what[:3]}.sh"
    if body:
        loopback.client("s3").put_object(Bucket="logs", Key=key, Body=body)
    action = {"Name": "node", "ScriptBootstrapAction": {"Path": f"s3://logs/{key}"}}
    cluster = Watched(loopback, request(shell("true"), BootstrapActions=[action]))
    status = cluster.end()
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert what in status["StateChangeReason"]["Message"]
    assert status["ErrorDetails"][0]["ErrorCode"].startswith("BOOTSTRAP_FAILURE_")
    assert cluster.states == ["CANCELLED"]
    if body:
        node = cluster.emr.list_instances(ClusterId=cluster.id)["Instances"][0]["Ec2InstanceId"]
        assert cluster.log(f"node/{node}/bootstrap-actions/1/stderr") == "broken\n"


@pytest.mark.parametrize("option", ["SEND_INTERRUPT", "TERMINATE_PROCESS"])
def test_cancelling_reaches_the_process(loopback, tmp_path, option):
    mark = tmp_path / "caught"
    trap = f"trap 'echo caught > {mark}; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    cluster = Watched(
        loopback,
        request(
            shell(trap, action="TERMINATE_CLUSTER"), shell("sleep 60"), shell("true"), keep=True
        ),
    )
    until(lambda: cluster.states[0] == "RUNNING")
    until(lambda: "ready" in (cluster_file(loopback, cluster, 0) / "stdout").read_text())
    ids = [one["Id"] for one in cluster.steps]
    answers = cluster.emr.cancel_steps(
        ClusterId=cluster.id, StepIds=[*ids[:2], "s-NONE"], StepCancellationOption=option
    )["CancelStepsInfoList"]
    assert [one["Status"] for one in answers] == ["SUBMITTED", "SUBMITTED", "FAILED"]
    # a cancelled step does not fire its ActionOnFailure
    cluster.wait_steps("CANCELLED", "CANCELLED", "COMPLETED")
    assert mark.exists() == (option == "SEND_INTERRUPT")
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])


def cluster_file(loopback, cluster, number) -> Path:
    folder = loopback.folder / cluster.id / "steps" / cluster.steps[number]["Id"]
    (folder).mkdir(parents=True, exist_ok=True)
    (folder / "stdout").touch()
    return folder


def test_terminating_a_cluster_ends_its_processes(loopback, tmp_path):
    cluster = Watched(loopback, request(shell(f"echo $$ > {tmp_path}/pid; exec sleep 60")))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    cluster.emr.set_termination_protection(JobFlowIds=[cluster.id], TerminationProtected=True)
    with pytest.raises(ClientError, match="termination protected"):
        cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])
    cluster.emr.set_termination_protection(JobFlowIds=[cluster.id], TerminationProtected=False)
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])
    cluster.end()
    assert cluster.states == ["CANCELLED"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_logs_of_a_running_step_appear_before_its_end(loopback):
    cluster = Watched(loopback, request(shell("echo early; sleep 60")))

    def early() -> bool:
        try:
            return cluster.step_log(0, "stdout") == "early\n"
        except (ClientError, IndexError):
            return False

    until(early)
    assert cluster.states == ["RUNNING"]
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])


def test_an_idle_cluster_ends_by_its_policy(loopback):
    cluster = Watched(loopback, request(keep=True, AutoTerminationPolicy={"IdleTimeout": 60}))
    told = cluster.emr.get_auto_termination_policy(ClusterId=cluster.id)
    assert told["AutoTerminationPolicy"] == {"IdleTimeout": 60}
    assert "auto-termination" in cluster.end()["StateChangeReason"]["Message"]


def test_scaling_policy_and_fleets_are_told_back(loopback):
    limits = {
        "UnitType": "InstanceFleetUnits",
        "MinimumCapacityUnits": 2,
        "MaximumCapacityUnits": 20,
    }
    cluster = Watched(loopback, request(keep=True, ManagedScalingPolicy={"ComputeLimits": limits}))
    cluster.wait("WAITING")
    told = cluster.emr.get_managed_scaling_policy(ClusterId=cluster.id)
    assert told["ManagedScalingPolicy"]["ComputeLimits"] == limits
    cluster.emr.put_managed_scaling_policy(
        ClusterId=cluster.id,
        ManagedScalingPolicy={"ComputeLimits": {**limits, "MaximumCapacityUnits": 30}},
    )
    told = cluster.emr.get_managed_scaling_policy(ClusterId=cluster.id)
    assert told["ManagedScalingPolicy"]["ComputeLimits"]["MaximumCapacityUnits"] == 30
    fleets = cluster.emr.list_instance_fleets(ClusterId=cluster.id)["InstanceFleets"]
    task = next(one for one in fleets if one["InstanceFleetType"] == "TASK")
    assert task["Status"]["State"] == "RUNNING"
    assert task["ProvisionedSpotCapacity"] == 8
    spot = task["LaunchSpecifications"]["SpotSpecification"]
    assert spot["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"
    machines = cluster.emr.list_instances(ClusterId=cluster.id, InstanceFleetId=task["Id"])
    assert [one["Market"] for one in machines["Instances"]] == ["SPOT", "SPOT"]
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])


def test_a_step_that_loses_its_spot_machines_fails_and_says_why(loopback):
    cluster = Watched(loopback, request(shell("sleep 60"), shell("true"), keep=True))
    until(lambda: cluster.states[0] == "RUNNING")
    tag = {"Key": "loopback:lose", "Value": cluster.steps[0]["Id"]}
    cluster.emr.add_tags(ResourceId=cluster.id, Tags=[tag])
    cluster.wait_steps("FAILED", "COMPLETED")
    assert "Container released on a *lost* node" in cluster.step_log(0, "stderr")
    machines = cluster.emr.list_instances(ClusterId=cluster.id)["Instances"]
    lost = [one for one in machines if one["Status"]["State"] == "TERMINATED"]
    assert len(lost) == 2
    assert all("Spot interruption" in one["Status"]["StateChangeReason"]["Message"] for one in lost)
    assert sum(one["Status"]["State"] == "RUNNING" for one in machines) == 3
    cluster.emr.terminate_job_flows(JobFlowIds=[cluster.id])


def test_no_capacity_ends_the_cluster(loopback):
    cluster = Watched(
        loopback, request(shell("true"), Tags=[{"Key": "loopback:no-capacity", "Value": ""}])
    )
    status = cluster.end()
    assert status["StateChangeReason"]["Code"] == "INSTANCE_FLEET_TIMEOUT"
    assert cluster.states == ["CANCELLED"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"ReleaseLabel": "emr-99.0.0"}, "release label"),
        ({"Instances": {"InstanceFleets": [{"InstanceFleetType": "CORE"}]}}, "MASTER"),
        ({"Steps": [step("echo", "x" * 10_300)]}, "10240"),
        ({"Steps": [shell("true")] * 257}, "256"),
    ],
)
def test_requests_that_emr_refuses_are_refused(loopback, change, what):
    with pytest.raises(ClientError, match=what) as refused:
        Watched(loopback, {**request(), **change})
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_clusters_are_listed_in_pages_by_state(tmp_path):
    with serving(dataclasses.replace(QUICK, page_size=2)) as loopback:
        made = [Watched(loopback, request(shell("true"), Name=f"c{n}")) for n in range(5)]
        for one in made:
            one.end()
        running = Watched(loopback, request(keep=True))
        running.wait("WAITING")
        pages = list(running.emr.get_paginator("list_clusters").paginate())
        assert [len(page["Clusters"]) for page in pages] == [2, 2, 2]
        active = running.emr.list_clusters(ClusterStates=["WAITING"])["Clusters"]
        assert [one["Id"] for one in active] == [running.id]
        later = running.emr.list_clusters(
            CreatedAfter=made[-1].status["Timeline"]["CreationDateTime"]
        )
        assert {one["Id"] for one in later["Clusters"]} == {made[-1].id, running.id}


def test_changes_of_state_reach_eventbridge(loopback):
    events, sqs = loopback.client("events"), loopback.client("sqs")
    url = sqs.create_queue(QueueName="emr")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name="emr", EventPattern=json.dumps({"source": ["aws.emr"]}))
    events.put_targets(Rule="emr", Targets=[{"Id": "q", "Arn": arn["QueueArn"]}])
    cluster = Watched(loopback, request(shell("true")))
    cluster.end()
    found: list[tuple[str, str]] = []

    def all_told() -> bool:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
        for message in got:
            body = json.loads(message["Body"])
            if body["detail"]["clusterId"] == cluster.id:
                found.append((body["detail-type"], body["detail"]["state"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return ("EMR Cluster State Change", "TERMINATED") in found

    until(all_told)
    assert ("EMR Step Status Change", "COMPLETED") in found


def test_a_missing_log_bucket_does_not_stop_the_steps(loopback):
    cluster = Watched(loopback, request(shell("true"), LogUri="s3://nowhere/logs"))
    cluster.end()
    assert cluster.states == ["COMPLETED"]


def test_an_unknown_cluster_or_step_is_refused(loopback):
    emr = loopback.client("emr")
    with pytest.raises(ClientError, match="Cluster id 'j-NONE' is not valid") as refused:
        emr.describe_cluster(ClusterId="j-NONE")
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    with pytest.raises(ClientError, match="Cluster id"):
        emr.add_job_flow_steps(JobFlowId="j-NONE", Steps=[shell("true")])


def test_a_submit_line_is_made_for_this_machine(tmp_path):
    spark = SparkHere(home=tmp_path, python="here", conf={"spark.x": "1"}, jars=(Path("a.jar"),))
    line = [
        *("spark-submit", "--master", "yarn", "--deploy-mode=cluster", "--executor-memory", "9g"),
        *("--conf", "spark.yarn.maxAppAttempts=1", "--conf", "spark.sql.shuffle.partitions=2"),
        *(
            "--conf",
            f"spark.pyspark.python={tmp_path}/none",
            "--py-files",
            "s3://b/p.zip,s3://b/q.zip",
        ),
        *(
            "--archives",
            "s3://b/e.tar.gz#environment",
            "s3://b/run.py",
            "--project",
            "s3://b/c.yml",
        ),
    ]
    command, environ = local_line(line, spark, lambda uri: tmp_path / Path(uri).name)
    assert command[:3] == [f"{tmp_path}/bin/spark-submit", "--master", "local[2]"]
    assert "yarn" not in " ".join(command)
    assert f"{tmp_path}/p.zip,{tmp_path}/q.zip" in command
    assert f"{tmp_path}/e.tar.gz#environment" in command
    assert command[-3:] == [f"{tmp_path}/run.py", "--project", "s3://b/c.yml"]
    assert {
        "spark.sql.shuffle.partitions=2",
        "spark.x=1",
        "spark.driver.extraClassPath=a.jar",
    } <= set(command)
    assert "9g" not in command
    assert environ["PYSPARK_PYTHON"] == "here"


# -- canaries: one for each of moto's private parts that the loop-back EMR hooks into ------------


def test_canary_moto_reads_its_emr_paths_once_per_server(loopback):
    """The hook is in place for one request; other servers of the process keep moto's own EMR."""
    assert list(moto.emr.urls.url_paths) == ["{0}/$"]
    before = moto.emr.urls.url_paths
    with LoopbackEmr(QUICK) as second:
        assert moto.emr.urls.url_paths is before
        cluster = Watched(second, request(shell("true")))
        told = second.client("emr").describe_release_label(ReleaseLabel="emr-spark-8.1.0")
        assert told["Applications"] == [{"Name": "Spark", "Version": "4.1.1"}]
        with pytest.raises(ClientError, match="not valid"):
            loopback.client("emr").describe_cluster(ClusterId=cluster.id)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        plain = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        emr = boto3.client("emr", endpoint_url=plain, region_name="us-east-1", **keys)
        assert len(emr.list_release_labels()["ReleaseLabels"]) > 10
    finally:
        server.stop()


def test_canary_moto_dispatches_by_snake_case_names():
    assert issubclass(LoopbackResponse, ElasticMapReduceResponse)
    assert "run_job_flow" in vars(ElasticMapReduceResponse)
    assert callable(BaseResponse.dispatch)


def test_canary_moto_answers_the_calls_that_are_not_replaced(loopback):
    emr = loopback.client("emr")
    emr.create_security_configuration(Name="s", SecurityConfiguration="{}")
    assert emr.describe_security_configuration(Name="s")["SecurityConfiguration"] == "{}"
    types = emr.list_supported_instance_types(ReleaseLabel="emr-7.9.0")["SupportedInstanceTypes"]
    assert len(types) > 500
