"""Derived columns, the target and the population: one lazy pass over the merged table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.preparation.analysis import (
    analysed,
    column,
    need_columns,
    need_new_names,
    type_of,
    user_columns,
)
from crisp_spark.preparation.hooks import call_hook, load_hook
from crisp_spark.preparation.windows import with_window
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.deriving import DeriveHook, DeriveOp, Window
from crisp_spark.spec.lineage import derivations
from crisp_spark.spec.preparation import PreparationSpec


def derive_frame(
    merged: DataFrame, spec: PreparationSpec, goal: MiningGoal, *, folder: Path | None = None
) -> DataFrame:
    """Add all derived columns and the target, then keep the population.

    Windows see all merged rows, also those outside the population: what happened to them is known.

    Args:
        merged: The merged table.
        spec: Derivations and population.
        goal: Gives the target.
        folder: Where Python hooks are looked for.

    Rows: filtered. Adds: derived columns, the target. Drops: none. Jobs: none.

    Raises:
        MissingColumnsError: A derivation names a column that is not there.
        SpecError: A derivation cannot be read, or its types do not fit.
    """
    frame = merged
    for op in derivations(spec, goal):
        frame = with_derivation(frame, op, folder=folder)
    if goal.target:
        need_columns("business.mining_goal.target", frame, [goal.target])
    return keep_population(frame, spec)


def with_derivation(frame: DataFrame, op: DeriveOp, *, folder: Path | None = None) -> DataFrame:
    """Add the columns of one derivation.

    Rows: as given. Adds: ``op.names``. Drops: none. Jobs: none.

    Raises:
        MissingColumnsError: It names a column that is not there.
        SpecError: It cannot be read, its types do not fit, or its name is taken.
    """
    place = f"preparation.derive {op.names[0]!r}"
    need_new_names(place, frame, op.names)
    if isinstance(op, Window):
        return with_window(frame, op)
    if isinstance(op, DeriveHook):
        hook = load_hook(place, op.python, folder)
        made = call_hook(place, hook, frame)
        need_columns(place, made, [*op.names, *user_columns(frame)])
        return made
    for name, sql in op.sql():
        with analysed(place, frame):
            frame = frame.withColumn(name, F.expr(sql))
    return frame


def keep_population(derived: DataFrame, spec: PreparationSpec) -> DataFrame:
    """Keep the rows that a prediction is made for.

    Rows: filtered. Adds: none. Drops: none. Jobs: none.

    Raises:
        MissingColumnsError: The condition names a column that is not there.
        SpecError: The condition cannot be read or is no condition.
    """
    if spec.population is None:
        return derived
    with analysed("preparation.population", derived):
        return derived.filter(F.expr(spec.population.expression))


def derived_metrics(derived: DataFrame, names: Sequence[str]) -> DataFrame:
    """Count and measure columns: ``rows`` and, for column number n, ``n_nulls`` and the like.

    Rows: one. Adds: measures. Drops: all others. Jobs: none.
    """
    measures: list[Column] = [F.count(F.lit(1)).alias("rows")]
    for number, name in enumerate(names):
        value, kind = column(name), type_of(derived, name)
        measures.append(F.count_if(value.isNull()).alias(f"{number}_nulls"))
        if isinstance(kind, T.ArrayType | T.MapType | T.StructType | T.BinaryType):
            continue
        text = F.substring(value.cast("string"), 1, 200)
        plain = value.cast("int") if isinstance(kind, T.BooleanType) else value
        number_like = isinstance(kind, T.NumericType | T.BooleanType)
        extreme = plain.cast("double") if number_like else text
        measures += [
            F.approx_count_distinct(value).alias(f"{number}_distinct"),
            F.min(extreme).alias(f"{number}_min"),
            F.max(extreme).alias(f"{number}_max"),
        ]
        if number_like:
            quantity = plain.cast("double")
            measures += [
                F.avg(quantity).alias(f"{number}_mean"),
                F.stddev(quantity).alias(f"{number}_std"),
            ]
    return derived.agg(*measures)


def class_counts(derived: DataFrame, target: str) -> DataFrame:
    """Count the rows of each class, most frequent first: columns ``class, rows``.

    Rows: one per class. Adds: class, rows. Drops: all others. Jobs: none.
    """
    counted = derived.groupBy(column(target).cast("string").alias("class")).agg(
        F.count(F.lit(1)).alias("rows")
    )
    return counted.orderBy(F.col("rows").desc(), "class")
