"""Boosted trees on a binned fold: MLlib's algorithm.

The first tree is grown on the labels (-1 and 1 for classes) and counts once, each later one on
``4y / (1 + exp(2yF))`` (classes) or ``2(y - F)`` (numbers) and counts ``stepSize`` times.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.modeling.engines import proved
from crisp_spark.modeling.engines.kernel import Block, Floats, Grower, Grown, Limits, predict
from crisp_spark.modeling.engines.proved import DoubtError, Tree
from crisp_spark.modeling.metrics import Metrics, Scored, metrics_of

if TYPE_CHECKING:
    from crisp_spark.spec.business import OutcomeValues


FEW_ROWS = 5_000
"""Rows up to which certainty costs milliseconds: up to five times the tree, which is short."""


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


def first_residual(label: Floats, problem: str) -> Floats:
    """Return what the first tree is grown on."""
    return 2 * label - 1 if problem == "binary" else label


def residual(label: Floats, margin: Floats, problem: str) -> Floats:
    """Return what a later tree is grown on: minus MLlib's gradient of the loss."""
    if problem != "binary":
        return 2 * (label - margin)
    sign = 2 * label - 1
    return np.asarray(4 * sign / (1 + np.exp(2 * sign * margin)))


@dataclass(frozen=True)
class Boosted:
    """A boosted model and how good its prefixes are.

    Attributes:
        trees: Trees, the first one first.
        metrics: Number of trees -> metrics on the rows left out.
        doubt: Why there are no more trees.
    """

    trees: tuple[Grown, ...]
    metrics: dict[int, Metrics]
    doubt: str = ""


def boost(block: Block, growth: Growth, counts: Sequence[int]) -> Boosted:
    """Grow a boosted model and measure its prefixes on the rows left out.

    Few rows take :func:`boost_proved`'s trees as far as they are certain: in small nodes splits are
    nearly equal, and another choice early on can make another configuration win.

    Args:
        block: Binned rows.
        growth: How it grows.
        counts: Numbers of trees to measure at.

    Source of the formulas: MLlib's GradientBoostedTrees, LogLoss and SquaredError.
    """
    limits = Limits(growth.depth, growth.min_rows, growth.min_gain)
    grower = None if block.label.size <= FEW_ROWS else Grower(block, limits)

    def grow(target: Floats) -> Tree:
        nonlocal grower
        if grower is None:
            try:
                return proved.grow(block, target, limits)
            except DoubtError:
                grower = Grower(block, limits)
        tree = grower.grow(target)
        return Tree(tree, predict(tree, block.bins), predict(tree, block.scored_bins))

    return _boost(block, growth, counts, grow)


def boost_proved(block: Block, growth: Growth, counts: Sequence[int]) -> Boosted:
    """Grow a boosted model as far as its trees are certainly MLlib's, and measure its prefixes.

    Args:
        block: Binned rows.
        growth: How it grows.
        counts: Numbers of trees to measure at.
    """
    limits = Limits(growth.depth, growth.min_rows, growth.min_gain)
    return _boost(block, growth, counts, lambda target: proved.grow(block, target, limits))


def _boost(
    block: Block, growth: Growth, counts: Sequence[int], grow: Callable[[Floats], Tree]
) -> Boosted:
    target, trees = first_residual(block.label, growth.problem), list[Grown]()
    margin = np.zeros(block.label.size)
    scored = np.zeros(block.scored_label.size)
    measured: dict[int, Metrics] = {}
    for number in range(1, growth.trees + 1):
        try:
            tree = grow(target)
        except DoubtError as doubt:
            return Boosted(tuple(trees), measured, f"tree {number}: {doubt}")
        weight = 1.0 if number == 1 else growth.step
        trees.append(tree.root)
        margin += weight * tree.fitted
        scored += weight * tree.scored
        if number in counts and scored.size:
            measured[number] = measure(block.scored_label, scored, growth)
        target = residual(block.label, margin, growth.problem)
    return Boosted(tuple(trees), measured)


def measure(label: Floats, margin: Floats, growth: Growth) -> Metrics:
    """Return the metrics of margins, as MLlib's models would score them."""
    rows = Scored(label, margin, margin)
    if growth.problem == "binary":
        score = 1 / (1 + np.exp(-2 * margin))
        rows = Scored(label, score, (margin > 0).astype(np.float64))
    return metrics_of(growth.problem, rows, values=growth.values)
