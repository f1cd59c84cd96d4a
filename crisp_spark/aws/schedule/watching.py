"""What people look at: topic, alarms, dashboard, log groups."""

from __future__ import annotations

import json
from typing import Any

from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    allow,
    arn,
    att,
    mail_subscription,
    ref,
    sub,
    topic_policy,
)
from crisp_spark.aws.schedule.signals import owner_topics, signal_alarms, signal_widgets
from crisp_spark.aws.schedule.stack import StackPlan

_FIVE_MINUTES = 300
_WIDE, _HALF, _THIRD, _HIGH = 24, 12, 8, 6

_CLUSTER_METRICS = (
    ("AppsRunning", "Applications running"),
    ("ContainerPending", "Containers waiting for a place"),
    ("MRLostNodes", "Nodes lost"),
    ("MRUnhealthyNodes", "Nodes that are not well"),
    ("YARNMemoryAvailablePercentage", "Memory that is free, in percent"),
    ("IsIdle", "Idle clusters"),
)


def watching(plan: StackPlan) -> dict[str, Resource]:
    """Return topics, alarms, dashboard and log groups."""
    alarms = {**_alarms(plan), **signal_alarms(plan.signals)}
    return {
        **_topic(plan),
        **owner_topics(plan.signals),
        **_logs(plan),
        **alarms,
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {
                "DashboardName": plan.name,
                "DashboardBody": sub(json.dumps(_dashboard(plan, list(alarms)))),
            },
        },
    }


def _topic(plan: StackPlan) -> dict[str, Resource]:
    # EventBridge hands no condition keys over to a topic.
    events = {"Principal": {"Service": "events.amazonaws.com"}}
    found: dict[str, Resource] = {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "DisplayName": f"crisp_spark: {plan.project}",
                "KmsMasterKeyId": ref("Key"),
            },
        },
        "TopicPolicy": topic_policy(
            "Topic", allow("RulesTell", ("sns:Publish",), ref("Topic")) | events
        ),
    }
    for number, address in enumerate(plan.schedule.notify, start=1):
        found[f"Mail{number}"] = mail_subscription("Topic", address)
    return found


def _logs(plan: StackPlan) -> dict[str, Resource]:
    # The log groups of Step Functions need this prefix, or its resource policies grow too long.
    names = {
        "MachineLogs": f"/aws/vendedlogs/states/{plan.name}",
        "CleanupLogs": f"/aws/vendedlogs/states/{plan.name}-cleanup",
    }
    if plan.schedule.create_shared and plan.compute.log_group:
        names["ClusterLogs"] = plan.compute.log_group
    return {
        logical: {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Retain" if logical == "ClusterLogs" else "Delete",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "LogGroupName": name,
                "RetentionInDays": plan.schedule.log_days,
                "KmsKeyId": att("Key"),
            },
        }
        for logical, name in names.items()
    }


def _alarms(plan: StackPlan) -> dict[str, Resource]:
    machine = {"StateMachineArn": ref("Machine")}
    cleanup = {"StateMachineArn": ref("CleanupMachine")}
    queue = {"QueueName": att("DeadLetters", "QueueName")}
    group = {"ScheduleGroup": plan.name}
    rule = {"RuleName": ref("AbortRule")}
    listed: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
        ("RunFailed", "A run failed", "AWS/States", "ExecutionsFailed", machine),
        ("RunAborted", "A run was aborted", "AWS/States", "ExecutionsAborted", machine),
        ("RunTimedOut", "A run took too long", "AWS/States", "ExecutionsTimedOut", machine),
        ("CleanupFailed", "A cluster may be left", "AWS/States", "ExecutionsFailed", cleanup),
        ("RuleFailed", "A cluster may be left", "AWS/Events", "FailedInvocations", rule),
        ("StartFailed", "A start was refused", "AWS/Scheduler", "TargetErrorCount", group),
        ("StartDropped", "A start was given up", "AWS/Scheduler", "InvocationDroppedCount", group),
        (
            "DeadLettersWait",
            "Starts that could not be delivered wait in the queue",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            queue,
        ),
    )
    return {
        logical: {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": f"{plan.name}-{logical}",
                "AlarmDescription": f"{plan.project}: {what}",
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in where.items()],
                "Statistic": "Maximum" if namespace == "AWS/SQS" else "Sum",
                "Period": _FIVE_MINUTES,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
                "AlarmActions": [ref("Topic")],
            },
        }
        for logical, what, namespace, metric, where in listed
    }


def _dashboard(plan: StackPlan, alarms: list[str]) -> dict[str, Any]:
    runs = [
        ["AWS/States", f"Executions{end}", "StateMachineArn", "${Machine}"]
        for end in ("Started", "Succeeded", "Failed", "Aborted", "TimedOut")
    ]
    time = [["AWS/States", "ExecutionTime", "StateMachineArn", "${Machine}", {"stat": "Maximum"}]]
    widgets = [
        _widget(
            "alarm",
            _WIDE,
            title="Alarms",
            alarms=[f"${{{name}.Arn}}" for name in alarms],
        ),
        _metrics("Runs", runs, period=86_400),
        _metrics("Time of a run, in milliseconds", time, period=86_400),
        *(_widget("metric", _THIRD, **row) for row in signal_widgets(plan.signals)),
        *(_metrics(title, [_search(name)]) for name, title in _CLUSTER_METRICS),
        _widget(
            "log",
            _WIDE,
            title="Last events of runs",
            query=f"SOURCE '/aws/vendedlogs/states/{plan.name}' "
            "| fields @timestamp, type, @message | sort @timestamp desc | limit 50",
            region="${AWS::Region}",
        ),
    ]
    if plan.compute.log_group:
        widgets.append(
            _widget(
                "log",
                _WIDE,
                title="Errors of drivers and executors",
                query=f"SOURCE '{plan.compute.log_group}' | filter @message like /ERROR/ "
                "| fields @timestamp, @logStream, @message | sort @timestamp desc | limit 50",
                region="${AWS::Region}",
            )
        )
    return {"widgets": _laid_out(widgets)}


def _search(metric: str) -> list[dict[str, str]]:
    what = f'{{AWS/ElasticMapReduce,JobFlowId}} MetricName="{metric}"'
    return [{"expression": f"SEARCH('{what}', 'Maximum', {_FIVE_MINUTES})", "id": metric.lower()}]


def _metrics(title: str, metrics: list[Any], *, period: int = _FIVE_MINUTES) -> dict[str, Any]:
    return _widget(
        "metric",
        _HALF,
        title=title,
        metrics=metrics,
        period=period,
        stat="Sum",
        view="timeSeries",
        region="${AWS::Region}",
    )


def _widget(kind: str, width: int, **properties: Any) -> dict[str, Any]:
    return {"type": kind, "width": width, "height": _HIGH, "properties": properties}


def _laid_out(widgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put widgets beside and below each other."""
    placed, x, y = [], 0, 0
    for widget in widgets:
        if x + widget["width"] > _WIDE:
            x, y = 0, y + _HIGH
        placed.append(widget | {"x": x, "y": y})
        x += widget["width"]
    return placed


def delivered_to(log_group: str) -> dict[str, Any]:
    """Return where and how much a state machine logs; its data holds names and states only."""
    target = arn("logs", f"log-group:${{{log_group}}}:*")
    return {
        "Level": "ALL",
        "IncludeExecutionData": True,
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": target}}],
    }
