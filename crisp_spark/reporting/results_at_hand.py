"""The results that a report is made from, looked up by their class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from crisp_spark.results.base import StepResult

R = TypeVar("R", bound=StepResult)


@dataclass(frozen=True)
class Results:
    """Results by step; a step that has not run is simply not there."""

    by_step: Mapping[str, StepResult] = field(default_factory=dict)

    def get(self, kind: type[R]) -> R | None:
        """Return the result of the step ``kind.step``, or None where it has not run."""
        found = self.by_step.get(kind.step)
        return found if isinstance(found, kind) else None
