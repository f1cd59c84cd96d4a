"""The guard against leaks: a single feature that tells almost everything is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.modeling.labels import LABEL
from crisp_spark.modeling.layout import HASH_RANGE
from crisp_spark.modeling.metrics import Floats, collect_arrays, roc_auc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.fitting import Feature

_MOST_CELLS = 4_000_000
_MOST_ROWS = 20_000
_MOST_SLOTS = 400
_BINS = 20
_STRONG = 0.9


@dataclass(frozen=True)
class VectorSample:
    """A sample of the training vectors (target encodings out of fold).

    Attributes:
        label: Label; shape (rows,).
        cells: Values; shape (rows, places).
        places: Places of the vector that were looked at.
    """

    label: Floats
    cells: Floats
    places: tuple[int, ...]


def sample_vectors(
    train: DataFrame, features: Sequence[Feature], *, problem: str, rows: int
) -> VectorSample | None:
    """Return a sample of the training vectors; None where there are none to judge.

    Args:
        train: Training vectors (``features``) with their label.
        features: Features in the order of the vector.
        problem: Kind of problem.
        rows: Training rows.

    Rows: a sample. Adds: nothing. Drops: nothing. Jobs: one.
    """
    width = sum(feature.width for feature in features)
    if problem in ("clustering", "recommendation") or not rows or width == 0:
        return None
    places = _places(features)
    wanted = min(_MOST_ROWS, max(_MOST_CELLS // max(len(places), 1), 1000))
    vector = vector_to_array(F.col("features"))
    cells = F.array(*(vector[at] for at in places)) if len(places) < width else vector
    drawn = F.pmod(F.xxhash64(vector, F.col(LABEL)), F.lit(HASH_RANGE))
    sample = train if rows <= wanted else train.where(drawn < int(wanted / rows * HASH_RANGE))
    arrays = collect_arrays(sample.select(F.col(LABEL), cells.alias("x")))
    label = np.asarray(arrays[LABEL], dtype=np.float64)
    return VectorSample(label, arrays["x"], tuple(places)) if label.size else None


def leakage_warnings(
    sample: VectorSample | None, features: Sequence[Feature], *, problem: str, limit: float
) -> list[str]:
    """Name features that alone predict the target too well to be true.

    Judged by AUC for classes, by the share of the variance explained for numbers.

    Args:
        sample: Sampled training vectors.
        features: Features in the order of the vector.
        problem: Kind of problem.
        limit: Strength from which a feature is named as a leak.
    """
    if sample is None:
        return []
    strengths = _strengths(sample.cells, sample.label, problem)
    return _named(features, dict(enumerate(sample.places)), strengths, limit)


def _places(features: Sequence[Feature]) -> list[int]:
    """Places worth a look: not the buckets of hashed vectors, which are many and weak."""
    found, start = list[int](), 0
    for feature in features:
        if feature.origin not in ("hashing", "text"):
            found.extend(range(start, start + feature.width))
        start += feature.width
    return found[:_MOST_SLOTS]


def _strengths(cells: Any, label: Floats, problem: str) -> list[float]:
    if problem == "regression":
        return [_explained(cells[:, at], label) for at in range(cells.shape[1])]
    shares = [(value, float((label == value).mean())) for value in np.unique(label)]
    if problem == "binary":
        shares = [(1.0, 1.0)]
    found = []
    for at in range(cells.shape[1]):
        total = 0.0
        for value, share in shares:
            area = roc_auc((label == value).astype(np.float64), cells[:, at])
            total += share * (max(area, 1 - area) if area is not None else 0.5)
        found.append(total)
    return found


def _explained(x: Floats, y: Floats) -> float:
    """Share of the variance explained by a straight line, or by the means of twenty bins."""
    spread = float(np.square(y - y.mean()).sum())
    if not spread or float(x.min()) == float(x.max()):
        return 0.0
    straight = float(np.corrcoef(x, y)[0, 1]) ** 2
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, x, side="right")
    sums, counts = np.bincount(bins, weights=y), np.bincount(bins)
    means = sums / np.maximum(counts, 1)
    stepwise = 1 - float(np.square(y - means[bins]).sum()) / spread
    return max(straight, stepwise)


def _named(
    features: Sequence[Feature], places: dict[int, int], strengths: Sequence[float], limit: float
) -> list[str]:
    by_slot = {places[at]: strength for at, strength in enumerate(strengths)}
    found, start = [], 0
    for feature in features:
        inside = [by_slot.get(start + at, 0.0) for at in range(feature.width)]
        start += feature.width
        best = max(inside, default=0.0)
        sources = ", ".join(feature.sources)
        if best >= limit:
            found.append(
                f"leak suspect: {feature.name!r} (from {sources}) alone reaches {best:.3f}; "
                "is it known at the moment of prediction?"
            )
        elif best >= _STRONG:
            found.append(
                f"unusually strong: {feature.name!r} (from {sources}) alone reaches {best:.3f}; "
                "check that it is known at the moment of prediction"
            )
    return found
