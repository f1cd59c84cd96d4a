"""Executes state machines for real: moto's interpreter, with the parts that it lacks put in.

moto comes without JSONata, without the EMR integrations and without ``getObject``; waiting and
retrying are as slow as on AWS. All of these are hooks into moto's private modules, so moto is
pinned; a hook that a newer moto lacks fails every test, as it cannot be put in.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import jsonata
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_callback,
    state_task_service_factory,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.asl.parse import asl_parser

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's own
PATIENCE_SECONDS = 60.0

ServiceCall = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Answers ``(operation, request)`` in the place of a service."""


@cache
def client(service: str) -> Any:
    """Return a client, made once: making one takes longer than most of what it is asked."""
    given = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, region_name=REGION, **given)


class RefusedError(Exception):
    """What a service answers when it refuses a call."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class Execution:
    """An execution that has ended, or was left running on purpose."""

    arn: str
    status: str
    error: str
    cause: str
    output: Any
    states: list[str] = field(repr=False)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _declarations(bindings: Mapping[str, Any]) -> str:
    # moto puts texts between quotes as they are; a text with quotes in it breaks the expression.
    return "".join(
        f"{name} := {json.dumps(value, default=_plain)};" for name, value in bindings.items()
    )


def _evaluate(expression: str) -> Any:
    found = jsonata.Jsonata(expression).evaluate(None)
    return json.loads(json.dumps(found, default=list))


def _failure(task: Any, env: Any, error: str, cause: str) -> FailureEventException:
    details = TaskFailedEventDetails(
        resourceType=task._get_sfn_resource_type(),
        resource=task._get_sfn_resource(),
        error=error,
        cause=cause,
    )
    of_states = {"States.TaskFailed": StatesErrorNameType.StatesTaskFailed}.get(error)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(of_states) if of_states else CustomErrorName(error),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),
        )
    )


def _checked(check: Callable[..., None]) -> Callable[..., None]:
    """moto evaluates every expression twice more to see that it gave something."""

    def checked(env: Any, expression: str, rich: str, result: Any) -> None:
        if result is None:
            check(env, expression, rich, result)

    return checked


_TREES: dict[str, Any] = {}
_PARSE = asl_parser.AmazonStateLanguageParser.parse


def _parse(definition: str) -> tuple[Any, Any]:
    """moto parses a definition when it is made and when it is executed, which takes most of the
    time of a test; the syntax tree of a text stays the same, the program is made anew."""
    if definition in _TREES:
        return asl_parser.Preprocessor().visit(_TREES[definition]), _TREES[definition]
    program, tree = _PARSE(definition)
    _TREES[definition] = tree
    return program, tree


def _emr_task(emr: ServiceCall, watch: Callable[[str, dict[str, Any]], dict[str, Any] | None]):
    class EmrTask(state_task_service_callback.StateTaskServiceCallback):
        """``elasticmapreduce:addStep.sync`` and ``terminateCluster.sync``."""

        def __init__(self) -> None:
            super().__init__({ResourceCondition.WaitForTaskToken, ResourceCondition.Sync})

        def _get_supported_parameters(self):
            known = {
                "addstep": {"ClusterId", "Step", "ExecutionRoleArn"},
                "terminatecluster": {"ClusterId"},
            }
            return known.get(self.resource.api_action.lower())

        def _eval_service_task(self, env, normalised_parameters, **_):
            try:
                env.stack.append(emr(self.resource.api_action, dict(normalised_parameters)))
            except RefusedError as refused:
                raise _failure(self, env, refused.error, refused.cause) from refused

        def _build_sync_resolver(self, env, **_):
            started = env.stack.pop()

            def ended():
                try:
                    return watch(self.resource.api_action, started)
                except RefusedError as refused:
                    raise _failure(self, env, refused.error, refused.cause) from refused

            return ended

    return EmrTask


def _sdk_task(emr: ServiceCall):
    class SdkTask(state_task_service_aws_sdk.StateTaskServiceAwsSdk):
        """``aws-sdk``: EMR by the script, S3 with bodies as text and errors as AWS names them."""

        def _eval_service_task(self, env, normalised_parameters, **_):
            if self.resource.api_name == "emr":
                try:
                    env.stack.append(emr(self.resource.api_action, dict(normalised_parameters)))
                except RefusedError as refused:
                    raise _failure(self, env, refused.error, refused.cause) from refused
                return
            service = client(self.resource.api_name)
            if isinstance(normalised_parameters.get("Body"), dict):
                normalised_parameters["Body"] = json.dumps(normalised_parameters["Body"]).encode()
            action = self._get_boto_service_action()
            try:
                answer = getattr(service, action)(**normalised_parameters)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                raise _failure(self, env, f"S3.{code}Exception", str(error)) from error
            answer.pop("ResponseMetadata", None)
            if "Body" in answer:
                answer["Body"] = answer["Body"].read().decode()
            env.stack.append(json.loads(json.dumps(answer, default=str)))

    return SdkTask


@contextmanager
def interpreter(
    emr: ServiceCall, watch: Callable[[str, dict[str, Any]], dict[str, Any] | None]
) -> Iterator[None]:
    """Put the missing parts into moto's interpreter, and start moto.

    Args:
        emr: Answers calls to EMR.
        watch: Says of a started ``.sync`` call how it ended; None while it has not.
    """
    patch = pytest.MonkeyPatch()
    emr_task, sdk_task = _emr_task(emr, watch), _sdk_task(emr)
    original = state_task_service_factory.state_task_service_for

    def task_for(service_name: str):
        made = {"elasticmapreduce": emr_task, "aws-sdk": sdk_task}.get(service_name)
        return made() if made else original(service_name)

    patch.setattr(state_task_service_factory, "state_task_service_for", task_for)
    patch.setattr(state_task_factory, "state_task_service_for", task_for)
    patch.setattr(asl_parser.AmazonStateLanguageParser, "parse", staticmethod(_parse))
    patch.setattr(moto_jsonata, "_eval_jsonata", _evaluate)
    check = string_expression.validate_jsonata_expression_output
    patch.setattr(string_expression, "validate_jsonata_expression_output", _checked(check))
    patch.setattr(states, "encode_jsonata_variable_declarations", _declarations)
    patch.setattr(variable_store, "encode_jsonata_variable_declarations", _declarations)
    patch.setattr(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.005)
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _seconds: None))
    patch.setattr(WaitFunction, "_wait_interval", lambda *_, **__: time.sleep(0.005))
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        patch.setenv(f"AWS_{name}", value)
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    try:
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            yield
    finally:
        patch.undo()


def start(definition: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Create a state machine and start it; returns the execution's ARN."""
    machines = client("stepfunctions")
    machine = machines.create_state_machine(
        name=f"machine-{time.time_ns()}",
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
    )
    return machines.start_execution(
        stateMachineArn=machine["stateMachineArn"],
        name=f"execution-{time.time_ns()}",
        input=json.dumps(given),
    )["executionArn"]


def look(arn: str) -> Execution:
    """Describe an execution."""
    machines = client("stepfunctions")
    found = machines.describe_execution(executionArn=arn)
    events = machines.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in events
        if "stateEnteredEventDetails" in event
    ]
    output = found.get("output")
    return Execution(
        arn=arn,
        status=found["status"],
        error=found.get("error", ""),
        cause=found.get("cause", ""),
        output=json.loads(output) if output else None,
        states=entered,
    )


def run(definition: Mapping[str, Any], given: Mapping[str, Any]) -> Execution:
    """Execute a state machine to its end."""
    return wait(start(copy.deepcopy(dict(definition)), given))


def wait(arn: str) -> Execution:
    """Wait for the end of an execution."""
    until = time.monotonic() + PATIENCE_SECONDS
    while client("stepfunctions").describe_execution(executionArn=arn)["status"] == "RUNNING":
        if time.monotonic() > until:
            raise TimeoutError(f"{arn} still runs: {look(arn).states}")
        time.sleep(0.02)
    return look(arn)
