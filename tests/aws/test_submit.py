"""Runs are submitted exactly once, followed to their end, and their failures are told apart."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from crisp_spark.aws.clients import clients
from crisp_spark.aws.emr import submit as submitting
from crisp_spark.aws.emr.clusters import clusters_of_crisp, end_clusters
from crisp_spark.aws.emr.failures import Failure, RemoteRunError, explain_failure
from crisp_spark.aws.emr.following import Follower, Watch
from crisp_spark.aws.emr.logs import CloudWatchLogs, LogLine, S3Logs
from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.emr.submit import submit
from crisp_spark.aws.emr.view import ClusterRun, RunView, StepView
from crisp_spark.aws.emr.waiting import Pace
from crisp_spark.aws.objects import S3Objects
from crisp_spark.errors import UnavailableError, UsageError
from tests.aws.loopback_fixtures import request, serving, shell, until
from tests.aws.submit_fixtures import (
    QUICK_PACE,
    QUICK_PATIENCE,
    STAGES,
    memory_records,
    work,
)
from tests.aws_fixtures import point_at

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    with serving() as started:
        yield started


@pytest.fixture
def aws(server, monkeypatch):
    point_at(monkeypatch, server.endpoint)
    server.end_clusters()
    yield clients("us-east-1")
    server.end_clusters()


def followed(aws, submission, **watch) -> RunView:
    logs = S3Logs.of(aws, submission)
    run = ClusterRun(aws, submission)
    return Follower(run, (logs,), Watch(**watch), QUICK_PACE).follow()


def failure_of(aws, objects, submission, view=None) -> Failure:
    view = view or followed(aws, submission)
    assert not view.succeeded
    return explain_failure(view, submission, objects=objects, logs=S3Logs.of(aws, submission))


def test_a_run_is_submitted_followed_and_done(aws, server):
    _, records = memory_records()
    submission = submit(aws, records, work(), patience=QUICK_PATIENCE)
    assert submission == records.get("r1") == records.get()
    views: list[RunView] = []
    lines: list[LogLine] = []
    view = followed(aws, submission, on_view=views.append, on_line=lines.append)
    assert view.succeeded
    assert [step.stage for step in view.steps] == list(STAGES)
    assert (
        LogLine(
            "sweep",
            "stdout",
            "sweep of --project s3://logs/projects/p.yml --run-id r1 --steps sweep",
        )
        in lines
    )
    told = [line.stage for line in lines if line.log == "stdout"]
    assert told == ["prepare", "sweep"]
    assert until(
        lambda: (
            aws.emr.describe_cluster(ClusterId=view.place)["Cluster"]["Status"]["State"]
            == "TERMINATED"
        )
    )
    assert (
        aws.emr.describe_security_configuration(Name="crisp-test")["SecurityConfiguration"] == "{}"
    )


def test_the_same_run_submitted_again_is_the_same_run(aws, server):
    _, records = memory_records()
    asked = work(scripts={"charter": "sleep 30"})
    first = submit(aws, records, asked, patience=QUICK_PATIENCE)
    assert submit(aws, records, asked, patience=QUICK_PATIENCE) == first
    assert len(server.clusters) == 1


def test_of_racing_submits_one_makes_a_cluster(aws, server):
    _, records = memory_records()
    asked = work(scripts={"charter": "sleep 30"})
    found = []
    patient = submitting.Patience(stale=60, pace=QUICK_PACE)

    def race() -> None:
        found.append(submit(clients("us-east-1"), records, asked, patience=patient))

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({one.place for one in found}) == 1
    assert len(found) == 4
    assert len(server.clusters) == 1


KILLED = """
import os, signal
from crisp_spark.aws.clients import clients
from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.emr.submit import submit
from crisp_spark.aws.objects import S3Objects
from tests.aws.submit_fixtures import QUICK_PATIENCE, work

Submissions.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
records = Submissions(S3Objects("s3://logs/killed"))
submit(clients("us-east-1"), records, work(scripts={"charter": "sleep 30"}), patience=QUICK_PATIENCE)
"""


def test_a_submit_killed_between_request_and_record_is_taken_up(aws, server):
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (made,) = server.clusters
    records = Submissions(S3Objects("s3://logs/killed"))
    assert records.find("r1") is None
    told: list[str] = []
    asked = work(scripts={"charter": "sleep 30"})
    submission = submit(aws, records, asked, patience=QUICK_PATIENCE, told=told.append)
    assert submission.place == made
    assert list(server.clusters) == [made]
    assert "taking up" in told[0]


def test_a_submit_killed_before_run_job_flow_is_taken_over(aws, server):
    _, records = memory_records()
    assert records.claim("r1", 1)
    submission = submit(aws, records, work(), patience=QUICK_PATIENCE)
    assert list(server.clusters) == [submission.place]


def test_a_cluster_that_lost_the_race_for_the_record_is_ended(aws, server, monkeypatch):
    """The claim was taken over from a process that was only slow: both make a cluster."""
    _, records = memory_records()
    asked = work(scripts={"charter": "sleep 30"})
    slow = submitting._Entry(aws, asked, QUICK_PACE, lambda _text: None)
    claim = records.claim("r1", 1)
    late = slow.ask(claim)
    # the second process does not see the first one's cluster yet
    monkeypatch.setattr(submitting._Entry, "found", lambda *_args, **_more: "")
    winner = submit(aws, records, asked, patience=QUICK_PATIENCE)
    assert winner.place != late
    until(
        lambda: (
            aws.emr.describe_cluster(ClusterId=late)["Cluster"]["Status"]["State"] == "TERMINATED"
        )
    )
    assert submitting._settled(records, slow, late) == winner
    state = aws.emr.describe_cluster(ClusterId=winner.place)["Cluster"]["Status"]["State"]
    assert state in {"STARTING", "BOOTSTRAPPING", "RUNNING"}


class AnswerLost:
    """A client whose answers get lost after the request was carried out, the first time."""

    def __init__(self, client) -> None:
        self._client = client
        self.calls = 0

    def __getattr__(self, name):
        def call(**request):
            self.calls += 1
            answer = getattr(self._client, name)(**request)
            if self.calls == 1:
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
            return answer

        return call


@pytest.mark.parametrize("own", [True, False])
def test_a_lost_answer_makes_no_second_cluster_and_no_second_steps(aws, server, monkeypatch, own):
    _, records = memory_records()
    cluster_id = "" if own else aws.emr.run_job_flow(**request(keep=True))["JobFlowId"]
    lossy = AnswerLost(aws.emr)
    monkeypatch.setattr(submitting, "single_shot", lambda *_: lossy)
    told: list[str] = []
    submission = submit(
        aws, records, work(cluster_id=cluster_id), patience=QUICK_PATIENCE, told=told.append
    )
    assert lossy.calls == 1
    assert list(server.clusters) == [submission.place]
    assert len(server.clusters[submission.place].steps) == (2 if own else 1)
    assert "looking whether" in told[0]


def test_a_refused_request_is_told_and_the_run_can_be_submitted_once_corrected(aws, server):
    _, records = memory_records()
    with pytest.raises(UsageError, match="release label"):
        submit(aws, records, work(more={"ReleaseLabel": "emr-9.9.9"}), patience=QUICK_PATIENCE)
    patient = submitting.Patience(stale=1000, pace=QUICK_PACE)
    assert submit(aws, records, work(), patience=patient).place in server.clusters


def test_an_existing_cluster_gets_one_step_and_is_left_alone(aws, server):
    _, records = memory_records()
    cluster_id = aws.emr.run_job_flow(**request(keep=True))["JobFlowId"]
    asked = work(cluster_id=cluster_id)
    first = submit(aws, records, asked, patience=QUICK_PATIENCE)
    assert submit(aws, records, asked, patience=QUICK_PATIENCE) == first
    assert followed(aws, first).succeeded
    (step,) = server.clusters[cluster_id].steps
    assert step.args[-1] == "charter,ingest,sweep"
    assert step.action == "CONTINUE"
    run = ClusterRun(aws, first)
    assert "not made for this run" in run.terminate()[0]
    assert server.clusters[cluster_id].active


def test_steps_that_came_twice_are_cancelled(aws, server):
    _, records = memory_records()
    cluster_id = aws.emr.run_job_flow(**request(shell("sleep 30"), keep=True))["JobFlowId"]
    asked = work(cluster_id=cluster_id)
    aws.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=asked.steps() * 2)
    submit(aws, records, asked, patience=QUICK_PATIENCE)
    states = [step.state for step in server.clusters[cluster_id].steps]
    assert states[1:] == ["PENDING", "CANCELLED"]


def test_throttling_and_lost_connections_do_not_end_the_following(aws):
    _, records = memory_records()
    submission = submit(aws, records, work(), patience=QUICK_PATIENCE)
    run = ClusterRun(aws, submission)
    real, calls = run.look, []

    def sometimes() -> RunView:
        calls.append(1)
        if len(calls) % 2:
            raise UnavailableError("cluster: AWS asks to try again later (ThrottlingException)")
        return real()

    run.look = sometimes
    troubles: list[str] = []
    view = Follower(run, (), Watch(on_trouble=troubles.append), QUICK_PACE).follow()
    assert view.succeeded
    assert len(troubles) >= 2


def test_waits_grow_to_their_limit_with_jitter():
    waits = Pace(first=15, longest=60).waits()
    found = [next(waits) for _ in range(200)]
    assert 15 * 0.75 <= found[0] <= 15 * 1.25
    assert max(found) <= 60 * 1.25
    assert min(found[20:]) >= 60 * 0.75
    assert len({round(wait, 3) for wait in found}) > 150


# -- failures -------------------------------------------------------------------------------------


def record(objects, *, kind="DataError", code=65, message="ingest: bad rows", trace="") -> None:
    document = {
        "step": "ingest",
        "kind": kind,
        "message": message,
        "exit_code": code,
        "at": datetime.now(UTC).isoformat(),
        "traceback": trace,
    }
    objects.put_if_absent("runs/r1/failure-ingest-1.json", json.dumps(document).encode())


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ({}, "data", 65),
        ({"kind": "SpecError", "code": 78}, "spec", 78),
        ({"kind": "ValueError", "code": 70}, "code", 70),
        ({"kind": "AccessError", "code": 64}, "permission", 77),
        ({"kind": "TerminatedBySignal", "code": 70}, "capacity", 75),
        (
            {"kind": "Py4JJavaError", "code": 70, "trace": "Container released on a *lost* node"},
            "capacity",
            75,
        ),
    ],
)
def test_what_the_job_recorded_is_believed(said, kind, code):
    objects, records = memory_records()
    record(objects, **said)
    asked = work()
    submission = asked.submission("j-1", "us-east-1")
    view = RunView("r1", "j-1", "TERMINATED_WITH_ERRORS", steps=(failed_step(),))
    failure = explain_failure(view, submission, objects=objects, logs=None)
    assert (failure.kind, failure.exit_code) == (kind, code)
    assert failure.cause == "ingest: ingest: bad rows"
    error = RemoteRunError("r1", failure)
    assert error.exit_code == code
    assert error.retryable == (kind == "capacity")
    assert records.find("r1") is None


def failed_step():
    return StepView("prepare", "s-1", "FAILED", "Unknown Error.")


@pytest.mark.parametrize(
    ("script", "kind", "cause"),
    [
        ("echo 'ValueError: x is 3' >&2; exit 1", "code", "ValueError: x is 3"),
        ("echo 'diagnostics: User application exited with status 65'; exit 1", "data", "status 65"),
        ("exit 78", "spec", "Unknown Error."),
        (
            "echo 'An error occurred (AccessDenied) when calling GetObject'; exit 1",
            "permission",
            "",
        ),
        (
            "echo \"ModuleNotFoundError: No module named 'crisp_spark'\" >&2; exit 1",
            "bootstrap",
            "",
        ),
        (
            "{ echo ExecutorLostFailure; seq 90; echo 'KeyError: k'; } >&2; exit 1",
            "code",
            "KeyError: k",
        ),
    ],
)
def test_a_step_that_recorded_nothing_is_told_by_its_logs(aws, script, kind, cause):
    objects, records = memory_records()
    asked = work(scripts={"charter": script})
    failure = failure_of(aws, objects, submit(aws, records, asked, patience=QUICK_PATIENCE))
    assert failure.kind == kind
    assert cause in failure.cause
    assert failure.stage == "prepare"
    assert "/steps/s-" in failure.log


def test_the_last_lines_are_those_of_the_log_that_tells_of_the_error(aws):
    objects, records = memory_records()
    script = (
        "echo 'WARNING: incubator' >&2; seq 30; echo 'KeyError: k'; "
        "echo '26/11/24 05:13:34 INFO SparkContext: stopped'; exit 1"
    )
    asked = work(scripts={"charter": script})
    failure = failure_of(aws, objects, submit(aws, records, asked, patience=QUICK_PATIENCE))
    assert failure.lines[-2:] == ("30", "KeyError: k")
    assert len(failure.lines) == 20


def test_a_step_lost_with_its_spot_machines_is_a_lack_of_capacity(aws):
    objects, records = memory_records()
    asked = work(scripts={"sweep": "sleep 30"})
    submission = submit(aws, records, asked, patience=QUICK_PATIENCE)
    run = ClusterRun(aws, submission)
    step = until(lambda: (running := run.look().running) and running.stage == "sweep" and running)
    tag = {"Key": "loopback:lose", "Value": step.id}
    aws.emr.add_tags(ResourceId=submission.place, Tags=[tag])
    failure = failure_of(aws, objects, submission)
    assert (failure.kind, failure.exit_code, failure.stage) == ("capacity", 75, "sweep")


def test_a_failed_bootstrap_is_told_with_its_last_lines(aws, server):
    objects, records = memory_records()
    aws.s3.put_object(Bucket="logs", Key="b.sh", Body=b"echo digest differs >&2; exit 3")
    action = {"Name": "node", "ScriptBootstrapAction": {"Path": "s3://logs/b.sh"}}
    asked = work(more={"BootstrapActions": [action]})
    submission = submit(aws, records, asked, patience=QUICK_PATIENCE)
    view = followed(aws, submission)
    until(
        lambda: (
            aws.emr.describe_cluster(ClusterId=view.place)["Cluster"]["Status"]["State"]
            == "TERMINATED_WITH_ERRORS"
        )
    )
    failure = failure_of(aws, objects, submission, ClusterRun(aws, submission).look())
    assert (failure.kind, failure.exit_code) == ("bootstrap", 71)
    assert failure.lines == ("digest differs",)
    assert "non-zero return code" in failure.cause
    assert failure.log.endswith("/bootstrap-actions/1/stderr.gz")


def test_no_spot_machines_at_the_start_is_a_lack_of_capacity(aws):
    objects, records = memory_records()
    tag = {"Key": "loopback:no-capacity", "Value": ""}
    asked = work(more={"Tags": [tag]})
    submission = submit(aws, records, asked, patience=QUICK_PATIENCE)
    assert failure_of(aws, objects, submission).kind == "capacity"


def test_a_cancelled_run_is_no_failure_of_the_code(aws):
    objects, records = memory_records()
    asked = work(scripts={"charter": "sleep 30"})
    submission = submit(aws, records, asked, patience=QUICK_PATIENCE)
    run = ClusterRun(aws, submission)
    until(lambda: run.look().running)
    assert run.cancel() == ["prepare: submitted", "sweep: submitted"]
    failure = failure_of(aws, objects, submission)
    assert (failure.kind, failure.exit_code) == ("cancelled", 130)
    assert run.cancel() == []


# -- logs and clusters ----------------------------------------------------------------------------


def test_log_lines_come_once_and_whole(aws):
    logs = S3Logs(aws, "s3://logs/emr/j-1/")

    def written(text: str) -> list[str]:
        body = gzip.compress(text.encode())
        aws.s3.put_object(Bucket="logs", Key="emr/j-1/steps/s-1/stdout.gz", Body=body)
        return [line.text for line in logs.new_lines("sweep", "s-1")]

    assert written("one\ntw") == ["one"]
    assert written("one\ntwo\nthree\n") == ["two", "three"]
    assert list(logs.new_lines("sweep", "s-1")) == []
    assert logs.text("steps/s-1/none") == ""


def test_logs_of_a_driver_on_yarn_are_found_by_its_application(aws):
    logs = S3Logs(aws, "s3://logs/emr/j-2/")

    def put(below: str, text: str) -> None:
        body = gzip.compress(text.encode())
        aws.s3.put_object(Bucket="logs", Key=f"emr/j-2/{below}.gz", Body=body)

    put("steps/s-1/stderr", "Submitted application application_17_0001\n")
    assert [line.text for line in logs.new_lines("sweep", "s-1")] == [
        "Submitted application application_17_0001"
    ]
    container = "containers/application_17_0001/container_17_0001_01_000001"
    put(f"{container}/stderr", "ValueError: x\n")
    put("containers/application_17_0001/container_17_0001_01_000002/stderr", "an executor\n")
    put("containers/application_18_0001/container_18_0001_01_000001/stderr", "another's\n")
    assert [line.text for line in logs.new_lines("sweep", "s-1")] == ["ValueError: x"]
    assert list(logs.new_lines("sweep", "s-1")) == []
    whole = logs.step_text("s-1", "stderr")
    assert whole == "Submitted application application_17_0001\n\nValueError: x\n"
    assert logs.step_text("s-1", "stdout") == ""


def test_log_lines_come_from_cloudwatch_too(aws):
    logs = aws.get("logs")
    logs.create_log_group(logGroupName="/crisp-spark")
    stream = {"logGroupName": "/crisp-spark", "logStreamName": "tiny/j-1/steps/s-1/stderr"}
    logs.create_log_stream(**stream)
    source = CloudWatchLogs(aws, "/crisp-spark", "tiny")

    def send(text: str) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        logs.put_log_events(**stream, logEvents=[{"timestamp": now, "message": text}])

    send("one")
    assert [line.text for line in source.new_lines("sweep", "s-1")] == ["one"]
    send("two")
    assert [line.text for line in source.new_lines("sweep", "s-1")] == ["two"]
    assert list(source.new_lines("sweep", "s-2")) == []
    assert list(CloudWatchLogs(aws, "/none", "tiny").new_lines("sweep", "s-1")) == []


class Told:
    """A source of lines that are given beforehand."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def new_lines(self, stage, _step_id):
        found, self.lines = self.lines, []
        yield from (LogLine(stage, "stderr", line) for line in found)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [(["a"], ["a", "b"], ["a"]), ([], ["a", "b"], ["a", "b"]), ([], [], [])],
)
def test_of_two_sources_of_a_log_the_first_that_speaks_is_believed(first, second, told):
    step = StepView("sweep", "s-1", "COMPLETED", started=datetime.now(UTC))
    view = RunView("r1", "j-1", "TERMINATED", steps=(step,))
    lines: list[LogLine] = []

    class Done:
        look = staticmethod(lambda: view)

    watch = Watch(on_line=lines.append)
    Follower(Done(), (Told(*first), Told(*second)), watch, QUICK_PACE).follow()
    assert [line.text for line in lines] == told


class Throttled:
    """A client that is told to slow down, some times."""

    def __init__(self, client, times: int) -> None:
        self._client, self._times, self.calls = client, times, 0

    def run_job_flow(self, **request):
        self.calls += 1
        if self.calls <= self._times:
            error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
            raise ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": 400}}, "RunJobFlow")
        return self._client.run_job_flow(**request)


def test_a_throttled_request_is_sent_again_and_nothing_is_looked_for(aws, server, monkeypatch):
    _, records = memory_records()
    client = Throttled(aws.emr, 2)
    monkeypatch.setattr(submitting, "single_shot", lambda *_: client)
    told: list[str] = []
    submission = submit(aws, records, work(), patience=QUICK_PATIENCE, told=told.append)
    assert list(server.clusters) == [submission.place]
    assert client.calls == 3
    assert len(told) == 2
    assert not [text for text in told if "looking" in text]


def test_leaked_clusters_are_found_and_ended(aws, server):
    from datetime import timedelta

    _, records = memory_records()
    busy = submit(
        aws, records, work("busy", scripts={"charter": "sleep 30"}), patience=QUICK_PATIENCE
    )
    plan = work("lost").plan
    lost = plan.run_job_flow(name="x", tags={"crisp:run-id": "busy"}, steps=[shell("sleep 30")])
    lost_id = aws.emr.run_job_flow(**lost)["JobFlowId"]
    endless = plan.run_job_flow(name="y", tags={}, steps=[])
    endless["Instances"]["KeepJobFlowAliveWhenNoSteps"] = True
    endless_id = aws.emr.run_job_flow(**endless)["JobFlowId"]
    aws.emr.run_job_flow(**request(keep=True))  # not crisp's
    found = {one.id: one for one in clusters_of_crisp(aws, records=records)}
    assert {key: one.leak for key, one in found.items()} == {
        busy.place: "",
        lost_id: "its run is on another cluster",
        endless_id: "never ends by itself",
    }
    assert found[busy.place].busy
    idle = clusters_of_crisp(aws, records=records, idle=timedelta(0))
    assert {one.id: one.leak for one in idle}[endless_id].startswith("no work for")
    assert clusters_of_crisp(aws, project="other") == []
    assert set(end_clusters(aws, [one for one in found.values() if one.leak])) == {
        lost_id,
        endless_id,
    }
    until(lambda: {one.id for one in clusters_of_crisp(aws)} == {busy.place})
