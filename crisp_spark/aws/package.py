"""The package that a cluster runs: code, wheels, node script and jobs, named by their content.

It has one layout, on disk and in S3::

    blobs/<sha256>/<file>                       wheel, code zip, wheelhouse, environment, node.sh
    packages/<digest>/jobs/<name>.py            entry points
    packages/<digest>/manifest.json             names all of them with size and checksum; last

The digest follows from everything in it, so an upload skips what is there, and a package that is
there is never changed.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from pydantic import ValidationError

import crisp_spark
from crisp_spark import __version__
from crisp_spark.aws.clients import Clients
from crisp_spark.aws.code_wheel import write_wheel
from crisp_spark.aws.manifest import (
    PackagedFile,
    PackageManifest,
    PublishedPackage,
    Role,
    SparkLine,
)
from crisp_spark.aws.objects import S3Objects, split_uri
from crisp_spark.aws.packed import pack_environment
from crisp_spark.aws.wheelhouse import (
    INSTALLER,
    PYTHON,
    cache_folder,
    fetch_wheels,
    file_sha256,
    needed_packages,
    pinned,
    requirement_lines,
    root_requirements,
    wheels_in,
)
from crisp_spark.errors import EnvironmentFaultError, StorageError
from crisp_spark.spec.base import canonical_json, digest
from crisp_spark.spec.compute import Architecture

__all__ = [
    "PackageManifest",
    "PackagedFile",
    "PublishedPackage",
    "SparkLine",
    "build_package",
    "constraints_text",
    "publish_package",
    "read_published",
]

_DIGEST_LENGTH = 32
_THREADS = 8
_CONSTRAINTS: dict[str, str] = {
    "3.5": "constraints-spark35.txt",
    "4.1": "constraints-spark41.txt",
}


def build_package(
    project_root: Path | None = None,
    *,
    architecture: Architecture,
    out: Path,
    environment: bool = False,
    spark: SparkLine = "4.1",
    wheels: Path | None = None,
) -> PackageManifest:
    """Build the package below ``out``.

    Args:
        project_root: Checkout of crisp_spark; the one that runs, or the installed package, when
            None.
        architecture: Processor type of the cluster.
        out: Folder to build in; what lies there already is not built again.
        environment: Whether to add the packed environment, for clusters that are not ours.
        spark: Spark line of the cluster.
        wheels: Folder with ready wheels; else the pinned ones are fetched (and kept in a cache).

    Raises:
        EnvironmentFaultError: Pins, pip or a package are missing here.
        UnavailableError: The wheels could not be fetched.
        StorageError: ``wheels`` is no wheelhouse.
    """
    shipped = _shipped(project_root)
    checkout = shipped if (shipped / "pyproject.toml").is_file() else None
    requires = root_requirements(checkout)
    if wheels is not None:
        found = wheels_in(wheels, architecture=architecture)
    else:
        names = needed_packages(requires, architecture=architecture)
        pins = pinned(constraints_text(shipped, spark=spark), [*names, INSTALLER])
        cache = cache_folder() / f"{architecture}-{digest(pins)[:16]}"
        found = fetch_wheels(pins, architecture=architecture, folder=cache)
    draft = PackageManifest(
        version=__version__,
        python=PYTHON,
        architecture=architecture,
        spark=spark,
        code_digest="",
        files=(),
        wheels={one.name: file_sha256(one) for one in found},
        folder=out,
    )
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    parts = _parts(work, found, requires=requires, architecture=architecture)
    parts.append(("bootstrap", shipped / "bootstrap" / "node.sh"))
    if environment:
        packed = work / f"environment-{architecture}.tar.gz"
        parts.append(("environment", pack_environment([*found, parts[0][1]], packed)))
    manifest = _laid_out(parts, sorted((shipped / "jobs").glob("*.py")), draft)
    shutil.rmtree(work)
    return manifest


def _parts(
    work: Path, wheels: list[Path], *, requires: list[str], architecture: str
) -> list[tuple[Role, Path]]:
    """Make the wheel, its copy that Spark takes for executors, and the wheelhouse."""
    wheel = write_wheel(work, requires=requires)
    code = Path(shutil.copyfile(wheel, work / f"crisp_spark-{__version__}.zip"))
    house = _archived(wheels, work / f"wheelhouse-{architecture}.tar")
    return [("wheel", wheel), ("code", code), ("wheelhouse", house)]


def publish_package(
    manifest: PackageManifest, bucket_prefix: str, aws: Clients | None = None
) -> PublishedPackage:
    """Upload a package, skipping what is there, and say where everything lies.

    Args:
        manifest: The built package.
        bucket_prefix: ``s3://bucket/prefix`` of all packages.
        aws: Clients; those of the environment when None.

    Raises:
        StorageError, AccessError, UnavailableError: S3 did not take it.
    """
    objects = S3Objects(bucket_prefix, aws)

    def upload(file: PackagedFile) -> None:
        objects.upload_if_absent(file.key, manifest.folder / file.key, bytes_=file.bytes)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(upload, manifest.files))
    objects.put_if_absent(manifest.key, canonical_json(manifest).encode())
    return _published(manifest, objects)


def read_published(manifest_uri: str, aws: Clients | None = None) -> PublishedPackage:
    """Return a package that was published before.

    Raises:
        StorageError: There is no manifest, or not one that this version can read.
    """
    bucket, key = split_uri(manifest_uri)
    prefix = key.rpartition("packages/")[0]
    objects = S3Objects(f"s3://{bucket}/{prefix}", aws)
    try:
        manifest = PackageManifest.model_validate_json(objects.read(key.removeprefix(prefix)))
    except ValidationError as error:
        raise StorageError(
            f"{manifest_uri}: not a package manifest that this version can read",
            hint="publish the package anew with `crisp package --upload`",
        ) from error
    return _published(manifest, objects)


def _published(manifest: PackageManifest, objects: S3Objects) -> PublishedPackage:
    def uri(role: Role) -> str:
        file = manifest.file(role)
        if file is None:
            raise StorageError(f"{manifest.key}: the package has no {role}")
        return objects.uri(file.key)

    return PublishedPackage(
        manifest_uri=objects.uri(manifest.key),
        bootstrap_uri=uri("bootstrap"),
        wheel_uri=uri("wheel"),
        code_zip_uri=uri("code"),
        jobs_uri=objects.uri(f"packages/{manifest.code_digest}/jobs"),
        environment_uri=uri("environment") if manifest.file("environment") else None,
        code_digest=manifest.code_digest,
        architecture=manifest.architecture,
        python=manifest.python,
    )


def _laid_out(
    parts: list[tuple[Role, Path]], jobs: list[Path], draft: PackageManifest
) -> PackageManifest:
    """Put the files in their places and write the manifest."""
    out = draft.folder
    described: list[tuple[Role, Path, str, str]] = []
    for role, file in parts:
        content = file_sha256(file)
        described.append((role, file, f"blobs/{content}/{file.name}", content))
    entries: list[tuple[Role, Path, str, str]] = [
        ("job", file, f"jobs/{file.name}", file_sha256(file)) for file in jobs
    ]
    facts = draft.model_dump(mode="json", exclude={"files", "code_digest"})
    named = [[role, key, content] for role, _, key, content in [*described, *entries]]
    code_digest = digest({**facts, "files": named})[:_DIGEST_LENGTH]
    described += [
        (role, file, f"packages/{code_digest}/{key}", content)
        for role, file, key, content in entries
    ]
    files = []
    for role, file, key, content in described:
        place = out / key
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        files.append(PackagedFile(role=role, key=key, sha256=content, bytes=file.stat().st_size))
    manifest = draft.model_copy(update={"code_digest": code_digest, "files": tuple(files)})
    (out / manifest.key).write_text(canonical_json(manifest), encoding="utf-8")
    return manifest


def _archived(wheels: list[Path], target: Path) -> Path:
    """Put the wheels and the list of their checksums into one archive, always the same bytes."""
    lines = requirement_lines(wheels).encode()
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, "requirements.txt", len(lines), io.BytesIO(lines))
        for wheel in wheels:
            with wheel.open("rb") as content:
                _add(archive, f"wheels/{wheel.name}", wheel.stat().st_size, content)
    return target


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.addfile(entry, content)


def constraints_text(shipped: Path | None = None, *, spark: SparkLine = "4.1") -> str:
    """Return the pinned constraints of a Spark line."""
    folder = shipped or _shipped(None)
    return (folder / "bootstrap" / _CONSTRAINTS[spark]).read_text(encoding="utf-8")


def _shipped(project_root: Path | None) -> Path:
    """Return the folder that holds ``bootstrap`` and ``jobs``."""
    package = Path(crisp_spark.__file__).parent
    places = [project_root] if project_root else [package.parent, package / "_shipped"]
    for place in places:
        if (place / "bootstrap" / "node.sh").is_file():
            return place
    raise EnvironmentFaultError(
        f"package: no bootstrap/node.sh below {places[-1]}",
        hint="install crisp-spark from its wheel, or work in a checkout",
    )
