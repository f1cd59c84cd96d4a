"""What the report step emits: the files it wrote and what they leave open."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult


class ReportFile(ResultPart):
    """A file kept with the report step."""

    name: str
    """File name, relative to the step's files."""
    bytes: int
    """Size in bytes."""
    sha256: str
    """Digest of the content, in hex."""
    description: str = ""
    """What the file is for, in one sentence."""


class ReportSection(ResultPart):
    """A section of the report, and whether the run had something to put in it."""

    step: str
    """Step of the flow that the section shows."""
    title: str
    """Heading of the section."""
    present: bool
    """Whether the step had run; an absent step has a section that says so."""


class ReportResult(StepResult):
    """The published report of one run."""

    step: ClassVar[str] = "report"

    title: str
    """Heading of the report."""
    decision: str = ""
    """Verdict in the banner: ``deploy``, ``iterate``, ``stop``, or empty where none was taken."""
    files: list[ReportFile] = Field(default=[])
    """Files written, ``report.html`` first."""
    sections: list[ReportSection] = Field(default=[])
    """Sections in the order of the flow."""
    open_fields: list[str] = Field(default=[])
    """Fields of the model card that a person still has to fill in."""
