"""Counts per bin of every watched column, in the reference and now: two Spark jobs for all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pyspark.ml.feature import Bucketizer
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BINS = 10
FINE_BINS = 50
MOST_CATEGORIES = 50
MOST_UNSEEN = 10
OTHER = "(other)"
ANY_TIME = "(any time)"
_EDGE_ROWS = 50_000
_MILLION = 1_000_000
_SEED = 42


@dataclass
class BinnedColumn:
    """Counts of one column over the same bins in both tables.

    Attributes:
        name: Column.
        is_number: Numbers are binned by the reference's deciles, everything else by value.
        labels: Name of each bin; bins of numbers rise.
        reference: Counts per bin in the reference.
        current: Counts per bin now.
        fine_reference: Counts per fiftieth of the reference (numbers), rising.
        fine_current: The same, now.
        mean_reference: Mean of the values in each such bin of the reference; 0 in an empty one.
        mean_current: The same, now.
        missing_reference: Missing cells in the reference.
        missing_current: Missing cells now.
        unseen: The commonest values that the reference does not have, with their rows now.
        unseen_count: Number of such values.
        unseen_rows: Rows with such a value.
    """

    name: str
    is_number: bool
    labels: list[str] = field(default_factory=list)
    reference: list[int] = field(default_factory=list)
    current: list[int] = field(default_factory=list)
    fine_reference: list[int] = field(default_factory=list)
    fine_current: list[int] = field(default_factory=list)
    mean_reference: list[float] = field(default_factory=list)
    mean_current: list[float] = field(default_factory=list)
    missing_reference: int = 0
    missing_current: int = 0
    unseen: dict[str, int] = field(default_factory=dict)
    unseen_count: int = 0
    unseen_rows: int = 0


def measure_bins(
    reference: DataFrame,
    current: DataFrame,
    columns: Sequence[str],
    *,
    reference_rows: int | None = None,
) -> list[BinnedColumn]:
    """Count every column of both tables over bins that the reference defines.

    Not-a-number and infinities count as missing. Columns that are neither numbers nor have a text
    form (arrays, maps) are left out; of dates and times only the missing ones are compared. Every
    row is counted; only the edges of the bins come from a sample by hash where the reference is
    large. What reaches the driver is bounded, however many values a column has.

    Args:
        reference: Rows that define the bins.
        current: Rows to compare.
        columns: Columns to count.
        reference_rows: Rows of the reference, where known; then edges may come from a sample.

    Rows: all. Adds: none. Drops: none. Jobs: two, whatever the number of columns.
    """
    kinds = {name: _kind(reference.schema[name].dataType) for name in columns}
    watched = [name for name in columns if kinds[name] is not None]
    numbers = [name for name in watched if kinds[name] == "number"]
    if not watched:
        return []
    edges = _edges(reference, numbers, reference_rows)
    both = _cells(reference, 0, watched, edges).unionByName(_cells(current, 1, watched, edges))
    counted: dict[int, list[Any]] = {index: [] for index in range(len(watched))}
    for row in _bounded(both).collect():
        counted[row["column"]].append(row)
    return [
        _numbers(name, edges[name], counted[index])
        if name in edges
        else _categories(name, counted[index])
        for index, name in enumerate(watched)
    ]


def _kind(kind: T.DataType) -> str | None:
    if isinstance(kind, T.NumericType):
        return "number"
    if isinstance(kind, T.StringType | T.BooleanType):
        return "category"
    if isinstance(kind, T.DateType | T.TimestampType | T.TimestampNTZType):
        return "time"
    return None


def _finite(name: str) -> Column:
    """The value as a double; NaN and the infinities are null."""
    value = F.col(quoted(name)).cast("double")
    usable = ~F.isnan(value) & (F.abs(value) != float("inf"))
    return F.when(usable, value)


def _text(table: DataFrame, name: str) -> Column:
    """The value as text; of points in time, only whether there is one: time always moves on."""
    value = F.col(quoted(name))
    if _kind(table.schema[name].dataType) == "time":
        return F.when(value.isNotNull(), F.lit(ANY_TIME))
    return value.cast("string")


def _edges(
    reference: DataFrame, numbers: Sequence[str], rows: int | None
) -> dict[str, list[float]]:
    """Inner edges between the reference's fiftieths; fewer where values repeat.

    Exact quantiles, so that they do not depend on partitions.
    """
    if not numbers:
        return {}
    if rows is not None and rows > _EDGE_ROWS:
        spun = F.xxhash64(F.lit(_SEED), *(F.col(quoted(name)) for name in numbers))
        share = F.lit(int(_EDGE_ROWS / rows * _MILLION))
        reference = reference.where(F.pmod(spun, F.lit(_MILLION)) < share)
    ranks = [rank / FINE_BINS for rank in range(1, FINE_BINS)]
    found = reference.agg(
        *(
            F.percentile(_finite(name), ranks).alias(str(index))
            for index, name in enumerate(numbers)
        )
    ).collect()[0]
    return {name: list(found[index] or ()) for index, name in enumerate(numbers)}


def _cells(
    table: DataFrame, side: int, columns: Sequence[str], edges: Mapping[str, list[float]]
) -> DataFrame:
    """One row per cell: number of the column, bin or text (both null: missing), side."""
    binned = {
        index: sorted(set(edges[name])) for index, name in enumerate(columns) if name in edges
    }
    values = [
        (_finite(name) if name in edges else _text(table, name)).alias(f"v{index}")
        for index, name in enumerate(columns)
    ]
    placed = _placed(table.select(*values), binned)
    nothing = F.lit(None)
    cells = [
        F.struct(
            F.lit(index).alias("column"),
            (F.col(f"b{index}").cast("int") if index in binned else nothing.cast("int")).alias(
                "bin"
            ),
            (nothing.cast("string") if index in binned else F.col(f"v{index}")).alias("text"),
            F.lit(side).alias("side"),
            (F.col(f"v{index}") if index in binned else nothing.cast("double")).alias("value"),
        )
        for index in range(len(columns))
    ]
    return placed.select(F.explode(F.array(*cells)).alias("cell")).select("cell.*")


def _placed(table: DataFrame, binned: Mapping[int, list[float]]) -> DataFrame:
    """Add the number of the bin of every number; a value on an edge goes up."""
    plain = [index for index, edges in binned.items() if not edges]
    cut = [index for index, edges in binned.items() if edges]
    for index in plain:
        known = F.col(f"v{index}").isNotNull()
        table = table.withColumn(f"b{index}", F.when(known, F.lit(0.0)))
    if not cut:
        return table
    ends = (float("-inf"), float("inf"))
    return Bucketizer(
        inputCols=[f"v{index}" for index in cut],
        outputCols=[f"b{index}" for index in cut],
        splitsArray=[[ends[0], *binned[index], ends[1]] for index in cut],
        handleInvalid="keep",
    ).transform(table)


def _bounded(cells: DataFrame) -> DataFrame:
    """Count cells; keep the commonest known and unseen texts of each column, and lump the rest."""
    counted = cells.groupBy("column", "bin", "text").agg(
        F.sum(1 - F.col("side")).alias("reference"),
        F.sum("side").alias("current"),
        F.sum(F.when(F.col("side") == 0, F.col("value"))).alias("reference_sum"),
        F.sum(F.when(F.col("side") == 1, F.col("value"))).alias("current_sum"),
    )
    unseen = F.col("text").isNotNull() & (F.col("reference") == 0)
    order = Window.partitionBy("column", unseen).orderBy(
        F.desc("reference"), F.desc("current"), "text"
    )
    most = F.when(unseen, F.lit(MOST_UNSEEN)).otherwise(F.lit(MOST_CATEGORIES))
    # A missing text takes a place too; it is common enough where it matters.
    named = counted.withColumn("unseen", unseen).withColumn(
        "named", F.when(F.row_number().over(order) <= most, F.col("text"))
    )
    return named.groupBy(
        "column", "bin", "unseen", "named", F.col("text").isNull().alias("missing")
    ).agg(
        F.sum("reference").alias("reference"),
        F.sum("current").alias("current"),
        F.sum("reference_sum").alias("reference_sum"),
        F.sum("current_sum").alias("current_sum"),
        F.count(F.lit(1)).alias("values"),
    )


def _numbers(name: str, quantiles: Sequence[float], rows: Sequence[Any]) -> BinnedColumn:
    found = BinnedColumn(name, is_number=True)
    fine = sorted(set(quantiles))
    step = FINE_BINS // BINS
    coarse = sorted(set(quantiles[step - 1 :: step]))
    found.labels = _ranges(coarse)
    found.reference, found.current = ([0] * (len(coarse) + 1) for _ in range(2))
    found.fine_reference, found.fine_current = ([0] * (len(fine) + 1) for _ in range(2))
    found.mean_reference, found.mean_current = ([0.0] * (len(fine) + 1) for _ in range(2))
    for row in rows:
        if row["bin"] is None:
            found.missing_reference += row["reference"]
            found.missing_current += row["current"]
            continue
        at = row["bin"]
        # The coarse edges are fine edges too: a fine bin lies within one coarse bin.
        place = bisect_left(coarse, fine[at]) if at < len(fine) else len(coarse)
        found.reference[place] += row["reference"]
        found.current[place] += row["current"]
        found.fine_reference[at] += row["reference"]
        found.fine_current[at] += row["current"]
        found.mean_reference[at] = _mean(row["reference_sum"], row["reference"])
        found.mean_current[at] = _mean(row["current_sum"], row["current"])
    return found


def _mean(total: float | None, rows: int) -> float:
    """Mean to nine digits: the last ones of a sum depend on the order of the rows."""
    return float(f"{total / rows:.9g}") if total is not None and rows else 0.0


def _categories(name: str, rows: Sequence[Any]) -> BinnedColumn:
    found = BinnedColumn(name, is_number=False)
    kept: dict[str, tuple[int, int]] = {}
    rest = [0, 0]
    for row in rows:
        counts = (row["reference"], row["current"])
        if row["missing"]:
            found.missing_reference, found.missing_current = counts
        elif row["unseen"]:
            found.unseen_count += row["values"]
            found.unseen_rows += counts[1]
            rest[1] += counts[1]
            if row["named"] is not None:
                found.unseen[row["named"]] = counts[1]
        elif row["named"] is None:
            rest = [rest[0] + counts[0], rest[1] + counts[1]]
        else:
            kept[row["named"]] = counts
    order = sorted(kept, key=lambda text: (-kept[text][0], text))
    found.labels = [*order, OTHER] if any(rest) else order
    found.reference = [kept[text][0] for text in order] + ([rest[0]] if any(rest) else [])
    found.current = [kept[text][1] for text in order] + ([rest[1]] if any(rest) else [])
    return found


def _ranges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all"]
    texts = [f"{edge:.6g}" for edge in edges]
    inner = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [f"below {texts[0]}", *inner, f"from {texts[-1]}"]
