"""Pieces of a state machine in JSONata: tasks with the retries and catches that all have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

State = dict[str, Any]
"""One state as the Amazon States Language writes it."""

THROTTLED: tuple[str, ...] = (
    "ThrottlingException",
    "Emr.ThrottlingException",
    "Emr.EmrException",
    "ElasticMapReduce.ThrottlingException",
    "ElasticMapReduce.AmazonElasticMapReduceException",
    "S3.SlowDownException",
)
"""Errors after which a call is repeated. The two general ones of EMR are what throttling comes as;
they mean that the service refused the call, so that nothing was started twice."""

ACTIVE: tuple[str, ...] = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
"""States of a cluster that costs money."""

ENDED: tuple[str, ...] = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
"""States of a cluster that is over, or will be in a minute."""

_LONGEST_CAUSE = 30_000  # a cause may have 32,768 characters


def sdk(service: str, action: str) -> str:
    """Return the resource of a call without a wait."""
    return f"arn:aws:states:::aws-sdk:{service}:{action}"


def emr_sync(action: str) -> str:
    """Return the resource of an EMR call whose end Step Functions waits for."""
    return f"arn:aws:states:::elasticmapreduce:{action}.sync"


def quoted(text: str) -> str:
    """Return ``text`` as a string of JSONata.

    JSONata reads the escapes of JSON, in single quotes too.
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def among(value: str, options: tuple[str, ...]) -> str:
    """Return the expression that says whether ``value`` is one of the texts."""
    return f"{value} in [{', '.join(quoted(option) for option in options)}]"


def remembered(**more: str) -> State:
    """Return the assignments that keep the error of a task for the end of the run."""
    cause = "$states.errorOutput.Cause"
    return {
        "error": "{% $states.errorOutput.Error %}",
        "cause": f"{{% $exists({cause}) ? $substring({cause}, 0, {_LONGEST_CAUSE}) : '' %}}",
        **more,
    }


def task(
    resource: str,
    arguments: Mapping[str, Any],
    then: str,
    *,
    assign: Mapping[str, Any] | None = None,
    caught: tuple[str, Mapping[str, Any]] | None = None,
    minutes: int = 0,
) -> State:
    """Return a task.

    Args:
        resource: What is called.
        arguments: What it is called with.
        then: State that follows.
        assign: Variables that are set from its answer.
        caught: State that follows any error, and the variables that are set then.
        minutes: Longest time; none when 0.
    """
    state: State = {"Type": "Task", "Resource": resource, "Arguments": dict(arguments)}
    if minutes:
        state["TimeoutSeconds"] = minutes * 60
    state["Retry"] = [
        {
            "ErrorEquals": list(THROTTLED),
            "IntervalSeconds": 5,
            "MaxAttempts": 6,
            "BackoffRate": 2.0,
            "MaxDelaySeconds": 120,
            "JitterStrategy": "FULL",
        }
    ]
    if caught is not None:
        following, variables = caught
        state["Catch"] = [
            {"ErrorEquals": ["States.ALL"], "Assign": dict(variables), "Next": following}
        ]
    if assign:
        state["Assign"] = dict(assign)
    # Answers are kept in variables; what a state hands on would only fill the history.
    state["Output"] = {}
    return state | {"Next": then}


def choice(*rules: tuple[str, str, Mapping[str, Any] | None], otherwise: str) -> State:
    """Return a choice of ``(condition, following state, variables to set)``, first match wins."""
    listed = []
    for condition, following, variables in rules:
        rule: State = {"Condition": f"{{% {condition} %}}", "Next": following}
        if variables:
            rule["Assign"] = dict(variables)
        listed.append(rule)
    return {"Type": "Choice", "Choices": listed, "Default": otherwise}
