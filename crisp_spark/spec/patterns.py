"""Frequent patterns of a source: what occurs together, and what follows what."""

from __future__ import annotations

from pydantic import Field

from crisp_spark.spec.base import SpecModel


class Patterns(SpecModel):
    """Which items occur together often."""

    basket: tuple[str, ...] = Field(min_length=1)
    """Columns that name a basket: a visit, an order, a customer."""
    item: str = Field(min_length=1)
    """Column of the item; equal items of one basket count once."""
    order: str | None = None
    """Column by which the items of a basket follow each other; given, sequences are looked for
    too, and items with equal values belong to one moment."""
    min_support: float = Field(default=0.01, gt=0, le=1)
    """Share of the baskets that a pattern must occur in."""
    min_confidence: float = Field(default=0.5, ge=0, le=1)
    """Share of the baskets with the first part of a rule that must have the second part too."""
    most: int = Field(default=50, ge=1, le=1000)
    """Patterns of each kind that are kept, the most frequent (rules: the highest lift) first."""
