"""Result of the step ``decide``: a verdict per criterion, and the decision."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult, Verdict

Choice = Literal["deploy", "iterate", "stop"]


class CriterionVerdict(ResultPart):
    """What became of one criterion of the charter."""

    id: str
    level: str
    """business, mining or economic."""
    metric: str
    unit: str = ""
    on: str
    """Part of the data that it was measured on."""
    slice: str = "all"
    required: bool
    verdict: Verdict
    """pass, fail or unknown."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    held: float | None = None
    """The number that was held against the target: the estimate or one end of its interval."""
    compare: str
    """Which number that is."""
    direction: str
    """at_least or at_most."""
    target: float
    current: float | None = None
    """Value before the project."""
    margin: float | None = None
    """Room to the target; negative when it is missed, whatever the direction."""
    support: int = 0
    """Rows that the number rests on."""
    rows: int = 0
    """Labelled rows in the slice."""
    sentence: str
    """The verdict in words."""


class BaselineCheck(ResultPart):
    """The model against the best baseline, or against the model in use."""

    other: str
    """Name of the baseline, or ``champion``."""
    metric: str
    split: str
    model: float | None = None
    other_value: float | None = None
    gain: float | None = None
    """Advantage of the model; positive is better."""
    low: float | None = None
    high: float | None = None
    verdict: Verdict
    """pass: better for sure; fail: worse for sure; unknown: neither."""
    sentence: str


class ProofCheck(ResultPart):
    """One check of the test design, or one finding that weakens the evidence."""

    name: str
    verdict: Verdict
    sentence: str


class Change(ResultPart):
    """Something that would change the verdict."""

    criterion: str = ""
    """Criterion that it is about; empty for other reasons."""
    kind: Literal[
        "quality", "rows", "threshold", "target", "measure", "baseline", "split", "charter"
    ]
    """A better model, more rows, another threshold, another target, a measurement, ..."""
    sentence: str
    needed: float | None = None
    """The number that it takes, where there is one."""


class Action(ResultPart):
    """A possible next action."""

    id: str
    title: str
    reason: str
    """What in the results speaks for it."""
    recommended: bool = False


class Override(ResultPart):
    """A person's decision against the verdict."""

    decision: Choice
    name: str
    reason: str
    date: str
    """ISO date."""
    applied: bool
    """False where it was given for other evidence, or says what the verdict says."""
    sentence: str


class Evidence(ResultPart):
    """What the decision rests on; another run may only repeat it for the same evidence."""

    hash: str
    """SHA-256 over the charter, the evaluation, the split and the quality results."""
    charter_version: int
    charter_hash: str
    criteria_hash: str
    amendments: int
    """Versions of the charter beyond the first."""


class DecideResult(StepResult):
    """Result of the step ``decide``."""

    step: ClassVar[str] = "decide"

    decision: Choice
    """What is done: the verdict, or an override."""
    verdict: Choice
    """What follows from the criteria."""
    summary: str
    """The decision in one or two sentences."""
    reasons: list[str]
    """Why the verdict is what it is, weightiest first."""
    criteria: list[CriterionVerdict]
    baselines: list[BaselineCheck] = Field(default=[])
    """Main metric against the baselines and the model in use."""
    proofs: list[ProofCheck] = Field(default=[])
    """Test design."""
    leakage: list[str] = Field(default=[])
    """Warnings that something known only later may have leaked in."""
    caveats: list[str] = Field(default=[])
    """What weakens the evidence without deciding."""
    changes: list[Change] = Field(default=[])
    """What would change the verdict."""
    actions: list[Action] = Field(default=[])
    """Possible next actions, recommended ones first."""
    override: Override | None = None
    evidence: Evidence

    @property
    def overridden(self) -> bool:
        """Whether a person decided against the verdict."""
        return self.override is not None and self.override.applied
