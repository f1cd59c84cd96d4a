"""Phase 3: how sources become training and test rows."""

from __future__ import annotations

from collections import Counter

from pydantic import Field, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.cleaning import CleanOp
from crisp_spark.spec.deriving import DeriveOp, Population, in_dependency_order
from crisp_spark.spec.features import FeatureOp
from crisp_spark.spec.merging import MergeSpec
from crisp_spark.spec.splitting import SplitSpec


class PreparationSpec(SpecModel):
    """Cleaning, merging, deriving, dividing, and the feature operations fitted on training rows."""

    clean: dict[str, list[CleanOp]] = Field(default_factory=dict)
    """Source to its operations, in order. Sources without any pass unchanged."""
    merge: MergeSpec = MergeSpec()
    """Joins and unions that make one table."""
    derive: list[DeriveOp] = Field(default_factory=list)
    """Derived columns; they may use each other, in any order but not in a circle."""
    population: Population | None = None
    """Rows that a prediction is made for; all rows without it."""
    exclude: dict[str, str] = Field(default_factory=dict)
    """Columns that must never be a feature, each with the reason."""
    split: SplitSpec = SplitSpec()
    """Division into training, test and later rows, and into folds."""
    features: list[FeatureOp] = Field(default_factory=list)
    """Operations that learn from data: fitted on training rows, part of the deployed model."""

    @model_validator(mode="after")
    def _derived_names(self) -> PreparationSpec:
        counts = Counter(name.lower() for op in self.derive for name in op.names)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"derive: more than one column named {', '.join(map(repr, twice))}")
        in_dependency_order(self.derive)
        return self
