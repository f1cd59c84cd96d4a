"""What every source declares, whatever its kind: columns, key, time, rules, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from crisp_spark.errors import suggest
from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.columns import RESERVED_PREFIX
from crisp_spark.spec.columntypes import normal_type
from crisp_spark.spec.patterns import Patterns
from crisp_spark.spec.quality import RuleSpec


class ColumnSpec(SpecModel):
    """One column of a source. ``dep_delay: double`` is short for ``dep_delay: {type: double}``."""

    type: str | None = None
    """Spark type (``int``, ``double``, ``decimal(10,2)``, ``timestamp`` ...); without it the type
    is inferred once and then kept."""
    description: str = ""
    """What the value means."""
    unit: str = ""
    """Unit of the value, such as ``minutes`` or ``USD``."""
    pii: bool = False
    """The value tells who a person is; samples and reports do not show it."""
    known_at: Literal["prediction", "outcome"] = "prediction"
    """``outcome``: known only after the moment of prediction, so never a feature."""
    role: Literal["key", "time", "target", "group", "weight", "text", "ignore"] | None = None
    """What the column is for, where it is not an ordinary feature."""
    format: str = ""
    """Pattern of dates and timestamps in text files, such as ``dd.MM.yyyy HH:mm``; ISO 8601
    without it."""
    aliases: tuple[str, ...] = ()
    """Other names that files use for this column."""
    null_values: tuple[str, ...] | None = None
    """Texts that stand for a missing value in this column, instead of those of the source."""
    rules: tuple[RuleSpec, ...] = ()
    """Quality rules about the column."""

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        return None if value is None else normal_type(value)

    @model_validator(mode="after")
    def _format_is_for_moments(self) -> Self:
        if self.format and self.type not in {None, "date", "timestamp", "timestamp_ntz"}:
            raise PydanticCustomError(
                "format_of_type",
                "format is for dates and timestamps, got type {type}",
                {"type": str(self.type)},
            )
        return self


def _short_column(value: Any) -> Any:
    if value is None:
        return {}
    return {"type": value} if isinstance(value, str) else value


Column = Annotated[ColumnSpec, BeforeValidator(_short_column, json_schema_input_type=Any)]
"""A column, also in its short form, which is the type alone."""


class Source(SpecModel):
    """What all sources have in common."""

    description: str = ""
    """What one row is, and where the data comes from."""
    owner: str = ""
    """Who answers for the data."""
    key: tuple[str, ...] = ()
    """Columns that together identify a row."""
    time: str = ""
    """Column that says when the row happened."""
    columns: dict[str, Column] = Field(default_factory=dict)
    """Columns by name, in the order they shall have."""
    rules: tuple[RuleSpec, ...] = ()
    """Quality rules about the source as a whole, or about several columns."""
    patterns: tuple[Patterns, ...] = ()
    """What occurs together in baskets of items, found when the source is profiled."""
    infer: bool = True
    """Take columns that are not declared as well, and find out missing types from the data. False:
    only declared columns are read, and each needs a type."""
    freeze: bool = True
    """Keep what was inferred for later runs. False: infer anew in every run."""
    profile: Literal["full", "incremental"] = "full"
    """``incremental``: only rows of new files are profiled and added to what is kept of the old
    ones. Keys, associations, frequent values and power are left out; quantiles lie within 1 % of
    their value, distinct counts have a standard error of 1.6 %."""
    max_reject_fraction: float = Field(default=0.05, ge=0, le=1)
    """Largest share of rows that may be rejected; beyond it the step stops with an error."""

    @field_validator("key", mode="before")
    @classmethod
    def _one_key_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _columns_make_sense(self) -> Self:
        _check_names(self.columns)
        if self.infer:
            return self
        untyped = [name for name, column in self.columns.items() if column.type is None]
        if untyped or not self.columns:
            raise PydanticCustomError(
                "untyped",
                "infer: false needs a type for every column, got none for {names}",
                {"names": ", ".join(map(repr, untyped)) or "any (no columns are declared)"},
            )
        unknown = [name for name in (*self.key, self.time) if name and name not in self.columns]
        if unknown:
            near = suggest(unknown[0], self.columns)
            raise PydanticCustomError(
                "unknown_column",
                "key or time names {name}, which is not declared{near}",
                {"name": repr(unknown[0]), "near": f"; did you mean {near!r}?" if near else ""},
            )
        return self


def _check_names(columns: Mapping[str, ColumnSpec]) -> None:
    """Column names and aliases: not reserved, not empty, and different without regard to case."""
    owner: dict[str, str] = {}
    for name, column in columns.items():
        if name.startswith(RESERVED_PREFIX):
            raise PydanticCustomError(
                "reserved", "column names must not start with _crisp_, got {name}", {"name": name}
            )
        for known in (name, *column.aliases):
            if not known.strip():
                raise PydanticCustomError("empty_name", "a column or alias has no name")
            other = owner.setdefault(known.lower(), name)
            if other != name or (known != name and known.lower() == name.lower()):
                raise PydanticCustomError(
                    "same_name",
                    "{known} is also a name of column {other}; names are compared without case",
                    {"known": repr(known), "other": repr(other)},
                )
