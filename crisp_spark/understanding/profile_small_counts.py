"""A small table, judged on the driver: what is counted of it, without another job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from crisp_spark.results.profile import KeyCheck
from crisp_spark.understanding.profile_columns import ColumnPlan
from crisp_spark.understanding.profile_keys import distinct_keys, key_candidates, key_check
from crisp_spark.understanding.profile_passes import Asked, Counted, Goal, coverages
from crisp_spark.understanding.profile_small import (
    SmallTable,
    collect_small,
    gaps_together,
    periods,
    repeats,
    tally,
)
from crisp_spark.understanding.profile_time import time_slots
from crisp_spark.understanding.profile_values import (
    COMPLETE,
    PATTERN,
    TARGET,
    VALUE_FAMILIES,
    gap_columns,
    missing_slots,
    sampled_patterns,
)


def count_small(df: DataFrame, plans: tuple[ColumnPlan, ...], asked: Asked) -> Counted | None:
    """Bring a small table to the driver and count there what the passes would have counted.

    Args:
        df: Table.
        plans: Columns.
        asked: What is wanted beyond the columns.

    Returns:
        What was found; None where moments lie beyond the years 0001 to 9999, which only Spark
        knows.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one.
    """
    target = asked.target
    table = collect_small(
        df,
        plans,
        asked.draw,
        target=(target.sampled, target.shown) if target else None,
        key=asked.key,
    )
    if table is None:
        return None
    basics, rows = table.basics, table.rows
    gaps = gap_columns(plans, basics, rows)
    counted = [plan.index for plan in plans if plan.family in VALUE_FAMILIES]
    counts = {f"v{at}": table.values[at] for at in counted}
    counts |= _gaps(table, plans, gaps)
    times = time_slots(plans, basics, asked.time)
    counts |= {slot: periods(table.texts[p.index], unit) for slot, (p, unit, _) in times.items()}
    if target is not None and target.classes:
        counts[TARGET] = tally(table.shown or ())
    return Counted(
        rows=rows,
        basics=basics,
        sample=table.sample,
        counts=counts,
        few=frozenset(counted),
        scans=1,
        keys=_keys(table, plans, asked.key),
        duplicated=repeats(table.content).duplicated,
        time=coverages(times, counts, basics),
        pattern_columns=[plan.name for plan in gaps],
        target=_target_sums(table, target) if target else {},
    )


def _gaps(
    table: SmallTable, plans: Sequence[ColumnPlan], gaps: Sequence[ColumnPlan]
) -> dict[str, dict[str, int]]:
    """Count what :func:`missing_slots` asks for."""
    sampled = sampled_patterns(table.sample, [plan.name for plan in gaps])
    wanted = missing_slots(plans, table.basics, table.rows, sampled)
    counts = {}
    if PATTERN in wanted:
        counts[PATTERN] = gaps_together(table, gaps)
    if COMPLETE in wanted:
        whole = gaps_together(table, plans).get("0" * len(plans), 0)
        counts[COMPLETE] = {"1": whole} if whole else {}
    return counts


def _keys(
    table: SmallTable, plans: Sequence[ColumnPlan], declared: tuple[str, ...]
) -> tuple[KeyCheck, ...]:
    at = {plan.name: plan.index for plan in plans}
    checks = []
    for key in distinct_keys(declared, key_candidates(plans, table.basics, table.rows)):
        # Candidates are single columns of types whose texts differ where their values do.
        values = table.declared if key == declared else table.texts[at[key[0]]]
        checks.append(key_check(key, repeats(values or ()), declared=key == declared))
    return tuple(checks)


def _target_sums(table: SmallTable, target: Goal) -> dict[str, Any]:
    values = table.target or []
    known = [value for value in values if value is not None]
    sums: dict[str, Any] = {"target_known": len(known)}
    if not target.classes:
        found = np.array(known, dtype=np.float64)
        sums["mean"] = float(found.mean()) if len(found) else None
        sums["std"] = float(found.std(ddof=1)) if len(found) > 1 else None
    return sums
