"""Small tables are brought to the driver once, and judged there: one job instead of eight.

Spark still says what a value is as a text or a number and what its hash is, so that a table is
judged alike on both sides of the limit; only the counting is done here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.results.profile import Cell
from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.profile_columns import LONGEST_TEXT, ColumnPlan, Family, cell
from crisp_spark.understanding.profile_keys import KeyRows, content_sql, key_sql
from crisp_spark.understanding.profile_sample import PARTS, Draw, Sample, order_sql, with_target
from crisp_spark.understanding.profile_scan import Basics

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_CELLS = 2_000_000
_NUMERIC = frozenset({Family.NUMBER, Family.MOMENT, Family.BOOLEAN})
_YEAR = re.compile(r"\d{4}-")


@dataclass(frozen=True)
class SmallTable:
    """All rows of a table, column by column, in the order of their hash.

    Attributes:
        rows: Rows.
        basics: What the first pass would have told of each column, by index.
        values: Value (as text) to rows, by index.
        sample: The sample.
        texts: The columns of values, by index; None where missing.
        target: The target's values; None without a target.
        shown: The same as texts.
        content: Hashes of the rows.
        declared: Hashes of the declared key; None without one.
    """

    rows: int
    basics: dict[int, Basics]
    values: dict[int, dict[Any, int]]
    sample: Sample
    texts: dict[int, list[Any]]
    target: list[Any] | None
    shown: list[str | None] | None
    content: list[int]
    declared: list[int | None] | None


def fits(rows: int, columns: int, most_rows: int) -> bool:
    """Say whether a table is small: every value of every column may then be counted here."""
    return rows <= most_rows and rows * columns <= _MOST_CELLS


def collect_small(
    df: DataFrame,
    plans: Sequence[ColumnPlan],
    draw: Draw,
    *,
    target: tuple[Column, Column] | None,
    key: tuple[str, ...],
) -> SmallTable | None:
    """Bring a small table to the driver.

    Args:
        df: Table.
        plans: Columns.
        draw: How the sample is drawn.
        target: Sampled and shown value of the target.
        key: The declared key.

    Returns:
        The table; None where moments lie beyond the years 0001 to 9999, which only Spark knows.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one.
    """
    parts = [f"{order_sql(df, plans, draw.seed)} AS h", f"{content_sql(df)} AS r"]
    parts += [f"{key_sql(df, key)} AS k"] if key else []
    parts += [part for plan in plans for part in _collected(plan)]
    columns = [F.expr(part) for part in parts]
    columns += [target[0].alias("t"), target[1].alias("u")] if target else []
    table = collect_arrow(df.select(*columns)).sort_by("h")
    texts = {plan.index: _texts(plan, table) for plan in plans}
    moments = [plan.index for plan in plans if plan.family is Family.MOMENT]
    if any(text and not _YEAR.match(text) for at in moments for text in texts[at]):
        return None
    values = {plan.index: tally(texts[plan.index]) for plan in plans}
    return SmallTable(
        rows=table.num_rows,
        basics={plan.index: _basics(plan, table, values[plan.index]) for plan in plans},
        values=values,
        sample=_sample(table, plans, draw, target),
        texts=texts,
        target=table["t"].to_pylist() if target else None,
        shown=table["u"].to_pylist() if target else None,
        content=table["r"].to_pylist(),
        declared=table["k"].to_pylist() if key else None,
    )


def _collected(plan: ColumnPlan) -> list[str]:
    """What is needed of a column: texts stand for themselves, the rest is a number and a text."""
    at = plan.index
    if plan.family is Family.TEXT:
        return [f"{plan.sql} AS v{at}"]
    if plan.family in _NUMERIC:
        return [f"{plan.number_sql} AS n{at}", f"{plan.text_sql} AS v{at}"]
    known = f"CASE WHEN {plan.sql} IS NOT NULL THEN "
    # Values that have no text are told apart by their hashes.
    return [f"{known}{f'xxhash64({plan.sql})' if plan.hashable else '0L'} END AS v{at}"]


def _texts(plan: ColumnPlan, table: pa.Table) -> list[Any]:
    return list(table[f"v{plan.index}"].to_pylist())


def _basics(plan: ColumnPlan, table: pa.Table, values: Mapping[str, int]) -> Basics:
    low, high = _ends(plan, table, values)
    return Basics(
        known=sum(values.values()),
        distinct=len(values) if plan.hashable else None,
        low=low,
        high=high,
    )


def _ends(plan: ColumnPlan, table: pa.Table, values: Mapping[str, int]) -> tuple[Cell, Cell]:
    if plan.family is Family.NUMBER:
        numbers: list[Any]
        if plan.fractional:
            found = np.asarray(table[f"n{plan.index}"].to_numpy(), dtype=np.float64)
            numbers = found[np.isfinite(found)].tolist()
        else:
            whole = not plan.type.startswith("decimal")
            numbers = [int(text) if whole else Decimal(text) for text in values]
        return cell(min(numbers, default=None)), cell(max(numbers, default=None))
    if plan.family is Family.TEXT:
        # Spark orders texts by their UTF-8 bytes, which is the order of their code points.
        short = [text[:LONGEST_TEXT] for text in values]
        return min(short, default=None), max(short, default=None)
    if plan.family is Family.MOMENT:
        return min(values, default=None), max(values, default=None)
    return None, None


def _sample(
    table: pa.Table,
    plans: Sequence[ColumnPlan],
    draw: Draw,
    target: tuple[Column, Column] | None,
) -> Sample:
    total = table.num_rows
    drawn = np.mod(table["h"].to_numpy(), PARTS) < draw.part(len(plans), total)
    table = table.filter(drawn).slice(0, draw.size(len(plans)))
    sample = Sample(rows=table.num_rows, complete=table.num_rows == total)
    for plan in plans:
        found = table[f"v{plan.index}"]
        sample.missing[plan.name] = np.asarray(found.is_null().to_numpy(), dtype=bool)
        if plan.family is Family.TEXT:
            texts = [text if text is None else text[:LONGEST_TEXT] for text in found.to_pylist()]
            sample.texts[plan.name] = np.array([*texts, None], dtype=object)[:-1]
        elif plan.family in _NUMERIC:
            numbers = np.array(table[f"n{plan.index}"].to_numpy(), dtype=np.float64)
            numbers[~np.isfinite(numbers)] = np.nan
            sample.numbers[plan.name] = numbers
    return with_target(sample, table["t"]) if target else sample


def tally(values: Iterable[Any]) -> dict[Any, int]:
    """Count the values that are not missing."""
    return dict(Counter(value for value in values if value is not None))


def repeats(values: Iterable[Any]) -> KeyRows:
    """Count distinct and repeated values; None is missing."""
    counts = Counter(values)
    missing = counts.pop(None, 0)
    return KeyRows(
        distinct=len(counts),
        missing=missing,
        rows=sum(counts.values()),
        duplicated=sum(rows for rows in counts.values() if rows > 1),
    )


def periods(texts: Iterable[str | None], unit: str) -> dict[str, int]:
    """Count moments, given as texts, per period: by the text of the period's start."""
    cut, rest = {
        "hour": (13, ":00"),
        "day": (10, " 00:00"),
        "month": (7, "-01 00:00"),
        "year": (4, "-01-01 00:00"),
    }[unit]
    at_midnight = " 00:00:00"  # of dates
    return tally(f"{text}{at_midnight}"[:cut] + rest for text in texts if text is not None)


def gaps_together(table: SmallTable, plans: Sequence[ColumnPlan]) -> dict[str, int]:
    """Count the patterns of missing values in all rows, as texts of 0 and 1."""
    if not plans:
        return {"": table.rows}
    signs = [["01"[text is None] for text in table.texts[plan.index]] for plan in plans]
    return dict(Counter(map("".join, zip(*signs, strict=True))))
