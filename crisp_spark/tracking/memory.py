"""An in-memory tracker for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crisp_spark.tracking.tracker import Registered, StepTracker, Trial

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame


@dataclass
class MemoryStepTracker:
    """Keeps what a step records."""

    run_id: str
    recorded_params: dict[str, Any] = field(default_factory=dict)
    recorded_metrics: dict[str, float] = field(default_factory=dict)
    recorded_tags: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    registered: list[Registered] = field(default_factory=list)
    attached: dict[str, bytes] = field(default_factory=dict)
    failed: bool = False

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters."""
        self.recorded_params |= values

    def metrics(self, values: Mapping[str, float]) -> None:
        """Record numbers."""
        self.recorded_metrics |= values

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self.recorded_tags |= values

    def text(self, name: str, content: str) -> None:
        """Keep a text."""
        self.texts[name] = content

    def live(self, values: Mapping[str, float], step: int) -> None:
        """Record the latest of numbers that change."""
        del step
        self.recorded_metrics |= values

    def trial(self, trial: Trial, *, own_run: bool = False) -> None:
        """Record one trial."""
        if not own_run:
            self.trials.append(trial)

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
        """Pretend to register: versions count up from 1."""
        del model, example, tags, description
        version = str(len(self.registered) + 1)
        entry = Registered(name, version, f"memory:/{name}/{version}", alias, self.run_id)
        self.registered.append(entry)
        return entry

    def attach(
        self, registered: Registered, file: str, content: bytes, *, tags: Mapping[str, str]
    ) -> str:
        """Keep a file with a registered version."""
        del tags
        place = f"{registered.uri}/{file}"
        self.attached[place] = content
        return place


class MemoryTracker:
    """Keeps the records of a run of the flow."""

    def __init__(self) -> None:
        self.steps: dict[str, MemoryStepTracker] = {}
        self.finished: bool | None = None

    @contextmanager
    def step(self, name: str, *, tags: Mapping[str, str]) -> Iterator[StepTracker]:
        """Open a step; an exception marks it failed."""
        tracker = MemoryStepTracker(run_id=f"memory-{name}", recorded_tags=dict(tags))
        self.steps[name] = tracker
        try:
            yield tracker
        except BaseException:
            tracker.failed = True
            raise

    def finish(self, *, failed: bool) -> None:
        """Close the run."""
        self.finished = not failed
