"""Judge rules over Parquet files with DuckDB: one pass for rows, one per key set; no JVM."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import SpecError
from crisp_spark.results.quality import RuleResult
from crisp_spark.spec import quality as q
from crisp_spark.understanding.local.checks import (
    LocalCheck,
    LocalStatistic,
    counting,
    row_check,
    statistic,
)
from crisp_spark.understanding.local.columns import empty_type, local_columns, named, text
from crisp_spark.understanding.local.patterns import CannotError
from crisp_spark.understanding.local.verdicts import judged
from crisp_spark.understanding.profile_columns import ColumnPlan
from crisp_spark.understanding.quality_checks import schema_faults_of
from crisp_spark.understanding.quality_samples import failing_values
from crisp_spark.understanding.quality_verdicts import counted_result, observed_result, unknown

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule

_LOG = logging.getLogger(__name__)
_SAMPLES = 20


@dataclass(frozen=True)
class LocalTable:
    """A table as files of this machine.

    Attributes:
        files: Parquet files; none for an empty table.
        types: Column to Spark type.
    """

    files: tuple[str, ...]
    types: Mapping[str, str]

    @property
    def relation(self) -> str:
        """The rows as SQL."""
        if self.files:
            return f"read_parquet([{', '.join(map(text, self.files))}])"
        columns = ", ".join(
            f"CAST(NULL AS {empty_type(kind)}) AS {named(name)}"
            for name, kind in self.types.items()
        )
        return f"(SELECT {columns or '1'} WHERE false)"


@dataclass(frozen=True)
class LocalJudgement:
    """What the local engine found.

    Attributes:
        rows: Rows of the table.
        results: Rule name to result.
        left_out: Rule name to the reason why it is left to Spark.
        passes: Queries over the table.
    """

    rows: int
    results: dict[str, RuleResult]
    left_out: dict[str, str]
    passes: int


def judge_files(
    table: LocalTable,
    rules: Sequence[BoundRule],
    *,
    parents: Mapping[str, LocalTable] | None = None,
    now: datetime | None = None,
    private: Collection[str] = (),
    sample_values: int = _SAMPLES,
) -> LocalJudgement:
    """Judge rules over Parquet files with DuckDB; starts no JVM.

    The rules must fit the columns: whoever has no Spark at hand checks that by other means.

    Args:
        table: The files.
        rules: The rules.
        parents: Tables that ``relationships`` refer to.
        now: Moment from which ages are counted; by default the clock's.
        private: Columns whose values are masked in examples.
        sample_values: Largest number of failing values shown per rule.

    Raises:
        SpecError: DuckDB is not installed.
    """
    judge = _Judge(
        table, parents or {}, now or datetime.now(tz=UTC), frozenset(private), sample_values
    )
    try:
        judge.run(rules)
    finally:
        judge.connection.close()
    return LocalJudgement(judge.rows, judge.results, judge.left_out, judge.passes)


def open_duckdb() -> Any:
    """Import DuckDB.

    Raises:
        SpecError: It is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise SpecError(
            "local engine: duckdb is not installed",
            hint="pip install 'crisp-spark[local-engine]', or set data.engine to spark",
        ) from error
    return duckdb


@dataclass
class _Judge:
    table: LocalTable
    parents: Mapping[str, LocalTable]
    now: datetime
    private: frozenset[str]
    most: int
    rows: int = 0
    passes: int = 0
    results: dict[str, RuleResult] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unique: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.duckdb = open_duckdb()
        self.connection = self.duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        # No query ever looks for anything outside the named files.
        self.connection.execute("SET autoinstall_known_extensions = false")

    def run(self, rules: Sequence[BoundRule]) -> None:
        """Judge everything that can be judged here."""
        checks, statistics = self._translate(rules)
        answers, errors = self._fused(checks, statistics)
        self.rows = answers["rows"]
        # A key of several columns needs no look where one of them was seen to be unique.
        for check in sorted(checks, key=lambda check: len(check.bound.columns)):
            name = check.bound.name
            if name in errors:
                self.results[name] = unknown(check.bound, self.rows, errors[name])
            elif check.bound.rule.level is q.Level.KEY:
                self._judge_key(check, answers)
            else:
                self._count(check, answers, answers[f"{name}/failed"], None)
        for one in statistics:
            self._observe(one, answers, errors)
        for bound in rules:
            if isinstance(bound.rule, q.SchemaIs):
                faults = schema_faults_of(self.table.types, bound.rule)
                seen = "; ".join(faults) or "as declared"
                self.results[bound.name] = observed_result(bound, self.rows, seen, holds=not faults)

    def _translate(
        self, rules: Sequence[BoundRule]
    ) -> tuple[list[LocalCheck], list[LocalStatistic]]:
        checks: list[LocalCheck] = []
        statistics: list[LocalStatistic] = []
        self.plans: dict[str, ColumnPlan] = {}
        try:
            self.plans = local_columns(self.table.types)
        except CannotError as error:
            of_rows = [one for one in rules if not isinstance(one.rule, q.SchemaIs)]
            self.left_out = {bound.name: str(error) for bound in of_rows}
            return checks, statistics
        for bound in rules:
            try:
                if isinstance(bound.rule, q.SchemaIs):
                    continue  # needs no query
                if bound.rule.level is q.Level.TABLE:
                    statistics.append(statistic(bound, self.plans))
                else:
                    checks.append(row_check(bound, self.plans))
            except CannotError as error:
                self.left_out[bound.name] = str(error)
        return checks, statistics

    def _fused(
        self, checks: Sequence[LocalCheck], statistics: Sequence[LocalStatistic]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """One query; a rule that cannot be computed does not stop the others."""
        parts: dict[str, dict[str, str]] = {"": {"rows": "count(*)"}}
        for check in checks:
            name = check.bound.name
            parts[name] = {f"{name}/evaluated": counting(check.evaluated)}
            if check.considered:
                parts[name][f"{name}/considered"] = counting(check.considered)
            if check.bound.rule.level is q.Level.ROW:
                parts[name][f"{name}/failed"] = counting(check.fails)
        for one in statistics:
            name = one.bound.name
            parts[name] = {f"{name}/{key}": sql for key, sql in one.aggregates.items()}
        try:
            return self._answers(parts), {}
        except self.duckdb.Error:
            _LOG.warning("a rule failed while it was computed; each is tried by itself")
        answers = self._answers({"": parts.pop("")})
        errors: dict[str, str] = {}
        for name, columns in parts.items():
            try:
                answers |= self._answers({name: columns})
            except self.duckdb.Error as error:
                errors[name] = " ".join(str(error).split())[:500]
        return answers, errors

    def _answers(self, parts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        columns = [(name, sql) for own in parts.values() for name, sql in own.items()]
        if not columns:
            return {}
        shown = ", ".join(sql for _, sql in columns)
        (row,) = self._query(f"SELECT {shown} FROM {self.table.relation}")
        return dict(zip([name for name, _ in columns], row, strict=True))

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        self.passes += 1
        found: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return found

    def _judge_key(self, check: LocalCheck, answers: Mapping[str, Any]) -> None:
        columns, unique = check.bound.columns, isinstance(check.bound.rule, q.Unique)
        if unique and not self.unique.isdisjoint(columns):
            self._count(check, answers, 0, [])
            return
        ((failed,),) = self._query(f"SELECT coalesce(sum(n), 0) FROM ({self._bad_keys(check)})")
        if unique and len(columns) == 1 and not failed and not check.considered:
            self.unique.add(columns[0])
        samples: list[tuple[str, int]] = []
        if failed and self.most:
            keys = ", ".join(f"k{at}" for at in range(len(columns)))
            bad = self._bad_keys(check, f"min([{', '.join(check.shown)}])")
            ordered = f"SELECT shown, n FROM ({bad}) ORDER BY n DESC, {keys} LIMIT {self.most}"
            samples = [(_joined(check, texts), rows) for texts, rows in self._query(ordered)]
        self._count(check, answers, int(failed), samples)

    def _bad_keys(self, check: LocalCheck, shown: str = "NULL") -> str:
        rule = check.bound.rule
        keys = [f"{named(name)} AS k{at}" for at, name in enumerate(check.bound.columns)]
        groups = ", ".join(f"k{at}" for at in range(len(keys)))
        counted = (
            f"SELECT {', '.join(keys)}, count(*) AS n, {shown} AS shown"
            f" FROM {self.table.relation} WHERE {check.evaluated} GROUP BY {groups}"
        )
        if not isinstance(rule, q.Relationships):
            return f"{counted} HAVING count(*) > 1"
        field_ = named(rule.field)
        valid = f"SELECT {field_} FROM {self.parents[rule.to].relation} WHERE {field_} IS NOT NULL"
        return f"SELECT * FROM ({counted}) WHERE k0 NOT IN ({valid})"

    def _count(
        self,
        check: LocalCheck,
        answers: Mapping[str, Any],
        failed: int,
        samples: Sequence[tuple[str, int]] | None,
    ) -> None:
        name = check.bound.name
        if samples is None:
            samples = self._samples(check) if failed else ()
        self.results[name] = counted_result(
            check.bound,
            considered=answers.get(f"{name}/considered", self.rows),
            evaluated=answers[f"{name}/evaluated"],
            failed=failed,
            samples=failing_values(check, samples, self.plans, self.private),
            private=not self.private.isdisjoint(check.speaks_of),
            plans=self.plans,
        )

    def _samples(self, check: LocalCheck) -> list[tuple[str, int]]:
        if isinstance(check.bound.rule, q.NotNull) or not self.most or not check.shown:
            return []
        texts = f"[{', '.join(check.shown)}]"
        found = self._query(
            f"SELECT {texts} AS shown, count(*) AS n FROM {self.table.relation}"
            f" WHERE {check.fails} GROUP BY shown ORDER BY n DESC, shown LIMIT {self.most}"
        )
        return [(_joined(check, texts), rows) for texts, rows in found]

    def _observe(
        self, one: LocalStatistic, answers: Mapping[str, Any], errors: Mapping[str, str]
    ) -> None:
        bound = one.bound
        if bound.name in errors:
            self.results[bound.name] = unknown(bound, self.rows, errors[bound.name])
            return
        own = {key: answers[f"{bound.name}/{key}"] for key in one.aggregates}
        plan = self.plans[bound.columns[0]] if bound.columns else None
        observed, holds = judged(bound, own, plan, {"rows": self.rows, "now": self.now})
        self.results[bound.name] = observed_result(bound, self.rows, observed, holds=holds)


def _joined(check: LocalCheck, texts: Sequence[str | None]) -> str:
    if len(texts) == 1:
        return texts[0] or ""
    told = {n: one for n, one in zip(check.speaks_of, texts, strict=True) if one is not None}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
