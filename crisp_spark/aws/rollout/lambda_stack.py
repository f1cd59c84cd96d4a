"""The template of a Lambda function: versions behind an alias that CodeDeploy moves in steps."""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.rollout.plan import RolloutPlan, stack
from crisp_spark.aws.rollout.watching import (
    alarm,
    dashboard,
    expression,
    log_group,
    metric,
    model_alarms,
    monitoring_alarms,
    topic,
)
from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    Statement,
    allow,
    arn,
    att,
    ref,
    role,
    s3_arn,
    sub,
)

HANDLER = "app.handler"
PARAMETERS: dict[str, Any] = {
    "CodeKey": {
        "Type": "String",
        "MinLength": 1,
        "Description": "Key of the function's package below the artifacts' bucket",
    },
    "CodeDigest": {
        "Type": "String",
        "AllowedPattern": "[0-9a-f]{64}",
        "Description": "SHA-256 of the package, in hex; a new one makes a new version",
    },
}
_ALARMS = ("ErrorsAlarm", "FaultsAlarm", "FallbackAlarm", "LatencyAlarm")


def lambda_template(plan: RolloutPlan, *, digest: str = "") -> dict[str, Any]:
    """Return the template.

    Args:
        plan: The endpoint.
        digest: SHA-256 of the package: the version's name carries it, because CloudFormation makes
            a version of a function only under a new name.
    """
    version = f"Version{digest[:16]}"
    resources = {
        **topic(plan),
        **model_alarms(plan),
        **monitoring_alarms(plan),
        **dashboard(plan),
        **_function(plan, version),
        **_moves(plan),
        **_callers(plan),
        **_files(plan),
        "Logs": log_group(plan, f"/aws/lambda/{plan.name}"),
        "ErrorsAlarm": _errors(plan),
    }
    outputs = {
        "FunctionName": ("Name of the function", ref("Function")),
        "AliasArn": ("Call this, never a version", ref("Alias")),
        "Url": ("Address; callers sign their requests", att("Url", "FunctionUrl")),
        "Version": ("Version that was made last", att(version, "Version")),
    }
    return stack(plan, "scoring function", resources, PARAMETERS, outputs)


def environment(plan: RolloutPlan) -> dict[str, str]:
    """Return the function's variables."""
    found = {"CRISP_STAGE": "lambda", "CRISP_MOST_ROWS": str(plan.endpoint.most_rows)}
    if plan.endpoint.follow:
        found |= {
            "CRISP_MODEL": plan.models_uri,
            "CRISP_ALIAS": plan.alias,
            "CRISP_REFRESH_SECONDS": f"{plan.endpoint.refresh_seconds:g}",
        }
    if plan.endpoint.shadow:
        found["CRISP_SHADOW"] = plan.endpoint.shadow
    if plan.endpoint.outbox:
        found["CRISP_OUTPUT"] = plan.endpoint.outbox
    return found


def _function(plan: RolloutPlan, version: str) -> dict[str, Resource]:
    spec = plan.endpoint
    properties: dict[str, Any] = {
        "FunctionName": plan.name,
        "Description": f"Scores rows with {plan.model}",
        "Runtime": spec.runtime,
        "Handler": HANDLER,
        "Architectures": [spec.architecture],
        "MemorySize": spec.memory_mb,
        "Timeout": spec.timeout_s,
        "Role": att("FunctionRole"),
        "Code": {"S3Bucket": plan.artifacts.bucket, "S3Key": ref("CodeKey")},
        "Environment": {"Variables": environment(plan)},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": ref("Logs")},
        "TracingConfig": {"Mode": "PassThrough"},
        "Tags": plan.tags,
    }
    if spec.concurrency is not None:
        properties["ReservedConcurrentExecutions"] = spec.concurrency
    return {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": properties},
        "FunctionRole": role("lambda.amazonaws.com", *_rights(plan)),
        version: {
            "Type": "AWS::Lambda::Version",
            # What an alias may have to go back to is never removed.
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"FunctionName": ref("Function"), "Description": ref("CodeDigest")},
        },
        "Alias": {
            "Type": "AWS::Lambda::Alias",
            "DependsOn": list(_ALARMS),
            "UpdatePolicy": {
                "CodeDeployLambdaAliasUpdate": {
                    "ApplicationName": ref("Application"),
                    "DeploymentGroupName": ref("Group"),
                }
            },
            "Properties": {
                "Name": plan.alias,
                "FunctionName": ref("Function"),
                "FunctionVersion": att(version, "Version"),
            },
        },
    }


def _rights(plan: RolloutPlan) -> list[Statement]:
    logs = ("logs:CreateLogStream", "logs:PutLogEvents")
    found = [allow("Log", logs, arn("logs", f"log-group:/aws/lambda/{plan.name}:*"))]
    models = plan.models
    if plan.endpoint.follow:
        listed = {"StringLike": {"s3:prefix": [f"{models.prefix}/*"]}}
        found += [
            allow("ReadModels", ("s3:GetObject",), s3_arn(models.bucket, models.below())),
            # Without it S3 says of what is not there that it is forbidden.
            allow("FindModels", ("s3:ListBucket",), s3_arn(models.bucket), condition=listed),
        ]
    for sid, action, place in (
        ("ReadFiles", "s3:GetObject", plan.endpoint.inbox_place),
        ("WriteScores", "s3:PutObject", plan.endpoint.outbox_place),
    ):
        if place:
            bucket, prefix = place
            key = "/".join(part for part in (prefix, "*") if part)
            found.append(allow(sid, (action,), s3_arn(bucket, key)))
    return found


def _moves(plan: RolloutPlan) -> dict[str, Resource]:
    """How the alias goes from one version to the next; an alarm on the way takes it back."""
    policy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"
    return {
        "MoverRole": role("codedeploy.amazonaws.com", managed=[sub(policy)]),
        "Application": {
            "Type": "AWS::CodeDeploy::Application",
            "Properties": {"ComputePlatform": "Lambda", "Tags": plan.tags},
        },
        "Config": {
            "Type": "AWS::CodeDeploy::DeploymentConfig",
            "Properties": {"ComputePlatform": "Lambda", "TrafficRoutingConfig": _routing(plan)},
        },
        "Group": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "ApplicationName": ref("Application"),
                "ServiceRoleArn": att("MoverRole"),
                "DeploymentConfigName": ref("Config"),
                "DeploymentStyle": {
                    "DeploymentType": "BLUE_GREEN",
                    "DeploymentOption": "WITH_TRAFFIC_CONTROL",
                },
                "AlarmConfiguration": {
                    "Enabled": True,
                    "Alarms": [{"Name": ref(name)} for name in _ALARMS],
                },
                "AutoRollbackConfiguration": {
                    "Enabled": True,
                    "Events": [
                        "DEPLOYMENT_FAILURE",
                        "DEPLOYMENT_STOP_ON_ALARM",
                        "DEPLOYMENT_STOP_ON_REQUEST",
                    ],
                },
                "Tags": plan.tags,
            },
        },
    }


def _routing(plan: RolloutPlan) -> dict[str, Any]:
    spec = plan.endpoint
    if spec.strategy == "all_at_once":
        return {"Type": "AllAtOnce"}
    prefix = spec.strategy.capitalize()
    return {
        "Type": f"TimeBased{prefix}",
        f"TimeBased{prefix}": {
            f"{prefix}Percentage": spec.step_percent,
            f"{prefix}Interval": spec.step_minutes,
        },
    }


def _callers(plan: RolloutPlan) -> dict[str, Resource]:
    """The address, which only signed requests of the named callers pass."""
    found: dict[str, Resource] = {
        "Url": {
            "Type": "AWS::Lambda::Url",
            "Properties": {
                "AuthType": "AWS_IAM",
                "InvokeMode": "BUFFERED",
                "Qualifier": plan.alias,
                "TargetFunctionArn": ref("Function"),
            },
            "DependsOn": ["Alias"],
        }
    }
    for number, caller in enumerate(plan.endpoint.callers, start=1):
        found[f"Caller{number}"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionName": ref("Alias"),
                "FunctionUrlAuthType": "AWS_IAM",
                "Principal": caller,
            },
        }
        found[f"Direct{number}"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": ref("Alias"),
                "Principal": caller,
            },
        }
    return found


def _files(plan: RolloutPlan) -> dict[str, Resource]:
    """Files that arrive in the inbox are scored; the bucket must send its events to EventBridge."""
    place = plan.endpoint.inbox_place
    if place is None:
        return {}
    bucket, prefix = place
    return {
        "FileRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": f"{plan.project}: a file to score has arrived",
                "EventPattern": {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {
                        "bucket": {"name": [bucket]},
                        "object": {"key": [{"prefix": f"{prefix}/" if prefix else ""}]},
                    },
                },
                "Targets": [{"Id": "score", "Arn": ref("Alias")}],
            },
        },
        "FilePermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": ref("Alias"),
                "Principal": "events.amazonaws.com",
                "SourceArn": att("FileRule"),
            },
        },
    }


def _errors(plan: RolloutPlan) -> Resource:
    """Share of calls that ended by a time-out, a crash or a failed start."""
    where = [
        {"Name": "FunctionName", "Value": plan.name},
        {"Name": "Resource", "Value": f"{plan.name}:{plan.alias}"},
    ]
    return alarm(
        plan,
        "Errors",
        "calls that crashed, timed out or found no model",
        [
            metric("errors", "AWS/Lambda", "Errors", where, "Sum"),
            metric("calls", "AWS/Lambda", "Invocations", where, "Sum"),
            expression("share", "IF(calls>0, errors/calls, 0)"),
        ],
        plan.endpoint.fault_share_limit,
    )
