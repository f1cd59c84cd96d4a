"""Result of the step ``charter``: what was agreed before the first row was read."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult
from crisp_spark.spec.business import (
    Criterion,
    DecisionRule,
    Grade,
    MiningGoal,
    Objective,
    OutcomeValues,
    RunningCost,
    Stakeholder,
    Statement,
    Status,
    Term,
    Volume,
)


class ResourceEntry(ResultPart):
    """Something the project can use."""

    name: str
    kind: str
    """people, data, compute, software or other."""
    detail: str = ""
    """Amount, version, availability."""
    owner: str = ""
    found_by: Literal["person", "program"] = "person"
    """``program`` for what was found on the machine that wrote the charter."""


class ConditionEntry(ResultPart):
    """A requirement, an assumption or a constraint on the day of the charter."""

    kind: Literal["requirement", "assumption", "constraint"]
    id: str
    statement: str
    rule: str = ""
    """Quality rule that tests it."""
    owner: str = ""
    status: Status = "draft"
    expires: str = ""
    """Last day on which it holds (ISO), empty where it has none."""
    expired: bool = False
    """Whether that day had passed when the charter was frozen."""


class RiskEntry(ResultPart):
    """A risk, ranked."""

    rank: int
    """1 is the greatest; equal scores share a rank."""
    score: int
    """Likelihood times impact, each 1 (low) to 3 (high)."""
    band: Grade
    """low (1-2), medium (3-4) or high (6-9)."""
    id: str
    statement: str
    likelihood: Grade
    impact: Grade
    contingency: str = ""
    trigger: str = ""
    owner: str = ""
    status: Status = "draft"
    expired: bool = False


class PlannedStage(ResultPart):
    """A stage of the plan with its place in time, counted in working days from the start."""

    stage: str
    order: int
    """Place in an order in which every stage follows what it depends on; from 1."""
    days: float
    depends_on: list[str] = Field(default=[])
    evaluation: str = ""
    steps: list[str] = Field(default=[])
    """Steps of the flow that show its progress."""
    owner: str = ""
    status: Status = "draft"
    start_day: float
    """Earliest start."""
    end_day: float
    """Earliest end."""
    slack_days: float
    """Days it may be late without moving the end of the project."""
    critical: bool
    """Whether it lies on a longest path."""


class Technique(ResultPart):
    """A family of learners that fits the class of the problem."""

    family: str
    """Name for ``modeling.families``."""
    title: str
    """Name in words."""
    reasons: list[str]
    """What speaks for it here."""
    limits: list[str]
    """What speaks against it, or must be prepared for it."""
    chosen: bool = False
    """Whether the project tries it."""


class CostSummary(ResultPart):
    """Costs added up, and what a prediction must bring in to pay for them."""

    currency: str
    costs: list[RunningCost]
    once: float
    """Costs paid once."""
    yearly: float
    """Costs that return, per year; costs per run of the flow are not in it."""
    per_run: float
    """Costs of one run of the flow."""
    rows_per_year: float | None = None
    """Predictions per year."""
    break_even_per_row: float | None = None
    """Net value per prediction that pays for one year: once and yearly costs over its rows."""


class Amendment(ResultPart):
    """A version of the charter."""

    version: int
    reason: str = ""
    """Why it replaced the version before."""
    criteria_hash: str
    charter_hash: str
    created: str
    """When it was frozen (ISO)."""
    evaluated: bool
    """Whether a test set was read under this version and these criteria."""
    criteria_changed: bool
    """Whether what decides a verdict differs from the entry before."""
    changes: list[str] = Field(default=[])
    """What changed in the criteria, in words."""


class CharterResult(StepResult):
    """Result of the step ``charter``."""

    step: ClassVar[str] = "charter"

    project: str
    version: int
    amendment: str = ""
    charter_hash: str
    """SHA-256 of the whole charter."""
    criteria_hash: str
    """SHA-256 of what decides a verdict: criteria, goal and outcome values."""
    frozen_at: str
    """Start of the step, ISO."""
    background: Statement | None = None
    objectives: list[Objective] = Field(default=[])
    """Most important first."""
    stakeholders: list[Stakeholder] = Field(default=[])
    criteria: list[Criterion] = Field(default=[])
    goal: MiningGoal
    technique_class: str
    """Class of techniques that answers the business question."""
    question_form: str
    """Form of the business question that leads to this class."""
    techniques: list[Technique] = Field(default=[])
    outcome_values: OutcomeValues | None = None
    volume: Volume | None = None
    costs: CostSummary
    resources: list[ResourceEntry] = Field(default=[])
    conditions: list[ConditionEntry] = Field(default=[])
    """Requirements, assumptions and constraints."""
    risks: list[RiskEntry] = Field(default=[])
    """Greatest first."""
    glossary: list[Term] = Field(default=[])
    plan: list[PlannedStage] = Field(default=[])
    """In an order in which every stage follows what it depends on."""
    critical_path: list[str] = Field(default=[])
    """Stages of a longest path, from its start to its end."""
    critical_path_days: float = 0.0
    """Working days from start to end."""
    current_rule: DecisionRule | None = None
    fallback: DecisionRule | None = None
    amendments: list[Amendment] = Field(default=[])
    """Every version frozen in this workspace, oldest first; the last is this one."""
    warnings: list[str] = Field(default=[])
    """What a reader should know: expired assumptions, objectives without a criterion, ..."""

    @property
    def grounds(self) -> dict[str, Any]:
        """What a decision rests on, as plain data: criteria, readings, versions, expired terms.

        Who wrote a criterion, when and in which words is no part of it.
        """
        prose = {"owner", "date", "status", "expires", "statement"}
        return {
            "version": self.version,
            "criteria_hash": self.criteria_hash,
            "criteria": [item.model_dump(mode="json", exclude=prose) for item in self.criteria],
            "amendments": [
                [item.version, item.reason, item.criteria_changed, item.changes]
                for item in self.amendments
            ],
            "expired": [line for line in self.warnings if "expired" in line],
        }

    @property
    def required_criteria(self) -> list[Criterion]:
        """Criteria that deployment depends on."""
        return [criterion for criterion in self.criteria if criterion.required]
