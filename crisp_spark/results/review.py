"""The review of the process: 24 tasks and 42 outputs of CRISP-DM, each with its evidence.

``business.review`` fills it from the project file and the results; the report only shows it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart

State = Literal["done", "drafted", "waived", "missing"]
"""``drafted``: written by the program and not yet read by a person."""


class ReviewOutput(ResultPart):
    """One of the 42 outputs."""

    number: str
    """Number as in ``crisp review``: phase, task, output (``2.3.1``)."""
    name: str
    state: State
    written_by: Literal["program", "person", "both"] = "program"
    evidence: str = ""
    """Where it can be seen, or what it says, in one sentence."""
    step: str = ""
    """Step of the flow that holds the evidence."""
    owner: str = ""
    note: str = ""
    """A person's reading of it, or the reason of a waiver."""


class ReviewTask(ResultPart):
    """One of the 24 generic tasks."""

    number: str
    """Phase and task (``2.3``)."""
    name: str
    phase: str
    state: State
    """Worst state of its outputs."""
    outputs: list[ReviewOutput]


class ReviewReport(ResultPart):
    """The whole review."""

    tasks: list[ReviewTask]
    process: str = ""
    """What a person says about the process."""
    conclusion: str = ""
    """What a person concludes."""
    lessons: list[str] = Field(default=[])
    """What the next project should know."""

    @property
    def outputs(self) -> list[ReviewOutput]:
        """All outputs in order."""
        return [output for task in self.tasks for output in task.outputs]
