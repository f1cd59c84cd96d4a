"""What the business wants: the first phase, written by people and read by the program."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from crisp_spark.errors import suggest
from crisp_spark.spec.authored import Authored, Prose, Statement, Status
from crisp_spark.spec.base import SpecModel, digest
from crisp_spark.spec.goal import (
    Criterion,
    Evidence,
    Level,
    MiningGoal,
    OutcomeValues,
    Problem,
    Reading,
)

__all__ = [
    "PERIODS_PER_YEAR",
    "Authored",
    "BusinessSpec",
    "Condition",
    "Criterion",
    "DecisionRule",
    "Evidence",
    "Grade",
    "Level",
    "MiningGoal",
    "Objective",
    "OutcomeValues",
    "Period",
    "PlanStage",
    "Problem",
    "Prose",
    "Reading",
    "Resource",
    "Risk",
    "Rule",
    "RunningCost",
    "Stakeholder",
    "Statement",
    "Status",
    "Term",
    "Volume",
]

Period = Literal["once", "run", "day", "week", "month", "year"]
Grade = Literal["low", "medium", "high"]

PERIODS_PER_YEAR: dict[str, float] = {"day": 365.0, "week": 52.0, "month": 12.0, "year": 1.0}
"""How often a period passes in a year; ``once`` and ``run`` have no such number."""


class Objective(Authored):
    """A business objective."""

    id: str = Field(min_length=1)
    """Short name that criteria refer to."""
    statement: str = Field(min_length=1)
    """What shall be different for the business."""
    priority: int = Field(default=1, ge=1)
    """1 is the most important."""


class Stakeholder(Authored):
    """A person or group with a say in the project."""

    name: str = Field(min_length=1)
    """Name of the person or group."""
    role: str = ""
    """Sponsor, user, owner of the data, ..."""
    interest: str = ""
    """What they need from the project."""


class RunningCost(Authored):
    """A cost of the project or of running the model."""

    name: str = Field(min_length=1)
    """What is paid for."""
    amount: float = Field(ge=0)
    """Amount per period, in the currency of the outcome values."""
    period: Period = "month"
    """``once``, per ``run`` of the flow, or per day, week, month or year."""


class Volume(SpecModel):
    """How many predictions the business makes."""

    rows: int = Field(gt=0)
    """Predictions per period."""
    period: Literal["day", "week", "month", "year"] = "year"
    """Period that they are counted over."""


class Resource(Authored):
    """Something the project can use."""

    name: str = Field(min_length=1)
    """Name of the person, data set, machine or program."""
    kind: Literal["people", "data", "compute", "software", "other"] = "other"
    """Kind of resource."""
    detail: str = ""
    """Amount, version, availability."""


class Condition(Authored):
    """A requirement, an assumption or a constraint."""

    id: str = Field(min_length=1)
    """Short name."""
    statement: str = Field(min_length=1)
    """What is required, assumed or not allowed."""
    rule: str = ""
    """Name of the quality rule that tests it, where one does."""


class Risk(Authored):
    """Something that may go wrong."""

    id: str = Field(min_length=1)
    """Short name."""
    statement: str = Field(min_length=1)
    """What may happen."""
    likelihood: Grade = "medium"
    """How likely it is."""
    impact: Grade = "medium"
    """How much it would hurt."""
    contingency: str = ""
    """What is done when it happens."""
    trigger: str = ""
    """Sign by which it is noticed: a rule, a monitored limit, an event."""


class Term(Authored):
    """An entry of the glossary."""

    term: str = Field(min_length=1)
    """The word."""
    meaning: str = Field(min_length=1)
    """What it means in this project."""
    column: str = ""
    """Column that holds it."""


class PlanStage(Authored):
    """A stage of the project plan."""

    stage: str = Field(min_length=1)
    """Name of the stage."""
    days: float = Field(ge=0)
    """Working days."""
    depends_on: tuple[str, ...] = ()
    """Stages that must be finished before."""
    evaluation: str = ""
    """How it is judged to be done."""
    steps: tuple[str, ...] = ()
    """Steps of the flow that show its progress."""


class DecisionRule(SpecModel):
    """A rule in Spark SQL that answers instead of a model."""

    expression: str = Field(min_length=1)
    """Spark SQL over the columns of a merged row: true or false, or the predicted value."""
    name: str = "current_rule"
    """Short name."""
    statement: str = ""
    """The rule in words."""


def _as_rule(value: Any) -> Any:
    return {"expression": value} if isinstance(value, str) else value


Rule = Annotated[DecisionRule, BeforeValidator(_as_rule, json_schema_input_type=str | DecisionRule)]
"""A rule that may also be written as its plain expression."""


class BusinessSpec(SpecModel):
    """The charter of the project."""

    version: int = Field(default=1, ge=1)
    """Version of the charter; raise it to change criteria after a test set was read."""
    amendment: str = ""
    """Why this version replaces the one before; needed above version 1."""
    background: Prose | None = None
    """Situation of the business, and the solution in use today."""
    objectives: tuple[Objective, ...] = ()
    """What the business wants."""
    stakeholders: tuple[Stakeholder, ...] = ()
    """Who has a say."""
    criteria: tuple[Criterion, ...] = ()
    """When the project counts as a success."""
    mining_goal: MiningGoal
    """What is predicted."""
    outcome_values: OutcomeValues | None = None
    """What right and wrong predictions are worth."""
    volume: Volume | None = None
    """How many predictions are made."""
    running_costs: tuple[RunningCost, ...] = ()
    """What the project and the model cost."""
    max_cost_usd: float | None = Field(default=None, gt=0)
    """Most that one run may cost on AWS, in US dollars. A run whose estimate is above it is not
    submitted, and a sweep starts no further trial once the run has cost that much."""
    resources: tuple[Resource, ...] = ()
    """What is at hand; the program adds what it finds."""
    requirements: tuple[Condition, ...] = ()
    """What the result must comply with (schedule, law, understandability)."""
    assumptions: tuple[Condition, ...] = ()
    """What is taken for granted."""
    constraints: tuple[Condition, ...] = ()
    """What is not allowed or not possible."""
    risks: tuple[Risk, ...] = ()
    """What may go wrong."""
    glossary: tuple[Term, ...] = ()
    """Words of the business and of the method."""
    plan: tuple[PlanStage, ...] = ()
    """Stages of the project."""
    current_rule: Rule | None = None
    """How the business decides today: the baseline to beat."""
    fallback: Rule | None = None
    """Rule that answers when the model cannot."""

    @model_validator(mode="after")
    def _amended_with_a_reason(self) -> BusinessSpec:
        if self.version > 1 and not self.amendment.strip():
            raise ValueError(f"version {self.version} needs an amendment: why it changed")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> BusinessSpec:
        named: dict[str, list[str]] = {
            "objectives": [item.id for item in self.objectives],
            "criteria": [item.id for item in self.criteria],
            "requirements": [item.id for item in self.requirements],
            "assumptions": [item.id for item in self.assumptions],
            "constraints": [item.id for item in self.constraints],
            "risks": [item.id for item in self.risks],
            "glossary": [item.term for item in self.glossary],
            "plan": [item.stage for item in self.plan],
        }
        for place, names in named.items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{place}: {', '.join(map(repr, twice))} is given twice")
        return self

    @model_validator(mode="after")
    def _criteria_serve_an_objective(self) -> BusinessSpec:
        known = {objective.id for objective in self.objectives}
        for criterion in self.criteria:
            if criterion.objective and criterion.objective not in known:
                raise ValueError(
                    f"criterion {criterion.id!r}: no objective {criterion.objective!r}, "
                    f"there are {', '.join(sorted(known)) or 'none'}"
                )
        return self

    @model_validator(mode="after")
    def _plan_has_an_order(self) -> BusinessSpec:
        stages = {item.stage: item.depends_on for item in self.plan}
        for stage, before in stages.items():
            for name in before:
                if name not in stages:
                    near = suggest(name, stages)
                    raise ValueError(
                        f"plan: stage {stage!r} depends on {name!r}, which is no stage"
                        + (f"; did you mean {near!r}?" if near else "")
                    )
        try:
            TopologicalSorter(stages).prepare()
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise ValueError(f"plan: stages wait for each other: {circle}") from error
        return self

    @property
    def criteria_hash(self) -> str:
        """Hash of all that decides a verdict: criteria without their readings, goal, values.

        Owners, dates, wording and readings may change without moving a goal post.
        """
        prose = {"owner", "date", "status", "expires", "statement", "reading", "unit"}
        return digest(
            {
                "criteria": sorted(
                    (c.model_dump(mode="json", exclude=prose) for c in self.criteria),
                    key=lambda c: str(c["id"]),
                ),
                "goal": self.mining_goal.substance,
                "values": self.outcome_values.model_dump(mode="json")
                if self.outcome_values
                else None,
            }
        )

    @property
    def charter_hash(self) -> str:
        """Hash of the whole charter."""
        return digest(self)
