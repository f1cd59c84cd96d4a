"""Steps of a Gaussian mixture, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from crisp_spark.errors import ModelError
from crisp_spark.modeling.mixture_steps import Components, Densities, cut, fit_mixture, join

FLAGS = np.eye(3)[np.arange(20) % 3]


def fitted(rows, components, seed, most=100):
    drawn = rows[np.random.default_rng(seed).integers(0, len(rows), 5 * components)]
    start = Components.start(drawn, components)
    return fit_mixture(start, lambda d: d.sums(rows), most=most, tolerance=0.01)


def test_one_component_is_mean_and_covariance():
    rows = np.random.default_rng(1).normal(size=(50, 2)) @ np.array([[1.0, 0.5], [0.0, 2.0]])
    found = fitted(rows, 1, 1)
    assert found.weights == pytest.approx([1.0])
    assert found.means[0] == pytest.approx(rows.mean(axis=0))
    assert found.covariances[0] == pytest.approx(np.cov(rows.T, bias=True))


def test_pieces_of_rows_add_up(monkeypatch):
    rows = np.random.default_rng(1).normal(size=(100, 2))
    whole = Densities.of(Components.start(rows[:10], 2)).sums(rows)
    monkeypatch.setattr("crisp_spark.modeling.mixture_steps._CELLS", 14)
    pieces = Densities.of(Components.start(rows[:10], 2)).sums(rows)
    assert pieces.likelihood == pytest.approx(whole.likelihood)
    assert pieces.squares == pytest.approx(whole.squares)
    weights, means, squares = cut(join(whole.weights, whole.means, whole.squares), 2, 2)
    assert (weights == whole.weights).all()
    assert (means == whole.means).all()
    assert (squares == whole.squares).all()


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_component_of_equal_rows_is_named(seed):
    with pytest.raises(
        ModelError, match=r"component \d of 4 has shrunk to rows that are all alike"
    ):
        fitted(FLAGS, 4, seed)


def test_a_start_of_equal_rows_recovers():
    """A covariance of zeros is a flat density to MLlib, and so the next step is an ordinary one."""
    random = np.random.default_rng(4)
    rows = np.concatenate([np.zeros((40, 2)), random.normal(size=(60, 2))])
    drawn = np.concatenate([np.zeros((5, 2)), rows[50:55]])
    found = fit_mixture(Components.start(drawn, 2), lambda d: d.sums(rows), most=4, tolerance=0.01)
    assert np.isfinite(found.covariances).all()
    assert found.weights.min() > 0.1


def test_many_narrow_features_are_no_fault():
    """The density at the mean alone is far beyond any number; at the rows it isn't."""
    rows = np.random.default_rng(1).normal(scale=0.02, size=(500, 200))
    found = fitted(rows, 1, 1)
    assert max(Densities.of(found).peaks) > 500
    assert found.covariances[0] == pytest.approx(np.cov(rows.T, bias=True), abs=1e-12)


def test_covariances_are_symmetric_to_the_last_digit():
    rows = 68_000 + np.random.default_rng(1).normal(size=(300, 3))
    found = fitted(rows, 2, 1, most=3)
    assert (found.covariances == found.covariances.transpose(0, 2, 1)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_number_is_named(value):
    rows = np.random.default_rng(1).normal(size=(50, 2))
    rows[49, 1] = value
    for drawn in (rows[:10], rows[40:]):
        with pytest.raises(ModelError, match="not numbers"):
            fit_mixture(Components.start(drawn, 2), lambda d: d.sums(rows), most=3, tolerance=0.01)
