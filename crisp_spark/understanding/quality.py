"""Judge the rules of a source: all rules about rows and all statistics in one aggregation.

Rules that compare rows take a pass per key set, quantiles up to three, examples of failing values
one pass over all broken rules. These three wait for the aggregation, but not for each other.
Nothing is cached, and only the columns that rules name are read.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import spark_reason
from crisp_spark.results.base import Verdict, worst
from crisp_spark.results.profile import Cell
from crisp_spark.results.quality import RuleResult, SourceQuality
from crisp_spark.spec import quality as q
from crisp_spark.understanding.passes_fused import rows_where, run_fused
from crisp_spark.understanding.passes_keys import bounds_of, bounds_sql
from crisp_spark.understanding.profile_columns import ColumnPlan, cell, plan_columns
from crisp_spark.understanding.quality_checks import (
    Compiled,
    RowCheck,
    TableCheck,
    key_columns,
    schema_faults,
)
from crisp_spark.understanding.quality_compile import compile_rules
from crisp_spark.understanding.quality_keys import (
    JudgedKeys,
    is_whole,
    judge_keys,
)
from crisp_spark.understanding.quality_quantiles import (
    Quantiles,
    exact_columns,
    find_quantiles,
)
from crisp_spark.understanding.quality_rows import BrokenRules, split_rows
from crisp_spark.understanding.quality_samples import failing_values, sample_failures
from crisp_spark.understanding.quality_verdicts import counted_result, observed_result, unknown
from crisp_spark.understanding.side_by_side import side_by_side

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule

_LOG = logging.getLogger(__name__)
SAMPLE_VALUES = 20


@dataclass(frozen=True)
class Evaluation:
    """The judged rules of a source.

    Attributes:
        source: Name of the source.
        rows: Rows of the source, counted by the rules' own pass.
        rules: One result per rule, in the order declared.
        passes: Passes over the table.
    """

    source: str
    rows: int
    rules: tuple[RuleResult, ...]
    passes: int
    _df: DataFrame = field(repr=False)
    _broken: BrokenRules = field(repr=False)
    _parents: Mapping[str, DataFrame] = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all rules."""
        return worst([rule.verdict for rule in self.rules])

    def split(self, run_id: str) -> tuple[DataFrame, DataFrame]:
        """Return the rows that stay and the rows for quarantine.

        Rows: each row in one of the two. Adds: to the second ``_crisp_failed_rules`` and
        ``_crisp_run``. Drops: nothing. Jobs: none.
        """
        return split_rows(self._df, self._broken, self._parents, run_id)

    def summary(self, *, kept: int, quarantined: int) -> SourceQuality:
        """Return the source's part of the result."""
        return SourceQuality(
            source=self.source,
            rows=self.rows,
            kept=kept,
            quarantined=quarantined,
            verdict=self.verdict,
            rules=self.rules,
            passes=self.passes,
        )


def evaluate_rules(
    df: DataFrame,
    rules: Sequence[BoundRule],
    *,
    source: str = "",
    parents: Mapping[str, DataFrame] | None = None,
    now: datetime | None = None,
    private: Collection[str] = (),
    sample_values: int = SAMPLE_VALUES,
) -> Evaluation:
    """Judge all rules of one source.

    Args:
        df: The source's rows.
        rules: Its rules, as of :func:`crisp_spark.spec.quality.bind_rules`.
        source: Name of the source.
        parents: Sources that ``relationships`` refer to.
        now: Moment from which ages are counted; by default the clock's.
        private: Columns whose values are masked in examples.
        sample_values: Largest number of failing values shown per rule.

    Raises:
        SpecError: A rule does not fit the data (before any job).

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass for all rules about rows and all
    statistics; one per key set; one for exact and one for approximate quantiles; one for examples.
    """
    judge = _Judge(
        df=df,
        parents=parents or {},
        compiled=compile_rules(df, rules, parents=parents or {}, now=now or datetime.now(tz=UTC)),
        private=frozenset(private),
        most=sample_values,
    )
    results = judge.run()
    _LOG.info("judged %s: %d rules, %d passes", source, len(rules), judge.passes)
    return Evaluation(
        source=source or (rules[0].source if rules else ""),
        rows=judge.rows,
        rules=tuple(results[bound.name] for bound in rules),
        passes=judge.passes,
        _df=df,
        _broken=judge.broken(),
        _parents=parents or {},
    )


@dataclass
class _Judge:
    df: DataFrame
    parents: Mapping[str, DataFrame]
    compiled: Compiled
    private: frozenset[str]
    most: int
    rows: int = 0
    passes: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    results: dict[str, RuleResult] = field(default_factory=dict)

    def run(self) -> dict[str, RuleResult]:
        """Judge everything."""
        self.plans = {plan.name: plan for plan in plan_columns(self.df, {})}
        answers, errors = self._fused()
        self.rows = answers["rows"]
        computed = [check for check in self.compiled.rows if check.bound.name not in errors]
        failed = {check.bound.name: answers[f"{check.bound.name}/failed"] for check in computed}
        broken = [check for check in computed if failed[check.bound.name]]
        samples, keys, quantiles = side_by_side(
            self.df.sparkSession,
            lambda: sample_failures(self.df, broken, failed, self.most),
            lambda: self._find_keys(answers, errors),
            lambda: self._find_quantiles(answers),
        )
        self.passes += any(not isinstance(check.bound.rule, q.NotNull) for check in broken)
        self.passes += keys.passes + quantiles.passes
        self.failed = failed | {name: found.failed for name, found in keys.of_rules.items()}
        samples |= {name: found.samples for name, found in keys.of_rules.items()}
        for check in (*self.compiled.rows, *self.compiled.keys):
            name = check.bound.name
            if name in errors:
                self.results[name] = unknown(check.bound, self.rows, errors[name])
            else:
                self._count(check, answers, samples.get(name, ()))
        for bound in self.compiled.distinct:
            distinct = keys.distinct[bound.name]
            self._observe(bound, distinct, holds=_in_range(bound, distinct))
        for table in self.compiled.table:
            name = table.bound.name
            if name in errors:
                self.results[name] = unknown(table.bound, self.rows, errors[name])
                continue
            observed, holds = answers[f"{name}/observed"], answers[f"{name}/holds"]
            self._observe(table.bound, cell(observed), holds=bool(holds))
        self._judge_quantiles(quantiles)
        for bound in self.compiled.schema:
            if isinstance(bound.rule, q.SchemaIs):
                faults = schema_faults(self.df, bound.rule)
                self._observe(bound, "; ".join(faults) or "as declared", holds=not faults)
        return self.results

    def broken(self) -> BrokenRules:
        """Rules about rows that some row fails."""
        return BrokenRules(
            rows=[check for check in self.compiled.rows if self.failed.get(check.bound.name)],
            keys=[
                (check, self.failed[check.bound.name])
                for check in self.compiled.keys
                if self.failed.get(check.bound.name)
            ],
        )

    def _observe(self, bound: BoundRule, observed: Cell, *, holds: bool) -> None:
        self.results[bound.name] = observed_result(bound, self.rows, observed, holds=holds)

    def _fused(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Run the one aggregation; a rule that cannot be computed does not stop the others."""
        answers, errors = run_fused(
            self.df, _aggregates(self.df, self.compiled, self.plans), each_pass=self._passed
        )
        if "" in errors:
            raise errors[""]
        if errors:
            _LOG.warning("%d rules failed while they were computed", len(errors))
        return answers, {name: spark_reason(error) for name, error in errors.items()}

    def _passed(self) -> None:
        self.passes += 1

    def _find_keys(self, answers: Mapping[str, Any], errors: Mapping[str, str]) -> JudgedKeys:
        checks = [check for check in self.compiled.keys if check.bound.name not in errors]
        names = [check.bound.name for check in checks]
        return judge_keys(
            self.df,
            checks,
            self.compiled.distinct,
            {name: bounds_of(answers.get(f"{name}/bounds")) for name in names},
            rows=self.rows,
            parents=self.parents,
            most=self.most,
        )

    def _count(
        self,
        check: RowCheck,
        answers: Mapping[str, Any],
        samples: Sequence[tuple[str | None, int | None]],
    ) -> None:
        name = check.bound.name
        shown = failing_values(check, samples, self.plans, self.private)
        considered = answers.get(f"{name}/considered", self.rows)
        self.results[name] = counted_result(
            check.bound,
            considered=considered,
            evaluated=answers[f"{name}/evaluated"],
            failed=self.failed[name],
            samples=shown,
            private=not self.private.isdisjoint(check.speaks_of),
            plans=self.plans,
        )

    def _find_quantiles(self, answers: Mapping[str, Any]) -> Quantiles:
        sizes = {name: answers[f"{name}/finite"] for name in exact_columns(self.compiled)}
        return find_quantiles(self.df, self.compiled, self.plans, sizes, self.rows)

    def _judge_quantiles(self, found: Quantiles) -> None:
        for bound, observed in found.values:
            holds = observed is not None and _in_range(bound, observed)
            self._observe(bound, observed, holds=holds)
            if bound.name in found.approximate:
                update = {"approximate": True}
                self.results[bound.name] = self.results[bound.name].model_copy(update=update)


def _aggregates(
    df: DataFrame, compiled: Compiled, plans: Mapping[str, ColumnPlan]
) -> dict[str, dict[str, Column]]:
    """All aggregates, by rule."""
    parts: dict[str, dict[str, Column]] = {"": {"rows": F.count(F.lit(1))}}
    for check in (*compiled.rows, *compiled.keys):
        name = check.bound.name
        parts[name] = {f"{name}/evaluated": rows_where(check.evaluated)}
        if getattr(check.bound.rule, "where", ""):
            parts[name][f"{name}/considered"] = rows_where(check.considered)
        if is_whole(df, check):
            bounds = bounds_sql(key_columns(check.bound.columns)[0], check.evaluated)
            parts[name][f"{name}/bounds"] = bounds
        if check.bound.rule.level is q.Level.ROW:
            parts[name][f"{name}/failed"] = rows_where(check.fails)
    for name in exact_columns(compiled):
        parts[""][f"{name}/finite"] = F.count(plans[name].finite)
    for table in compiled.table:
        parts[table.bound.name] = _table_aggregates(table)
    return parts


def _table_aggregates(check: TableCheck) -> dict[str, Column]:
    name = check.bound.name
    return {f"{name}/observed": check.observed, f"{name}/holds": check.holds}


def _in_range(bound: BoundRule, value: float) -> bool:
    rule: Any = bound.rule
    return (rule.min is None or value >= rule.min) and (rule.max is None or value <= rule.max)
