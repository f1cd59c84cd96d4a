"""The world of one step while it runs, over a real workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from crisp_spark.engine import tables
from crisp_spark.engine.commits import Commit, DataFile, TableCommit
from crisp_spark.errors import CrispError, StorageError
from crisp_spark.flow import Step, producer_of
from crisp_spark.run.steprun import R, StepProgress, Written
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame, SparkSession

    from crisp_spark.spec.project import ProjectSpec
    from crisp_spark.tracking.tracker import StepTracker


class ActiveStep:
    """A :class:`~crisp_spark.run.steprun.StepRun` whose outputs stay invisible until the commit.

    Args:
        step: The step that runs.
        workspace: Where it reads and writes.
        inputs: Commit of each step that it reads from.
        stage_key: Key of the work.
        run_id: Id of the run.
        started: When the step started.
        session: Gives the Spark session on first use.
        tracker: Records of the step.
        on_progress: Told how far the step is.
        loaded: Pipelines by their folder that earlier steps of the run have loaded: a long one
            takes seconds. A folder's content never changes.
    """

    def __init__(
        self,
        step: Step,
        workspace: Workspace,
        *,
        inputs: Mapping[str, Commit],
        stage_key: str,
        run_id: str,
        started: datetime,
        session: Callable[[], SparkSession],
        tracker: StepTracker,
        on_progress: Callable[[StepProgress], None] = lambda _progress: None,
        loaded: dict[str, PipelineModel] | None = None,
    ) -> None:
        self.step = step
        self.spec: ProjectSpec = workspace.project.spec
        self.project_dir: Path = workspace.project.project_dir
        self.run_id = run_id
        self.started = started
        self.tracker = tracker
        self.tables: dict[str, TableCommit] = {}
        self.models: dict[str, tuple[DataFile, ...]] = {}
        self.model_roots: dict[str, str] = {}
        self.files: dict[str, DataFile] = {}
        self._workspace = workspace
        self._objects = workspace.objects
        self._inputs = inputs
        self._stage_key = stage_key
        self._session = session
        self._on_progress = on_progress
        self._loaded = {} if loaded is None else loaded
        self._attempt = uuid4().hex[:12]

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started on first use."""
        return self._session()

    def read(self, table: str) -> DataFrame:
        """Open a published table."""
        published = self._input_table(table)
        return tables.read_table(self._objects, self.spark, published)

    def has(self, table: str) -> bool:
        """Say whether an input table was published."""
        self._must_declare(table)
        commit = self._inputs.get(producer_of(table).name)
        return commit is not None and table in commit.tables

    def rows(self, table: str) -> int:
        """Rows of a published input table, from its commit; no Spark job."""
        return self._input_table(table).rows

    def result(self, kind: type[R]) -> R:
        """Result of the step ``kind.step``.

        Raises:
            StorageError: That step has not run.
        """
        found = self.result_or_none(kind)
        if found is None:
            raise StorageError(
                f"{self.step.name}: needs the result of {kind.step}, which has not run",
                hint=f"run `crisp run --from {kind.step}`",
            )
        return found

    def result_or_none(self, kind: type[R]) -> R | None:
        """Result of the step ``kind.step``, or None where it has not run."""
        if kind.step == self.step.name:
            commit = self._workspace.commits.current(kind.step)
        elif kind.step in self.step.results:
            commit = self._inputs.get(kind.step)
        else:
            raise CrispError(
                f"flow: {self.step.name} reads the result of {kind.step} without declaring it",
                hint="add it to the step's `results` in crisp_spark/flow.py",
            )
        return kind.model_validate(commit.result) if commit else None

    def write(self, table: str, frame: DataFrame) -> Written:
        """Write a table of this step's attempt; it is published when the step ends."""
        if not any(
            table == name or (name.endswith(".*") and table.startswith(name[:-1]))
            for name in self.step.writes
        ):
            raise CrispError(f"flow: {self.step.name} writes {table} without declaring it")
        commit = tables.write_table(self._objects, self._folder(table), table, frame)
        self.tables[table] = commit
        size = sum(file.bytes for file in commit.files)
        return Written(name=table, rows=commit.rows, bytes=size, files=len(commit.files))

    def reread(self, table: str) -> DataFrame:
        """Open a table that this step has just written."""
        return tables.read_table(self._objects, self.spark, self.tables[table])

    def write_model(self, name: str, model: PipelineModel) -> None:
        """Save a fitted pipeline with the step."""
        root = self._folder(f"model.{name}")
        self.models[name] = tables.write_model(self._objects, root, model)
        self.model_roots[name] = root

    def model(self, name: str) -> PipelineModel:
        """Load a fitted pipeline that an input step saved.

        Raises:
            StorageError: No input step saved one of that name.
        """
        for commit in self._inputs.values():
            if name in commit.models:
                self._session()  # models are loaded into a session that is there
                root = commit.model_roots[name]
                if root not in self._loaded:
                    files = commit.models[name]
                    self._loaded[root] = tables.read_model(self._objects, root, files)
                return self._loaded[root]
        raise StorageError(f"{self.step.name}: no input step saved a model {name!r}")

    def write_file(self, name: str, content: bytes) -> None:
        """Keep a file (a page, a suite) with the step; ``name`` may hold slashes."""
        key = f"{self._folder(f'files.{self.step.name}')}/{name}"
        self._objects.put_if_absent(key, content)
        self.files[name] = DataFile(
            key=key, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
        )

    def commits(self, step: str) -> Sequence[Mapping[str, Any]]:
        """Earlier commits of a step in this workspace, oldest first."""
        return [
            {
                "result": commit.result,
                "created": commit.created,
                "run_id": commit.run_id,
                "stage_key": commit.stage_key,
                "inputs": commit.inputs,
                "seconds": commit.seconds,
                "versions": commit.versions,
            }
            for commit in self._workspace.commits.all(step)
        ]

    def earlier_model(self, step: str, stage_key: str, name: str) -> PipelineModel | None:
        """Load a fitted pipeline of an earlier commit; None where it is gone."""
        commits = self._workspace.commits
        commit = commits.find(step, stage_key)
        if commit is None or name not in commit.models or not commits.intact(commit):
            return None
        self._session()
        return tables.read_model(self._objects, commit.model_roots[name], commit.models[name])

    def earlier_file(self, step: str, stage_key: str, name: str) -> bytes | None:
        """Read a file kept with an earlier commit; None where it is gone."""
        commit = self._workspace.commits.find(step, stage_key)
        if commit is None or name not in commit.files:
            return None
        key = commit.files[name].key
        return self._objects.read(key) if self._objects.exists(key) else None

    def lineage(self) -> Mapping[str, str]:
        """Stage keys of the input steps' commits: what the step's output is made from."""
        return {name: commit.stage_key for name, commit in sorted(self._inputs.items())}

    def journal(self) -> Mapping[str, Mapping[str, Any]]:
        """Entries that earlier, unfinished attempts at the very same work left behind."""
        return self._workspace.commits.journal(self.step.name, self._stage_key)

    def record(self, key: str, entry: Mapping[str, Any]) -> None:
        """Add a journal entry that survives a crash of this attempt."""
        self._workspace.commits.record(self.step.name, self._stage_key, key, entry)

    def progress(self, progress: StepProgress) -> None:
        """Tell the person who watches how far the step is."""
        self._on_progress(progress)

    def _folder(self, table: str) -> str:
        return f"data/{table}/{self._stage_key}/{self._attempt}"

    def _must_declare(self, table: str) -> None:
        if not any(
            table == name or (name.endswith(".*") and table.startswith(name[:-1]))
            for name in self.step.reads
        ):
            raise CrispError(
                f"flow: {self.step.name} reads {table} without declaring it",
                hint="add it to the step's `reads` in crisp_spark/flow.py",
            )

    def _input_table(self, table: str) -> TableCommit:
        self._must_declare(table)
        producer = producer_of(table).name
        commit = self._inputs.get(producer)
        if commit is None or table not in commit.tables:
            raise StorageError(
                f"{self.step.name}: table {table} is not published",
                hint=f"run `crisp run --from {producer}`",
            )
        return commit.tables[table]
