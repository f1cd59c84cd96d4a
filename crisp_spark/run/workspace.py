"""The workspace of a project: its objects, commits and run records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from crisp_spark.engine.commits import Commit, Commits
from crisp_spark.engine.objects import LocalObjects, ObjectStore
from crisp_spark.errors import UsageError
from crisp_spark.run.places import open_place

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject


class Workspace:
    """Everything that a project keeps between runs."""

    def __init__(self, project: LoadedProject) -> None:
        self.project = project
        self.objects: ObjectStore = open_place(
            project.spec.project.workspace, base=project.project_dir
        )
        self.commits = Commits(self.objects)

    @property
    def folder(self) -> Path:
        """The workspace as a local folder."""
        if not isinstance(self.objects, LocalObjects):
            raise UsageError(
                f"workspace: {self.objects.root} is no local folder",
                hint="name an MLflow server: project.tracking_uri or MLFLOW_TRACKING_URI",
            )
        return Path(self.objects.root)

    def pinned(self, run_id: str, step: str) -> Commit | None:
        """Return the commit that the run made or took up for the step, or None."""
        pins = self._pins(run_id, step)
        if not pins:
            return None
        return self.commits.find(step, json.loads(self.objects.read(pins[-1]))["stage_key"])

    def commit_for(self, run_id: str, step: str) -> Commit | None:
        """Return the commit a run reads for the step: its own, else the current one."""
        return self.pinned(run_id, step) or self.commits.current(step)

    def pin(self, run_id: str, commit: Commit) -> None:
        """Note which commit the run uses for a step from now on; the last note counts."""
        number = len(self._pins(run_id, commit.step)) + 1
        document = {"stage_key": commit.stage_key}
        while not self.put(f"runs/{run_id}/steps/{commit.step}/{number:06d}.json", document):
            number += 1

    def _pins(self, run_id: str, step: str) -> list[str]:
        return [found.key for found in self.objects.stat(f"runs/{run_id}/steps/{step}")]

    def put(self, key: str, document: Mapping[str, Any]) -> bool:
        """Create a JSON document unless it exists."""
        return self.objects.put_if_absent(
            key, json.dumps(dict(document), indent=1, ensure_ascii=False, default=str).encode()
        )


def new_run_id() -> str:
    """Return a run id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"
