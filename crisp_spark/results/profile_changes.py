"""What changed between two profiles."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from crisp_spark.results.base import ResultPart
from crisp_spark.results.profile import Cell


class Change(StrEnum):
    """How much a column changed, from not at all to most."""

    SAME = "same"
    MOVED = "moved"
    """Population stability index of at least 0.1, or missing values up or down by 5 points."""
    DRIFTED = "drifted"
    """Population stability index of at least 0.25, or missing values up or down by 20 points."""
    TYPE = "type"
    """The Spark type is another one."""
    ADDED = "added"
    REMOVED = "removed"


class Shift(ResultPart):
    """A number before and after."""

    before: Cell = None
    after: Cell = None


class ColumnChange(ResultPart):
    """What changed about one column."""

    name: str
    change: Change
    types: Shift | None = None
    """Given where the type changed."""
    semantics: Shift | None = None
    """Given where the semantic type changed."""
    missing_share: Shift | None = None
    distinct: Shift | None = None
    min: Shift | None = None
    max: Shift | None = None
    mean: Shift | None = None
    std: Shift | None = None
    median: Shift | None = None
    psi: float | None = None
    """Population stability index over groups of the earlier distribution, in nats."""
    ks: float | None = None
    """Largest difference of the two distribution functions, 0 to 1; numbers and moments."""
    ks_error: float | None = None
    """How far ``ks`` may be off: the largest share that one bar of either histogram holds."""
    total_variation: float | None = None
    """Half the sum of differences of shares, 0 to 1; values beyond the most frequent are one."""
    new_values: tuple[Cell, ...] = ()
    """Among the most frequent values now, and certainly not there before."""
    lost_values: tuple[Cell, ...] = ()
    reasons: tuple[str, ...] = ()
    """In words."""


class TableChange(ResultPart):
    """What changed about one source."""

    name: str
    rows: Shift
    duplicated_rows: Shift
    columns: tuple[ColumnChange, ...] = ()
    """Most changed first."""
    reordered: bool = False
    """Columns that are in both come in another order."""

    def count(self, change: Change) -> int:
        """Return how many columns changed in this way."""
        return sum(column.change is change for column in self.columns)


class ProfileChange(ResultPart):
    """What changed between two runs."""

    before: str
    """Run id."""
    after: str
    sources: tuple[TableChange, ...] = ()
    added: tuple[str, ...] = Field(default=())
    """Sources that are new."""
    removed: tuple[str, ...] = ()
