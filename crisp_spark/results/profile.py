"""What the profile step found out about every source."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult
from crisp_spark.results.patterns import SourcePatterns

Cell = str | int | float | bool | None
"""A value of the data as JSON carries it; dates, decimals and masked values are texts."""


class SemanticType(StrEnum):
    """What the values of a column are, beyond their storage type."""

    EMPTY = "empty"
    CONSTANT = "constant"
    BOOLEAN = "boolean"
    ID = "id"
    CATEGORY = "category"
    CODE = "code"
    NUMERIC = "numeric"
    DATE = "date"
    TEXT = "text"
    EMAIL = "email"
    IP = "ip"
    URL = "url"
    UUID = "uuid"
    PHONE = "phone"
    NESTED = "nested"
    BINARY = "binary"


class ValueCount(ResultPart):
    """A value, or a shape of values, and how often it occurs."""

    value: Cell
    rows: int
    share: float
    """Share of the rows in which the column is not missing."""


class Bin(ResultPart):
    """One bar of a histogram: ``low <= value < high``; the last bar includes ``high``."""

    low: float
    high: float
    rows: int


class Numbers(ResultPart):
    """Statistics of a numeric column over its finite values."""

    mean: float | None
    std: float | None
    """Sample standard deviation."""
    skewness: float | None
    """Population skewness."""
    kurtosis: float | None
    """Excess kurtosis of the population."""
    sum: float | None
    zeros: int
    negatives: int
    nans: int
    positive_infinities: int
    negative_infinities: int
    quantiles: dict[str, float] = Field(default_factory=dict)
    """Probability (``0.25``) to a value of the column."""
    quantile_error: float = 0.0
    """Largest error in rank, as a share of the rows; 0 means exact."""
    quantile_value_error: float = 0.0
    """Largest relative error in value, of profiles that were merged from parts."""
    outside_fences: int | None = None
    """Values more than 1.5 interquartile ranges outside the quartiles; None where not counted."""


class Texts(ResultPart):
    """Statistics of a text column."""

    min_length: int | None
    max_length: int | None
    mean_length: float | None
    blank: int
    """Texts without any character but spaces."""
    padded: int
    """Texts with spaces at an end."""
    non_ascii: int
    """Texts with a character outside ASCII."""
    non_ascii_share: float
    patterns: tuple[ValueCount, ...] = ()
    """Shapes: ``A`` a capital, ``a`` a small letter, ``9`` a digit; ``+`` marks a repetition."""
    patterns_sampled: bool = False
    """The shapes were counted in the sample, not in all rows."""


class ColumnProfile(ResultPart):
    """What is known about one column."""

    name: str
    type: str
    """Spark type."""
    semantic: SemanticType
    description: str = ""
    unit: str = ""
    role: str = ""
    known_at: str = "prediction"
    pii: bool = False
    """Declared to tell who a person is, or found to; values are masked."""
    missing: int
    missing_share: float
    distinct: int | None
    """Distinct values; None for maps."""
    distinct_exact: bool
    distinct_error: float = 0.0
    """Relative standard error of ``distinct``; 0 means exact."""
    min: Cell = None
    max: Cell = None
    numbers: Numbers | None = None
    texts: Texts | None = None
    histogram: tuple[Bin, ...] = ()
    """Of numbers; of dates in seconds since 1970."""
    top_values: tuple[ValueCount, ...] = ()
    top_values_complete: bool = True
    """The most frequent values are among ``top_values`` for certain. False: they were looked for
    in the sample and then counted in all rows."""
    notes: tuple[str, ...] = ()
    """What a reader should look at, in words."""


class KeyCheck(ResultPart):
    """Whether columns identify a row. Compared are 64-bit hashes of the values."""

    columns: tuple[str, ...]
    declared: bool
    """The source declares this key; otherwise it is a candidate that was found."""
    rows: int
    """Rows in which no key column is missing."""
    distinct: int
    duplicated_rows: int
    """Rows whose key occurs more than once."""
    missing_rows: int
    """Rows in which a key column is missing."""
    unique: bool
    """No duplicated and no missing key."""


class Association(ResultPart):
    """How strongly two columns go together, in the sample."""

    left: str
    right: str
    measure: str
    """``pearson``, ``spearman`` (-1 to 1), ``cramers_v`` or ``correlation_ratio`` (0 to 1)."""
    value: float
    rows: int
    """Rows of the sample in which both are known."""


class Power(ResultPart):
    """How well one column alone predicts the target, in the sample, measured across folds."""

    column: str
    measure: str
    """``roc_auc`` (0.5 is chance), ``macro_roc_auc``, or ``r2`` (0 is chance)."""
    value: float
    power: float
    """The measure brought to 0 (chance) .. 1 (certainty)."""
    mutual_information: float
    """In nats, of the binned column with the (binned) target."""
    mutual_information_share: float
    """Share of the target's entropy, 0 to 1."""
    rows: int
    missing_share: float
    """Share of missing values, sample."""


class Suspect(ResultPart):
    """A column that may leak the outcome."""

    column: str
    reasons: tuple[str, ...]
    declared: bool
    """The project file already says that the column is known only at the outcome."""
    power: float | None = None


class MissingPattern(ResultPart):
    """Columns that are missing together in a row; no columns: complete rows."""

    columns: tuple[str, ...]
    rows: int
    share: float


class MissingByTarget(ResultPart):
    """How the target differs where a column is missing, in the sample."""

    column: str
    missing_rows: int
    target_where_missing: float | None
    """Share of the positive (or most frequent) class, or mean of a numeric target."""
    target_where_known: float | None


class Missingness(ResultPart):
    """Which values are missing together."""

    complete_rows: int | None
    """Rows without a missing value; None where not counted."""
    patterns: tuple[MissingPattern, ...] = ()
    exact: bool = True
    """Counted in all rows; False: in the sample."""
    by_target: tuple[MissingByTarget, ...] = ()


class Gap(ResultPart):
    """A stretch of time without rows."""

    first: str
    last: str
    periods: int


class Period(ResultPart):
    """Rows in one period."""

    start: str
    rows: int


class TimeCoverage(ResultPart):
    """Which time a source covers."""

    column: str
    unit: str
    """Length of a period: ``hour``, ``day``, ``month`` or ``year``."""
    first: str | None
    last: str | None
    periods: tuple[Period, ...] = ()
    """Rows per period; periods without rows are left out."""
    gaps: tuple[Gap, ...] = ()
    missing_periods: int = 0


class TargetProfile(ResultPart):
    """The target, where it lives."""

    name: str
    expression: str
    problem: str
    known: int
    """Rows in which the target is known."""
    missing: int
    classes: tuple[ValueCount, ...] = ()
    """Rows per class (binary and multiclass)."""
    mean: float | None = None
    std: float | None = None


class TableProfile(ResultPart):
    """What is known about one source."""

    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    duplicated_rows: int | None
    """Rows whose content occurs more than once (by 64-bit hash)."""
    keys: tuple[KeyCheck, ...] = ()
    associations: tuple[Association, ...] = ()
    """Strongest first."""
    associations_left_out: int = 0
    """Weaker pairs that are not listed."""
    target: TargetProfile | None = None
    power: tuple[Power, ...] = ()
    """Strongest first."""
    suspects: tuple[Suspect, ...] = ()
    missingness: Missingness
    time: tuple[TimeCoverage, ...] = ()
    sample_rows: int
    """Rows of the deterministic sample behind associations, power and shapes."""
    sample_note: str = ""
    scans: int
    """Passes over the table."""
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnProfile | None:
        """Return the profile of a column."""
        return next((column for column in self.columns if column.name == name), None)


class ProfileResult(StepResult):
    """Profiles of all sources."""

    step: ClassVar[str] = "profile"

    sources: tuple[TableProfile, ...]
    patterns: tuple[SourcePatterns, ...] = ()
    """What occurs together in baskets, where the project asks for it."""

    def source(self, name: str) -> TableProfile | None:
        """Return the profile of a source."""
        return next((table for table in self.sources if table.name == name), None)
