"""What merging did: keys, matches, fan-out, and the nulls it introduced."""

from __future__ import annotations

from typing import ClassVar

from crisp_spark.results.base import ResultPart, StepResult


class KeyReport(ResultPart):
    """The keys of one side of a join."""

    columns: list[str]
    """Key columns."""
    rows: int
    """Rows of the side."""
    distinct: int
    """Different keys, those with a null left out."""
    repeated_keys: int
    """Keys that more than one row has."""
    null_rows: int
    """Rows with a null in the key; they match nothing."""
    most_rows_per_key: int
    """Rows of the most frequent key."""
    top_key_share: float | None
    """Share of all rows that the most frequent key has: the skew of the join."""

    @property
    def unique(self) -> bool:
        """True where no key has two rows."""
        return self.repeated_keys == 0


class IntroducedNulls(ResultPart):
    """Nulls that a merge put into one column, and what the second cleaning left of them."""

    column: str
    """Column of the output."""
    introduced: int
    """Cells that are null because nothing matched."""
    left_after_cleaning: int
    """Those that are still null in the merged table."""
    operations: list[str]
    """Cleaning declared for them (``reclean``)."""


class MergeStepReport(ResultPart):
    """One join or union."""

    id: str
    """Name of the step."""
    how: str
    """Kind of join."""
    inputs: list[str]
    """Sources or steps that were merged, the left one first."""
    reason: str
    """The reason written in the project file."""
    expect: str
    """Expected cardinality."""
    found: str
    """Cardinality found."""
    rows_left: int
    """Rows of the left input."""
    rows_right: int
    """Rows of the other inputs."""
    rows_out: int
    """Rows of the output."""
    matched_left: int | None
    """Left rows that found a right row; None for unions."""
    match_rate: float | None
    """Share of left rows that did (0 to 1)."""
    min_match: float
    """Smallest share that the project file allows."""
    unmatched_right: int | None
    """Right rows that no left row found; not counted for as-of joins."""
    fan_out: float | None
    """Rows out per left row."""
    left_keys: KeyReport | None
    """Keys of the left side."""
    right_keys: KeyReport | None
    """Keys of the right side."""
    columns_added: list[str]
    """Columns that came from the right, and flags that the second cleaning added."""
    nulls: list[IntroducedNulls]
    """Nulls introduced per column."""
    type_changes: dict[str, str]
    """Union only: column to the types that were reconciled."""


class MergeResult(StepResult):
    """What merging did."""

    step: ClassVar[str] = "merge"

    output: str
    """Step or source that is the merged table."""
    rows_out: int
    """Rows of the merged table, from the written files."""
    columns: dict[str, str]
    """Column to type, in order."""
    steps: list[MergeStepReport]
    """In order."""
