from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from crisp_spark.deployment import drift

COUNTS = st.lists(st.integers(1, 1000), min_size=4, max_size=4)


def test_equal_distributions_do_not_drift():
    for measure in (
        drift.population_stability_index,
        drift.jensen_shannon_divergence,
        drift.kolmogorov_smirnov_distance,
    ):
        assert measure([10, 20, 30], [1, 2, 3]) == pytest.approx(0.0, abs=1e-12)


def test_psi_by_hand():
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert drift.population_stability_index([50, 50], [60, 40]) == pytest.approx(expected)


def test_an_emptied_bin_gives_a_large_but_finite_index():
    found = drift.population_stability_index([50, 50], [100, 0])
    assert math.isfinite(found)
    assert found > 1


def test_disjoint_distributions_are_one_bit_apart():
    assert drift.jensen_shannon_divergence([1, 0], [0, 5]) == pytest.approx(1.0)
    assert drift.kolmogorov_smirnov_distance([1, 0], [0, 5]) == pytest.approx(1.0)


@given(COUNTS, COUNTS)
def test_jensen_shannon_equals_scipy(p, q):
    expected = jensenshannon(drift.shares(p), drift.shares(q), base=2) ** 2
    assert drift.jensen_shannon_divergence(p, q) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, COUNTS)
def test_measures_are_symmetric_and_never_negative(p, q):
    for measure in (
        drift.population_stability_index,
        drift.jensen_shannon_divergence,
        drift.kolmogorov_smirnov_distance,
    ):
        assert measure(p, q) >= 0
        assert measure(p, q) == pytest.approx(measure(q, p))


@pytest.mark.parametrize("bins", [2, 3, 10, 50])
def test_psi_noise_follows_chi_squared(bins):
    expected = stats.chi2.ppf(0.95, bins - 1) * (1 / 1000 + 1 / 500)
    assert drift.psi_noise(bins, 1000, 500) == pytest.approx(expected, rel=0.03)


def test_ks_noise_follows_smirnov():
    assert drift.ks_noise(1000, 1000) == pytest.approx(1.3581 * math.sqrt(2 / 1000))


def test_noise_of_nothing_is_unknown():
    assert drift.psi_noise(1, 10, 10) is None
    assert drift.psi_noise(5, 0, 10) is None
    assert drift.ks_noise(0, 10) is None
    assert drift.shares([0, 0]) == [0.0, 0.0]


def test_wasserstein_is_the_shift_where_all_rows_shift_alike():
    places = [0.0, 1.0, 2.0, 3.0]
    spread = math.sqrt(1.25)
    found = drift.wasserstein_distance(
        [5, 5, 5, 5], [5, 5, 5, 5], places=(places, [p + 10 for p in places])
    )
    assert found == pytest.approx(10 / spread)
    assert drift.wasserstein_distance([5] * 4, [9] * 4, places=(places, places)) == pytest.approx(0)


def test_wasserstein_is_that_of_scipy():
    random = np.random.default_rng(3)
    before, now = random.lognormal(size=4000), random.lognormal(0.3, 1.2, size=3000)
    edges = np.quantile(before, np.arange(1, 50) / 50)
    counts, means = [], []
    for rows in (before, now):
        bins = np.searchsorted(edges, rows, side="right")
        counts.append([int((bins == n).sum()) for n in range(50)])
        means.append([float(rows[bins == n].mean()) for n in range(50)])
    found = drift.wasserstein_distance(*counts, places=tuple(means))
    spread = np.std(np.repeat(means[0], counts[0]))
    exact = stats.wasserstein_distance(before, now) / spread
    assert found == pytest.approx(exact, rel=0.05)


def test_wasserstein_of_a_constant_is_not_defined():
    assert drift.wasserstein_distance([4, 0], [0, 4], places=([1.0, 0.0], [0.0, 2.0])) is None
