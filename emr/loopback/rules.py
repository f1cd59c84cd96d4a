"""What EMR refuses at once: the checks of a request that moto does not make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crisp_spark.aws.emr.validate import validate_request

MOST_ACTIVE_STEPS = 256
LONGEST_STEP = 10_240
_WAITING_STATES = {"PENDING", "RUNNING", "CANCEL_PENDING"}


def faults_of_run_job_flow(request: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with RunJobFlow's request."""
    found = validate_request("RunJobFlow", request)
    instances = request.get("Instances", {})
    if instances.get("InstanceFleets") and instances.get("InstanceGroups"):
        found.append("InstanceFleets and InstanceGroups cannot be used together")
    kinds = [fleet.get("InstanceFleetType") for fleet in instances.get("InstanceFleets", ())]
    if kinds and (kinds.count("MASTER") != 1 or len(set(kinds)) != len(kinds)):
        found.append("A cluster has exactly one MASTER and at most one CORE and one TASK fleet")
    concurrency = int(request.get("StepConcurrencyLevel") or 1)
    return found + faults_of_steps(request.get("Steps", ()), concurrency=concurrency)


def faults_of_steps(
    steps: Sequence[Mapping[str, Any]], *, concurrency: int, present: Sequence[str] = ()
) -> list[str]:
    """Return what is wrong with steps that are to be added.

    Args:
        steps: Steps of the request.
        concurrency: StepConcurrencyLevel of the cluster.
        present: States of the steps that the cluster has.
    """
    found = []
    waiting = sum(state in _WAITING_STATES for state in present)
    if waiting + len(steps) > MOST_ACTIVE_STEPS:
        found.append(f"Maximum number of active steps for a cluster is {MOST_ACTIVE_STEPS}")
    for step in steps:
        jar = step.get("HadoopJarStep", {})
        length = len(jar.get("Jar", "")) + sum(len(word) for word in jar.get("Args", ()))
        if length > LONGEST_STEP:
            found.append(
                f"Total length of all strings of a step is {length}, the limit {LONGEST_STEP}"
            )
        action = step.get("ActionOnFailure", "TERMINATE_CLUSTER")
        if concurrency > 1 and action != "CONTINUE":
            found.append(f"ActionOnFailure {action} is not allowed with concurrent steps")
    return found
