from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from crisp_spark.errors import SpecError
from crisp_spark.evaluation.threshold import (
    ThresholdTask,
    best_threshold,
    break_even_score,
    capacity_share,
    choose_threshold,
    resolved_rule,
)
from crisp_spark.spec.business import OutcomeValues
from crisp_spark.spec.evaluation import ThresholdSpec

VALUES = OutcomeValues(tp=10, fp=-4, currency="EUR")
LABEL = np.array([1.0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
MONEY = ThresholdTask("outcome_values", ThresholdSpec(), VALUES, resamples=50)


def alerts(value: float) -> int:
    return int((value <= SCORE).sum())


def test_the_threshold_brings_the_most_money():
    # Alerts on the first n rows are worth 10, 20, 16, 26, 22, ...: four is best.
    choice = choose_threshold(LABEL, SCORE, MONEY, chosen_on="validation")
    assert alerts(choice.value) == 4
    assert choice.value == pytest.approx(0.55)  # half-way to the next score
    assert choice.metric == "value_per_row"
    assert max(p.value_per_row for p in choice.curve) == pytest.approx(2.6)
    assert not choice.capacity_binds


def test_capacity_limits_the_alerts_and_says_so():
    choice = choose_threshold(LABEL, SCORE, replace(MONEY, capacity=0.3), chosen_on="validation")
    assert alerts(choice.value) == 2  # three alerts are worth less than two
    assert choice.capacity_binds
    assert alerts(choice.unlimited) == 4
    assert "more alerts would pay" in choice.explanation


def test_no_alert_at_all_when_alerts_never_pay():
    costly = replace(MONEY, values=OutcomeValues(tp=1, fp=-100, currency="EUR"))
    choice = choose_threshold(1 - LABEL, SCORE, costly, chosen_on="validation")
    assert alerts(choice.value) == 0
    assert choice.value > 1
    assert "No threshold pays" in choice.explanation


def test_an_alert_for_every_row_when_all_pay():
    always = replace(MONEY, values=OutcomeValues(tp=1, fp=1, currency="EUR"))
    assert alerts(choose_threshold(LABEL, SCORE, always, chosen_on="train").value) == 10


def test_by_metric_maximises_the_metric():
    task = ThresholdTask("metric", ThresholdSpec(metric="f1"), resamples=20)
    choice = choose_threshold(LABEL, SCORE, task, chosen_on="validation")
    assert alerts(choice.value) == 4
    assert max(point.f1 for point in choice.curve) == pytest.approx(6 / 7)
    assert choice.break_even is None
    assert all(point.value_per_row is None for point in choice.curve)


def test_a_fixed_threshold_is_taken_as_it_is():
    task = ThresholdTask("fixed", ThresholdSpec(by="fixed", value=0.25), VALUES)
    choice = choose_threshold(LABEL, SCORE, task, chosen_on="validation")
    assert (choice.value, choice.low, choice.metric) == (0.25, None, "")


def test_the_interval_holds_the_choice_and_repeats_itself():
    random = np.random.default_rng(0)
    score = random.random(3000)
    label = (random.random(3000) < score).astype(float)
    choice = choose_threshold(label, score, MONEY, chosen_on="validation")
    assert choice.low <= choice.value <= choice.high
    assert choice.high - choice.low < 0.3
    # With true probabilities the best threshold is the break-even score.
    assert choice.break_even == pytest.approx(4 / 14)
    assert choice.low < choice.break_even < choice.high
    again = choose_threshold(label, score, MONEY, chosen_on="validation")
    assert again == choice


def test_equal_scores_are_never_separated():
    label, score = np.array([1.0, 0, 0, 0]), np.array([0.5, 0.5, 0.5, 0.1])
    choice = choose_threshold(label, score, MONEY, chosen_on="validation")
    assert int((score >= choice.value).sum()) in {0, 3, 4}


def test_the_curve_is_bounded_and_falls_in_threshold():
    random = np.random.default_rng(0)
    score = random.random(5000)
    choice = choose_threshold((score > 0.5) * 1.0, score, MONEY, chosen_on="validation")
    thresholds = [point.threshold for point in choice.curve]
    assert len(thresholds) <= MONEY.points
    assert thresholds == sorted(thresholds, reverse=True)


def test_a_yes_or_no_rule_is_taken_as_practised():
    rule = np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert best_threshold(LABEL, rule, replace(MONEY, capacity=0.1)) == 0.5
    assert best_threshold(LABEL, np.full(10, 0.3), MONEY) <= 0.3


def test_break_even_needs_alerts_that_can_pay():
    assert break_even_score(OutcomeValues(tp=10, fp=-4)) == pytest.approx(4 / 14)
    assert break_even_score(OutcomeValues(tp=0, fp=0, fn=5, tn=0)) is None


def test_auto_follows_the_outcome_values():
    assert resolved_rule(ThresholdSpec(), VALUES) == "outcome_values"
    assert resolved_rule(ThresholdSpec(), None) == "metric"
    assert resolved_rule(ThresholdSpec(), OutcomeValues(cost_per_unit_error=1)) == "metric"
    with pytest.raises(SpecError, match=r"business\.outcome_values gives none"):
        resolved_rule(ThresholdSpec(by="outcome_values"), None)


@pytest.mark.parametrize(
    ("capacity", "rows", "expected"),
    [(None, None, None), (0.2, None, 0.2), (50, None, 0.05), (50, 100, 0.5), (5000, None, 1.0)],
)
def test_capacity_is_a_share_or_a_number(capacity, rows, expected):
    spec = ThresholdSpec(capacity=capacity, capacity_rows=rows)
    assert capacity_share(spec, test_rows=1000) == expected


def test_incomplete_thresholds_are_refused():
    with pytest.raises(ValidationError, match="needs `value`"):
        ThresholdSpec(by="fixed")
    with pytest.raises(ValidationError, match="metric must be one of"):
        ThresholdSpec(metric="roc_auc")
