from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from pyspark.ml import PipelineModel

from crisp_spark.deployment.deploy import (
    describe_version,
    model_inputs,
    plan_deployment,
    plan_monitoring,
    registry_tags,
    why_refused,
)
from crisp_spark.deployment.portable import NotPortableError
from crisp_spark.errors import MissingColumnsError
from crisp_spark.results.deploy import DeployResult, ModelInput
from crisp_spark.run.steps.deployment import deploy
from crisp_spark.spec.business import DecisionRule
from crisp_spark.spec.deployment import DeploymentSpec
from crisp_spark.tracking.memory import MemoryStepTracker
from tests import fixtures_results as known

SCHEMA = (
    "time_hour timestamp, carrier string, temp double, month int, year int, day int, flight int, "
    "origin string, Inbound_Delay double, `wind gust.x` double, late boolean"
)


@pytest.fixture
def train(spark):
    return spark.createDataFrame([], SCHEMA)


def passing():
    decision = known.decide()
    return decision.model_copy(update={"decision": "deploy", "verdict": "deploy"})


# Inputs


def test_inputs_are_what_model_key_and_rule_read(train):
    found = model_inputs(
        train.schema,
        model_columns=["temp", "time_hour"],
        key=["year", "temp"],
        required=["carrier"],
        fallback="inbound_delay > 20 AND `wind gust.x` < 9 AND upper('origin') = 'month'",
    )
    assert found == [
        ModelInput(name="temp", type="double", use="model", required=True),
        ModelInput(name="time_hour", type="timestamp", use="model"),
        ModelInput(name="year", type="int", use="key", required=True),
        ModelInput(name="carrier", type="string", use="key", required=True),
        ModelInput(name="Inbound_Delay", type="double", use="fallback"),
        ModelInput(name="wind gust.x", type="double", use="fallback"),
    ]


def test_a_required_column_that_is_not_there_is_named(train):
    with pytest.raises(MissingColumnsError, match="'carier'") as error:
        model_inputs(train.schema, model_columns=["temp"], required=["carier"])
    assert "did you mean 'carrier'" in str(error.value)


# Plans


def test_only_a_decision_to_deploy_opens_the_gate():
    assert why_refused(passing()) == ""
    assert why_refused(known.decide("deploy")) == ""
    for choice in ("iterate", "stop"):
        refused = why_refused(known.decide().model_copy(update={"decision": choice}))
        assert refused.startswith(f"The decision is {choice}: The model is better")


def test_tags_link_decision_data_and_code():
    tags = registry_tags(
        known.decide("deploy"),
        run_id="r1",
        lineage={"split": "abc", "sweep": "def"},
        code={"sweep": "c0de"},
        threshold=0.1 + 0.2,
    )
    assert tags["crisp.commit.split"] == "abc"
    assert tags["crisp.code.sweep"] == "c0de"
    assert tags["crisp.verdict"] == "iterate"
    assert "M. Ortega" in tags["crisp.override"]
    assert float(tags["crisp.threshold"]) == 0.1 + 0.2
    plain = registry_tags(known.decide(), run_id="r", lineage={}, code={}, threshold=None)
    assert "crisp.override" not in plain
    assert "crisp.threshold" not in plain


def test_the_plan_holds_what_people_declared_and_marks_what_is_open():
    spec = DeploymentSpec.model_validate(
        {
            "users": "gate agents",
            "rollout": [
                {"step": "one terminal", "check": "a week without complaints", "owner": "ops"}
            ],
        }
    )
    rule = DecisionRule(expression="inbound_delay > 20", statement="late inbound")
    lines = plan_deployment(
        spec,
        charter=known.charter().model_copy(update={"fallback": rule}),
        decision=known.decide(),
        inputs=[ModelInput(name="temp", type="double")],
        threshold=0.4,
    )
    plan = {line.topic: line for line in lines}
    assert (plan["users"].text, plan["users"].written_by) == ("gate agents", "person")
    assert plan["schedule"].text.startswith("Open:")
    assert "temp (double)" in plan["input"].text
    assert "0.4" in plan["threshold"].text
    assert plan["rollout 1"].text == "one terminal (done when: a week without complaints)"
    assert plan["rollback"].text == spec.rollback
    assert plan["fallback"].text == "Where the model cannot answer: late inbound"
    assert [line.text for line in lines if line.topic == "open criterion"] == [
        "0.688 is 0.012 short of the target.",
        "The trial has not been run.",
    ]


def test_the_monitoring_plan_has_a_limit_an_owner_and_an_action_for_every_signal():
    spec = DeploymentSpec.model_validate(
        {"monitoring": {"psi_limit": 0.3, "owner": "ops", "stale_after_days": None}}
    )
    charter = known.charter()
    signals = plan_monitoring(spec, charter=charter, main_metric="pr_auc")
    assert signals[0].limit == "0.3"
    assert all(item.limit and item.action and item.meaning for item in signals)
    assert {item.owner for item in signals[:5]} == {"ops"}
    assert not [item for item in signals if "fresh labels" in item.signal]
    watched = {risk.id for risk in charter.risks if risk.trigger}
    assert {f"risk {name}" for name in watched} <= {item.signal for item in signals}
    assert any("pr_auc" in item.signal for item in signals)
    default = plan_monitoring(DeploymentSpec(), charter=charter, main_metric="f1")
    assert "90 days" in [item.limit for item in default]


def test_the_description_of_a_version_is_about_goal_model_and_criteria():
    text = describe_version(
        DeploymentSpec(description="For the gates."),
        charter=known.charter(),
        sweep=known.sweep(),
        evaluation=known.evaluate_binary(),
        decision=known.decide(),
    )
    assert text.startswith("For the gates.")
    assert "gradient-boosted trees, trained on 190,802 rows" in text
    assert "The lower bound 0.549 is above the target." in text
    assert "Threshold 0." in text


# Wiring


@dataclass
class FakeRun:
    """The world of the step with results of a whole project."""

    train: object
    results: dict
    tracker: MemoryStepTracker = field(default_factory=lambda: MemoryStepTracker("m"))
    entries: dict = field(default_factory=dict)
    run_id: str = "r1"

    def __post_init__(self):
        self.spec = SimpleNamespace(
            deployment=DeploymentSpec(), project=SimpleNamespace(name="flights")
        )

    def result(self, kind):
        return self.results[kind.step]

    def read(self, table):
        assert table in {"train", "test"}
        return self.train

    def model(self, name):
        assert name == "model"
        return PipelineModel([])

    def lineage(self):
        return {"split": "s1", "sweep": "w1"}

    def commits(self, step):
        assert step == "monitor"
        return []

    def journal(self):
        return self.entries

    def record(self, key, entry):
        self.entries[key] = entry


def run_with(train, decision) -> FakeRun:
    return FakeRun(train, known.binary_results() | {"decide": decision})


def test_a_decided_model_is_registered_once_with_an_example_of_its_columns(train, monkeypatch):
    run = run_with(train, passing())
    seen = {}
    real = run.tracker.register

    def watch(name, model, **facts):
        seen.update(facts)
        return real(name, model, **facts)

    monkeypatch.setattr(run.tracker, "register", watch)
    result = deploy(run).result
    assert isinstance(result, DeployResult)
    assert (result.status, result.model_label) == ("deployed", "flights 1")
    assert result.model is not None
    assert (result.model.alias, result.model.run_id) == ("champion", "m")
    assert (result.positive, result.classes) == ("true", ["false", "true"])
    assert result.portable is not None
    assert not result.portable.written
    assert "has no learner" in result.portable.reason
    assert seen["example"].columns == known.sweep().model_columns
    assert seen["tags"]["crisp.commit.sweep"] == "w1"
    assert len(seen["tags"]["crisp.code.sweep"]) == 64
    assert DeployResult.model_validate(result.model_dump(mode="json")) == result


def test_an_attempt_that_died_after_registering_does_not_register_again(train):
    first = run_with(train, passing())
    deploy(first)
    second = run_with(train, passing())
    second.entries = first.entries
    assert deploy(second).result.model == deploy(first).result.model
    assert second.tracker.registered == []


def test_a_project_that_insists_on_a_portable_model_registers_nothing_without_one(train):
    run = run_with(train, passing())
    run.spec.deployment = DeploymentSpec(portable="required")
    with pytest.raises(NotPortableError, match="has no learner"):
        deploy(run)
    assert run.tracker.registered == []


@pytest.mark.parametrize("choice", ["iterate", "stop"])
def test_without_a_decision_nothing_is_registered_and_the_flow_goes_on(train, choice):
    run = run_with(train, known.decide().model_copy(update={"decision": choice}))
    outcome = deploy(run)
    assert outcome.result.status == "refused"
    assert choice in outcome.result.reason
    assert outcome.result.model is None
    assert outcome.result.model_label == "not deployed"
    assert outcome.result.inputs
    assert outcome.result.threshold is not None
    assert run.tracker.registered == []
    assert outcome.notes[0].level == "warning"


def test_an_override_opens_the_gate_and_stays_visible(train):
    run = run_with(train, known.decide("deploy"))
    result = deploy(run).result
    assert (result.status, result.overridden) == ("deployed", True)
    assert result.model is not None
    assert "crisp.override" in result.model.tags
