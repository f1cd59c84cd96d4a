"""The CloudFormation template of a schedule: one stack with everything that it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crisp_spark.aws.schedule.cleanup import cleanup_machine
from crisp_spark.aws.schedule.cloudformation import Resource, att, ref
from crisp_spark.aws.schedule.machine import state_machine
from crisp_spark.aws.schedule.roles import roles
from crisp_spark.aws.schedule.stack import PARAMETERS, StackPlan
from crisp_spark.aws.schedule.storage import STORAGE, storage
from crisp_spark.aws.schedule.triggers import triggers
from crisp_spark.aws.schedule.watching import delivered_to, watching

_TAGGED = frozenset(
    {
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::Scheduler::ScheduleGroup",
    }
)


def template(plan: StackPlan) -> dict[str, Any]:
    """Return the template of the whole stack."""
    resources = {
        **storage(plan),
        **roles(plan),
        **watching(plan),
        **triggers(plan),
        **_machines(plan),
    }
    parameters = {
        name: {"Type": "String", "MinLength": 1, "Description": text}
        for name, text in PARAMETERS.items()
    }
    return {**_stack(plan, resources), "Parameters": parameters, "Outputs": _outputs()}


def storage_template(plan: StackPlan) -> dict[str, Any] | None:
    """Return the template of the bucket alone; None where the stack does not make it.

    Packages, and the template of the whole, have to be in the bucket before the rest is made.
    """
    found = {name: one for name, one in storage(plan).items() if name in STORAGE}
    return _stack(plan, found) if found else None


def _stack(plan: StackPlan, resources: dict[str, Resource]) -> dict[str, Any]:
    for resource in resources.values():
        if resource["Type"] in _TAGGED:
            resource["Properties"]["Tags"] = _tags(plan)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"crisp_spark: scheduled runs of {plan.project}",
        "Resources": dict(sorted(resources.items())),
    }


def schedule_files(plan: StackPlan) -> Mapping[str, str]:
    """Return the files of a schedule: name to content."""
    return {
        "template.json": _text(template(plan)),
        "state-machine.asl.json": _text(state_machine(plan.machine())),
        "cleanup.asl.json": _text(cleanup_machine(plan.project)),
    }


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _tags(plan: StackPlan) -> list[dict[str, str]]:
    tags = {"crisp:project": plan.project} | plan.compute.tags
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _machines(plan: StackPlan) -> dict[str, Resource]:
    tokens: dict[str, Any] = {name: ref(name) for name in ("Topic", *PARAMETERS)}
    found: dict[str, Resource] = {}
    security = plan.security
    if security is not None:
        tokens["SecurityConfiguration"] = ref("SecurityConfiguration")
        found["SecurityConfiguration"] = {
            "Type": "AWS::EMR::SecurityConfiguration",
            "Properties": {"SecurityConfiguration": json.loads(security["SecurityConfiguration"])},
        }
    return found | {
        "Machine": _machine(plan, plan.name, state_machine(plan.machine()), tokens),
        "CleanupMachine": _machine(
            plan,
            f"{plan.name}-cleanup",
            cleanup_machine(plan.project),
            {"Topic": ref("Topic")},
            role="CleanupRole",
            logs="CleanupLogs",
        ),
    }


def _machine(
    plan: StackPlan,
    name: str,
    definition: Mapping[str, Any],
    tokens: Mapping[str, Any],
    *,
    role: str = "MachineRole",
    logs: str = "MachineLogs",
) -> Resource:
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineName": name,
            "StateMachineType": "STANDARD",
            "RoleArn": att(role),
            # As text: CloudFormation may turn the numbers of an object into texts.
            "DefinitionString": {"Fn::Sub": [json.dumps(definition), dict(tokens)]},
            "LoggingConfiguration": delivered_to(logs),
            "Tags": _tags(plan),
        },
    }


def _outputs() -> dict[str, Any]:
    named = {
        "MachineArn": ("The state machine; start it by hand for a run out of turn", "Machine"),
        "TopicArn": ("Where messages are sent", "Topic"),
        "DeadLettersUrl": ("Starts that could not be delivered", "DeadLetters"),
    }
    return {
        name: {"Description": text, "Value": ref(logical)}
        for name, (text, logical) in named.items()
    }
