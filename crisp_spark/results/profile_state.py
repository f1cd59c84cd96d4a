"""What is kept of a profile so that new rows can be added without reading the old ones."""

from __future__ import annotations

from pydantic import Field

from crisp_spark.results.base import ResultPart
from crisp_spark.results.profile import Cell


class ColumnState(ResultPart):
    """Sums, extremes and sketches of one column; two of them add up."""

    name: str
    type: str
    """Spark type."""
    known: int
    """Rows with a value."""
    low: Cell = None
    high: Cell = None
    finite: int = 0
    """Finite numbers; the moments are theirs."""
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared distances from the mean; ``m3`` and ``m4`` of third and fourth powers."""
    m3: float = 0.0
    m4: float = 0.0
    zeros: int = 0
    negatives: int = 0
    nans: int = 0
    positive_infinities: int = 0
    negative_infinities: int = 0
    bins: dict[int, int] = Field(default_factory=dict)
    """Rows per logarithmic bin of the absolute value: bin k above 0 holds ``g^(k-1) < x <= g^k``,
    with k shifted to be positive; negative numbers have negative bins."""
    min_length: int | None = None
    max_length: int | None = None
    length_sum: int = 0
    blank: int = 0
    padded: int = 0
    ascii: int = 0
    sketch: str = ""
    """HyperLogLog sketch of the values (Apache DataSketches, base64); empty where there is none."""
    distinct: int | None = None
    """Its estimate."""


class TableState(ResultPart):
    """A table so far."""

    name: str
    rows: int
    columns: tuple[ColumnState, ...]
    files: dict[str, str] = Field(default_factory=dict)
    """Source file to the hash of its content: whose rows are in the sums."""
