"""Compiled rules, sorted by how they are evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.spec import quality as q
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule


@dataclass(frozen=True, eq=False)
class RowCheck:
    """A rule about rows, as columns that are never null.

    Attributes:
        bound: The rule.
        considered: The rule's ``where`` is true.
        evaluated: The row is judged.
        fails: The row fails. Rules that compare rows leave this open: it is false.
        shown: The failing value as text.
        speaks_of: Columns whose values ``shown`` holds.
    """

    bound: BoundRule
    considered: Column
    evaluated: Column
    fails: Column
    shown: Column
    speaks_of: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TableCheck:
    """A rule about the table, as aggregates.

    Attributes:
        bound: The rule.
        observed: Aggregate: what is observed.
        holds: Aggregate: whether the rule holds; null counts as no.
    """

    bound: BoundRule
    observed: Column
    holds: Column


@dataclass(frozen=True)
class Compiled:
    """All rules of a source, sorted by how they are evaluated."""

    rows: tuple[RowCheck, ...] = ()
    keys: tuple[RowCheck, ...] = ()
    table: tuple[TableCheck, ...] = ()
    quantiles: tuple[BoundRule, ...] = ()
    distinct: tuple[BoundRule, ...] = ()
    schema: tuple[BoundRule, ...] = ()


def key_columns(names: Sequence[str]) -> list[Column]:
    """The columns of a key."""
    return [F.col(quoted(name)) for name in names]


def schema_faults(df: DataFrame, rule: q.SchemaIs) -> list[str]:
    """Compare the columns of a table with a ``schema`` rule. No job."""
    types = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    return schema_faults_of(types, rule)


def schema_faults_of(types: Mapping[str, str], rule: q.SchemaIs) -> list[str]:
    """Compare columns, given by their Spark types as texts, with a ``schema`` rule."""
    found = {name: kind for name, kind in types.items() if not name.startswith(RESERVED_PREFIX)}
    faults = [f"no column {name!r}" for name in rule.columns if name not in found]
    faults += [
        f"{name!r} is {found[name]}, not {kind}"
        for name, kind in rule.columns.items()
        if kind and name in found and found[name] != _normal(kind)
    ]
    if rule.exact:
        faults += [f"unexpected column {name!r}" for name in found if name not in rule.columns]
    shared = [name for name in found if name in rule.columns]
    wanted = [name for name in rule.columns if name in found]
    if rule.ordered and shared != wanted:
        faults.append(f"columns come as {', '.join(shared)}")
    return faults


def _normal(kind: str) -> str:
    from pydantic_core import PydanticCustomError

    from crisp_spark.spec.columntypes import normal_type

    try:
        return normal_type(kind)
    except PydanticCustomError:
        return kind
