"""Trees on bins of one byte, grown as MLlib grows them, with LightGBM looking for the splits.

MLlib's trees of numbers: splits by the gain of variance, leaves are means, growth is level by level
to ``maxDepth``. Greedy growth with room for 2^depth leaves ends at the same tree. Splits are found
on float32 sums; leaf means and gains are computed here in float64.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bins = NDArray[np.uint8]
MOST_BINS = 255
_CACHED_SETS = 4
_HALF = 0.5


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


@dataclass(frozen=True)
class Limits:
    """Where the growth of a tree ends.

    Attributes:
        depth: Largest depth.
        min_rows: Fewest rows of a child; a row drawn twice counts twice.
        min_gain: Least gain of variance.
        slots: Share of the slots that each split chooses from, drawn anew for each.
        seed: Seed of these draws.
    """

    depth: int
    min_rows: int
    min_gain: float
    slots: float = 1.0
    seed: int = 0


class Grower:
    """Grows trees on a block, one after the other.

    Args:
        block: Binned rows.
        limits: Where growth ends.
        drawn: Whether rows will count more than once, or not at all.
    """

    def __init__(self, block: Block, limits: Limits, *, drawn: bool = False) -> None:
        """Set up the search for splits."""
        import lightgbm

        self.block, self.limits = block, limits
        self.present = [
            np.flatnonzero(np.bincount(top - row))
            for top, row in zip(block.tops, block.bins, strict=True)
        ]
        own = {
            "objective": "none",
            "num_leaves": max(2, 2**limits.depth),
            "max_depth": limits.depth,
            # The library only guesses the number of rows from their weights.
            "min_data_in_leaf": 0 if drawn else limits.min_rows,
            "min_sum_hessian_in_leaf": limits.min_rows - _HALF if drawn else 0.0,
            "feature_fraction_bynode": limits.slots,
            "feature_fraction_seed": limits.seed % 2**31,
            "lambda_l2": 0.0,
            "learning_rate": 1.0,
            "boost_from_average": False,
        }
        self._booster = (
            lightgbm.Booster({**_fixed(), **own}, _data_set(block)) if limits.depth else None
        )

    def grow(self, target: Floats, counts: Floats | None = None) -> Grown:
        """Grow a tree.

        Args:
            target: What its leaves are means of; shape (rows,).
            counts: How often each row counts, whole numbers; None for once each.
        """
        rows = np.arange(target.size) if counts is None else np.flatnonzero(counts)
        node = _Sums(target, counts)
        if self._booster is None or not rows.size:
            return node.of(rows)
        times = np.ones(target.size) if counts is None else counts
        # Gains do not depend on where zero is, but float32 has few digits for what is far from it.
        middle = float(np.dot(target, times) / times.sum())
        gradient = ((middle - target) * times).astype(np.float32)
        hessian = times.astype(np.float32)
        ended = self._booster.update(fobj=lambda *_: (gradient, hessian))
        if ended:
            return node.of(rows)
        last = self._booster.num_trees() - 1
        found = self._booster.dump_model(num_iteration=1, start_iteration=last)
        return self._node(found["tree_info"][0]["tree_structure"], rows, node)

    def _node(self, found: dict[str, Any], rows: NDArray[np.int64], sums: _Sums) -> Grown:
        if "split_feature" not in found:
            return sums.of(rows)
        slot = int(found["split_feature"])
        # A threshold lies half way to the next bin that occurs.
        present = self.present[slot]
        after = present[np.searchsorted(present, found["threshold"], side="right")]
        cut = int(self.block.tops[slot] - after)
        goes_left = self.block.bins[slot, rows] <= cut
        # Turned round, the library's left is our right.
        left = self._node(found["right_child"], rows[goes_left], sums)
        right = self._node(found["left_child"], rows[~goes_left], sums)
        node = Grown(left.rows + right.rows, left.total + right.total, left.squares + right.squares)
        shares = left.rows / node.rows, right.rows / node.rows
        gain = node.impurity - shares[0] * left.impurity - shares[1] * right.impurity
        if gain <= 0 or gain < self.limits.min_gain:
            return node
        return Grown(node.rows, node.total, node.squares, slot, cut, gain, (left, right))


@dataclass(frozen=True)
class _Sums:
    target: Floats
    counts: Floats | None

    def of(self, rows: NDArray[np.int64]) -> Grown:
        values = self.target[rows]
        if self.counts is None:
            return Grown(rows.size, float(values.sum()), float(np.dot(values, values)))
        counts = self.counts[rows]
        counted = counts * values
        return Grown(int(counts.sum()), float(counted.sum()), float(np.dot(counted, values)))


def _mean(leaf: Grown) -> float:
    return leaf.mean


def predict(tree: Grown, bins: Bins, value: Callable[[Grown], float] = _mean) -> Floats:
    """Return what the leaf of each binned row says, its mean unless told otherwise; shape (rows,).

    Args:
        tree: The tree.
        bins: Binned rows; shape (slots, rows).
        value: What a leaf says.
    """
    found = np.empty(bins.shape[1])

    def fill(node: Grown, rows: NDArray[np.int64]) -> None:
        if not node.children:
            found[rows] = value(node)
            return
        goes_left = bins[node.slot, rows] <= node.cut
        fill(node.children[0], rows[goes_left])
        fill(node.children[1], rows[~goes_left])

    fill(tree, np.arange(bins.shape[1]))
    return found


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
