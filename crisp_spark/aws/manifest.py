"""What a package for a cluster holds, and where it lies once it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from crisp_spark.aws.emr.releases import release_of
from crisp_spark.spec.compute import Architecture

Role = Literal["wheel", "code", "wheelhouse", "environment", "bootstrap", "job"]
SparkLine = Literal["3.5", "4.1"]


class PackagedFile(BaseModel):
    """One file: what it is for, key below the package's root, SHA-256 and size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    key: str
    sha256: str
    bytes: int


class PackageManifest(BaseModel):
    """What a package holds.

    Attributes:
        format: Version of this description.
        version: Version of crisp_spark.
        python: Python minor that the wheels are for.
        architecture: Processor type that the wheels are for.
        spark: Spark line whose constraints gave the versions.
        code_digest: Digest of everything below.
        files: All files.
        wheels: Name of each wheel inside the wheelhouse to its SHA-256.
        folder: Where the package lies on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    version: str
    python: str
    architecture: Architecture
    spark: SparkLine
    code_digest: str
    files: tuple[PackagedFile, ...]
    wheels: dict[str, str]
    folder: Path = Field(exclude=True, default=Path())

    @property
    def key(self) -> str:
        """Key of the manifest."""
        return f"packages/{self.code_digest}/manifest.json"

    def file(self, role: Role) -> PackagedFile | None:
        """Return the file of a role, if the package has one."""
        return next((one for one in self.files if one.role == role), None)


class PublishedPackage(BaseModel):
    """Where a package lies in S3."""

    model_config = ConfigDict(frozen=True)

    manifest_uri: str
    bootstrap_uri: str
    wheel_uri: str
    code_zip_uri: str
    jobs_uri: str
    environment_uri: str | None
    code_digest: str
    architecture: Architecture
    python: str


def spark_line(release: str) -> SparkLine:
    """Return the Spark line of an EMR release, as far as the versions of packages go."""
    return "3.5" if release_of(release).spark.startswith("3.") else "4.1"
