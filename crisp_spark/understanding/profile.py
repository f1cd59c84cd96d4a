"""Profile a table: a bounded number of passes, whatever the number of columns.

A small table is brought to the driver in one job; see :mod:`profile_passes` for the others.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.results.profile import ColumnProfile, Missingness, TableProfile, TargetProfile
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import names_in
from crisp_spark.understanding.describe import Evidence, describe_column
from crisp_spark.understanding.distributions import top_of
from crisp_spark.understanding.profile_columns import ColumnPlan, plan_columns
from crisp_spark.understanding.profile_passes import SURELY, Asked, Counted, Goal, count_large
from crisp_spark.understanding.profile_relations import Relations, missingness, relate
from crisp_spark.understanding.profile_sample import SAMPLE_ROWS, Draw
from crisp_spark.understanding.profile_scan import steady
from crisp_spark.understanding.profile_small import fits
from crisp_spark.understanding.profile_small_counts import count_small
from crisp_spark.understanding.profile_values import TARGET, most_values

if TYPE_CHECKING:
    from crisp_spark.spec.business import MiningGoal
    from crisp_spark.spec.data import Source

_LOG = logging.getLogger(__name__)


def profile_table(
    df: DataFrame,
    name: str,
    source: Source | None = None,
    goal: MiningGoal | None = None,
    *,
    seed: int = 42,
    sample_rows: int = SAMPLE_ROWS,
    rows: int | None = None,
) -> TableProfile:
    """Profile one source.

    Args:
        df: The source's rows; columns starting with ``_crisp_`` are not profiled.
        name: Name of the source.
        source: What the project file says about it.
        goal: The data-mining goal; used where its target lives in this source.
        seed: Seed of the sample.
        sample_rows: Size of the sample.
        rows: Rows of the table, where they are known; they are counted otherwise.

    Raises:
        SpecError: The target's expression does not fit the table (before any job).

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass over a small table,
    three over others (four over wide ones), and one to count the rows.
    """
    plans = plan_columns(df, source.columns if source else {})
    target = _target_of(df, name, goal)
    asked = Asked(
        key=_declared_key(df, source),
        time=source.time if source else "",
        target=target,
        draw=Draw(seed, sample_rows),
    )
    counted = _count(df, plans, asked, rows)
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
        missingness=_missingness(columns, counted, related),
        time=counted.time,
        sample_rows=counted.sample.rows,
        sample_note=counted.sample.note,
        scans=counted.scans,
        notes=_table_notes(counted, source),
    )


def _missingness(
    columns: tuple[ColumnProfile, ...], counted: Counted, related: Relations
) -> Missingness:
    return missingness(
        counted.counts,
        counted.pattern_columns,
        counted.rows,
        counted.sample,
        by_target=related.missing_by_target,
        gapless=all(column.missing == 0 for column in columns),
        hopeless=any(column.missing == counted.rows for column in columns),
    )


def _describe(plans: tuple[ColumnPlan, ...], counted: Counted) -> tuple[ColumnProfile, ...]:
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


def _count(df: DataFrame, plans: tuple[ColumnPlan, ...], asked: Asked, rows: int | None) -> Counted:
    total = df.count() if rows is None else rows
    small = fits(total, len(plans), int(SURELY * most_values(0)))
    found = count_small(df, plans, asked) if small else None
    # Scans that came before: of rows that nobody knew, of values that only Spark knows.
    before = (rows is None) + (small and found is None)
    found = found or count_large(df, plans, asked, total)
    return replace(found, scans=found.scans + before)


def _declared_key(df: DataFrame, source: Source | None) -> tuple[str, ...]:
    key = source.key if source else ()
    return key if all(name in df.columns for name in key) else ()


def _target_of(df: DataFrame, name: str, goal: MiningGoal | None) -> Goal | None:
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
    return Goal(goal, expression, sampled, value.cast("string"))


def _target_profile(target: Goal | None, counted: Counted) -> TargetProfile | None:
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
    counted: Counted,
    target: Goal | None,
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


def _table_notes(counted: Counted, source: Source | None) -> tuple[str, ...]:
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
