"""What a sweep finds out beside its winner, on made-up trials."""

from __future__ import annotations

import numpy as np
import pytest

from crisp_spark.modeling.assumptions import adjusted_rand, check_assumptions, inflation
from crisp_spark.modeling.findings import (
    fold_spread,
    frontier,
    group_labels,
    importances,
    next_steps,
    seed_spread,
)
from crisp_spark.results.sweep import TrialResult
from crisp_spark.spec.modeling import Family


def trial(name, params, metric, **fields):
    base = {"family": "forest", "status": "finished", "std": 0.01, "seconds": 1.0}
    return TrialResult(
        name=name, params=params, metric=metric, **{**base, "fold_metrics": [metric] * 3, **fields}
    )


def grid():
    """Depth moves the metric by 0.1 a step, bins not at all; the effects add up."""
    return [
        trial(f"t{depth}{bins}", {"depth": depth, "bins": bins}, 0.5 + 0.1 * depth + 0.0 * bins)
        for depth in (1, 2, 3)
        for bins in (16, 32)
    ]


def test_importance_is_the_share_of_the_variance():
    depth, bins = importances(grid(), higher_is_better=True)
    assert (depth.parameter, depth.share, depth.best) == ("depth", 1.0, "3")
    assert (bins.parameter, bins.share) == ("bins", 0.0)
    assert importances(grid(), higher_is_better=False)[0].best == "1"


def test_importance_of_two_equal_effects_is_a_half_each():
    both = [
        trial(f"t{a}{b}", {"a": a, "b": b}, 0.5 + 0.1 * a + 0.1 * b)
        for a in range(4)
        for b in range(4)
    ]
    first, second = importances(both, higher_is_better=True)
    # Exactly 1/2 lies between the means; a little is taken off for chance.
    assert first.share == second.share == pytest.approx(0.375)


def test_noise_is_not_important_and_few_trials_say_nothing():
    chance = np.random.default_rng(1)
    noise = [trial(f"t{n}", {"a": n % 5, "b": 1}, float(chance.random())) for n in range(60)]
    (only,) = importances(noise, higher_is_better=True)
    assert only.share < 0.1
    assert importances(noise[:5], higher_is_better=True) == []
    same = [trial(f"t{n}", {"a": n}, 0.5) for n in range(10)]
    assert importances(same, higher_is_better=True) == []


def test_the_choice_of_the_family_counts_and_cut_and_failed_trials_do_not():
    linear = [t.model_copy(update={"family": "linear", "metric": 0.2}) for t in grid()]
    lost = [
        trial("x", {"depth": 9}, None, status="failed"),
        trial("y@0.25", {"depth": 9}, 9.0, share=0.25),
    ]
    found = importances([*grid(), *linear, *lost], higher_is_better=True)
    assert (found[0].family, found[0].parameter, found[0].best) == ("", "family", "forest")
    assert found[0].share > 0.8
    assert [entry.family for entry in found[1:]] == ["forest", "forest"]


def test_many_numbers_are_grouped_by_quantiles():
    labels = group_labels([n / 100 for n in range(100)])
    assert sorted(set(labels)) == [
        "0 to 0.19", "0.2 to 0.39", "0.4 to 0.59", "0.6 to 0.79", "0.8 to 0.99",
    ]  # fmt: skip
    assert group_labels([True, False, None]) == ["True", "False", "default"]
    assert group_labels([[1, 2], [3]]) == ["[1, 2]", "[3]"]


def test_the_frontier_holds_trials_that_none_beats():
    some = [
        trial("slow and good", {}, 0.9, seconds=9),
        trial("fast and bad", {}, 0.5, seconds=1),
        trial("beaten", {}, 0.4, seconds=5),
        trial("middle", {}, 0.7, seconds=3),
    ]
    found = frontier(some, higher_is_better=True)
    assert [point.trial for point in found] == ["fast and bad", "middle", "slow and good"]
    down = frontier(some, higher_is_better=False)
    assert [point.trial for point in down] == ["fast and bad", "beaten"]
    assert frontier([], higher_is_better=True) == []


def test_spreads():
    assert fold_spread([*grid(), trial("z", {}, 0.1, std=None)]) == 0.01
    seeds = [trial(f"s{n}", {"depth": 3, "seed": n}, 0.5 + n / 100) for n in (1, 2, 3)]
    assert seed_spread(seeds) == pytest.approx(0.01)
    assert seed_spread([*seeds, trial("s9", {"depth": 4, "seed": 1}, 0.9)]) == pytest.approx(0.01)
    assert seed_spread(grid()) is None


def test_next_steps_follow_from_what_was_seen():
    families = {
        "forest": Family.model_validate(
            {"kind": "random_forest", "params": {"maxDepth": [1, 2, 3], "maxBins": [16, 32]}}
        )
    }
    trials = [
        trial(f"t{d}{b}", {"maxDepth": d, "maxBins": b}, 0.5 + 0.1 * d, complexity=d)
        for d in (1, 2, 3)
        for b in (16, 32)
    ]
    failed = trial("x", {}, None, status="failed")
    said = next_steps(
        [*trials, failed], trials[4], families, higher_is_better=True, stopped="budget of 7 s spent"
    )
    assert said[0].startswith("The search was cut short (budget of 7 s spent)")
    assert "maxDepth = 3 is the largest that was tried: try larger" in said
    assert "maxBins = 16 is the smallest that was tried: try smaller" in said
    assert any("maxBins hardly moved the metric" in text for text in said)
    assert any("2 trials lie within one standard error" in text for text in said)
    assert said[-1] == "1 trial of forest failed: see why"


def test_collinear_columns_are_named_and_independent_ones_are_not():
    chance = np.random.default_rng(2)
    x = chance.normal(size=(500, 3))
    free = inflation(x)
    assert (free < 1.1).all()
    near = np.c_[x, x[:, 0] + 0.1 * chance.normal(size=500)]
    assert (inflation(near)[[0, 3]] > 50).all()
    assert (inflation(near)[[1, 2]] < 1.1).all()
    tied = np.c_[x, x[:, 0] + x[:, 1], np.ones(500)]
    found = inflation(tied)
    assert np.isinf(found[[0, 1, 3]]).all()
    assert found[2] < 1.1
    assert np.isnan(found[4])
    assert np.isnan(inflation(x[:3])).all()


def test_assumptions_of_a_logistic_regression():
    best = trial("t", {}, 0.9, metrics={"roc_auc": 1.0})
    x = np.random.default_rng(3).normal(size=(50, 2))
    names = ("a", "b")
    found = check_assumptions(
        "logistic_regression", best, (np.c_[x, 2 * x[:, 0]], (*names, "twice a")),
        {"no": 900, "yes": 15}, slots=3,
    )  # fmt: skip
    assert [item.verdict for item in found] == ["warn", "warn", "warn"]
    assert "2 are sums of the others (a, twice a)" in found[0].finding
    assert "15 rows of yes for 3 places" in found[2].finding
    fine = check_assumptions(
        "logistic_regression",
        trial("t", {}, 0.9, metrics={"roc_auc": 0.8}),
        (x, names),
        {"no": 900, "yes": 100},
        slots=2,
    )
    assert [item.verdict for item in fine] == ["pass", "pass", "pass"]
    assert check_assumptions("kmeans", best, None, {}, slots=3) == []


def test_clusterings_agree_whatever_the_clusters_are_called():
    a = np.array([0, 0, 1, 1, 2, 2.0])
    assert adjusted_rand(a, 5 - a) == 1
    assert adjusted_rand(a, np.zeros(6)) == 0
    chance = np.random.default_rng(4)
    two = chance.integers(0, 3, 5000), chance.integers(0, 3, 5000)
    assert abs(adjusted_rand(two[0] * 1.0, two[1] * 1.0)) < 0.01
    # Hubert and Arabie's table with n = 6: pairs together in both 1, in each 3 and 2.
    assert adjusted_rand(a, np.array([0, 0, 0, 1, 1, 2.0])) == pytest.approx(
        (1 - 3 * 4 / 15) / ((3 + 4) / 2 - 3 * 4 / 15)
    )
