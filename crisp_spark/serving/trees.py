"""Decision trees and their ensembles, each tree walked as Spark walks it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.batch import Arrays, Floats, Spec
from crisp_spark.serving.refusal import BundleError

_Node = Any
"""Number of a leaf, or feature, threshold, node below or inside, the other one, categories."""

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
        self._roots = self._nested({name: array.tolist() for name, array in found.items()})
        self.count = len(self._roots)

    def leaves(self, x: Floats) -> NDArray[np.int64]:
        """Return the leaf of every row in every tree: rows by trees."""
        if len(x) <= _FEW:
            found = [self.leaves_of(row) for row in x.tolist()]
            return np.array(found, dtype=np.int64).reshape(len(x), self.count)
        return self._walk_together(x)

    def _nested(self, lists: dict[str, list[Any]]) -> list[_Node]:
        """Put each node into the one above it: a walk then looks up nothing by number."""
        made: list[_Node] = list(range(len(lists["feature"])))
        for at in range(len(made) - 1, -1, -1):
            if lists["feature"][at] < 0:
                continue
            if min(lists["left"][at], lists["right"][at]) <= at:
                raise BundleError(f"bundle: node {at} of its trees leads back")
            below, rest = made[lists["left"][at]], made[lists["right"][at]]
            chosen, members = lists["sets"][at], None
            if chosen >= 0:
                members = self._sets[chosen]
                if not lists["side"][at]:
                    below, rest = rest, below
            made[at] = (lists["feature"][at], lists["threshold"][at], below, rest, members)
        return [made[root] for root in lists["root"]]

    def leaves_of(self, row: list[float]) -> list[int]:
        """Return the leaf of one row in every tree."""
        found = []
        for root in self._roots:
            node = root
            while type(node) is tuple:
                feature, threshold, below, rest, members = node
                if members is None:
                    node = below if row[feature] <= threshold else rest
                else:
                    # The smaller set of categories is tested; all others go the other way.
                    node = below if row[feature] in members else rest
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
    if not values.shape[1]:
        return np.zeros(len(values))
    # No negative zeros: a sum begins with zero.
    return np.asarray(np.add.accumulate(values, axis=1)[:, -1] + 0.0)


def regression(spec: Spec, arrays: Arrays) -> Callable[[Floats], Floats]:
    """Return the prediction of a tree, of a forest (mean) or of boosted trees (weighted sum)."""
    trees, values = Trees(spec, arrays), arrays[f"{spec['trees']}.prediction"]
    if spec.get("weights"):
        roots = arrays[f"{spec['trees']}.root"]
        of = np.searchsorted(roots, np.arange(len(values)), side="right") - 1
        values = values * arrays[spec["weights"]][of]
    elif not spec.get("mean"):
        return lambda x: np.asarray(values[trees.leaves(x)[:, 0]])
    parts, listed = float(trees.count) if spec.get("mean") else 1.0, values.tolist()

    def one(row: list[float]) -> float:
        total = 0.0
        for leaf in trees.leaves_of(row):  # in turn: newer versions of sum() correct as they go
            total += listed[leaf]
        return total / parts

    def predict(x: Floats) -> Floats:
        if len(x) <= _FEW:
            return np.array([one(row) for row in x.tolist()], dtype=np.float64)
        return summed(values[trees.leaves(x)]) / parts

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
