"""Decision trees and their ensembles, each tree walked as Spark walks it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.batch import Arrays, Floats, Spec

_FEW = 8
"""Up to this many rows are walked one by one; more are walked together."""


class Trees:
    """Trees with their nodes in arrays, one tree behind the other.

    Args:
        spec: Names of the arrays.
        arrays: ``feature`` (-1 for a leaf), ``threshold``, ``left``, ``right``, ``root``; ``sets``
            (place in ``members``, -1 for a number), ``members`` of categories on the tested side,
            ``side`` (whether the tested side is the left one).
    """

    def __init__(self, spec: Spec, arrays: Arrays) -> None:
        names = ("feature", "threshold", "left", "right", "root", "sets", "side")
        found = {name: arrays[f"{spec['trees']}.{name}"] for name in names}
        self._arrays = found
        bounds = arrays[f"{spec['trees']}.bounds"].tolist()
        members = arrays[f"{spec['trees']}.members"].tolist()
        self._sets = [frozenset(members[low:high]) for low, high in pairwise(bounds)]
        self._lists = {name: array.tolist() for name, array in found.items()}
        self.count = len(self._lists["root"])

    def leaves(self, x: Floats) -> NDArray[np.int64]:
        """Return the leaf of every row in every tree: rows by trees."""
        if len(x) <= _FEW:
            rows = x.tolist()
            return np.array([self._walk(row) for row in rows], dtype=np.int64).reshape(
                len(rows), self.count
            )
        return self._walk_together(x)

    def _walk(self, row: list[float]) -> list[int]:
        lists = self._lists
        feature, threshold = lists["feature"], lists["threshold"]
        left, right, sets, side = lists["left"], lists["right"], lists["sets"], lists["side"]
        found = []
        for root in lists["root"]:
            node = root
            at = feature[node]
            while at >= 0:
                chosen = sets[node]
                if chosen < 0:
                    node = left[node] if row[at] <= threshold[node] else right[node]
                else:
                    # The smaller set of categories is tested; all others go the other way.
                    inside = row[at] in self._sets[chosen]
                    node = left[node] if inside == side[node] else right[node]
                at = feature[node]
            found.append(node)
        return found

    def _walk_together(self, x: Floats) -> NDArray[np.int64]:
        arrays = self._arrays
        rows = np.arange(len(x))[:, None]
        nodes = np.tile(arrays["root"], (len(x), 1)).astype(np.int64)
        while True:
            at = arrays["feature"][nodes]
            inner = at >= 0
            if not inner.any():
                return nodes
            values = x[rows, np.maximum(at, 0)]
            goes_left = values <= arrays["threshold"][nodes]
            chosen = arrays["sets"][nodes]
            if self._sets:
                for number in np.unique(chosen[inner & (chosen >= 0)]).tolist():
                    here = inner & (chosen == number)
                    inside = np.isin(values[here], list(self._sets[number]))
                    goes_left[here] = inside == arrays["side"][nodes[here]]
            following = np.where(goes_left, arrays["left"][nodes], arrays["right"][nodes])
            nodes = np.where(inner, following, nodes)


def summed(values: Floats) -> Floats:
    """Add columns from left to right, as the JVM does: NumPy's pairwise sums differ in bits."""
    total = np.zeros(len(values))
    for at in range(values.shape[1]):
        total = total + values[:, at]
    return total


def regression(spec: Spec, arrays: Arrays) -> Callable[[Floats], Floats]:
    """Return the prediction of a tree, of a forest (mean) or of boosted trees (weighted sum)."""
    trees, predictions = Trees(spec, arrays), arrays[f"{spec['trees']}.prediction"]
    weights: Any = arrays[spec["weights"]] if spec.get("weights") else None

    def predict(x: Floats) -> Floats:
        found = predictions[trees.leaves(x)]
        if weights is not None:
            return summed(found * weights)
        return summed(found) / trees.count if spec.get("mean") else found[:, 0]

    return predict


def votes(spec: Spec, arrays: Arrays) -> Callable[[Floats], Floats]:
    """Return the raw prediction by class: counts of a tree's leaf, or shares summed over trees."""
    trees, stats = Trees(spec, arrays), arrays[f"{spec['trees']}.stats"]
    if not spec.get("forest"):
        return lambda x: stats[trees.leaves(x)[:, 0]]
    totals = summed(stats)
    shares = stats / np.where(totals == 0, 1.0, totals)[:, None]

    def raw(x: Floats) -> Floats:
        leaves = trees.leaves(x)
        total = np.zeros((len(x), stats.shape[1]))
        for tree in range(trees.count):
            total = total + shares[leaves[:, tree]]
        return total

    return raw
