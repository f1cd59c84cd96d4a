"""Brings code and project file to S3 before a run is submitted."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_spark import __version__
from crisp_spark.errors import UsageError
from crisp_spark.spec.compute import EmrCompute, EmrServerlessCompute, LocalCompute

if TYPE_CHECKING:
    from crisp_spark.aws.clients import Clients
    from crisp_spark.aws.manifest import PublishedPackage
    from crisp_spark.spec.load import LoadedProject

AnyAwsCompute = EmrCompute | EmrServerlessCompute
NO_PACKAGE = "none"

_ENTRY = '''\
"""spark-submit entry point for several steps in one Spark application."""

import sys

from crisp_spark.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(None))
'''


@dataclass(frozen=True)
class Shipped:
    """Code in S3.

    Attributes:
        package: The package; None where the machines have the code already.
        job_uri: S3 URI of the entry point.
        code_digest: Digest of the code.
    """

    package: PublishedPackage | None
    job_uri: str
    code_digest: str


def ship_package(project: LoadedProject, *, package: str | None, foreign: bool) -> Shipped:
    """Make and publish the package, or take up a published one.

    Args:
        project: The loaded project.
        package: Manifest of a published package; ``none`` where the machines have the code; a new
            package is made when not given.
        foreign: Whether the machines are not ours: they need the packed environment.

    Raises:
        CrispError: The package cannot be made, or S3 does not take it.
    """
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.manifest import spark_line
    from crisp_spark.aws.package import build_package, publish_package, read_published

    compute = _compute(project)
    aws = clients(compute.region)
    if package == NO_PACKAGE:
        return Shipped(None, _entry(compute, aws), f"installed-{__version__}")
    if package is not None:
        published = read_published(package, aws)
    else:
        with tempfile.TemporaryDirectory(prefix="crisp-package-") as folder:
            manifest = build_package(
                architecture=compute.architecture,
                out=Path(folder),
                environment=foreign or compute.kind == "emr-serverless",
                spark=spark_line(compute.release),
            )
            published = publish_package(manifest, compute.artifacts, aws)
    return Shipped(published, f"{published.jobs_uri}/run.py", published.code_digest)


def ship_project(project: LoadedProject, run_id: str) -> str:
    """Put the resolved project file into S3 and return its URI."""
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.projects import publish_project

    compute = _compute(project)
    return publish_project(project, run_id, compute.artifacts, clients(compute.region))


def _entry(compute: AnyAwsCompute, aws: Clients) -> str:
    """Put the entry point alone into S3 and return its URI."""
    from crisp_spark.aws.objects import S3Objects

    content = _ENTRY.encode()
    key = f"jobs/{hashlib.sha256(content).hexdigest()[:16]}/run.py"
    objects = S3Objects(compute.artifacts, aws)
    objects.put_if_absent(key, content)
    return objects.uri(key)


def _compute(project: LoadedProject) -> AnyAwsCompute:
    compute = project.compute
    if isinstance(compute, LocalCompute):
        raise UsageError(f"target {project.target or '(none)'}: its compute is local")
    return compute
