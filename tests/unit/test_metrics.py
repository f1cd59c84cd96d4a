from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from crisp_spark.evaluation.estimates import standard_error, wilson
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.metrics import estimate, gain_over, measure
from crisp_spark.evaluation.ranks import average_precision, roc_auc
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.spec.business import OutcomeValues
from crisp_spark.spec.evaluation import METRICS, metric_info, metric_names

VALUES = OutcomeValues(tp=10, fp=-4, fn=-6, tn=1, currency="EUR")


def scored(label, score, prediction=None, **extra) -> ScoredRows:
    label, score = np.asarray(label, float), np.asarray(score, float)
    prediction = score if prediction is None else np.asarray(prediction, float)
    return ScoredRows("test", label.size, label.size, label, score, prediction, **extra)


@pytest.fixture(scope="module")
def binary() -> ScoredRows:
    random = np.random.default_rng(3)
    label = (random.random(2000) < 0.3).astype(float)
    # Rounded scores: many ties, which ranks must treat as such.
    score = np.round(1 / (1 + np.exp(-(1.5 * label + random.normal(size=2000) - 1))), 2)
    rule = (random.random(2000) < 0.2 + 0.3 * label).astype(float)
    return scored(label, score, baselines={"prior": np.full(2000, 0.3), "rule": rule})


JUDGE = Judge("binary", threshold=0.4, values=VALUES, baseline_thresholds={"prior": 0.9})


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", lambda y, s, d: sk.accuracy_score(y, d)),
        ("precision", lambda y, s, d: sk.precision_score(y, d)),
        ("recall", lambda y, s, d: sk.recall_score(y, d)),
        ("f1", lambda y, s, d: sk.f1_score(y, d)),
        ("specificity", lambda y, s, d: sk.recall_score(1 - y, 1 - d)),
        ("false_positive_rate", lambda y, s, d: 1 - sk.recall_score(1 - y, 1 - d)),
        ("alert_rate", lambda y, s, d: d.mean()),
        ("roc_auc", lambda y, s, d: sk.roc_auc_score(y, s)),
        ("pr_auc", lambda y, s, d: sk.average_precision_score(y, s)),
        ("log_loss", lambda y, s, d: sk.log_loss(y, s)),
        ("brier", lambda y, s, d: sk.brier_score_loss(y, s)),
    ],
)
def test_binary_metrics_equal_those_of_scikit_learn(binary, name, reference):
    decision = (binary.score >= JUDGE.threshold).astype(float)
    expected = reference(binary.label, binary.score, decision)
    assert measure(binary, JUDGE, name).value == pytest.approx(expected, rel=1e-12)


def test_money_is_the_sum_of_the_outcomes_values(binary):
    decision = binary.score >= JUDGE.threshold
    tn, fp, fn, tp = sk.confusion_matrix(binary.label, decision).ravel()
    expected = 10 * tp - 4 * fp - 6 * fn + tn
    assert measure(binary, JUDGE, "net_value").value == pytest.approx(expected)
    assert measure(binary, JUDGE, "value_per_row").value == pytest.approx(expected / 2000)


def test_money_without_outcome_values_has_no_value_but_a_reason(binary):
    found = measure(binary, Judge("binary"), "net_value")
    assert found.value is None
    assert "outcome_values" in found.reason


@pytest.mark.parametrize("name", METRICS["binary"])
def test_every_interval_holds_its_value(binary, name):
    found = measure(binary, JUDGE, name)
    assert found.low < found.value < found.high
    assert found.support > 0


@pytest.mark.parametrize("name", ["f1", "roc_auc", "pr_auc", "log_loss", "value_per_row"])
def test_closed_form_errors_agree_with_a_bootstrap(binary, name):
    random, found = np.random.default_rng(5), estimate(binary, JUDGE, name)
    resampled = [
        estimate(binary.take(random.integers(0, binary.size, binary.size)), JUDGE, name).value
        for _ in range(400)
    ]
    assert standard_error(found.influence) == pytest.approx(np.std(resampled), rel=0.15)


@pytest.mark.parametrize("name", ["f1", "roc_auc", "pr_auc", "value_per_row"])
def test_the_error_of_a_gain_is_that_of_the_paired_difference(binary, name):
    random = np.random.default_rng(6)
    found = gain_over(binary, JUDGE, name, "rule")
    resampled = []
    for _ in range(400):
        again = binary.take(random.integers(0, binary.size, binary.size))
        ours, theirs = estimate(again, JUDGE, name), estimate(again, JUDGE, name, "rule")
        resampled.append(ours.value - theirs.value)
    half = (found.high - found.low) / 2
    assert half / 1.96 == pytest.approx(np.std(resampled), rel=0.15)


@pytest.mark.parametrize("area", [roc_auc, average_precision])
def test_influence_is_the_derivative_by_a_rows_weight(binary, area):
    reference = {roc_auc: sk.roc_auc_score, average_precision: sk.average_precision_score}[area]
    found, step = area(binary.label, binary.score), 1e-5
    for row in (0, 7, int(np.argmax(binary.label)), int(np.argmax(binary.score))):
        weights = np.ones(binary.size)
        weights[row] += step
        moved = reference(binary.label, binary.score, sample_weight=weights)
        slope = (moved - reference(binary.label, binary.score)) / step * binary.size
        assert found.influence[row] == pytest.approx(slope, abs=1e-3)


def test_wilsons_interval_by_hand():
    # 8 of 10 at z = 1.959964: Newcombe (1998), method 3.
    low, high = wilson(8, 10, 0.95)
    assert (low, high) == (pytest.approx(0.4901625, abs=1e-6), pytest.approx(0.9433178, abs=1e-6))
    assert wilson(0, 5, 0.95)[0] == 0.0
    assert wilson(5, 5, 0.95)[1] == 1.0


def test_wider_confidence_gives_a_wider_interval(binary):
    narrow = measure(binary, JUDGE, "roc_auc")
    wide = measure(binary, replace(JUDGE, confidence=0.99), "roc_auc")
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_a_perfect_ranking_still_has_an_interval():
    found = measure(scored([0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9]), JUDGE, "roc_auc")
    assert found.value == 1.0
    assert 0.2 < found.low < 0.9


@pytest.mark.parametrize(
    ("name", "label", "reason"),
    [
        ("roc_auc", [1, 1], "only one class is present"),
        ("pr_auc", [0, 0], "no positives"),
        ("recall", [0, 0], "no positives"),
        ("specificity", [1, 1], "no negatives"),
        ("accuracy", [], "no labelled rows"),
        ("roc_auc_gain", [], "no labelled rows"),
        ("roc_auc_gain", [1, 0], "no baseline has this metric"),
    ],
)
def test_an_undefined_metric_says_why(name, label, reason):
    found = measure(scored(label, [0.5] * len(label)), JUDGE, name)
    assert (found.value, found.low, found.reason) == (None, None, reason)


def test_precision_without_alerts_is_unknown():
    found = measure(scored([1, 0], [0.1, 0.1]), JUDGE, "precision")
    assert (found.value, found.reason) == (None, "no alerts")


def test_scores_that_are_no_probabilities_have_no_log_loss(binary):
    judge = replace(JUDGE, probabilities=False)
    assert measure(binary, judge, "log_loss").value is None
    assert measure(binary, judge, "brier").value is None
    assert measure(binary, judge, "roc_auc").value is not None


def test_gain_is_over_the_best_baseline_and_positive_when_better(binary):
    rule = sk.roc_auc_score(binary.label, binary.baselines["rule"])
    ours = sk.roc_auc_score(binary.label, binary.score)
    assert measure(binary, JUDGE, "roc_auc_gain").value == pytest.approx(ours - rule)
    prior = sk.log_loss(binary.label, binary.baselines["prior"])
    gain = prior - sk.log_loss(binary.label, binary.score)
    assert gain > 0
    assert measure(binary, JUDGE, "log_loss_gain").value == pytest.approx(gain)


def test_sums_stand_for_all_rows_where_a_sample_was_read(binary):
    half = replace(binary, total_rows=4000)
    whole = measure(binary, JUDGE, "net_value")
    doubled = measure(half, JUDGE, "net_value")
    assert doubled.value == pytest.approx(2 * whole.value)
    assert measure(half, JUDGE, "value_per_row") == measure(binary, JUDGE, "value_per_row")


def test_exact_counts_replace_the_sample_in_proportions(binary):
    found = measure(replace(binary, counts=(30, 10, 20, 40)), JUDGE, "precision")
    assert (found.value, found.support) == (0.75, 40)
    assert (found.low, found.high) == wilson(30, 40, 0.95)


@pytest.fixture(scope="module")
def classes() -> ScoredRows:
    random = np.random.default_rng(8)
    label = random.integers(0, 3, 900).astype(float)
    wrong = random.random(900) < 0.3
    prediction = np.where(wrong, random.integers(0, 3, 900), label).astype(float)
    return scored(label, np.full(900, 0.6), prediction, row_loss=np.full(900, 0.5))


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", sk.accuracy_score),
        ("macro_f1", lambda y, p: sk.f1_score(y, p, average="macro")),
        ("macro_precision", lambda y, p: sk.precision_score(y, p, average="macro")),
        ("macro_recall", lambda y, p: sk.recall_score(y, p, average="macro")),
    ],
)
def test_multiclass_metrics_equal_those_of_scikit_learn(classes, name, reference):
    found = measure(classes, Judge("multiclass", class_count=3), name)
    assert found.value == pytest.approx(reference(classes.label, classes.prediction))
    assert found.low < found.value < found.high


def test_macro_f1_error_agrees_with_a_bootstrap(classes):
    judge, random = Judge("multiclass", class_count=3), np.random.default_rng(2)
    resampled = [
        estimate(classes.take(random.integers(0, 900, 900)), judge, "macro_f1").value
        for _ in range(400)
    ]
    found = estimate(classes, judge, "macro_f1")
    assert standard_error(found.influence) == pytest.approx(np.std(resampled), rel=0.15)


def test_a_class_that_is_never_predicted_counts_as_zero():
    rows = scored([0, 0, 1, 2], [0.5] * 4, [0, 0, 1, 1])
    found = measure(rows, Judge("multiclass", class_count=3), "macro_precision")
    expected = sk.precision_score([0, 0, 1, 2], [0, 0, 1, 1], average="macro", zero_division=0)
    assert found.value == pytest.approx(expected)


@pytest.fixture(scope="module")
def numbers() -> ScoredRows:
    random = np.random.default_rng(9)
    label = random.normal(10, 3, 1000)
    baselines = {"mean": np.full(1000, 10.0)}
    return scored(label, label + random.normal(0.2, 1, 1000), baselines=baselines)


COST = Judge("regression", values=OutcomeValues(cost_per_unit_error=2.0, currency="EUR"))


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
        ("mape", sk.mean_absolute_percentage_error),
        ("bias", lambda y, p: (p - y).mean()),
        ("cost", lambda y, p: 2 * np.abs(p - y).sum()),
        ("cost_per_row", lambda y, p: 2 * np.abs(p - y).mean()),
    ],
)
def test_regression_metrics_equal_those_of_scikit_learn(numbers, name, reference):
    found = measure(numbers, COST, name)
    assert found.value == pytest.approx(reference(numbers.label, numbers.prediction))
    assert found.low < found.value < found.high


@pytest.mark.parametrize("name", ["rmse", "r2", "mape"])
def test_regression_errors_agree_with_a_bootstrap(numbers, name):
    random = np.random.default_rng(4)
    resampled = [
        estimate(numbers.take(random.integers(0, 1000, 1000)), COST, name).value for _ in range(400)
    ]
    found = estimate(numbers, COST, name)
    assert standard_error(found.influence) == pytest.approx(np.std(resampled), rel=0.15)


def test_a_smaller_error_and_a_smaller_bias_are_gains(numbers):
    rmse = measure(numbers, COST, "rmse_gain")
    assert rmse.value == pytest.approx(
        sk.root_mean_squared_error(numbers.label, numbers.baselines["mean"])
        - sk.root_mean_squared_error(numbers.label, numbers.prediction)
    )
    shifted = replace(numbers, baselines={"worse": numbers.label - 5})
    assert measure(shifted, COST, "bias_gain").value > 4


def test_targets_of_zero_are_left_out_of_mape():
    found = measure(scored([0, 2], [5, 3]), COST, "mape")
    assert (found.value, found.support) == (0.5, 1)
    assert measure(scored([0], [5]), COST, "mape").reason == "every target is 0"


def test_a_constant_target_has_no_r2():
    assert measure(scored([2, 2], [1, 2]), COST, "r2").reason == "the target is constant"


def test_ndcg_equals_that_of_scikit_learn():
    random = np.random.default_rng(1)
    user = np.repeat(np.arange(20), 8)
    label, score = random.integers(1, 6, 160).astype(float), random.random(160)
    score[:40] = np.round(score[:40], 1)  # ties, shared as scikit-learn shares them
    judge = Judge("recommendation", top_k=5, relevant_from=4)
    expected, hits = [], []
    for one in range(20):
        relevant = (label[user == one] >= 4).astype(float)
        if relevant.any():
            expected.append(sk.ndcg_score([relevant], [score[user == one]], k=5))
            orders = [random.permutation(8) for _ in range(2000 if one < 5 else 1)]
            best = [o[np.argsort(-score[user == one][o], kind="stable")[:5]] for o in orders]
            hits.append(np.mean([relevant[top].mean() for top in best]))
    rows = scored(label, score, user=user)
    found = measure(rows, judge, "ndcg_at_k")
    assert found.value == pytest.approx(np.mean(expected))
    assert found.support == len(expected)
    assert measure(rows, judge, "precision_at_k").value == pytest.approx(np.mean(hits), abs=1e-3)
    # A score without information is as good as chance, in whatever order the rows come.
    flat = scored(np.sort(label), np.ones(160), user=np.zeros(160, dtype=int))
    assert measure(flat, judge, "precision_at_k").value == pytest.approx((label >= 4).mean())


def test_users_without_a_relevant_row_are_left_out():
    judge = Judge("recommendation", top_k=1, relevant_from=4)
    rows = scored([5, 1, 1], [0.9, 0.8, 0.7], user=np.array([0, 0, 1]))
    assert measure(rows, judge, "precision_at_k").value == 1.0
    none = scored([1, 1], [0.9, 0.8], user=np.array([0, 0]))
    assert measure(none, judge, "ndcg_at_k").reason == "no user has a relevant row"


def test_every_metric_of_the_project_file_has_a_formula(binary):
    from crisp_spark.evaluation.formulas import FORMULAS

    assert {problem: set(table) for problem, table in METRICS.items()} == {
        problem: set(table) for problem, table in FORMULAS.items()
    }


def test_gains_are_known_names_where_there_are_baselines():
    assert "pr_auc_gain" in metric_names("binary")
    assert metric_info("binary", "log_loss_gain").higher_is_better
    assert not metric_info("binary", "log_loss").higher_is_better
    assert metric_info("clustering", "silhouette_gain") is None
    assert metric_info("binary", "rmse") is None
