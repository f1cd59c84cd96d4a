"""Aliases: numbered records that say which bundle answers, never overwritten.

Below the place of a model lie ``bundles/<digest>/<file>`` and ``aliases/<alias>/<number>.json``.
The record with the highest number holds; a roll-back is one more record. A reader that knows the
last key asks for keys behind it, and an unmoved alias costs one small listing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from crisp_spark.errors import ModelError, StorageError
from crisp_spark.serving.endpoint.s3 import S3, split_uri

FORMAT = 1
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST_BUNDLE = 512 << 20


class Store(Protocol):
    """Where a model's bundles and aliases lie."""

    @property
    def place(self) -> str:
        """Path or URI."""
        ...

    def keys_after(self, folder: str, after: str = "") -> list[str]:
        """Return keys below a folder, in order, that follow ``after``."""
        ...

    def read(self, key: str) -> bytes:
        """Return an object; StorageError where there is none."""
        ...


@dataclass(frozen=True)
class Move:
    """An alias was moved.

    Attributes:
        number: Number of the move, from 1.
        alias: The alias.
        model: Name of the model.
        version: Version that it points at now.
        digest: SHA-256 over names and SHA-256 of the bundle's files.
        files: Name of each file of the bundle to its SHA-256.
        at: When, in UTC.
        by: Who moved it.
        reason: Why.
        kind: ``deploy``, ``promote`` or ``rollback``.
        format: Version of this record.
    """

    number: int
    alias: str
    model: str
    version: str
    digest: str
    files: Mapping[str, str]
    at: str
    by: str
    reason: str
    kind: str = "deploy"
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        """Return the record as JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def digest_of(files: Mapping[str, str]) -> str:
    """Return the digest of a bundle from those of its files."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def move_key(alias: str, number: int) -> str:
    """Return the key of a move's record."""
    return f"aliases/{alias}/{number:08d}.json"


def read_move(store: Store, key: str) -> Move:
    """Read a record and check it.

    Raises:
        ModelError: It is damaged, or of a later format.
    """
    place = f"{store.place}/{key}"
    try:
        content = json.loads(store.read(key))
    except ValueError as error:
        raise ModelError(f"model: {place} is no JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(
            f"model: {place} is of format {_format(content)}, this version reads {FORMAT}",
            hint="update what serves the model",
        )
    try:
        move = Move(**content)
    except TypeError as error:
        raise ModelError(f"model: {place} is damaged ({error})") from error
    sound = all(
        _FILE_NAME.fullmatch(name) and _DIGEST.fullmatch(digest)
        for name, digest in move.files.items()
    )
    if not move.files or not sound or digest_of(move.files) != move.digest:
        raise ModelError(f"model: {place} is damaged (files and digest do not agree)")
    return move


def _format(content: Any) -> Any:
    return content.get("format") if isinstance(content, dict) else None


def newest_move(store: Store, alias: str, after: str = "") -> tuple[str, Move] | None:
    """Return key and record of the newest move behind ``after``; None where there is none."""
    keys = [key for key in store.keys_after(f"aliases/{alias}", after) if key.endswith(".json")]
    return (keys[-1], read_move(store, keys[-1])) if keys else None


def fetch_bundle(store: Store, move: Move, cache: Path) -> Path:
    """Bring a bundle into a folder, each file checked before anything reads it.

    Args:
        store: Where it lies.
        move: Which one.
        cache: Folder for bundles; one that is there already is used after the same check.

    Raises:
        ModelError: A file is not what the record says.
        StorageError: A file is missing.
    """
    folder = cache / move.digest
    for name, wanted in move.files.items():
        file = folder / name
        if file.is_file() and _sha256(file.read_bytes()) == wanted:
            continue
        content = store.read(f"bundles/{move.digest}/{name}")
        if _sha256(content) != wanted:
            raise ModelError(
                f"model: {name} of {move.model} {move.version} is damaged (its checksum differs)",
                hint="publish the bundle again, or roll the alias back",
            )
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid4().hex}"  # several processes may share the folder
        part.write_bytes(content)
        part.replace(file)
    return folder


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Hold the files of a folder against their checksums.

    Raises:
        ModelError: One is missing or differs.
    """
    for name, wanted in files.items():
        file = folder / name
        if not file.is_file() or _sha256(file.read_bytes()) != wanted:
            raise ModelError(f"model: {file} is missing or damaged (its checksum differs)")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FolderStore:
    """A model's place on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """Path."""
        return str(self._folder)

    def keys_after(self, folder: str, after: str = "") -> list[str]:
        """Return keys below a folder, in order, that follow ``after``."""
        found = (
            file.relative_to(self._folder).as_posix()
            for file in (self._folder / folder).rglob("*")
            if file.is_file()
        )
        return sorted(key for key in found if key > after)

    def read(self, key: str) -> bytes:
        """Return a file's content."""
        try:
            return (self._folder / key).read_bytes()
        except OSError as error:
            raise StorageError(f"model: cannot read {key} ({error.strerror})") from error


class S3Store:
    """A model's place in S3."""

    def __init__(self, uri: str, s3: S3) -> None:
        self._bucket, prefix = split_uri(uri)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._s3 = s3

    @property
    def place(self) -> str:
        """URI."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def keys_after(self, folder: str, after: str = "") -> list[str]:
        """Return keys below a folder, in order, that follow ``after``."""
        found = self._s3.keys_after(
            f"s3://{self._bucket}/{self._prefix}{folder}", after and self._prefix + after
        )
        return [key.removeprefix(self._prefix) for key in found]

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        return self._s3.read(f"s3://{self._bucket}/{self._prefix}{key}", most=_LARGEST_BUNDLE)
