"""Publication: one put-if-absent commit names everything that a step put out.

Layout below the workspace::

    data/<table>/<stage_key>/<attempt>/...   written once, never overwritten
    commits/<step>/<stage_key>.json          the only commit point; lists all outputs of the step
    current/<step>/<number>.json             numbered pointers; readers take the highest
    journal/<step>/<stage_key>/<entry>.json  what an unfinished attempt already achieved

A killed writer loses its attempt and nothing else; of two writers of the same work one commit
wins and the other's files stay invisible. No lock, rename or delete is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from crisp_spark.engine.objects import ObjectStore
from crisp_spark.errors import StorageError
from crisp_spark.spec.base import canonical_json


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataFile(_Document):
    """One published file: key below the workspace, size, checksum and rows (None: not a table)."""

    key: str
    bytes: int
    sha256: str
    rows: int | None = None


class TableCommit(_Document):
    """One published table: Spark schema (JSON) and exactly the files that hold its rows."""

    name: str
    rows: int
    spark_schema: str
    files: tuple[DataFile, ...]


class Commit(_Document):
    """All that a step put out, with what it was made from."""

    step: str
    stage_key: str
    run_id: str
    created: datetime
    seconds: float
    result: dict[str, Any]
    tables: dict[str, TableCommit] = {}
    models: dict[str, tuple[DataFile, ...]] = {}
    model_roots: dict[str, str] = {}
    files: dict[str, DataFile] = {}
    inputs: dict[str, str] = {}
    """Step name to the stage key of the commit that was read."""
    ingredients: dict[str, str] = {}
    """What the stage key was made of: code, spec, versions, as digests."""
    versions: dict[str, str] = {}
    tracking_run_id: str = ""


class Commits:
    """Reads and writes commits, pointers and journals of one workspace."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def find(self, step: str, stage_key: str) -> Commit | None:
        """Return the commit of exactly this work, or None."""
        key = _commit_key(step, stage_key)
        if not self._objects.exists(key):
            return None
        return self._parse(key)

    def current(self, step: str) -> Commit | None:
        """Return the commit that the highest pointer names, or None when nothing is published.

        Raises:
            StorageError: The pointer names a commit that is missing or was changed.
        """
        pointers = self._pointers(step)
        if not pointers:
            return None
        pointer = json.loads(self._objects.read(pointers[-1]))
        key = _commit_key(step, pointer["stage_key"])
        found = hashlib.sha256(self._objects.read(key)).hexdigest()
        if found != pointer["sha256"]:
            raise StorageError(
                f"{key}: checksum differs from the one that {pointers[-1]} recorded",
                hint=f"the commit was changed by hand; run `crisp run --only {step} --force`",
            )
        return self._parse(key)

    def all(self, step: str) -> list[Commit]:
        """Return every commit of the step, oldest first."""
        keys = [found.key for found in self._objects.stat(f"commits/{step}")]
        return sorted((self._parse(key) for key in keys), key=lambda commit: commit.created)

    def publish(self, commit: Commit) -> Commit:
        """Commit, or return the commit of the same work that another writer got in first."""
        content = canonical_json(commit).encode()
        self._objects.put_if_absent(_commit_key(commit.step, commit.stage_key), content)
        published = self._parse(_commit_key(commit.step, commit.stage_key))
        self.point_to(published)
        return published

    def point_to(self, commit: Commit) -> None:
        """Make ``commit`` the current one; does nothing when it is."""
        content = self._objects.read(_commit_key(commit.step, commit.stage_key))
        pointer = {
            "stage_key": commit.stage_key,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        while True:
            pointers = self._pointers(commit.step)
            if pointers and json.loads(self._objects.read(pointers[-1])) == pointer:
                return
            number = _pointer_number(pointers[-1]) + 1 if pointers else 1
            key = f"current/{commit.step}/{number:09d}.json"
            if self._objects.put_if_absent(key, canonical_json(pointer).encode()):
                return

    def intact(self, commit: Commit) -> bool:
        """Say whether every file that the commit names is there with its size."""
        folders = {file.key.rsplit("/", 1)[0] for file in _files(commit)}
        found = [item for folder in folders for item in self._objects.stat(folder)]
        sizes = {item.key: item.bytes for item in found}
        return all(sizes.get(file.key) == file.bytes for file in _files(commit))

    def journal(self, step: str, stage_key: str) -> dict[str, dict[str, Any]]:
        """Return the journal entries of this very work."""
        entries = {}
        for found in self._objects.stat(f"journal/{step}/{stage_key}"):
            document = json.loads(self._objects.read(found.key))
            entries[document["key"]] = document["entry"]
        return entries

    def record(self, step: str, stage_key: str, key: str, entry: Mapping[str, Any]) -> None:
        """Add a journal entry; the first entry of a key stays."""
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._objects.put_if_absent(
            f"journal/{step}/{stage_key}/{name}.json",
            json.dumps({"key": key, "entry": dict(entry)}, ensure_ascii=False).encode(),
        )

    def _pointers(self, step: str) -> list[str]:
        return [found.key for found in self._objects.stat(f"current/{step}")]

    def _parse(self, key: str) -> Commit:
        try:
            return Commit.model_validate_json(self._objects.read(key))
        except ValidationError as error:
            raise StorageError(
                f"{key}: not a commit this version can read ({error.error_count()} faults)",
                hint="run `crisp run --force` to publish anew",
            ) from error


def file_roots(commit: Commit) -> Sequence[str]:
    """Return the attempt folders that the commit refers to."""
    return sorted({"/".join(file.key.split("/")[:4]) for file in _files(commit)})


def _files(commit: Commit) -> list[DataFile]:
    tables = [file for table in commit.tables.values() for file in table.files]
    models = [file for files in commit.models.values() for file in files]
    return [*tables, *models, *commit.files.values()]


def _commit_key(step: str, stage_key: str) -> str:
    return f"commits/{step}/{stage_key}.json"


def _pointer_number(key: str) -> int:
    return int(key.rsplit("/", 1)[1].removesuffix(".json"))
