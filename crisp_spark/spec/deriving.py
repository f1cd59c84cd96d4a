"""Derived columns: named, documented, and either of one row (SQL) or of the table (windows)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.cleaning import HOOK_PATTERN, NewName, check_bins
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import literal, names_in

SqlColumns = tuple[tuple[str, str], ...]
"""Pairs of column name and Spark SQL."""

_PARTS = {
    "year": "year({0})",
    "quarter": "quarter({0})",
    "month": "month({0})",
    "day": "day({0})",
    "weekday": "weekday({0}) + 1",
    "day_of_year": "dayofyear({0})",
    "week": "weekofyear({0})",
    "hour": "hour({0})",
    "minute": "minute({0})",
    "is_weekend": "CAST(weekday({0}) >= 5 AS INT)",
    "days_in_month": "day(last_day({0}))",
}

DatePart = Literal[
    "year",
    "quarter",
    "month",
    "day",
    "weekday",
    "day_of_year",
    "week",
    "hour",
    "minute",
    "is_weekend",
    "days_in_month",
]
"""``weekday`` is 1 (Monday) to 7; ``week`` is the ISO week; ``is_weekend`` is 0 or 1."""


class DeriveOperation(SpecModel):
    """What all derivations have in common."""

    doc: str = ""
    """What the column means; shown in the report."""

    @property
    def row_local(self) -> bool:
        """True where the value follows from the row alone."""
        return True

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of each new column."""
        return ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the new columns."""
        return tuple(name for name, _ in self.sql())

    @property
    def inputs(self) -> frozenset[str]:
        """Lower-case names that the new columns may depend on."""
        return frozenset().union(*(names_in(expression) for _, expression in self.sql()))


class Expression(DeriveOperation):
    """A Spark SQL expression over the columns of the row."""

    op: Literal["expression"] = "expression"
    name: NewName
    """Name of the new column."""
    expression: str = Field(min_length=1)
    """Spark SQL; may use other derived columns."""
    type: str | None = None
    """Spark SQL type wanted; the value is cast to it."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of the new column."""
        cast = f"CAST(({self.expression}) AS {self.type})"
        return ((self.name, cast if self.type else f"({self.expression})"),)


class Cyclic(DeriveOperation):
    """Sine and cosine of a value that comes round again: hour of day, month, direction."""

    op: Literal["cyclic"]
    column: str
    """Number column."""
    period: float = Field(gt=0)
    """Length of one round, in the column's unit: 24 for hours."""
    name: NewName | None = None
    """Start of the two names, ``<name>_sin`` and ``<name>_cos``; the column's name without it."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of both columns."""
        start = self.name or self.column
        angle = f"2 * pi() * CAST({quoted(self.column)} AS DOUBLE) / {literal(float(self.period))}"
        return tuple((f"{start}_{part}", f"{part}({angle})") for part in ("sin", "cos"))


class DateParts(DeriveOperation):
    """Parts of a date or time."""

    op: Literal["date_parts"]
    column: str
    """Date or timestamp column."""
    parts: list[DatePart] = Field(min_length=1)
    """Parts wanted, one column each."""
    prefix: str | None = None
    """Put before the part's name; ``<column>_`` without it."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of each part."""
        prefix = f"{self.column}_" if self.prefix is None else self.prefix
        return tuple(
            (f"{prefix}{part}", _PARTS[part].format(quoted(self.column))) for part in self.parts
        )


class Interaction(DeriveOperation):
    """Columns taken together: the product of numbers, or the combination of categories."""

    op: Literal["interaction"]
    name: NewName
    """Name of the new column."""
    columns: list[str] = Field(min_length=2)
    """Columns taken together; null where one of them is null."""
    kind: Literal["product", "concat"] = "product"
    """``product`` of numbers or ``concat`` of texts."""
    separator: str = "_"
    """Between the parts of a concat."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of the new column."""
        if self.kind == "product":
            text = " * ".join(f"CAST({quoted(name)} AS DOUBLE)" for name in self.columns)
        else:
            casts = [f"CAST({quoted(name)} AS STRING)" for name in self.columns]
            text = f"concat({f', {literal(self.separator)}, '.join(casts)})"
        return ((self.name, text),)


class BinColumn(DeriveOperation):
    """The bin a number falls into."""

    op: Literal["bin"]
    name: NewName
    """Name of the new column."""
    column: str
    """Number column."""
    edges: list[float] = Field(min_length=1)
    """Rising edges; a value belongs to the bin whose lower edge it reaches."""
    labels: list[str] = Field(default_factory=list)
    """One more than edges; without them the bin's number (0 below the first edge)."""

    @model_validator(mode="after")
    def _rising(self) -> BinColumn:
        check_bins(self.edges, self.labels)
        return self

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of the new column."""
        return ((self.name, bin_sql(self.column, self.edges, self.labels)),)


class Ratio(DeriveOperation):
    """One number divided by another; null where the divisor is null or zero."""

    op: Literal["ratio"]
    name: NewName
    """Name of the new column."""
    numerator: str
    """Number column."""
    denominator: str
    """Number column."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of the new column."""
        top, bottom = quoted(self.numerator), quoted(self.denominator)
        return ((self.name, f"CAST({top} AS DOUBLE) / nullif(CAST({bottom} AS DOUBLE), 0D)"),)


class TextTokens(DeriveOperation):
    """The words of a text, as an array."""

    op: Literal["text_tokens"]
    name: NewName
    """Name of the new column."""
    column: str
    """Text column."""
    lower: bool = True
    """Put the text into lower case first."""
    pattern: str = r"[^\p{L}\p{N}]+"
    """Java regular expression of what stands between words."""
    min_length: int = Field(default=2, ge=1)
    """Shortest word kept, in characters."""
    stop_words: list[str] = Field(default_factory=list)
    """Words left out."""

    def sql(self) -> SqlColumns:
        """Name and Spark SQL of the new column."""
        text = f"lower({quoted(self.column)})" if self.lower else quoted(self.column)
        keep = f"length(_crisp_w) >= {self.min_length}"
        if self.stop_words:
            keep += f" AND _crisp_w NOT IN ({', '.join(map(literal, self.stop_words))})"
        words = f"split({text}, {literal(self.pattern)})"
        return ((self.name, f"filter({words}, _crisp_w -> {keep})"),)


class Window(DeriveOperation):
    """A value from rows strictly earlier in time; rows of the very same time are left out."""

    op: Literal["window"]
    name: NewName
    """Name of the new column."""
    function: Literal["lag", "count", "sum", "mean", "min", "max", "std", "recency", "frequency"]
    """``recency``: time since the last earlier row; ``frequency``: earlier rows per day."""
    column: str | None = None
    """Column looked at; not for count, recency and frequency."""
    partition_by: list[str] = Field(default_factory=list)
    """Columns within whose equal values the window stays; null where one of them is null."""
    order_by: str
    """Time (or number) column that says what is earlier."""
    over: str | None = None
    """How far back, as a Spark interval: ``7 days``. All earlier rows without it."""
    known_after: str | None = None
    """How long after a row's time the column becomes known: ``6 hours``. Needed before a window
    may look at a column that is only known as an outcome."""
    offset: int = Field(default=1, ge=1)
    """How many rows back a lag looks."""
    unit: Literal["seconds", "minutes", "hours", "days"] = "hours"
    """Unit of recency."""

    @property
    def row_local(self) -> bool:
        """False: other rows are needed."""
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the new column."""
        return (self.name,)

    @property
    def inputs(self) -> frozenset[str]:
        """Lower-case names of the columns used."""
        used = [*self.partition_by, self.order_by, *([self.column] if self.column else [])]
        return frozenset(name.lower() for name in used)

    @model_validator(mode="after")
    def _consistent(self) -> Window:
        rows_only = self.function in {"count", "recency", "frequency"}
        if rows_only == (self.column is not None):
            raise ValueError(
                f"function: {self.function} {'takes no' if rows_only else 'needs a'} column"
            )
        if self.function == "frequency" and self.over is None:
            raise ValueError("function: frequency needs over, the time it is counted in")
        if self.offset > 1 and (self.function != "lag" or self.known_after or self.over):
            raise ValueError("offset is for a lag without over and known_after")
        return self


class DeriveHook(DeriveOperation):
    """A function of the project: DataFrame in, DataFrame with more columns out, same rows."""

    op: Literal["python"] = "python"
    python: str = Field(pattern=HOOK_PATTERN)
    """``module:function``; the module is looked for beside the project file first."""
    adds: list[NewName] = Field(min_length=1)
    """Columns that the function adds."""
    uses: list[str] = Field(default_factory=list)
    """Columns that it reads, so that derived ones among them exist before it runs."""

    @property
    def row_local(self) -> bool:
        """False: nothing is known about what the function looks at."""
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the new columns."""
        return tuple(self.adds)

    @property
    def inputs(self) -> frozenset[str]:
        """Lower-case names of the columns used."""
        return frozenset(name.lower() for name in self.uses)


def bin_sql(column: str, edges: list[float], labels: list[str]) -> str:
    """Spark SQL of the bin that ``column`` falls into."""
    values = [literal(label) for label in labels] or [str(n) for n in range(len(edges) + 1)]
    name = quoted(column)
    cases = [
        f"WHEN {name} < {literal(float(e))} THEN {v}" for e, v in zip(edges, values, strict=False)
    ]
    return f"CASE WHEN {name} IS NULL THEN NULL {' '.join(cases)} ELSE {values[-1]} END"


def derive_tag(value: Any) -> str | None:
    """Say which derivation an item is; without ``op`` it is a plain expression or a hook."""
    if isinstance(value, dict):
        return str(value.get("op", "python" if "python" in value else "expression"))
    return getattr(value, "op", None)


DeriveOp = Annotated[
    Annotated[Expression, Tag("expression")]
    | Annotated[Cyclic, Tag("cyclic")]
    | Annotated[DateParts, Tag("date_parts")]
    | Annotated[Interaction, Tag("interaction")]
    | Annotated[BinColumn, Tag("bin")]
    | Annotated[Ratio, Tag("ratio")]
    | Annotated[TextTokens, Tag("text_tokens")]
    | Annotated[Window, Tag("window")]
    | Annotated[DeriveHook, Tag("python")],
    Discriminator(derive_tag),
]
"""One derivation."""


class Population(SpecModel):
    """Which rows a prediction is made for."""

    expression: str = Field(min_length=1)
    """Spark SQL, true for the rows of the population."""
    reason: str = Field(min_length=1)
    """Why the others are left out."""


def in_dependency_order(operations: list[DeriveOp]) -> list[DeriveOp]:
    """Return the derivations so that each comes after those it uses, else in declared order.

    Raises:
        ValueError: They use each other in a circle; the message names it.
    """
    owner = {name.lower(): n for n, op in enumerate(operations) for name in op.names}
    needs = {
        # A name may also be a keyword (EXTRACT(month FROM t)): an operation never waits for itself.
        n: {owner[name] for name in op.inputs if name in owner} - {n}
        for n, op in enumerate(operations)
    }
    order: list[int] = []
    while len(order) < len(operations):
        ready = [n for n in needs if n not in order and needs[n] <= set(order)]
        if not ready:
            stuck = sorted(name for n in needs if n not in order for name in operations[n].names)
            raise ValueError(f"derived columns use each other in a circle: {', '.join(stuck)}")
        order.append(ready[0])
    return [operations[n] for n in order]
