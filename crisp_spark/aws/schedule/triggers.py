"""What starts things: the schedule, and the rule for executions that did not end well."""

from __future__ import annotations

import json

from crisp_spark.aws.schedule.cloudformation import (
    SAME_ACCOUNT,
    Resource,
    allow,
    att,
    document,
    only_tls,
    ref,
    role,
)
from crisp_spark.aws.schedule.stack import StackPlan

ABNORMAL_ENDS = ("ABORTED", "FAILED", "TIMED_OUT")
_QUEUE_DAYS = 14


def triggers(plan: StackPlan) -> dict[str, Resource]:
    """Return schedule, rules, their roles and the queue of what could not be delivered."""
    return {
        "DeadLetters": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "MessageRetentionPeriod": _QUEUE_DAYS * 86_400,
                "SqsManagedSseEnabled": True,
            },
        },
        "DeadLettersPolicy": _queue_policy(),
        "ScheduleRole": role(
            "scheduler.amazonaws.com",
            allow("StartRuns", ("states:StartExecution",), ref("Machine")),
            allow("KeepDeadLetters", ("sqs:SendMessage",), att("DeadLetters")),
            condition=SAME_ACCOUNT,
        ),
        "ScheduleGroup": {
            "Type": "AWS::Scheduler::ScheduleGroup",
            "Properties": {"Name": plan.name},
        },
        "Schedule": _schedule(plan),
        "AbortRuleRole": role(
            "events.amazonaws.com",
            allow("StartCleanup", ("states:StartExecution",), ref("CleanupMachine")),
        ),
        "AbortRule": _abort_rule(),
        "ClusterRule": _cluster_rule(plan),
    }


def _queue_policy() -> Resource:
    from_rule = {"ArnEquals": {"aws:SourceArn": att("AbortRule")}}
    events = {"Principal": {"Service": "events.amazonaws.com"}}
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [ref("DeadLetters")],
            "PolicyDocument": document(
                only_tls([att("DeadLetters")], "sqs:*"),
                allow("RuleKeeps", ("sqs:SendMessage",), att("DeadLetters"), condition=from_rule)
                | events,
            ),
        },
    }


def _schedule(plan: StackPlan) -> Resource:
    schedule = plan.schedule
    window = (
        {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": schedule.window_minutes}
        if schedule.window_minutes
        else {"Mode": "OFF"}
    )
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": plan.name,
            "GroupName": ref("ScheduleGroup"),
            "Description": f"Runs {plan.project} of crisp_spark",
            "State": "ENABLED" if schedule.enabled else "DISABLED",
            "ScheduleExpression": f"cron({schedule.cron})",
            "ScheduleExpressionTimezone": schedule.time_zone,
            "FlexibleTimeWindow": window,
            "Target": {
                "Arn": ref("Machine"),
                "RoleArn": att("ScheduleRole"),
                # The due time, not the time of the start: it names the run.
                "Input": json.dumps({"scheduled_time": "<aws.scheduler.scheduled-time>"}),
                "RetryPolicy": {
                    "MaximumRetryAttempts": schedule.start_retries,
                    "MaximumEventAgeInSeconds": schedule.start_within_minutes * 60,
                },
                "DeadLetterConfig": {"Arn": att("DeadLetters")},
            },
        },
    }


def _abort_rule() -> Resource:
    """A stopped or timed-out execution runs none of its own states any more."""
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": "Ends the cluster of an execution that did not end well",
            "EventPattern": {
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {
                    "stateMachineArn": [ref("Machine")],
                    "status": list(ABNORMAL_ENDS),
                },
            },
            "Targets": [
                {
                    "Id": "cleanup",
                    "Arn": ref("CleanupMachine"),
                    "RoleArn": att("AbortRuleRole"),
                    "InputTransformer": {
                        "InputPathsMap": {"name": "$.detail.name", "status": "$.detail.status"},
                        "InputTemplate": '{"name": <name>, "status": <status>}',
                    },
                    "RetryPolicy": {
                        "MaximumRetryAttempts": 185,
                        "MaximumEventAgeInSeconds": 86_400,
                    },
                    "DeadLetterConfig": {"Arn": att("DeadLetters")},
                }
            ],
        },
    }


def _cluster_rule(plan: StackPlan) -> Resource:
    """Tells of clusters of this project that ended with errors, with the reason that EMR gives."""
    message = "Cluster <cluster> (<name>) ended with errors: <reason>"
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": f"Clusters of {plan.project} that ended with errors",
            "EventPattern": {
                "source": ["aws.emr"],
                "detail-type": ["EMR Cluster State Change"],
                "detail": {
                    "name": [{"prefix": f"{plan.project} "}],
                    "state": ["TERMINATED_WITH_ERRORS"],
                },
            },
            "Targets": [
                {
                    "Id": "tell",
                    "Arn": ref("Topic"),
                    "InputTransformer": {
                        "InputPathsMap": {
                            "cluster": "$.detail.clusterId",
                            "name": "$.detail.name",
                            "reason": "$.detail.stateChangeReason",
                        },
                        "InputTemplate": json.dumps(message),
                    },
                }
            ],
        },
    }
