"""What cleaning did: per source and operation, cells changed and rows dropped."""

from __future__ import annotations

from typing import ClassVar

from crisp_spark.results.base import ResultPart, StepResult


class ColumnChange(ResultPart):
    """What one operation did to one column, counted over the rows it looked at."""

    column: str
    """Name of the column."""
    changed: int
    """Cells whose value is different afterwards, nulls included."""
    filled: int
    """Cells that were null and are not any more."""
    nulled: int
    """Cells that were not null and are now."""
    nulls_before: int
    """Null cells before the operation."""
    nulls_after: int
    """Null cells after it."""


class FailureSample(ResultPart):
    """A text that could not be cast, with its number of cells."""

    column: str
    """Name of the column."""
    text: str
    """The text; ``(hidden)`` where the column holds personal data."""
    cells: int
    """Cells with this text."""


class CleanOperationReport(ResultPart):
    """What one operation did."""

    number: int
    """Place in the list of the source's operations, from 0."""
    op: str
    """Name of the operation."""
    summary: str
    """The operation in words."""
    reason: str
    """The reason written in the project file."""
    rows_before: int
    """Rows still alive before the operation."""
    rows_dropped: int
    """Rows it dropped."""
    rows_after: int
    """Rows alive after it."""
    cells_changed: int
    """Cells changed, over all columns."""
    columns: list[ColumnChange]
    """Per column looked at."""
    columns_added: list[str]
    """Columns that it added."""
    columns_removed: list[str]
    """Columns that it took away."""


class CleanedSource(ResultPart):
    """What cleaning did to one source."""

    source: str
    """Name of the source."""
    rows_in: int
    """Rows read."""
    rows_kept: int
    """Rows of the table ``clean.<source>``, from the written files."""
    rows_dropped: int
    """Rows of the table ``dropped.<source>``, from the written files."""
    columns_in: list[str]
    """Columns read."""
    columns_out: list[str]
    """Columns kept."""
    operations: list[CleanOperationReport]
    """In order."""
    dropped_by_reason: dict[str, int]
    """Reason to dropped rows."""
    excluded: dict[str, str]
    """Column left out, to the reason."""
    cast_failures: int
    """Cells that could not be cast; their text is in ``_crisp_cast_failures``."""
    failure_samples: list[FailureSample]
    """Most frequent texts that could not be cast."""


class CleanResult(StepResult):
    """What cleaning did."""

    step: ClassVar[str] = "clean"

    sources: list[CleanedSource]
    """Per source, in the order of the project file."""
