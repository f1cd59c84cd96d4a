"""Profile a table: a bounded number of passes, whatever the number of columns.

1. counts, approximate distinct counts and extremes of every column;
2. a sample of at most 20,000 rows, chosen by hash;
3. value counts of columns with few values (everything about them follows), histograms of the
   others, frequent texts, rows per period, patterns of missing values, classes of the target;
4. and 5., only where a column has many values: moments and lengths, then quantiles;
6. duplicate rows and keys.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.results.profile import (
    ColumnProfile,
    KeyCheck,
    TableProfile,
    TargetProfile,
    TimeCoverage,
)
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import names_in
from crisp_spark.understanding.describe import Evidence, describe_column
from crisp_spark.understanding.distributions import top_of
from crisp_spark.understanding.profile_columns import (
    ColumnPlan,
    Family,
    plan_columns,
)
from crisp_spark.understanding.profile_keys import check_keys, key_candidates
from crisp_spark.understanding.profile_relations import Relations, missingness, relate
from crisp_spark.understanding.profile_sample import SAMPLE_ROWS, Sample, take_sample
from crisp_spark.understanding.profile_scan import (
    Basics,
    Centre,
    centre_of,
    scan_basics,
    scan_details,
    steady,
)
from crisp_spark.understanding.profile_time import coverage, time_slots
from crisp_spark.understanding.profile_values import (
    TARGET,
    count_values,
    few_values,
    missing_slots,
    plan_slots,
)

if TYPE_CHECKING:
    from crisp_spark.spec.business import MiningGoal
    from crisp_spark.spec.data import Source

_LOG = logging.getLogger(__name__)
_CLASSES = ("binary", "multiclass")


@dataclass(frozen=True)
class _Goal:
    """The target as columns of this table."""

    goal: MiningGoal
    expression: str
    sampled: Column
    """Double, or text for multiclass."""
    shown: Column
    """Text of the target's value."""


@dataclass
class _Counted:
    """What the passes brought."""

    rows: int
    basics: dict[int, Basics]
    sample: Sample
    counts: dict[str, dict[str, int]]
    edges: dict[int, list[float]]
    details: dict[int, dict[str, Any]]
    centres: dict[int, Centre]
    few: frozenset[int]
    keys: tuple[KeyCheck, ...] = ()
    duplicated: int = 0
    time: tuple[TimeCoverage, ...] = ()
    pattern_columns: list[str] = field(default_factory=list)
    target: dict[str, Any] = field(default_factory=dict)
    scans: int = 0


def profile_table(
    df: DataFrame,
    name: str,
    source: Source | None = None,
    goal: MiningGoal | None = None,
    *,
    seed: int = 42,
    sample_rows: int = SAMPLE_ROWS,
) -> TableProfile:
    """Profile one source.

    Args:
        df: The source's rows; columns starting with ``_crisp_`` are not profiled.
        name: Name of the source.
        source: What the project file says about it.
        goal: The data-mining goal; used where its target lives in this source.
        seed: Seed of the sample.
        sample_rows: Size of the sample.

    Raises:
        SpecError: The target's expression does not fit the table (before any job).

    Rows: none. Adds: nothing. Drops: nothing. Jobs: at most six passes.
    """
    plans = plan_columns(df, source.columns if source else {})
    target = _target_of(df, name, goal)
    counted = _count(df, plans, source, target, (seed, sample_rows))
    columns = _describe(plans, counted)
    related = _relate(plans, columns, counted, target)
    _LOG.info("profiled %s: %d columns, %d passes", name, len(plans), counted.scans)
    return TableProfile(
        name=name,
        rows=counted.rows,
        columns=columns,
        duplicated_rows=counted.duplicated if plans else None,
        keys=counted.keys,
        associations=related.associations,
        associations_left_out=related.left_out,
        target=_target_profile(target, counted),
        power=related.power,
        suspects=related.suspects,
        missingness=missingness(
            counted.counts,
            counted.pattern_columns,
            counted.rows,
            counted.sample,
            by_target=related.missing_by_target,
            gapless=all(column.missing == 0 for column in columns),
            hopeless=any(column.missing == counted.rows for column in columns),
        ),
        time=counted.time,
        sample_rows=counted.sample.rows,
        sample_note=counted.sample.note,
        scans=counted.scans,
        notes=_table_notes(counted, source),
    )


def _describe(plans: tuple[ColumnPlan, ...], counted: _Counted) -> tuple[ColumnProfile, ...]:
    key_columns = {key.columns[0] for key in counted.keys if len(key.columns) == 1 and key.unique}
    return tuple(
        describe_column(
            plan,
            Evidence(
                rows=counted.rows,
                basics=counted.basics[plan.index],
                few=plan.index in counted.few,
                values=counted.counts.get(f"v{plan.index}"),
                candidates=counted.counts.get(f"c{plan.index}"),
                bars=counted.counts.get(f"b{plan.index}"),
                edges=counted.edges.get(plan.index),
                details=counted.details.get(plan.index, {}),
                centre=counted.centres.get(plan.index),
                texts=counted.sample.texts.get(plan.name),
                unique=plan.name in key_columns,
            ),
        )
        for plan in plans
    )


def _count(
    df: DataFrame,
    plans: tuple[ColumnPlan, ...],
    source: Source | None,
    target: _Goal | None,
    sampling: tuple[int, int],
) -> _Counted:
    extra: dict[str, Column] = {}
    if target is not None:
        extra["target_known"] = F.count(target.sampled)
        if target.goal.problem not in _CLASSES:
            extra |= {"mean": F.avg(target.sampled), "std": F.stddev_samp(target.sampled)}
    basics, answers = scan_basics(df, plans, extra)
    rows = answers["rows"]
    sample = take_sample(
        df,
        plans,
        total=rows,
        target=target.sampled if target else None,
        seed=sampling[0],
        rows=sampling[1],
    )
    times = time_slots(plans, basics, source.time if source else "")
    pattern_columns, whole_row = missing_slots(plans, basics, rows, sample)
    whole_row |= {slot: column for slot, (_, _, column) in times.items()}
    if target is not None and target.goal.problem in _CLASSES:
        whole_row[TARGET] = target.shown
    slots = plan_slots(plans, basics, sample, whole_row)
    counts = count_values(df, slots) if slots.texts else {}
    few = few_values(plans, basics)
    many = [plan for plan in plans if plan.index not in few and basics[plan.index].known]
    centres = {
        plan.index: centre_of(sample.numbers[plan.name])
        for plan in many
        if plan.family is Family.NUMBER
    }
    details = scan_details(df, many, centres) if many else {}
    declared = _declared_key(df, source)
    duplicated, keys = check_keys(df, declared, key_candidates(plans, basics, rows))
    scanned = any(plan.family is not Family.TEXT for plan in many) + any(
        plan.family is not Family.MOMENT for plan in many
    )
    return _Counted(
        rows=rows,
        basics=basics,
        sample=sample,
        counts=counts,
        edges=slots.edges,
        details=details,
        centres=centres,
        few=few,
        keys=keys,
        duplicated=duplicated,
        time=tuple(
            coverage(plan, unit, counts.get(slot, {}), basics[plan.index])
            for slot, (plan, unit, _) in times.items()
        ),
        pattern_columns=pattern_columns,
        target=answers,
        scans=3 + bool(slots.texts) + scanned,
    )


def _declared_key(df: DataFrame, source: Source | None) -> tuple[str, ...]:
    key = source.key if source else ()
    return key if all(name in df.columns for name in key) else ()


def _target_of(df: DataFrame, name: str, goal: MiningGoal | None) -> _Goal | None:
    if goal is None or not goal.target or goal.target_source != name:
        return None
    expression = goal.target_expression or quoted(goal.target)
    value = F.expr(expression)
    sampled = value.cast("double")
    if goal.problem == "binary":
        sampled = (value == F.lit(goal.positive)).cast("int").cast("double")
    elif goal.problem == "multiclass":
        sampled = value.cast("string")
    from pyspark.errors import PySparkException

    try:
        # Analysis only: no job.
        df.select(sampled, value.cast("string")).schema  # noqa: B018
    except PySparkException as error:
        raise SpecError(
            f"business.mining_goal.target_expression: does not fit source {name!r},"
            f" got {expression!r}",
            hint=str(error).split("\n", 1)[0],
        ) from error
    return _Goal(goal, expression, sampled, value.cast("string"))


def _target_profile(target: _Goal | None, counted: _Counted) -> TargetProfile | None:
    if target is None:
        return None
    known = counted.target["target_known"]
    classes = counted.counts.get(TARGET, {})
    return TargetProfile(
        name=target.goal.target or "",
        expression=target.expression,
        problem=target.goal.problem,
        known=known,
        missing=counted.rows - known,
        classes=top_of(list(classes.items()), known, 100) if known else (),
        mean=steady(counted.target.get("mean")),
        std=steady(counted.target.get("std")),
    )


def _relate(
    plans: tuple[ColumnPlan, ...],
    columns: tuple[Any, ...],
    counted: _Counted,
    target: _Goal | None,
) -> Relations:
    outcome = {plan.name for plan in plans if plan.spec and plan.spec.known_at == "outcome"}
    names = names_in(target.expression) if target is not None else frozenset()
    used = {plan.name for plan in plans if plan.name.lower() in names}
    itself = target is not None and not target.goal.target_expression
    return relate(
        plans,
        {column.name: column for column in columns},
        counted.sample,
        problem=target.goal.problem if target else "",
        declared_outcome=outcome if target else set(),
        in_target=set() if itself else used,
        left_out=used if itself else set(),
    )


def _table_notes(counted: _Counted, source: Source | None) -> tuple[str, ...]:
    notes = []
    notes += [] if counted.rows else ["the table has no rows"]
    if counted.duplicated:
        notes.append(f"{counted.duplicated:,} rows occur more than once")
    for key in counted.keys:
        if key.declared and not key.unique:
            text = f"the declared key {', '.join(key.columns)} is not unique:"
            notes.append(
                f"{text} {key.duplicated_rows:,} rows repeat, {key.missing_rows:,} miss a part"
            )
    if source and source.key and not any(key.declared for key in counted.keys):
        notes.append(f"the declared key {', '.join(source.key)} is not among the columns")
    notes += [
        f"{time.column}: {time.missing_periods:,} {time.unit}s without rows"
        for time in counted.time
        if time.missing_periods
    ]
    return tuple(notes)
