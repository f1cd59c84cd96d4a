"""Whether clusters are the same whichever rows they were found on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.modeling.assumptions import adjusted_rand
from crisp_spark.modeling.labels import PREDICTION, score_frame
from crisp_spark.modeling.layout import sampled
from crisp_spark.modeling.metrics import collect_arrays
from crisp_spark.modeling.winner import pipeline

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.trials import FittedTrial

_MOST_ROWS = 20_000


def cluster_stability(
    rows: DataFrame,
    models: Mapping[int, tuple[Prepared, FittedTrial]],
    *,
    total: int,
    key: tuple[str, ...],
    seed: int,
) -> float | None:
    """Return how much the models of different folds agree on the same rows.

    Each model was fitted on other rows; the mean adjusted Rand index of all pairs tells whether
    they see the same clusters. None with fewer than two models.

    Args:
        rows: Training rows.
        models: Vectors and fitted stages of each fold.
        total: Number of rows.
        key: Columns that name a row.
        seed: Seed of the sample.

    Rows: at most 20,000, a hash sample. Adds: nothing. Drops: nothing. Jobs: one per fold.
    """
    if len(models) < 2:  # noqa: PLR2004
        return None
    sample = sampled(rows, min(1.0, _MOST_ROWS / max(total, 1)), key, seed + 2).persist()
    try:
        # Read from one cache without a shuffle, so rows come in the same order each time.
        clusters = [
            collect_arrays(score_frame(pipeline(*model), sample, "clustering").select(PREDICTION))[
                PREDICTION
            ].astype(np.float64)
            for model in models.values()
        ]
    finally:
        sample.unpersist()
    if not clusters[0].size:
        return None
    pairs = [adjusted_rand(a, b) for a, b in combinations(clusters, 2)]
    return round(sum(pairs) / len(pairs), 6)
