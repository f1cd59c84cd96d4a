"""What only a person can write on a model card; fields left empty are shown as open."""

from __future__ import annotations

from typing import Literal

from crisp_spark.spec.base import SpecModel


class ModelCardSpec(SpecModel):
    """The human half of the model card."""

    intended_uses: str = ""
    """What the model is for, and who uses it how."""
    out_of_scope_uses: str = ""
    """What it must not be used for."""
    factors: str = ""
    """What makes it work better or worse in practice."""
    risk_rating: Literal["low", "medium", "high"] | None = None
    """Risk of harm from its use."""
    risk_explanation: str = ""
    """Why that rating."""
    ethical_considerations: str = ""
    """Who may be harmed or treated unfairly, and what is done about it."""
    caveats: str = ""
    """What a user must keep in mind."""
    line_of_business: str = ""
    """Part of the organisation that it serves."""
