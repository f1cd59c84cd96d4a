"""Runs on EMR Serverless: moto answers as the service does, and runs nothing."""

from __future__ import annotations

import gzip

import pytest

from crisp_spark.aws.emr.failures import explain_failure
from crisp_spark.aws.emr.following import Follower, Watch
from crisp_spark.aws.emr.logs import LogLine, S3Logs
from crisp_spark.aws.emr.serverless import plan_serverless
from crisp_spark.aws.emr.serverless_run import JobWork, ServerlessRun, submit_job
from crisp_spark.aws.emr.validate import validate_request
from crisp_spark.spec.compute import EmrServerlessCompute
from tests.aws.submit_fixtures import QUICK_PACE, memory_records

COMPUTE = EmrServerlessCompute(
    kind="emr-serverless",
    region="us-east-1",
    artifacts="s3://somewhere/crisp",
    release="emr-7.14.0",
    execution_role="arn:aws:iam::123456789012:role/job",
)


def work(run_id: str = "r1", *, project: str = "tiny", **more: str) -> JobWork:
    return JobWork(
        run_id=run_id,
        project=project,
        plan=plan_serverless(COMPUTE, project=project, package=None),
        project_uri="s3://somewhere/p.yml",
        job_uri="s3://somewhere/run.py",
        steps=("charter", "ingest"),
        log_uri=COMPUTE.log_uri,
        **more,
    )


def jobs(aws, application) -> list[dict]:
    return aws.get("emr-serverless").list_job_runs(applicationId=application)["jobRuns"]


def test_a_run_is_one_job_and_is_submitted_once(aws):
    _, records = memory_records()
    # A project of its own: applications are found by name, and the server serves all tests.
    alone = work(project="alone")
    first = submit_job(aws, records, alone, pace=QUICK_PACE)
    assert submit_job(aws, records, alone, pace=QUICK_PACE) == first
    assert len(jobs(aws, first.place)) == 1
    view = Follower(ServerlessRun(aws, first), (), Watch(), QUICK_PACE).follow()
    assert view.succeeded
    assert view.billed == {"vCPUHour": 0.0, "memoryGBHour": 0.0, "storageGBHour": 0.0}
    job = aws.get("emr-serverless").get_job_run(applicationId=first.place, jobRunId=first.job)
    submitted = job["jobRun"]["jobDriver"]["sparkSubmit"]
    assert submitted["entryPointArguments"][-1] == "charter,ingest"
    second = submit_job(aws, records, work("r2", project="alone"), pace=QUICK_PACE)
    assert second.place == first.place  # the application is kept


def test_of_two_jobs_the_one_that_lost_the_race_is_cancelled(aws, monkeypatch):
    _, records = memory_records()
    first = submit_job(aws, records, work("r3"), pace=QUICK_PACE)
    monkeypatch.setattr(records, "find", lambda _run_id: None)
    cancelled = []
    monkeypatch.setattr(ServerlessRun, "cancel", lambda run: cancelled.append(run.submission.job))
    assert submit_job(aws, records, work("r3"), pace=QUICK_PACE) == first
    assert len(cancelled) == 1
    assert cancelled != [first.job]


@pytest.mark.parametrize(
    ("state", "shown", "ended"),
    [
        ("QUEUED", "PENDING", False),
        ("RUNNING", "RUNNING", False),
        ("CANCELLING", "CANCEL_PENDING", False),
        ("CANCELLED", "CANCELLED", True),
        ("FAILED", "FAILED", True),
    ],
)
def test_states_are_told_in_the_words_of_clusters(aws, state, shown, ended):
    from moto.emrserverless.models import emrserverless_backends

    _, records = memory_records()
    submission = submit_job(aws, records, work(f"s-{state}"), pace=QUICK_PACE)
    backend = emrserverless_backends["123456789012"]["us-east-1"]
    backend.get_job_run(submission.place, submission.job).state = state
    view = ServerlessRun(aws, submission).look()
    assert (view.steps[0].state, view.ended) == (shown, ended)


def test_a_running_job_is_cancelled(aws):
    from moto.emrserverless.models import emrserverless_backends

    objects, records = memory_records()
    submission = submit_job(aws, records, work("r4"), pace=QUICK_PACE)
    run = ServerlessRun(aws, submission)
    assert run.terminate() == [f"{submission.job}: has ended"]
    backend = emrserverless_backends["123456789012"]["us-east-1"]
    backend.get_job_run(submission.place, submission.job).state = "RUNNING"
    assert run.cancel() == ["all: submitted"]
    failure = explain_failure(run.look(), submission, objects=objects, logs=None)
    assert failure.kind == "cancelled"


def test_the_drivers_log_is_found(aws):
    aws.s3.create_bucket(Bucket="somewhere")
    _, records = memory_records()
    submission = submit_job(aws, records, work("r5"), pace=QUICK_PACE)
    key = f"crisp/logs/applications/{submission.place}/jobs/{submission.job}/SPARK_DRIVER/stdout.gz"
    aws.s3.put_object(Bucket="somewhere", Key=key, Body=gzip.compress(b"said\n"))
    lines: list[LogLine] = []
    logs = S3Logs.of(aws, submission)
    Follower(
        ServerlessRun(aws, submission), (logs,), Watch(on_line=lines.append), QUICK_PACE
    ).follow()
    assert lines == [LogLine("all", "stdout", "said")]


def test_requests_fit_the_service_model():
    plan = work().plan
    assert validate_request("CreateApplication", plan.create_application()) == []
    request = plan.start_job_run("s3://b/run.py", ["--x"], run_id="r", application_id="a")
    assert validate_request("StartJobRun", request) == []
