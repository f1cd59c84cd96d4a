"""What the state machine of a scheduled run is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.aws.schedule.stages import StepCommand
from crisp_spark.aws.schedule.states import quoted
from crisp_spark.spec.schedule import ScheduleLimits


@dataclass(frozen=True)
class MachinePlan:
    """What the state machine is made from.

    Attributes:
        project: Name of the project.
        bucket: Bucket of the workspace.
        prefix: Prefix of the workspace in it, without slashes at its ends.
        project_uri: S3 URI of the resolved project file.
        job_uri: S3 URI of ``jobs/run.py``.
        request: ``RunJobFlow`` request of the cluster, without steps.
        command: Makes the arguments of a step.
        limits: Longest times of the parts.
        attempts: How often a step is tried that was lost with its machine.
        timeout_minutes: Longest time of the whole.
        runtime_role: Role that steps run as; the machines' role when empty.
        notify_success: Whether finished runs are told as well.
        topic: ARN of the topic for messages, or the token that is put in for it.
    """

    project: str
    bucket: str
    prefix: str
    project_uri: str
    job_uri: str
    request: Mapping[str, Any] = field(repr=False)
    command: StepCommand = field(repr=False)
    limits: ScheduleLimits = field(default_factory=ScheduleLimits)
    attempts: int = 2
    timeout_minutes: int = 720
    runtime_role: str = ""
    notify_success: bool = False
    topic: str = "${Topic}"

    def key(self, name: str) -> str:
        """Return the expression of a key below the records of the run."""
        return f"{{% {quoted(f'{self.prefix}/runs/'.lstrip('/'))} & $runId & {name} %}}"

    @property
    def outcome_key(self) -> str:
        """The expression of the key under which the job leaves its last word."""
        return self.key("'/outcomes/' & $stage & '-' & $string($attempt) & '.json'")
