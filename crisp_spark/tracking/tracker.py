"""What the flow asks of an experiment tracker."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Trial:
    """One finished trial of a sweep, as it is recorded.

    Attributes:
        name: Short name, unique in the sweep.
        params: Hyperparameters and learner.
        metrics: Metric name to value.
        tags: Extra facts (fold values, error text).
        failed: Whether the trial ended in an error.
        started_ms: Start, milliseconds since the epoch.
        ended_ms: End, milliseconds since the epoch.
        main: Name of the metric that decides.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    started_ms: int = 0
    ended_ms: int = 0
    main: str = ""


@dataclass(frozen=True)
class Registered:
    """A registered model version."""

    name: str
    version: str
    uri: str
    alias: str
    run_id: str


class StepTracker(Protocol):
    """Records of one step."""

    run_id: str
    """Id of the step's run in the tracker."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; long values are cut, never refused."""
        ...

    def metrics(self, values: Mapping[str, float]) -> None:
        """Record numbers; values that are not finite are left out."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        ...

    def text(self, name: str, content: str) -> None:
        """Keep a text (JSON, HTML) as an artifact."""
        ...

    def live(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers that change while the step runs; the caller never waits."""
        ...

    def trial(self, trial: Trial, *, own_run: bool = False) -> None:
        """Record one trial; the caller never waits.

        The first fifty get a run of their own, and any that is sent again with ``own_run``.
        """
        ...

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
        """Log the pipeline as an MLflow model with a signature, register it, move the alias.

        ``example`` holds a few input rows with exactly the columns that the model reads.
        """
        ...

    def attach(
        self, registered: Registered, file: str, content: bytes, *, tags: Mapping[str, str]
    ) -> str:
        """Keep a file with a registered version: beside its model, with tags on the version.

        Attaching the same file again changes nothing.

        Returns:
            Where it lies, as the tracker finds it.
        """
        ...


class Tracker(Protocol):
    """Records of a run of the flow."""

    def step(self, name: str, *, tags: Mapping[str, str]) -> AbstractContextManager[StepTracker]:
        """Open the step's run below the flow's run; an exception marks it failed."""
        ...

    def finish(self, *, failed: bool) -> None:
        """Close the flow's run."""
        ...
