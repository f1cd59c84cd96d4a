"""What the clean step may do to a source: ordered operations, none of which learns from data."""

from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.columns import RESERVED_PREFIX


def _plain_scalar(value: Any) -> Any:
    """YAML reads an unquoted 2013-11-01 as a date; columns compare with its text."""
    return value.isoformat() if isinstance(value, date | datetime) else value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_plain_scalar)]
"""A constant: true or false, a number, a text, or the text of a date or time."""


def _key_text(value: Any) -> Any:
    """YAML keys may be numbers or truth values; the text names the value."""
    if isinstance(value, bool):
        return str(value).lower()
    return _plain_scalar(value) if isinstance(value, str | date) else str(value)


TextKey = Annotated[str, BeforeValidator(_key_text)]
"""A value of a column, as text."""

Columns = list[str] | Literal["*"]
"""Column names, or ``*`` for every column that the operation fits (text, number, any)."""

HOOK_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""``module:function``."""

LEARNED_OPS = frozenset(
    {"impute", "outliers", "encode", "scale", "transform", "standardize", "normalize", "winsorize"}
    | {"mean", "median", "mode", "iqr", "zscore", "mad", "percentile", "pca", "select_features"}
)
"""Names of operations that learn from data; they belong under ``preparation.features``."""

_LEARNED_HINT = (
    "it learns from the data and must see training rows only: declare it under "
    "preparation.features, where it is fitted after the split and becomes part of the model"
)


def check_new_name(name: str) -> str:
    """Refuse a new column name that the package keeps for itself."""
    if not name or name.startswith(RESERVED_PREFIX):
        raise ValueError(f"a column name must not be empty or start with {RESERVED_PREFIX!r}")
    return name


NewName = Annotated[str, BeforeValidator(lambda value: check_new_name(str(value)))]
"""Name of a new column."""


class CleanOperation(SpecModel):
    """What all cleaning operations have in common."""

    reason: str = ""
    """Why this is done; shown in the report."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_learned(cls, data: Any) -> Any:
        if isinstance(data, dict) and "method" in data and "method" not in cls.model_fields:
            raise ValueError(
                f"method {data['method']!r} is not a cleaning constant; {_LEARNED_HINT}"
            )
        return data


class Select(CleanOperation):
    """Keep or exclude columns, with a written reason."""

    op: Literal["select"] = "select"
    keep: list[str] = Field(default_factory=list)
    """Columns to keep; all others go."""
    exclude: list[str] = Field(default_factory=list)
    """Columns to leave out; all others stay."""
    reason: str = Field(min_length=1)
    """Why; the rationale for inclusion or exclusion is an output of CRISP-DM."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Select:
        if bool(self.keep) == bool(self.exclude):
            raise ValueError("give exactly one of keep and exclude")
        return self


class Filter(CleanOperation):
    """Keep the records for which an expression is true; false and unknown ones are dropped."""

    op: Literal["filter"] = "filter"
    expression: str = Field(min_length=1)
    """Spark SQL, true for the records to keep."""
    reason: str = Field(min_length=1)
    """Why; it becomes the reason on every dropped record."""


class Cast(CleanOperation):
    """Change types. A value that cannot be cast is counted and its text is kept."""

    op: Literal["cast"] = "cast"
    columns: dict[str, str] = Field(min_length=1)
    """Column to Spark SQL type: ``{seats: int, built: date}``."""
    format: str | None = None
    """Date or time pattern of the text, for date and timestamp types."""
    on_fail: Literal["null", "drop"] = "null"
    """``null``: the cell becomes null and its text goes to ``_crisp_cast_failures``; ``drop``: the
    whole record is dropped."""


class MissingCodes(CleanOperation):
    """Turn codes that stand for "missing" into null."""

    op: Literal["missing_codes"] = "missing_codes"
    columns: Columns
    """Columns, or ``*``; a code is only looked for in columns whose type can hold it."""
    codes: list[Scalar] = Field(min_length=1)
    """Values that mean missing: ``["NA", "-", -999]``."""
    ignore_case: bool = False
    """Compare texts without regard to case and surrounding spaces."""


class Trim(CleanOperation):
    """Remove white space at both ends of texts."""

    op: Literal["trim"] = "trim"
    columns: Columns
    """Text columns, or ``*``."""
    collapse: bool = False
    """Also turn every inner run of white space into one space."""
    empty_to_null: bool = True
    """An empty text becomes null."""


class Case(CleanOperation):
    """Put texts into one case."""

    op: Literal["case"] = "case"
    columns: Columns
    """Text columns, or ``*``."""
    to: Literal["lower", "upper", "title"]
    """Case wanted."""


class Unicode(CleanOperation):
    """Bring texts into one Unicode normal form, so that equal-looking texts are equal."""

    op: Literal["unicode"] = "unicode"
    columns: Columns
    """Text columns, or ``*``."""
    form: Literal["NFC", "NFKC", "NFD", "NFKD"] = "NFC"
    """Normal form; NFKC also unites full-width letters, ligatures and the like."""
    strip_accents: bool = False
    """Also remove accents and other combining marks."""


class Replace(CleanOperation):
    """Replace what a regular expression matches."""

    op: Literal["replace"] = "replace"
    columns: Columns
    """Text columns, or ``*``."""
    pattern: str = Field(min_length=1)
    """Java regular expression."""
    replacement: str = ""
    """Text put in its place; ``$1`` is the first group."""


class MapValues(CleanOperation):
    """Replace values by others."""

    op: Literal["map"] = "map"
    columns: list[str] = Field(min_length=1)
    """Columns."""
    values: dict[TextKey, Scalar | None] = Field(default_factory=dict)
    """From the text of a value to its replacement (null allowed)."""
    default: Scalar | None = None
    """Value for those not listed, where ``others`` is ``default``."""
    others: Literal["keep", "null", "default"] = "keep"
    """What happens to values that are not listed."""
    missing: Scalar | None = None
    """Value for null; null stays null without it."""


class Deduplicate(CleanOperation):
    """Keep one record of those that share a key."""

    op: Literal["deduplicate"] = "deduplicate"
    keys: list[str] = Field(default_factory=list)
    """Key columns; without them only records equal in every column are duplicates. Records with a
    null in a key are never duplicates."""
    survivor: Literal["first", "last", "most_complete"] = "first"
    """Which record stays; ties are broken by a hash of the original record."""
    order_by: str | None = None
    """Column that says what comes first."""

    @model_validator(mode="after")
    def _order_needed(self) -> Deduplicate:
        if self.survivor == "last" and self.order_by is None:
            raise ValueError("survivor: last needs order_by")
        return self


class DropMissing(CleanOperation):
    """Drop records, or columns, that miss too much."""

    op: Literal["drop_missing"] = "drop_missing"
    axis: Literal["rows", "columns"] = "rows"
    """What is dropped."""
    columns: Columns = "*"
    """Columns looked at."""
    max_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Largest share of missing cells that is tolerated (0 to 1)."""


class Fill(CleanOperation):
    """Put a declared value where a value is missing."""

    op: Literal["fill"] = "fill"
    columns: Columns = Field(default_factory=list)
    """Columns that ``value`` or ``expression`` is for."""
    value: Scalar | None = None
    """Constant."""
    expression: str | None = None
    """Spark SQL over the same record, for example another column."""
    values: dict[str, Scalar] = Field(default_factory=dict)
    """Column to constant."""

    @model_validator(mode="after")
    def _one_source(self) -> Fill:
        given = [self.value is not None, self.expression is not None, bool(self.values)]
        if sum(given) != 1:
            raise ValueError("give exactly one of value, expression and values")
        if self.values and self.columns:
            raise ValueError("columns goes with value or expression; values names its own columns")
        if not self.values and not self.columns:
            raise ValueError("columns is missing")
        return self


class FlagMissing(CleanOperation):
    """Add a 0/1 column that says where a value is missing."""

    op: Literal["flag_missing"] = "flag_missing"
    columns: list[str] = Field(min_length=1)
    """Columns."""
    suffix: str = Field(default="_missing", min_length=1)
    """Put after the column's name to name the flag."""


class Outside(CleanOperation):
    """Treat values outside declared bounds: clip, set to null, drop the record, or flag."""

    op: Literal["clip", "null_outside", "drop_outside", "flag_outside"]
    columns: list[str] = Field(min_length=1)
    """Columns: numbers, dates or times."""
    min: Scalar | None = None
    """Smallest valid value."""
    max: Scalar | None = None
    """Largest valid value."""
    suffix: str = Field(default="_outside", min_length=1)
    """Put after the column's name to name the flag of ``flag_outside``."""

    @model_validator(mode="after")
    def _bounded(self) -> Outside:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        numbers = [bound for bound in (self.min, self.max) if not isinstance(bound, str | None)]
        if len(numbers) == 2 and numbers[0] > numbers[1]:  # noqa: PLR2004
            raise ValueError(f"min {self.min} is larger than max {self.max}")
        return self


class Round(CleanOperation):
    """Round numbers, half away from zero."""

    op: Literal["round"] = "round"
    columns: Columns
    """Number columns, or ``*`` for every fractional one."""
    digits: int = 0
    """Digits after the point; negative rounds to tens, hundreds, ..."""


class Bin(CleanOperation):
    """Smooth noise by replacing a number by its bin."""

    op: Literal["bin"] = "bin"
    columns: list[str] = Field(min_length=1)
    """Number columns."""
    edges: list[float] = Field(min_length=1)
    """Rising edges; a value belongs to the bin whose lower edge it reaches."""
    labels: list[str] = Field(default_factory=list)
    """One more than edges; without them the bin's number (0 below the first edge)."""
    suffix: str = "_bin"
    """Put after the column's name to name the new column; empty replaces the column."""

    @model_validator(mode="after")
    def _rising(self) -> Bin:
        check_bins(self.edges, self.labels)
        return self


class Smooth(CleanOperation):
    """Smooth noise by a trailing moving average over records in order."""

    op: Literal["smooth"] = "smooth"
    columns: list[str] = Field(min_length=1)
    """Number columns."""
    order_by: str
    """Column that gives the order."""
    partition_by: list[str] = Field(default_factory=list)
    """Columns within whose equal values the average stays."""
    rows: int = Field(default=3, ge=2)
    """Records averaged: the record itself and those before it."""
    suffix: str = ""
    """Put after the column's name to name the new column; empty replaces the column."""


class PythonHook(CleanOperation):
    """Run a function of the project, DataFrame to DataFrame; rows and reserved columns stay."""

    op: Literal["python"] = "python"
    python: str = Field(pattern=HOOK_PATTERN)
    """``module:function``; the module is looked for beside the project file first."""
    doc: str = ""
    """What it does."""


class LearnedOperation(CleanOperation):
    """Never valid here: an operation that learns from data."""

    op: str = Field(json_schema_extra={"not": {}})

    @field_validator("op", mode="before")
    @classmethod
    def _refuse(cls, op: Any) -> Any:
        raise ValueError(f"{op!r} is no cleaning operation: {_LEARNED_HINT}")

    @model_validator(mode="before")
    @classmethod
    def _only_op(cls, data: Any) -> Any:
        # The other keys are right where the operation belongs: one fault, not five.
        return {"op": data.get("op")} if isinstance(data, dict) else data


def check_bins(edges: list[float], labels: list[str]) -> None:
    """Check the edges and labels of bins.

    Raises:
        ValueError: Edges do not rise, or the labels do not fit.
    """
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges must rise, got {edges}")
    if labels and len(labels) != len(edges) + 1:
        raise ValueError(f"{len(edges)} edges need {len(edges) + 1} labels, got {len(labels)}")


def clean_tag(value: Any) -> str | None:
    """Say which operation an item is, from its ``op`` (or from the key ``python``)."""
    if not isinstance(value, dict):
        op = getattr(value, "op", None)
    else:
        op = value.get("op", "python" if "python" in value else None)
    if op is not None and not isinstance(op, str):
        return str(op)
    if op in LEARNED_OPS:
        return "learned"
    if op in {"clip", "null_outside", "drop_outside", "flag_outside"}:
        return "outside"
    return None if op is None else str(op)


CleanOp = Annotated[
    Annotated[Select, Tag("select")]
    | Annotated[Filter, Tag("filter")]
    | Annotated[Cast, Tag("cast")]
    | Annotated[MissingCodes, Tag("missing_codes")]
    | Annotated[Trim, Tag("trim")]
    | Annotated[Case, Tag("case")]
    | Annotated[Unicode, Tag("unicode")]
    | Annotated[Replace, Tag("replace")]
    | Annotated[MapValues, Tag("map")]
    | Annotated[Deduplicate, Tag("deduplicate")]
    | Annotated[DropMissing, Tag("drop_missing")]
    | Annotated[Fill, Tag("fill")]
    | Annotated[FlagMissing, Tag("flag_missing")]
    | Annotated[Outside, Tag("outside")]
    | Annotated[Round, Tag("round")]
    | Annotated[Bin, Tag("bin")]
    | Annotated[Smooth, Tag("smooth")]
    | Annotated[PythonHook, Tag("python")]
    | Annotated[LearnedOperation, Tag("learned")],
    Discriminator(clean_tag),
]
"""One cleaning operation."""
