"""Rules as conditions and aggregates in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crisp_spark.spec import quality as q
from crisp_spark.spec.quality import BoundRule
from crisp_spark.spec.sqltext import names_in
from crisp_spark.understanding.local.columns import among, compared, named, shown, value_of
from crisp_spark.understanding.local.expressions import condition_of
from crisp_spark.understanding.local.patterns import CannotError, re2_pattern
from crisp_spark.understanding.profile_columns import ColumnPlan, Family


@dataclass(frozen=True)
class LocalCheck:
    """A rule about rows, as SQL that is never null.

    Attributes:
        bound: The rule.
        considered: Its ``where`` is true; empty for all rows.
        evaluated: The row is judged.
        fails: The row fails; rules that compare rows leave this open.
        shown: Texts of the failing value, one per column.
        speaks_of: Columns that they belong to.
    """

    bound: BoundRule
    considered: str
    evaluated: str
    fails: str
    shown: tuple[str, ...]
    speaks_of: tuple[str, ...]


def counting(condition: str) -> str:
    """Return the number of rows for which a condition is true; 0 of an empty table."""
    return f"count(CASE WHEN {condition} THEN 1 END)"


def row_check(bound: BoundRule, plans: Mapping[str, ColumnPlan]) -> LocalCheck:
    """Translate a rule about rows or keys.

    Raises:
        CannotError: It is left to Spark.
    """
    rule: Any = bound.rule
    speaks_of = bound.columns
    match rule:
        case q.Expression():
            outcome = condition_of(rule.sql, plans)
            names = names_in(rule.sql)
            speaks_of = tuple(name for name in plans if name.lower() in names)
            evaluated, fails = f"{outcome} IS NOT NULL", f"NOT {outcome}"
        case q.NotNull():
            evaluated, fails = "true", f"{named(bound.columns[0])} IS NULL"
        case q.Unique() | q.Relationships():
            known = [f"{named(name)} IS NOT NULL" for name in bound.columns]
            evaluated, fails = " AND ".join(known), "false"
            if any(plans[name].family is Family.NESTED for name in bound.columns):
                raise CannotError("keys of nested types")
        case _:
            plan = plans[bound.columns[0]]
            evaluated, fails = f"{named(plan.name)} IS NOT NULL", f"NOT ({_holds(rule, plan)})"
    considered = f"coalesce({condition_of(rule.where, plans)}, false)" if rule.where else ""
    evaluated = f"({considered or 'true'} AND {evaluated})"
    return LocalCheck(
        bound,
        considered,
        evaluated,
        f"coalesce({evaluated} AND {fails}, false)",
        tuple(shown(plans[name]) for name in speaks_of),
        speaks_of,
    )


def _holds(rule: Any, plan: ColumnPlan) -> str:
    match rule:
        case q.AcceptedValues():
            return among(plan, rule.values)
        case q.RejectedValues():
            return f"NOT ({among(plan, rule.values)})"
        case q.Between():
            return _within(plan, rule)
        case q.LengthBetween():
            tests = [f"length({named(plan.name)}) >= {rule.min}"] if rule.min is not None else []
            tests += [f"length({named(plan.name)}) <= {rule.max}"] if rule.max is not None else []
            return " AND ".join(tests)
        case q.Matches():
            pattern = re2_pattern(rule.pattern).replace("'", "''")
            found = f"regexp_matches({named(plan.name)}, '{pattern}')"
            return f"NOT {found}" if rule.negate else found
        case _:
            raise CannotError(f"rules of kind {rule.kind}")


def _within(plan: ColumnPlan, rule: q.Between) -> str:
    tests = []
    for end, sign in ((rule.min, ">" if rule.strict_min else ">="),
                      (rule.max, "<" if rule.strict_max else "<=")):  # fmt: skip
        if end is not None:
            column, value = compared(plan, end)
            tests.append(f"{column} {sign} {value}")
    return " AND ".join(tests + ([f"NOT isnan({named(plan.name)})"] if plan.fractional else []))


@dataclass(frozen=True)
class LocalStatistic:
    """A rule about the table that aggregates answer.

    Attributes:
        bound: The rule.
        aggregates: Name to SQL.
    """

    bound: BoundRule
    aggregates: dict[str, str]


def statistic(bound: BoundRule, plans: Mapping[str, ColumnPlan]) -> LocalStatistic:
    """Translate a rule about the table.

    Raises:
        CannotError: It is left to Spark.
    """
    rule: Any = bound.rule
    match rule:
        case q.RowCount():
            return LocalStatistic(bound, {})
        case q.DistinctCountBetween():
            plan = plans[bound.columns[0]]
            if plan.family is Family.NESTED:
                raise CannotError("distinct values of nested types")
            return LocalStatistic(bound, {"n": f"count(DISTINCT {named(plan.name)})"})
        case q.Freshness():
            newest = f"max({value_of(plans[bound.columns[0]])})"
            return LocalStatistic(bound, {"seconds": f"epoch(CAST({newest} AS TIMESTAMP))"})
        case q.QuantileBetween():
            plan = plans[bound.columns[0]]
            value = f"CAST({named(plan.name)} AS DOUBLE)"
            finite = f"CASE WHEN isfinite({value}) THEN {value} END"
            return LocalStatistic(bound, {"q": f"quantile_disc({finite}, {rule.quantile!r})"})
        case q.StatisticBetween():
            return LocalStatistic(bound, _aggregates(rule, plans[bound.columns[0]], plans))
        case _:
            raise CannotError(f"rules of kind {rule.kind}")


def _aggregates(
    rule: q.StatisticBetween, plan: ColumnPlan, plans: Mapping[str, ColumnPlan]
) -> dict[str, str]:
    value = value_of(plan)
    where = condition_of(rule.where, plans) if rule.where else ""
    if rule.kind == "null_fraction_between":
        gaps = f"CAST({value} IS NULL AS DOUBLE)"
        return {"value": f"avg({f'CASE WHEN {where} THEN {gaps} END' if where else gaps})"}
    decimal = plan.type.startswith("decimal")
    ends = rule.kind in {"min_between", "max_between"}
    if rule.kind == "stddev_between" or (plan.fractional and not ends):
        value = f"CAST({value} AS DOUBLE)"
    if where:
        value = f"CASE WHEN {where} THEN {value} END"
    match rule.kind:
        case "mean_between" if decimal:
            return {"sum": f"sum({value})", "n": f"count({value})"}
        case "mean_between":
            return {"value": f"avg({value})"}
        case "sum_between":
            return {"value": f"sum({value})"}
        case "stddev_between":
            # DuckDB refuses to square what is not finite; Spark's answer is NaN.
            odd = counting(f"NOT isfinite({value})")
            some = f"CASE WHEN isfinite({value}) THEN {value} END"
            return {"value": f"stddev_samp({some})", "odd": odd, "n": f"count({value})"}
        case "min_between" | "max_between":
            found = f"{rule.kind[:3]}({value})"
            moment = plan.family is Family.MOMENT
            return {"value": found} | ({"text": f"CAST({found} AS VARCHAR)"} if moment else {})
        case _:
            raise CannotError(f"rules of kind {rule.kind}")
