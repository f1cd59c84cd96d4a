"""What a report must know about the run beside the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class StepFact:
    """When a step's published work was done, and from what.

    Attributes:
        step: Name of the step.
        finished: When it was committed.
        seconds: How long it took.
        stage_key: Hash of everything it was made from.
        run_id: Run that did the work; another one than the report's when it was taken over.
        versions: Versions of the programs that did it.
    """

    step: str
    finished: datetime | None = None
    seconds: float | None = None
    stage_key: str = ""
    run_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """Facts of the run.

    Attributes:
        project: Name of the project.
        owner: Who answers for it.
        description: One or two sentences.
        run_id: Id of the run that made the report.
        rendered: When the report was made.
        seed: Seed of every split, sample and learner.
        project_hash: SHA-256 of the resolved project file.
        versions: Versions of the programs that made the report.
        steps: One entry per step whose result is shown.
        tracking_run_id: Run of the tracker that holds the report.
    """

    project: str
    owner: str = ""
    description: str = ""
    run_id: str = ""
    rendered: datetime | None = None
    seed: int | None = None
    project_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepFact, ...] = ()
    tracking_run_id: str = ""

    def of(self, step: str) -> StepFact | None:
        """Facts of one step, or None where there are none."""
        return next((fact for fact in self.steps if fact.step == step), None)
