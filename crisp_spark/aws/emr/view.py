"""A run as AWS tells it at one moment, the same for a cluster and for EMR Serverless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.records import Submission

STEP_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
CLUSTER_ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")


@dataclass(frozen=True)
class StepView:
    """One EMR step, or job run.

    Attributes:
        stage: Stage of the run.
        id: Id at AWS; empty while there is none.
        state: State, in EMR's words.
        message: Why it has this state.
        log_file: Log that EMR names for a failure.
        started: Start.
        ended: End.
    """

    stage: str
    id: str = ""
    state: str = "PENDING"
    message: str = ""
    log_file: str = ""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state in STEP_ENDED


@dataclass(frozen=True)
class RunView:
    """A run.

    Attributes:
        run_id: Id of the run.
        place: Cluster, or application.
        state: State of the place.
        code: Code of why it has this state.
        message: Text of why it has this state.
        errors: Error codes with their texts, where EMR gives any.
        steps: Steps in order.
        own_place: Whether the place was made for the run and ends with it.
        billed: What EMR Serverless bills: vCPU hours, GB hours.
    """

    run_id: str
    place: str
    state: str
    code: str = ""
    message: str = ""
    errors: tuple[str, ...] = ()
    steps: tuple[StepView, ...] = ()
    own_place: bool = False
    billed: Mapping[str, float] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether all steps are completed."""
        return bool(self.steps) and all(step.state == "COMPLETED" for step in self.steps)

    @property
    def ended(self) -> bool:
        """Whether nothing of the run will change any more."""
        if self.state in CLUSTER_ENDED:
            return True
        if not self.steps or not all(step.done for step in self.steps):
            return False
        # Steps that are cancelled because the cluster could not start are so before it says why.
        return self.succeeded or self.failed_step is not None or not self.own_place

    @property
    def failed_step(self) -> StepView | None:
        """The first step that neither completed nor was merely cancelled."""
        bad = ("FAILED", "INTERRUPTED")
        return next((step for step in self.steps if step.state in bad), None)

    @property
    def running(self) -> StepView | None:
        """The step that runs."""
        active = ("RUNNING", "CANCEL_PENDING")
        return next((step for step in self.steps if step.state in active), None)


class RemoteRun(Protocol):
    """A run somewhere at AWS."""

    submission: Submission

    def look(self) -> RunView:
        """Ask AWS once.

        Raises:
            UnavailableError: Trying again can help.
        """
        ...

    def cancel(self, *, kill: bool = False) -> list[str]:
        """Cancel the steps that have not ended; return what was asked for, a line each."""
        ...

    def terminate(self) -> list[str]:
        """End the machines as well, where they are the run's own."""
        ...


class ClusterRun:
    """A run on an EMR cluster.

    Args:
        aws: Clients of the cluster's region.
        submission: Record of the run.
    """

    def __init__(self, aws: Clients, submission: Submission) -> None:
        self.submission = submission
        self._emr = aws.emr

    def look(self) -> RunView:
        """Ask AWS once."""
        place = self.submission.place
        with translated(f"cluster {place}"):
            status = self._emr.describe_cluster(ClusterId=place)["Cluster"]["Status"]
            pages = self._emr.get_paginator("list_steps").paginate(ClusterId=place)
            found = {
                one["Name"]: one
                for page in pages
                for one in page["Steps"]  # the newest first: of two of a name the older stays
            }
        reason = status.get("StateChangeReason", {})
        return RunView(
            run_id=self.submission.run_id,
            place=place,
            own_place=self.submission.own_place,
            state=status["State"],
            code=reason.get("Code", ""),
            message=reason.get("Message", ""),
            errors=tuple(
                f"{one.get('ErrorCode', '')}: {one.get('ErrorMessage', '')}"
                for one in status.get("ErrorDetails", ())
            ),
            steps=tuple(
                _step(stage, found.get(self.submission.step_name(stage)))
                for stage in self.submission.stages
            ),
        )

    def cancel(self, *, kill: bool = False) -> list[str]:
        """Cancel the steps that have not ended."""
        view = self.look()
        ids = {step.id: step.stage for step in view.steps if step.id and not step.done}
        if not ids:
            return []
        option = "TERMINATE_PROCESS" if kill else "SEND_INTERRUPT"
        with translated(f"cluster {view.place}: cancelling"):
            answers = self._emr.cancel_steps(
                ClusterId=view.place, StepIds=list(ids), StepCancellationOption=option
            )["CancelStepsInfoList"]
        return [
            f"{ids[one['StepId']]}: {one['Status'].lower()} {one.get('Reason', '')}".rstrip()
            for one in answers
        ]

    def terminate(self) -> list[str]:
        """End the cluster if it was made for this run."""
        place = self.submission.place
        if not self.submission.own_place:
            return [f"{place}: not ended, it was not made for this run"]
        with translated(f"cluster {place}: ending"):
            self._emr.terminate_job_flows(JobFlowIds=[place])
        return [f"{place}: is being ended"]


def _step(stage: str, found: Mapping[str, Any] | None) -> StepView:
    if found is None:
        return StepView(stage)
    status = found["Status"]
    times = status.get("Timeline", {})
    failure = status.get("FailureDetails", {})
    said = [failure.get("Reason", ""), failure.get("Message", "")]
    message = " ".join(filter(None, said)) or status.get("StateChangeReason", {}).get("Message", "")
    return StepView(
        stage=stage,
        id=found["Id"],
        state=status["State"],
        message=message,
        log_file=failure.get("LogFile", ""),
        started=times.get("StartDateTime"),
        ended=times.get("EndDateTime"),
    )
