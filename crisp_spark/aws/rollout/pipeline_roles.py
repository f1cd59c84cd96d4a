"""Roles of a pipeline: each may do what it needs, and nothing else."""

from __future__ import annotations

from crisp_spark.aws.rollout.plan import RolloutPlan
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

_FUNCTION = (
    "lambda:AddPermission",
    "lambda:CreateAlias",
    "lambda:CreateFunction",
    "lambda:CreateFunctionUrlConfig",
    "lambda:DeleteAlias",
    "lambda:DeleteFunction",
    "lambda:DeleteFunctionConcurrency",
    "lambda:DeleteFunctionUrlConfig",
    "lambda:GetAlias",
    "lambda:GetFunction",
    "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionUrlConfig",
    "lambda:GetPolicy",
    "lambda:ListTags",
    "lambda:ListVersionsByFunction",
    "lambda:PublishVersion",
    "lambda:PutFunctionConcurrency",
    "lambda:RemovePermission",
    "lambda:TagResource",
    "lambda:UntagResource",
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "lambda:UpdateFunctionUrlConfig",
)
_MOVES = (
    "codedeploy:CreateApplication",
    "codedeploy:CreateDeployment",
    "codedeploy:CreateDeploymentConfig",
    "codedeploy:CreateDeploymentGroup",
    "codedeploy:DeleteApplication",
    "codedeploy:DeleteDeploymentConfig",
    "codedeploy:DeleteDeploymentGroup",
    "codedeploy:GetApplication",
    "codedeploy:GetApplicationRevision",
    "codedeploy:GetDeployment",
    "codedeploy:GetDeploymentConfig",
    "codedeploy:GetDeploymentGroup",
    "codedeploy:RegisterApplicationRevision",
    "codedeploy:StopDeployment",
    "codedeploy:TagResource",
    "codedeploy:UntagResource",
    "codedeploy:UpdateDeploymentGroup",
)
_TOPIC = (
    "sns:CreateTopic",
    "sns:DeleteTopic",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:ListTagsForResource",
    "sns:SetTopicAttributes",
    "sns:Subscribe",
    "sns:TagResource",
    "sns:Unsubscribe",
    "sns:UntagResource",
)
_RULE = (
    "events:DeleteRule",
    "events:DescribeRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
    "events:TagResource",
    "events:UntagResource",
)


def function_stack(plan: RolloutPlan) -> str:
    """Return the name of the stack that the pipeline changes."""
    return plan.name.removesuffix("pipeline") + "lambda"


def pipeline_roles(plan: RolloutPlan) -> dict[str, Resource]:
    """Return the roles of the builds, of the pipeline and of the stack that it changes."""
    return {
        "BuildRole": role("codebuild.amazonaws.com", *_build_rights(plan)),
        "PipelineRole": role("codepipeline.amazonaws.com", *_pipeline_rights(plan)),
        "StackRole": role("cloudformation.amazonaws.com", *_stack_rights(plan)),
    }


def _own_objects(plan: RolloutPlan) -> Statement:
    places = [
        s3_arn(plan.artifacts.bucket, plan.artifacts.below()),
        # CodePipeline puts what its stages hand on below the first letters of its own name.
        s3_arn(plan.artifacts.bucket, f"{plan.name[:20]}/*"),
    ]
    return allow("Objects", ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"), places)


def _listing(plan: RolloutPlan) -> Statement:
    actions = ("s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket")
    return allow("Bucket", actions, s3_arn(plan.artifacts.bucket))


def _build_rights(plan: RolloutPlan) -> list[Statement]:
    groups = [
        arn("logs", f"log-group:/aws/codebuild/{plan.name}-{name}:*")
        for name in ("test", "package")
    ]
    reports = ("codebuild:CreateReport", "codebuild:CreateReportGroup", "codebuild:UpdateReport")
    return [
        allow("Log", ("logs:CreateLogStream", "logs:PutLogEvents"), groups),
        _own_objects(plan),
        _listing(plan),
        allow("Reports", reports, arn("codebuild", f"report-group/{plan.name}-*")),
    ]


def _pipeline_rights(plan: RolloutPlan) -> list[Statement]:
    stacks = arn("cloudformation", f"stack/{function_stack(plan)}/*")
    changes = (
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
    )
    passed = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    builds = ("codebuild:BatchGetBuilds", "codebuild:StartBuild")
    return [
        allow("Source", ("codestar-connections:UseConnection",), ref("ConnectionArn")),
        allow("Builds", builds, [att("Test"), att("Package")]),
        allow("Changes", changes, stacks),
        allow("PassStackRole", ("iam:PassRole",), att("StackRole"), condition=passed),
        allow("Ask", ("sns:Publish",), ref("Topic")),
        _own_objects(plan),
        _listing(plan),
    ]


def _stack_rights(plan: RolloutPlan) -> list[Statement]:
    """What CloudFormation may do for the function's stack: make and change what bears its name."""
    name = function_stack(plan)
    own_roles = sub(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{name}-*")
    passed = {
        "StringEquals": {
            "iam:PassedToService": ["lambda.amazonaws.com", "codedeploy.amazonaws.com"]
        }
    }
    tagged = {"StringEquals": {"aws:RequestTag/crisp:project": plan.project}}
    roles = (
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    )
    alarms = (
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        "cloudwatch:UntagResource",
    )
    boards = ("cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard")
    account = "${AWS::AccountId}"
    board = sub(f"arn:${{AWS::Partition}}:cloudwatch::{account}:dashboard/{name}")
    groups = (
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:DescribeLogGroups",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
    )
    moves = [
        arn("codedeploy", f"{kind}:{name}-*")
        for kind in ("application", "deploymentgroup", "deploymentconfig")
    ]
    return [
        allow("Function", _FUNCTION, arn("lambda", f"function:{name}*")),
        allow("Roles", roles, own_roles),
        allow("TagRoles", ("iam:TagRole",), own_roles, condition=tagged),
        allow("PassRoles", ("iam:PassRole",), own_roles, condition=passed),
        allow("Moves", _MOVES, moves),
        allow("Topic", _TOPIC, arn("sns", f"{name}-*")),
        allow("Alarms", alarms, arn("cloudwatch", f"alarm:{name}-*")),
        allow("Boards", boards, board),
        allow("Logs", groups, arn("logs", f"log-group:/aws/lambda/{name}*")),
        allow("Rules", _RULE, arn("events", f"rule/{name}-*")),
        _own_objects(plan),
    ]
