"""What was derived: each column with its expression, its meaning and its shape."""

from __future__ import annotations

from typing import ClassVar, Literal

from crisp_spark.results.base import ResultPart, StepResult


class DerivedColumn(ResultPart):
    """One derived column."""

    name: str
    """Name of the column."""
    kind: str
    """Derivation that made it: expression, cyclic, window, ..."""
    expression: str
    """Spark SQL, or the window or function in words."""
    doc: str
    """What it means."""
    type: str
    """Spark SQL type."""
    uses: list[str]
    """Columns it is made of."""
    role: Literal["feature", "target", "excluded"]
    """What it is for."""
    why_excluded: str = ""
    """Why it must not be a feature."""
    nulls: int
    """Null cells."""
    null_share: float | None
    """Share of null cells (0 to 1)."""
    distinct: int | None
    """Different values, to within about 5 percent; None for arrays and the like."""
    min: float | str | None
    """Smallest value; None for arrays and the like."""
    max: float | str | None
    """Largest value."""
    mean: float | None
    """Mean of a number."""


class PopulationReport(ResultPart):
    """Rows that a prediction is made for."""

    expression: str
    """Condition; empty where all rows belong."""
    reason: str
    """Why the others are left out."""
    rows_in: int
    """Merged rows."""
    rows_kept: int
    """Rows of the population."""
    rows_out: int
    """Rows left out."""


class TargetReport(ResultPart):
    """The target."""

    name: str
    """Name of the column."""
    expression: str
    """Spark SQL; empty where the column came with the data."""
    type: str
    """Spark SQL type."""
    classes: dict[str, int] | None
    """Class to rows, most frequent first; None where the target is a quantity."""
    mean: float | None
    """Mean of a numeric target."""
    std: float | None
    """Standard deviation of a numeric target."""
    min: float | None
    """Smallest value of a numeric target."""
    max: float | None
    """Largest value of a numeric target."""


class DeriveResult(StepResult):
    """What was derived."""

    step: ClassVar[str] = "derive"

    population: PopulationReport
    """Rows kept."""
    columns: list[DerivedColumn]
    """Derived columns, in the order they were made."""
    target: TargetReport | None
    """The target; None for clustering."""
    types: dict[str, str]
    """Every column of the derived table, with its type."""
    excluded: dict[str, str]
    """Columns that must not become a feature, each with the reason."""
