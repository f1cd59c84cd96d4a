"""Records and registered models as objects of the workspace, where there is no MLflow server.

A workspace in S3 cannot hold MLflow's database. Everything that a server would be told is kept::

    tracking/<run_id>/<step>/<id>/step.json       parameters, numbers, tags, trials, how it ended
    tracking/<run_id>/<step>/<id>/artifacts/...   texts
    registry/<name>/<version>.json                one registered version; the highest is the newest
    registered/<name>/<id>/...                    its pipeline
    registered/<name>/v<version>-<digest>/...     a file attached to a version, and its tags
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from crisp_spark.tracking.tracker import Registered, StepTracker, Trial

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame


class Listed(Protocol):
    """An object of a listing."""

    @property
    def key(self) -> str:
        """Key below the root."""
        ...


class Objects(Protocol):
    """The part of a store of objects that records need."""

    def uri(self, key: str) -> str:
        """Return what Spark opens for ``key``."""
        ...

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Create an object; return False when it exists."""
        ...

    def stat(self, prefix: str) -> Sequence[Listed]:
        """Return all objects below ``prefix``."""
        ...


class ObjectsTracker:
    """Records of one run of the flow as objects.

    Args:
        objects: The workspace.
        run_id: Id of the flow's run.
        tags: Tags of every step.
    """

    def __init__(self, objects: Objects, run_id: str, *, tags: Mapping[str, str]) -> None:
        self._objects = objects
        self._run_id = run_id
        self._tags = dict(tags)

    @contextmanager
    def step(self, name: str, *, tags: Mapping[str, str]) -> Iterator[StepTracker]:
        """Open the step's records; they are written when it ends, also by an exception."""
        key = step_key(self._run_id, name)
        tracker = ObjectsStepTracker(self._objects, key, {**self._tags, **tags})
        try:
            yield tracker
        except BaseException as error:
            tracker.end({"status": "FAILED", "error": str(error)})
            raise
        tracker.end({"status": "FINISHED"})

    def finish(self, *, failed: bool) -> None:
        """Note how the run (or this part of it) ended."""
        status = {"status": "FAILED" if failed else "FINISHED"}
        _put(self._objects, f"tracking/{self._run_id}/end-{uuid4().hex[:12]}.json", status)


def step_key(run_id: str, step: str) -> str:
    """Return a new key for the records of a step."""
    return f"tracking/{run_id}/{step}/{uuid4().hex[:12]}"


class ObjectsStepTracker:
    """Records of one step."""

    def __init__(self, objects: Objects, key: str, tags: Mapping[str, str]) -> None:
        self.run_id = key
        self._objects = objects
        self._params: dict[str, Any] = {}
        self._metrics: dict[str, float] = {}
        self._tags = dict(tags)
        self._trials: list[Trial] = []

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters."""
        self._params |= values

    def metrics(self, values: Mapping[str, float]) -> None:
        """Record numbers; values that are not finite are left out."""
        self._metrics |= {name: value for name, value in values.items() if math.isfinite(value)}

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self._tags |= values

    def text(self, name: str, content: str) -> None:
        """Keep a text (JSON, HTML)."""
        self._objects.put_if_absent(f"{self.run_id}/artifacts/{name}", content.encode())

    def live(self, values: Mapping[str, float], step: int) -> None:
        """Record the latest of numbers that change."""
        del step
        self.metrics(values)

    def trial(self, trial: Trial, *, own_run: bool = False) -> None:
        """Record one trial."""
        del own_run
        if all(known.name != trial.name for known in self._trials):
            self._trials.append(trial)

    def register(
        self,
        name: str,
        model: PipelineModel,
        *,
        example: DataFrame,
        alias: str,
        tags: Mapping[str, str],
        description: str,
    ) -> Registered:
        """Save the pipeline and register the next free version of ``name``."""
        folder = f"registered/{name}/{uuid4().hex[:12]}"
        model.write().save(self._objects.uri(folder))
        uri = self._objects.uri(folder)
        entry = {
            "name": name,
            "uri": uri,
            "alias": alias,
            "tags": dict(tags),
            "description": description,
            "columns": list(example.columns),
            "run_id": self.run_id,
        }
        versions = [int(item.key[-11:-5]) for item in self._objects.stat(f"registry/{name}")]
        version = max(versions, default=0) + 1
        while not _put(
            self._objects, f"registry/{name}/{version:06d}.json", {**entry, "version": str(version)}
        ):
            version += 1
        return Registered(name, str(version), uri, alias, self.run_id)

    def attach(
        self, registered: Registered, file: str, content: bytes, *, tags: Mapping[str, str]
    ) -> str:
        """Keep a file with a registered version, and its tags beside it."""
        digest = hashlib.sha256(content).hexdigest()
        folder = f"registered/{registered.name}/v{registered.version}-{digest[:12]}"
        self._objects.put_if_absent(f"{folder}/{file}", content)
        _put(self._objects, f"{folder}/tags.json", dict(tags))
        return self._objects.uri(f"{folder}/{file}")

    def end(self, how: Mapping[str, str]) -> None:
        """Write what was recorded."""
        document = {
            **how,
            "params": self._params,
            "metrics": self._metrics,
            "tags": self._tags,
            "trials": [asdict(trial) for trial in self._trials],
        }
        _put(self._objects, f"{self.run_id}/step.json", document)


def _put(objects: Objects, key: str, document: Mapping[str, Any]) -> bool:
    text = json.dumps(dict(document), indent=1, ensure_ascii=False, default=str)
    return objects.put_if_absent(key, text.encode())
