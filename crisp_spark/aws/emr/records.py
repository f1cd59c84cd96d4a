"""What is remembered of submissions, so that the same run is never submitted twice.

Everything is a small object in the project's workspace, created by put-if-absent:

- ``submissions/<run_id>.json`` says where the run is: the one record that counts.
- ``submissions/<run_id>/claims/<n>.json`` is written before AWS is asked for anything. Whoever
  wrote the newest claim may ask; everybody else waits for the record.
- ``submissions/work/<work>/<n>.json`` names the run that does a piece of work (project, code and
  steps), so that the same command given twice finds the run that is under way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from crisp_spark.errors import UsageError

_ROOT = "submissions"


class Stored(Protocol):
    """One object of a listing."""

    @property
    def key(self) -> str:
        """Key below the root."""
        ...


class Objects(Protocol):
    """The part of an object store that records need."""

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Create the object; False, changing nothing, when it exists."""
        ...

    def read(self, key: str) -> bytes:
        """Return the content."""
        ...

    def exists(self, key: str) -> bool:
        """Say whether the object exists."""
        ...

    def stat(self, prefix: str) -> Sequence[Stored]:
        """Return all objects below the prefix, sorted by key."""
        ...


class Submission(BaseModel):
    """Where a run is.

    Attributes:
        run_id: Id of the run.
        project: Name of the project.
        kind: What it runs on.
        region: AWS Region.
        place: Id of the cluster, or of the EMR Serverless application.
        own_place: Whether the cluster was made for this run and ends with it.
        job: Id of the job run (EMR Serverless only).
        stages: Stage to the steps of the flow that it runs, in order.
        log_uri: S3 prefix of the logs.
        log_group: CloudWatch log group; empty: none.
        work: Digest of project, code and steps.
        submitted: When.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    project: str
    kind: Literal["emr", "emr-serverless"]
    region: str
    place: str
    own_place: bool = True
    job: str = ""
    stages: dict[str, tuple[str, ...]]
    log_uri: str = ""
    log_group: str = ""
    work: str = ""
    submitted: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def step_name(self, stage: str) -> str:
        """Return the name of the EMR step of a stage."""
        return step_name(self.run_id, stage)


def step_name(run_id: str, stage: str) -> str:
    """Return the name of the EMR step of a stage: it tells a run's steps from all others."""
    return f"crisp {run_id} {stage}"


def _refusal(run_id: str, number: int) -> str:
    return f"{_ROOT}/{run_id}/refused/{number:04d}.json"


@dataclass(frozen=True)
class Claim:
    """The right to ask AWS for a run.

    Attributes:
        number: 1 for the first.
        at: When it was made.
        refused: Whether AWS refused the request, so that the next claim is free.
    """

    number: int
    at: datetime
    refused: bool = False


class Submissions:
    """The records of a workspace.

    Args:
        objects: The workspace's objects.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def find(self, run_id: str) -> Submission | None:
        """Return the record of a run, or None."""
        key = f"{_ROOT}/{run_id}.json"
        if not self._objects.exists(key):
            return None
        return Submission.model_validate_json(self._objects.read(key))

    def get(self, run_id: str | None = None) -> Submission:
        """Return the record of a run, of the newest one when no id is given.

        Raises:
            UsageError: There is none.
        """
        if run_id is not None:
            found = self.find(run_id)
            if found is None:
                raise UsageError(
                    f"run {run_id!r}: was not submitted from this workspace",
                    hint="`crisp status --target NAME` lists the runs that were",
                )
            return found
        newest = self.newest(1)
        if not newest:
            raise UsageError("no run was submitted from this workspace", hint="see crisp submit")
        return newest[0]

    def newest(self, count: int) -> list[Submission]:
        """Return the records of the newest runs, the newest first."""
        names = [found.key.split("/") for found in self._objects.stat(_ROOT)]
        ids = [parts[1].removesuffix(".json") for parts in names if len(parts) == 2]  # noqa: PLR2004
        found = [record for record in map(self.find, ids) if record is not None]
        return sorted(found, key=lambda record: record.submitted, reverse=True)[:count]

    def settle(self, submission: Submission) -> Submission:
        """Record where the run is; return the record that counts, which may be another's."""
        key = f"{_ROOT}/{submission.run_id}.json"
        if self._objects.put_if_absent(key, submission.model_dump_json(indent=1).encode()):
            return submission
        return Submission.model_validate_json(self._objects.read(key))

    def claim(self, run_id: str, number: int) -> Claim | None:
        """Claim the right to ask AWS for the run; None when another has the claim."""
        claim = Claim(number, datetime.now(UTC))
        key = f"{_ROOT}/{run_id}/claims/{number:04d}.json"
        return claim if self._put(key, {"at": claim.at.isoformat()}) else None

    def last_claim(self, run_id: str) -> Claim | None:
        """Return the newest claim of the run, or None."""
        found = self._objects.stat(f"{_ROOT}/{run_id}/claims")
        if not found:
            return None
        key = found[-1].key
        at = datetime.fromisoformat(json.loads(self._objects.read(key))["at"])
        number = int(key.rsplit("/", 1)[1].removesuffix(".json"))
        return Claim(number, at, self._objects.exists(_refusal(run_id, number)))

    def refuse(self, run_id: str, claim: Claim) -> None:
        """Note that nothing came of a claim."""
        self._put(_refusal(run_id, claim.number), {})

    def runs_of(self, work: str) -> list[str]:
        """Return the ids of the runs that did, or do, a piece of work, in order."""
        found = self._objects.stat(f"{_ROOT}/work/{work}")
        return [str(json.loads(self._objects.read(one.key))["run_id"]) for one in found]

    def name_run(self, work: str, number: int, run_id: str) -> str:
        """Make ``run_id`` the ``number``-th run of the work; return the one that is it."""
        key = f"{_ROOT}/work/{work}/{number:04d}.json"
        self._put(key, {"run_id": run_id})
        return str(json.loads(self._objects.read(key))["run_id"])

    def _put(self, key: str, document: Mapping[str, Any]) -> bool:
        return self._objects.put_if_absent(key, json.dumps(dict(document)).encode())
