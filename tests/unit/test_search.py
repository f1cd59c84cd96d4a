from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crisp_spark.errors import DataError, ModelError, SpecError
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.folds import FoldCounts, plan_folds
from crisp_spark.modeling.metrics import (
    Scored,
    average_precision,
    mean_metrics,
    metrics_of,
    roc_auc,
)
from crisp_spark.modeling.preparing import class_weights
from crisp_spark.modeling.search import plan_trials
from crisp_spark.modeling.shaping import best_exponent, box_cox, yeo_johnson
from crisp_spark.modeling.statements import (
    Definition,
    layers,
    number,
    references,
    renamed,
    statement,
    text,
)
from crisp_spark.modeling.vectorizing import PreparationTask
from crisp_spark.modeling.winner import choose_winner
from crisp_spark.results.sweep import TrialResult
from crisp_spark.spec.business import OutcomeValues
from crisp_spark.spec.modeling import ModelingSpec


def trials_of(problem="binary", seed=42, **fields):
    spec = ModelingSpec.model_validate(fields)
    return plan_trials(spec.families_for(problem), spec.search, seed=seed)


FOREST = {"kind": "random_forest", "params": {"numTrees": [10, 20], "maxDepth": [3, 5]}}
LINEAR = {"kind": "logistic_regression", "params": {"regParam": [0.1]}}
RANDOM = {
    "search": {"kind": "random", "trials": 12},
    "families": [
        {
            "kind": "logistic_regression",
            "params": {"regParam": {"low": 1e-4, "high": 1, "log": True}},
        },
        {"kind": "random_forest", "params": {"maxDepth": {"low": 2, "high": 9, "whole": True}}},
    ],
}


def test_a_grid_holds_every_combination_and_takes_families_by_turns():
    planned = trials_of(families=[FOREST, LINEAR])
    assert [trial.name for trial in planned] == [
        "random_forest-001",
        "logistic_regression-001",
        "random_forest-002",
        "random_forest-003",
        "random_forest-004",
    ]
    points = {
        (t.params["numTrees"], t.params["maxDepth"]) for t in planned if "numTrees" in t.params
    }
    assert points == {(10, 3), (10, 5), (20, 3), (20, 5)}


def test_hidden_layers_are_one_value():
    planned = trials_of(families=[{"kind": "multilayer_perceptron", "params": {"hidden": [8, 4]}}])
    assert [trial.params for trial in planned] == [{"hidden": (8, 4)}]


def test_random_search_is_seeded_stays_in_range_and_never_repeats():
    planned = trials_of(**RANDOM)
    assert len(planned) == 12
    assert [t.params for t in planned] == [t.params for t in trials_of(**RANDOM)]
    assert [t.params for t in planned] != [t.params for t in trials_of(seed=1, **RANDOM)]
    assert len({t.key for t in planned}) == 12
    for trial in planned:
        if "regParam" in trial.params:
            assert 1e-4 <= trial.params["regParam"] <= 1
        else:
            assert trial.params["maxDepth"] in range(2, 10)


def test_random_search_over_a_small_space_tries_each_point_once():
    planned = trials_of(search={"kind": "random", "trials": 50}, families=[FOREST, LINEAR])
    assert len(planned) == 5


def test_a_trial_has_the_same_key_in_any_run_and_another_point_another_key():
    first, second = trials_of(families=[FOREST])[:2]
    assert first.key == trials_of(families=[FOREST])[0].key
    assert first.key != second.key
    scaled = trials_of(families=[{**FOREST, "standardize": "yes"}])[0]
    assert scaled.params == first.params
    assert scaled.key != first.key


def test_larger_models_are_more_complex_and_stronger_penalties_simpler():
    small, large = trials_of(families=[FOREST])[0], trials_of(families=[FOREST])[-1]
    assert small.complexity < large.complexity
    weak, strong = trials_of(families=[{**LINEAR, "params": {"regParam": [0.0, 1.0]}}])
    assert strong.complexity < weak.complexity < small.complexity


def test_folds_are_left_out_in_turn_or_follow_time():
    assert [(p.fold, p.training) for p in plan_folds((0, 1, 2), "k_fold")] == [
        (0, (1, 2)),
        (1, (0, 2)),
        (2, (0, 1)),
    ]
    assert [(p.fold, p.training) for p in plan_folds((2, 0, 1), "expanding")] == [
        (1, (0,)),
        (2, (0, 1)),
    ]
    assert [(p.fold, p.training) for p in plan_folds(range(4), "sliding", window=2)] == [
        (2, (0, 1)),
        (3, (1, 2)),
    ]
    with pytest.raises(DataError, match="3 or more folds are needed, got 2"):
        plan_folds((0, 1), "sliding", window=2)
    drawn = plan_folds((0, 1), "repeated", repeats=2)
    assert [(p.fold, p.training, p.column) for p in drawn] == [
        (0, (1,), "_crisp_fold"),
        (1, (0,), "_crisp_fold"),
        (1000, (1001,), "_crisp_fold_1"),
        (1001, (1000,), "_crisp_fold_1"),
    ]
    with pytest.raises(DataError, match="2 or more folds"):
        plan_folds((0,), "k_fold")


def test_counts_add_up_over_folds():
    counts = FoldCounts({0: 3, 1: 1}, {0: {0.0: 2, 1.0: 1}, 1: {1.0: 1}}, {0: 1.0, 1: 1.0})
    assert counts.total == 4
    assert counts.class_counts((0, 1)) == {0.0: 2, 1.0: 2}
    assert counts.mean((0, 1)) == 0.5


def trial(name, metric, *, complexity=1.0, std=0.02, status="finished", error=""):
    return TrialResult(
        name=name,
        family="f",
        params={},
        status=status,
        metric=metric,
        std=std,
        error=error,
        fold_metrics=[metric] * 4,
        complexity=complexity,
    )


def test_the_best_metric_wins_whichever_way_is_better():
    two = [trial("a", 0.7), trial("b", 0.8)]
    assert choose_winner(two, higher_is_better=True, one_standard_error=False)[0].name == "b"
    assert choose_winner(two, higher_is_better=False, one_standard_error=False)[0].name == "a"


def test_of_equal_trials_the_simpler_then_the_earlier_wins():
    equal = [
        trial("big", 0.8, complexity=5),
        trial("small", 0.8 + 1e-15, complexity=2),
        trial("late", 0.8, complexity=2),
    ]
    assert choose_winner(equal, higher_is_better=True, one_standard_error=False)[0].name == "small"


def test_one_standard_error_takes_the_simplest_near_the_best():
    some = [
        trial("best", 0.80, complexity=9),
        trial("near", 0.795, complexity=2),
        trial("far", 0.70, complexity=1),
    ]
    chosen, why = choose_winner(some, higher_is_better=True, one_standard_error=True)
    assert chosen.name == "near"
    assert "within one standard error (0.01) of best" in why


def test_all_failed_is_an_error_that_tells_why():
    lost = [
        trial("a", None, status="failed", error="boom\nstack"),
        trial("b", None, status="failed", error="boom"),
    ]
    with pytest.raises(ModelError, match="none of 2 trials") as caught:
        choose_winner(lost, higher_is_better=True, one_standard_error=False)
    assert caught.value.hint == "f: boom"


# --- metrics -------------------------------------------------------------------------------------


def test_areas_are_exact_with_ties():
    label = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    score = np.array([0.9, 0.8, 0.5, 0.5, 0.1])
    # Pairs won, ties half: (2 + 0 + 0.5 + ... ) counted by hand: 0.9>both, 0.5 ties one, 0.1 none.
    assert roc_auc(label, score) == pytest.approx((2 + 0.5 + 0) / 6)
    assert average_precision(label, score) == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    assert roc_auc(np.ones(3), np.ones(3)) is None
    assert average_precision(np.zeros(3), np.ones(3)) is None


def test_binary_metrics_agree_with_their_definitions():
    label, score = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.8, 0.4, 0.6, 0.2])
    found = metrics_of("binary", Scored(label, score, (score > 0.5) * 1.0))
    assert found["accuracy"] == found["precision"] == found["recall"] == found["f1"] == 0.5
    assert found["brier"] == pytest.approx((0.04 + 0.36 + 0.36 + 0.04) / 4)
    assert found["log_loss"] == pytest.approx(
        -(math.log(0.8) + 2 * math.log(0.4) + math.log(0.8)) / 4
    )


def test_metrics_of_several_classes_average_over_classes():
    label, said = np.array([0.0, 0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 1.0])
    found = metrics_of(
        "multiclass", Scored(label, said, said, chance=np.array([0.5, 0.25, 1.0, 0.25]))
    )
    assert found["accuracy"] == 0.5
    assert found["macro_recall"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["macro_precision"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["log_loss"] == pytest.approx((math.log(2) + 2 * math.log(4)) / 4)


def test_errors_of_numbers():
    label, said = np.array([1.0, 2.0, 4.0, 0.0]), np.array([2.0, 2.0, 2.0, 0.0])
    found = metrics_of("regression", Scored(label, said, said))
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 4))
    assert found["mae"] == 0.75
    assert found["bias"] == -0.25
    assert found["mape"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["r2"] == pytest.approx(1 - 5 / 8.75)
    assert metrics_of("regression", Scored(np.ones(2), np.ones(2), np.ones(2)))["r2"] is None


def test_lists_are_judged_by_user():
    label = np.array([5.0, 1.0, 4.0, 1.0, 1.0])
    score = np.array([0.1, 0.9, 0.8, 0.7, 0.2])
    rows = Scored(label, score, score, user=np.array([7, 7, 7, 9, 9]))
    found = metrics_of("recommendation", rows, k=2, relevant_from=4.0)
    assert found["precision_at_k"] == 0.5  # user 9 has nothing relevant and is left out
    assert found["ndcg_at_k"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))


def test_silhouette_is_that_of_squared_distances():
    x = np.array([[0.0], [1.0], [10.0], [11.0]])
    cluster = np.array([0.0, 0.0, 1.0, 1.0])
    found = metrics_of("clustering", Scored(np.zeros(4), cluster, cluster, vectors=x))
    by_hand = []
    for at in range(4):
        inside = np.mean(
            [(x[at, 0] - x[b, 0]) ** 2 for b in range(4) if cluster[b] == cluster[at] and b != at]
        )
        outside = np.mean(
            [(x[at, 0] - x[b, 0]) ** 2 for b in range(4) if cluster[b] != cluster[at]]
        )
        by_hand.append((outside - inside) / max(inside, outside))
    assert found["silhouette"] == pytest.approx(np.mean(by_hand))
    assert found["within_ss"] == pytest.approx(0.25)
    alone = metrics_of("clustering", Scored(np.zeros(4), np.zeros(4), np.zeros(4), vectors=x))
    assert alone["silhouette"] is None


def test_means_over_folds_need_every_fold():
    assert mean_metrics([{"a": 1.0, "b": None}, {"a": 3.0, "b": 1.0}]) == {"a": 2.0, "b": None}


# --- SQL texts -----------------------------------------------------------------------------------


def test_literals_are_exact_and_cannot_be_broken_out_of():
    assert number(0.1) == "0.1D"
    assert number(-1e-7) == "(-1e-07D)"
    assert number(None) == "CAST(NULL AS DOUBLE)"
    assert number(math.nan) == "double('nan')"
    assert text("it's ${x} \\ `é`\n__THIS__") == (
        "'it\\u0027s \\u0024{x} \\u005c \\u0060é\\u0060\\u000a\\u005f\\u005fTHIS\\u005f\\u005f'"
    )


def test_columns_are_renamed_and_nothing_else():
    sql = (
        "hour(ts) + hour * `Hour` + extract(hour from ts) + CAST(a AS hour) + 'hour' -- hour\n"
        "+ t.hour + hour.part + INTERVAL 1 hour"
    )
    assert renamed(sql, {"hour": "x"}) == (
        "hour(ts) + `x` * `x` + extract(hour from ts) + CAST(a AS hour) + 'hour' -- hour\n"
        "+ t.hour + `x`.part + INTERVAL 1 hour"
    )


def test_a_typed_literal_hides_no_column_behind_it():
    sql = "coalesce(hour(TIMESTAMP'2024-03-10 07:00:00'), 0) + year(y) + length(trim(BOTH 'a' FROM s))"
    assert {"y", "s"} <= references(sql)
    assert not {"timestamp", "both", "hour"} & references(sql)
    assert renamed(
        "DATE '2024-01-01' < y AND date \"2024-01-02\" > y", {"y": "x", "date": "d"}
    ) == ("DATE '2024-01-01' < `x` AND date \"2024-01-02\" > `x`")


def test_references_are_found_without_functions_texts_and_types():
    assert references("CAST(`plane.year` AS INT) + lower('abc') || größe") >= {
        "plane.year",
        "größe",
    }
    assert not references("CAST(`plane.year` AS INT) + lower('abc')") & {"lower", "abc", "int"}


def test_definitions_fall_into_layers_by_what_they_use():
    a, b, c = Definition("a", "x + 1"), Definition("b", "a * 2"), Definition("c", "x * 2", "x * 3")
    assert layers([a, b, c]) == [[a, c], [b]]
    assert statement([a, c]) == "SELECT *, x + 1 AS `a`, x * 2 AS `c` FROM __THIS__"
    assert statement([c], training=True) == "SELECT *, x * 3 AS `c` FROM __THIS__"


# --- shapes --------------------------------------------------------------------------------------


def test_exponents_are_found_by_likelihood():
    normal = np.array([-1.6, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 1.6]) + 5
    assert best_exponent(np.exp(normal), box_cox) == pytest.approx(0, abs=0.05)
    assert best_exponent(normal**2, box_cox) == pytest.approx(0.5, abs=0.2)
    assert best_exponent(np.ones(5), yeo_johnson) == 1.0


def test_yeo_johnson_with_exponent_one_changes_nothing():
    x = np.array([-2.0, 0.0, 3.0])
    values, slope = yeo_johnson(x, 1.0)
    assert np.allclose(values, x)
    assert slope == 0.0
    assert np.allclose(yeo_johnson(x, 0.0)[0][1:], np.log1p(x[1:]))


def test_a_sweep_that_does_not_fit_the_problem_is_refused():
    from crisp_spark.modeling.features import FeaturePlan
    from crisp_spark.modeling.planning import SweepTask, plan_sweep
    from crisp_spark.spec.business import MiningGoal

    goal = MiningGoal(problem="binary", target="y", positive=1)
    spec = ModelingSpec.model_validate({"metric": "rmse"})
    with pytest.raises(SpecError, match="no metric of binary"):
        plan_sweep(SweepTask(spec, goal, FeaturePlan()), (0, 1))
    limited = ModelingSpec.model_validate({"families": [FOREST], "budget": {"max_trials": 3}})
    plan = plan_sweep(SweepTask(limited, goal, FeaturePlan(), expanding=True), (0, 1, 2))
    assert (len(plan.trials), plan.left_out, len(plan.folds)) == (3, 1, 2)


def test_a_metric_in_money_takes_the_cut_that_pays_best():
    label, score = np.array([1.0, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    values = OutcomeValues(tp=10, fp=-4, fn=-1, tn=0)
    # Alerts from 0.7 on: two caught, two false.
    rows = Scored(label, score, score)
    found = metrics_of("binary", rows, values=values)
    assert found["value_per_row"] == pytest.approx((20 - 8) / 5)
    never = metrics_of("binary", rows, values=OutcomeValues(tp=1, fp=-100, fn=-1))
    assert never["value_per_row"] == pytest.approx((1 - 1) / 5)
    said = np.array([1.0, 2.0])
    money = metrics_of(
        "regression", Scored(np.zeros(2), said, said), values=OutcomeValues(cost_per_unit_error=3)
    )
    assert money["cost_per_row"] == pytest.approx(4.5)
    assert "value_per_row" not in metrics_of("binary", rows)


@pytest.mark.parametrize("cost", [0.0, -1.0])
def test_rows_are_weighed_by_what_a_mistake_costs(cost):
    task = PreparationTask(
        "binary",
        ("no", "yes"),
        FeaturePlan(),
        class_weights="outcome_values",
        values=OutcomeValues(tp=8, fp=-1, fn=-1),
    )
    weights = class_weights(task, {0.0: 90, 1.0: 10})
    assert weights[1.0] / weights[0.0] == pytest.approx(9)
    assert 90 * weights[0.0] + 10 * weights[1.0] == pytest.approx(100)
    bad = replace(task, values=OutcomeValues(tp=cost, fp=-1, fn=0))
    with pytest.raises(SpecError, match="a mistake costs nothing"):
        class_weights(bad, {0.0: 90, 1.0: 10})
