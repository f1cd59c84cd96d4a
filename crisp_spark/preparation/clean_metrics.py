"""What cleaning did, counted in one aggregation and told per operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from crisp_spark.preparation.clean import (
    CAST_FAILURES,
    CHANGED,
    FILLED,
    NULLED,
    STILL_NULL,
    Cleaned,
    Trace,
)
from crisp_spark.preparation.clean_cells import DROPPED_BY
from crisp_spark.results.clean import CleanOperationReport, ColumnChange
from crisp_spark.spec.base import canonical_json

_CODES = (CHANGED, NULLED, FILLED, STILL_NULL)
_SAMPLES_PER_COLUMN = 5
_LONGEST_SAMPLE = 80


def clean_metrics_frame(cleaned: Cleaned) -> DataFrame:
    """One row with every count that :func:`operation_reports` needs.

    Rows: one. Adds: counts. Drops: all other columns. Jobs: none.
    """
    by = F.col(DROPPED_BY)
    counts: list[Column] = [F.count(F.lit(1)).alias("rows")]
    for trace in cleaned.traces:
        counts.append(F.count(F.when(by == trace.number, 1)).alias(f"dropped_{trace.number}"))
        for code in trace.codes.values():
            counts += [F.count(F.when(F.col(code) == k, 1)).alias(f"{code}_{k}") for k in _CODES]
    if CAST_FAILURES in cleaned.tracked.columns:
        counts.append(F.sum(F.size(CAST_FAILURES)).alias("cast_failures"))
    return cleaned.tracked.agg(*counts)


def failure_samples_frame(cleaned: Cleaned) -> DataFrame:
    """The most frequent texts that could not be cast: columns ``column, text, cells``.

    Rows: at most five per column. Adds: the three. Drops: all others. Jobs: none.
    """
    texts = cleaned.tracked.select(F.explode(CAST_FAILURES).alias("f")).select(
        F.col("f.column").alias("column"),
        F.substring(F.col("f.text"), 1, _LONGEST_SAMPLE).alias("text"),
    )
    counted = texts.groupBy("column", "text").agg(F.count(F.lit(1)).alias("cells"))
    rank = F.row_number().over(
        Window.partitionBy("column").orderBy(F.col("cells").desc(), F.col("text"))
    )
    best = counted.withColumn("rank", rank).where(F.col("rank") <= _SAMPLES_PER_COLUMN)
    return best.drop("rank").orderBy("column", F.col("cells").desc(), "text")


def operation_reports(cleaned: Cleaned, counts: Mapping[str, Any]) -> list[CleanOperationReport]:
    """Put the counts of :func:`clean_metrics_frame` into one report per operation."""
    alive = int(counts["rows"])
    reports = []
    for trace in cleaned.traces:
        dropped = int(counts[f"dropped_{trace.number}"])
        changes = [_change(name, code, counts) for name, code in trace.codes.items()]
        reports.append(
            CleanOperationReport(
                number=trace.number,
                op=trace.op.op,
                summary=summary_of(trace),
                reason=trace.op.reason,
                rows_before=alive,
                rows_dropped=dropped,
                rows_after=alive - dropped,
                cells_changed=sum(change.changed for change in changes),
                columns=changes,
                columns_added=list(trace.added),
                columns_removed=list(trace.removed),
            )
        )
        alive -= dropped
    return reports


def summary_of(trace: Trace) -> str:
    """The operation in a few words: its settings that differ from the defaults."""
    op = trace.op
    default = {
        n: f.get_default(call_default_factory=True) for n, f in type(op).model_fields.items()
    }
    given = {
        name: value
        for name, value in op.model_dump(mode="json").items()
        if name not in {"op", "reason", "doc"} and value != default[name]
    }
    text = ", ".join(f"{name}: {_short(value)}" for name, value in given.items())
    return f"{op.op} {text}".strip()


def _short(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else canonical_json(value)


def _change(name: str, code: str, counts: Mapping[str, Any]) -> ColumnChange:
    changed, nulled, filled, still = (int(counts[f"{code}_{k}"]) for k in _CODES)
    return ColumnChange(
        column=name,
        changed=changed + nulled + filled,
        filled=filled,
        nulled=nulled,
        nulls_before=filled + still,
        nulls_after=nulled + still,
    )
