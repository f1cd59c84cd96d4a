"""What earlier runs of a project tell: how long each step took, over how much data, where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_spark import flow
from crisp_spark.engine.commits import Commit
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.data import FileSource

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

_GLOB_SIGNS = "*?["


@dataclass(frozen=True)
class StepRecord:
    """One step that ran.

    Attributes:
        step: Its name.
        phase: Its phase.
        run_id: The run.
        place: Where it ran: kind of the target's compute.
        ended: When it was committed.
        seconds: How long it took.
        input_bytes: Size of all source files of the ingest before it; 0 where unknown.
    """

    step: str
    phase: str
    run_id: str
    place: str
    ended: datetime
    seconds: float
    input_bytes: int

    @property
    def started(self) -> datetime:
        """When it began."""
        return self.ended - timedelta(seconds=self.seconds)


def step_records(workspace: Workspace) -> list[StepRecord]:
    """Return every step that was ever committed in the workspace, oldest first; starts no Spark."""
    sizes = [(one.created, _bytes_in(one)) for one in workspace.commits.all("ingest")]
    places: dict[str, str] = {}
    found = []
    for step in flow.FLOW:
        for commit in workspace.commits.all(step.name):
            if commit.run_id not in places:
                places[commit.run_id] = _place(workspace, commit.run_id)
            before = [size for created, size in sizes if created <= commit.created]
            found.append(
                StepRecord(
                    step=step.name,
                    phase=step.phase.value,
                    run_id=commit.run_id,
                    place=places[commit.run_id],
                    ended=commit.created,
                    seconds=commit.seconds,
                    input_bytes=before[-1] if before else 0,
                )
            )
    return sorted(found, key=lambda record: record.ended)


def source_bytes(project: LoadedProject) -> int:
    """Return the size of all local source files as they are now; 0 where there is none.

    Files in S3, databases and catalog tables are not looked at: the last ingest tells their size.
    """
    return sum(
        file.stat().st_size
        for source in project.spec.data.sources.values()
        if isinstance(source, FileSource)
        for path in source.path
        for file in _local_files(path, project.project_dir)
    )


def _local_files(path: str, base: Path) -> Iterator[Path]:
    if "://" in path:
        return
    place = Path(path)
    if any(sign in path for sign in _GLOB_SIGNS):
        root = Path(place.anchor) if place.is_absolute() else base
        found = list(root.glob(str(place.relative_to(place.anchor))))
    else:
        found = [base / place]
    for one in found:
        if one.is_dir():
            yield from (file for file in one.rglob("*") if file.is_file())
        elif one.is_file():
            yield one


def _bytes_in(ingest: Commit) -> int:
    sources = ingest.result.get("sources", {})
    return sum(int(receipt.get("bytes", 0)) for receipt in sources.values())


def _place(workspace: Workspace, run_id: str) -> str:
    key = f"runs/{run_id}/run.json"
    if not workspace.objects.exists(key):
        return "local"
    return str(json.loads(workspace.objects.read(key)).get("compute", "local"))
