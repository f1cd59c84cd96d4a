from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from crisp_spark import flow
from crisp_spark.aws.schedule.cleanup import cleanup_machine
from crisp_spark.aws.schedule.machine import state_machine
from crisp_spark.aws.schedule.plan import MachinePlan
from crisp_spark.aws.schedule.stages import REPORT, STAGES
from crisp_spark.spec.schedule import run_id_of
from tests.aws.interpreter import REGION, RefusedError, client, interpreter, look, run, start, wait
from tests.aws.scripted_emr import BUCKET, PREFIX, ScriptedEmr, StepEnd, all_well, tag

DUE = {"scheduled_time": "2026-11-24T05:30:00Z"}
RUN_ID = "20261124T053000-scheduled"
THROTTLING = ("ElasticMapReduce.AmazonElasticMapReduceException", "Rate exceeded")


class Plan:
    """The command of a cluster plan."""

    def spark_submit(self, job_uri, args, *, conf):
        return ["spark-submit", "--deploy-mode", "cluster", job_uri, *args]


def definition(topic: str, **changes) -> dict:
    request = {
        "ReleaseLabel": "emr-spark-8.1.0",
        "Instances": {"KeepJobFlowAliveWhenNoSteps": True},
        "Tags": [{"Key": "team", "Value": "data"}],
    }
    plan = MachinePlan(
        project="tiny",
        bucket=BUCKET,
        prefix=PREFIX,
        project_uri="s3://bucket/crisp/projects/abc/crisp.yml",
        job_uri="s3://bucket/crisp/jobs/run.py",
        request=request,
        command=Plan(),
        topic=topic,
        **changes,
    )
    return state_machine(plan)


class World:
    """moto with a bucket and a topic whose messages can be read, and a scripted EMR."""

    def __init__(self, emr: ScriptedEmr) -> None:
        self.emr = emr
        self.s3 = client("s3")
        self.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.topic = client("sns").create_topic(Name="told")["TopicArn"]
        self.sqs = client("sqs")
        self.queue = self.sqs.create_queue(QueueName="told")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        client("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )

    def run(self, given=DUE, **changes):
        return run(definition(self.topic, **changes), given)

    def told(self) -> list[tuple[str, str]]:
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        bodies = [json.loads(one["Body"]) for one in found.get("Messages", [])]
        return [(one["Subject"], one["Message"]) for one in bodies]


@pytest.fixture
def emr() -> ScriptedEmr:
    return ScriptedEmr()


@pytest.fixture
def world(emr):
    with interpreter(emr, emr.watch):
        yield World(emr)


def test_stages_hold_every_step_of_the_flow_once_and_in_order():
    assert [name for stage in STAGES for name in stage.steps] == list(flow.STEP_NAMES)
    assert [stage.name for stage in STAGES] == ["prepare", "sweep", "decide", "deploy"]
    assert REPORT.steps == ("report",)


def test_deploy_road_runs_every_stage_and_ends_the_cluster(world, emr):
    done = world.run()
    assert done.status == "SUCCEEDED", done
    assert done.output == {
        "run_id": RUN_ID,
        "cluster_id": "j-0000000000001",
        "decision": "deploy",
    }
    assert emr.stages() == ["prepare", "sweep", "decide", "deploy"]
    assert emr.alive == []
    assert world.told() == []


def test_stop_road_writes_the_report_and_deploys_nothing(world, emr):
    emr.script = lambda stage, _: StepEnd(
        word={"lost": False, "decision": "stop" if stage == "decide" else None}
    )
    done = world.run()
    assert (done.status, done.output["decision"]) == ("SUCCEEDED", "stop")
    assert emr.stages() == ["prepare", "sweep", "decide", "report"]
    assert emr.alive == []


def test_success_is_told_where_that_is_wanted(world):
    assert world.run(notify_success=True).status == "SUCCEEDED"
    ((subject, message),) = world.told()
    assert subject == "tiny: done"
    assert message.splitlines()[:2] == ["decision deploy", f"run {RUN_ID}"]


def test_step_gets_the_project_run_id_steps_and_attempt_only(world, emr):
    world.run(runtime_role="arn:aws:iam::111122223333:role/data")
    first = emr.named("addStep")[0]
    assert first["ExecutionRoleArn"] == "arn:aws:iam::111122223333:role/data"
    assert first["Step"]["Name"] == f"prepare {RUN_ID} attempt 1"
    assert first["Step"]["ActionOnFailure"] == "CONTINUE"
    assert first["Step"]["HadoopJarStep"]["Args"] == [
        "spark-submit",
        "--deploy-mode",
        "cluster",
        "s3://bucket/crisp/jobs/run.py",
        "--project",
        "s3://bucket/crisp/projects/abc/crisp.yml",
        "--run-id",
        RUN_ID,
        "--steps",
        "charter,ingest,profile,quality,clean,merge,derive,split",
        "--outcome",
        "prepare-1",
    ]


def test_cluster_carries_run_and_execution(world, emr):
    done = world.run()
    (cluster,) = emr.clusters.values()
    assert cluster["Name"] == f"tiny {RUN_ID} {done.arn.rsplit(':', 1)[1]}"
    assert tag(cluster, "crisp:execution") == done.arn
    assert tag(cluster, "crisp:run-id") == RUN_ID
    assert tag(cluster, "team") == "data"


def test_run_id_is_the_one_that_the_program_computes(world):
    due = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
    assert world.run().output["run_id"] == run_id_of(due)


def test_second_trigger_of_one_due_time_does_nothing(world, emr):
    first = world.run()
    second = world.run()
    assert second.status == "SUCCEEDED"
    assert second.output == {"run_id": RUN_ID, "started_by": first.arn}
    assert len(emr.clusters) == 1
    assert world.run({"scheduled_time": "2026-11-25T05:30:00Z"}).output["decision"] == "deploy"
    assert len(emr.clusters) == 2


def test_manual_start_has_an_id_of_its_own_or_the_one_given(world):
    assert world.run({}).output["run_id"].endswith("-manual")
    assert world.run({"run_id": "again-1"}).output["run_id"] == "again-1"


def test_run_without_a_claim_stops_before_anything_costs(world, emr):
    world.s3.delete_bucket(Bucket=BUCKET)
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "S3.NoSuchBucketException")
    assert emr.clusters == {}
    assert len(world.told()) == 1


def test_refused_cluster_fails_with_the_words_of_aws(world, emr):
    emr.refuse["runJobFlow"] = [RefusedError("Emr.InvalidRequestException", "no such subnet")]
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "Emr.InvalidRequestException")
    assert done.cause == "no such subnet"
    ((subject, message),) = world.told()
    assert subject == "tiny: the run failed"
    assert "no such subnet" in message


def test_cluster_that_fails_to_start_is_named_with_its_reason(world, emr):
    emr.cluster_states = ["STARTING", "BOOTSTRAPPING", "TERMINATED_WITH_ERRORS"]
    emr.reason = {"Code": "BOOTSTRAP_FAILURE", "Message": "bootstrap action 1 returned 1"}
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "Crisp.ClusterFailed")
    assert "bootstrap action 1 returned 1" in done.cause
    assert emr.stages() == []
    assert emr.alive == []


def test_cluster_that_never_gets_ready_is_ended(world, emr):
    emr.cluster_states = ["STARTING"]
    limits = {"cluster": 5}
    from crisp_spark.spec.schedule import ScheduleLimits

    done = world.run(limits=ScheduleLimits.model_validate(limits))
    assert (done.status, done.error) == ("FAILED", "Crisp.ClusterTimeout")
    assert len(emr.named("describeCluster")) == 10
    assert emr.alive == []


def fails_at(wanted: str, *, word=None, state="FAILED", reason="boom", times: int = 9):
    def script(stage, number):
        if stage == wanted and number <= times:
            return StepEnd(state=state, word=word, reason=reason)
        return all_well(stage, number)

    return script


@pytest.mark.parametrize("stage", ["prepare", "sweep", "decide", "deploy"])
def test_failure_of_a_stage_is_not_retried_and_keeps_its_error(world, emr, stage):
    emr.script = fails_at(stage, word={"lost": False}, reason=f'"{stage}" said no')
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "Crisp.TaskFailed")
    assert json.loads(done.cause)["Step"]["Status"]["FailureDetails"] == {
        "Message": f'"{stage}" said no'
    }
    assert emr.stages().count(stage) == 1
    assert emr.stages()[-1] == stage
    assert emr.alive == []
    ((_, message),) = world.told()
    assert f"stage {stage}" in message


@pytest.mark.parametrize("word", [{"lost": True}, None])
def test_sweep_lost_to_spot_once_is_tried_again_as_a_new_attempt(world, emr, word):
    emr.script = fails_at("sweep", word=word, times=1)
    done = world.run()
    assert done.status == "SUCCEEDED", done
    assert emr.stages() == ["prepare", "sweep", "sweep", "decide", "deploy"]
    names = [one["Step"]["Name"] for one in emr.named("addStep")]
    assert names[1:3] == [f"sweep {RUN_ID} attempt 1", f"sweep {RUN_ID} attempt 2"]
    assert emr.named("addStep")[2]["Step"]["HadoopJarStep"]["Args"][-1] == "sweep-2"
    assert names[3].endswith("attempt 1")


def test_sweep_lost_twice_fails_with_its_error(world, emr):
    emr.script = fails_at("sweep", word={"lost": True}, reason="lost node")
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "Crisp.TaskFailed")
    assert "lost node" in done.cause
    assert emr.stages() == ["prepare", "sweep", "sweep"]
    assert emr.alive == []


def test_decision_lost_once_is_read_from_its_second_attempt(world, emr):
    emr.script = fails_at("decide", word={"lost": True}, times=1)
    done = world.run()
    assert (done.status, done.output["decision"]) == ("SUCCEEDED", "deploy")


def test_step_that_someone_cancelled_is_not_tried_again(world, emr):
    emr.script = fails_at("sweep", state="CANCELLED")
    assert world.run().status == "FAILED"
    assert emr.stages() == ["prepare", "sweep"]


def test_step_of_a_cluster_that_died_is_not_tried_again_and_keeps_its_error(world, emr):
    emr.script = fails_at("sweep", reason="the cluster went away")
    emr.cluster_states = ["WAITING", "TERMINATED_WITH_ERRORS"]
    done = world.run()
    assert "the cluster went away" in done.cause
    assert emr.stages() == ["prepare", "sweep"]


def test_step_that_takes_too_long_is_given_up_with_its_cluster(world, emr):
    emr.script = lambda stage, number: None if stage == "sweep" else all_well(stage, number)
    machine = definition(world.topic)
    machine["States"]["Sweep"]["TimeoutSeconds"] = 1
    done = run(machine, DUE)
    assert (done.status, done.error) == ("FAILED", "Crisp.Timeout")
    assert emr.stages() == ["prepare", "sweep"]
    assert emr.alive == []


def test_throttled_calls_are_repeated_and_nothing_is_started_twice(world, emr):
    emr.refuse = {
        "runJobFlow": [RefusedError("Emr.EmrException", "Rate exceeded")],
        "describeCluster": [RefusedError("Emr.EmrException", "Rate exceeded")] * 2,
        "addStep": [RefusedError(*THROTTLING)],
        "terminateCluster": [RefusedError(*THROTTLING)],
    }
    assert world.run().status == "SUCCEEDED"
    assert emr.refused == 5
    assert len(emr.clusters) == 1
    assert emr.stages() == ["prepare", "sweep", "decide", "deploy"]


def test_cluster_that_cannot_be_ended_fails_the_run_and_is_told(world, emr):
    emr.refuse["terminateCluster"] = [RefusedError("ElasticMapReduce.Denied", "protected")] * 9
    done = world.run()
    assert (done.status, done.error) == ("FAILED", "Crisp.ClusterNotEnded")
    assert "j-0000000000001" in done.cause
    ((subject, message),) = world.told()
    assert subject == "tiny: a cluster is left"
    assert "End it by hand" in message


def test_first_error_survives_a_cluster_that_cannot_be_ended(world, emr):
    emr.refuse["terminateCluster"] = [RefusedError("ElasticMapReduce.Denied", "protected")] * 9
    emr.script = fails_at("prepare", word={"lost": False}, reason="bad data")
    done = world.run()
    assert done.error == "Crisp.TaskFailed"
    assert "bad data" in done.cause
    assert [subject for subject, _ in world.told()] == ["tiny: a cluster is left"]


def test_error_of_the_end_does_not_matter_where_the_cluster_is_over(world, emr):
    emr.cluster_states = ["WAITING", "TERMINATING"]
    emr.refuse["terminateCluster"] = [RefusedError("ElasticMapReduce.Denied", "already ending")] * 9
    assert world.run().status == "SUCCEEDED"


def test_message_that_cannot_be_sent_changes_nothing(world, emr):
    emr.script = fails_at("prepare", word={"lost": False}, reason="bad data")
    done = run(definition(world.topic + "-that-is-gone"), DUE)
    assert done.error == "Crisp.TaskFailed"
    assert emr.alive == []


def test_every_task_is_caught_and_only_throttling_is_retried():
    machine = definition("arn:aws:sns:eu-central-1:111122223333:topic")
    tasks = {name: one for name, one in machine["States"].items() if one["Type"] == "Task"}
    for name, one in tasks.items():
        assert [caught["ErrorEquals"] for caught in one["Catch"]] == [["States.ALL"]], name
        for retry in one["Retry"]:
            assert not [error for error in retry["ErrorEquals"] if error.startswith("States.")]
    steps = [one for one in tasks.values() if "addStep" in one["Resource"]]
    assert len(steps) == len(STAGES) + 1
    assert all(one["TimeoutSeconds"] for one in steps)


def test_every_road_from_a_cluster_ends_it():
    """Cutting out the end of the cluster leaves no road from its start to the end."""
    states = definition("arn:aws:sns:eu-central-1:111122223333:topic")["States"]
    onward = {
        name: {
            value
            for value in (
                one.get("Next"),
                one.get("Default"),
                *(rule["Next"] for rule in (*one.get("Catch", ()), *one.get("Choices", ()))),
            )
            if value
        }
        for name, one in states.items()
    }
    reached, ahead = set(), [states["CreateCluster"]["Next"]]
    while ahead:
        name = ahead.pop()
        if name not in reached and name != "EndCluster":
            reached.add(name)
            ahead += onward[name]
    assert not reached & {"Done", "Failed", "TellSuccess", "TellFailure"}
    assert set(onward) == {"Begin"} | {one for following in onward.values() for one in following}


def test_interpreter_refuses_a_wrong_request(world):
    machine = definition(world.topic)
    machine["States"]["CreateCluster"]["Arguments"]["Instancez"] = {}
    assert run(machine, DUE).status == "FAILED"


def test_cluster_of_an_aborted_execution_is_ended_by_the_other_machine(world, emr):
    emr.script = lambda *_: None
    arn = start(definition(world.topic), DUE)
    while not emr.steps:
        assert look(arn).status == "RUNNING"
    client("stepfunctions").stop_execution(executionArn=arn)
    assert wait(arn).status == "ABORTED"
    assert emr.alive == ["j-0000000000001"]

    for number in range(4):
        emr("runJobFlow", {"Name": f"other {number}", "Instances": {}})
    event = {"name": arn.rsplit(":", 1)[1], "status": "ABORTED"}
    done = run(cleanup_machine("tiny", topic=world.topic), event)
    assert done.output == {"ended": ["j-0000000000001"]}
    assert "j-0000000000001" not in emr.alive
    assert len(emr.alive) == 4
    assert [subject for subject, _ in world.told()] == ["tiny: a cluster was ended"]


def test_cluster_that_appears_late_is_found_by_a_later_look(world, emr):
    emr.late = {"Name": "tiny run-1 stopped-execution", "Instances": {}}
    done = run(
        cleanup_machine("tiny", topic=world.topic), {"name": "stopped-execution", "status": "x"}
    )
    assert done.output == {"ended": ["j-0000000000001"]}
    assert len(emr.named("listClusters")) == 2


def test_machine_that_timed_out_leaves_its_cluster_to_the_other_machine(world, emr):
    emr.script = lambda *_: None
    machine = definition(world.topic) | {"TimeoutSeconds": 2}
    done = run(machine, DUE)
    assert done.status == "TIMED_OUT"
    event = {"name": done.arn.rsplit(":", 1)[1], "status": "TIMED_OUT"}
    assert run(cleanup_machine("tiny", topic=world.topic), event).status == "SUCCEEDED"
    assert emr.alive == []


def test_nothing_is_ended_where_nothing_is_left(world, emr):
    done = run(cleanup_machine("tiny", topic=world.topic), {"name": "x", "status": "FAILED"})
    assert done.output == {"ended": []}
    assert len(emr.named("listClusters")) == 3
    assert world.told() == []
