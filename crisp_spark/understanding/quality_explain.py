"""What judging a source will cost: rules, scans, jobs and columns read; no job is run to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from crisp_spark.spec import quality as q
from crisp_spark.spec.sqltext import names_in
from crisp_spark.understanding.quality_checks import Compiled
from crisp_spark.understanding.quality_compile import compile_rules

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule


@dataclass(frozen=True)
class Pass:
    """A part of the plan.

    Attributes:
        name: What is done.
        rules: Names of the rules that it judges.
        columns: Columns that it reads.
        scans: Scans of the table.
        jobs: Spark jobs, with a job per shuffle as adaptive execution has them.
    """

    name: str
    rules: tuple[str, ...]
    columns: tuple[str, ...]
    scans: int
    jobs: int


@dataclass(frozen=True)
class Explained:
    """The plan of a source in which no row fails.

    Broken rules add one scan for all examples of failing values, and one per broken rule about
    keys.

    Attributes:
        source: Name of the source.
        passes: Parts of the plan, in order.
    """

    source: str
    passes: tuple[Pass, ...]

    @property
    def rules(self) -> int:
        """Number of rules."""
        return sum(len(one.rules) for one in self.passes)

    @property
    def scans(self) -> int:
        """Scans of the table."""
        return sum(one.scans for one in self.passes)

    @property
    def jobs(self) -> int:
        """Spark jobs."""
        return sum(one.jobs for one in self.passes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read."""
        return tuple(dict.fromkeys(name for one in self.passes for name in one.columns))


def explain_rules(
    df: DataFrame,
    rules: Sequence[BoundRule],
    *,
    source: str = "",
    parents: Mapping[str, DataFrame] | None = None,
) -> Explained:
    """Plan the rules of a source.

    Args:
        df: The source's rows; only the columns are looked at.
        rules: Its rules.
        source: Name of the source.
        parents: Sources that ``relationships`` refer to.

    Raises:
        SpecError: A rule does not fit the columns.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: none.
    """
    compiled = compile_rules(df, rules, parents=parents or {}, now=datetime.now(tz=UTC))
    exact = [b for b in compiled.quantiles if isinstance(b.rule, q.QuantileBetween)]
    rough = [bound for bound in exact if not bound.rule.exact]  # type: ignore[union-attr]
    exact = [bound for bound in exact if bound not in rough]
    plan = [
        _fused(df, compiled, rules, exact),
        *_keys(df, compiled),
        *[
            _pass(df, f"foreign key to {check.bound.rule.to}", [check.bound], 1, 4)
            for check in compiled.keys
            if isinstance(check.bound.rule, q.Relationships)
        ],
        # A sample brackets the values; small tables take this scan only.
        _pass(df, "exact quantiles", exact, 3, 4),
        _pass(df, "approximate quantiles", rough, 1, 1),
        Pass("columns and types", tuple(b.name for b in compiled.schema), (), 0, 0),
    ]
    return Explained(source, tuple(one for one in plan if one.rules))


def _fused(
    df: DataFrame, compiled: Compiled, rules: Sequence[BoundRule], sized: Sequence[BoundRule]
) -> Pass:
    judged = [check.bound for check in compiled.rows] + [check.bound for check in compiled.table]
    counted = [*judged, *sized, *(check.bound for check in compiled.keys)]
    names = tuple(bound.name for bound in rules if bound in judged)
    return Pass("rows and statistics", names, _columns(df, counted), 1, 2)


def _keys(df: DataFrame, compiled: Compiled) -> list[Pass]:
    unique = [check for check in compiled.keys if isinstance(check.bound.rule, q.Unique)]
    single = [check.bound for check in unique if len(check.bound.columns) == 1]
    whole = {bound.columns[0] for bound in single if not _where(bound)}
    several = [check.bound for check in unique if len(check.bound.columns) > 1]
    proven = [bound for bound in several if whole & set(bound.columns)]
    grouped = [bound for bound in several if bound not in proven]
    plan = []
    for name, own in (
        ("unique and distinct values", [*single, *compiled.distinct]),
        ("unique keys of several columns", grouped),
    ):
        sets = {(bound.columns, _where(bound)) for bound in own}
        # A shuffle per key set, one to bring the counts together, one to hand them over.
        plan.append(_pass(df, name, own, len(sets), len(sets) + 2))
    plan.append(_pass(df, "unique, as one of the columns is", proven, 0, 0))
    return plan


def _pass(df: DataFrame, name: str, rules: Sequence[BoundRule], scans: int, jobs: int) -> Pass:
    names = tuple(bound.name for bound in rules)
    return Pass(name, names, _columns(df, rules) if scans else (), scans, jobs)


def _where(bound: BoundRule) -> str:
    return str(getattr(bound.rule, "where", ""))


def _columns(df: DataFrame, rules: Iterable[BoundRule]) -> tuple[str, ...]:
    named: set[str] = set()
    texts: set[str] = set()
    for bound in rules:
        named |= set(bound.columns)
        texts |= set(names_in(f"{_where(bound)} {getattr(bound.rule, 'sql', '')}"))
    return tuple(name for name in df.columns if name in named or name.lower() in texts)
