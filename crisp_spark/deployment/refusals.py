"""Rows that an expression refuses under ANSI rules: found one by one, never the end of a batch.

Spark stops a whole job where one row divides by zero or holds a text that is no number. Before a
batch meets the pipeline, each derived column at its head is tried on every row, so that a row which
would stop the job is set aside with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import names_in

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

_DEFINED = re.compile(r"(.*?) AS `(_crisp_d\d+)`(?:, | FROM __THIS__$)", re.DOTALL)
_ALL = "SELECT *, "
_LONGEST = 120
_TRIED = "_crisp_tried"
_PLAIN = (
    T.StringType,
    T.NumericType,
    T.BooleanType,
    T.DateType,
    T.TimestampType,
    T.TimestampNTZType,
)


def attempted(sql: str) -> Column:
    """Text of an expression's value behind ``=``, ``n`` for null, and null where it raises.

    ``try_to_binary`` gives null for whatever goes wrong below it; it is the one function of both
    Spark lines that takes any expression.
    """
    shown = f"coalesce(concat('=', CAST(({sql}) AS STRING)), 'n')"
    return F.expr(f"CAST(try_to_binary({shown}, 'utf-8') AS STRING)")


def value_of(tried: str, kind: T.DataType) -> Column:
    """Read a value back from a column made by :func:`attempted`; null where it was refused."""
    text = F.col(tried)
    return F.when(text.startswith("="), F.expr(f"substring({quoted(tried)}, 2)")).cast(kind)


def derived_in(model: PipelineModel) -> list[tuple[str, str]]:
    """Name and Spark SQL of the derived columns at the head of a pipeline, in order."""
    found: list[tuple[str, str]] = []
    for stage in model.stages:
        if not isinstance(stage, SQLTransformer):
            break
        statement = stage.getStatement() or ""
        if not statement.startswith(_ALL):
            break
        found += [(name, sql) for sql, name in _DEFINED.findall(statement[len(_ALL) :])]
    return found


def with_refusals(rows: DataFrame, derived: Sequence[tuple[str, str]], reasons: str) -> DataFrame:
    """Add to the reasons of each row the derived columns that cannot be computed from it.

    Rows: as given. Adds: to ``reasons``. Drops: none. Jobs: none.
    """
    if not derived:
        return rows
    frame, opaque, refused = rows, set[str](), list[Column]()
    for number, (name, sql) in enumerate(derived):
        kind = frame.select(F.expr(sql).alias(name)).schema[name].dataType
        if names_in(sql) & opaque or not isinstance(kind, _PLAIN):
            opaque.add(name.lower())  # lists and the like: no text leads back to their values
            frame = frame.withColumn(name, F.lit(None).cast(kind))
            continue
        tried = f"{_TRIED}_{number}"
        frame = frame.withColumn(tried, attempted(sql)).withColumn(name, value_of(tried, kind))
        refused.append(F.when(F.col(tried).isNull(), F.lit(_reason(sql, derived))))
    if not refused:
        return rows
    told = F.concat(F.col(reasons), F.array_compact(F.array(*refused)))
    kept = [F.col(quoted(name)) for name in rows.columns if name != reasons]
    return frame.select(*kept, told.alias(reasons))


def _reason(sql: str, derived: Sequence[tuple[str, str]]) -> str:
    text = sql
    for name, inner in reversed(derived):
        text = text.replace(quoted(name), f"({inner})")
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"cannot be derived from this row: {shown}"
