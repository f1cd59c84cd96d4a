"""Fitted learners that compare: clusters and recommendations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from crisp_spark.serving.batch import Arrays, Batch, Build, Floats, Layout, Spec, Stage
from crisp_spark.serving.likelihoods import mixture


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
        for row, value in zip(batch.rows, found.tolist(), strict=True):
            row[slot] = int(value)

    return apply


def _nearest(spec: Spec, arrays: Arrays) -> Callable[[Floats], Any]:
    """k-means: the nearest centre; bisecting: the nearer child, down to a leaf."""
    centers, cosine = arrays[spec["centers"]], spec["distance"] == "cosine"

    def distances(x: Floats) -> Floats:
        if cosine:
            norms = np.sqrt((centers * centers).sum(axis=1))
            sizes = np.sqrt((x * x).sum(axis=1))[:, None]
            return np.asarray(1.0 - (x @ centers.T) / sizes / norms)
        return np.stack([((x - center) ** 2).sum(axis=1) for center in centers], axis=1)

    if spec["family"] == "kmeans":
        return lambda x: distances(x).argmin(axis=1)
    children, leaf = spec["children"], spec["leaf"]

    def descend(x: Floats) -> Any:
        found = distances(x)
        answers = []
        for row in found.tolist():
            node = 0
            while children[node]:
                node = min(children[node], key=row.__getitem__)
            answers.append(leaf[node])
        return np.array(answers)

    return descend


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
