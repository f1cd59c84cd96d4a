"""Feature operations that learn from training rows: what may stand under ``features``.

Everything here is fitted on training rows only and becomes part of the deployed pipeline. An
operation names the features it works on by ``columns``: exact names, patterns with ``*`` and
``?``, or the words ``all_numeric`` and ``all_categorical``.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from crisp_spark.spec.base import SpecModel

ALL_NUMERIC = "all_numeric"
ALL_CATEGORICAL = "all_categorical"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Selector = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]
"""One name or a list of names, patterns and the words all_numeric and all_categorical."""

Names = Annotated[
    tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])
]
"""One column name or a list of them."""


class FittedOp(SpecModel):
    """What all fitted operations share."""

    columns: Selector
    """Features it works on: names, patterns with ``*`` and ``?``, all_numeric, all_categorical."""
    exclude: Names = ()
    """Names and patterns taken out of ``columns`` again."""
    reason: str = ""
    """Why it is done; shown in the report."""


class Impute(FittedOp):
    """Fill missing values with something learned from the training rows."""

    op: Literal["impute"]
    """Kind of operation."""
    method: Literal["mean", "median", "mode", "constant", "group", "regression"] = "median"
    """``group`` takes the statistic per value of ``by``; ``regression`` predicts the value from
    the other columns."""
    by: Names = ()
    """Columns that form the groups of method ``group``."""
    statistic: Literal["mean", "median"] = "median"
    """Statistic per group; groups without a value take that of all training rows."""
    value: float | str | None = None
    """Value of method ``constant``: a number, or a text for categories."""
    using: Names = ()
    """Numeric predictors of method ``regression``; all other numeric features by default."""
    indicator: bool | Literal["auto"] = "auto"
    """Whether a feature says where the value was missing; ``auto`` adds it where the training
    rows have missing values."""

    @model_validator(mode="after")
    def _fits_the_method(self) -> Impute:
        if self.method == "group" and not self.by:
            raise ValueError("method 'group' needs by: the columns that form the groups")
        if self.method != "group" and self.by:
            raise ValueError(f"by belongs to method 'group', got method {self.method!r}")
        if self.method == "constant" and self.value is None:
            raise ValueError("method 'constant' needs a value")
        if self.method != "constant" and self.value is not None:
            raise ValueError(f"value belongs to method 'constant', got method {self.method!r}")
        if self.method != "regression" and self.using:
            raise ValueError(f"using belongs to method 'regression', got method {self.method!r}")
        return self


class Outliers(FittedOp):
    """Bound, blank or flag values far away from the rest."""

    op: Literal["outliers"]
    """Kind of operation."""
    method: Literal["iqr", "zscore", "mad", "percentile"] = "iqr"
    """How the bounds are found: quartiles -+ k interquartile ranges, mean -+ k standard
    deviations, median -+ k scaled median deviations, or two percentiles."""
    k: float | None = Field(default=None, gt=0)
    """Width of the bounds: 1.5 for iqr, 3 for zscore and 3.5 for mad by default."""
    lower: float = Field(default=0.01, ge=0, lt=1)
    """Lower percentile, as a fraction."""
    upper: float = Field(default=0.99, gt=0, le=1)
    """Upper percentile, as a fraction."""
    action: Literal["clip", "null", "flag"] = "clip"
    """Move values to the bound, make them missing, or only add a feature that flags them."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Outliers:
        if self.lower >= self.upper:
            raise ValueError(f"lower must be below upper, got {self.lower} and {self.upper}")
        if self.method == "percentile" and self.k is not None:
            raise ValueError("k does not belong to method 'percentile'; give lower and upper")
        return self

    @property
    def width(self) -> float:
        """Width of the bounds, with the method's default."""
        return self.k if self.k is not None else {"iqr": 1.5, "zscore": 3.0}.get(self.method, 3.5)


class Encode(FittedOp):
    """Turn categories into numbers."""

    op: Literal["encode"]
    """Kind of operation."""
    method: Literal["one_hot", "ordinal", "target", "frequency", "rare", "hashing"] = "one_hot"
    """``target`` is the smoothed mean of the label, out of fold on training rows; ``rare`` only
    merges rare categories and leaves a category behind."""
    rare_below: float | None = Field(default=None, gt=0)
    """Categories with fewer rows than this (a count), or with a smaller share (below 1), are one
    category, the one that unseen values fall into as well."""
    max_categories: int | None = Field(default=None, ge=1)
    """Only the most frequent categories are kept apart; the rest is one category."""
    order: tuple[str, ...] = ()
    """Order of the categories for ``ordinal``; by frequency when empty."""
    order_by: Literal["frequency", "alphabet", "target"] = "frequency"
    """Order of the categories for ``ordinal`` where ``order`` is empty."""
    nominal: bool = False
    """``ordinal`` only: tell trees that the codes have no order (they split by sets then)."""
    smoothing: float = Field(default=20.0, ge=0)
    """``target`` only: weight, in rows, of the overall mean in each category's mean."""
    buckets: int = Field(default=256, ge=2)
    """``hashing`` only: length of the hashed vector."""

    @model_validator(mode="after")
    def _fits_the_method(self) -> Encode:
        if self.method == "rare" and self.rare_below is None and self.max_categories is None:
            raise ValueError("method 'rare' needs rare_below or max_categories")
        if (self.order or self.nominal) and self.method != "ordinal":
            raise ValueError(f"order and nominal belong to 'ordinal', got {self.method!r}")
        if self.method == "hashing" and (self.rare_below or self.max_categories):
            raise ValueError("rare_below and max_categories do not belong to method 'hashing'")
        return self


class Scale(FittedOp):
    """Bring numbers to one scale."""

    op: Literal["scale"]
    """Kind of operation."""
    columns: Selector = (ALL_NUMERIC,)
    """Features it works on."""
    method: Literal["standard", "min_max", "robust", "max_abs"] = "standard"
    """``robust`` uses median and interquartile range."""


class Transform(FittedOp):
    """Change the shape of a distribution."""

    op: Literal["transform"]
    """Kind of operation."""
    method: Literal["log", "power", "sqrt", "box_cox"] = "log"
    """``log`` is sign(x) log(1 + |x|); ``power`` is Yeo-Johnson with a fitted exponent;
    ``box_cox`` needs positive values; ``sqrt`` keeps the sign."""


class Pca(FittedOp):
    """Replace numeric features by their principal components."""

    op: Literal["pca"]
    """Kind of operation."""
    columns: Selector = (ALL_NUMERIC,)
    """Features it works on."""
    k: int | None = Field(default=None, ge=1)
    """Number of components."""
    variance: float | None = Field(default=None, gt=0, le=1)
    """Share of the variance that the components must explain; sets the number of components."""
    name: str = Field(default="pca", min_length=1)
    """Name of the new feature."""
    keep: bool = False
    """Whether the original features stay as well."""
    standardize: bool = True
    """Whether features are brought to unit variance first."""

    @model_validator(mode="after")
    def _k_or_variance(self) -> Pca:
        if (self.k is None) == (self.variance is None):
            raise ValueError("give k or variance, one of the two")
        return self


class Text(FittedOp):
    """Turn text into weighted word counts."""

    op: Literal["text"]
    """Kind of operation."""
    method: Literal["tf_idf", "counts"] = "tf_idf"
    """``counts`` leaves the counts as they are, as LDA and naive Bayes want them."""
    buckets: int = Field(default=1024, ge=2)
    """Length of the hashed vector."""
    pattern: str = r"[^\p{L}\p{N}]+"
    """Regular expression between two words."""
    min_length: int = Field(default=2, ge=1)
    """Shortest word taken."""
    min_documents: int = Field(default=2, ge=0)
    """Words in fewer rows weigh nothing (tf_idf)."""
    stop_words: tuple[str, ...] = ()
    """Words left out."""


class Select(FittedOp):
    """Drop features that carry little; every dropped one is listed with its reason."""

    op: Literal["select"]
    """Kind of operation."""
    columns: Selector = ("*",)
    """Features it works on."""
    method: Literal["variance", "correlation", "chi_squared", "importance"]
    """``correlation`` drops the later of two features that say the same; ``importance`` comes
    from a small random forest."""
    threshold: float | None = Field(default=None, ge=0)
    """Smallest variance (0), largest absolute correlation (0.95), largest p-value (0.05), or
    smallest share of the importance (0.001), with the defaults in brackets."""
    top: int | None = Field(default=None, ge=1)
    """``chi_squared`` and ``importance`` only: keep this many."""

    @model_validator(mode="after")
    def _top_needs_a_ranking(self) -> Select:
        if self.top is not None and self.method not in ("chi_squared", "importance"):
            raise ValueError(f"top belongs to chi_squared and importance, got {self.method!r}")
        return self

    @property
    def limit(self) -> float:
        """The threshold, with the method's default."""
        default = {"variance": 0.0, "correlation": 0.95, "chi_squared": 0.05}
        return self.threshold if self.threshold is not None else default.get(self.method, 0.001)


FeatureOp = Annotated[
    Impute | Outliers | Encode | Scale | Transform | Pca | Text | Select,
    Field(discriminator="op"),
]
"""A fitted operation, told apart by ``op``."""


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Say whether ``name`` is listed in ``patterns``, literally or by ``*`` and ``?``."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def is_pattern(entry: str) -> bool:
    """Say whether a selector's entry may stand for several features."""
    return entry in (ALL_NUMERIC, ALL_CATEGORICAL) or any(sign in entry for sign in "*?[")
