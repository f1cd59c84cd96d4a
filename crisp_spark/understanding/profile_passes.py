"""The passes over a table that is not small.

1. Counts, sketches and extremes of every column, and a sample of at most 20,000 rows, chosen by
   hash.
2. Value counts of columns with few values (everything about them follows), histograms, moments
   and lengths of the others, frequent texts, rows per period, patterns of missing values, classes
   of the target.
3. Duplicate rows and keys. Their groups are as many as the rows: among them the few groups of the
   second pass would no longer fit into memory.

Only the sample of a table of more than 40 columns takes a pass of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import KeyCheck, TimeCoverage
from crisp_spark.understanding.profile_columns import ColumnPlan, Family
from crisp_spark.understanding.profile_keys import check_keys, key_candidates
from crisp_spark.understanding.profile_moments import Centre, centre_of
from crisp_spark.understanding.profile_sample import Draw, Sample, sample_of, sampled_rows
from crisp_spark.understanding.profile_scan import Basics, scan_basics
from crisp_spark.understanding.profile_time import TimeSlots, coverage, time_slots
from crisp_spark.understanding.profile_values import (
    TARGET,
    Counts,
    count_values,
    few_values,
    gap_columns,
    missing_slots,
    most_values,
    plan_slots,
    sampled_patterns,
)

if TYPE_CHECKING:
    from crisp_spark.spec.business import MiningGoal

_CLASSES = ("binary", "multiclass")
SURELY = 0.9
"""Share of a limit from which on an approximate count may lie beyond it."""


@dataclass(frozen=True)
class Goal:
    """The target as columns of this table."""

    goal: MiningGoal
    expression: str
    sampled: Column
    """Double, or text for multiclass."""
    shown: Column
    """Text of the target's value."""

    @property
    def classes(self) -> bool:
        """Whether the target's values are counted."""
        return self.goal.problem in _CLASSES


@dataclass(frozen=True)
class Asked:
    """What is to be profiled beyond the columns: declared key and time, target, sample."""

    key: tuple[str, ...]
    time: str
    target: Goal | None
    draw: Draw


@dataclass
class Counted:
    """What the passes brought."""

    rows: int
    basics: dict[int, Basics]
    sample: Sample
    counts: dict[str, dict[str, int]]
    few: frozenset[int]
    scans: int
    edges: dict[int, list[float]] = field(default_factory=dict)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    centres: dict[int, Centre] = field(default_factory=dict)
    keys: tuple[KeyCheck, ...] = ()
    duplicated: int = 0
    time: tuple[TimeCoverage, ...] = ()
    pattern_columns: list[str] = field(default_factory=list)
    target: dict[str, Any] = field(default_factory=dict)


def count_large(df: DataFrame, plans: tuple[ColumnPlan, ...], asked: Asked, total: int) -> Counted:
    """Run the passes over a table of ``total`` rows.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: three passes; four with many columns.
    """
    target = asked.target
    sampled = target.sampled if target else None
    first = scan_basics(
        df,
        plans,
        _target_sums(target),
        sampled_rows(df, plans, asked.draw, total=total, target=sampled),
        # Columns that hold no more values are counted out: their quantiles follow.
        quantiles=total > SURELY * most_values(len(plans)),
    )
    basics, rows = first.basics, first.rows
    sample = sample_of(first.sampled, plans, asked.draw, total=rows, target=sampled is not None)
    few = few_values(plans, basics)
    centres = {
        plan.index: centre_of(sample.numbers[plan.name])
        for plan in plans
        if plan.family is Family.NUMBER and plan.index not in few and basics[plan.index].known
    }
    gaps = [plan.name for plan in gap_columns(plans, basics, rows)]
    times = time_slots(plans, basics, asked.time)
    missing = missing_slots(plans, basics, rows, sampled_patterns(sample, gaps))
    whole_row = {name: F.expr(text) for name, text in missing.items()}
    whole_row |= {slot: column for slot, (_, _, column) in times.items()}
    if target is not None and target.classes:
        whole_row[TARGET] = target.shown
    slots = plan_slots(plans, basics, sample, centres, whole_row)
    counts = count_values(df, slots) if slots.texts else Counts()
    duplicated, keys = check_keys(df, asked.key, key_candidates(plans, basics, rows))
    return Counted(
        rows=rows,
        basics=basics,
        sample=sample,
        counts=counts.texts,
        edges=slots.edges,
        details=counts.details,
        centres=centres,
        few=few,
        keys=keys,
        duplicated=duplicated,
        time=coverages(times, counts.texts, basics),
        pattern_columns=gaps,
        target=first.extra,
        scans=first.reads + bool(slots.texts) + 1,
    )


def _target_sums(target: Goal | None) -> dict[str, Column]:
    if target is None:
        return {}
    sums = {"target_known": F.count(target.sampled)}
    if not target.classes:
        sums |= {"mean": F.avg(target.sampled), "std": F.stddev_samp(target.sampled)}
    return sums


def coverages(
    times: TimeSlots, counts: Mapping[str, Mapping[str, int]], basics: Mapping[int, Basics]
) -> tuple[TimeCoverage, ...]:
    """Return the coverage of every time column that was counted."""
    return tuple(
        coverage(plan, unit, counts.get(slot, {}), basics[plan.index])
        for slot, (plan, unit, _) in times.items()
    )
