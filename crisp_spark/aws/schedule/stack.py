"""What the template of a schedule is made from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from crisp_spark.aws.emr.delivery import PackageRefs
from crisp_spark.aws.emr.plan import EmrPlan, plan_cluster
from crisp_spark.aws.schedule.cloudformation import ref
from crisp_spark.aws.schedule.plan import MachinePlan
from crisp_spark.aws.schedule.signals import SignalWatch
from crisp_spark.errors import UsageError
from crisp_spark.spec.compute import EmrCompute
from crisp_spark.spec.data import CatalogSource, FileSource
from crisp_spark.spec.deployment import MonitoringSpec
from crisp_spark.spec.project import ProjectSpec
from crisp_spark.spec.schedule import ScheduleSpec

PARAMETERS: Mapping[str, str] = {
    "ProjectUri": "S3 URI of the resolved project file",
    "JobUri": "S3 URI of jobs/run.py",
    "ManifestUri": "S3 URI of the package's manifest",
    "BootstrapUri": "S3 URI of the node script",
    "CodeDigest": "Digest of the code, which names the Python environment",
}
"""What changes with every version of the code; the template itself does not."""

LONGEST_NAME = 48
"""Most characters of a project's name: a schedule at AWS may have 64, ours stand around it."""

_SECRET = re.compile(r"\$\{secret:aws/([^#{}\s]+)")


@dataclass(frozen=True)
class Place:
    """A bucket and a prefix in it, without slashes at its ends."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """Return the key of something at this place."""
        return "/".join(part for part in (self.prefix, name) if part)

    def below(self, name: str = "") -> str:
        """Return the pattern of keys below this place."""
        return "/".join(part for part in (self.prefix, name, "*") if part)


@dataclass(frozen=True)
class StackPlan:
    """A schedule, as the template is made from it.

    Attributes:
        project: Name of the project.
        compute: The cluster.
        schedule: When and how.
        workspace: Where the project keeps its tables and records.
        artifacts: Where packages, project files and logs are.
        sources: Places that data is read from.
        secrets: Names of secrets in Secrets Manager that the project file refers to.
        databases: Databases of the Glue catalog that are read.
        cluster: Plan of the cluster.
        model: Name of the model.
        monitoring: Limits and owners of what is watched about it.
    """

    project: str
    compute: EmrCompute
    schedule: ScheduleSpec
    workspace: Place
    artifacts: Place
    sources: tuple[Place, ...]
    secrets: tuple[str, ...]
    databases: tuple[str, ...]
    cluster: EmrPlan
    model: str
    monitoring: MonitoringSpec

    @property
    def name(self) -> str:
        """Name of the stack and of what it makes."""
        return f"crisp-{self.project.lower().replace('_', '-')}"

    @property
    def signals(self) -> SignalWatch:
        """What is watched about the model; messages are encrypted with the stack's key."""
        key = {"KmsMasterKeyId": ref("Key")}
        return SignalWatch(self.name, self.project, self.model, self.monitoring, key)

    @property
    def security(self) -> dict[str, Any] | None:
        """Security configuration to make; None where one is declared."""
        return self.cluster.security_configuration()

    def machine(self) -> MachinePlan:
        """Return what the state machine is made from."""
        request = self.cluster.run_job_flow()
        request.pop("Steps")
        if self.security is not None:
            request["SecurityConfiguration"] = "${SecurityConfiguration}"
        return MachinePlan(
            project=self.project,
            bucket=self.workspace.bucket,
            prefix=self.workspace.prefix,
            project_uri="${ProjectUri}",
            job_uri="${JobUri}",
            request=request,
            command=self.cluster,
            limits=self.schedule.limits,
            attempts=self.schedule.attempts,
            timeout_minutes=self.compute.timeout_minutes,
            runtime_role=self.compute.runtime_role,
            notify_success=self.schedule.notify_success,
        )


def plan_stack(spec: ProjectSpec, target: str | None, resolved: Mapping[str, Any]) -> StackPlan:
    """Work out what a target's schedule needs.

    Args:
        spec: The project.
        target: Name of the target.
        resolved: The whole project as plain data, with references to secrets.

    Raises:
        UsageError: The target has no schedule, uses an existing cluster, or its workspace is not
            in the bucket of its artifacts.
    """
    chosen = spec.targets.get(target or "")
    if chosen is None or chosen.schedule is None or not isinstance(chosen.compute, EmrCompute):
        having = [name for name, one in spec.targets.items() if one.schedule]
        raise UsageError(
            f"schedule: target {target or '(none)'} has no schedule",
            hint=f"--target {having[0]}" if having else "give a target of kind emr a `schedule`",
        )
    compute = chosen.compute
    if compute.cluster_id:
        raise UsageError(
            f"targets.{target}.compute.cluster_id: a schedule makes a cluster for each run",
            hint="remove cluster_id",
        )
    if len(spec.project.name) > LONGEST_NAME:
        raise UsageError(
            f"project.name: a schedule takes {LONGEST_NAME} characters, got {spec.project.name!r}",
            hint="what the stack makes is named after the project, and AWS limits names",
        )
    workspace, artifacts = place_of(spec.project.workspace), place_of(compute.artifacts)
    if workspace is None or artifacts is None or workspace.bucket != artifacts.bucket:
        raise UsageError(
            f"project.workspace: a schedule needs it in the bucket of targets.{target}.compute."
            f"artifacts ({compute.artifacts}), got {spec.project.workspace!r}",
            hint=f"set project.workspace to {compute.artifacts.rstrip('/')}/workspace below "
            f"targets.{target}.overrides",
        )
    return StackPlan(
        project=spec.project.name,
        compute=compute,
        schedule=chosen.schedule,
        workspace=workspace,
        artifacts=artifacts,
        sources=tuple(sorted(set(_sources(spec)), key=lambda one: (one.bucket, one.prefix))),
        secrets=tuple(sorted(set(_SECRET.findall(str(resolved))))),
        databases=tuple(sorted(_databases(spec))),
        cluster=plan_cluster(compute, project=spec.project.name, package=_package(compute)),
        model=spec.deployment.model_name or spec.project.name,
        monitoring=spec.deployment.monitoring,
    )


def _package(compute: EmrCompute) -> PackageRefs:
    """The package as parameters of the template: its version is a matter of deployment."""
    return PackageRefs(
        manifest_uri="${ManifestUri}",
        bootstrap_uri="${BootstrapUri}",
        environment_uri=None,
        code_digest="${CodeDigest}",
        architecture=compute.architecture,
        python="3.11",
    )


def place_of(uri: str) -> Place | None:
    """Return bucket and prefix of a URI; None where it is none of S3."""
    parts = urlsplit(uri)
    if parts.scheme not in {"s3", "s3a"} or not parts.netloc:
        return None
    return Place(parts.netloc, parts.path.strip("/"))


def _sources(spec: ProjectSpec) -> Iterator[Place]:
    for source in spec.data.sources.values():
        for path in source.path if isinstance(source, FileSource) else ():
            found = place_of(path)
            if found is not None:
                fixed = re.split(r"[*?\[{]", found.prefix)[0]
                yield Place(
                    found.bucket, fixed.rpartition("/")[0] if fixed != found.prefix else fixed
                )


def _databases(spec: ProjectSpec) -> set[str]:
    sources = spec.data.sources.values()
    tables = [source.table for source in sources if isinstance(source, CatalogSource)]
    return {table.split(".")[-2] for table in tables if "." in table}
