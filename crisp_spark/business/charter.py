"""Freezes what people wrote into the charter of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from crisp_spark.business.history import check_amendment, list_amendments
from crisp_spark.business.plan import critical_path, plan_stages
from crisp_spark.business.techniques import QUESTION_FORMS, assess_techniques
from crisp_spark.business.warnings import warn_about
from crisp_spark.results.charter import (
    CharterResult,
    ConditionEntry,
    CostSummary,
    ResourceEntry,
    RiskEntry,
)
from crisp_spark.spec.business import (
    PERIODS_PER_YEAR,
    Authored,
    BusinessSpec,
    Condition,
    Grade,
    Risk,
)

_GRADES: Mapping[Grade, int] = {"low": 1, "medium": 2, "high": 3}
_MEDIUM_FROM, _HIGH_FROM = 3, 6

ConditionKind = Literal["requirement", "assumption", "constraint"]


@dataclass(frozen=True)
class Circumstances:
    """What the program knows beside the project file.

    Attributes:
        frozen_at: Clock of the run.
        resources: What was found on the machine.
        families: Kinds of learners that the project tries.
        charters: Earlier commits of ``charter``, oldest first.
        evaluations: Earlier commits of ``evaluate``, oldest first.
    """

    frozen_at: datetime
    resources: Sequence[ResourceEntry] = ()
    families: Collection[str] = ()
    charters: Sequence[Mapping[str, Any]] = field(default=())
    evaluations: Sequence[Mapping[str, Any]] = field(default=())


def freeze_charter(
    business: BusinessSpec, *, project: str, circumstances: Circumstances
) -> CharterResult:
    """Freeze and hash the charter.

    Args:
        business: The charter as declared.
        project: Name of the project.
        circumstances: Clock, machine and history.

    Raises:
        SpecError: Criteria changed after a test set was read, without a new version.
    """
    check_amendment(business, circumstances.evaluations)
    frozen_at = circumstances.frozen_at.isoformat()
    today = circumstances.frozen_at.date()
    plan = plan_stages(business.plan)
    path, days = critical_path(plan)
    form, technique_class = QUESTION_FORMS[business.mining_goal.problem]
    conditions = _conditions(business, today)
    risks = rank_risks(business.risks, today)
    return CharterResult(
        project=project,
        version=business.version,
        amendment=business.amendment,
        charter_hash=business.charter_hash,
        criteria_hash=business.criteria_hash,
        frozen_at=frozen_at,
        background=business.background,
        objectives=sorted(business.objectives, key=lambda item: item.priority),
        stakeholders=list(business.stakeholders),
        criteria=list(business.criteria),
        goal=business.mining_goal,
        technique_class=technique_class,
        question_form=form,
        techniques=assess_techniques(business, circumstances.families),
        outcome_values=business.outcome_values,
        volume=business.volume,
        costs=sum_costs(business),
        resources=[*_declared_resources(business), *circumstances.resources],
        conditions=conditions,
        risks=risks,
        glossary=sorted(business.glossary, key=lambda item: item.term.casefold()),
        plan=plan,
        critical_path=path,
        critical_path_days=days,
        current_rule=business.current_rule,
        fallback=business.fallback,
        amendments=list_amendments(
            business,
            frozen_at,
            charters=circumstances.charters,
            evaluations=circumstances.evaluations,
        ),
        warnings=warn_about(business, conditions=conditions, risks=risks),
    )


def rank_risks(risks: Sequence[Risk], today: date) -> list[RiskEntry]:
    """Rank risks by likelihood times impact, greatest first; equal scores share a rank."""
    scored = sorted(
        ((_GRADES[risk.likelihood] * _GRADES[risk.impact], risk) for risk in risks),
        key=lambda pair: (-pair[0], -_GRADES[pair[1].impact], pair[1].id),
    )
    scores = [score for score, _ in scored]
    return [
        RiskEntry(
            rank=scores.index(score) + 1,
            score=score,
            band=_band(score),
            id=risk.id,
            statement=risk.statement,
            likelihood=risk.likelihood,
            impact=risk.impact,
            contingency=risk.contingency,
            trigger=risk.trigger,
            owner=risk.owner,
            status=risk.status,
            expired=has_expired(risk, today),
        )
        for score, risk in scored
    ]


def sum_costs(business: BusinessSpec) -> CostSummary:
    """Add costs up by period; with a volume, tell the net value per row that pays for them.

    A week counts 1/52 of a year, a day 1/365; costs paid once are spread over one year.
    """
    totals = {"once": 0.0, "run": 0.0, "year": 0.0}
    for cost in business.running_costs:
        factor = PERIODS_PER_YEAR.get(cost.period)
        totals["year" if factor else cost.period] += cost.amount * (factor or 1.0)
    volume = business.volume
    rows = volume.rows * PERIODS_PER_YEAR[volume.period] if volume else None
    yearly = round(totals["year"], 6)
    return CostSummary(
        currency=business.outcome_values.currency if business.outcome_values else "",
        costs=list(business.running_costs),
        once=totals["once"],
        yearly=yearly,
        per_run=totals["run"],
        rows_per_year=rows,
        break_even_per_row=(yearly + totals["once"]) / rows if rows else None,
    )


def has_expired(item: Authored, today: date) -> bool:
    """Whether the last day on which ``item`` holds lies before ``today``."""
    return item.expires is not None and item.expires < today


def _band(score: int) -> Grade:
    if score >= _HIGH_FROM:
        return "high"
    return "medium" if score >= _MEDIUM_FROM else "low"


def _declared_resources(business: BusinessSpec) -> list[ResourceEntry]:
    return [
        ResourceEntry(name=item.name, kind=item.kind, detail=item.detail, owner=item.owner)
        for item in business.resources
    ]


def _conditions(business: BusinessSpec, today: date) -> list[ConditionEntry]:
    groups: tuple[tuple[ConditionKind, Sequence[Condition]], ...] = (
        ("requirement", business.requirements),
        ("assumption", business.assumptions),
        ("constraint", business.constraints),
    )
    return [
        ConditionEntry(
            kind=kind,
            id=item.id,
            statement=item.statement,
            rule=item.rule,
            owner=item.owner,
            status=item.status,
            expires=item.expires.isoformat() if item.expires else "",
            expired=has_expired(item, today),
        )
        for kind, items in groups
        for item in items
    ]
