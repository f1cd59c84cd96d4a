"""Alarms and widgets on what monitoring says about a model, told to who owns the signal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    mail_subscription,
    ref,
    topic_policy,
)
from crisp_spark.spec.deployment import MonitoringSpec
from crisp_spark.spec.signals import ALWAYS, NAMESPACE, SignalMetric, dimensions_of, watched_metrics

_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TOPIC = re.compile(r"arn:[^:\s]+:sns:[^:\s]+:\d{12}:[^:\s]+")
_FIVE_MINUTES = 300
_DAY = 86_400
_ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Drift, the worst column", ("psi", "js", "ks", "wasserstein")),
    ("Damaged data, the worst column", ("missing", "unseen")),
    ("Drop of quality, age in days", ("performance", "stale")),
)
_ON_THE_RIGHT = {"unseen", "stale"}
"""Counts and days, which would flatten shares on the same axis."""


@dataclass(frozen=True)
class SignalWatch:
    """What is watched about a model, and how what tells it is made.

    Attributes:
        name: Name of the stack, which stands before those of the alarms.
        project: Name of the project.
        model: Name of the model.
        monitoring: Limits and owners.
        topic: Further properties of topics: tags, key.
    """

    name: str
    project: str
    model: str
    monitoring: MonitoringSpec
    topic: Mapping[str, Any] = field(default_factory=dict)

    @property
    def watched(self) -> list[tuple[SignalMetric, float]]:
        """Each metric that has a limit, and the limit; empty where CloudWatch is not used."""
        return list(watched_metrics(self.monitoring)) if self.monitoring.cloudwatch else []

    @property
    def addresses(self) -> list[str]:
        """Mail addresses of owners, each once."""
        owners = (self.monitoring.owner_of(metric.signal) for metric, _ in self.watched)
        return list(dict.fromkeys(owner for owner in owners if _MAIL.fullmatch(owner)))


def signal_alarms(watch: SignalWatch, **more: Any) -> dict[str, Resource]:
    """Return an alarm for each signal that has a limit.

    The metrics come once in each monitoring, so an alarm keeps its state until the next one.

    Args:
        watch: What is watched.
        more: Further properties of every alarm, such as its tags.
    """
    where = _dimensions(watch)
    found = _silence(watch, more)
    for metric, limit in watch.watched:
        who = watch.monitoring.owner_of(metric.signal)
        told = [_told(watch, who)]
        todo = "; ".join(part for part in (who, watch.monitoring.action_of(metric.signal)) if part)
        text = f"{watch.project}: {metric.meaning} ({metric.signal}). {todo}"
        found[f"Monitor{metric.name}"] = {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": f"{watch.name}-Monitor-{metric.name}",
                "AlarmDescription": text[:1024],
                "Namespace": NAMESPACE,
                "MetricName": metric.name,
                "Dimensions": where,
                # A log that is delivered twice changes no maximum.
                "Statistic": "Maximum",
                "Period": _FIVE_MINUTES,
                "EvaluationPeriods": 1,
                "Threshold": limit,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "ignore",
                "AlarmActions": told,
                "OKActions": told,
                **more,
            },
        }
    return found


def _dimensions(watch: SignalWatch) -> list[dict[str, str]]:
    named = dimensions_of(watch.project, watch.model)
    return [{"Name": name, "Value": value} for name, value in named.items()]


def _silence(watch: SignalWatch, more: Mapping[str, Any]) -> dict[str, Resource]:
    """Return the alarm of a model that nobody monitors any more, where one is wanted."""
    days = watch.monitoring.silent_after_days
    if days is None or not watch.watched:
        return {}
    told = [_told(watch, watch.monitoring.owner)]
    text = (
        f"{watch.project}: no monitoring of {watch.model} for {days} days. See why it did not run"
    )
    return {
        "MonitorSilence": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": f"{watch.name}-Monitor-Silence",
                "AlarmDescription": text[:1024],
                "Namespace": NAMESPACE,
                "MetricName": ALWAYS,
                "Dimensions": _dimensions(watch),
                "Statistic": "SampleCount",
                "Period": _DAY,
                "EvaluationPeriods": days,
                "DatapointsToAlarm": days,
                "Threshold": 1,
                "ComparisonOperator": "LessThanThreshold",
                # A day without any data is what this alarm is about.
                "TreatMissingData": "breaching",
                "AlarmActions": told,
                "OKActions": told,
                **more,
            },
        }
    }


def _told(watch: SignalWatch, owner: str) -> Any:
    if _TOPIC.fullmatch(owner):
        return owner
    if owner in watch.addresses:
        return ref(f"OwnerTopic{watch.addresses.index(owner) + 1}")
    return ref("Topic")


def owner_topics(watch: SignalWatch) -> dict[str, Resource]:
    """Return a topic for each mail address that owns a signal; the address must agree once."""
    found: dict[str, Resource] = {}
    for number, address in enumerate(watch.addresses, start=1):
        name = f"OwnerTopic{number}"
        found[name] = {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": f"crisp_spark: {watch.project}", **watch.topic},
        }
        found[f"OwnerMail{number}"] = mail_subscription(name, address)
        found[f"{name}Policy"] = topic_policy(name)
    return found


def signal_widgets(watch: SignalWatch) -> Sequence[Mapping[str, Any]]:
    """Return the properties of a row of three widgets, each with its limits as lines."""
    limits = {metric.signal: (metric, limit) for metric, limit in watch.watched}
    where = [part for pair in dimensions_of(watch.project, watch.model).items() for part in pair]
    found = []
    for title, signals in _ROWS:
        shown = [limits[one] for one in signals if one in limits]
        if not shown:
            continue
        found.append(
            {
                "title": title,
                "region": "${AWS::Region}",
                "view": "timeSeries",
                "stat": "Maximum",
                "period": _FIVE_MINUTES,
                "metrics": [
                    [NAMESPACE, metric.name, *where, {"yAxis": _axis(metric)}]
                    for metric, _ in shown
                ],
                "annotations": {
                    "horizontal": [
                        {"label": f"{metric.signal}: limit", "value": limit, "yAxis": _axis(metric)}
                        for metric, limit in shown
                    ]
                },
            }
        )
    return found


def _axis(metric: SignalMetric) -> str:
    return "right" if metric.signal in _ON_THE_RIGHT else "left"
