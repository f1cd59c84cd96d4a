"""What is submitted: the Spark applications of a run, as steps of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from crisp_spark.aws.emr.records import Submission, step_name


class ClusterPlan(Protocol):
    """What submission needs of a plan."""

    @property
    def own_cluster(self) -> bool:
        """Whether a cluster is made for the run."""
        ...

    def run_job_flow(
        self, *, name: str, tags: Mapping[str, str] | None, steps: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the request for RunJobFlow."""
        ...

    def spark_submit(self, job_uri: str, args: Sequence[str]) -> list[str]:
        """Return the arguments of a step that runs a job."""
        ...

    def step(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        on_failure: Literal["TERMINATE_CLUSTER", "CANCEL_AND_WAIT", "CONTINUE"],
    ) -> dict[str, Any]:
        """Return a step as boto3 takes it."""
        ...

    def security_configuration(self) -> dict[str, Any] | None:
        """Return the request for a security configuration that must exist, or None."""
        ...


@dataclass(frozen=True)
class Work:
    """What is submitted.

    Attributes:
        run_id: Id of the run.
        project: Name of the project.
        plan: Plan of the cluster.
        project_uri: S3 URI of the resolved project file.
        job_uri: S3 URI of ``jobs/run.py``.
        stages: Stage to the steps of the flow that it runs, in order.
        cluster_id: Cluster to use; empty: one is made.
        role: Role that the steps run as; empty: the machines'.
        log_uri: S3 prefix of the logs.
        log_group: CloudWatch log group; empty: none.
        digest: Digest of project, code and steps.
    """

    run_id: str
    project: str
    plan: ClusterPlan
    project_uri: str
    job_uri: str
    stages: Mapping[str, tuple[str, ...]]
    cluster_id: str = ""
    role: str = ""
    log_uri: str = ""
    log_group: str = ""
    digest: str = ""

    def steps(self) -> list[dict[str, Any]]:
        """Return the EMR steps: one per stage on a cluster of its own, else one for all.

        A failed step must keep the next ones from running. Only a cluster of our own may be ended
        for that; on another's, one application runs everything.
        """
        return [
            self.plan.step(
                step_name(self.run_id, stage),
                self.plan.spark_submit(self.job_uri, self._arguments(steps)),
                on_failure="CONTINUE" if self.cluster_id else "TERMINATE_CLUSTER",
            )
            for stage, steps in self._applications.items()
        ]

    @property
    def _applications(self) -> dict[str, tuple[str, ...]]:
        if not self.cluster_id:
            return dict(self.stages)
        return {"all": tuple(step for steps in self.stages.values() for step in steps)}

    def _arguments(self, steps: Sequence[str]) -> list[str]:
        named = ["--project", self.project_uri, "--run-id", self.run_id]
        return [*named, "--steps", ",".join(steps)]

    def submission(self, place: str, region: str) -> Submission:
        """Return the record of the run at a cluster."""
        return Submission(
            run_id=self.run_id,
            project=self.project,
            kind="emr",
            region=region,
            place=place,
            own_place=not self.cluster_id,
            stages=self._applications,
            log_uri=self.log_uri,
            log_group=self.log_group,
            work=self.digest,
        )
