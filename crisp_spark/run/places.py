"""Places that a project names, wherever they are: folders of this machine, or prefixes in S3."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from crisp_spark.engine.objects import ObjectStore, open_objects
from crisp_spark.errors import UsageError
from crisp_spark.spec.data import FileSource

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.spec.project import ProjectSpec

_S3 = frozenset({"s3", "s3a", "s3n"})
_GLOB_SIGNS = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{[^}]*\}")
_PROJECT_FILES = (".yml", ".yaml", ".json", ".py", ".sql")
_LARGEST_PROJECT_FILE = 4 << 20


def is_s3(location: str) -> bool:
    """Say whether ``location`` is in S3."""
    return urlsplit(location).scheme in _S3


def open_place(location: str, *, base: Path) -> ObjectStore:
    """Open the objects at ``location``: an S3 prefix, or a folder (relative ones from ``base``).

    Raises:
        StorageError: The scheme is not supported.
    """
    if is_s3(location):
        from crisp_spark.aws.objects import S3Objects

        return S3Objects(location)
    return open_objects(location, base=base)


def uses_s3(spec: ProjectSpec) -> bool:
    """Say whether the project's tables or sources are in S3."""
    paths = (
        path
        for source in spec.data.sources.values()
        if isinstance(source, FileSource)
        for path in source.path
    )
    return is_s3(spec.project.workspace) or any(map(is_s3, paths))


def s3_prints(pattern: str) -> list[list[Any]]:
    """Return key, size and ETag of every object that a path or glob in S3 names.

    An ETag changes with the content, so equal prints mean equal files. Alternatives in braces
    count as any text: a file too many costs a run that was not needed, never a wrong skip.
    """
    from crisp_spark.aws.objects import S3Objects, split_uri

    bucket, path = split_uri(pattern)
    parts = [part for part in path.split("/") if part]
    fixed = _before_glob(parts)
    named = re.compile("/".join(_segment(part) for part in parts) + r"(/.*)?", re.DOTALL)
    # The last fixed part may be a file: its folder is listed, and the rest left out.
    folder = "/".join(fixed if len(fixed) < len(parts) else fixed[:-1])
    found = S3Objects(f"s3://{bucket}").stat(folder)
    return [[item.key, item.bytes, item.etag] for item in found if named.fullmatch(item.key)]


def _before_glob(parts: list[str]) -> list[str]:
    for number, part in enumerate(parts):
        if _GLOB_SIGNS.search(part):
            return parts[:number]
    return parts


def _segment(part: str) -> str:
    """Translate one part of a glob: its signs never reach over a slash."""
    if not _GLOB_SIGNS.search(part):
        return re.escape(part)
    pattern = translate(_BRACES.sub("*", part))
    return pattern.removeprefix("(?s:").removesuffix(r")\Z").replace(".*", "[^/]*")


def local_project(uri: str) -> Path:
    """Return the project file at ``uri`` as a local file.

    One in S3 is copied, with the includes, the hooks and the SQL beside and below it, into a new
    temporary folder.

    Raises:
        UsageError: The scheme is not supported.
        StorageError: There is no such object.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if not parts.scheme:
        return Path(uri)
    if not is_s3(uri):
        raise UsageError(
            f"--project: scheme {parts.scheme!r} is not supported, got {uri!r}",
            hint="use a path, a file: URI or s3://bucket/folder/crisp.yml",
        )
    from crisp_spark.aws.objects import S3Objects

    place, _, name = uri.rpartition("/")
    objects = S3Objects(place)
    folder = Path(tempfile.mkdtemp(prefix="crisp-project-"))
    for key in dict.fromkeys((name, *_companions(objects))):
        copy = folder / key
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(objects.read(key))
    return folder / name


def _companions(objects: ObjectStore) -> Iterator[str]:
    for found in objects.stat(""):
        if found.key.endswith(_PROJECT_FILES) and found.bytes <= _LARGEST_PROJECT_FILE:
            yield found.key


def open_session_for(
    project: LoadedProject, name: str, *, also: Sequence[str] = ()
) -> SparkSession:
    """Start, or take up, the Spark session of the project's target.

    Args:
        project: The project.
        name: What Spark shows behind the project's name.
        also: Places outside the project that will be opened.

    Raises:
        EnvironmentFaultError: pyspark, Java or the connector of S3 is missing.
    """
    from crisp_spark.engine.session import build_session

    compute = project.compute
    return build_session(
        f"crisp {project.spec.project.name} {name}",
        master=compute.session_master,
        conf=compute.settings(),
        s3=uses_s3(project.spec) or any(map(is_s3, also)),
    )
