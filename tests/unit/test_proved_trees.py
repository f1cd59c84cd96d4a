"""Trees that claim to be MLlib's, against exact fractions and against other orders of the rows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crisp_spark.modeling.engines import boosted
from crisp_spark.modeling.engines.boosted import Growth, boost, boost_proved
from crisp_spark.modeling.engines.kernel import Block, Grower, Limits
from crisp_spark.modeling.engines.proved import DoubtError, grow


def block_of(bins, label, scored=None):
    bins = np.asarray(bins, dtype=np.uint8)
    scored = np.asarray(scored if scored is not None else bins, dtype=np.uint8)
    tops = np.maximum(bins.max(axis=1), scored.max(axis=1)).astype(np.int64)
    label = np.asarray(label, dtype=float)
    return Block("a", bins, label, tops, scored, np.zeros(scored.shape[1]))


@st.composite
def cases(draw):
    """Rows in few bins, so that equally good splits are common."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, slots = draw(st.integers(2, 60)), draw(st.integers(1, 4))
    bins = chance.integers(0, draw(st.integers(1, 6)) + 1, (slots, rows))
    if slots > 1 and draw(st.booleans()):
        # The same numbers in other words: each split of one is a split of the other.
        bins[1] = bins[0].max() - bins[0] if draw(st.booleans()) else bins[0]
    kind = draw(st.sampled_from(["classes", "whole", "few", "any", "far"]))
    target = {
        "classes": lambda: 2.0 * chance.integers(0, 2, rows) - 1,
        "whole": lambda: chance.integers(-3, 9, rows).astype(float),
        "few": lambda: chance.choice([0.1, 0.2, 0.3], rows),
        "any": lambda: chance.normal(size=rows),
        "far": lambda: 1e6 + chance.normal(size=rows) * 1e-3,
    }[kind]()
    scored = chance.integers(0, bins.max() + 1, (slots, 20))
    limits = Limits(
        draw(st.integers(0, 4)),
        draw(st.sampled_from([1, 2, 7])),
        draw(st.sampled_from([0.0, 0.0, 0.05, 0.25])),
    )
    return block_of(bins, target, scored), limits


def certain(block, target, limits):
    try:
        return grow(block, target, limits)
    except DoubtError:
        return None


@settings(max_examples=max(300, settings().max_examples))
@given(cases())
def test_a_certain_split_is_the_best_one_in_exact_arithmetic(case):
    block, limits = case
    found = certain(block, block.label, limits)
    assume(found is not None)
    exact = [Fraction(value) for value in block.label.tolist()]
    check(found.root, list(range(block.label.size)), block, exact, limits, limits.depth)


def variance(values):
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


def check(node, rows, block, exact, limits, depth):
    own = [exact[row] for row in rows]
    assert node.rows == len(rows)
    assert node.mean == pytest.approx(float(sum(own) / len(own)), rel=1e-12, abs=1e-12)
    gains = {}
    for slot in range(len(block.bins)):
        for cut in range(int(block.tops[slot])):
            left = [exact[row] for row in rows if block.bins[slot, row] <= cut]
            right = [exact[row] for row in rows if block.bins[slot, row] > cut]
            if min(len(left), len(right)) >= limits.min_rows:
                gains[slot, cut] = variance(own) - sum(
                    Fraction(len(part), len(own)) * variance(part) for part in (left, right)
                )
    best = max(gains.values(), default=Fraction(-1))
    if not node.children:
        even = max(own) - min(own) <= Fraction(1, 10**9) * max(abs(v) for v in own)
        assert not depth or best <= 0 or even or best < limits.min_gain * (1 + 1e-12)
        return
    assert depth
    # On whole numbers MLlib's formula decides, and it may round no gain to a little.
    assert best > 0 or all(value.denominator == 1 for value in own)
    assert best >= limits.min_gain * (1 - 1e-12)
    assert gains[node.slot, node.cut] == best
    for child, goes_left in zip(node.children, (True, False), strict=True):
        part = [row for row in rows if bool(block.bins[node.slot, row] <= node.cut) == goes_left]
        check(child, part, block, exact, limits, depth - 1)


@settings(max_examples=max(300, settings().max_examples))
@given(cases(), st.integers(0, 2**32))
def test_the_order_of_the_rows_changes_no_certain_prediction(case, seed):
    block, limits = case
    order = np.random.default_rng(seed).permutation(block.label.size)
    turned = Block(
        "b",
        np.ascontiguousarray(block.bins[:, order]),
        block.label[order],
        block.tops,
        block.scored_bins,
        block.scored_label,
    )
    one, other = (certain(each, each.label, limits) for each in (block, turned))
    assume(one is not None and other is not None)
    scale = max(1.0, float(np.abs(block.label).max()))
    assert other.scored == pytest.approx(one.scored, abs=1e-9 * scale)
    assert other.fitted == pytest.approx(one.fitted[order], abs=1e-9 * scale)


def test_two_slots_that_part_the_rows_alike_are_no_doubt_unless_scored_rows_differ():
    low, high = [0, 0, 1, 1], [1, 1, 0, 0]
    target = np.array([0.1, 0.2, 1.7, 1.9])
    sure = grow(block_of([low, high], target), target, Limits(1, 1, 0.0))
    assert sure.root.slot == 0
    apart = block_of([low, high], target, scored=[[0], [0]])
    with pytest.raises(DoubtError, match="equally good"):
        grow(apart, target, Limits(1, 1, 0.0))
    # Whole numbers are added without rounding: of equal gains the first slot's counts.
    whole = np.array([0.0, 0.0, 2.0, 2.0])
    assert grow(apart, whole, Limits(1, 1, 0.0)).root.slot == 0


def test_an_empty_bin_between_two_cuts_is_no_doubt():
    target = np.array([0.1, 0.2, 1.7, 1.9])
    found = grow(block_of([[0, 0, 3, 3]], target), target, Limits(1, 1, 0.0))
    assert (found.root.slot, found.root.cut) == (0, 0)


def test_a_split_that_gains_next_to_nothing_is_a_doubt():
    target = np.array([0.1, 0.7, 0.1, 0.7])
    with pytest.raises(DoubtError, match="next to nothing"):
        grow(block_of([[0, 0, 1, 1]], target), target, Limits(1, 1, 0.0))
    assert (
        not grow(block_of([[0, 0, 1, 1]], target), np.ones(4) / 3, Limits(1, 1, 0.0)).root.slot > 0
    )


def smooth(rows, scale=1.0):
    chance = np.random.default_rng(9)
    bins = chance.integers(0, 16, (3, rows))
    pull = bins[0] + bins[1] / 3 + chance.normal(size=rows)
    return bins, scale * pull


def test_children_of_less_variance_than_mllib_cares_for_are_leaves():
    bins, target = smooth(400, scale=1e-9)
    root = grow(block_of(bins, target), target, Limits(4, 1, 0.0)).root
    assert root.children
    assert not any(child.children for child in root.children)
    assert (
        grow(block_of(bins, 1e9 * target), 1e9 * target, Limits(2, 9, 0.0))
        .root.children[0]
        .children
    )


def test_what_a_large_neighbour_leaves_of_the_digits_is_a_doubt():
    bins, target = smooth(600)
    far = bins[2] == 0
    target[far] = 1e9 * (1 + np.random.default_rng(2).random(far.sum()))
    with pytest.raises(DoubtError):
        grow(block_of(bins, target), target, Limits(5, 10, 0.0))


def test_splits_by_the_library_do_not_depend_on_where_zero_is():
    bins, target = smooth(400)
    limits = Limits(3, 10, 0.0)
    found = [
        Grower(replace(block_of(bins, target), name=str(away)), limits).grow(target + away)
        for away in (0.0, 2.0**24)
    ]
    assert shape_of(found[0]) == shape_of(found[1])


def shape_of(node):
    return node.rows, node.slot, node.cut, [shape_of(child) for child in node.children]


def test_boosting_ends_where_doubt_begins_and_says_so():
    chance = np.random.default_rng(4)
    bins, label = chance.integers(0, 8, (3, 90)), chance.integers(0, 2, 90)
    block = block_of(bins, label, chance.integers(0, 8, (3, 30)))
    found = boost_proved(block, Growth("binary", 30, 4, 0.1, 1, 0.0), range(1, 31))
    assert found.doubt.startswith(f"tree {len(found.trees) + 1}: ")
    assert sorted(found.metrics) == list(range(1, len(found.trees) + 1))
    found = boost_proved(block, Growth("binary", 3, 2, 0.1, 15, 0.0), [3])
    assert (found.doubt, len(found.trees), list(found.metrics)) == ("", 3, [3])


def test_fast_boosting_of_few_rows_goes_on_where_certainty_ends(monkeypatch):
    chance = np.random.default_rng(4)
    bins, label = chance.integers(0, 8, (3, 90)), chance.integers(0, 2, 90)
    block = block_of(bins, label, chance.integers(0, 8, (3, 30)))
    growth, every = Growth("binary", 30, 4, 0.1, 1, 0.0), range(1, 31)
    sure, found = boost_proved(block, growth, every), boost(block, growth, every)
    assert 0 < len(sure.trees) < 30
    assert (len(found.trees), found.doubt) == (30, "")
    assert [shape_of(tree) for tree in found.trees[: len(sure.trees)]] == [
        shape_of(tree) for tree in sure.trees
    ]
    assert {at: found.metrics[at] for at in sure.metrics} == sure.metrics
    monkeypatch.setattr(boosted, "FEW_ROWS", 89)
    monkeypatch.setattr(boosted.proved, "grow", lambda *_: pytest.fail("too many rows for this"))
    assert len(boost(block, growth, every).trees) == 30
