"""Frequent patterns of a source."""

from __future__ import annotations

from pydantic import Field

from crisp_spark.results.base import ResultPart


class ItemSet(ResultPart):
    """Items that occur together."""

    items: list[str]
    """The items, in alphabetical order."""
    baskets: int
    """Baskets that hold all of them."""
    support: float
    """Share of all baskets."""


class PatternRule(ResultPart):
    """Baskets with some items tend to have another one."""

    when: list[str]
    """Items given."""
    then: list[str]
    """Items that come with them."""
    confidence: float
    """Share of the baskets with ``when`` that have ``then``."""
    lift: float
    """Confidence over the share of all baskets that have ``then``; 1 is chance."""
    support: float
    """Share of all baskets that have both."""


class Sequence(ResultPart):
    """Items that follow each other."""

    moments: list[list[str]]
    """Items by moment, in order; other items may lie between."""
    baskets: int
    """Baskets that hold the sequence."""
    support: float
    """Share of all baskets."""


class SourcePatterns(ResultPart):
    """Frequent patterns of one source."""

    source: str
    """Name of the source."""
    basket: list[str]
    """Columns that name a basket."""
    item: str
    """Column of the item."""
    order: str | None = None
    """Column that items follow each other by."""
    min_support: float
    """Share of the baskets that a pattern had to occur in."""
    min_confidence: float
    """Confidence that a rule had to have."""
    baskets: int
    """Baskets with an item."""
    items: int
    """Different items."""
    left_out: int
    """Rows without a basket or an item."""
    found_sets: int
    """Frequent sets of two items or more."""
    found_rules: int
    """Rules."""
    sets: list[ItemSet] = Field(default=[])
    """Sets of two items or more, most frequent first."""
    rules: list[PatternRule] = Field(default=[])
    """Rules, highest lift first."""
    sequences: list[Sequence] = Field(default=[])
    """Sequences of two moments or more, most frequent first."""
