"""How well rows sit in their clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.errors import MissingColumnsError
from crisp_spark.evaluation.collecting import Wanted, collect_table, doubles, sample_of
from crisp_spark.evaluation.estimates import Floats
from crisp_spark.evaluation.names import FEATURES, FOLD, PREDICTION
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.results.evaluate import ClusterPart

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MOST_NUMBERS = 20_000_000
_MOST_ROWS = 200_000


def silhouettes(points: Floats, cluster: NDArray[np.intp]) -> Floats:
    """Silhouette of each point with squared Euclidean distances, as MLlib defines it.

    (b - a) / max(a, b) with a the mean squared distance to the other points of the own cluster
    and b the least mean squared distance to another cluster (Rousseeuw 1987); 0 for a cluster of
    one point, and where there is only one cluster. Sums per cluster make it linear in the rows:
    the mean of |x - y|^2 over a cluster is |x|^2 - 2 x . mean(y) + mean(|y|^2).

    Args:
        points: Feature vectors; shape (rows, features).
        cluster: Cluster of each point, 0..; shape (rows,).

    Returns:
        Silhouettes between -1 and 1; shape (rows,).
    """
    count = int(cluster.max()) + 1 if cluster.size else 0
    sizes = np.bincount(cluster, minlength=count).astype(np.float64)
    sums = np.zeros((count, points.shape[1]))
    np.add.at(sums, cluster, points)
    norms = np.einsum("ij,ij->i", points, points)
    norm_sums = np.bincount(cluster, weights=norms, minlength=count)
    used = np.maximum(sizes, 1)
    mean_distance = norms[:, None] - 2 * points @ (sums / used[:, None]).T + norm_sums / used
    mean_distance[:, sizes == 0] = np.inf
    rows = np.arange(cluster.size)
    own_size = sizes[cluster]
    own = mean_distance[rows, cluster] * own_size / np.maximum(own_size - 1, 1)
    mean_distance[rows, cluster] = np.inf
    other = mean_distance.min(axis=1) if count else own
    largest = np.maximum(own, other)
    usable = (own_size > 1) & np.isfinite(other) & (largest > 0)
    found: Floats = np.zeros(cluster.size)
    found[usable] = (other[usable] - own[usable]) / largest[usable]
    return found


def squared_distances(points: Floats, cluster: NDArray[np.intp]) -> Floats:
    """Squared distance of each point to the mean of its cluster; shape (rows,)."""
    count = int(cluster.max()) + 1 if cluster.size else 0
    sums = np.zeros((count, points.shape[1]))
    np.add.at(sums, cluster, points)
    sizes = np.maximum(np.bincount(cluster, minlength=count), 1)
    away = points - (sums / sizes[:, None])[cluster]
    found: Floats = np.einsum("ij,ij->i", away, away)
    return found


def collect_clustered(frame: DataFrame, wanted: Wanted, width: int) -> ScoredRows:
    """Bring features and clusters to the driver and judge every row, within its fold if it has one.

    Cluster 0 of one fold's model is another cluster than that of the next, and in other units.

    Args:
        frame: Rows with ``features`` and ``_crisp_prediction``.
        wanted: What to bring.
        width: Length of the feature vector; wide vectors make the sample smaller.

    Rows: all, or a sample. Adds: nothing. Drops: all but features and cluster. Jobs: one.
    """
    missing = [name for name in (FEATURES, PREDICTION) if name not in frame.columns]
    if missing:
        raise MissingColumnsError(f"evaluate {wanted.split}", missing, frame.columns)
    most = min(wanted.max_rows, _MOST_ROWS, _MOST_NUMBERS // max(width, 1))
    share = most / wanted.total_rows if wanted.total_rows > most else 1.0
    part = sample_of(frame, share, wanted.key, wanted.seed)
    table = collect_table(
        part.select(
            vector_to_array(F.col(FEATURES)).alias("points"),
            F.col(PREDICTION).cast("double").alias("cluster"),
            (F.col(FOLD) if FOLD in frame.columns else F.lit(0)).cast("double").alias("fold"),
        )
    )
    flat = table.column("points").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    points: Floats = flat.astype(np.float64).reshape(table.num_rows, -1)
    prediction, fold = doubles(table, "cluster"), doubles(table, "fold")
    empty = np.empty(0, np.intp)
    order = np.lexsort((*points.T[::-1], prediction, fold)) if table.num_rows else empty
    points, prediction, fold = points[order], prediction[order], fold[order]
    cluster = prediction.astype(np.intp)
    away, near = np.zeros(fold.size), np.zeros(fold.size)
    for one in np.unique(fold):
        own = fold == one
        away[own] = squared_distances(points[own], cluster[own])
        near[own] = silhouettes(points[own], cluster[own])
    return ScoredRows(
        split=wanted.split,
        total_rows=wanted.total_rows if share < 1 else table.num_rows,
        read_rows=table.num_rows,
        label=prediction,
        score=prediction,
        prediction=prediction,
        row_loss=away,
        silhouette=near,
    )


def describe_clusters(rows: ScoredRows) -> list[ClusterPart]:
    """Size and quality of every cluster, largest first."""
    parts = []
    for cluster in np.unique(rows.prediction):
        part = rows.where(np.equal(rows.prediction, cluster))
        parts.append(
            ClusterPart(
                cluster=int(cluster),
                rows=part.labelled_rows,
                share=part.size / rows.size,
                silhouette=float(part.silhouette.mean()) if part.silhouette is not None else None,
                within_ss=float(part.row_loss.sum() * rows.weight)
                if part.row_loss is not None
                else None,
            )
        )
    return sorted(parts, key=lambda part: (-part.rows, part.cluster))
