"""How cleaned sources become one table: joins, as-of joins and unions, one after the other."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.cleaning import CleanOp

Cardinality = Literal["one_to_one", "many_to_one", "one_to_many", "many_to_many"]
"""Rows per key, left to right."""

JoinKind = Literal["inner", "left", "outer", "semi", "anti", "cross", "asof", "union"]
"""``asof``: the last right row at or before the left row's time. ``union``: rows one below the
other."""

RECLEAN_OPS = frozenset({"fill", "flag_missing", "map", "replace", "case", "clip", "round"})
"""Cleaning operations that make sense on the nulls of a merge."""

_KEYLESS = frozenset({"cross", "union"})


class AsOf(SpecModel):
    """Times of a point-in-time join."""

    left: str
    """Time column of the left rows."""
    right: str
    """Time column of the right rows: when their values became known."""
    tolerance: str | None = None
    """Oldest right row still good, as a Spark interval: ``2 hours``. Without it any age is."""
    allow_exact: bool = True
    """A right row of the very same time counts as known."""


class MergeStep(SpecModel):
    """One join or union."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Name of the step's output; later steps take it as ``left`` or ``right``."""
    left: str
    """A source, or the id of an earlier step. Its rows are what the output is about."""
    right: str | None = None
    """A source, or the id of an earlier step."""
    inputs: list[str] = Field(default_factory=list)
    """Further inputs of a union."""
    how: JoinKind = "left"
    """Kind of join."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Left column to right column; a plain list where both have the same names."""
    asof: AsOf | None = None
    """Times of an as-of join."""
    expect: Cardinality | Literal["any"] | None = None
    """Expected cardinality; a violation stops the step. ``many_to_one`` unless stated: a join
    must not multiply rows by accident."""
    min_match: float = Field(default=0.0, ge=0.0, le=1.0)
    """Smallest share of left rows that must find a right row (0 to 1)."""
    columns: dict[str, str] | None = None
    """Right columns to take: a list, or a map from right name to new name. All but the keys
    without it."""
    prefix: str = ""
    """Put before the names of the right columns that ``columns`` does not rename."""
    distinct: bool = False
    """Union only: drop rows that are equal in every column."""
    reclean: list[CleanOp] = Field(default_factory=list)
    """Cleaning of cells that are null because this merge found nothing to put there; cells that
    were null before are not touched."""
    reason: str = ""
    """Why; shown in the report."""

    @property
    def cardinality(self) -> Cardinality | Literal["any"]:
        """Expected cardinality, defaults filled in."""
        return self.expect or ("many_to_one" if self.how in {"inner", "left", "outer"} else "any")

    @property
    def members(self) -> tuple[str, ...]:
        """Inputs of the step in order."""
        return tuple(name for name in (self.left, self.right, *self.inputs) if name)

    @field_validator("how", mode="before")
    @classmethod
    def _no_right_join(cls, how: Any) -> Any:
        if not isinstance(how, str):
            return how
        if how in {"right", "right_outer"}:
            raise ValueError("a right join is a left join the other way round: swap left and right")
        return {
            "full": "outer",
            "full_outer": "outer",
            "left_semi": "semi",
            "left_anti": "anti",
        }.get(how, how)

    @field_validator("keys", "columns", mode="before")
    @classmethod
    def _list_to_map(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: value}
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return {name: name for name in value}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> MergeStep:
        if self.right is None and not (self.how == "union" and self.inputs):
            raise ValueError("right is missing")
        if bool(self.keys) == (self.how in _KEYLESS):
            raise ValueError(f"how: {self.how} {'takes no' if self.keys else 'needs'} keys")
        if (self.asof is not None) != (self.how == "asof"):
            raise ValueError("how: asof and the block asof go together")
        if self.inputs and self.how != "union":
            raise ValueError("inputs is for a union")
        if self.reclean and self.how in {"inner", "semi", "anti", "cross"}:
            raise ValueError(f"how: {self.how} introduces no nulls, so reclean has nothing to do")
        for operation in self.reclean:
            if operation.op not in RECLEAN_OPS:
                valid = ", ".join(sorted(RECLEAN_OPS))
                raise ValueError(f"reclean cannot {operation.op!r}; valid: {valid}")
        return self


class MergeSpec(SpecModel):
    """Steps that make the merged table."""

    output_of: str | None = None
    """Step, or source, that is the merged table; the last step without it. A project with one
    source needs neither."""
    steps: list[MergeStep] = Field(default_factory=list)
    """Joins and unions in order."""

    @model_validator(mode="after")
    def _known_ids(self) -> MergeSpec:
        ids = [step.id for step in self.steps]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"ids must be unique, got {', '.join(twice)} more than once")
        for number, step in enumerate(self.steps):
            later = sorted(set(step.members) & set(ids[number:]))
            if later:
                raise ValueError(f"step {step.id!r} reads {', '.join(later)} before it exists")
        return self

    def output(self, sources: list[str], target_source: str | None = None) -> str:
        """Name of the step or source that is the merged table.

        Raises:
            ValueError: It cannot be told, or is not there.
        """
        ids = [step.id for step in self.steps]
        if self.output_of is not None:
            if self.output_of not in {*ids, *sources}:
                raise ValueError(f"no source or step {self.output_of!r}")
            return self.output_of
        if ids:
            return ids[-1]
        if len(sources) == 1:
            return sources[0]
        if target_source in sources and target_source is not None:
            return target_source
        raise ValueError("several sources and no merge steps: say output_of")
