"""The files of a source: found, measured and looked into before Spark reads a row.

Everything goes through Hadoop's file systems in the driver's JVM, so local disk, S3 and HDFS work
alike, and through Hadoop's codecs, so a file that passes here is one that Spark can unpack.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from crisp_spark.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
logger = logging.getLogger(__name__)

HEAD_BYTES = 256 << 10
"""How much of a file is looked at for its header."""
_HASH_LIMIT_BYTES = 4 << 30
_THREADS = 8
# Hadoop reads a file with another beginning as empty, or calls it cut short.
_SIGNATURES = {".gz": b"\x1f\x8b", ".bz2": b"BZh"}
_GLOB_SIGNS = "*?[]{}\\"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        uri: Full name, as Hadoop writes it (not percent-encoded).
        name: Path below the root of the source, as in ``_crisp_file``.
        bytes: Size.
        modified_ms: Time of the last change, milliseconds since the epoch.
    """

    uri: str
    name: str
    bytes: int
    modified_ms: int

    @property
    def pattern(self) -> str:
        """The URI as a glob that matches this file only."""
        return "".join("\\" + sign if sign in _GLOB_SIGNS else sign for sign in self.uri)


@dataclass(frozen=True)
class SourceFiles:
    """All files of a source, sorted by name.

    Attributes:
        root: Deepest folder that holds all of them.
        files: The files.
    """

    root: str
    files: tuple[SourceFile, ...]


class FileReader:
    """Looks at files through the file systems that Spark is configured for.

    Args:
        spark: Session whose Hadoop configuration holds credentials and endpoints.
    """

    def __init__(self, spark: SparkSession) -> None:
        jvm: Any = spark._jvm  # noqa: SLF001 - the only way to Hadoop's file systems
        self._jvm = jvm
        self._conf = spark._jsparkSession.sessionState().newHadoopConf()  # noqa: SLF001
        self._codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._conf)

    def list(self, place: str, paths: Sequence[str], project_dir: Path) -> SourceFiles:
        """Find the files that ``paths`` name; folders stand for all files below them.

        Hidden files (names starting with ``_`` or ``.``) are left out, as Spark leaves them out.

        Args:
            place: Source, for messages.
            paths: Files, folders or globs.
            project_dir: Where relative paths start.

        Raises:
            DataError: A path matches nothing, or a file system refuses.
        """
        found: dict[str, tuple[int, int]] = {}
        roots: list[str] = []
        for path in paths:
            root, matches = self._matches(place, _absolute(path, project_dir))
            if not matches:
                raise DataError(
                    f"{place}: no file matches {path!r}",
                    hint=f"relative paths start at {project_dir}",
                )
            roots.append(root)
            found |= matches
        root = _common_folder(roots)
        cut = len(root) + 1
        files = [
            SourceFile(uri, uri[cut:], size, modified) for uri, (size, modified) in found.items()
        ]
        return SourceFiles(root, tuple(sorted(files, key=lambda file: file.name)))

    def _matches(self, place: str, path: str) -> tuple[str, dict[str, tuple[int, int]]]:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            target = self._path(path)
            system = target.getFileSystem(self._conf)
            # A file whose name holds glob signs is found by its name first.
            if system.exists(target):
                tops = [system.getFileStatus(target)]
                top = tops[0].getPath()
                root = top if tops[0].isDirectory() else top.getParent()
            else:
                tops = list(system.globStatus(target) or [])
                root = system.makeQualified(self._path(_before_glob(path)))
            found: dict[str, tuple[int, int]] = {}
            for top in tops:
                self._collect(system, top, found)
        except (PySparkException, Py4JError) as error:
            raise DataError(
                f"{place}: cannot list {path!r} ({_java_message(error)})",
                hint="Hadoop takes no colon in the name of a file, nor of one beside it",
            ) from error
        return root.toString(), found

    def _collect(self, system: Any, status: Any, found: dict[str, tuple[int, int]]) -> None:
        if status.isDirectory():
            for child in system.listStatus(status.getPath()):
                if not _hidden(child.getPath().getName()):
                    self._collect(system, child, found)
        elif not _hidden(status.getPath().getName()):
            uri = status.getPath().toString()
            found[uri] = (status.getLen(), status.getModificationTime())

    def head(self, file: SourceFile) -> bytes:
        """Return the first bytes of a file, unpacked."""
        stream = self._open(file)
        try:
            bounded = self._jvm.org.apache.commons.io.input.BoundedInputStream(stream, HEAD_BYTES)
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(bounded))
        finally:
            stream.close()

    def damage(self, file: SourceFile) -> str:
        """Say what is wrong with a file as a stream of bytes; empty when nothing is.

        Packed files are unpacked to the end: a file cut short is known before Spark reads it.
        """
        if file.bytes == 0:
            return "the file is empty (0 bytes)"
        if self._codecs.getCodec(self._path(file.uri)) is None:
            return ""

        sign = next((own for end, own in _SIGNATURES.items() if file.name.endswith(end)), b"")
        if self._first_bytes(file, len(sign)) != sign:
            return "the file is not packed as its name says"

        def unpack() -> int:
            stream = self._open(file)
            try:
                sink = self._jvm.org.apache.commons.io.output.NullOutputStream.INSTANCE
                return int(self._jvm.org.apache.commons.io.IOUtils.copyLarge(stream, sink))
            finally:
                stream.close()

        unpacked, fault = attempt(unpack)
        if "EOFException" in fault:
            return "the packed file is cut short"
        if fault:
            return f"the file cannot be unpacked ({fault})"
        return "" if unpacked else "the packed file is empty (0 bytes)"

    def _first_bytes(self, file: SourceFile, count: int) -> bytes:
        path = self._path(file.uri)
        stream = path.getFileSystem(self._conf).open(path)
        try:
            bounded = self._jvm.org.apache.commons.io.input.BoundedInputStream(stream, count)
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(bounded))
        finally:
            stream.close()

    def parquet_footer(self, file: SourceFile) -> tuple[str, int]:
        """Return schema and rows of a Parquet file."""
        hadoop = self._jvm.org.apache.parquet.hadoop
        source = hadoop.util.HadoopInputFile.fromPath(self._path(file.uri), self._conf)
        reader = hadoop.ParquetFileReader.open(source)
        try:
            schema = reader.getFooter().getFileMetaData().getSchema().toString()
            return schema, int(reader.getRecordCount())
        finally:
            reader.close()

    def orc_footer(self, file: SourceFile) -> tuple[str, int]:
        """Return schema and rows of an ORC file."""
        orc = self._jvm.org.apache.orc.OrcFile
        reader = orc.createReader(self._path(file.uri), orc.readerOptions(self._conf))
        try:
            return reader.getSchema().toString(), int(reader.getNumberOfRows())
        finally:
            reader.close()

    def _open(self, file: SourceFile) -> Any:
        path = self._path(file.uri)
        stream = path.getFileSystem(self._conf).open(path)
        codec = self._codecs.getCodec(path)
        return codec.createInputStream(stream) if codec is not None else stream

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)


def attempt(action: Callable[[], T]) -> tuple[T | None, str]:
    """Run ``action``; where Java raises, return nothing and its message."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        return action(), ""
    except (PySparkException, Py4JError) as error:
        return None, _java_message(error) or "unknown"


def for_each(items: Iterable[T], work: Callable[[T], Any]) -> list[Any]:
    """Do ``work`` for all items in a few threads (most of it waits for storage), in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, items))


def sha256_of(file: SourceFile) -> str | None:
    """Hash of a local file; None for files elsewhere or over 4 GiB."""
    parts = urlsplit(file.uri)
    if parts.scheme != "file" or file.bytes > _HASH_LIMIT_BYTES:
        return None
    local = Path(file.uri.removeprefix("file:").replace("//", "/"))
    with local.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _absolute(path: str, project_dir: Path) -> str:
    if urlsplit(path).scheme or path.startswith("/"):
        return path
    # Without a scheme, Hadoop would look on the cluster's default file system.
    return f"file://{project_dir.resolve() / path}"


def _hidden(name: str) -> bool:
    return name.startswith((".", "_")) and "=" not in name


def _before_glob(path: str) -> str:
    """The folders in front of the first one that holds a glob sign."""
    fixed: list[str] = []
    for part in path.split("/")[:-1]:
        if any(sign in part for sign in _GLOB_SIGNS):
            break
        fixed.append(part)
    folder = "/".join(fixed)
    return folder if folder and not folder.endswith("/") else folder + "/"


def _common_folder(folders: Sequence[str]) -> str:
    shared: list[str] = []
    for parts in zip(*(folder.rstrip("/").split("/") for folder in folders), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)


def _java_message(error: Exception) -> str:
    cause = getattr(error, "java_exception", None)
    if cause is not None:
        return str(cause.toString()).splitlines()[0]
    return (str(error).splitlines() or [type(error).__name__])[0]
