"""What is published: the current table of every step, as other programs may read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crisp_spark import flow
from crisp_spark.errors import StorageError
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from crisp_spark.engine.commits import Commit, TableCommit
    from crisp_spark.spec.load import LoadedProject

_UNSAFE = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True)
class PublishedTable:
    """One table at its published version.

    Attributes:
        name: Name in the flow, such as ``clean.flights``.
        view: Name in SQL, such as ``clean_flights``.
        step: Step that wrote it.
        stage_key: Key of the work that wrote it: the version.
        run_id: Run that wrote it.
        location: Folder that holds exactly its files, as a URI.
        rows: Rows.
        bytes: Bytes.
        columns: Name of each column in SQL, its own name, and its Spark type (as Spark's JSON).
    """

    name: str
    view: str
    step: str
    stage_key: str
    run_id: str
    location: str
    rows: int
    bytes: int
    columns: tuple[tuple[str, str, Any], ...]


def published_tables(project: LoadedProject) -> list[PublishedTable]:
    """Return all current tables in the order of the flow; starts no Spark.

    Raises:
        StorageError: A table's folder holds other files than were published.
    """
    workspace = Workspace(project)
    found = []
    for step in flow.FLOW:
        commit = workspace.commits.current(step.name)
        for name, table in sorted(commit.tables.items()) if commit else ():
            if commit is not None:
                found.append(_published(workspace, commit, name, table))
    return found


def _published(
    workspace: Workspace, commit: Commit, name: str, table: TableCommit
) -> PublishedTable:
    # Of an empty table there may be no file at all; its version still has a place of its own.
    folders = {file.key.rsplit("/", 1)[0] for file in table.files} or {
        f"data/{name}/{commit.stage_key}/empty"
    }
    if len(folders) != 1:
        raise StorageError(
            f"{name}: its files are in {len(folders)} folders, one is needed to register it",
            hint=f"run `crisp run --only {commit.step} --force`",
        )
    (folder,) = folders
    listed = {item.key for item in workspace.objects.stat(folder) if item.key.endswith(".parquet")}
    stray = listed ^ {file.key for file in table.files}
    if stray:
        raise StorageError(
            f"{name}: {folder} holds other files than were published ({min(stray)})",
            hint=f"run `crisp run --only {commit.step} --force`",
        )
    fields = json.loads(table.spark_schema)["fields"]
    names = safe_names(field["name"] for field in fields)
    return PublishedTable(
        name=name,
        view=view_name(name),
        step=commit.step,
        stage_key=commit.stage_key,
        run_id=commit.run_id,
        location=workspace.objects.uri(folder),
        rows=table.rows,
        bytes=sum(file.bytes for file in table.files),
        columns=tuple(
            (safe, field["name"], field["type"]) for safe, field in zip(names, fields, strict=True)
        ),
    )


def view_name(table: str) -> str:
    """Return the name of a table in SQL: ``clean.flights`` is ``clean_flights``."""
    return _UNSAFE.sub("_", table.lower()).strip("_") or "t"


def safe_names(names: Iterable[str]) -> Sequence[str]:
    """Return column names that every engine takes: lower case, ``a-z 0-9 _``, no two the same."""
    given: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        safe = _UNSAFE.sub("_", name.lower())
        safe = safe if safe.strip("_") else f"c_{len(found) + 1}"
        number = given.get(safe, 0) + 1
        given[safe] = number
        candidate = safe if number == 1 else f"{safe}_{number}"
        while number > 1 and candidate in given:
            number += 1
            candidate = f"{safe}_{number}"
        given.setdefault(candidate, 1)
        found.append(candidate)
    return found


def database_name(project: str) -> str:
    """Return the name of a project's database."""
    return view_name(project)
