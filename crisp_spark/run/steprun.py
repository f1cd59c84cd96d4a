"""What a wiring function gets: read inputs, write attempts, keep a journal; nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from crisp_spark.results.base import StepResult
from crisp_spark.spec.project import ProjectSpec

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame, SparkSession

    from crisp_spark.tracking.tracker import StepTracker

R = TypeVar("R", bound=StepResult)


@dataclass(frozen=True)
class Written:
    """A table written but not yet published.

    Attributes:
        name: Table name.
        rows: Rows, from the footers of the written files.
        bytes: Size of all files.
        files: Number of files.
    """

    name: str
    rows: int
    bytes: int
    files: int


@dataclass(frozen=True)
class StepProgress:
    """How far a step is.

    Attributes:
        done: Parts done.
        total: Parts in all, as far as that is known.
        text: The rest in words.
    """

    done: int
    total: int
    text: str = ""


class StepRun(Protocol):
    """The world of one step while it runs. The runner commits all of it at once, or nothing."""

    spec: ProjectSpec
    project_dir: Path
    """Folder of the project file; relative source paths start here."""
    run_id: str
    started: datetime
    tracker: StepTracker

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started on first use."""
        ...

    def read(self, table: str) -> DataFrame:
        """Open a published table."""
        ...

    def has(self, table: str) -> bool:
        """Say whether an input table was published."""
        ...

    def rows(self, table: str) -> int:
        """Rows of a published input table, from its commit; no Spark job."""
        ...

    def result(self, kind: type[R]) -> R:
        """Result of the step ``kind.step``."""
        ...

    def result_or_none(self, kind: type[R]) -> R | None:
        """Result of the step ``kind.step``, or None where it has not run."""
        ...

    def write(self, table: str, frame: DataFrame) -> Written:
        """Write a table of this step's attempt; it is published when the step ends."""
        ...

    def reread(self, table: str) -> DataFrame:
        """Open a table that this step has just written."""
        ...

    def write_model(self, name: str, model: PipelineModel) -> None:
        """Save a fitted pipeline with the step."""
        ...

    def model(self, name: str) -> PipelineModel:
        """Load a fitted pipeline that an input step saved."""
        ...

    def write_file(self, name: str, content: bytes) -> None:
        """Keep a file (a page, a suite) with the step; ``name`` may hold slashes."""
        ...

    def commits(self, step: str) -> Sequence[Mapping[str, Any]]:
        """Earlier commits of a step in this workspace, oldest first.

        Each has ``result`` (the result as JSON), ``created``, ``run_id``, ``stage_key``,
        ``inputs`` (step to stage key), ``seconds`` and ``versions``.
        """
        ...

    def earlier_model(self, step: str, stage_key: str, name: str) -> PipelineModel | None:
        """Load a fitted pipeline of an earlier commit; None where it is gone."""
        ...

    def earlier_file(self, step: str, stage_key: str, name: str) -> bytes | None:
        """Read a file kept with an earlier commit; None where it is gone."""
        ...

    def lineage(self) -> Mapping[str, str]:
        """Stage keys of the input steps' commits: what the step's output is made from."""
        ...

    def journal(self) -> Mapping[str, Mapping[str, Any]]:
        """Entries that earlier, unfinished attempts at the very same work left behind."""
        ...

    def record(self, key: str, entry: Mapping[str, Any]) -> None:
        """Add a journal entry (a finished trial, say) that survives a crash of this attempt."""
        ...

    def progress(self, progress: StepProgress) -> None:
        """Tell the person who watches how far the step is."""
        ...


@dataclass(frozen=True)
class Note:
    """A line for the person who watches: ``crisp run`` prints it under the step."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Outcome:
    """What a wiring function returns."""

    result: StepResult
    notes: Sequence[Note] = field(default=())
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers for the step's MLflow run."""
