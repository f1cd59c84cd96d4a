"""How rows are divided for fitting, validating and testing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from crisp_spark.spec.base import SpecModel


class LaterSpec(SpecModel):
    """A later period, kept apart from training and test: how the model does as time goes on."""

    start: str = Field(alias="from", min_length=1)
    """First date or time of the period, as text: ``2013-11-01``. UTC."""
    time: str | None = None
    """Time column; that of the split, else that of the target's source."""

    @field_validator("start", mode="before")
    @classmethod
    def _date_to_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date | datetime) else value


class SplitSpec(SpecModel):
    """Division into training and test rows, and of the training rows into validation folds.

    ``hash`` draws by a hash of the key; ``stratified`` does so within each class of the target, so
    that both sides have equal shares; ``group`` keeps all rows of a group on one side; ``time``
    tests on the last rows. Folds follow the same rule: by key, by key within class, by group, or
    consecutive blocks in time, of which fold 0 is the oldest (a fold is then validated with the
    folds before it as training rows, and fold 0 only trains).
    """

    kind: Literal["hash", "stratified", "group", "time"] = "hash"
    """Rule of the division."""
    key: list[str] = Field(default_factory=list)
    """Columns that identify a unit; the key of the mining goal without it."""
    test: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of test rows (0 to 1)."""
    folds: int = Field(default=3, ge=2, le=50)
    """Validation folds of the training rows."""
    group: list[str] = Field(default_factory=list)
    """Columns whose equal values must stay on one side (``kind: group``)."""
    stratify_by: list[str] = Field(default_factory=list)
    """Columns whose shares are kept equal (``kind: stratified``); the target without it."""
    time: str | None = None
    """Time column (``kind: time``)."""
    later: LaterSpec | None = None
    """Later period, taken out before the division."""

    @field_validator("group", "key", "stratify_by", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> SplitSpec:
        if self.kind == "group" and not self.group:
            raise ValueError("kind: group needs group")
        if self.kind == "time" and not self.time:
            raise ValueError("kind: time needs time")
        return self
