"""The table of predictions: who they are about, what was said, what was true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crisp_spark.evaluation.names import LABEL, PREDICTION, PROBABILITIES, SCORE
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DECISION = "_crisp_decision"
SPLIT = "_crisp_split"


def prediction_table(
    frames: Mapping[str, DataFrame], columns: Sequence[str], threshold: float | None
) -> DataFrame:
    """Put the scored rows of several splits under one another.

    Args:
        frames: Name of a split -> its scored rows.
        columns: Columns to keep: the key and the slices.
        threshold: A score of at least this is an alert; None where there are no alerts.

    Rows: all. Adds: ``_crisp_split`` and ``_crisp_decision`` (null without a threshold).
    Drops: all columns but the named ones, label and scores. Jobs: none.
    """
    parts = [_part(frame, name, columns, threshold) for name, frame in frames.items()]
    return reduce(lambda above, below: above.unionByName(below), parts)


def _part(
    frame: DataFrame, split: str, columns: Sequence[str], threshold: float | None
) -> DataFrame:
    decision = F.lit(None) if threshold is None else F.col(SCORE) >= F.lit(threshold)
    kept = [name for name in dict.fromkeys(columns) if name in frame.columns]
    said = [name for name in (LABEL, SCORE, PREDICTION, PROBABILITIES) if name in frame.columns]
    return frame.select(
        *(F.col(quoted(name)) for name in [*kept, *said]),
        decision.cast("boolean").alias(DECISION),
        F.lit(split).alias(SPLIT),
    )
