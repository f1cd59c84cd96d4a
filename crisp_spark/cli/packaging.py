"""The command that packs the code for a cluster: package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError
from crisp_spark.spec.compute import Architecture, AwsCompute

if TYPE_CHECKING:
    from crisp_spark.aws.manifest import PackageManifest, PublishedPackage, SparkLine

T = TypeVar("T")
_MIB = 1 << 20
_ARCHITECTURES: dict[str, Architecture] = {"x86_64": "x86_64", "aarch64": "aarch64"}
_LINES: dict[str, SparkLine] = {"3.5": "3.5", "4.1": "4.1"}


@dataclass(frozen=True)
class _Wanted:
    """What the package is for, and the prefix in S3 that it goes to (empty: none)."""

    architecture: Architecture
    spark: SparkLine
    prefix: str
    region: str | None


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "package", panel="AWS")(package)


def package(
    shared: Shared,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to build the package in.")
    ] = Path("dist/package"),
    upload: Annotated[
        bool, typer.Option("--upload", help="Upload it to the target's `artifacts`.")
    ] = False,
    environment: Annotated[
        bool,
        typer.Option(
            "--environment",
            help="Add the environment as one archive (spark.archives), for EMR Serverless and "
            "clusters that are not ours.",
        ),
    ] = False,
    wheels: Annotated[
        Path | None,
        typer.Option("--wheels", metavar="DIR", help="Ready wheels, instead of the pinned ones."),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option("--architecture", help="x86_64 or aarch64; else the target's.")
    ] = None,
    spark: Annotated[
        str | None, typer.Option("--spark", help="Spark line, 3.5 or 4.1; else the target's.")
    ] = None,
) -> None:
    """Pack code, wheels, node script and jobs for a cluster; named by their content.

    The wheels are those of the pinned constraints, for Python 3.11 and one kind of processor, and
    hold everything but PySpark. Uploading again sends only what is not there yet.
    """
    wanted = _wanted(shared, architecture, spark, upload=upload)
    from crisp_spark.aws.package import build_package, publish_package

    manifest = build_package(
        architecture=wanted.architecture,
        out=out,
        environment=environment,
        spark=wanted.spark,
        wheels=wheels,
    )
    published = None
    if upload:
        from crisp_spark.aws.clients import clients

        published = publish_package(manifest, wanted.prefix, clients(wanted.region))
    _say(shared, manifest, published)


def _wanted(
    shared: Shared, architecture: str | None, spark: str | None, *, upload: bool
) -> _Wanted:
    from crisp_spark.aws.manifest import spark_line

    compute = None
    if upload or architecture is None or spark is None:
        project = shared.load()
        compute = project.compute if isinstance(project.compute, AwsCompute) else None
    if upload and compute is None:
        raise UsageError(
            "package: the target in use has no `artifacts` to upload to",
            hint="choose a target of kind emr or emr-serverless with --target",
        )
    if compute is None and (architecture is None or spark is None):
        raise UsageError(
            "package: the target in use is local, so it does not say what the cluster is",
            hint="choose another with --target, or give --architecture and --spark",
        )
    line = spark_line(compute.release) if compute is not None else ""
    kind = compute.architecture if compute is not None else ""
    return _Wanted(
        architecture=_one_of("--architecture", architecture or kind, _ARCHITECTURES),
        spark=_one_of("--spark", spark or line, _LINES),
        prefix=compute.artifacts if compute is not None else "",
        region=compute.region if compute is not None else None,
    )


def _one_of(option: str, value: str, valid: dict[str, T]) -> T:
    if value not in valid:
        raise UsageError(f"{option}: expected {' or '.join(valid)}, got {value!r}")
    return valid[value]


def _say(shared: Shared, manifest: PackageManifest, published: PublishedPackage | None) -> None:
    shared.out.data(
        {
            "manifest": str(manifest.folder / manifest.key),
            "package": manifest.model_dump(mode="json"),
            "published": published.model_dump(mode="json") if published else None,
        }
    )
    shared.out.table(
        ("what", "file", "MiB"),
        [
            (file.role, file.key.rpartition("/")[2], f"{file.bytes / _MIB:.1f}")
            for file in manifest.files
            if file.role != "job"
        ],
        title=f"package {manifest.code_digest} ({manifest.architecture}, Python "
        f"{manifest.python}, Spark {manifest.spark}, {len(manifest.wheels)} wheels)",
    )
    shared.out.text(f"manifest  {manifest.folder / manifest.key}")
    if published:
        shared.out.text(f"published {published.manifest_uri}")
