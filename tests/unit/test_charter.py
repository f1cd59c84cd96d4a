from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from crisp_spark.business.charter import Circumstances, freeze_charter, rank_risks, sum_costs
from crisp_spark.business.history import check_frozen, describe_changes
from crisp_spark.business.plan import critical_path, plan_stages
from crisp_spark.business.resources import find_resources
from crisp_spark.business.techniques import suggest_problem
from crisp_spark.errors import SpecError
from crisp_spark.results.charter import CharterResult
from crisp_spark.run.steps.business import charter
from crisp_spark.spec.business import BusinessSpec, OutcomeValues, PlanStage, Risk

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
GOAL = {"problem": "binary", "target": "late", "positive": True}
M1 = {"id": "M1", "objective": "O1", "metric": "pr_auc", "target": 0.45}


def business(**parts) -> BusinessSpec:
    base = {
        "mining_goal": GOAL,
        "objectives": [{"id": "O1", "statement": "Fewer missed connections"}],
        "criteria": [M1],
    }
    return BusinessSpec.model_validate(base | parts)


def freeze(spec: BusinessSpec, **known) -> CharterResult:
    circumstances = Circumstances(**({"frozen_at": NOW} | known))
    return freeze_charter(spec, project="flights", circumstances=circumstances)


def committed(result: CharterResult) -> dict:
    return {"result": result.model_dump(mode="json"), "created": NOW}


def evaluated(spec: BusinessSpec) -> dict:
    return {
        "result": {"criteria_hash": spec.criteria_hash, "charter_version": spec.version},
        "created": NOW,
    }


def stages(*lines: tuple) -> list[PlanStage]:
    return [
        PlanStage(stage=name, days=days, depends_on=tuple(before)) for name, days, before in lines
    ]


# What is declared


def test_prose_may_be_plain_text_or_carry_its_author():
    plain = business(background="Delays cost us")
    signed = business(background={"text": "Delays cost us", "owner": "ops", "status": "agreed"})
    assert plain.background is not None
    assert signed.background is not None
    assert (plain.background.text, plain.background.status) == ("Delays cost us", "draft")
    assert (signed.background.owner, signed.background.status) == ("ops", "agreed")


def test_rules_may_be_plain_expressions():
    spec = business(current_rule="hour >= 17", fallback={"expression": "true", "name": "alert all"})
    assert spec.current_rule is not None
    assert spec.fallback is not None
    assert spec.current_rule.expression == "hour >= 17"
    assert spec.fallback.name == "alert all"


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"problem": "binary", "target": "late"}, "needs positive"),
        ({"problem": "regression"}, "needs a target"),
        ({"problem": "clustering", "target": "x"}, "has no target"),
        ({"problem": "recommendation", "target": "stars", "user": "u"}, "needs user and item"),
    ],
)
def test_goal_must_be_complete_for_its_problem(goal, message):
    with pytest.raises(ValidationError, match=message):
        business(mining_goal=goal, criteria=[])


@pytest.mark.parametrize("positive", [True, False, 0, 1, "yes", "süß"])
def test_positive_keeps_its_type(positive):
    found = business(mining_goal=GOAL | {"positive": positive}).mining_goal.positive
    assert found == positive
    assert type(found) is type(positive)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"version": 2}, "needs an amendment"),
        ({"version": 2, "amendment": "  "}, "needs an amendment"),
        ({"criteria": [M1, M1]}, "criteria: 'M1' is given twice"),
        ({"criteria": [M1 | {"objective": "O9"}]}, "no objective 'O9'"),
        ({"criteria": [M1 | {"slice": "carrier"}]}, "column=value"),
        ({"criteria": [M1 | {"slice": "=UA"}]}, "column=value"),
        ({"criteria": [M1 | {"id": "M 1"}]}, "pattern"),
        ({"criteria": [M1 | {"min_support": 0}]}, "greater than or equal to 1"),
        ({"outcome_values": {"currency": "EUR"}}, "give tp, fp, fn and tn"),
        ({"outcome_values": {"tp": 1, "cost_per_unit_error": 2}}, "not both"),
        ({"plan": [{"stage": "a", "days": 1, "depends_on": ["prepare"]}]}, "is no stage"),
        ({"plan": [{"stage": "a", "days": -1}]}, "greater than or equal to 0"),
        (
            {
                "plan": [
                    {"stage": "a", "days": 1, "depends_on": ["b"]},
                    {"stage": "b", "days": 1, "depends_on": ["a"]},
                ]
            },
            "wait for each other: . -> . -> .",
        ),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_faults_of_a_charter_are_named(parts, message):
    with pytest.raises(ValidationError, match=message):
        business(**parts)


def test_reading_needs_a_person():
    reading = {"value": 3, "by": "Ana", "date": "2026-01-05"}
    with pytest.raises(ValidationError, match="measured_by: person"):
        business(criteria=[M1 | {"reading": reading}])
    spec = business(criteria=[M1 | {"reading": reading, "measured_by": "person"}])
    assert spec.criteria[0].reading is not None
    assert spec.criteria[0].reading.date == date(2026, 1, 5)


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        ("all", None, None),
        ("carrier=UA", "carrier", "UA"),
        ("größe (m²)=a=b", "größe (m²)", "a=b"),
        ("a.b = ", "a.b", ""),
    ],
)
def test_slice_is_read_up_to_the_first_equals_sign(text, column, value):
    criterion = business(criteria=[M1 | {"slice": text}]).criteria[0]
    assert (criterion.slice_column, criterion.slice_value) == (column, value)


def test_outcome_values_know_which_kind_they_are():
    assert OutcomeValues(tp=40, fp=-5).per_outcome
    assert not OutcomeValues(cost_per_unit_error=3).per_outcome
    # As it is written into results and read back.
    cost = OutcomeValues(cost_per_unit_error=3)
    assert OutcomeValues.model_validate(cost.model_dump(mode="json")) == cost


# Hashes


def test_wording_does_not_move_a_goal_post_but_changes_the_charter():
    before = business()
    after = business(
        criteria=[M1 | {"statement": "in words", "owner": "ops", "status": "agreed", "unit": "%"}],
        background="new",
        risks=[{"id": "R", "statement": "s"}],
    )
    assert before.criteria_hash == after.criteria_hash
    assert before.charter_hash != after.charter_hash


@pytest.mark.parametrize(
    "parts",
    [
        {"criteria": [M1 | {"target": 0.4}]},
        {"criteria": [M1 | {"slice": "carrier=UA"}]},
        {"criteria": [M1 | {"on": "later"}]},
        {"criteria": [M1 | {"compare": "lower_bound"}]},
        {"criteria": [M1 | {"required": False}]},
        {"criteria": [M1 | {"min_support": 5}]},
        {"criteria": [M1 | {"current": 0.2}]},
        {"criteria": []},
        {"mining_goal": GOAL | {"target_expression": "arr_delay >= 10"}},
        {"outcome_values": {"tp": 40}},
    ],
)
def test_what_decides_changes_the_criteria_hash(parts):
    assert business(**parts).criteria_hash != business().criteria_hash


def test_order_of_criteria_does_not_matter():
    other = M1 | {"id": "M2", "metric": "roc_auc", "target": 0.7}
    assert (
        business(criteria=[M1, other]).criteria_hash == business(criteria=[other, M1]).criteria_hash
    )


def test_a_reading_is_no_change_of_criteria():
    person = M1 | {"measured_by": "person"}
    read = person | {"reading": {"value": 3, "by": "Ana", "date": "2026-01-05"}}
    assert business(criteria=[person]).criteria_hash == business(criteria=[read]).criteria_hash


# Freezing


def test_frozen_charter_survives_json():
    result = freeze(
        business(
            background="b",
            glossary=[{"term": "späte Ankunft", "meaning": "≥ 15 min", "column": "arr delay"}],
            current_rule="hour >= 17",
            criteria=[M1 | {"date": "2026-01-05", "expires": "2026-12-31"}],
        ),
        resources=find_resources(),
    )
    assert CharterResult.model_validate(result.model_dump(mode="json")) == result
    assert result.frozen_at == "2026-03-10T12:00:00+00:00"
    assert result.question_form == "Will it happen to this one, yes or no?"


def test_objectives_come_by_priority_and_glossary_by_name():
    result = freeze(
        business(
            objectives=[
                {"id": "O1", "statement": "second", "priority": 2},
                {"id": "O2", "statement": "first"},
            ],
            glossary=[{"term": "zebra", "meaning": "z"}, {"term": "Ameise", "meaning": "a"}],
        )
    )
    assert [item.id for item in result.objectives] == ["O2", "O1"]
    assert [item.term for item in result.glossary] == ["Ameise", "zebra"]


def test_expired_conditions_are_flagged_against_the_clock_of_the_run():
    result = freeze(
        business(
            assumptions=[
                {"id": "A1", "statement": "old", "expires": "2026-03-09", "owner": "ops"},
                {"id": "A2", "statement": "last day", "expires": "2026-03-10"},
                {"id": "A3", "statement": "no end"},
            ],
            constraints=[{"id": "C1", "statement": "law", "rule": "no_pii"}],
            requirements=[{"id": "Q1", "statement": "explainable"}],
        )
    )
    assert {item.id: item.expired for item in result.conditions} == {
        "Q1": False,
        "A1": True,
        "A2": False,
        "A3": False,
        "C1": False,
    }
    assert "assumption A1: expired on 2026-03-09, ask ops" in result.warnings


def test_risks_are_ranked_and_equal_scores_share_a_rank():
    risks = [
        Risk(id="low", statement="s", likelihood="low", impact="low"),
        Risk(id="b", statement="s", likelihood="high", impact="medium"),
        Risk(id="a", statement="s", likelihood="medium", impact="high"),
        Risk(id="top", statement="s", likelihood="high", impact="high"),
        Risk(id="mid", statement="s", likelihood="low", impact="high"),
    ]
    ranked = rank_risks(risks, NOW.date())
    assert [(item.id, item.rank, item.score, item.band) for item in ranked] == [
        ("top", 1, 9, "high"),
        ("a", 2, 6, "high"),
        ("b", 2, 6, "high"),
        ("mid", 4, 3, "medium"),
        ("low", 5, 1, "low"),
    ]
    assert rank_risks([], NOW.date()) == []


def test_costs_are_summed_by_period_and_broken_down_to_a_prediction():
    costs = sum_costs(
        business(
            running_costs=[
                {"name": "build", "amount": 1000, "period": "once"},
                {"name": "cluster", "amount": 10, "period": "day"},
                {"name": "support", "amount": 100, "period": "month"},
                {"name": "training", "amount": 7, "period": "run"},
            ],
            volume={"rows": 100, "period": "week"},
            outcome_values={"tp": 1, "currency": "CHF"},
        )
    )
    assert (costs.currency, costs.once, costs.yearly, costs.per_run) == ("CHF", 1000, 4850, 7)
    assert costs.rows_per_year == 5200
    assert costs.break_even_per_row == pytest.approx(5850 / 5200)
    assert sum_costs(business()).break_even_per_row is None


def test_techniques_fit_the_problem_and_mark_what_is_tried():
    result = freeze(business(outcome_values={"tp": 1}), families=["random_forest"])
    found = {item.family: item for item in result.techniques}
    assert found["random_forest"].chosen
    assert not found["logistic_regression"].chosen
    assert "kmeans" not in found
    assert any("outcome values" in reason for reason in found["logistic_regression"].reasons)
    assert any("no probabilities" in limit for limit in found["linear_svc"].limits)
    assert all(item.reasons for item in result.techniques)
    for problem, extra in (
        ("multiclass", {"target": "k"}),
        ("regression", {"target": "y"}),
        ("clustering", {}),
        ("recommendation", {"target": "r", "user": "u", "item": "i"}),
    ):
        other = freeze(business(mining_goal={"problem": problem} | extra, criteria=[]))
        assert other.techniques
        assert all(item.reasons for item in other.techniques)


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"numeric": True, "distinct": 2}, "binary"),
        ({"numeric": False, "distinct": 5}, "multiclass"),
        ({"numeric": True, "distinct": 5}, "multiclass"),
        ({"numeric": True, "distinct": 500}, "regression"),
        ({"numeric": False, "distinct": None}, "clustering"),
        ({"numeric": True, "distinct": 9, "has_user_and_item": True}, "recommendation"),
    ],
)
def test_a_question_is_mapped_to_a_class_of_problem(facts, problem):
    assert suggest_problem(**facts)[0] == problem


def test_program_adds_the_machine_to_the_inventory():
    declared = {"name": "Ana", "kind": "people", "detail": "20 days"}
    found = freeze(business(resources=[declared]), resources=find_resources(["nope-nope"]))
    by_name = {item.name: item for item in found.resources}
    assert by_name["Ana"].found_by == "person"
    assert by_name["Python"].found_by == "program"
    assert by_name["nope-nope"].detail == "not installed as a package"
    assert "cores" in by_name["processor"].detail


# Warnings


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"criteria": []}, "no criterion is required: nothing can be decided"),
        ({"criteria": [M1 | {"required": False}]}, "no criterion is required"),
        ({"criteria": [M1 | {"objective": ""}]}, "objective O1: no criterion measures it"),
        ({"criteria": [M1 | {"compare": "upper_bound"}]}, "passes by chance"),
        ({"criteria": [M1 | {"direction": "at_most"}]}, "better when higher"),
        ({"criteria": [M1 | {"metric": "log_loss"}]}, "better when lower"),
        ({"criteria": [M1 | {"metric": "charm"}]}, "no evaluation computes 'charm'"),
        ({"criteria": [M1 | {"metric": "net_value"}]}, "needs business.outcome_values"),
        ({"criteria": [M1 | {"current": 0.5}]}, "less than the current value 0.5"),
        ({"criteria": [M1 | {"measured_by": "person"}]}, "nobody has measured it yet"),
        (
            {"risks": [{"id": "R1", "statement": "s", "likelihood": "high", "impact": "high"}]},
            "risk R1: high, without a contingency or a trigger",
        ),
        (
            {"risks": [{"id": "R1", "statement": "s", "expires": "2020-01-01"}]},
            "R1: its assessment",
        ),
    ],
)
def test_what_is_odd_about_a_charter_is_said(parts, line):
    assert any(line in warning for warning in freeze(business(**parts)).warnings)


def test_a_sound_charter_has_no_warnings():
    assert freeze(business()).warnings == []


# Plan


def test_plan_keeps_the_declared_order_where_dependencies_allow():
    planned = plan_stages(stages(("deploy", 2, ["model"]), ("data", 5, []), ("model", 3, ["data"])))
    assert [(item.stage, item.order, item.start_day, item.end_day) for item in planned] == [
        ("data", 1, 0, 5),
        ("model", 2, 5, 8),
        ("deploy", 3, 8, 10),
    ]


def test_critical_path_is_the_longest_and_the_rest_has_slack():
    planned = plan_stages(
        stages(("a", 2, []), ("b", 5, ["a"]), ("c", 1, ["a"]), ("d", 1, ["b", "c"]), ("e", 0.5, []))
    )
    assert critical_path(planned) == (["a", "b", "d"], 8)
    assert {item.stage: item.slack_days for item in planned} == {
        "a": 0,
        "b": 0,
        "c": 4,
        "d": 0,
        "e": 7.5,
    }
    assert {item.stage for item in planned if item.critical} == {"a", "b", "d"}


def test_the_tightest_successor_sets_the_slack_in_any_order():
    planned = plan_stages(stages(("a", 2, []), ("short", 1, ["a"]), ("long", 5, ["a"])))
    assert {item.stage: item.slack_days for item in planned} == {"a": 0, "short": 4, "long": 0}
    planned = plan_stages(stages(("a", 2, []), ("long", 5, ["a"]), ("short", 1, ["a"])))
    assert {item.stage: item.slack_days for item in planned} == {"a": 0, "short": 4, "long": 0}


def test_plan_of_no_stages_and_of_stages_without_days():
    assert plan_stages([]) == []
    assert critical_path([]) == ([], 0.0)
    planned = plan_stages(stages(("a", 0, []), ("b", 0, ["a"])))
    assert critical_path(planned)[1] == 0


def test_plan_refuses_a_circle_and_an_unknown_stage():
    with pytest.raises(SpecError, match="wait for each other"):
        plan_stages(stages(("a", 1, ["b"]), ("b", 1, ["a"])))
    with pytest.raises(SpecError, match="'x', which is no stage"):
        plan_stages(stages(("a", 1, ["x"])))
    with pytest.raises(SpecError, match="wait for each other"):
        plan_stages(stages(("a", 1, ["a"])))


# Versions


def test_criteria_cannot_change_after_the_test_set_was_read():
    used = business()
    moved = business(criteria=[M1 | {"target": 0.4}])
    with pytest.raises(SpecError, match="changed after the test set was read") as error:
        freeze(moved, evaluations=[evaluated(used)])
    assert "business.version to 2" in error.value.hint
    assert "business.amendment" in error.value.hint


def test_criteria_may_change_before_the_test_set_was_read_and_wording_always():
    first = freeze(business())
    moved = freeze(business(criteria=[M1 | {"target": 0.4}]), charters=[committed(first)])
    assert moved.amendments[-1].criteria_changed
    assert not moved.amendments[0].evaluated
    worded = business(criteria=[M1 | {"statement": "clearer"}])
    assert freeze(worded, evaluations=[evaluated(business())]).amendments[-1].evaluated


def test_a_new_version_with_a_reason_is_allowed_and_shows_what_changed():
    old = business(criteria=[M1, M1 | {"id": "M2", "metric": "roc_auc", "target": 0.7}])
    new = business(
        version=2,
        amendment="the sponsor accepts less",
        criteria=[M1 | {"target": 0.4}, M1 | {"id": "M3", "metric": "f1", "target": 0.3}],
        outcome_values={"tp": 5},
    )
    result = freeze(new, charters=[committed(freeze(old))], evaluations=[evaluated(old)])
    assert [
        (item.version, item.evaluated, item.criteria_changed) for item in result.amendments
    ] == [
        (1, True, False),
        (2, False, True),
    ]
    last = result.amendments[-1]
    assert last.reason == "the sponsor accepts less"
    assert last.charter_hash == new.charter_hash
    assert "M2: taken out" in last.changes
    assert "M3: added (f1 at least 0.3 on test)" in last.changes
    assert "M1: target 0.45 -> 0.4" in last.changes
    assert "outcome values: tp none -> 5.0" in last.changes


def test_versions_only_rise():
    later = business(version=3, amendment="more")
    with pytest.raises(SpecError, match="read under version 3"):
        freeze(business(), evaluations=[evaluated(later)])


def test_the_test_set_is_only_read_under_the_frozen_criteria():
    frozen = freeze(business())
    check_frozen(business(background="other words"), frozen)
    for moved in (
        business(criteria=[M1 | {"target": 0.4}]),
        business(version=2, amendment="again"),
    ):
        with pytest.raises(SpecError, match="not those of the frozen charter") as error:
            check_frozen(moved, frozen)
        assert "--from charter" in error.value.hint


def test_an_evaluation_without_a_hash_binds_nothing():
    bare = {"result": {"problem": "binary"}, "created": ""}
    assert freeze(business(), evaluations=[bare]).version == 1


def test_the_same_charter_again_is_one_version():
    first = freeze(business())
    again = freeze(business(background="new words"), charters=[committed(first)])
    assert len(again.amendments) == 1
    assert again.amendments[0].charter_hash == again.charter_hash
    assert again.amendments[0].created == first.frozen_at


def test_changes_ignore_wording():
    one = freeze(business()).model_dump(mode="json")
    two = freeze(business(criteria=[M1 | {"owner": "ops"}])).model_dump(mode="json")
    assert describe_changes(one, two) == []


# Wiring


class FakeTracker:
    def __init__(self):
        self.recorded = {}

    def tags(self, values):
        self.recorded |= values


def fake_run(spec: BusinessSpec, history: dict | None = None):
    return SimpleNamespace(
        spec=SimpleNamespace(
            business=spec,
            project=SimpleNamespace(name="flights"),
            modeling=SimpleNamespace(families=()),
        ),
        started=NOW,
        tracker=FakeTracker(),
        commits=lambda step: (history or {}).get(step, []),
    )


def test_step_freezes_and_tags_the_hashes():
    run = fake_run(business())
    outcome = charter(run)
    assert outcome.result.charter_hash == business().charter_hash
    assert run.tracker.recorded["crisp.criteria_hash"] == business().criteria_hash
    assert "1 criteria, 1 required" in outcome.notes[0].text
    assert {item.family for item in outcome.result.techniques if item.chosen} == {
        "logistic_regression",
        "random_forest",
        "gradient_boosting",
    }


def test_step_refuses_moved_goal_posts():
    history = {"evaluate": [evaluated(business(criteria=[M1 | {"target": 0.9}]))]}
    with pytest.raises(SpecError, match="changed after"):
        charter(fake_run(business(), history))
