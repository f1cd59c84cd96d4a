"""Trees on binned rows that must be MLlib's, or say where that is not certain.

MLlib takes the split of the largest gain, of equal ones the first. Sums of floating point differ in
their last digits from one order of rows to another, so a split is certain where

- no other one comes within what rounding could do (``_NEAR``), or
- the others part the rows in the same way, those fitted on and those scored: which of them it is
  makes no difference to any prediction of these rows, or
- the targets are whole numbers, whose sums have no rounding: then MLlib's own formula decides.

Anything else ends the growth with :class:`DoubtError`. What is certain agrees with MLlib's
predictions to rounding, about 1e-12 of the spread of the targets.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crisp_spark.modeling.engines.kernel import Bins, Block, Floats, Grown, Limits

_NEAR, _ROUNDING, _SAME = 1e-9, 1e-12, 1e-10
"""Shares of a node's variance, of its sum of squares, and of its largest value."""
_WHOLE = 2.0**50
_EPSILON = 2.0**-52
"""Below this variance MLlib makes a leaf of a child, whatever the scale of the targets."""
_MOST_ALIKE = 64
_CELLS = 2**21
"""Values that are sorted into bins at once, and bins that are held at once."""

Ints = NDArray[np.int64]


class DoubtError(Exception):
    """Says why MLlib might have grown another tree."""


@dataclass
class Tree:
    """A tree, and what it says of the rows.

    Attributes:
        root: The tree.
        fitted: Its prediction for the rows it was grown on; shape (rows,).
        scored: The same for the rows left out.
    """

    root: Grown
    fitted: Floats
    scored: Floats


@dataclass
class _Node:
    rows: int
    total: float
    squares: float
    slot: int = -1
    cut: int = -1
    gain: float = -1.0
    children: list[_Node] = field(default_factory=list)
    parent: _Node | None = None

    @property
    def spread(self) -> float:
        """Sum of squared differences from the mean."""
        return self.squares - self.total * self.total / self.rows

    def done(self) -> Grown:
        children = tuple(child.done() for child in self.children)
        return Grown(self.rows, self.total, self.squares, self.slot, self.cut, self.gain, children)


class _Rows:
    """Rows on their way down: the number of the node each is in, -1 where that is a leaf."""

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.at = np.zeros(bins.shape[1], dtype=np.int64)
        self.said = np.empty(bins.shape[1])

    def of(self, number: int) -> Ints:
        return np.flatnonzero(self.at == number)

    def move(self, nodes: Sequence[_Node]) -> None:
        """Send rows on to the children of their nodes, numbered in turn, or to rest in a leaf."""
        live = np.flatnonzero(self.at >= 0)
        at = self.at[live]
        slots = np.array([node.slot for node in nodes], dtype=np.int64)
        inner = slots >= 0
        means = np.array([node.total / node.rows for node in nodes])
        self.said[live[~inner[at]]] = means[at[~inner[at]]]
        cuts = np.array([node.cut for node in nodes], dtype=np.int64)
        goes_right = self.bins[np.maximum(slots[at], 0), live] > cuts[at]
        first_child = 2 * (np.cumsum(inner) - 1)
        self.at[live] = np.where(inner[at], first_child[at] + goes_right, -1)


def grow(block: Block, target: Floats, limits: Limits) -> Tree:
    """Grow the tree that MLlib would grow on the same bins.

    Args:
        block: Binned rows.
        target: What its leaves are means of; shape (rows,).
        limits: Where growth ends; every split looks at all slots.

    Raises:
        DoubtError: MLlib might grow another one.

    Source of the formulas: MLlib's RandomForest (best split) and Variance.
    """
    return _Growth(block, target, limits).run()


class _Growth:
    def __init__(self, block: Block, target: Floats, limits: Limits) -> None:
        self.block, self.target, self.limits = block, target, limits
        self.fitted, self.scored = _Rows(block.bins), _Rows(block.scored_bins)
        whole = bool(np.all(target == np.floor(target)))
        self.whole = whole and float(np.dot(target, target)) < _WHOLE
        self.width = int(block.tops.max(initial=0)) + 1

    def run(self) -> Tree:
        (root,) = active = self._nodes(1)
        for _ in range(self.limits.depth):
            if not active:
                break
            active = self._level(active)
        for rows in (self.fitted, self.scored):
            rows.move(active)
        return Tree(root.done(), self.fitted.said, self.scored.said)

    def _nodes(self, count: int) -> list[_Node]:
        live = self.fitted.at >= 0
        at, values = self.fitted.at[live], self.target[live]
        sums = [
            np.bincount(at, weights=weights, minlength=count)
            for weights in (None, values, values * values)
        ]
        return [_Node(int(n), float(s), float(q)) for n, s, q in zip(*sums, strict=True)]

    def _level(self, active: list[_Node]) -> list[_Node]:
        """Split the nodes of a level and return those of the next one."""
        step = max(1, _CELLS // (len(self.block.bins) * self.width))
        for start in range(0, len(active), step):
            some = active[start : start + step]
            counts, sums = self._histograms(start, len(some))
            left, total = counts.cumsum(axis=2), sums.cumsum(axis=2)
            for place, node in enumerate(some):
                found = self._split(start + place, node, left[place], total[place])
                if found is not None:
                    node.slot, node.cut, node.gain = found
        for rows in (self.fitted, self.scored):
            rows.move(active)
        parents = [node for node in active if node.slot >= 0]
        children = self._nodes(2 * len(parents))
        for place, node in enumerate(parents):
            node.children = children[2 * place : 2 * place + 2]
            for child in node.children:
                child.parent = node
        return children

    def _histograms(self, first: int, nodes: int) -> tuple[Ints, Floats]:
        """Return rows and sums of the target by node, slot and bin."""
        live = np.flatnonzero((self.fitted.at >= first) & (self.fitted.at < first + nodes))
        at, values = self.fitted.at[live] - first, self.target[live]
        slots = len(self.block.bins)
        counts = np.empty((nodes, slots, self.width), dtype=np.int64)
        sums = np.empty((nodes, slots, self.width))
        step = max(1, _CELLS // max(live.size, 1))
        for start in range(0, slots, step):
            bins = self.block.bins[start : start + step, live]
            some = len(bins)
            cells = bins + (at * some + np.arange(some)[:, None]) * self.width
            size = nodes * some * self.width
            shape = nodes, some, self.width
            cells = cells.reshape(-1)
            weights = np.broadcast_to(values, bins.shape).reshape(-1)
            counts[:, start : start + some] = np.bincount(cells, minlength=size).reshape(shape)
            sums[:, start : start + some] = np.bincount(
                cells, weights=weights, minlength=size
            ).reshape(shape)
        return counts, sums

    def _split(
        self, number: int, node: _Node, left: Ints, total: Floats
    ) -> tuple[int, int, float] | None:
        """Return slot, last bin on the left and gain of MLlib's split; None for a leaf."""
        if self._even(number, node):
            return None
        right, least = node.rows - left, self.limits.min_rows
        allowed = (left >= least) & (right >= least)
        allowed &= np.arange(self.width) < self.block.tops[:, None]
        if not allowed.any():
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = total * total / left + (node.total - total) ** 2 / right
        scores = np.where(allowed, parts, -np.inf)
        best, base = float(scores.max()), node.total * node.total / node.rows
        reach = _NEAR * node.spread + _ROUNDING * node.squares
        near = list(zip(*np.nonzero(scores >= best - reach), strict=True))
        firsts = [
            (int(slot), int(cut))
            for slot, cut in near
            # Behind an empty bin the same rows part; MLlib takes the first of equal gains.
            if not cut or left[slot, cut] != left[slot, cut - 1] or not allowed[slot, cut - 1]
        ]
        gain = (best - base) / node.rows
        wide = reach + self._inherited(node)
        unclear = best - base <= wide or abs(gain - self.limits.min_gain) * node.rows <= wide
        if len(firsts) > _MOST_ALIKE:
            raise DoubtError("many splits are equally good")
        if len(firsts) > 1 or unclear:
            if self.whole:
                firsts, gain = self._by_formula(number, node, firsts)
            elif unclear:
                raise DoubtError("a split gains next to nothing")
            elif not self._alike(number, firsts):
                raise DoubtError("two splits are equally good")
        if self._poor(gain):
            return None
        return (*firsts[0], gain)

    def _inherited(self, node: _Node) -> float:
        """Return how far off MLlib's sum of squares may be: it takes the left from the parent's."""
        return 0.0 if self.whole or node.parent is None else _ROUNDING * node.parent.squares

    def _poor(self, gain: float) -> bool:
        return gain <= 0 or gain < self.limits.min_gain

    def _even(self, number: int, node: _Node) -> bool:
        """Say whether MLlib makes a leaf of a node because its targets are the same, or nearly."""
        room = self._inherited(node)
        if node.parent is not None and node.spread <= _EPSILON * node.rows + room:
            if node.spread < _EPSILON * node.rows - room:
                return True
            return self._same(number)
        if node.spread > _NEAR * node.squares:
            return False
        return self._same(number)

    def _same(self, number: int) -> bool:
        values = self.target[self.fitted.of(number)]
        if np.ptp(values) <= _SAME * np.abs(values).max():
            return True
        raise DoubtError("the targets of a node differ by next to nothing")

    def _alike(self, number: int, splits: list[tuple[int, int]]) -> bool:
        """Say whether splits part all rows of a node in the same way."""
        found = [(rows.bins, rows.of(number)) for rows in (self.fitted, self.scored)]

        def goes_left(slot: int, cut: int) -> NDArray[np.bool_]:
            return np.concatenate([bins[slot, own] <= cut for bins, own in found])

        first = goes_left(*splits[0])
        return all(
            np.array_equal(side, first) or np.array_equal(~side, first)
            for side in (goes_left(*split) for split in splits[1:])
        )

    def _by_formula(
        self, number: int, node: _Node, splits: list[tuple[int, int]]
    ) -> tuple[list[tuple[int, int]], float]:
        """Return the split that MLlib's formula prefers on sums without rounding, and its gain."""
        own = self.fitted.of(number)
        values, gains = self.target[own], list[tuple[float, float]]()
        for slot, cut in splits:
            chosen = values[self.block.bins[slot, own] <= cut]
            count, total = float(chosen.size), float(chosen.sum())
            squares = float(np.dot(chosen, chosen))
            sides = [
                (count, total, squares),
                (node.rows - count, node.total - total, node.squares - squares),
            ]
            gain = _gain(node, sides)
            # A place of a one-hot vector has two categories, which MLlib may have turned round.
            other = _gain(node, sides[::-1]) if self.block.tops[slot] == 1 else gain
            gains.append((gain, other))
        at = int(np.argmax([gain for gain, _ in gains]))
        lowest = min(gains[at])
        clear = all(max(each) < lowest for each in gains[:at])
        clear &= all(max(each) <= lowest for each in gains[at + 1 :])
        if not (clear or self._alike(number, splits)):
            raise DoubtError("two splits are equally good")
        tried = [gains[at]] if clear else gains
        if len({self._poor(gain) for pair in tried for gain in pair}) > 1:
            raise DoubtError("a split gains next to nothing")
        return [splits[at]], gains[at][0]


def _gain(node: _Node, sides: Sequence[tuple[float, float, float]]) -> float:
    gain = _variance(node.rows, node.total, node.squares)
    for count, total, squares in sides:
        gain -= count / node.rows * _variance(count, total, squares)
    return gain


def _variance(count: float, total: float, squares: float) -> float:
    return (squares - total * total / count) / count
