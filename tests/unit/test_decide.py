from __future__ import annotations

import math
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_spark.business.charter import Circumstances, freeze_charter
from crisp_spark.evaluation.decide import decide
from crisp_spark.evaluation.decide.criteria import judge, number
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.evaluate import (
    Comparison,
    EvaluateResult,
    Measurement,
    MetricValue,
    RobustnessPoint,
    SliceReport,
    SliceResult,
    StabilityRow,
    ThresholdChoice,
    ThresholdPoint,
)
from crisp_spark.results.quality import QualityResult, RuleResult, SourceQuality
from crisp_spark.results.split import SplitCheck, SplitResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.run.steps.deciding import decide as decide_step
from crisp_spark.spec.business import BusinessSpec, Criterion
from crisp_spark.spec.evaluation import OverrideSpec

ORDER = ["stop", "iterate", "deploy"]
M1 = {"id": "M1", "metric": "pr_auc", "target": 0.45, "compare": "lower_bound"}
E1 = {"id": "E1", "level": "economic", "metric": "value_per_row_gain", "target": 0.5, "unit": "USD"}


def charter(*criteria: dict, **parts) -> CharterResult:
    spec = BusinessSpec.model_validate(
        {
            "mining_goal": {"problem": "binary", "target": "late", "positive": True},
            "criteria": list(criteria) or [M1],
        }
        | parts
    )
    return freeze_charter(
        spec,
        project="p",
        circumstances=Circumstances(frozen_at=datetime(2026, 3, 10, tzinfo=UTC)),
    )


def measurement(criterion: str = "M1", value=0.5, low=0.48, high=0.52, rows=1000, **more):
    return Measurement(
        criterion_id=criterion,
        metric="pr_auc",
        on="test",
        slice="all",
        value=value,
        low=low,
        high=high,
        support=rows,
        rows=rows,
        **more,
    )


def comparison(
    value=0.1, low=0.05, high=0.15, other="baseline prior", metric="pr_auc", split="test"
):
    better = None if low is None or low <= 0 <= high else low > 0
    return Comparison(
        other=other,
        split=split,
        metric=metric,
        model=0.5,
        other_value=0.4,
        gain=MetricValue(name=metric, value=value, low=low, high=high),
        better=better,
    )


def evaluation(*measured: Measurement, **more) -> EvaluateResult:
    facts = {
        "problem": "binary",
        "main_metric": "pr_auc",
        "confidence": 0.95,
        "bootstrap": 100,
        "seed": 1,
        "splits": {},
        "measured": list(measured) or [measurement()],
        "comparisons": [comparison()],
    }
    return EvaluateResult.model_validate(facts | more)


def split_result(verdict: Verdict = Verdict.PASS) -> SplitResult:
    check = SplitCheck(name="keys", statement="no key on both sides", value=3.0, verdict=verdict)
    return SplitResult(
        kind="hash",
        seed=1,
        key=["k"],
        group=[],
        time=None,
        test_share=0.3,
        later_from=None,
        boundaries=[],
        rows_in=10,
        parts=[],
        folds=[],
        checks=[check],
    )


def sweep(*warnings: str, failed: int = 0) -> SweepResult:
    trials = [SimpleNamespace(status="failed")] * failed + [SimpleNamespace(status="finished")]
    plan = SimpleNamespace(left_out=2, stopped="budget of 10 s")
    return SweepResult.model_construct(warnings=list(warnings), trials=trials, plan=plan)


def override(decision="deploy", **more) -> OverrideSpec:
    return OverrideSpec(
        decision=decision, name="Ana", reason="peak season", date=date(2026, 3, 11), **more
    )


# One criterion


@pytest.mark.parametrize(
    ("parts", "numbers", "verdict", "margin"),
    [
        ({"target": 0.5}, (0.5, 0.4, 0.6), "pass", 0.0),
        ({"target": 0.5}, (0.499, 0.4, 0.6), "fail", -0.001),
        ({"target": 0.5, "compare": "lower_bound"}, (0.6, 0.49, 0.7), "fail", -0.01),
        ({"target": 0.5, "compare": "lower_bound"}, (0.6, 0.5, 0.7), "pass", 0.0),
        ({"target": 0.5, "compare": "upper_bound"}, (0.4, 0.3, 0.55), "pass", 0.05),
        ({"target": 0.5, "direction": "at_most"}, (0.5, 0.4, 0.6), "pass", 0.0),
        ({"target": 0.5, "direction": "at_most"}, (0.7, 0.6, 0.8), "fail", -0.2),
        (
            {"target": 0.5, "direction": "at_most", "compare": "upper_bound"},
            (0.45, 0.4, 0.51),
            "fail",
            -0.01,
        ),
        ({"target": -5}, (-4, -6, -2), "pass", 1.0),
    ],
)
def test_a_number_is_held_against_the_target(parts, numbers, verdict, margin):
    criterion = Criterion.model_validate({"id": "C", "metric": "m"} | parts)
    value, low, high = numbers
    found = judge(criterion, measurement("C", value, low, high))
    assert found.verdict == verdict
    assert found.margin == pytest.approx(margin, abs=1e-12)


@pytest.mark.parametrize(
    ("parts", "measured", "reason"),
    [
        ({}, None, "the evaluation did not measure it"),
        ({"measured_by": "person"}, None, "nobody has measured it yet"),
        ({"min_support": 1001}, {}, "1,000 rows are too few, 1,001 are needed"),
        ({}, {"value": None, "low": None, "high": None, "reason": "no positives"}, "no positives"),
        ({}, {"value": None, "low": None, "high": None}, "there is no value"),
        ({"compare": "lower_bound"}, {"low": None}, "there is no lower bound"),
        ({"compare": "upper_bound"}, {"high": None}, "there is no upper bound"),
        ({}, {"value": math.nan}, "there is no value"),
        ({}, {"value": math.inf}, "there is no value"),
    ],
)
def test_a_criterion_without_enough_evidence_is_unknown(parts, measured, reason):
    criterion = Criterion.model_validate({"id": "C", "metric": "m", "target": 0.1} | parts)
    found = judge(criterion, None if measured is None else measurement("C", **measured))
    assert found.verdict is Verdict.UNKNOWN
    assert reason in found.sentence
    assert found.sentence.startswith("C is unknown")


def test_too_few_rows_are_unknown_even_where_the_number_would_fail():
    criterion = Criterion(id="C", metric="m", target=0.9, min_support=2000)
    assert judge(criterion, measurement("C", 0.1)).verdict is Verdict.UNKNOWN


def test_a_person_may_read_the_value():
    reading = {"value": 12, "low": 11, "high": 13, "by": "Ana", "date": "2026-01-05"}
    parts = {"id": "B", "metric": "complaints", "target": 10, "direction": "at_most"}
    criterion = Criterion.model_validate(parts | {"measured_by": "person", "reading": reading})
    assert judge(criterion, measurement("B", 1.0)).verdict is Verdict.FAIL
    few = Criterion.model_validate(
        parts | {"measured_by": "person", "reading": reading | {"support": 3}, "min_support": 30}
    )
    assert judge(few, None).verdict is Verdict.UNKNOWN


def test_sentence_holds_value_interval_target_and_gap():
    criterion = Criterion.model_validate(M1 | {"slice": "carrier=UA", "unit": "points"})
    sentence = judge(criterion, measurement(value=0.462, low=0.438, high=0.486)).sentence
    assert sentence == (
        "M1 fails: pr_auc on test where carrier=UA is 0.462 points (0.438 to 0.486); "
        "its lower bound 0.438 must be at least 0.45 and misses by 0.012."
    )
    passing = judge(Criterion(id="B", metric="net_value", target=1000), measurement("B", 123456.7))
    assert passing.sentence.endswith("it must be at least 1,000 and has 122,457 to spare.")


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (-12345.6, "-12,346"), (999.96, "1000"), (0, "0")]
)
def test_numbers_in_sentences_are_short(value, text):
    assert number(value) == text


# The decision


def test_deploy_when_all_required_criteria_pass_and_baselines_are_beaten():
    result = decide(charter(), evaluation(), split=split_result(), sweep=sweep())
    assert (result.decision, result.verdict, result.overridden) == ("deploy", "deploy", False)
    assert result.summary == "Deploy: every required criterion passes."
    assert result.actions[0].id == "deploy"
    assert "M1 has the least room" in result.changes[0].sentence
    assert DecideResult.model_validate(result.model_dump(mode="json")) == result


def test_iterate_when_a_required_criterion_fails():
    result = decide(charter(), evaluation(measurement(value=0.46, low=0.438)))
    assert result.decision == "iterate"
    assert result.reasons[0].startswith("M1 fails")
    assert "M1 misses by 0.012" in result.changes[0].sentence


def test_iterate_when_a_required_criterion_is_unknown():
    result = decide(charter(M1, M1 | {"id": "M2"}), evaluation(measurement()))
    assert result.decision == "iterate"
    assert result.reasons == ["M2 is unknown: pr_auc on test: the evaluation did not measure it."]
    assert [change.kind for change in result.changes] == ["measure"]
    assert any(action.id == "measure" and action.recommended for action in result.actions)


def test_criteria_that_are_not_required_do_not_block():
    result = decide(charter(M1, M1 | {"id": "M2", "required": False, "target": 0.9}), evaluation())
    assert result.decision == "deploy"
    assert any(action.id == "follow_up" and "M2" in action.reason for action in result.actions)


def test_iterate_when_nothing_is_required():
    result = decide(charter(M1 | {"required": False}), evaluation())
    assert result.decision == "iterate"
    assert "No criterion is required" in result.reasons[0]
    assert [change.kind for change in result.changes] == ["charter"]


def test_stop_when_the_model_is_worse_than_a_baseline_for_sure():
    result = decide(charter(), evaluation(comparisons=[comparison(-0.1, -0.2, -0.05)]))
    assert result.decision == "stop"
    assert "worse than the baseline 'prior'" in result.reasons[0]
    assert result.actions[0].id == "stop"
    assert result.actions[0].recommended


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([comparison(0.01, -0.01, 0.03)], "iterate"),
        ([comparison(), comparison(0.0, -0.1, 0.1, other="baseline current_rule")], "iterate"),
        ([comparison(), comparison(-0.2, -0.3, -0.1, other="champion")], "iterate"),
        ([comparison(), comparison(0.0, -0.1, 0.1, other="champion")], "deploy"),
        ([comparison(), comparison(-0.2, -0.3, -0.1, metric="f1")], "deploy"),
        ([comparison(), comparison(-0.2, -0.3, -0.1, split="train")], "deploy"),
        ([comparison(0.1, None, None)], "deploy"),
        ([comparison(-0.1, None, None)], "iterate"),
        ([comparison(None, None, None)], "iterate"),
        ([], "deploy"),
    ],
)
def test_baselines_and_the_model_in_use_have_their_say(given, expected):
    assert decide(charter(), evaluation(comparisons=given)).decision == expected


def test_the_strongest_baseline_comes_first():
    given = [comparison(0.3, 0.2, 0.4), comparison(0.1, 0.05, 0.2, other="baseline rule")]
    assert [c.other for c in decide(charter(), evaluation(comparisons=given)).baselines] == [
        "rule",
        "prior",
    ]


@pytest.mark.parametrize(
    ("parts", "numbers", "expected"),
    [
        ({}, (-1.0, -2.0, -0.5), "stop"),
        ({}, (-1.0, -2.0, 0.1), "iterate"),
        ({}, (0.2, 0.1, 0.3), "iterate"),
        ({}, (-1.0, None, None), "stop"),
        ({"required": False}, (-1.0, -2.0, -0.5), "deploy"),
        ({"current": -3.0}, (-1.0, -2.0, -0.5), "iterate"),
        ({"current": 0.4}, (0.2, 0.1, 0.3), "stop"),
        ({"level": "business"}, (-1.0, -2.0, -0.5), "iterate"),
        ({"direction": "at_most", "target": 5}, (9.0, 8.0, 10.0), "iterate"),
        ({"direction": "at_most", "target": 5, "current": 7}, (9.0, 8.0, 10.0), "stop"),
        ({"direction": "at_most", "target": 5, "current": 7}, (7.5, 6.5, 8.5), "iterate"),
    ],
)
def test_stop_when_a_required_economic_criterion_loses_for_sure(parts, numbers, expected):
    measured = [measurement(), measurement("E1", *numbers)]
    assert decide(charter(M1, E1 | parts), evaluation(*measured)).decision == expected


def test_a_hole_in_the_split_blocks():
    result = decide(charter(), evaluation(), split=split_result(Verdict.FAIL))
    assert result.decision == "iterate"
    assert "The split does not hold: no key on both sides (found: 3)" in result.reasons
    assert decide(charter(), evaluation(), split=split_result(Verdict.WARN)).decision == "deploy"


def test_a_suspected_leak_blocks_and_is_named():
    leak = "Leakage suspect: dep_delay alone has an AUC of 0.99"
    result = decide(charter(), evaluation(), sweep=sweep(leak, "rows without a label: 3"))
    assert result.decision == "iterate"
    assert result.leakage == [leak]
    assert result.actions[0].id == "leak"


def test_measurements_under_other_criteria_decide_nothing():
    result = decide(charter(), evaluation(criteria_hash="0" * 64))
    assert result.decision == "iterate"
    assert result.criteria[0].verdict is Verdict.UNKNOWN


# What would change it


def test_more_rows_help_where_only_the_interval_misses():
    result = decide(charter(), evaluation(measurement(value=0.46, low=0.43, high=0.49)))
    change = next(item for item in result.changes if item.kind == "rows")
    assert change.needed == 9000  # half width 0.03 must shrink to 0.01: nine times the rows
    none = decide(charter(), evaluation(measurement(value=0.44, low=0.43, high=0.45)))
    assert not [item for item in none.changes if item.kind == "rows"]


def threshold() -> ThresholdChoice:
    points = [(0.3, 0.3, 0.8), (0.4, 0.5, 0.6), (0.6, 0.7, 0.2)]
    return ThresholdChoice(
        value=0.35,
        by="metric",
        metric="f1",
        chosen_on="validation",
        explanation="",
        curve=[
            ThresholdPoint(
                threshold=at, alert_rate=0.1, precision=p, recall=r, f1=None, value_per_row=None
            )
            for at, p, r in points
        ],
    )


def test_another_threshold_is_offered_with_its_price():
    precise = {"id": "M1", "metric": "precision", "target": 0.5}
    given = evaluation(measurement(value=0.4), threshold=threshold())
    change = next(i for i in decide(charter(precise), given).changes if i.kind == "threshold")
    assert change.needed == 0.4
    assert "0.4 instead of 0.35" in change.sentence
    assert "recall 0.6" in change.sentence
    for parts in ({"slice": "a=b"}, {"target": 0.9}, {"metric": "pr_auc"}):
        result = decide(charter(precise | parts), given)
        assert not [item for item in result.changes if item.kind == "threshold"]


def test_a_target_to_agree_on_is_named():
    result = decide(charter(), evaluation(measurement(value=0.46, low=0.438)))
    change = next(item for item in result.changes if item.kind == "target")
    assert change.needed == 0.438
    assert "amendment" in change.sentence


def test_actions_follow_from_what_the_evaluation_shows():
    gap = MetricValue(name="pr_auc", value=-0.2, low=-0.25, high=-0.15)
    weak = SliceResult(
        name="carrier=UA",
        columns=["carrier"],
        declared=True,
        rows=50,
        loss=1,
        excess=0.5,
        low=0.1,
        high=0.9,
        harm=25,
        weak=True,
    )
    given = evaluation(
        measurement(value=0.2, low=0.1, high=0.3),
        stability=[StabilityRow(metric="pr_auc", values={}, gaps={"train_test": gap})],
        slices=SliceReport(
            split="test",
            loss="wrong decisions",
            overall=0.5,
            tested=3,
            confidence=0.95,
            min_support=10,
            columns=["carrier"],
            slices=[weak],
        ),
        robustness=[
            RobustnessPoint(
                damage="missing", share=0.2, metric="pr_auc", value=None, base=0.5, error="boom"
            )
        ],
    )
    actions = {item.id: item for item in decide(charter(), given).actions}
    assert "0.2 better on training rows" in actions["simplify"].reason
    assert "carrier=UA" in actions["slices"].reason
    assert "20% of the cells missing" in actions["robustness"].reason
    assert "features" not in actions


def test_without_overfitting_better_features_are_proposed():
    actions = decide(charter(), evaluation(measurement(value=0.2, low=0.1))).actions
    assert "features" in [item.id for item in actions]
    assert [a.recommended for a in actions] == sorted(
        (a.recommended for a in actions), reverse=True
    )


# Caveats


def test_what_weakens_the_evidence_is_listed():
    rule = RuleResult(
        name="age between",
        kind="between",
        columns=("age",),
        severity="warn",
        expected="",
        verdict=Verdict.WARN,
        rows=10,
    )
    quality = QualityResult(
        verdict=Verdict.WARN,
        sources=(
            SourceQuality(
                source="people",
                rows=10_000,
                kept=9_000,
                quarantined=1_000,
                verdict=Verdict.WARN,
                rules=(rule,),
            ),
        ),
    )
    expired = {"assumptions": [{"id": "A", "statement": "s", "expires": "2020-01-01"}]}
    later = MetricValue(name="pr_auc", value=-0.2, low=-0.25, high=-0.15)
    given = evaluation(
        notes=["a sample was taken"],
        stability=[StabilityRow(metric="pr_auc", values={}, gaps={"test_later": later})],
    )
    result = decide(charter(M1, **expired), given, quality=quality, sweep=sweep(failed=1))
    text = "\n".join(result.caveats)
    assert "assumption A: expired" in text
    assert "1 of 1 rules do not hold" in text
    assert "1,000 of 10,000 rows are in quarantine" in text
    assert "1 of 2 trials failed" in text
    assert "2 planned trials were left out (budget of 10 s)" in text
    assert "differs between the test rows and the later period" in text
    assert "a sample was taken" in text
    assert result.decision == "deploy"


def test_a_changed_charter_stays_visible():
    first = charter()
    spec = BusinessSpec.model_validate(
        {
            "version": 2,
            "amendment": "less will do",
            "mining_goal": {"problem": "binary", "target": "late", "positive": True},
            "criteria": [M1 | {"target": 0.4}],
        }
    )
    second = freeze_charter(
        spec,
        project="p",
        circumstances=Circumstances(
            frozen_at=datetime(2026, 3, 11, tzinfo=UTC),
            charters=[{"result": first.model_dump(mode="json")}],
        ),
    )
    result = decide(second, evaluation())
    assert result.evidence.amendments == 1
    assert any("less will do" in line and "0.45 -> 0.4" in line for line in result.caveats)


# Override


def test_an_override_decides_and_the_verdict_stays():
    result = decide(charter(), evaluation(measurement(value=0.1, low=0.1)), override=override())
    assert (result.decision, result.verdict, result.overridden) == ("deploy", "iterate", True)
    assert result.summary.startswith("Deploy, by override. Ana (2026-03-11)")
    assert "peak season" in result.summary
    assert "Verdict: Iterate" in result.summary
    assert result.override is not None
    assert result.evidence.hash[:12] in result.override.sentence


def test_an_override_that_agrees_changes_nothing():
    result = decide(charter(), evaluation(), override=override())
    assert (result.decision, result.overridden) == ("deploy", False)
    assert result.override is not None


def test_an_override_is_tied_to_its_evidence():
    bad = evaluation(measurement(value=0.1, low=0.1))
    tied = override(evidence=decide(charter(), bad).evidence.hash[:12])
    assert decide(charter(), bad, override=tied).decision == "deploy"
    worse = evaluation(measurement(value=0.05, low=0.05))
    result = decide(charter(), worse, override=tied)
    assert (result.decision, result.overridden) == ("iterate", False)
    assert result.override is not None
    assert "for other evidence" in result.override.sentence


def test_an_override_may_stop_a_model_that_passes():
    assert decide(charter(), evaluation(), override=override("stop")).decision == "stop"


# Laws

values = st.floats(-1, 1, allow_nan=False)


@st.composite
def numbers(draw):
    low, value, high = sorted([draw(values), draw(values), draw(values)])
    return value, low, high


@settings(max_examples=300, deadline=None)
@given(
    numbers(),
    numbers(),
    numbers(),
    st.floats(0, 1),
    st.sampled_from(["M1", "E1", "baseline"]),
    st.sampled_from(["estimate", "lower_bound", "upper_bound"]),
)
def test_a_better_number_never_makes_the_decision_worse(m1, e1, gain, more, which, compare):
    """Criteria and baseline, one number raised at a time, everything else equal."""
    agreed = charter(M1 | {"compare": compare}, E1)

    def decision(shift: dict) -> str:
        def moved(name, triple):
            return tuple(item + shift.get(name, 0) for item in triple)

        return decide(
            agreed,
            evaluation(
                measurement("M1", *moved("M1", m1)),
                measurement("E1", *moved("E1", e1)),
                comparisons=[comparison(*moved("baseline", gain))],
            ),
        ).decision

    assert ORDER.index(decision({which: more})) >= ORDER.index(decision({}))


@settings(max_examples=200, deadline=None)
@given(numbers(), st.floats(0, 1), st.none() | values)
def test_a_lower_cost_never_makes_the_decision_worse(cost, less, current):
    agreed = charter(E1 | {"direction": "at_most", "target": 0.2, "current": current})

    def decision(shift: float) -> str:
        found = measurement("E1", *(item - shift for item in cost))
        return decide(agreed, evaluation(found)).decision

    assert ORDER.index(decision(less)) >= ORDER.index(decision(0))


@settings(max_examples=100, deadline=None)
@given(numbers(), numbers(), numbers())
def test_the_verdict_follows_from_the_criteria(m1, e1, gain):
    result = decide(
        charter(M1, E1),
        evaluation(measurement("M1", *m1), measurement("E1", *e1), comparisons=[comparison(*gain)]),
    )
    passed = all(item.verdict is Verdict.PASS for item in result.criteria)
    assert (result.verdict == "deploy") == (passed and gain[1] > 0)
    assert result.reasons
    assert result.changes
    assert DecideResult.model_validate_json(result.model_dump_json()) == result


# Wiring


def test_step_reads_results_and_tags_the_decision():
    recorded: dict = {}
    stored = {CharterResult: charter(), EvaluateResult: evaluation()}
    run = SimpleNamespace(
        spec=SimpleNamespace(evaluation=SimpleNamespace(override=None)),
        tracker=SimpleNamespace(tags=recorded.update),
        result=stored.__getitem__,
        result_or_none=stored.get,
    )
    outcome = decide_step(run)
    assert outcome.result.decision == "deploy"
    assert recorded["crisp.criterion.M1"] == "pass"
    assert outcome.metrics["criterion.M1.margin"] == pytest.approx(0.03)
    assert outcome.notes[0].level == "info"
