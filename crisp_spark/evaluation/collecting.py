"""Scored Spark rows -> arrays on the driver: one job per split, bounded, in a canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import MissingColumnsError
from crisp_spark.evaluation.estimates import Floats
from crisp_spark.evaluation.names import (
    BASELINE,
    FOLD,
    IN_USE,
    LABEL,
    PREDICTION,
    PROBABILITIES,
    SCORE,
)
from crisp_spark.evaluation.rows import ScoredRows, SliceColumn
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

_MILLION = 1_000_000
_SMALLEST_PROBABILITY = 2.220446049250313e-16


@dataclass(frozen=True)
class Wanted:
    """What to bring to the driver.

    Attributes:
        split: Name of the split.
        total_rows: Its rows, known without a job.
        problem: Problem type.
        slices: Columns by which rows are sliced.
        key: Columns that name a row; they decide which rows are sampled.
        seed: Seed of the sample.
        max_rows: Most rows brought.
        user: Column of the user (recommendation).
    """

    split: str
    total_rows: int
    problem: str
    slices: Sequence[str] = ()
    key: Sequence[str] = ()
    seed: int = 42
    max_rows: int = _MILLION
    user: str | None = None


def row_hash(frame: DataFrame, key: Sequence[str], seed: int) -> Column:
    """Hash of a row's key (of the whole row, without one), the same on every layout."""
    names = list(key) or [name for name, kind in frame.dtypes if not kind.startswith("map")]
    return F.xxhash64(F.lit(seed), *(F.col(quoted(name)) for name in names))


def sample_of(frame: DataFrame, share: float, key: Sequence[str], seed: int) -> DataFrame:
    """Keep a share of the rows, chosen by hash.

    Rows: about ``share`` of them. Adds: nothing. Drops: nothing. Jobs: none.
    """
    if share >= 1:
        return frame
    bucket = F.pmod(row_hash(frame, key, seed), F.lit(_MILLION))
    return frame.where(bucket < F.lit(int(share * _MILLION)))


def kind_of(kind: T.DataType) -> str | None:
    """How a column can cut rows: ``number``, ``text``, or None for not at all."""
    if isinstance(kind, T.NumericType):
        return "number"
    if isinstance(kind, T.StringType | T.BooleanType | T.DateType):
        return "text"
    return None


def collect_table(frame: DataFrame) -> pa.Table:
    """Bring a small frame to the driver as Arrow columns, on both Spark lines.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    whole: Any = frame
    if hasattr(whole, "toArrow"):
        return whole.toArrow()
    batches = whole._collect_as_arrow()  # noqa: SLF001 - Spark 3.5 has no public way
    return pa.Table.from_batches(batches, schema=to_arrow_schema(frame.schema))


def doubles(table: pa.Table, name: str) -> Floats:
    """Return a column as doubles, NaN for null; shape (rows,)."""
    found: Floats = table.column(name).to_numpy().astype(np.float64)
    return found


def texts(table: pa.Table, name: str) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return a column as codes (-1 for null; shape (rows,)) and its distinct texts, sorted."""
    coded = table.column(name).combine_chunks().dictionary_encode()
    values = [str(value) for value in coded.dictionary.to_pylist()]
    order = sorted(range(len(values)), key=values.__getitem__)
    place = np.full(len(values) + 1, -1, dtype=np.intp)
    place[order] = np.arange(len(values))
    indices = coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    codes: NDArray[np.intp] = place[indices]
    return codes, tuple(values[index] for index in order)


def _expressions(frame: DataFrame, wanted: Wanted) -> list[Column]:
    missing = [name for name in (LABEL, SCORE, PREDICTION) if name not in frame.columns]
    if missing:
        raise MissingColumnsError(f"evaluate {wanted.split}", missing, frame.columns)
    picked = [
        F.col(name).cast("double").alias(name)
        for name in frame.columns
        if name in {LABEL, SCORE, PREDICTION} or name.startswith(BASELINE)
    ]
    if wanted.problem == "multiclass" and PROBABILITIES in frame.columns:
        own = F.element_at(PROBABILITIES, F.col(LABEL).cast("int") + 1)
        picked.append((-F.log(F.greatest(own, F.lit(_SMALLEST_PROBABILITY)))).alias("loss"))
    if wanted.user is not None:
        user = F.col(quoted(wanted.user)).cast("string")
        # Each fold has a list of its own: in one list, a user's rows would be ranked by two models.
        lists = [F.col(FOLD).cast("string")] if FOLD in frame.columns else []
        picked.append(F.when(user.isNotNull(), F.concat_ws("/", *lists, user)).alias("user"))
    for number, name in enumerate(wanted.slices):
        kind = kind_of(frame.schema[name].dataType) if name in frame.columns else None
        if kind is not None:
            as_type = "double" if kind == "number" else "string"
            picked.append(F.col(quoted(name)).cast(as_type).alias(f"slice_{number}"))
    return picked


def collect_rows(frame: DataFrame, wanted: Wanted) -> ScoredRows:
    """Bring label, score, prediction, baselines and slice columns of a split to the driver.

    Rows without a label are counted and left behind. Beyond ``max_rows`` a sample by hash stands
    for all rows. The order is canonical: sorted by everything that was brought, so that no figure
    depends on partitions.

    Rows: all, or a sample. Adds: nothing. Drops: all but the named columns. Jobs: one.
    """
    share = wanted.max_rows / wanted.total_rows if wanted.total_rows > wanted.max_rows else 1.0
    part = sample_of(frame, share, wanted.key, wanted.seed)
    table = collect_table(part.select(*_expressions(frame, wanted)))
    columns = {
        name: _slice_column(table, f"slice_{number}", name)
        for number, name in enumerate(wanted.slices)
        if f"slice_{number}" in table.column_names
    }
    user = texts(table, "user")[0] if wanted.user is not None else None
    rows = ScoredRows(
        split=wanted.split,
        total_rows=wanted.total_rows if share < 1 else table.num_rows,
        read_rows=table.num_rows,
        label=doubles(table, LABEL),
        score=doubles(table, SCORE),
        prediction=doubles(table, PREDICTION),
        row_loss=doubles(table, "loss") if "loss" in table.column_names else None,
        user=user,
        baselines={
            name.removeprefix(BASELINE): doubles(table, name)
            for name in sorted(table.column_names)
            if name.startswith(BASELINE)
        },
        columns=columns,
    )
    return canonical(rows)


def _slice_column(table: pa.Table, alias: str, name: str) -> SliceColumn:
    import pyarrow as pa

    if pa.types.is_floating(table.schema.field(alias).type):
        return SliceColumn(name, np.empty(0, dtype=np.intp), (), doubles(table, alias))
    codes, names = texts(table, alias)
    return SliceColumn(name, codes, names)


def canonical(rows: ScoredRows) -> ScoredRows:
    """Keep labelled, scored rows and sort them by all they hold."""
    usable = np.flatnonzero(~np.isnan(rows.label) & ~np.isnan(rows.score))
    kept = rows.take(usable)
    baselines = [values for name, values in kept.baselines.items() if name != IN_USE]
    by: list[Any] = [kept.score, kept.label, kept.prediction, *baselines]
    if kept.user is not None:
        by.append(kept.user)
    by += [c.codes if c.numbers is None else c.numbers for c in kept.columns.values()]
    return kept.take(np.lexsort(by[::-1]))


def with_exact_counts(rows: ScoredRows, frame: DataFrame, threshold: float) -> ScoredRows:
    """Count the four outcomes in Spark where only a sample of the rows was read.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: none, or one for a sampled split.
    """
    if rows.read_rows >= rows.total_rows:
        return rows
    known = F.col(LABEL).isNotNull() & F.col(SCORE).isNotNull()
    positive, alert = F.col(LABEL) > F.lit(0.5), F.col(SCORE) >= F.lit(threshold)
    found = frame.where(known).agg(
        F.count_if(positive & alert).alias("tp"),
        F.count_if(~positive & alert).alias("fp"),
        F.count_if(positive & ~alert).alias("fn"),
        F.count_if(~positive & ~alert).alias("tn"),
    )
    first = found.collect()[0]
    return replace(rows, counts=(first["tp"], first["fp"], first["fn"], first["tn"]))
