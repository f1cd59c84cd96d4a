"""The kinds of quality rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from crisp_spark.spec.base import SpecModel


class Severity(StrEnum):
    """What a failing rule does."""

    WARN = "warn"
    """Rows stay; the report shows the finding."""
    DROP = "drop"
    """Failing rows go to quarantine."""
    FAIL = "fail"
    """The step stops with an error."""


class Level(StrEnum):
    """What a rule judges."""

    ROW = "row"
    """Each row by itself."""
    KEY = "key"
    """Each row against other rows or another source."""
    TABLE = "table"
    """The table as a whole."""


def _plain(value: Any) -> Any:
    # YAML reads 2013-01-01 as a date; JSON, and so the stage key, knows only its text.
    return value.isoformat() if isinstance(value, date) else value


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise PydanticCustomError("not_finite", "not a finite number")
    if not isinstance(value, str | bool | int | float | date):
        raise PydanticCustomError("not_scalar", "not a number, text, date or truth value")
    return _plain(value)


def _bound(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("bound", "a bound is a number, or an ISO date or timestamp")
    return value if value is None else _scalar(value)


# Checked by hand first: the errors of a union would name each of its members.
Bound = Annotated[int | float | str | None, BeforeValidator(_bound)]
"""A number, or an ISO date or timestamp; for text columns a text."""
Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]


class Rule(SpecModel):
    """What all rules have in common."""

    level: ClassVar[Level] = Level.ROW

    severity: Severity = Severity.WARN
    """What happens when the rule does not hold: ``warn`` (rows stay), ``drop`` (failing rows go to
    quarantine) or ``fail`` (the step stops)."""
    name: str = ""
    """Name in reports and in ``_crisp_failed_rules``; by default kind and column."""
    description: str = ""
    """Why the rule exists, for readers of the report."""

    @model_validator(mode="after")
    def _only_rows_can_be_dropped(self) -> Self:
        if self.level is Level.TABLE and self.severity is Severity.DROP:
            raise PydanticCustomError(
                "drop_of_table_rule",
                "severity drop needs a rule about rows; this one judges the whole table: "
                "use warn or fail",
            )
        return self


class ColumnRule(Rule):
    """A rule about one column."""

    column: str = ""
    """Column that the rule is about; not needed below a column."""


class RowRule(ColumnRule):
    """A rule that each row passes or fails."""

    mostly: float = Field(default=1.0, gt=0, le=1)
    """Smallest share of evaluated rows that must pass for the verdict ``pass``. Rows that fail a
    ``drop`` rule go to quarantine whatever this share is."""
    where: str = ""
    """Spark SQL condition; only rows for which it is true are evaluated."""


class NotNull(RowRule):
    """The value is there."""

    kind: Literal["not_null"] = "not_null"


class AcceptedValues(RowRule):
    """The value is one of a list."""

    kind: Literal["accepted_values"] = "accepted_values"
    values: tuple[Scalar, ...] = Field(min_length=1)
    """Valid values."""


class RejectedValues(RowRule):
    """The value is none of a list."""

    kind: Literal["rejected_values"] = "rejected_values"
    values: tuple[Scalar, ...] = Field(min_length=1)
    """Invalid values."""


class _Range(SpecModel):
    """Two bounds, at least one of them given."""

    min: Bound = None
    """Lower bound; no bound where absent."""
    max: Bound = None
    """Upper bound; no bound where absent."""

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        low, high = self.min, self.max
        if low is None and high is None:
            raise PydanticCustomError("no_bound", "give min, max or both")
        if low is None or high is None:
            return self
        if isinstance(low, str) != isinstance(high, str):
            raise PydanticCustomError(
                "mixed_bounds", "min and max must be of one type: two numbers or two texts"
            )
        if low > high:  # type: ignore[operator]  # same type, checked above
            raise PydanticCustomError(
                "empty_range", "min {low} is above max {high}", {"low": low, "high": high}
            )
        return self


class Between(_Range, RowRule):
    """The value lies between two bounds, which belong to the range unless said otherwise."""

    kind: Literal["between"] = "between"
    strict_min: bool = False
    """The value must be greater than ``min``, not equal."""
    strict_max: bool = False
    """The value must be less than ``max``, not equal."""


class Matches(RowRule):
    """The text contains a match of a regular expression (Java syntax; anchor it with ^ and $)."""

    kind: Literal["matches"] = "matches"
    pattern: str = Field(min_length=1)
    """Regular expression in Java's syntax."""
    negate: bool = False
    """The text must not contain a match."""


class _Count(SpecModel):
    """Two bounds of a count, at least one of them given."""

    min: int | None = Field(default=None, ge=0)
    """Smallest valid count."""
    max: int | None = Field(default=None, ge=0)
    """Largest valid count."""

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.min is None and self.max is None:
            raise PydanticCustomError("no_bound", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise PydanticCustomError(
                "empty_range", "min {low} is above max {high}", {"low": self.min, "high": self.max}
            )
        return self


class LengthBetween(_Count, RowRule):
    """The number of characters of the text lies between two bounds."""

    kind: Literal["length_between"] = "length_between"


class Expression(RowRule):
    """A Spark SQL condition over the row is true; a null outcome passes."""

    kind: Literal["expression"] = "expression"
    sql: str = Field(min_length=1)
    """Boolean Spark SQL expression; names with dots or spaces in backticks."""


class Unique(RowRule):
    """No two rows have the same values; rows with a null among them are not evaluated.

    Every row of a repeated key fails. With severity ``drop`` one survivor per key is kept: the
    one with the lowest ``_crisp_row``, then ``_crisp_file``, then content.
    """

    level: ClassVar[Level] = Level.KEY
    kind: Literal["unique"] = "unique"
    columns: tuple[str, ...] = ()
    """Columns that are unique together; by default the column the rule stands under."""


class Relationships(RowRule):
    """The value exists in a column of another source (a foreign key)."""

    level: ClassVar[Level] = Level.KEY
    kind: Literal["relationships"] = "relationships"
    to: str = Field(min_length=1)
    """Source that holds the valid values."""
    field: str = Field(min_length=1)
    """Column of that source."""


class Freshness(ColumnRule):
    """The newest value of a date or timestamp column is recent."""

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["freshness"] = "freshness"
    max_age_days: float = Field(ge=0)
    """Largest valid age of the newest value, in days."""
    as_of: Annotated[str, BeforeValidator(_plain)] = ""
    """Moment (ISO date or timestamp, UTC) from which the age is counted; by default the start of
    the run."""


class RowCount(_Count, Rule):
    """The number of rows lies between two bounds."""

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["row_count"] = "row_count"


Statistic = Literal[
    "mean_between",
    "sum_between",
    "stddev_between",
    "min_between",
    "max_between",
    "null_fraction_between",
]


class StatisticBetween(_Range, ColumnRule):
    """A statistic of the column lies between two bounds; nulls are left out."""

    level: ClassVar[Level] = Level.TABLE
    kind: Statistic
    """The statistic: mean, sum, sample standard deviation, smallest or largest value, or the share
    of missing values (0 to 1)."""
    where: str = ""
    """Spark SQL condition; only rows for which it is true are counted."""
    strict_min: bool = False
    """The statistic must be greater than ``min``, not equal."""
    strict_max: bool = False
    """The statistic must be less than ``max``, not equal."""


class QuantileBetween(_Range, ColumnRule):
    """A quantile of a numeric column lies between two bounds."""

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["quantile_between"] = "quantile_between"
    quantile: float = Field(ge=0, le=1)
    """Which quantile: 0.5 is the median."""
    exact: bool = True
    """Exact (a value of the column), or approximate with a relative rank error of 0.0001."""


Metric = Literal[
    "row_count", "null_fraction", "mean", "sum", "stddev", "min", "max", "distinct_count"
]


class AsUsual(Rule):
    """A number about the table or a column is what it was in the last runs.

    Compared are the last runs over other data than this run's: what the steps ``quality`` and
    ``profile`` published. With fewer than ``min_runs`` of them the verdict is ``unknown``, whatever
    the severity.
    """

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["as_usual"] = "as_usual"
    metric: Metric
    """What is compared: ``row_count``, or of a column ``null_fraction``, ``mean``, ``sum``,
    ``stddev``, ``min``, ``max`` (numbers only) or ``distinct_count``."""
    column: str = ""
    """Column that the number is about; not needed below a column."""
    within: float | None = Field(default=None, gt=0)
    """Largest distance from the median of the last runs, as a share of it: 0.2 is 20 %."""
    max_rise: float | None = Field(default=None, ge=0)
    """Largest rise above the median, in the metric's own unit: 0.05 of a null fraction."""
    max_fall: float | None = Field(default=None, ge=0)
    """Largest fall below the median, in the metric's own unit."""
    robust_z: float | None = Field(default=None, gt=0)
    """Largest distance from the median in robust standard deviations (1.4826 times the median
    absolute deviation); 3.5 is customary."""
    runs: int = Field(default=7, ge=1, le=1000)
    """How many of the last runs are compared."""
    min_runs: int = Field(default=3, ge=1)
    """Smallest number of earlier runs that make a history."""

    @model_validator(mode="after")
    def _something_is_compared(self) -> Self:
        limits = (self.within, self.max_rise, self.max_fall, self.robust_z)
        if all(limit is None for limit in limits):
            raise PydanticCustomError(
                "no_limit", "give within, max_rise, max_fall or robust_z, such as within: 0.2"
            )
        if self.min_runs > self.runs:
            raise PydanticCustomError(
                "runs",
                "min_runs {least} is above runs {most}",
                {"least": self.min_runs, "most": self.runs},
            )
        return self


class DistinctCountBetween(_Count, ColumnRule):
    """The exact number of distinct values lies between two bounds; nulls do not count."""

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["distinct_count_between"] = "distinct_count_between"


class SchemaIs(Rule):
    """The table has the named columns, of the named types where given."""

    level: ClassVar[Level] = Level.TABLE
    kind: Literal["schema"] = "schema"
    columns: dict[str, str]
    """Column to Spark type (``bigint``, ``decimal(10,2)``); an empty type is not checked."""
    ordered: bool = False
    """The columns must come in this order."""
    exact: bool = False
    """No other columns are allowed."""

    @model_validator(mode="before")
    @classmethod
    def _a_list_means_any_type(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("columns"), list | tuple):
            return {**value, "columns": dict.fromkeys(value["columns"], "")}
        return value
