"""Signals of monitoring in CloudWatch: what is written, and what the stacks wait for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from crisp_spark.aws.rollout.ec2_stack import ec2_template
from crisp_spark.aws.rollout.ecs_stack import ecs_template
from crisp_spark.aws.rollout.lambda_stack import lambda_template
from crisp_spark.aws.rollout.plan import plan_rollout
from crisp_spark.aws.schedule.stack import plan_stack
from crisp_spark.aws.schedule.template import template
from crisp_spark.deployment.signals import monitoring_line, signal_values
from crisp_spark.results.base import Verdict
from crisp_spark.results.monitor import ColumnDrift, MonitorResult, QualityDrift
from crisp_spark.run.job import _tell_signals
from crisp_spark.run.runner import StepEvent
from crisp_spark.serving.endpoint.telemetry import Served, emf_line
from crisp_spark.spec.deployment import MonitoringSpec, Signal
from crisp_spark.spec.load import load_project
from crisp_spark.spec.signals import METRICS, NAMESPACE, watched_metrics
from tests import fixtures_results as known
from tests.embedded_metrics import extracted

FOLDER = Path(__file__).parents[2] / "emr" / "schedule"
NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
SETTINGS = (
    "deployment.endpoint.artifacts=s3://orders-models/crisp",
    "deployment.model_name=late-ü",
    "deployment.monitoring.wasserstein_limit=0.25",
)
ARN = "arn:aws:sns:eu-central-1:111122223333:data"


def project_with(*settings: str):
    return load_project(FOLDER / "crisp.yml", overrides=(*SETTINGS, *settings), environ={})


def stacks_of(project) -> dict[str, dict]:
    made = {
        "lambda": partial(lambda_template, digest="ab" * 32),
        "ecs": ecs_template,
        "ec2": ec2_template,
    }
    found = {kind: make(plan_rollout(project, kind)) for kind, make in made.items()}
    scheduled = plan_stack(project.spec, project.target, project.resolved)
    return {name: one["Resources"] for name, one in found.items()} | {
        "schedule": template(scheduled)["Resources"]
    }


def drifted(**more) -> ColumnDrift:
    facts = {
        "column": "temp",
        "role": "input",
        "kind": "number",
        "reference_rows": 1000,
        "current_rows": 1000,
        "psi": 0.4,
        "psi_noise": 0.02,
        "js": 0.15,
        "ks": 0.2,
        "ks_noise": 0.06,
        "wasserstein": 0.3,
        "missing_reference": 0.01,
        "missing_current": 0.21,
        "unseen_rows": 0,
        "verdict": Verdict.FAIL,
    }
    return ColumnDrift.model_validate(facts | more)


def dropped(**more) -> QualityDrift:
    facts = {"metric": "roc_auc", "reference": 0.8, "current": 0.7, "drop": 0.1, "held_drop": 0.1}
    return QualityDrift.model_validate({**facts, "verdict": Verdict.FAIL, "low": 0.05} | more)


def monitored(*columns: ColumnDrift, quality=()) -> MonitorResult:
    return known.monitor().model_copy(update={"columns": list(columns), "quality": list(quality)})


def told(project, result: MonitorResult, capsys) -> str:
    event = StepEvent("monitor", "done", result=result.model_dump(mode="json"))
    _tell_signals(project, event)
    return capsys.readouterr().out


def alarm_of(one: dict) -> tuple:
    where = frozenset((part["Name"], part["Value"]) for part in one["Dimensions"])
    return one["Namespace"], one["MetricName"], where


def alarms_in(resources: dict) -> dict[tuple, dict]:
    """Alarms on the metrics of monitoring, by namespace, metric and dimensions."""
    alarms = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::CloudWatch::Alarm"
        and one["Properties"].get("Namespace") == NAMESPACE
    ]
    return {alarm_of(one): one for one in alarms}


def shown_in(resources: dict) -> set[tuple]:
    body = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    rows = [
        metric
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", ())
        if metric[0] == NAMESPACE
    ]
    return {
        (namespace, name, frozenset(zip(where[0:-1:2], where[1:-1:2], strict=True)))
        for namespace, name, *where in rows
    }


def test_every_signal_but_that_of_labels_has_a_metric():
    assert [metric.signal for metric in METRICS] == [
        name for name in get_args(Signal) if name != "labels"
    ]


def test_what_the_job_writes_is_what_every_stack_waits_for_and_shows(capsys):
    project = project_with()
    written = set(
        extracted(told(project, monitored(drifted(), quality=[dropped()]), capsys).strip())
    )
    assert len(written) == len(METRICS)
    for resources in stacks_of(project).values():
        assert set(alarms_in(resources)) == written
        assert shown_in(resources) == written


@pytest.mark.parametrize(
    ("result", "raised"),
    [
        (monitored(drifted(), quality=[dropped()]), {"psi", "js", "ks", "wasserstein", "missing", "performance"}),
        (monitored(drifted(psi=0.201, js=0.05, ks=None, wasserstein=None, missing_current=0)), {"psi"}),
        (monitored(drifted(unseen_rows=1, psi=0.1, js=0.1, ks=0.1, wasserstein=0.25, missing_current=0.05)), {"unseen"}),
        # Few rows: more than the limit, and less than chance reaches.
        (monitored(drifted(psi=0.4, psi_noise=0.5, js=0.05, ks=0.2, ks_noise=0.3, wasserstein=0, missing_current=0)), set()),
        (monitored(drifted(verdict=Verdict.UNKNOWN)), set()),
        (monitored(quality=[dropped(low=-0.01)]), set()),
        (monitored(quality=[dropped(verdict=Verdict.UNKNOWN)]), set()),
        (monitored(quality=[dropped(held_drop=None)]), set()),
    ],
)  # fmt: skip
def test_a_value_is_above_the_threshold_of_its_alarm_where_monitoring_raises_one(
    result, raised, capsys
):
    project = project_with()
    found = extracted(told(project, result, capsys).strip())
    alarms = alarms_in(stacks_of(project)["schedule"])
    names = {metric.name: metric.signal for metric in METRICS}
    above = {
        names[metric[1]]
        for metric, value in found.items()
        if metric[1] != "ModelAgeDays" and value > alarms[metric]["Threshold"]
    }
    assert above == raised


def test_what_was_not_judged_is_not_told():
    few = signal_values(monitored(drifted(verdict=Verdict.UNKNOWN)), NOW)
    assert set(few) == {"stale"}
    categories = signal_values(monitored(drifted(ks=None, wasserstein=None)), NOW)
    assert set(categories) == {"psi", "js", "missing", "unseen", "stale"}


def test_the_worst_column_is_told_by_name_and_nothing_of_its_values():
    calm = drifted(column="hour", psi=0.1, unseen_rows=3, unseen_values=["Paris"], unseen_count=1)
    line = monitoring_line(monitored(calm, drifted()), project="p", model="m", at=NOW)
    content = json.loads(line)
    assert content["PopulationStabilityIndex"] == 0.4
    assert content["Worst"]["PopulationStabilityIndex"] == "temp"
    assert content["Worst"]["UnseenRows"] == "hour"
    assert content["Rows"] == 54_736
    assert "Paris" not in line


@pytest.mark.parametrize(
    ("at", "above"),
    [
        (datetime(2026, 5, 31, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 6, 1, 0, 1, tzinfo=UTC), True),
    ],
)
def test_a_model_is_too_old_on_the_day_that_monitoring_says(at, above):
    result = known.monitor()
    assert (at.date() > result.stale_after) is above
    limits = {metric.signal: limit for metric, limit in watched_metrics(MonitoringSpec())}
    assert (signal_values(result, at)["stale"].value > limits["stale"]) is above


def test_signals_without_a_limit_have_no_alarm():
    off = (
        "deployment.monitoring.wasserstein_limit=null",
        "deployment.monitoring.stale_after_days=null",
    )
    names = {name for _, name, _ in alarms_in(stacks_of(project_with(*off))["schedule"])}
    assert names == {m.name for m in METRICS} - {"WassersteinDistance", "ModelAgeDays"}


def test_alarms_tell_the_owner_of_their_signal():
    plans = {"unseen": {"owner": ARN, "action": "ask"}, "stale": {"owner": "the data team"}}
    owners = (
        "deployment.monitoring.owner=ops@example.com",
        f"deployment.monitoring.signals={json.dumps(plans)}",
    )
    for resources in stacks_of(project_with(*owners)).values():
        told = {name: one["AlarmActions"] for (_, name, _), one in alarms_in(resources).items()}
        assert told["PopulationStabilityIndex"] == [{"Ref": "OwnerTopic1"}]
        assert told["UnseenRows"] == [ARN]
        assert told["ModelAgeDays"] == [{"Ref": "Topic"}]
        mail = resources["OwnerMail1"]["Properties"]
        assert (mail["Endpoint"], mail["TopicArn"]) == ("ops@example.com", {"Ref": "OwnerTopic1"})
        assert "OwnerMail2" not in resources
        stale = resources["MonitorModelAgeDays"]["Properties"]["AlarmDescription"]
        assert "the data team" in stale
        assert "ask" in resources["MonitorUnseenRows"]["Properties"]["AlarmDescription"]
        assert resources["OwnerTopic1Policy"]["Properties"]["Topics"] == [{"Ref": "OwnerTopic1"}]


def test_an_alarm_keeps_its_state_until_the_next_monitoring():
    for resources in stacks_of(project_with()).values():
        assert {one["TreatMissingData"] for one in alarms_in(resources).values()} == {"ignore"}


def test_a_model_that_nobody_monitors_any_more_is_told():
    assert "MonitorSilence" not in stacks_of(project_with())["schedule"]
    project = project_with("deployment.monitoring.silent_after_days=2")
    for resources in stacks_of(project).values():
        silence = resources["MonitorSilence"]["Properties"]
        assert silence["EvaluationPeriods"] == silence["DatapointsToAlarm"] == 2
        assert (silence["Period"], silence["Statistic"]) == (86_400, "SampleCount")
        assert silence["TreatMissingData"] == "breaching"
        age = resources["MonitorModelAgeDays"]["Properties"]
        assert (silence["MetricName"], silence["Dimensions"]) == (
            age["MetricName"],
            age["Dimensions"],
        )
    # It waits for a metric that is written also where nothing could be judged.
    assert silence["MetricName"] in told_metrics(MonitoringSpec())


def told_metrics(limits: MonitoringSpec) -> set[str]:
    nothing = known.monitor().model_copy(update={"columns": (), "quality": (), "limits": limits})
    line = monitoring_line(nothing, project="p", model="m", at=NOW)
    return {
        name
        for metrics in json.loads(line)["_aws"]["CloudWatchMetrics"]
        for name in (one["Name"] for one in metrics["Metrics"])
    }


def test_drift_takes_no_roll_out_back():
    stacks = stacks_of(project_with())
    group = json.dumps(stacks["lambda"]["Group"]) + json.dumps(stacks["ec2"])
    service = json.dumps(stacks["ecs"]["Service"])
    assert "ErrorsAlarm" in group
    assert '{"Name": {"Ref": "Monitor' not in group
    assert "Monitor" not in service


def test_without_cloudwatch_nothing_is_written_and_nothing_waits(capsys):
    project = project_with("deployment.monitoring.cloudwatch=false")
    assert told(project, monitored(drifted()), capsys) == ""
    for resources in stacks_of(project).values():
        assert alarms_in(resources) == {}
        assert shown_in(resources) == set()


def test_only_what_was_monitored_is_told_also_where_it_was_skipped(capsys):
    project, result = project_with(), known.monitor().model_dump(mode="json")
    _tell_signals(project, StepEvent("monitor", "started"))
    _tell_signals(project, StepEvent("decide", "done", result={"decision": "deploy"}))
    assert capsys.readouterr().out == ""
    _tell_signals(project, StepEvent("monitor", "skipped", result=result))
    assert extracted(capsys.readouterr().out.strip())


def test_alarms_and_dashboard_of_an_endpoint_wait_for_what_it_writes():
    project = project_with()
    line = emf_line(
        Served("/invocations", 200, 1.0),
        dimensions={"Model": "late-u", "Stage": "lambda", "Version": "3"},
        properties={},
        at_ms=1,
    )
    written = {name for _, name, _ in extracted(line)}
    (namespace,) = {namespace for namespace, _, _ in extracted(line)}
    text = json.dumps(stacks_of(project)["lambda"])
    content = json.loads(text)
    awaited = {
        one["MetricStat"]["Metric"]["MetricName"]
        for alarm in content.values()
        for one in alarm["Properties"].get("Metrics", ())
        if one.get("MetricStat", {}).get("Metric", {}).get("Namespace") == namespace
    }
    assert awaited == {"ServerErrors", "Requests", "FallbackRows", "Rows", "Latency"}
    assert awaited <= written
