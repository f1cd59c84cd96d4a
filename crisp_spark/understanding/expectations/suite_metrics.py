"""What kind of metric the library asks for, and over which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from great_expectations.expectations.registry import get_metric_provider
from pyspark.sql import Column
from pyspark.sql import functions as F

from crisp_spark.understanding.passes_fused import rows_where

ROW_COUNT = "table.row_count"
_FREE_NAMES = {ROW_COUNT, "table.columns", "table.column_types", "table.column_count"}
_FREE_ENDS = (".condition", ".map", ".aggregate_fn")
_OWN = "great_expectations.expectations.metrics."
UNIQUE = {"column_values.unique.condition", "compound_columns.unique.condition"}
# Conditions that compare a row with others.
_WINDOWS = UNIQUE | {"column_values.increasing.condition", "column_values.decreasing.condition"}
_PYTHON = (
    "column_values.json_parseable",
    "column_values.match_json_schema",
    "column_values.match_strftime_format",
    "column_values.dateutil_parseable",
)
# Aggregates that leave nulls out: a row outside the condition can be made null.
AGGREGATES = {
    "column.max",
    "column.min",
    "column.mean",
    "column.sum",
    "column.standard_deviation",
    "column.non_null_count",
    "column_values.length.max",
    "column_values.length.min",
}


@dataclass(frozen=True, eq=False)
class Late:
    """Stands for a row count that is computed together with everything else."""

    metric: Any


@dataclass(frozen=True, eq=False)
class Domain:
    """Rows that a metric is about.

    Attributes:
        id: The same for the same rows.
        batch: Id of the batch.
        where: Condition; None where all rows count.
    """

    id: str
    batch: Any
    where: Column | None

    def only(self, value: Column) -> Column:
        """Make a value null in other rows."""
        return value if self.where is None else F.when(self.where, value)

    @property
    def rows(self) -> Column:
        """Aggregate: number of rows."""
        return F.count(F.lit(1)) if self.where is None else rows_where(self.where)

    @property
    def counts(self) -> Column:
        """Condition: the row counts."""
        return F.lit(True) if self.where is None else F.coalesce(self.where, F.lit(False))


def costs_nothing(metric: Any) -> bool:
    """Say whether a metric needs no row (row counts are given later)."""
    name = str(metric.metric_name)
    return name in _FREE_NAMES or name.endswith(_FREE_ENDS)


def is_own(metric: Any, engine: Any) -> bool:
    """Say whether a metric is the library's own, not a user's."""
    provider, _ = get_metric_provider(metric.metric_name, engine)
    return str(provider.__module__).startswith(_OWN)


def can_be_fused(condition: Any, engine: Any) -> bool:
    """Say whether a condition judges a row by itself, in the library's own words."""
    return condition.metric_name not in _WINDOWS and is_own(condition, engine)


def runs_python(condition: Any) -> bool:
    """Say whether a condition calls Python for each row."""
    return str(condition.metric_name).startswith(_PYTHON)


class _Recorder:
    """Stands in for a frame where the library turns a row condition into a filter."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.found: Any = None

    def filter(self, condition: Any) -> _Recorder:
        self.found = condition
        return self


def domain_of(engine: Any, kwargs: Mapping[str, Any]) -> Domain:
    """Bring the rows that a metric is about into one condition.

    Args:
        engine: The engine.
        kwargs: Domain of the metric, as the library says it.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: none.
    """
    batch = kwargs.get("batch_id")
    parts = []
    told = [f"batch {batch}"]
    row_condition = kwargs.get("row_condition")
    if row_condition:
        recorder = _Recorder(engine.get_domain_records({"batch_id": batch}).schema)
        engine._apply_row_condition_filter(recorder, row_condition, kwargs)  # noqa: SLF001
        found = recorder.found
        parts.append(F.expr(found) if isinstance(found, str) else found)
        told.append(f"where {row_condition!r} {kwargs.get('condition_parser')}")
    for condition in kwargs.get("filter_conditions") or []:
        parts.append(F.expr(condition.condition))
        told.append(f"and {condition.condition}")
    ignored = _ignored(kwargs)
    if ignored is not None:
        parts.append(~ignored[0])
        told.append(ignored[1])
    where = reduce(lambda left, right: left & right, parts) if parts else None
    return Domain("; ".join(told), batch, where)


def _ignored(kwargs: Mapping[str, Any]) -> tuple[Column, str] | None:
    """The rows that ``ignore_row_if`` leaves out, where it is given for several columns."""
    how = kwargs.get("ignore_row_if")
    if "column_A" in kwargs and "column_B" in kwargs:
        names = [kwargs["column_A"], kwargs["column_B"]]
        every = "both_values_are_missing"
    elif "column_list" in kwargs:
        names = list(kwargs["column_list"])
        every = "all_values_are_missing"
    else:
        return None
    if how in (None, "neither", "never"):
        return None
    missing = [F.col(name).isNull() for name in names]
    if how == every:
        both = reduce(lambda left, right: left & right, missing)
    elif how in ("either_value_is_missing", "any_value_is_missing"):
        both = reduce(lambda left, right: left | right, missing)
    else:
        raise ValueError(f'Unrecognized value of ignore_row_if ("{how}").')
    return both, f"{how} {names}"
