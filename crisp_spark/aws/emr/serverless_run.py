"""Runs on EMR Serverless: submitted once, looked at, cancelled, in the words of clusters.

StartJobRun takes a token, the run id, so AWS itself makes a repeated call do nothing; the record
in the workspace says where the run is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.records import Submission, Submissions
from crisp_spark.aws.emr.view import RunView, StepView
from crisp_spark.aws.emr.waiting import Pace, patiently

STAGE = "all"

_GONE = "TERMINATED"
_STATES = {
    "RUNNING": "RUNNING",
    "SUCCESS": "COMPLETED",
    "FAILED": "FAILED",
    "CANCELLING": "CANCEL_PENDING",
    "CANCELLED": "CANCELLED",
}
_BILLED = ("vCPUHour", "memoryGBHour", "storageGBHour")


class JobPlan(Protocol):
    """What submission needs of a plan."""

    @property
    def application_name(self) -> str:
        """Name of the application that is made where none is declared."""
        ...

    def create_application(self) -> dict[str, Any]:
        """Return the request for CreateApplication."""
        ...

    def start_job_run(
        self, job_uri: str, args: Sequence[str], *, run_id: str, application_id: str
    ) -> dict[str, Any]:
        """Return the request for StartJobRun."""
        ...


@dataclass(frozen=True)
class JobWork:
    """What is submitted to EMR Serverless: the whole run as one job.

    Attributes:
        run_id: Id of the run.
        project: Name of the project.
        plan: Plan of the job run.
        project_uri: S3 URI of the resolved project file.
        job_uri: S3 URI of ``jobs/run.py``.
        steps: Steps of the flow, in order.
        application_id: Application to use; empty: the one named after the project.
        log_uri: S3 prefix of the logs.
        log_group: CloudWatch log group; empty: none.
        digest: Digest of project, code and steps.
    """

    run_id: str
    project: str
    plan: JobPlan
    project_uri: str
    job_uri: str
    steps: tuple[str, ...]
    application_id: str = ""
    log_uri: str = ""
    log_group: str = ""
    digest: str = ""


def submit_job(
    aws: Clients,
    records: Submissions,
    work: JobWork,
    *,
    pace: Pace | None = None,
    told: Callable[[str], None] = lambda _text: None,
) -> Submission:
    """Submit the run unless that has happened; return where it is.

    Raises:
        CrispError: AWS refused, or cannot be reached.
    """
    recorded = records.find(work.run_id)
    if recorded is not None:
        return recorded
    waits = pace or Pace(first=2.0, longest=10.0)
    serverless = aws.get("emr-serverless")

    def start() -> Submission:
        with translated("submit: EMR Serverless"):
            application = work.application_id or _application(serverless, work.plan)
            arguments = ["--project", work.project_uri, "--run-id", work.run_id]
            request = work.plan.start_job_run(
                work.job_uri,
                [*arguments, "--steps", ",".join(work.steps)],
                run_id=work.run_id,
                application_id=application,
            )
            job = serverless.start_job_run(**request)["jobRunId"]
        return _submission(work, application, job, aws.region)

    made = patiently(start, pace=waits, told=told)
    settled = records.settle(made)
    if settled.job != made.job:
        told(f"cancelling {made.job}: the run is {settled.job}")
        ServerlessRun(aws, made).cancel()
    return settled


def _submission(work: JobWork, application: str, job: str, region: str) -> Submission:
    return Submission(
        run_id=work.run_id,
        project=work.project,
        kind="emr-serverless",
        region=region,
        place=application,
        own_place=False,
        job=job,
        stages={STAGE: work.steps},
        log_uri=work.log_uri,
        log_group=work.log_group,
        work=work.digest,
    )


def _application(serverless: Any, plan: JobPlan) -> str:
    pages = serverless.get_paginator("list_applications").paginate()
    for page in pages:
        for one in page["applications"]:
            if one["name"] == plan.application_name and one["state"] != _GONE:
                return str(one["id"])
    return str(serverless.create_application(**plan.create_application())["applicationId"])


class ServerlessRun:
    """A run on EMR Serverless.

    Args:
        aws: Clients of the application's region.
        submission: Record of the run.
    """

    def __init__(self, aws: Clients, submission: Submission) -> None:
        self.submission = submission
        self._client = aws.get("emr-serverless")

    @property
    def _job(self) -> dict[str, str]:
        return {"applicationId": self.submission.place, "jobRunId": self.submission.job}

    def look(self) -> RunView:
        """Ask AWS once."""
        with translated(f"job run {self.submission.job}"):
            job: Mapping[str, Any] = self._client.get_job_run(**self._job)["jobRun"]
        state = _STATES.get(job["state"], "PENDING")
        done = state in {"COMPLETED", "FAILED", "CANCELLED"}
        step = StepView(
            stage=STAGE,
            id=self.submission.job,
            state=state,
            message=job.get("stateDetails") or "",
            started=job.get("startedAt") or job["createdAt"],
            ended=(job.get("endedAt") or job.get("updatedAt")) if done else None,
        )
        billed = job.get("billedResourceUtilization") or {}
        return RunView(
            run_id=self.submission.run_id,
            place=self.submission.place,
            state=job["state"],
            message=step.message,
            steps=(step,),
            billed={key: float(billed[key]) for key in _BILLED if key in billed},
        )

    def cancel(self, *, kill: bool = False) -> list[str]:  # noqa: ARG002  # has one way only
        """Cancel the job run unless it has ended."""
        if self.look().ended:
            return []
        with translated(f"job run {self.submission.job}: cancelling"):
            self._client.cancel_job_run(**self._job)
        return [f"{STAGE}: submitted"]

    def terminate(self) -> list[str]:
        """Cancel; the application stops by itself and costs nothing when idle."""
        return self.cancel() or [f"{self.submission.job}: has ended"]
