"""Runs steps in order, skips finished work, records failures."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from crisp_spark import __version__, flow
from crisp_spark.engine.commits import Commit
from crisp_spark.errors import CrispError, StorageError
from crisp_spark.results.base import StepResult
from crisp_spark.run.context import ActiveStep
from crisp_spark.run.keys import ingredients_of, pyspark_line, stage_key
from crisp_spark.run.places import open_session_for
from crisp_spark.run.steprun import Note, Outcome, StepProgress
from crisp_spark.run.tracked import open_tracker
from crisp_spark.run.wiring import wiring_of
from crisp_spark.run.workspace import Workspace, new_run_id

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.tracking.tracker import Tracker

logger = logging.getLogger(__name__)

State = Literal["started", "running", "done", "skipped", "failed"]


@dataclass(frozen=True)
class StepEvent:
    """Something that happened to a step, for the person who watches."""

    step: str
    state: State
    seconds: float = 0.0
    notes: Sequence[Note] = ()
    result: Mapping[str, Any] | None = None
    progress: StepProgress | None = None
    """How far it is, while it is running."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did."""

    run_id: str
    events: tuple[StepEvent, ...]


@dataclass
class Runner:
    """One run of (a part of) the flow.

    Attributes:
        project: The loaded project.
        run_id: Id of the run; jobs of one run share it.
        force: Run steps even where their work is already committed.
        tracker_factory: Opens the tracker, on the first step that really runs.
        on_event: Told of every start and end of a step.
    """

    project: LoadedProject
    run_id: str = field(default_factory=new_run_id)
    force: bool = False
    on_event: Callable[[StepEvent], None] = lambda _event: None
    tracker_factory: Callable[[Workspace, str], Tracker] = open_tracker
    _loaded: dict[str, PipelineModel] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def workspace(self) -> Workspace:
        """The project's workspace."""
        return Workspace(self.project)

    @cached_property
    def tracker(self) -> Tracker:
        """The tracker, opened on first use: a run that skips everything opens none."""
        return self.tracker_factory(self.workspace, self.run_id)

    @cached_property
    def session(self) -> SparkSession:
        """The Spark session, started on first use."""
        return open_session_for(self.project, self.run_id)

    def run(self, steps: Sequence[flow.Step]) -> RunSummary:
        """Run the steps in flow order.

        Raises:
            CrispError: A step failed; ``runs/<run_id>/failure-*.json`` in the workspace says why.
        """
        self.workspace.put(
            f"runs/{self.run_id}/run.json",
            {
                "run_id": self.run_id,
                "project": self.project.spec.project.name,
                "compute": self.project.compute.kind,
                "started": datetime.now(UTC).isoformat(),
                "crisp_spark": __version__,
            },
        )
        events: list[StepEvent] = []
        failed = True
        try:
            events.extend(self._one(step) for step in steps)
            failed = False
        finally:
            if "tracker" in self.__dict__:
                self.tracker.finish(failed=failed)
        return RunSummary(self.run_id, tuple(events))

    def _one(self, step: flow.Step) -> StepEvent:
        begun = time.monotonic()
        self.on_event(StepEvent(step.name, "started"))
        try:
            inputs = self._inputs(step)
            ingredients = ingredients_of(
                step,
                self.project.spec,
                project_dir=self.project.project_dir,
                inputs=inputs,
                run_id=self.run_id,
            )
            key = stage_key(ingredients)
            finished = None if self.force else self._finished(step, key)
            if finished is not None:
                self.workspace.pin(self.run_id, finished)
                event = StepEvent(
                    step.name, "skipped", time.monotonic() - begun, result=finished.result
                )
            else:
                key = f"{key}-{self.run_id}" if self.force else key
                commit, outcome = self._carry_out(step, key, inputs, ingredients)
                seconds = time.monotonic() - begun
                event = StepEvent(
                    step.name, "done", seconds, notes=outcome.notes, result=commit.result
                )
        except BaseException as error:
            self._record_failure(step, error)
            self.on_event(StepEvent(step.name, "failed", time.monotonic() - begun))
            raise
        self.on_event(event)
        return event

    def _inputs(self, step: flow.Step) -> dict[str, Commit]:
        producers = {flow.producer_of(table).name: table for table in step.reads}
        needed = {**{name: name for name in step.results}, **producers}
        found = {}
        for name, wanted in needed.items():
            commit = self.workspace.commit_for(self.run_id, name)
            if commit is not None:
                found[name] = commit
            elif wanted not in step.optional:
                raise StorageError(
                    f"{step.name}: needs the output of {name}, which has not run",
                    hint=f"run `crisp run --from {name}`",
                )
        return found

    def _finished(self, step: flow.Step, key: str) -> Commit | None:
        commits = self.workspace.commits
        current = commits.current(step.name)
        # Forced work, and work whose first files were lost, has a key of its own behind the key.
        redone = current is not None and current.stage_key.startswith(f"{key}-")
        commit = current if redone else commits.find(step.name, key)
        if commit is None or not commits.intact(commit):
            return None
        # A kill between commit and pointer leaves the pointer behind: moving it is idempotent.
        commits.point_to(commit)
        return commit

    def _carry_out(
        self,
        step: flow.Step,
        key: str,
        inputs: Mapping[str, Commit],
        ingredients: Mapping[str, str],
    ) -> tuple[Commit, Outcome]:
        begun = time.monotonic()
        tags = {"crisp.stage_key": key, "crisp.phase": step.phase.value}
        with self.tracker.step(step.name, tags=tags) as tracker:
            active = ActiveStep(
                step,
                self.workspace,
                inputs=inputs,
                stage_key=key,
                run_id=self.run_id,
                started=datetime.now(UTC),
                session=lambda: self.session,
                tracker=tracker,
                on_progress=lambda progress: self.on_event(
                    StepEvent(step.name, "running", time.monotonic() - begun, progress=progress)
                ),
                loaded=self._loaded,
            )
            logger.info("run %s step %s started", self.run_id, step.name)
            outcome = wiring_of(step)(active)
            seconds = time.monotonic() - begun
            published = self._publish(active, outcome.result, key, ingredients, seconds)
            tracker.metrics({**outcome.metrics, "seconds": seconds})
            tracker.text(f"{step.name}.json", json.dumps(published.result, indent=1))
            logger.info("run %s step %s done in %.1f s", self.run_id, step.name, seconds)
        return published, outcome

    def _publish(
        self,
        active: ActiveStep,
        result: StepResult,
        key: str,
        ingredients: Mapping[str, str],
        seconds: float,
    ) -> Commit:
        commit = Commit(
            step=active.step.name,
            stage_key=self._free_key(active.step, key),
            run_id=self.run_id,
            created=datetime.now(UTC),
            seconds=round(seconds, 3),
            result=result.model_dump(mode="json"),
            tables=active.tables,
            models=active.models,
            model_roots=active.model_roots,
            files=active.files,
            inputs=dict(active.lineage()),
            ingredients=dict(ingredients),
            versions={
                "crisp_spark": __version__,
                "pyspark": pyspark_line(),
                "mlflow": metadata.version("mlflow"),
            },
            tracking_run_id=active.tracker.run_id,
        )
        published = self.workspace.commits.publish(commit)
        self.workspace.pin(self.run_id, published)
        return published

    def _free_key(self, step: flow.Step, key: str) -> str:
        """Return a key of its own for work whose first commit lost its files."""
        first = self.workspace.commits.find(step.name, key)
        if first is None or self.workspace.commits.intact(first):
            return key
        return f"{key}-{self.run_id}"

    def _record_failure(self, step: flow.Step, error: BaseException) -> None:
        known = error if isinstance(error, CrispError) else None
        self.workspace.put(
            f"runs/{self.run_id}/failure-{step.name}-{time.time_ns()}.json",
            {
                "step": step.name,
                "kind": type(error).__name__,
                "message": str(error),
                "hint": known.hint if known else "",
                "exit_code": known.exit_code if known else 70,
                "retryable": known.retryable if known else False,
                "at": datetime.now(UTC).isoformat(),
                "traceback": "".join(traceback.format_exception(error)),
            },
        )


def run_flow(
    project: LoadedProject,
    steps: Sequence[flow.Step] = flow.FLOW,
    *,
    run_id: str | None = None,
    force: bool = False,
    on_event: Callable[[StepEvent], None] = lambda _event: None,
) -> RunSummary:
    """Run steps of the flow for a project.

    Args:
        project: The loaded project.
        steps: Steps in flow order.
        run_id: Id of the run; a new one when None.
        force: Run steps even where their work is already committed.
        on_event: Told of every start and end of a step.

    Raises:
        CrispError: A step failed.
    """
    runner = Runner(project, run_id=run_id or new_run_id(), force=force, on_event=on_event)
    return runner.run(steps)
