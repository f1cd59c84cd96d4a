"""Altered copies of a sample of rows, scored together in one job.

Permutation importance, partial dependence and robustness ask the same question: what would the
model say, had some cells another value? A copy takes cells from a donor row of the same sample,
or blanks them. Values are never typed out as literals, so columns of every type can be probed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

from crisp_spark.errors import MissingColumnsError, ModelError
from crisp_spark.evaluation.collecting import (
    collect_table,
    doubles,
    row_hash,
    sample_of,
)
from crisp_spark.evaluation.estimates import Floats
from crisp_spark.evaluation.names import LABEL, PREDICTION, SCORE
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Predict = Callable[["DataFrame"], "DataFrame"]
"""Adds ``_crisp_score`` and ``_crisp_prediction`` to rows, and keeps the other columns."""

_INDEX = "_crisp_index"
_COPY = "_crisp_copy"
_DONOR = "_crisp_donor"
_PROBE = "_crisp_probe"
_HASH = "_crisp_hash"
_MILLION = 1_000_000
_ROWS_PER_TASK = 10_000
_NOBODY = -1


@dataclass(frozen=True)
class Probe:
    """How one copy of the sample differs from the rows themselves.

    Attributes:
        target: Index of the column that is taken from the donor, -1 for none.
        offset: The donor of row i is row i + offset (round the end), ...
        donor: ... or this row for every i, unless -1.
        share: Share of all cells, chosen by hash, that are damaged.
        blank: Whether a damaged cell becomes null, or takes the donor's value.
    """

    target: int = _NOBODY
    offset: int = 0
    donor: int = _NOBODY
    share: float = 0.0
    blank: bool = False

    def sql(self, copy: int) -> str:
        """Write the probe as a Spark SQL struct."""
        share = int(self.share * _MILLION)
        return (
            f"named_struct('copy', {copy}, 'target', {self.target}, 'offset', {self.offset}, "
            f"'donor', {self.donor}, 'share', {share}, 'blank', {str(self.blank).lower()})"
        )


@dataclass(frozen=True)
class Sample:
    """A small, indexed sample of labelled rows.

    Attributes:
        frame: ``_crisp_index`` (0, 1, ... in the order of a hash), label and columns; persisted.
        columns: Columns that the model reads.
        rows: Number of rows.
        label: Label of each row; shape (rows,).
        seed: Seed of the damage.
    """

    frame: DataFrame
    columns: tuple[str, ...]
    rows: int
    label: Floats
    seed: int


@dataclass(frozen=True)
class Answered:
    """What the model says about every copy.

    Attributes:
        score: Scores; shape (copies, rows).
        prediction: Predictions; shape (copies, rows).
    """

    score: Floats
    prediction: Floats


def take_sample(
    frame: DataFrame,
    columns: Sequence[str],
    *,
    rows: int,
    total_rows: int,
    key: Sequence[str],
    seed: int,
) -> Sample:
    """Take a sample by hash and number its rows in the order of the hash.

    Rows: at most ``rows``. Adds: an index. Drops: all but the label and the columns. Jobs: one.

    Raises:
        MissingColumnsError: The model reads a column that is not there.
    """
    missing = [name for name in (*columns, LABEL) if name not in frame.columns]
    if missing:
        raise MissingColumnsError("evaluate: sample for explanations", missing, frame.columns)
    # Twice the share that is needed: hashes do not fall evenly in small tables.
    share = min(1.0, 2 * rows / max(total_rows, 1) + 100 / max(total_rows, 1))
    near = sample_of(frame.where(F.col(LABEL).isNotNull()), share, key, seed)
    hashed = near.select(
        row_hash(near, key, seed + 1).alias(_HASH), LABEL, *(F.col(quoted(c)) for c in columns)
    )
    order = Window.orderBy(_HASH, LABEL)
    numbered = hashed.withColumn(_INDEX, F.row_number().over(order) - 1).drop(_HASH)
    tasks = max(2, rows // _ROWS_PER_TASK)
    sample = numbered.where(F.col(_INDEX) < rows).repartition(tasks, _INDEX).persist()
    table = collect_table(sample.select(_INDEX, F.col(LABEL).cast("double").alias(LABEL)))
    label = np.empty(table.num_rows)
    label[table.column(_INDEX).to_numpy()] = doubles(table, LABEL)
    return Sample(sample, tuple(columns), table.num_rows, label, seed)


def altered_copies(sample: Sample, probes: Sequence[Probe]) -> DataFrame:
    """Build all copies as one frame.

    Rows: sample rows x probes. Adds: ``_crisp_copy``. Drops: the label. Jobs: none.
    """
    own = {name: f"_crisp_own_{k}" for k, name in enumerate(sample.columns)}
    lent = {name: f"_crisp_lent_{k}" for k, name in enumerate(sample.columns)}
    listed = ", ".join(probe.sql(copy) for copy, probe in enumerate(probes))
    rows = sample.frame.select(
        _INDEX,
        *(F.col(quoted(name)).alias(alias) for name, alias in own.items()),
        F.explode(F.expr(f"array({listed})")).alias(_PROBE),
    )
    tasks = min(64, max(2, sample.rows * len(probes) // _ROWS_PER_TASK))
    probe = F.col(_PROBE)
    walked = F.pmod(F.col(_INDEX) + probe["offset"], F.lit(sample.rows))
    rows = rows.withColumn(
        _DONOR, F.when(probe["donor"] >= 0, probe["donor"]).otherwise(walked)
    ).repartition(tasks, _INDEX, probe["copy"])
    donors = sample.frame.select(
        F.col(_INDEX).alias(_DONOR),
        *(F.col(quoted(name)).alias(alias) for name, alias in lent.items()),
    )
    joined = rows.join(F.broadcast(donors), on=_DONOR, how="inner")
    return joined.select(
        probe["copy"].alias(_COPY),
        _INDEX,
        *(
            _cell(k, own[name], lent[name], sample.seed).alias(name)
            for k, name in enumerate(sample.columns)
        ),
    )


def _cell(number: int, own: str, lent: str, seed: int) -> Column:
    probe = F.col(_PROBE)
    spun = F.xxhash64(F.lit(seed), F.lit(number), probe["copy"], F.col(_INDEX))
    damaged = (probe["share"] > 0) & (F.pmod(spun, F.lit(_MILLION)) < probe["share"])
    return (
        F.when(probe["target"] == number, F.col(lent))
        .when(damaged, F.when(~probe["blank"], F.col(lent)))
        .otherwise(F.col(own))
    )


def ask(sample: Sample, probes: Sequence[Probe], predict: Predict) -> Answered:
    """Score all copies and bring scores and predictions to the driver.

    Rows: sample rows x probes. Adds: nothing. Drops: nothing. Jobs: one.

    Raises:
        ModelError: The model did not answer for every row.
    """
    scored = predict(altered_copies(sample, probes))
    table = collect_table(
        scored.select(
            _COPY,
            _INDEX,
            F.col(SCORE).cast("double").alias(SCORE),
            F.col(PREDICTION).cast("double").alias(PREDICTION),
        )
    )
    wanted = len(probes) * sample.rows
    if table.num_rows != wanted:
        raise ModelError(
            f"evaluate: the model answered for {table.num_rows} of {wanted} rows",
            hint="a stage of the pipeline drops rows; handleInvalid must not be skip",
        )
    place = (table.column(_COPY).to_numpy(), table.column(_INDEX).to_numpy())
    score, prediction = (np.empty((len(probes), sample.rows)) for _ in range(2))
    score[place], prediction[place] = doubles(table, SCORE), doubles(table, PREDICTION)
    return Answered(score, prediction)
