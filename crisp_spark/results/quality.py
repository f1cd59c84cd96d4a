"""What the quality step found: every rule's counts and verdict, every source's row account."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult, Verdict
from crisp_spark.results.profile import Cell


class FailingValue(ResultPart):
    """A value that failed a rule."""

    value: Cell
    """The value; for rules over several columns a JSON text of them; masked for personal data."""
    rows: int | None = None
    """Rows that hold it; None where only a sample of the failing rows was looked at."""


class Remedy(ResultPart):
    """What could be done about a finding."""

    text: str
    yaml: str = ""
    """Ready to be put under ``preparation.clean.<source>``; empty where no operation helps."""


class PastValue(ResultPart):
    """A number of an earlier run."""

    run_id: str
    created: str
    """When it was published, ISO 8601, UTC."""
    value: float


class History(ResultPart):
    """What a rule compared the run with."""

    values: tuple[PastValue, ...] = ()
    """Of the last runs over other data, oldest first."""
    median: float | None = None
    """None where there were too few."""
    low: float | None = None
    """Smallest value that is as usual; None: there is no lower limit."""
    high: float | None = None
    """Largest value that is as usual; None: there is no upper limit."""


class RuleResult(ResultPart):
    """The outcome of one rule."""

    name: str
    kind: str
    columns: tuple[str, ...]
    severity: str
    expected: str
    """The rule in words."""
    description: str = ""
    place: str = ""
    """Where the rule stands in the project file."""
    declared: dict[str, Any] = Field(default_factory=dict)
    """The rule as declared, tagged by ``kind``."""
    verdict: Verdict
    """``warn`` for a broken rule of severity warn or drop, ``fail`` of severity fail, ``unknown``
    where the rule could not be evaluated."""
    rows: int
    """Rows that the rule looked at."""
    missing: int | None = None
    """Among them, rows without a value; None for rules about the table."""
    evaluated: int | None = None
    """Rows judged; None for rules about the table."""
    failed: int | None = None
    """Rows judged to fail; None for rules about the table."""
    failed_share: float | None = None
    """Of the rows judged."""
    observed: Cell = None
    """Observed value of a rule about the table."""
    approximate: bool = False
    samples: tuple[FailingValue, ...] = ()
    """Most frequent failing values first."""
    remedy: Remedy | None = None
    error: str = ""
    """Why the rule could not be evaluated."""
    note: str = ""
    """Why the verdict is unknown, where nothing went wrong."""
    history: History | None = None
    """Of rules that compare with earlier runs."""

    @property
    def holds(self) -> bool:
        """Whether the rule held."""
        return self.verdict is Verdict.PASS


class SourceQuality(ResultPart):
    """The outcome of all rules of a source."""

    source: str
    rows: int
    """Rows read."""
    kept: int
    quarantined: int
    verdict: Verdict
    rules: tuple[RuleResult, ...] = ()
    passes: int = 0
    """Passes over the table that judged the rules."""
    suite_file: str = ""
    """Great Expectations suite kept with the step."""
    validation_file: str = ""
    """Great Expectations validation result kept with the step."""
    page_file: str = ""
    """Data Docs page kept with the step."""


class QualityResult(StepResult):
    """The outcome of all rules of all sources."""

    step: ClassVar[str] = "quality"

    verdict: Verdict
    sources: tuple[SourceQuality, ...]
    docs_file: str = ""
    """Entry page of the Data Docs kept with the step."""

    def source(self, name: str) -> SourceQuality | None:
        """Return the outcome of a source."""
        return next((found for found in self.sources if found.source == name), None)
