"""Least squares and logistic regression from shared passes: minima, sums, and what has none."""

from __future__ import annotations

import numpy as np
import pytest

from crisp_spark.modeling.linear.least_squares import fit_least_squares
from crisp_spark.modeling.linear.logistic import fit_logistic
from crisp_spark.modeling.linear.moments import Moments
from crisp_spark.modeling.linear.penalty import Penalty
from crisp_spark.modeling.linear.quadratic import Quadratics, minimise
from crisp_spark.modeling.linear.rows import RowsInMemory, Scale, Spread

MIXED = [Penalty(s, m) for s in (0.01, 0.1, 0.5) for m in (0.0, 0.3, 1.0)]


def table(rows=200, slots=8, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, slots)) * np.logspace(-2, 3, slots)
    x[:, -1] = 0.1
    scaled = x[:, :-1] / np.logspace(-2, 3, slots)[:-1]
    y = 3 + scaled @ rng.normal(size=slots - 1) + rng.normal(size=rows)
    return x, y


def moments(x, y, w=None):
    return Moments.of(np.column_stack([x, y]), w)


def logistic(x, y, penalties, w=None):
    w = np.ones(y.size) if w is None else w
    scale = Scale.of(Spread.of(np.column_stack([x, y]), w))

    def passes(intercept):
        return RowsInMemory(scale.apply(x, intercept=intercept), y, w / scale.weight)

    return fit_logistic(scale, passes, penalties)


def objective(fit, penalty, x, y):
    """MLlib's: mean loss, penalty on standardized coefficients."""
    margin = x @ fit.coefficients + fit.intercept
    b = fit.coefficients * x.std(axis=0, ddof=1)
    loss = np.logaddexp(0, margin) - y * margin
    return loss.mean() + penalty.l2 / 2 * b @ b + penalty.l1 * np.abs(b).sum()


# --- moments --------------------------------------------------------------------------------------


def test_moments_of_parts_add_up_to_those_of_the_whole():
    x, y = table()
    w = 1.0 + np.arange(y.size) % 3
    whole = moments(x, y, w)
    parts = [moments(x[at], y[at], w[at]) for at in np.array_split(np.arange(y.size), 7)]
    total = sum(parts, start=Moments.none(9))
    assert (total.rows, total.weight) == (whole.rows, whole.weight)
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-9, atol=1e-9)
    copy = Moments.from_bytes(whole.to_bytes())
    assert (copy.rows, copy.weight) == (whole.rows, whole.weight)
    np.testing.assert_array_equal(copy.scatter, whole.scatter)


def test_a_fold_taken_off_the_whole_leaves_the_training_rows():
    x, y = table(600)
    fold = np.arange(y.size) % 3 == 0
    left = moments(x, y) - moments(x[fold], y[fold])
    direct = moments(x[~fold], y[~fold])
    for penalty in MIXED:
        one, other = fit_least_squares(left, [penalty])[0], fit_least_squares(direct, [penalty])[0]
        np.testing.assert_allclose(
            x @ one.coefficients + one.intercept,
            x @ other.coefficients + other.intercept,
            rtol=1e-9,
        )


def test_nothing_can_be_taken_off_twice():
    x, y = table(20)
    part = moments(x[:15], y[:15])
    assert (part - part).weight == 0
    with pytest.raises(ValueError, match="15 rows cannot be taken off 5"):
        _ = moments(x[:5], y[:5]) - part


# --- quadratics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [3, 12])
def test_every_point_meets_the_conditions_of_a_minimum(rank):
    rng = np.random.default_rng(rank)
    half = rng.normal(size=(2, rank, 12))
    matrices = np.einsum("gki,gkj->gij", half, half) / rank
    points = 10
    place = np.arange(points) % 2
    linear = np.stack([matrices[place[p]] @ rng.normal(size=12) for p in range(points)])
    l1 = np.where(np.arange(points)[:, None] % 3 == 0, 0.0, rng.uniform(0.01, 0.5, (points, 12)))
    problem = Quadratics(matrices, place, np.zeros((points, 12)), linear, l1)
    b = minimise(problem, np.zeros((points, 12)))
    rest = linear - problem.product(b)
    assert (np.abs(rest) <= l1 + 1e-7).all()
    np.testing.assert_allclose((rest * b).sum(1), (l1 * np.abs(b)).sum(1), rtol=1e-5, atol=1e-9)


# --- least squares --------------------------------------------------------------------------------


def test_least_squares_without_a_penalty_are_the_textbook_ones():
    x, y = table()
    fit = fit_least_squares(moments(x, y), [Penalty()])[0]
    design = np.column_stack([x[:, :-1], np.ones(y.size)])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(x @ fit.coefficients + fit.intercept, expected, rtol=1e-9)
    assert fit.coefficients[-1] == 0, "a constant column weighs nothing"


def test_more_features_than_rows_are_fitted_with_and_without_a_penalty():
    x, y = table(10, 25)
    free, bound = fit_least_squares(moments(x, y), [Penalty(), Penalty(0.1, 0.5)])
    np.testing.assert_allclose(x @ free.coefficients + free.intercept, y, rtol=1e-6)
    assert 0 < np.count_nonzero(bound.coefficients) < 24
    assert fit_least_squares(moments(x, y), [Penalty()], exact=True)[0].trouble
    assert not fit_least_squares(moments(x, y), [Penalty(0.1)], exact=True)[0].trouble


def test_a_constant_label_needs_only_an_intercept():
    x, _ = table(30)
    y = np.full(30, 4.0)
    found = fit_least_squares(moments(x, y), [Penalty(0.1), Penalty(0.1, intercept=False)])
    assert found[0].intercept == 4.0
    assert not found[0].coefficients.any()
    assert "constant" in found[1].trouble


# --- logistic regression --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(200, 8), (15, 40)])
def test_logistic_regression_reaches_a_minimum(shape):
    x, y = table(*shape)
    label = (y > np.median(y)).astype(float)
    for penalty, fit in zip(MIXED, logistic(x, label, MIXED), strict=True):
        assert not fit.trouble
        best = objective(fit, penalty, x, label)
        rng = np.random.default_rng(0)
        for _ in range(50):
            moved = fit.coefficients * (1 + 1e-3 * rng.normal(size=shape[1]))
            near = type(fit)(moved, fit.intercept + 1e-3 * rng.normal())
            assert objective(near, penalty, x, label) >= best - 1e-9


def test_weights_count_like_repeated_rows():
    x, y = table(80)
    label = (y > np.median(y)).astype(float)
    w = 1.0 + np.arange(80) % 3
    again = np.repeat(np.arange(80), w.astype(int))
    # Deviations of weighted rows are MLlib's; without standardization they do not matter.
    penalties = [Penalty(0.05, m, standardization=False) for m in (0.0, 0.5)]
    weighted = logistic(x, label, penalties, w)
    repeated = logistic(x[again], label[again], penalties)
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(
            x @ one.coefficients + one.intercept,
            x @ other.coefficients + other.intercept,
            atol=1e-4,
        )


def test_separable_classes_without_a_penalty_are_named():
    x = np.linspace(-1, 1, 40)[:, None]
    label = (x[:, 0] > 0).astype(float)
    free, bound = logistic(x, label, [Penalty(), Penalty(0.01)])
    assert "told apart" in free.trouble
    assert not bound.trouble


def test_one_class_has_no_model():
    x, _ = table(30)
    found = logistic(x, np.ones(30), [Penalty(0.1)])
    assert found[0].trouble == "only one class has weight"


def test_constant_features_leave_the_share_of_the_positives():
    label = np.r_[np.ones(10), np.zeros(30)]
    fit = logistic(np.full((40, 3), 0.1), label, [Penalty(0.1, 0.5)])[0]
    assert 1 / (1 + np.exp(-fit.intercept)) == pytest.approx(0.25)
    assert not fit.coefficients.any()
