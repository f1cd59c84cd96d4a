"""Compile declared rules to Spark columns; every fault is found before a job runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.spec import quality as q
from crisp_spark.spec.sqltext import names_in
from crisp_spark.understanding.profile_columns import ColumnPlan, Family, plan_columns
from crisp_spark.understanding.quality_checks import Compiled, RowCheck, TableCheck
from crisp_spark.understanding.quality_literals import (
    FaultError,
    between,
    literal_of,
    moment_of,
    near,
    shown_text,
    within,
)

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule

_NUMBERS_ONLY = ("mean_between", "sum_between", "stddev_between", "quantile_between")


def compile_rules(
    df: DataFrame,
    rules: Sequence[BoundRule],
    *,
    parents: Mapping[str, DataFrame],
    now: datetime,
) -> Compiled:
    """Compile the rules of a source against its columns.

    Args:
        df: The source's rows.
        rules: Its rules.
        parents: Sources that ``relationships`` refer to.
        now: Moment from which ages are counted.

    Raises:
        SpecError: Missing columns, bounds of a wrong type, invalid patterns or expressions; all
            of them at once.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: none.
    """
    compiler = _Compiler(df, parents, now)
    return compiler.compile(rules)


class _Compiler:
    def __init__(self, df: DataFrame, parents: Mapping[str, DataFrame], now: datetime) -> None:
        self.df = df
        self.parents = parents
        self.now = now
        self.plans = {plan.name: plan for plan in plan_columns(df, {})}

    def compile(self, rules: Sequence[BoundRule]) -> Compiled:
        sorts: dict[str, list[Any]] = {
            name: [] for name in ("rows", "keys", "table", "quantiles", "distinct", "schema")
        }
        faults = []
        for bound in rules:
            try:
                sort, check = self._one(bound)
            except FaultError as fault:
                faults.append(f"{bound.place}: {bound.rule.kind} of {bound.source!r}: {fault}")
                continue
            sorts[sort].append(check)
        if faults:
            raise SpecError(
                f"quality rules: {len(faults)} cannot be evaluated on the data", faults=faults
            )
        return Compiled(**{name: tuple(checks) for name, checks in sorts.items()})

    def _one(self, bound: BoundRule) -> tuple[str, Any]:
        rule = bound.rule
        for name in bound.columns:
            self._plan(name)
        if isinstance(rule, q.SchemaIs):
            return "schema", bound
        if isinstance(rule, q.RowCount):
            rows = F.count(F.lit(1))
            return "table", TableCheck(bound, rows, within(rows, rule.min, rule.max))
        if isinstance(rule, q.DistinctCountBetween):
            self._hashable(bound)
            return "distinct", bound
        if isinstance(rule, q.QuantileBetween):
            self._number(bound)
            self._literals(bound)
            return "quantiles", bound
        if isinstance(rule, q.StatisticBetween):
            return "table", self._statistic(bound, rule)
        if isinstance(rule, q.Freshness):
            return "table", self._freshness(bound, rule)
        if isinstance(rule, q.Unique | q.Relationships):
            return "keys", self._key(bound)
        return "rows", self._row(bound)

    # Rules about rows.

    def _row(self, bound: BoundRule) -> RowCheck:
        rule = bound.rule
        if isinstance(rule, q.Expression):
            outcome = self._condition(rule.sql, "sql")
            named = names_in(rule.sql)
            speaks_of = tuple(name for name in self.plans if name.lower() in named)
            return self._check(bound, outcome.isNotNull(), ~outcome, speaks_of)
        plan = self._plan(bound.columns[0])
        if isinstance(rule, q.NotNull):
            everything = F.lit(True)
            return self._check(bound, everything, plan.column.isNull(), bound.columns)
        return self._check(bound, plan.column.isNotNull(), ~self._holds(bound, plan), bound.columns)

    def _holds(self, bound: BoundRule, plan: ColumnPlan) -> Column:
        rule = bound.rule
        if isinstance(rule, q.AcceptedValues | q.RejectedValues):
            found = plan.column.isin([literal_of(plan, value) for value in rule.values])
            return found if isinstance(rule, q.AcceptedValues) else ~found
        if isinstance(rule, q.Between):
            low, high = self._literals(bound)
            holds = between(plan.column, low, high, strict=(rule.strict_min, rule.strict_max))
            return holds & ~F.isnan(plan.column) if plan.fractional else holds
        if plan.family is not Family.TEXT:
            raise FaultError(f"needs a text column, {plan.name!r} is {plan.type}")
        if isinstance(rule, q.LengthBetween):
            return within(F.length(plan.column), rule.min, rule.max)
        if not isinstance(rule, q.Matches):
            raise FaultError("is not known")
        self._check_pattern(rule.pattern)
        found = plan.column.rlike(rule.pattern)
        return ~found if rule.negate else found

    def _key(self, bound: BoundRule) -> RowCheck:
        rule = bound.rule
        self._hashable(bound)
        known = F.lit(True)
        for name in bound.columns:
            known = known & self._plan(name).column.isNotNull()
        if isinstance(rule, q.Relationships):
            self._check_parent(rule, self._plan(bound.columns[0]))
        nothing = F.lit(False)
        return self._check(bound, known, nothing, bound.columns)

    def _check_parent(self, rule: q.Relationships, child: ColumnPlan) -> None:
        parent = self.parents.get(rule.to)
        if parent is None:
            raise FaultError(near(f"no source {rule.to!r}", rule.to, self.parents))
        if rule.field not in parent.columns:
            raise FaultError(
                near(f"{rule.to!r} has no column {rule.field!r}", rule.field, parent.columns)
            )
        plan = next(plan for plan in plan_columns(parent, {}) if plan.name == rule.field)
        if plan.family is not child.family:
            raise FaultError(
                f"{child.name!r} is {child.type}, but {rule.field!r} of {rule.to!r} is {plan.type}"
            )

    def _check(
        self, bound: BoundRule, evaluated: Column, fails: Column, speaks_of: tuple[str, ...]
    ) -> RowCheck:
        rule = bound.rule
        where = rule.where if isinstance(rule, q.RowRule) else ""
        considered = (
            F.coalesce(self._condition(where, "where"), F.lit(False)) if where else F.lit(True)
        )
        evaluated = considered & evaluated
        parts = [self._plan(name) for name in speaks_of]
        if len(parts) == 1:
            shown = shown_text(parts[0])
        else:
            shown = F.to_json(F.struct(*[shown_text(plan).alias(plan.name) for plan in parts]))
        return RowCheck(
            bound,
            considered,
            evaluated,
            # Null only where the row is not evaluated.
            F.coalesce(evaluated & fails, F.lit(False)),
            shown if parts else F.lit(None).cast("string"),
            speaks_of,
        )

    # Rules about the table.

    def _statistic(self, bound: BoundRule, rule: q.StatisticBetween) -> TableCheck:
        plan = self._plan(bound.columns[0])
        if rule.kind == "null_fraction_between":
            return self._null_fraction(bound, rule)
        if rule.kind in _NUMBERS_ONLY:
            self._number(bound)
        low, high = self._literals(bound)
        value = plan.column
        if rule.kind in _NUMBERS_ONLY and plan.fractional:
            value = value.cast("double")
        elif rule.kind == "sum_between" and not plan.type.startswith("decimal"):
            # Whole numbers are added exactly, and without overflow.
            value = value.cast("decimal(38,0)")
        if rule.where:
            value = F.when(self._condition(rule.where, "where"), value)
        aggregate = {
            "mean_between": F.avg,
            "sum_between": F.sum,
            "stddev_between": F.stddev_samp,
            "min_between": F.min,
            "max_between": F.max,
        }[rule.kind](value)
        holds = between(aggregate, low, high, strict=(rule.strict_min, rule.strict_max))
        if rule.kind in {"mean_between", "stddev_between"} or plan.fractional:
            holds = holds & ~F.isnan(aggregate.cast("double"))
        shown = aggregate.cast("string") if plan.family is Family.MOMENT else aggregate
        return TableCheck(bound, shown, holds)

    def _null_fraction(self, bound: BoundRule, rule: q.StatisticBetween) -> TableCheck:
        ends = (rule.min, rule.max)
        if any(isinstance(end, str) for end in ends):
            raise FaultError("needs numbers as bounds")
        gaps = self._plan(bound.columns[0]).column.isNull().cast("double")
        if rule.where:
            gaps = F.when(self._condition(rule.where, "where"), gaps)
        share = F.avg(gaps)
        low, high = (None if end is None else F.lit(float(end)) for end in ends)
        strict = (rule.strict_min, rule.strict_max)
        return TableCheck(bound, share, between(share, low, high, strict=strict))

    def _freshness(self, bound: BoundRule, rule: q.Freshness) -> TableCheck:
        plan = self._plan(bound.columns[0])
        if plan.family is not Family.MOMENT:
            raise FaultError(f"needs a date or timestamp, {plan.name!r} is {plan.type}")
        now = self.now
        if rule.as_of:
            now = moment_of(rule.as_of)
        age = (F.lit(now.timestamp()) - F.max(plan.number)) / F.lit(86400.0)
        return TableCheck(bound, F.round(age, 4), age <= F.lit(float(rule.max_age_days)))

    # What rules are made of.

    def _plan(self, name: str) -> ColumnPlan:
        if name not in self.plans:
            raise FaultError(near(f"no column {name!r}", name, self.plans))
        return self.plans[name]

    def _number(self, bound: BoundRule) -> None:
        plan = self._plan(bound.columns[0])
        if plan.family is not Family.NUMBER:
            raise FaultError(f"needs a number, {plan.name!r} is {plan.type}")

    def _hashable(self, bound: BoundRule) -> None:
        for name in bound.columns:
            plan = self._plan(name)
            if not plan.hashable:
                raise FaultError(f"values of {name!r} ({plan.type}) cannot be compared")

    def _literals(self, bound: BoundRule) -> tuple[Column | None, Column | None]:
        rule: Any = bound.rule
        plan = self._plan(bound.columns[0])
        if plan.family not in {Family.NUMBER, Family.TEXT, Family.MOMENT}:
            raise FaultError(f"{plan.name!r} is {plan.type}, which has no order")
        low, high = (
            None if value is None else literal_of(plan, value) for value in (rule.min, rule.max)
        )
        return low, high

    def _condition(self, sql: str, field: str) -> Column:
        try:
            kind = self.df.select(F.expr(sql).alias("c")).schema["c"].dataType.simpleString()
            # A filter refuses aggregates and windows, a projection does not.
            self.df.where(F.expr(sql).cast("boolean")).schema  # noqa: B018
        except PySparkException as error:
            first = str(error).split("\n", 1)[0]
            raise FaultError(f"{field} {sql!r} is not valid: {first}") from error
        if kind != "boolean":
            raise FaultError(f"{field} {sql!r} gives {kind}, not true or false")
        return F.expr(sql)

    def _check_pattern(self, pattern: str) -> None:
        jvm: Any = getattr(self.df.sparkSession, "_jvm", None)
        if jvm is None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise FaultError(f"invalid pattern {pattern!r}: {error}") from error
            return
        from py4j.protocol import Py4JJavaError

        try:
            jvm.java.util.regex.Pattern.compile(pattern)
        except (PySparkException, Py4JJavaError) as error:
            reason = str(error).split("\n", 1)[0]
            raise FaultError(f"invalid pattern {pattern!r}: {reason}") from error
