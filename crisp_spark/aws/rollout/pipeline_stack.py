"""The template of a pipeline: source, tests, package, change set, a person's yes, roll-out."""

from __future__ import annotations

import json
from typing import Any

from crisp_spark.aws.rollout.pipeline_roles import function_stack, pipeline_roles
from crisp_spark.aws.rollout.plan import RolloutPlan, stack
from crisp_spark.aws.rollout.watching import log_group, topic
from crisp_spark.aws.schedule.cloudformation import Resource, att, ref

IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
PARAMETERS: dict[str, Any] = {
    "ConnectionArn": {
        "Type": "String",
        "AllowedPattern": "arn:[^:]+:(codeconnections|codestar-connections):.*",
        "Description": "Connection to where the project's code is kept",
    },
    "Repository": {
        "Type": "String",
        "AllowedPattern": "[^/]+/.+",
        "Description": "owner/name of the repository",
    },
    "Branch": {"Type": "String", "Default": "main", "Description": "Branch that is rolled out"},
    "ProjectFile": {
        "Type": "String",
        "Default": "crisp.yml",
        "Description": "The project file in the repository",
    },
    "TargetName": {"Type": "String", "Description": "Target of the project file"},
}
TEST = {
    "version": 0.2,
    "phases": {
        "install": {"runtime-versions": {"python": "3.11", "java": "corretto17"}},
        "build": {"commands": ["make setup", "make test"]},
    },
}
PACKAGE = {
    "version": 0.2,
    "phases": {
        "install": {"runtime-versions": {"python": "3.11"}},
        "build": {
            "commands": [
                "make setup",
                'WHERE="--project $PROJECT --target $TARGET"',
                ".venv/bin/crisp validate $WHERE",
                ".venv/bin/crisp deploy --to lambda --upload --out out $WHERE",
            ]
        },
    },
    "artifacts": {"base-directory": "out", "files": ["template.json", "parameters.json"]},
}


def pipeline_template(plan: RolloutPlan) -> dict[str, Any]:
    """Return the template of the pipeline that rolls the Lambda function of a project out."""
    resources = {
        **topic(plan),
        **pipeline_roles(plan),
        "TestLogs": log_group(plan, f"/aws/codebuild/{plan.name}-test"),
        "PackageLogs": log_group(plan, f"/aws/codebuild/{plan.name}-package"),
        "Test": _build(plan, "test", TEST, timeout=60),
        "Package": _build(plan, "package", PACKAGE, timeout=30),
        "Pipeline": _pipeline(plan),
    }
    outputs = {"PipelineName": ("Name of the pipeline", ref("Pipeline"))}
    return stack(plan, "pipeline", resources, PARAMETERS, outputs)


def _build(plan: RolloutPlan, name: str, spec: dict[str, Any], *, timeout: int) -> Resource:
    variables = {"PROJECT": ref("ProjectFile"), "TARGET": ref("TargetName")}
    return {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {
            "Name": f"{plan.name}-{name}",
            "ServiceRole": att("BuildRole"),
            "Source": {"Type": "CODEPIPELINE", "BuildSpec": json.dumps(spec, indent=1)},
            "Artifacts": {"Type": "CODEPIPELINE"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "ComputeType": "BUILD_GENERAL1_MEDIUM",
                "Image": IMAGE,
                "EnvironmentVariables": [
                    {"Name": key, "Value": value} for key, value in variables.items()
                ],
            },
            "TimeoutInMinutes": timeout,
            "Tags": plan.tags,
        },
    }


def _pipeline(plan: RolloutPlan) -> Resource:
    stages = [
        ("Source", [_source()]),
        ("Test", [_action("Test", "Build", "CodeBuild", _project("Test"), reads="Source")]),
        (
            "Package",
            [
                _action(
                    "Package",
                    "Build",
                    "CodeBuild",
                    _project("Package"),
                    reads="Source",
                    writes="Packaged",
                )
            ],
        ),
        ("Deploy", _deployment(plan)),
    ]
    return {
        "Type": "AWS::CodePipeline::Pipeline",
        "Properties": {
            "Name": plan.name,
            "PipelineType": "V2",
            "ExecutionMode": "QUEUED",
            "RoleArn": att("PipelineRole"),
            "ArtifactStore": {"Type": "S3", "Location": plan.artifacts.bucket},
            "Stages": [{"Name": name, "Actions": actions} for name, actions in stages],
            "Tags": plan.tags,
        },
    }


def _project(name: str) -> dict[str, Any]:
    return {"ProjectName": ref(name)}


def _source() -> dict[str, Any]:
    settings = {
        "ConnectionArn": ref("ConnectionArn"),
        "FullRepositoryId": ref("Repository"),
        "BranchName": ref("Branch"),
        "DetectChanges": "true",
    }
    return _action(
        "Source", "Source", "CodeStarSourceConnection", settings, writes="Source", order=1
    )


def _deployment(plan: RolloutPlan) -> list[dict[str, Any]]:
    name = function_stack(plan)
    change = {"StackName": name, "ChangeSetName": f"{name}-change"}
    made = change | {
        "ActionMode": "CHANGE_SET_REPLACE",
        "Capabilities": "CAPABILITY_NAMED_IAM",
        "RoleArn": att("StackRole"),
        "TemplatePath": "Packaged::template.json",
        "TemplateConfiguration": "Packaged::parameters.json",
    }
    asked = {"NotificationArn": ref("Topic"), "CustomData": f"Roll {plan.model} out?"}
    return [
        _action("Propose", "Deploy", "CloudFormation", made, reads="Packaged", order=1),
        _action("Agree", "Approval", "Manual", asked, order=2),
        _action(
            "RollOut",
            "Deploy",
            "CloudFormation",
            change | {"ActionMode": "CHANGE_SET_EXECUTE"},
            order=3,
        ),
    ]


def _action(
    name: str,
    category: str,
    provider: str,
    settings: dict[str, Any],
    *,
    reads: str = "",
    writes: str = "",
    order: int = 1,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Name": name,
        "ActionTypeId": {
            "Category": category,
            "Owner": "AWS",
            "Provider": provider,
            "Version": "1",
        },
        "Configuration": settings,
        "RunOrder": order,
    }
    if reads:
        found["InputArtifacts"] = [{"Name": reads}]
    if writes:
        found["OutputArtifacts"] = [{"Name": writes}]
    return found
