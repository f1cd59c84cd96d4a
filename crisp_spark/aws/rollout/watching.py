"""Alarms of an endpoint: those that roll a roll-out back, and those that tell people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from crisp_spark.aws.rollout.plan import NAMESPACE, RolloutPlan
from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    mail_subscription,
    ref,
    sub,
    topic_policy,
)
from crisp_spark.aws.schedule.signals import owner_topics, signal_alarms, signal_widgets

_MINUTE = 60


def topic(plan: RolloutPlan) -> dict[str, Resource]:
    """Return the topic that alarms tell, and who listens to it."""
    found: dict[str, Resource] = {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": plan.name, "Tags": plan.tags},
        },
        "TopicPolicy": topic_policy("Topic"),
    }
    for number, address in enumerate(plan.endpoint.notify, start=1):
        found[f"Mail{number}"] = mail_subscription("Topic", address)
    return found


def alarm(
    plan: RolloutPlan, name: str, what: str, metrics: Sequence[Mapping[str, Any]], limit: float
) -> Resource:
    """Return an alarm on an expression over metrics, of which the last one counts.

    Minutes without requests are no trouble.
    """
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": f"{plan.name}-{name}",
            "AlarmDescription": f"{plan.project}: {what}",
            "Metrics": [dict(one) for one in metrics],
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "Threshold": limit,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [ref("Topic")],
            "OKActions": [ref("Topic")],
            "Tags": plan.tags,
        },
    }


def metric(
    id_: str,
    namespace: str,
    name: str,
    dimensions: Sequence[Mapping[str, Any]],
    statistic: str,
    *,
    shown: bool = False,
) -> dict[str, Any]:
    """Return a metric of an alarm."""
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [dict(one) for one in dimensions],
            },
            "Period": _MINUTE,
            "Stat": statistic,
        },
        "ReturnData": shown,
    }


def expression(id_: str, text: str) -> dict[str, Any]:
    """Return the expression that an alarm holds against its limit."""
    return {"Id": id_, "Expression": text, "Label": id_, "ReturnData": True}


def model_alarms(plan: RolloutPlan) -> dict[str, Resource]:
    """Return the alarms on what the endpoint says about itself: faults, rule, latency."""
    limits, where = plan.endpoint, plan.dimensions
    share = "IF({0}>0, {1}/{0}, 0)"
    return {
        "FaultsAlarm": alarm(
            plan,
            "Faults",
            "requests that the endpoint could not answer",
            [
                metric("faults", NAMESPACE, "ServerErrors", where, "Sum"),
                metric("requests", NAMESPACE, "Requests", where, "Sum"),
                expression("share", share.format("requests", "faults")),
            ],
            limits.fault_share_limit,
        ),
        "FallbackAlarm": alarm(
            plan,
            "Fallback",
            "rows that the fallback rule answered in the model's place",
            [
                metric("byrule", NAMESPACE, "FallbackRows", where, "Sum"),
                metric("rows", NAMESPACE, "Rows", where, "Sum"),
                expression("share", share.format("rows", "byrule")),
            ],
            limits.fallback_share_limit,
        ),
        "LatencyAlarm": alarm(
            plan,
            "Latency",
            "99th percentile of the time of an answer, in ms",
            [metric("latency", NAMESPACE, "Latency", where, "p99", shown=True)],
            limits.latency_limit_ms,
        ),
    }


def monitoring_alarms(plan: RolloutPlan) -> dict[str, Resource]:
    """Return the alarms on the model's monitoring, and the topics of their owners.

    They tell people; no roll-out is taken back by them, because drift is no fault of a version.
    """
    return {**owner_topics(plan.signals), **signal_alarms(plan.signals, Tags=plan.tags)}


def dashboard(plan: RolloutPlan) -> dict[str, Resource]:
    """Return the dashboard of an endpoint."""
    model, stage = (one["Value"] for one in plan.dimensions)

    def widget(title: str, names: Sequence[str], statistic: str, place: int) -> dict[str, Any]:
        return {
            "type": "metric",
            "x": 12 * (place % 2),
            "y": 6 * (place // 2),
            "width": 12,
            "height": 6,
            "properties": {
                "title": title,
                "region": "${AWS::Region}",
                "stat": statistic,
                "period": 300,
                "metrics": [[NAMESPACE, name, "Model", model, "Stage", stage] for name in names],
            },
        }

    widgets = [
        widget("Requests and rows", ("Requests", "Rows", "PositiveRows"), "Sum", 0),
        widget("Trouble", ("ServerErrors", "BadRequests", "FallbackRows"), "Sum", 1),
        widget("Time of an answer, 99th percentile (ms)", ("Latency",), "p99", 2),
        widget("Cold starts", ("ColdStarts",), "Sum", 3),
    ]
    widgets += [
        {"type": "metric", "x": 8 * place, "y": 12, "width": 8, "height": 6, "properties": row}
        for place, row in enumerate(signal_widgets(plan.signals))
    ]
    return {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {
                "DashboardName": plan.name,
                "DashboardBody": sub(json.dumps({"widgets": widgets})),
            },
        }
    }


def log_group(plan: RolloutPlan, name: str) -> Resource:
    """Return a group of logs that outlives the stack."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "LogGroupName": name,
            "RetentionInDays": plan.endpoint.log_days,
            "Tags": plan.tags,
        },
    }
