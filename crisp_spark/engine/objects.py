"""Small objects under a root: put-if-absent, read, list. The ground that publication stands on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from crisp_spark.errors import StorageError

_TEMPORARY = ".tmp-"


class ObjectStat(Protocol):
    """What a listing says of one object."""

    @property
    def key(self) -> str:
        """Key below the root."""
        ...

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        ...

    @property
    def modified_s(self) -> float:
        """When it was written, in seconds since the epoch."""
        ...


@dataclass(frozen=True)
class FileStat:
    """Key, size in bytes and time of writing (seconds since the epoch) of one file."""

    key: str
    bytes: int
    modified_s: float


class ObjectStore(Protocol):
    """Objects named by keys with slashes, below one root."""

    @property
    def root(self) -> str:
        """Root as a URI or path."""
        ...

    def uri(self, key: str) -> str:
        """Return what Spark opens for ``key``."""
        ...

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Create the object durably; return False, changing nothing, when it exists."""
        ...

    def read(self, key: str) -> bytes:
        """Return the content; StorageError when the object is missing."""
        ...

    def exists(self, key: str) -> bool:
        """Say whether the object exists."""
        ...

    def open(self, key: str) -> IO[bytes]:
        """Open an object for reading from any position."""
        ...

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of the content, as hex digits."""
        ...

    def stat(self, prefix: str) -> Sequence[ObjectStat]:
        """Return all objects below ``prefix``, sorted by key, without unfinished ones."""
        ...

    def delete_tree(self, prefix: str) -> None:
        """Delete everything below ``prefix``."""
        ...


class LocalObjects:
    """Objects as files of one folder.

    An object appears under its name in one step (a hard link to a complete, synced file), so a
    reader never sees a part of it and of two writers exactly one wins.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def root(self) -> str:
        """Root folder."""
        return str(self._root)

    def path(self, key: str) -> Path:
        """Return the file of ``key``."""
        return self._root / key

    def uri(self, key: str) -> str:
        """Return the path as Spark opens it: with a scheme, and nothing in it escaped."""
        return f"file://{self.path(key)}"

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Create the file durably; return False, changing nothing, when it exists."""
        target = self.path(key)
        if target.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{_TEMPORARY}{uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return True

    def read(self, key: str) -> bytes:
        """Return the file's content.

        Raises:
            StorageError: The file is not there or cannot be read.
        """
        try:
            return self.path(key).read_bytes()
        except OSError as error:
            raise StorageError(
                f"storage: cannot read {key} below {self._root} ({error.strerror})",
                hint="was the workspace moved or cleaned while it was in use?",
            ) from error

    def exists(self, key: str) -> bool:
        """Say whether the file exists."""
        return self.path(key).is_file()

    def open(self, key: str) -> IO[bytes]:
        """Open the file for reading."""
        return self.path(key).open("rb")

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of the content, as hex digits."""
        with self.path(key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def stat(self, prefix: str) -> Sequence[ObjectStat]:
        """Return all files below ``prefix``, sorted by key, without unfinished ones."""
        return sorted(self._walk(self.path(prefix)), key=lambda found: found.key)

    def _walk(self, folder: Path) -> Iterator[FileStat]:
        for parent, _, names in os.walk(folder):
            for name in names:
                if not name.startswith(_TEMPORARY):
                    file = Path(parent) / name
                    key = file.relative_to(self._root).as_posix()
                    found = file.stat()
                    yield FileStat(key, found.st_size, found.st_mtime)

    def delete_tree(self, prefix: str) -> None:
        """Delete the folder ``prefix``."""
        shutil.rmtree(self.path(prefix), ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a new directory entry survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_objects(location: str, *, base: Path) -> LocalObjects:
    """Open the store at ``location``: a folder (relative ones start at ``base``) or ``file:`` URI.

    Raises:
        StorageError: The scheme is not supported.
    """
    parts = urlsplit(location)
    if parts.scheme in {"", "file"}:
        path = Path(unquote(parts.path)) if parts.scheme else Path(location).expanduser()
        return LocalObjects(path if path.is_absolute() else base / path)
    raise StorageError(
        f"project.workspace: scheme {parts.scheme!r} is not supported, got {location!r}",
        hint="use a folder, a file: URI or s3://bucket/folder",
    )
