"""Boosted trees on bins of one byte: MLlib's algorithm, with LightGBM looking for the splits.

MLlib's gradient boosting: the first tree is grown on the labels (-1 and 1 for classes) and counts
once, each later one on ``4y / (1 + exp(2yF))`` (classes) or ``2(y - F)`` (numbers) and counts
``stepSize`` times; splits by the gain of variance, leaves are means, growth is level by level to
``maxDepth``. Greedy growth with room for 2^depth leaves ends at the same tree. Splits are found on
float32 gradients; leaf means, gains and scores are computed here in float64.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.modeling.metrics import Metrics, Scored, metrics_of

if TYPE_CHECKING:
    from crisp_spark.spec.business import OutcomeValues

Floats = NDArray[np.float64]
Bins = NDArray[np.uint8]
MOST_BINS = 255
_CACHED_SETS = 4


@dataclass(frozen=True)
class Block:
    """Binned rows of a fold.

    Attributes:
        name: Name of the block, unique in the application.
        bins: Bin of each value; shape (slots, rows), uint8.
        label: Label; shape (rows,).
        tops: Number of the last bin of each slot; shape (slots,).
        scored_bins: The same for the rows left out; shape (slots, scored rows).
        scored_label: Label of the rows left out.
    """

    name: str
    bins: Bins
    label: Floats
    tops: NDArray[np.int64]
    scored_bins: Bins
    scored_label: Floats


@dataclass(frozen=True)
class Growth:
    """How a boosted model grows.

    Attributes:
        problem: binary or regression.
        trees: Number of trees.
        depth: Largest depth.
        step: Weight of all trees but the first.
        min_rows: Fewest rows of a child.
        min_gain: Least gain of variance.
        values: What outcomes are worth, for metrics in money.
    """

    problem: str
    trees: int
    depth: int
    step: float
    min_rows: int
    min_gain: float
    values: OutcomeValues | None = None


@dataclass(frozen=True)
class Grown:
    """A node of a tree, with its subtree.

    Attributes:
        rows: Rows of the node.
        total: Sum of their residuals.
        squares: Sum of their squared residuals.
        slot: Slot that is split; -1 in a leaf.
        cut: Last bin that goes left.
        gain: Gain of variance.
        children: Left and right child; empty in a leaf.
    """

    rows: int
    total: float
    squares: float
    slot: int = -1
    cut: int = -1
    gain: float = -1.0
    children: tuple[Grown, ...] = ()

    @property
    def mean(self) -> float:
        """Prediction."""
        return self.total / self.rows

    @property
    def impurity(self) -> float:
        """Variance of the residuals."""
        return (self.squares - self.total * self.total / self.rows) / self.rows

    def as_leaf(self) -> Grown:
        """Return the node without its subtree."""
        return Grown(self.rows, self.total, self.squares)


_SETS: dict[str, Any] = {}
"""Data sets that this worker has built: several models of a fold need the same one."""


def _fixed() -> dict[str, Any]:
    return {
        "max_bin": MOST_BINS + 1,
        "min_data_in_bin": 1,
        "feature_pre_filter": False,
        "use_missing": False,
        "enable_bundle": False,
        "force_col_wise": True,
        "bin_construct_sample_cnt": 2**31 - 1,
        "num_threads": 1,
        "verbosity": -1,
    }


def _data_set(block: Block) -> Any:
    import lightgbm

    found = _SETS.get(block.name)
    if found is None:
        while len(_SETS) >= _CACHED_SETS:
            del _SETS[next(iter(_SETS))]
        # Of equally good cuts the library keeps the highest bin, MLlib the lowest: turn them round.
        turned = (block.tops[:, None] - block.bins).astype(np.float32).T
        found = lightgbm.Dataset(turned, label=block.label, params=_fixed(), free_raw_data=True)
        found.construct()
        _SETS[block.name] = found
    return found


def first_residual(label: Floats, problem: str) -> Floats:
    """Return what the first tree is grown on."""
    return 2 * label - 1 if problem == "binary" else label


def residual(label: Floats, margin: Floats, problem: str) -> Floats:
    """Return what a later tree is grown on: minus MLlib's gradient of the loss."""
    if problem != "binary":
        return 2 * (label - margin)
    sign = 2 * label - 1
    return np.asarray(4 * sign / (1 + np.exp(2 * sign * margin)))


class Forest:
    """Grows one tree after the other on a block."""

    def __init__(self, block: Block, growth: Growth) -> None:
        """Set up the search for splits."""
        import lightgbm

        self.block, self.growth = block, growth
        self.target = first_residual(block.label, growth.problem)
        self.present = [
            np.flatnonzero(np.bincount(top - row))
            for top, row in zip(block.tops, block.bins, strict=True)
        ]
        own = {
            "objective": "none",
            "num_leaves": max(2, 2**growth.depth),
            "max_depth": growth.depth,
            "min_data_in_leaf": growth.min_rows,
            "min_sum_hessian_in_leaf": 0.0,
            "lambda_l2": 0.0,
            "learning_rate": 1.0,
            "boost_from_average": False,
        }
        self.booster = (
            lightgbm.Booster({**_fixed(), **own}, _data_set(block)) if growth.depth else None
        )

    def grow(self) -> Grown:
        """Grow the next tree on the present target."""
        rows = np.arange(self.block.label.size)
        if self.booster is None:
            return self._sums(rows)
        ones = np.ones(rows.size, dtype=np.float32)
        gradient = (-self.target).astype(np.float32)
        ended = self.booster.update(fobj=lambda *_: (gradient, ones))
        if ended:
            return self._sums(rows)
        last = self.booster.num_trees() - 1
        found = self.booster.dump_model(num_iteration=1, start_iteration=last)
        return self._node(found["tree_info"][0]["tree_structure"], rows)

    def _sums(self, rows: NDArray[np.int64]) -> Grown:
        values = self.target[rows]
        return Grown(rows.size, float(values.sum()), float(np.dot(values, values)))

    def _node(self, found: dict[str, Any], rows: NDArray[np.int64]) -> Grown:
        if "split_feature" not in found:
            return self._sums(rows)
        slot = int(found["split_feature"])
        # A threshold lies half way to the next bin that occurs.
        present = self.present[slot]
        after = present[np.searchsorted(present, found["threshold"], side="right")]
        cut = int(self.block.tops[slot] - after)
        goes_left = self.block.bins[slot, rows] <= cut
        # Turned round, the library's left is our right.
        left = self._node(found["right_child"], rows[goes_left])
        right = self._node(found["left_child"], rows[~goes_left])
        node = Grown(left.rows + right.rows, left.total + right.total, left.squares + right.squares)
        shares = left.rows / node.rows, right.rows / node.rows
        gain = node.impurity - shares[0] * left.impurity - shares[1] * right.impurity
        if gain <= 0 or gain < self.growth.min_gain:
            return node
        return Grown(node.rows, node.total, node.squares, slot, cut, gain, (left, right))


def predict(tree: Grown, bins: Bins) -> Floats:
    """Return the prediction of a tree for binned rows; shape (rows,)."""
    found = np.empty(bins.shape[1])

    def fill(node: Grown, rows: NDArray[np.int64]) -> None:
        if not node.children:
            found[rows] = node.mean
            return
        goes_left = bins[node.slot, rows] <= node.cut
        fill(node.children[0], rows[goes_left])
        fill(node.children[1], rows[~goes_left])

    fill(tree, np.arange(bins.shape[1]))
    return found


@dataclass(frozen=True)
class Boosted:
    """A boosted model and how good its prefixes are.

    Attributes:
        trees: Trees, the first one first.
        metrics: Number of trees -> metrics on the rows left out.
    """

    trees: tuple[Grown, ...]
    metrics: dict[int, Metrics]


def boost(block: Block, growth: Growth, counts: Sequence[int]) -> Boosted:
    """Grow a boosted model and measure its prefixes on the rows left out.

    Args:
        block: Binned rows.
        growth: How it grows.
        counts: Numbers of trees to measure at.

    Source of the formulas: MLlib's GradientBoostedTrees, LogLoss and SquaredError.
    """
    forest, trees = Forest(block, growth), list[Grown]()
    margin = np.zeros(block.label.size)
    scored = np.zeros(block.scored_label.size)
    measured: dict[int, Metrics] = {}
    for number in range(1, growth.trees + 1):
        tree = forest.grow()
        weight = 1.0 if number == 1 else growth.step
        trees.append(tree)
        margin += weight * predict(tree, block.bins)
        scored += weight * predict(tree, block.scored_bins)
        if number in counts and scored.size:
            measured[number] = measure(block.scored_label, scored, growth)
        forest.target = residual(block.label, margin, growth.problem)
    return Boosted(tuple(trees), measured)


def measure(label: Floats, margin: Floats, growth: Growth) -> Metrics:
    """Return the metrics of margins, as MLlib's models would score them."""
    rows = Scored(label, margin, margin)
    if growth.problem == "binary":
        score = 1 / (1 + np.exp(-2 * margin))
        rows = Scored(label, score, (margin > 0).astype(np.float64))
    return metrics_of(growth.problem, rows, values=growth.values)


def nodes_of(tree: Grown, thresholds: Sequence[Floats]) -> list[dict[str, Any]]:
    """Return a tree as MLlib saves it (see :mod:`crisp_spark.modeling.engines.nodes`).

    Args:
        tree: The tree.
        thresholds: Upper ends of the bins of each slot.
    """
    found: list[dict[str, Any]] = []

    def add(node: Grown) -> int:
        place = len(found)
        record: dict[str, Any] = {
            "id": place,
            "prediction": node.mean,
            "impurity": max(node.impurity, 0.0),
            "impurityStats": [float(node.rows), node.total, node.squares],
            "rawCount": node.rows,
            "gain": node.gain,
            "leftChild": -1,
            "rightChild": -1,
            "split": {"featureIndex": -1, "leftCategoriesOrThreshold": [], "numCategories": -1},
        }
        found.append(record)
        if node.children:
            record["split"] = {
                "featureIndex": node.slot,
                "leftCategoriesOrThreshold": [float(thresholds[node.slot][node.cut])],
                "numCategories": -1,
            }
            record["leftChild"] = add(node.children[0])
            record["rightChild"] = add(node.children[1])
        return place

    add(tree)
    return found
