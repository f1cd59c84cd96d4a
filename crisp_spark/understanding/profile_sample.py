"""The deterministic sample behind associations, predictive power and shapes of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.understanding.profile_columns import (
    LONGEST_TEXT,
    ColumnPlan,
    Family,
    row_hash_sql,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SAMPLE_ROWS = 20_000
_MOST_CELLS = 6_000_000
PARTS = 1_000_000


@dataclass(frozen=True)
class Sample:
    """Rows of the sample, column by column, in the order of their hash.

    Attributes:
        rows: Rows in the sample.
        complete: The sample is the whole table.
        missing: Column to whether the value is missing.
        numbers: Number, moment and truth columns; NaN where missing or not finite.
        texts: Text columns; None where missing.
        target: Numeric target (binary: 0 and 1) or class names; None without a target.
        target_known: Whether the target is known.
    """

    rows: int
    complete: bool
    missing: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    texts: dict[str, NDArray[Any]] = field(default_factory=dict)
    target: NDArray[Any] | None = None
    target_known: NDArray[np.bool_] | None = None

    @property
    def note(self) -> str:
        """Which rows these are, in words."""
        if self.complete:
            return f"all {self.rows:,} rows"
        return f"{self.rows:,} rows, chosen by a hash of their content"


@dataclass(frozen=True)
class Draw:
    """How the sample is drawn.

    Attributes:
        seed: Seed of the hash.
        rows: Size of the sample; wide tables get a smaller one.
    """

    seed: int = 42
    rows: int = SAMPLE_ROWS

    def size(self, columns: int) -> int:
        """Return the rows of the sample of a table with so many columns."""
        return max(1000, min(self.rows, _MOST_CELLS // max(1, columns)))

    def part(self, columns: int, total: int) -> int:
        """Return which rows of a table may be drawn: those whose hash modulo PARTS is below."""
        rows = self.size(columns)
        return (
            PARTS if total <= rows else min(PARTS, math.ceil(PARTS * (1.15 * rows + 500) / total))
        )


def order_sql(df: DataFrame, plans: Sequence[ColumnPlan], seed: int) -> str:
    """Return the hash that orders the rows, as SQL.

    It is that of the original record (``_crisp_row``), or else of all columns, so that neither
    files nor partitions change the sample.
    """
    content = "_crisp_row" if "_crisp_row" in df.columns else ""
    content = content or row_hash_sql(df, [plan.name for plan in plans])
    return f"xxhash64({seed}, {content})"


def sampled_rows(
    df: DataFrame, plans: Sequence[ColumnPlan], draw: Draw, *, total: int, target: Column | None
) -> Column:
    """Return an aggregate that collects the rows that may be drawn, a few more than needed.

    Args:
        df: Table.
        plans: Columns.
        draw: How the sample is drawn.
        total: Rows of the table.
        target: Expression of the target, double or text.
    """
    order = F.expr(order_sql(df, plans, draw.seed))
    drawn = F.struct(
        order.alias("h"),
        *[F.expr(f"{_sampled(plan)} AS s{plan.index}") for plan in plans],
        *([] if target is None else [target.alias("t")]),
    )
    part = draw.part(len(plans), total)
    if part >= PARTS:
        return F.collect_list(drawn)
    return F.collect_list(F.when(F.pmod(order, F.lit(PARTS)) < part, drawn))


def sample_of(
    collected: pa.ListScalar, plans: Sequence[ColumnPlan], draw: Draw, *, total: int, target: bool
) -> Sample:
    """Turn what :func:`sampled_rows` collected into the sample."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_struct_array(collected.values)
    # Rows of equal hash need no order of their own: they are equal in content.
    table = table.take(pc.sort_indices(table["h"])[: draw.size(len(plans))])
    sample = Sample(rows=table.num_rows, complete=table.num_rows == total)
    for plan in plans:
        _keep(sample, plan, table.column(f"s{plan.index}"))
    return with_target(sample, table.column("t")) if target else sample


def with_target(sample: Sample, found: pa.ChunkedArray) -> Sample:
    """Add the target's values."""
    values = found.to_numpy()
    known = ~np.asarray(found.is_null().to_numpy())
    if values.dtype.kind == "f":
        known &= np.isfinite(values)
    return replace(sample, target=values, target_known=known)


def _sampled(plan: ColumnPlan) -> str:
    if plan.family is Family.TEXT:
        return f"substring({plan.sql}, 1, {LONGEST_TEXT})"
    if plan.family in {Family.NUMBER, Family.MOMENT, Family.BOOLEAN}:
        return plan.number_sql
    return f"CASE WHEN {plan.sql} IS NOT NULL THEN 1D END"


def _keep(sample: Sample, plan: ColumnPlan, column: Any) -> None:
    sample.missing[plan.name] = np.asarray(column.is_null().to_numpy(), dtype=bool)
    values = column.to_numpy()
    if plan.family is Family.TEXT:
        sample.texts[plan.name] = values
    elif plan.family in {Family.NUMBER, Family.MOMENT, Family.BOOLEAN}:
        numbers = np.asarray(values, dtype=np.float64).copy()
        numbers[~np.isfinite(numbers)] = np.nan
        sample.numbers[plan.name] = numbers
