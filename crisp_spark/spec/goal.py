"""What is predicted, when that counts as a success, and what it is worth."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from crisp_spark.spec.authored import Authored
from crisp_spark.spec.base import SpecModel

Problem = Literal["binary", "multiclass", "regression", "clustering", "recommendation"]
Level = Literal["business", "mining", "economic"]
Evidence = Literal["train", "validation", "test", "later"]


class Reading(SpecModel):
    """A value that a person measured, for a criterion the program cannot measure."""

    value: float
    """Measured value, in the unit of the criterion."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    support: int | None = Field(default=None, ge=0)
    """Number of cases behind it."""
    by: str = Field(min_length=1)
    """Who measured it."""
    date: dt.date
    """Day of the measurement."""
    source: str = ""
    """Where it can be checked."""


class Criterion(Authored):
    """A success criterion that the program checks."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Short name, such as ``B1``: letters, digits, ``_``, ``.`` and ``-``."""
    statement: str = ""
    """The criterion in words."""
    objective: str = ""
    """Id of the objective it belongs to."""
    level: Level = "mining"
    """``business``, ``mining`` (quality of the model) or ``economic`` (money)."""
    metric: str = Field(min_length=1)
    """Metric that the evaluation computes, or any name when ``measured_by`` is ``person``."""
    unit: str = ""
    """Unit of ``current`` and ``target``."""
    current: float | None = None
    """Value of the metric today."""
    target: float
    """Value to reach."""
    direction: Literal["at_least", "at_most"] = "at_least"
    """Whether more or less is better."""
    slice: str = "all"
    """``all``, or ``column=value``: the rows that it is measured on."""
    min_support: int = Field(default=1, ge=1)
    """Rows needed (in the slice) before a verdict is given."""
    on: Evidence = "test"
    """Part of the data that it is measured on."""
    compare: Literal["estimate", "lower_bound", "upper_bound"] = "estimate"
    """What is held against the target: the estimate, or one end of its confidence interval."""
    required: bool = True
    """Whether deployment depends on it."""
    measured_by: Literal["program", "person"] = "program"
    """``person`` for what only a trial or a survey can tell; ``reading`` then holds the value."""
    reading: Reading | None = None
    """The value that a person measured."""

    @field_validator("slice")
    @classmethod
    def _slice_has_a_column(cls, value: str) -> str:
        column, equals, _ = value.partition("=")
        if value != "all" and not (equals and column.strip()):
            raise ValueError(f"'all' or 'column=value' is expected, got {value!r}")
        return value

    @model_validator(mode="after")
    def _reading_is_by_a_person(self) -> Criterion:
        if self.reading is not None and self.measured_by == "program":
            raise ValueError("a reading needs measured_by: person")
        return self

    @property
    def slice_column(self) -> str | None:
        """Column of the slice, or None for all rows."""
        return None if self.slice == "all" else self.slice.partition("=")[0].strip()

    @property
    def slice_value(self) -> str | None:
        """Value of the slice's column as text, or None for all rows."""
        return None if self.slice == "all" else self.slice.partition("=")[2].strip()


class MiningGoal(Authored):
    """The data-mining goal: what is predicted, for what, and when."""

    problem: Problem
    """Class of the problem."""
    question: str = ""
    """The business question that the model answers."""
    target: str | None = None
    """Column to predict; clustering has none."""
    target_expression: str | None = None
    """Spark SQL expression of the target; without one, the column exists already."""
    target_source: str | None = None
    """Source that the target comes from."""
    positive: bool | int | float | str | None = None
    """Value of the target that counts as positive (binary problems)."""
    unit_of_prediction: str = ""
    """What one row stands for."""
    key: tuple[str, ...] = ()
    """Columns that name one unit of prediction."""
    horizon: str = ""
    """How far ahead, or at which moment, the prediction is made."""
    user: str | None = None
    """Column of the user (recommendation)."""
    item: str | None = None
    """Column of the item (recommendation)."""

    @property
    def substance(self) -> dict[str, Any]:
        """What is asked for, as plain data, without who asked, when and in which words."""
        return self.model_dump(
            mode="json", exclude={"owner", "date", "status", "expires", "question"}
        )

    @model_validator(mode="after")
    def _complete_for_the_problem(self) -> MiningGoal:
        if self.problem == "clustering":
            if self.target is not None:
                raise ValueError("a clustering goal has no target")
            return self
        if not self.target:
            raise ValueError(f"a {self.problem} goal needs a target")
        if self.problem == "binary" and self.positive is None:
            raise ValueError("a binary goal needs positive: the value that is looked for")
        if self.problem == "recommendation" and not (self.user and self.item):
            raise ValueError("a recommendation goal needs user and item")
        return self


class OutcomeValues(SpecModel):
    """What one prediction is worth: per outcome (binary), or per unit of error (regression)."""

    tp: float = 0.0
    """Value of a true positive; a gain is positive, a cost negative."""
    fp: float = 0.0
    """Value of a false positive."""
    fn: float = 0.0
    """Value of a false negative."""
    tn: float = 0.0
    """Value of a true negative."""
    cost_per_unit_error: float | None = Field(default=None, gt=0)
    """Cost of one unit of absolute error."""
    currency: str = "USD"
    """Currency of all values."""

    @model_validator(mode="after")
    def _one_way_only(self) -> OutcomeValues:
        outcomes = {"tp", "fp", "fn", "tn"} & self.model_fields_set
        if self.cost_per_unit_error is None and not outcomes:
            raise ValueError("give tp, fp, fn and tn, or cost_per_unit_error")
        # Zeros are what the fields hold anyway: a value that was written out reads back as it was.
        if self.cost_per_unit_error is not None and any(getattr(self, name) for name in outcomes):
            raise ValueError("give tp, fp, fn and tn, or cost_per_unit_error, not both")
        return self

    @property
    def per_outcome(self) -> bool:
        """Whether the values are those of a binary decision."""
        return self.cost_per_unit_error is None
