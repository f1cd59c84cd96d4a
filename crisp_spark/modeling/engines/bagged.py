"""Forests and single trees on a binned fold: MLlib's algorithm, with draws of its own.

Each tree sees every row as often as a Poisson draw says, and chooses each split from a few slots
drawn anew. Classes 0 and 1 are grown as numbers: variance is half of the Gini impurity, so the
splits are the same; sibling leaves of one class are then made one, as MLlib does. A decision tree
draws nothing and is MLlib's up to ties between equally good splits.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.modeling.engines.kernel import Block, Floats, Grower, Grown, Limits, predict
from crisp_spark.modeling.metrics import Metrics, Scored, metrics_of

if TYPE_CHECKING:
    from crisp_spark.spec.business import OutcomeValues


@dataclass(frozen=True)
class Bagging:
    """How a forest grows, and how its trees are read.

    Attributes:
        problem: binary or regression.
        trees: Number of trees.
        limits: Where each ends.
        rate: Mean number of times that a row is drawn for a tree, or the chance that it is.
        again: Whether a row may be drawn more than once.
        merge: Whether sibling leaves of one class become one.
        values: What outcomes are worth, for metrics in money.
    """

    problem: str
    trees: int
    limits: Limits
    rate: float = 1.0
    again: bool = True
    merge: bool = True
    values: OutcomeValues | None = None


@dataclass(frozen=True, order=True)
class Part:
    """A smaller forest within a forest.

    Attributes:
        trees: Its first trees.
        depth: Largest depth.
        gain: Least gain of variance.
    """

    trees: int
    depth: int
    gain: float = 0.0


@dataclass(frozen=True)
class Bagged:
    """A forest, and how good its parts are.

    Attributes:
        trees: Trees, the first one first.
        metrics: Metrics of each part on the rows left out.
    """

    trees: tuple[Grown, ...]
    metrics: dict[Part, Metrics]


def bag(block: Block, bagging: Bagging, parts: Sequence[Part]) -> Bagged:
    """Grow a forest and measure parts of it on the rows left out.

    Args:
        block: Binned rows.
        bagging: How it grows.
        parts: What is measured.

    Source of the formulas: MLlib's RandomForest, BaggedPoint and the models' votes.
    """
    all_rows = not bagging.again and bagging.rate == 1
    grower = Grower(block, bagging.limits, drawn=not all_rows)
    shapes = sorted({(part.depth, part.gain) for part in parts})
    votes = {shape: np.zeros((_width(bagging), block.scored_label.size)) for shape in shapes}
    trees, measured = list[Grown](), dict[Part, Metrics]()
    for number in range(1, bagging.trees + 1):
        counts = None if all_rows else _draw(block.label.size, bagging, number)
        if counts is not None and not counts.any():
            raise ValueError(f"no row was drawn for tree {number}")
        trees.append(grower.grow(block.label, counts))
        if not block.scored_label.size:
            continue
        for depth, gain in shapes:
            merge = bagging.merge and bagging.problem == "binary"
            tree = shortened(trees[-1], depth, gain, merge=merge)
            total = votes[depth, gain]
            total += _votes(tree, block, bagging)
            part = Part(number, depth, gain)
            if part in parts:
                measured[part] = _measure(block.scored_label, total, number, bagging)
    return Bagged(tuple(trees), measured)


def bag_and_measure(block: Block, bagging: Bagging, parts: Sequence[Part]) -> dict[Part, Metrics]:
    """Return how good parts of a forest are, without the forest."""
    return bag(block, bagging, parts).metrics


def shortened(tree: Grown, depth: int, gain: float, *, merge: bool) -> Grown:
    """Return a tree as it would have grown with a smaller depth or a larger least gain.

    Args:
        tree: The tree.
        depth: Largest depth.
        gain: Least gain of variance.
        merge: Whether sibling leaves of one class become one.
    """
    if not tree.children or not depth or tree.gain < gain:
        return tree.as_leaf()
    left, right = (shortened(child, depth - 1, gain, merge=merge) for child in tree.children)
    if merge and not left.children and not right.children and _class(left) == _class(right):
        return tree.as_leaf()
    return Grown(tree.rows, tree.total, tree.squares, tree.slot, tree.cut, tree.gain, (left, right))


def _class(leaf: Grown) -> bool:
    return leaf.total > leaf.rows - leaf.total


def _draw(rows: int, bagging: Bagging, number: int) -> Floats:
    # By number, so that the first trees do not depend on how many follow.
    chance = np.random.default_rng([bagging.limits.seed % 2**63, number])
    if bagging.again:
        return chance.poisson(bagging.rate, rows).astype(np.float64)
    return (chance.random(rows) < bagging.rate).astype(np.float64)


def _width(bagging: Bagging) -> int:
    return 2 if bagging.problem == "binary" else 1


def _votes(tree: Grown, block: Block, bagging: Bagging) -> Floats:
    if bagging.problem != "binary":
        return predict(tree, block.scored_bins)[None, :]
    against = predict(tree, block.scored_bins, lambda leaf: (leaf.rows - leaf.total) / leaf.rows)
    return np.stack([against, predict(tree, block.scored_bins)])


def _measure(label: Floats, votes: Floats, trees: int, bagging: Bagging) -> Metrics:
    if bagging.problem != "binary":
        mean = votes[0] / trees
        return metrics_of(bagging.problem, Scored(label, mean, mean), values=bagging.values)
    score, prediction = votes[1] / (votes[0] + votes[1]), (votes[1] > votes[0]).astype(np.float64)
    return metrics_of(bagging.problem, Scored(label, score, prediction), values=bagging.values)
