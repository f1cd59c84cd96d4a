"""From DuckDB's answers to what Spark would have observed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from crisp_spark.results.profile import Cell
from crisp_spark.spec import quality as q
from crisp_spark.spec.quality import BoundRule
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, cell
from crisp_spark.understanding.quality_literals import is_date, moment_of

_DAY = 86400.0


def judged(
    bound: BoundRule,
    answers: Mapping[str, Any],
    plan: ColumnPlan | None,
    context: Mapping[str, Any],
) -> tuple[Cell, bool]:
    """Return what a rule about the table observes, and whether it holds.

    Args:
        bound: The rule.
        answers: Its aggregates.
        plan: Its column.
        context: ``rows`` and the moment ``now``.
    """
    rule: Any = bound.rule
    match rule:
        case q.RowCount():
            return context["rows"], _between(context["rows"], rule)
        case q.DistinctCountBetween():
            return answers["n"], _between(answers["n"], rule)
        case q.QuantileBetween():
            found = answers["q"]
            return found, found is not None and _between(found, rule)
        case q.Freshness():
            return _age(rule, answers["seconds"], context["now"])
        case _:
            return _statistic(rule, answers, plan)


def _age(rule: q.Freshness, seconds: float | None, now: datetime) -> tuple[Cell, bool]:
    if seconds is None:
        return None, False
    moment = moment_of(rule.as_of) if rule.as_of else now
    age = (moment.timestamp() - seconds) / _DAY
    return round(age, 4), age <= rule.max_age_days


def _statistic(
    rule: q.StatisticBetween, answers: Mapping[str, Any], plan: ColumnPlan | None
) -> tuple[Cell, bool]:
    assert plan is not None
    value = answers.get("value")
    if "sum" in answers:
        value = _decimal_mean(answers["sum"], answers["n"], plan)
    if "odd" in answers:
        value = _deviation(value, answers)
    if value is None:
        return None, False
    if isinstance(value, float) and math.isnan(value):
        return cell(value), False
    if plan.family is Family.MOMENT and rule.kind != "null_fraction_between":
        return str(answers["text"]), _between(value, rule, _moment_of(plan))
    whole = rule.kind == "sum_between" and isinstance(value, int)
    return cell(Decimal(value) if whole else value), _between(value, rule)


def _deviation(value: float | None, answers: Mapping[str, Any]) -> float | None:
    if answers["odd"]:
        return math.nan if answers["n"] > 1 else None
    return value


def _decimal_mean(total: Decimal | None, count: int, plan: ColumnPlan) -> Decimal | None:
    if total is None or not count:
        return None
    _, _, scale = plan.type.rstrip(")").partition(",")
    with localcontext() as context:
        context.prec = 60
        places = Decimal(1).scaleb(-min(int(scale or 0) + 4, 38))
        return (Decimal(total) / count).quantize(places, rounding=ROUND_HALF_UP)


def _moment_of(plan: ColumnPlan) -> Any:
    def read(text: str) -> Any:
        if plan.type == "date" and is_date(text):
            return date.fromisoformat(text)
        return moment_of(text).astimezone(UTC).replace(tzinfo=None)

    return read


def _between(value: Any, rule: Any, read: Any = lambda end: end) -> bool:
    for end, strict, sign in (
        (rule.min, getattr(rule, "strict_min", False), 1),
        (rule.max, getattr(rule, "strict_max", False), -1),
    ):
        if end is None:
            continue
        bound = read(end)
        left, right = _alike(value, bound)
        inside = left >= right if sign > 0 else left <= right
        if not inside or (strict and left == right):
            return False
    return True


def _alike(value: Any, bound: Any) -> tuple[Any, Any]:
    """Bring a date and a moment, or a decimal and a double, to the type Spark compares in."""
    if isinstance(value, Decimal) and isinstance(bound, float):
        return float(value), bound
    if isinstance(bound, datetime) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day), bound  # noqa: DTZ001  # both are UTC
    return value, bound
