"""Metrics of a trial, exact to the row (no bins): the same definitions as in the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from crisp_spark.spec.business import OutcomeValues

Floats = NDArray[np.float64]
Metrics = dict[str, float | None]

_TINY = float(np.finfo(np.float64).eps)
_HALF = 0.5


@dataclass(frozen=True)
class Scored:
    """Scored validation rows.

    Attributes:
        label: Label; shape (rows,).
        score: Score; shape (rows,).
        prediction: Predicted label or value; shape (rows,).
        chance: Probability given to the true class (multiclass); shape (rows,).
        user: Code of the user (recommendation); shape (rows,).
        vectors: Feature vectors (clustering); shape (rows, slots).
    """

    label: Floats
    score: Floats
    prediction: Floats
    chance: Floats | None = None
    user: NDArray[np.intp] | None = None
    vectors: Floats | None = None


def collect_table(frame: DataFrame) -> pa.Table | None:
    """Bring columns to the driver as an Arrow table; None where Spark 3.5 has no rows to give.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.
    """
    import pyarrow as pa

    public: Any = getattr(frame, "toArrow", None)
    if public is not None:
        table: pa.Table = public()
        return table
    # Spark 3.5 has no public way to Arrow columns.
    batches: Any = frame._collect_as_arrow()  # type: ignore[operator]  # noqa: SLF001
    return pa.Table.from_batches(batches) if batches else None


def collect_arrays(frame: DataFrame) -> dict[str, Any]:
    """Bring columns of numbers to the driver as arrays; nulls become NaN.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.
    """
    import pyarrow as pa

    table = collect_table(frame)
    if table is None:
        return {name: np.empty(0) for name in frame.columns}
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if pa.types.is_list(column.type):
            flat = np.asarray(column.flatten(), dtype=np.float64)
            found[name] = flat.reshape(len(column), -1) if len(column) else np.empty((0, 0))
        else:
            found[name] = column.to_numpy(zero_copy_only=False)
    return found


def metrics_of(
    problem: str,
    rows: Scored,
    *,
    k: int = 10,
    relevant_from: float = 0.0,
    values: OutcomeValues | None = None,
) -> Metrics:
    """Return every metric of a problem; None where it is undefined.

    Args:
        problem: Kind of problem.
        rows: Scored rows.
        k: Length of a list (recommendation).
        relevant_from: A rating of at least this is relevant (recommendation).
        values: What outcomes are worth; without them there is no metric in money.
    """
    if problem == "clustering":
        return _clustering(rows)
    if not rows.label.size:
        return {}
    if problem == "binary":
        worth = None if values is None else best_value(rows.label, rows.score, values)
        return _finite(_binary(rows) | ({} if worth is None else {"value_per_row": worth}))
    if problem == "multiclass":
        return _finite(_multiclass(rows))
    found = _errors(rows)
    if values is not None and values.cost_per_unit_error is not None:
        found["cost_per_row"] = values.cost_per_unit_error * (found["mae"] or 0.0)
    if problem == "recommendation":
        found |= _ranking(rows, k, relevant_from)
    return _finite(found)


def _finite(found: Metrics) -> Metrics:
    return {
        name: float(value) if value is not None and isfinite(value) else None
        for name, value in found.items()
    }


def roc_auc(label: Floats, score: Floats) -> float | None:
    """Area under the ROC curve: chance that a positive scores above a negative, ties half."""
    positives = float(label.sum())
    negatives = label.size - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    # Mean rank of each distinct score, 1 first.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float((ranks[inverse.reshape(-1)] * label).sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(label: Floats, score: Floats) -> float | None:
    """Area under the precision-recall curve, without interpolation."""
    positives = float(label.sum())
    if not positives:
        return None
    _, inverse = np.unique(-score, return_inverse=True)
    inverse = inverse.reshape(-1)
    hits = np.bincount(inverse, weights=label)
    above = np.cumsum(np.bincount(inverse))
    return float((hits * np.cumsum(hits) / above).sum() / positives)


def best_value(label: Floats, score: Floats, values: OutcomeValues) -> float:
    """Money per row where alerts are given from the score on that pays best, or never."""
    order = np.unique(-score, return_inverse=True)[1].reshape(-1)
    caught = np.r_[0.0, np.cumsum(np.bincount(order, weights=label))]
    false = np.r_[0.0, np.cumsum(np.bincount(order))] - caught
    missed, left = float(label.sum()) - caught, float((1 - label).sum()) - false
    money = values.tp * caught + values.fp * false + values.fn * missed + values.tn * left
    return float(money.max() / label.size)


def _ratio(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def _binary(rows: Scored) -> Metrics:
    y, score = rows.label, np.clip(rows.score, _TINY, 1 - _TINY)
    said = rows.prediction > _HALF
    hits = float((y * said).sum())
    return {
        "pr_auc": average_precision(y, rows.score),
        "roc_auc": roc_auc(y, rows.score),
        "log_loss": float(-np.where(y > _HALF, np.log(score), np.log1p(-score)).mean()),
        "brier": float(np.square(rows.score - y).mean()),
        "f1": _ratio(2 * hits, float(y.sum() + said.sum())),
        "accuracy": float(((y > _HALF) == said).mean()),
        "precision": _ratio(hits, float(said.sum())),
        "recall": _ratio(hits, float(y.sum())),
    }


def _multiclass(rows: Scored) -> Metrics:
    shares: dict[str, list[float]] = {"precision": [], "recall": [], "f1": []}
    for index in np.union1d(rows.label, rows.prediction):
        truth, said = rows.label == index, rows.prediction == index
        hits = float((truth & said).sum())
        shares["precision"].append(_ratio(hits, float(said.sum())) or 0.0)
        shares["recall"].append(_ratio(hits, float(truth.sum())) or 0.0)
        shares["f1"].append(_ratio(2 * hits, float(truth.sum() + said.sum())) or 0.0)
    chance = rows.chance
    return {
        **{f"macro_{name}": float(np.mean(values)) for name, values in shares.items()},
        "accuracy": float((rows.label == rows.prediction).mean()),
        "log_loss": None if chance is None else float(-np.log(np.clip(chance, _TINY, 1.0)).mean()),
    }


def _errors(rows: Scored) -> Metrics:
    error = rows.prediction - rows.label
    spread = float(np.square(rows.label - rows.label.mean()).sum())
    usable = rows.label != 0
    return {
        "rmse": sqrt(float(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": 1 - float(np.square(error).sum()) / spread if spread else None,
        "mape": float(np.abs(error[usable] / rows.label[usable]).mean()) if usable.any() else None,
        "bias": float(error.mean()),
    }


def _ranks(user: NDArray[np.intp], by: Floats) -> NDArray[np.intp]:
    """Rank of each row in its user's list, 0 first, by falling ``by``; ties by row order."""
    order = np.lexsort((np.arange(by.size), -by, user))
    ordered = user[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, by.size])
    ranks = np.empty(by.size, dtype=np.intp)
    ranks[order] = np.arange(by.size) - np.repeat(starts, lengths)
    return ranks


def _shared(user: NDArray[np.intp], by: Floats, gains: Floats) -> Floats:
    """Gains, shared evenly among a user's rows of equal ``by``: their order would be chance."""
    order = np.lexsort((by, user))
    differs = (np.diff(user[order]) != 0) | (np.diff(by[order]) != 0)
    tie = np.cumsum(np.r_[0, differs])
    means = np.bincount(tie, weights=gains[order]) / np.bincount(tie)
    shared = np.empty(gains.size)
    shared[order] = means[tie]
    return shared


def _ranking(rows: Scored, k: int, relevant_from: float) -> Metrics:
    """Precision and discounted gain of each user's list, over users with a relevant row."""
    if rows.user is None:
        return {"precision_at_k": None, "ndcg_at_k": None}
    user = np.unique(rows.user, return_inverse=True)[1].reshape(-1)
    relevant = (rows.label >= relevant_from).astype(np.float64)
    judged = np.bincount(user, weights=relevant) > 0
    if not judged.any():
        return {"precision_at_k": None, "ndcg_at_k": None}
    listed = (_ranks(user, rows.score) < k).astype(np.float64)
    hits = np.bincount(user, weights=_shared(user, rows.score, relevant) * listed)
    length = np.bincount(user, weights=listed)

    def gain(by: Floats) -> Floats:
        rank = _ranks(user, by)
        gains = np.where(rank < k, _shared(user, by, relevant) / np.log2(rank + 2.0), 0.0)
        return np.bincount(user, weights=gains).astype(np.float64)

    return {
        "precision_at_k": float((hits[judged] / length[judged]).mean()),
        "ndcg_at_k": float((gain(rows.score)[judged] / gain(relevant)[judged]).mean()),
    }


def _clustering(rows: Scored) -> Metrics:
    """Silhouette with squared distances (as MLlib's, from cluster sums), and mean spread."""
    vectors = rows.vectors
    if vectors is None or not vectors.size:
        return {"silhouette": None, "within_ss": None}
    names, cluster = np.unique(rows.prediction, return_inverse=True)
    cluster = cluster.reshape(-1)
    counts = np.bincount(cluster).astype(np.float64)
    squares = np.square(vectors).sum(axis=1)
    sums = np.zeros((names.size, vectors.shape[1]))
    np.add.at(sums, cluster, vectors)
    own = np.square(vectors - (sums / counts[:, None])[cluster]).sum(axis=1)
    spread = float(own.mean())
    if names.size < 2:  # noqa: PLR2004
        return {"silhouette": None, "within_ss": spread}
    # Mean squared distance of every row to every cluster.
    mean = (
        squares[:, None]
        + (np.bincount(cluster, weights=squares) / counts)[None, :]
        - 2 * (vectors @ (sums / counts[:, None]).T)
    )
    at = np.arange(cluster.size)
    size = counts[cluster]
    inside = mean[at, cluster] * size / np.maximum(size - 1, 1)
    mean[at, cluster] = np.inf
    outside = mean.min(axis=1)
    larger = np.maximum(inside, outside)
    values = np.where(
        (size > 1) & (larger > 0), (outside - inside) / np.where(larger > 0, larger, 1), 0
    )
    return {"silhouette": float(values.mean()), "within_ss": spread}


def mean_metrics(folds: Sequence[Mapping[str, float | None]]) -> Metrics:
    """Return the mean of each metric over folds; None where a fold lacks it."""
    names = list(dict.fromkeys(name for fold in folds for name in fold))
    means: Metrics = {}
    for name in names:
        values = [fold.get(name) for fold in folds]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / len(known) if known and len(known) == len(values) else None
    return means
