"""From counts to verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crisp_spark.results.base import Verdict
from crisp_spark.results.profile import Cell
from crisp_spark.results.quality import FailingValue, RuleResult
from crisp_spark.spec.quality import Severity
from crisp_spark.understanding.profile_columns import ColumnPlan, Family
from crisp_spark.understanding.remedies import propose
from crisp_spark.understanding.rule_words import expected

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule


def _facts(bound: BoundRule) -> dict[str, Any]:
    return {
        "name": bound.name,
        "kind": bound.rule.kind,
        "columns": bound.columns,
        "severity": bound.rule.severity.value,
        "expected": expected(bound),
        "description": bound.rule.description,
        "place": bound.place,
        "declared": bound.rule.model_dump(mode="json", exclude_defaults=True)
        | {"kind": bound.rule.kind},
    }


def _verdict(bound: BoundRule, *, holds: bool) -> Verdict:
    if holds:
        return Verdict.PASS
    return Verdict.FAIL if bound.rule.severity is Severity.FAIL else Verdict.WARN


def counted_result(
    bound: BoundRule,
    *,
    considered: int,
    evaluated: int,
    failed: int,
    samples: tuple[FailingValue, ...],
    private: bool,
    plans: Mapping[str, ColumnPlan],
) -> RuleResult:
    """Judge a rule about rows: it holds where enough of the judged rows pass, or none is judged."""
    mostly = getattr(bound.rule, "mostly", 1.0)
    holds = not evaluated or (evaluated - failed) / evaluated >= mostly
    share = failed / evaluated if evaluated else 0.0
    remedy = None
    if failed:
        plan = plans.get(bound.columns[0]) if bound.columns else None
        remedy = propose(
            bound,
            failed_share=share,
            samples=samples,
            private=private,
            numeric=plan is not None and plan.family is Family.NUMBER,
        )
    missing = failed if bound.rule.kind == "not_null" else considered - evaluated
    return RuleResult(
        **_facts(bound),
        verdict=_verdict(bound, holds=holds),
        rows=considered,
        missing=missing,
        evaluated=evaluated,
        failed=failed,
        failed_share=share,
        samples=samples,
        remedy=remedy,
    )


def observed_result(bound: BoundRule, rows: int, observed: Cell, *, holds: bool) -> RuleResult:
    """Judge a rule about the table."""
    remedy = None
    if not holds:
        remedy = propose(bound, failed_share=1.0, samples=(), private=True, numeric=False)
    return RuleResult(
        **_facts(bound),
        verdict=_verdict(bound, holds=holds),
        rows=rows,
        observed=observed,
        remedy=remedy,
    )


def unknown(bound: BoundRule, rows: int, error: str) -> RuleResult:
    """A rule that could not be judged; of severity ``fail`` it counts as broken."""
    fatal = bound.rule.severity is Severity.FAIL
    return RuleResult(
        **_facts(bound),
        verdict=Verdict.FAIL if fatal else Verdict.UNKNOWN,
        rows=rows,
        error=error,
    )
