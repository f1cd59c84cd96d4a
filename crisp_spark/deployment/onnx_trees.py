"""Trees of a portable model as one TreeEnsemble of ONNX, in doubles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.deployment.onnx_graph import Graph, as_tensor

Arrays = Mapping[str, NDArray[Any]]

_SMALLER, _MEMBER = 0, 6
"""How a node tests: ``x <= split``, ``x in set``."""


class Trees:
    """Trees of a bundle: nodes in arrays, one tree behind the other.

    Args:
        spec: Stage of the learner.
        arrays: Numbers of the bundle.
    """

    def __init__(self, spec: Mapping[str, Any], arrays: Arrays) -> None:
        at = spec["trees"]
        self.feature: NDArray[Any] = arrays[f"{at}.feature"]
        self.threshold: NDArray[Any] = arrays[f"{at}.threshold"]
        self.left, self.right = arrays[f"{at}.left"], arrays[f"{at}.right"]
        self.root: NDArray[Any] = arrays[f"{at}.root"]
        self.sets, self.side = arrays[f"{at}.sets"], arrays[f"{at}.side"]
        self._members, self._bounds = arrays[f"{at}.members"], arrays[f"{at}.bounds"]
        self.is_leaf: NDArray[np.bool_] = self.feature < 0

    def __len__(self) -> int:
        return len(self.root)

    def tree_of(self, nodes: Any) -> NDArray[np.int64]:
        """Return the tree of each node."""
        return np.asarray(np.searchsorted(self.root, nodes, side="right") - 1)

    def members(self, node: int) -> list[float]:
        """Return the categories that a node tests; empty for a node that tests a number."""
        chosen = int(self.sets[node])
        if chosen < 0:
            return []
        found: list[float] = self._members[self._bounds[chosen] : self._bounds[chosen + 1]].tolist()
        return found


@dataclass
class _Nodes:
    """Columns of the operator."""

    feature: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    mode: list[int] = field(default_factory=list)
    yes: list[int] = field(default_factory=list)
    no: list[int] = field(default_factory=list)
    members: list[float] = field(default_factory=list)

    def add(self, feature: int, split: float, yes: int, no: int) -> None:
        self.feature.append(feature)
        self.split.append(split)
        self.mode.append(_SMALLER)
        self.yes.append(yes)
        self.no.append(no)

    def add_inner(self, trees: Trees, node: int) -> None:
        yes, no = int(trees.left[node]), int(trees.right[node])
        members = trees.members(node)
        if trees.sets[node] >= 0:
            inside, outside = (yes, no) if trees.side[node] else (no, yes)
            yes, no = (inside if members else outside), outside
        self.add(int(trees.feature[node]), float(trees.threshold[node]), yes, no)
        if members:
            self.mode[-1] = _MEMBER
            self.members += [*members, math.nan]


def add_leaves(graph: Graph, trees: Trees, vector: str) -> str:
    """Add trees to a graph and return the leaf of each row in each tree, rows by trees.

    The operator gives numbers of leaves, each tree its own target: they are exact whatever it adds
    up, and what the leaves hold is added behind it in Spark's order.
    """
    leaves = np.flatnonzero(trees.is_leaf)
    inner = np.flatnonzero(~trees.is_leaf)
    place = np.empty(len(trees.feature), dtype=np.int64)
    place[leaves], place[inner] = np.arange(len(leaves)), np.arange(len(inner))
    nodes = _Nodes()
    for node in inner.tolist():
        nodes.add_inner(trees, node)
    roots = []
    for root in trees.root.tolist():
        if trees.is_leaf[root]:  # whatever is tested leads there
            nodes.add(0, 0.0, root, root)
        roots.append(len(nodes.mode) - 1 if trees.is_leaf[root] else int(place[root]))
    sets = {}
    if nodes.members:
        sets["membership_values"] = as_tensor(np.array(nodes.members))
    numbers = graph.op(
        "TreeEnsemble",
        vector,
        domain="ai.onnx.ml",
        aggregate_function=1,
        post_transform=0,
        n_targets=len(trees),
        tree_roots=roots,
        nodes_featureids=nodes.feature,
        nodes_splits=as_tensor(np.array(nodes.split)),
        nodes_modes=as_tensor(np.array(nodes.mode, dtype=np.uint8)),
        nodes_truenodeids=place[nodes.yes].tolist(),
        nodes_trueleafs=trees.is_leaf[nodes.yes].astype(int).tolist(),
        nodes_falsenodeids=place[nodes.no].tolist(),
        nodes_falseleafs=trees.is_leaf[nodes.no].astype(int).tolist(),
        leaf_targetids=trees.tree_of(leaves).tolist(),
        leaf_weights=as_tensor(leaves.astype(np.float64)),
        **sets,
    )
    return graph.cast(numbers, "INT64")
