"""Fitted learners that compare: clusters and recommendations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from crisp_spark.serving.batch import Arrays, Batch, Build, Floats, Layout, Spec, Stage
from crisp_spark.serving.likelihoods import mixture
from crisp_spark.serving.refusal import RowsRefusedError

_EPSILON = 2.0**-52
"""Distance from 1 to the next larger number."""
_PRECISION = 1e-6
_SPARSE = 1.5
"""A vector is kept sparse where this times its values and one is less than its length."""


def arg_max(x: Floats) -> Floats:
    """Return the place of the first largest value as Spark finds it: NaN is never larger."""
    if np.isnan(x).any():
        first = np.isnan(x[:, 0])
        found = np.where(np.isnan(x), -np.inf, x).argmax(axis=1)
        return np.asarray(np.where(first, 0, found), dtype=np.float64)
    return np.asarray(x.argmax(axis=1), dtype=np.float64)


def clusters(spec: Spec, arrays: Arrays, layout: Layout) -> Stage:
    """Return the stage that gives each vector its cluster (and the chances of a mixture)."""
    formula: Any = mixture(spec, arrays) if spec["family"] == "mixture" else None
    nearest: Any = None if formula else _nearest(spec, arrays)
    source, outputs = spec["input"], spec["outputs"]
    if formula and outputs.get("probability"):
        layout.vector(outputs["probability"], int(spec["clusters"]))
    slot = layout.value(outputs["prediction"])

    def apply(batch: Batch) -> None:
        x = batch.vector(source)
        if formula:
            chances = formula(x)
            if outputs.get("probability"):
                batch.put(outputs["probability"], chances)
            found = arg_max(chances)
        else:
            found = nearest(x)
        for row, value in zip(batch.frame.settled(), found.tolist(), strict=True):
            row[slot] = int(value)

    return apply


def _nearest(spec: Spec, arrays: Arrays) -> Callable[[Floats], Any]:
    """k-means: the nearest centre; bisecting: the nearer child, down to a leaf."""
    centers, cosine = arrays[spec["centers"]], spec["distance"] == "cosine"
    lengths = np.sqrt((centers * centers).sum(axis=1))

    def costs(x: Floats) -> tuple[Floats, Floats]:
        sizes = np.sqrt((x * x).sum(axis=1))
        if cosine:
            _refuse_without_direction(sizes)
            return 1.0 - (x @ centers.T) / sizes[:, None] / lengths, sizes
        return _squared_distances(x, sizes, centers, lengths), sizes

    if spec["family"] == "kmeans":

        def first(x: Floats) -> Any:
            found, sizes = costs(x)
            gaps = np.zeros_like(found) if cosine else (lengths - sizes[:, None]) ** 2
            return _closest(found, gaps, cosine=cosine)

        return first
    children, leaf = spec["children"], spec["leaf"]

    def descend(x: Floats) -> Any:
        # Not a number is above all numbers where the smallest is looked for.
        found = np.nan_to_num(costs(x)[0], nan=np.inf, posinf=np.finfo(np.float64).max)
        answers = []
        for row in found.tolist():
            node = 0
            while children[node]:
                node = min(children[node], key=row.__getitem__)
            answers.append(leaf[node])
        return np.array(answers)

    return descend


def _refuse_without_direction(sizes: Floats) -> None:
    pointless = np.flatnonzero(~(sizes > 0))
    if pointless.size:
        raise RowsRefusedError(
            dict.fromkeys(pointless.tolist(), "a vector without length has no direction")
        )


def _squared_distances(x: Floats, sizes: Floats, centers: Floats, lengths: Floats) -> Floats:
    """Return squared distances as Spark rounds them: far from all centres, that alone decides.

    Args:
        x: Rows by features.
        sizes: Length of each row.
        centers: Clusters by features.
        lengths: Length of each centre.
    """
    exact = np.stack([((x - center) ** 2).sum(axis=1) for center in centers], axis=1)
    # Vectors with many zeros are sparse in Spark; for them the square is taken apart.
    sparse = np.flatnonzero(_SPARSE * ((x != 0).sum(axis=1) + 1.0) < x.shape[1])
    if not sparse.size:
        return exact
    sizes = sizes[sparse]
    squares = lengths * lengths + (sizes * sizes)[:, None]
    gaps = lengths - sizes[:, None]
    crossed = x[sparse] @ centers.T
    apart = squares - 2.0 * crossed
    # Where the lengths alone say that it is precise enough, or its own size does.
    known = 2.0 * _EPSILON * squares / (gaps * gaps + _EPSILON) < _PRECISION
    floor = np.where(apart > 0, apart, np.where(np.isnan(apart), apart, 0.0))
    doubt = _EPSILON * (squares + 2.0 * np.abs(crossed)) / (floor + _EPSILON) > _PRECISION
    exact[sparse] = np.where(known, apart, np.where(doubt, exact[sparse], floor))
    return exact


def _closest(costs: Floats, gaps: Floats, *, cosine: bool) -> Any:
    """Return the first centre of least cost; one that only its length rules out is not looked at.

    Not a number is never less, so that a row whose first cost is none stays with the first centre.
    """
    best, found = costs[:, 0].copy(), np.zeros(len(costs), dtype=np.int64)
    for at in range(1, costs.shape[1]):
        nearer = costs[:, at] < best
        if not cosine:
            nearer &= gaps[:, at] < best
        best, found = np.where(nearer, costs[:, at], best), np.where(nearer, at, found)
    return found


def recommend(spec: Spec, arrays: Arrays, layout: Layout) -> Stage:
    """Products of the factors of a user and an item, in 32-bit floats; unknown ones give NaN."""
    users = {int(n): at for at, n in enumerate(arrays[spec["users"]].tolist())}
    items = {int(n): at for at, n in enumerate(arrays[spec["items"]].tolist())}
    user_factors, item_factors = arrays[spec["user_factors"]], arrays[spec["item_factors"]]
    user, item = layout.slots[spec["user"]], layout.slots[spec["item"]]
    slot = layout.value(spec["outputs"]["prediction"])

    def predict(row: list[Any]) -> float:
        first = None if row[user] is None else users.get(_whole(row[user]))
        second = None if row[item] is None else items.get(_whole(row[item]))
        if first is None or second is None:
            return math.nan
        return float(np.dot(user_factors[first], item_factors[second]))

    def apply(batch: Batch) -> None:
        for row in batch.rows:
            row[slot] = predict(row)

    return apply


def _whole(value: Any) -> int:
    return int(value) if value == value and value == int(value) else -(2**40)  # noqa: PLR0124


NEIGHBOURS: dict[str, Build] = {
    "clusters": clusters,
    "recommender": recommend,
}
