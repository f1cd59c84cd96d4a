"""Formulas of portable learners, on numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crisp_spark.serving import bundle as bundle_module
from crisp_spark.serving.batch import Batch, Layout
from crisp_spark.serving.columns import Frame
from crisp_spark.serving.learners import raw_formula, regression_formula, softmax
from crisp_spark.serving.neighbours import arg_max
from crisp_spark.serving.refusal import BundleError, RowsRefusedError
from crisp_spark.serving.trees import Trees

# Root: x0 <= 2 goes left (leaf 1), else x1 in {0, 3} of 5 goes left (leaf 3), else leaf 4.
TREE = {
    "t.feature": np.array([0, -1, 1, -1, -1], dtype=np.int32),
    "t.threshold": np.array([2.0, 0, 0, 0, 0]),
    "t.left": np.array([1, 0, 3, 0, 0], dtype=np.int32),
    "t.right": np.array([2, 0, 4, 0, 0], dtype=np.int32),
    "t.root": np.array([0], dtype=np.int32),
    "t.sets": np.array([-1, -1, 0, -1, -1], dtype=np.int32),
    "t.side": np.array([True, True, True, True, True]),
    "t.members": np.array([0.0, 3.0]),
    "t.bounds": np.array([0, 2], dtype=np.int32),
    "t.prediction": np.array([0.0, 10.0, 0.0, 20.0, 30.0]),
    "t.stats": np.array([[0.0, 0], [3, 1], [0, 0], [0, 2], [0, 0]]),
}
ROWS = np.array([[2.0, 9], [2.0 + 1e-12, 0], [5, 3], [5, 1], [5, 7], [math.nan, 0], [-math.inf, 0]])
LEAVES = [1, 3, 3, 4, 4, 3, 1]


@pytest.mark.parametrize("copies", [1, 5])
def test_a_tree_is_walked_the_same_one_by_one_and_together(copies):
    """The threshold itself goes left, NaN right, an unseen category to the untested side."""
    found = Trees({"trees": "t"}, TREE).leaves(np.tile(ROWS, (copies, 1)))
    assert found[:, 0].tolist() == LEAVES * copies


def test_a_tree_that_leads_back_to_itself_is_no_bundle():
    turned = {**TREE, "t.left": np.array([1, 0, 2, 0, 0], dtype=np.int32)}
    with pytest.raises(BundleError, match="node 2 of its trees leads back"):
        Trees({"trees": "t"}, turned)


@pytest.mark.parametrize("rows", [1, 9])
def test_sums_of_trees_are_added_in_turn_from_zero(rows):
    """Few rows are added up one by one, many together: bit by bit the same, as in the JVM."""
    values = [1e16, 1.0, -1e16, -0.0]
    forest = {
        **{name: np.tile(array[1:2], 4) for name, array in TREE.items() if array.ndim == 1},
        "t.root": np.arange(4),
        "t.members": TREE["t.members"],
        "t.bounds": TREE["t.bounds"],
        "t.prediction": np.array(values),
        "w": np.ones(4),
    }
    spec = {"family": "trees", "trees": "t"}
    asked = np.zeros((rows, 2))
    assert regression_formula({**spec, "weights": "w"}, forest)(asked).tolist() == [0.0] * rows
    turned = {**forest, "t.prediction": np.array([-0.0, -0.0, -0.0, -0.0])}
    (zero, *_) = regression_formula({**spec, "mean": True}, turned)(asked).tolist()
    assert math.copysign(1, zero) == 1


def test_the_smaller_side_of_categories_is_the_one_tested():
    turned = {**TREE, "t.side": np.array([True, True, False, True, True])}
    assert Trees({"trees": "t"}, turned).leaves(ROWS)[2:5, 0].tolist() == [4, 3, 3]


def test_trees_predict_their_leaf_their_mean_or_their_weighted_sum():
    two = {
        **{name: np.tile(array, 2) for name, array in TREE.items() if array.ndim == 1},
        "t.root": np.array([0, 5]),
        "t.left": np.concatenate([TREE["t.left"], TREE["t.left"] + 5]),
        "t.right": np.concatenate([TREE["t.right"], TREE["t.right"] + 5]),
        "t.prediction": np.concatenate([TREE["t.prediction"], TREE["t.prediction"] * 3]),
        "t.members": TREE["t.members"],
        "t.bounds": TREE["t.bounds"],
        "w": np.array([1.0, 0.1]),
    }
    spec = {"family": "trees", "trees": "t"}
    assert regression_formula(spec, TREE)(ROWS[:2]).tolist() == [10, 20]
    assert regression_formula({**spec, "mean": True}, two)(ROWS[:2]).tolist() == [20, 40]
    assert regression_formula({**spec, "weights": "w"}, two)(ROWS[:2]).tolist() == [13, 26]


def test_a_leaf_without_rows_gives_no_vote():
    raw, chances = raw_formula({"family": "votes", "trees": "t", "forest": True}, TREE)
    votes = raw(ROWS[[0, 2, 3]])
    assert votes.tolist() == [[0.75, 0.25], [0, 1], [0, 0]]
    assert chances(votes).tolist() == [[0.75, 0.25], [0, 1], [0, 0]]


def test_softmax_bears_large_and_infinite_values():
    found = softmax(np.array([[0.0, math.log(3)], [1000.0, 1000.0], [math.inf, 5.0]]))
    assert found[0] == pytest.approx([0.25, 0.75], abs=1e-15)
    assert found[1:].tolist() == [[0.5, 0.5], [1, 0]]


def test_the_largest_is_the_first_of_equals_and_never_nan():
    values = [[1.0, 1.0, 0], [0, math.nan, 2], [math.nan, 5, 6]]
    assert arg_max(np.array(values)).tolist() == [0, 2, 0]


def classify(margins, **changes):
    spec = {
        "kind": "classifier",
        "family": "logistic",
        "input": "f",
        "outputs": {"prediction": "p", "raw": "r", "probability": "c"},
        "classes": 2,
        "coefficients": "w",
        "intercept": "b",
        **changes,
    }
    layout = Layout()
    layout.vector("f", 1)
    arrays = {"w": np.array([1.0]), "b": np.array([0.0])}
    stage = bundle_module.STAGES["classifier"](spec, arrays, layout)
    batch = Batch(Frame([[None] for _ in margins]), {"f": np.array(margins, dtype=float)[:, None]})
    stage(batch)
    return [row[layout.slots["p"]] for row in batch.rows]


def test_thresholds_are_exclusive_and_their_ends_absolute():
    assert classify([-1, 0, 1e-9], threshold=0.5) == [0, 0, 1]
    assert classify([-50, 0], threshold=0.0) == [1, 1]
    assert classify([50, math.inf], threshold=1.0) == [0, 0]
    assert classify([math.log(0.3 / 0.7) + 1e-9], threshold=0.3) == [1]
    assert classify([0.1, 0.3], family="margin", threshold=0.2) == [0, 1]
    # Chances over thresholds: 0.5 / 0.6 against 0.5 / 0.4.
    assert classify([0.0], thresholds=[0.6, 0.4]) == [1]


def test_an_isotonic_line_is_level_outside_and_straight_between():
    arrays = {"x": np.array([1.0, 3.0]), "y": np.array([10.0, 20.0])}
    spec = {"family": "isotonic", "boundaries": "x", "predictions": "y", "place": 0}
    found = regression_formula(spec, arrays)(np.array([[0.0], [1], [2], [3], [9]]))
    assert found.tolist() == [10, 10, 15, 20, 20]


def stage_of(layout, **spec):
    return bundle_module.STAGES[spec["kind"]](spec, {}, layout)


def refusals(stage, rows):
    try:
        stage(Batch(Frame(rows)))
    except RowsRefusedError as error:
        return sorted(error.reasons)
    return []


@pytest.mark.parametrize(
    ("invalid", "values", "expected", "refused"),
    [
        ("keep", ["b", "z", None], [1.0, 2.0, 2.0], []),
        ("error", ["b", "z", None], [1.0, None, None], [1, 2]),
        ("skip", ["a", "z", None], [0.0, None, None], [1, 2]),
    ],
)
def test_categories_unseen_and_null(invalid, values, expected, refused):
    layout = Layout()
    layout.value("s")
    facts = {"inputs": ["s"], "outputs": ["i"], "types": ["string"], "labels": [["a", "b"]]}
    stage = stage_of(layout, kind="string_index", invalid=invalid, **facts)
    rows = [[value, None] for value in values]
    assert refusals(stage, rows) == refused
    assert [row[1] for row in rows] == expected


@pytest.mark.parametrize(
    ("invalid", "expected", "refused"),
    [
        ("keep", [None, 2.0, 0.0, 1.0, 1.0, None, None], [5, 6]),
        ("error", [None, None, 0.0, 1.0, 1.0, None, None], [1, 5, 6]),
        ("skip", [None, None, 0.0, 1.0, 1.0, None, None], [0, 1, 5, 6]),
    ],
)
def test_bins_keep_null_apart_from_nan_and_close_the_last_one(invalid, expected, refused):
    layout = Layout()
    layout.value("x")
    facts = {"inputs": ["x"], "outputs": ["b"], "splits": [["0.0", "1.0", "2.0"]]}
    stage = stage_of(layout, kind="bucketize", invalid=invalid, **facts)
    rows = [[value, None] for value in (None, math.nan, 0.0, 1.0, 2.0, 2.1, -math.inf)]
    assert refusals(stage, rows) == refused
    assert [row[1] for row in rows] == expected


def test_an_imputed_whole_number_is_cut_and_another_missing_value_leaves_nan():
    layout = Layout()
    layout.value("i")
    layout.value("x")
    facts = {"inputs": ["i", "x"], "outputs": ["j", "y"], "types": ["int", "double"]}
    stage = stage_of(layout, kind="impute", missing="-1.0", surrogates=["2.33", "2.33"], **facts)
    rows = [[None, None, 0, 0], [-1, -1.0, 0, 0], [7, math.nan, 0, 0]]
    assert refusals(stage, rows) == []
    assert [row[2:3] for row in rows] == [[2], [2], [7]]
    assert [row[3] for row in rows[:2]] == [2.33, 2.33]
    assert math.isnan(rows[2][3])


def test_terms_add_up_from_left_to_right_as_in_spark():
    """Pairs added first would give another sum where large terms cancel."""
    terms = [1e16, 1.0, -1e16, 1.0] * 4
    arrays = {"w": np.array(terms), "b": np.array([0.5])}
    expected = 0.0
    for term in terms:
        expected += term
    spec = {"family": "linear", "coefficients": "w", "intercept": "b"}
    assert regression_formula(spec, arrays)(np.ones((2, 16))).tolist() == [expected + 0.5] * 2
    arrays["v"] = np.array([[3e8], [1.0], [-3e8]] + [[0.1]] * 13)
    score, together, apart = 0.5, 0.0, 0.0
    for term in terms:
        score += term
    for (factor,) in arrays["v"].tolist():
        together, apart = together + factor, apart + factor * factor
    spec = {"family": "factors", "coefficients": "w", "intercept": "b", "factors": "v"}
    found = regression_formula(spec, arrays)(np.ones((1, 16))).tolist()
    assert found == [score + 0.5 * (together * together - apart)]
