"""The deterministic sample behind associations, predictive power and shapes of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.profile_columns import LONGEST_TEXT, ColumnPlan, Family, row_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_ROWS = 20_000
_MOST_CELLS = 6_000_000
_PARTS = 1_000_000


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


def take_sample(
    df: DataFrame,
    plans: Sequence[ColumnPlan],
    *,
    total: int,
    target: Column | None,
    seed: int,
    rows: int = SAMPLE_ROWS,
) -> Sample:
    """Bring the rows with the smallest hashes to the driver.

    The hash is that of the original record (``_crisp_row``), or else of all columns, so that
    neither files nor partitions change the sample.

    Args:
        df: Table.
        plans: Columns.
        total: Rows of the table.
        target: Expression of the target, double or text.
        seed: Seed of the hash.
        rows: Size of the sample; wide tables get a smaller one.

    Rows: at most ``rows``. Adds: nothing. Drops: the rest. Jobs: one pass.
    """
    rows = max(1000, min(rows, _MOST_CELLS // max(1, len(plans))))
    content = (
        F.col("_crisp_row")
        if "_crisp_row" in df.columns
        else row_hash(df, [plan.name for plan in plans])
    )
    order = F.xxhash64(F.lit(seed), content)
    columns = [_sampled(plan).alias(f"s{plan.index}") for plan in plans]
    columns += [] if target is None else [target.alias("t")]
    drawn = df.select(order.alias("h"), *columns)
    if total > rows:
        # Rows beyond this hash cannot be among the smallest, give or take a sliver of chance.
        part = math.ceil(_PARTS * (1.15 * rows + 500) / total)
        drawn = drawn.where(F.pmod(order, F.lit(_PARTS)) < part)
    # A dense numbering of rows of equal hash is not needed: they are equal in content.
    table = collect_arrow(drawn.orderBy("h").limit(rows))
    sample = Sample(rows=table.num_rows, complete=table.num_rows == total)
    for plan in plans:
        _keep(sample, plan, table.column(f"s{plan.index}"))
    if target is None:
        return sample
    found = table.column("t")
    values = found.to_numpy()
    known = ~np.asarray(found.is_null().to_numpy())
    if values.dtype.kind == "f":
        known &= np.isfinite(values)
    return Sample(**{**sample.__dict__, "target": values, "target_known": known})


def _sampled(plan: ColumnPlan) -> Column:
    if plan.family is Family.TEXT:
        return F.substring(plan.column, 1, LONGEST_TEXT)
    if plan.family in {Family.NUMBER, Family.MOMENT, Family.BOOLEAN}:
        return plan.number
    return F.when(plan.column.isNotNull(), F.lit(1.0))


def _keep(sample: Sample, plan: ColumnPlan, column: Any) -> None:
    sample.missing[plan.name] = np.asarray(column.is_null().to_numpy(), dtype=bool)
    values = column.to_numpy()
    if plan.family is Family.TEXT:
        sample.texts[plan.name] = values
    elif plan.family in {Family.NUMBER, Family.MOMENT, Family.BOOLEAN}:
        numbers = np.asarray(values, dtype=np.float64).copy()
        numbers[~np.isfinite(numbers)] = np.nan
        sample.numbers[plan.name] = numbers
