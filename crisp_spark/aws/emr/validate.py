"""Checks a request against the service model, and against rules that the model does not hold.

Nothing is sent. botocore knows the fields, their types and their enumerations (which it does not
check by itself); ranges and exclusions are those of the API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

_LONGEST_STEP = 10_240
_MOST_STEPS = 256
_MOST_TYPES = 30
_MOST_TYPES_WITHOUT_STRATEGY = 5
_SERVICES = {
    "RunJobFlow": "emr",
    "AddJobFlowSteps": "emr",
    "CreateSecurityConfiguration": "emr",
    "StartJobRun": "emr-serverless",
    "CreateApplication": "emr-serverless",
}


def validate_request(operation: str, request: Mapping[str, Any]) -> list[str]:
    """Return what AWS would refuse about a request; nothing is sent.

    Args:
        operation: API operation, such as ``RunJobFlow``.
        request: Its arguments as boto3 takes them.
    """
    return validate_service_request(_SERVICES.get(operation, "emr"), operation, request)


def validate_service_request(service: str, operation: str, request: Mapping[str, Any]) -> list[str]:
    """Return what AWS would refuse about a request to any service.

    Args:
        service: boto3's name of the service.
        operation: API operation.
        request: Its arguments.
    """
    shape = _model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(dict(request), shape).generate_report()
    faults = [line for line in str(report).splitlines() if line]
    if not faults:
        faults += list(_enumerated(shape, request, operation))
        rules = _RULES.get((service, operation))
        faults += list(rules(request)) if rules else []
    return faults


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _enumerated(shape: Any, value: Any, place: str) -> Iterator[str]:
    """Find texts that are none of the values their shape lists."""
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members:
                yield from _enumerated(shape.members[name], item, f"{place}.{name}")
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from _enumerated(shape.member, item, f"{place}[{number}]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from _enumerated(shape.value, item, f"{place}[{name}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{place}: {value!r} is none of {', '.join(shape.enum)}"


def _run_job_flow(request: Mapping[str, Any]) -> Iterator[str]:
    instances = request["Instances"]
    fleets = instances.get("InstanceFleets") or []
    if fleets and (instances.get("InstanceGroups") or instances.get("InstanceCount")):
        yield "Instances: fleets and groups exclude each other"
    if fleets:
        yield from _fleet_rules(fleets)
    if instances.get("Ec2SubnetId") and instances.get("Ec2SubnetIds"):
        yield "Instances: Ec2SubnetId and Ec2SubnetIds exclude each other"
    yield from _numbers(request)
    yield from _scaling(request, fleets)
    yield from _steps(request)
    if request.get("ReleaseLabel") and request.get("AmiVersion"):
        yield "ReleaseLabel and AmiVersion exclude each other"
    uri = request.get("LogUri")
    if uri is not None and not str(uri).startswith(("s3://", "s3n://")):
        yield f"LogUri: {uri!r} is no S3 URI"


def _fleet_rules(fleets: list[Mapping[str, Any]]) -> Iterator[str]:
    kinds = [fleet["InstanceFleetType"] for fleet in fleets]
    for kind in ("MASTER", "CORE", "TASK"):
        if kinds.count(kind) > 1:
            yield f"InstanceFleets: {kinds.count(kind)} fleets of type {kind}, one at most"
    if "MASTER" not in kinds:
        yield "InstanceFleets: the MASTER fleet is missing"
    for fleet in fleets:
        yield from _fleet(fleet)


def _fleet(fleet: Mapping[str, Any]) -> Iterator[str]:
    kind = fleet["InstanceFleetType"]
    place = f"InstanceFleets[{kind}]"
    on_demand = fleet.get("TargetOnDemandCapacity", 0)
    spot = fleet.get("TargetSpotCapacity", 0)
    configs = fleet.get("InstanceTypeConfigs") or []
    launch = fleet.get("LaunchSpecifications") or {}
    if kind == "MASTER" and on_demand + spot != 1:
        yield f"{place}: the target capacities must add up to 1, got {on_demand + spot}"
    if kind == "CORE" and on_demand + spot < 1:
        yield f"{place}: the target capacities add up to nothing"
    if not configs:
        yield f"{place}: no instance type"
    named = [config["InstanceType"] for config in configs]
    for name in sorted({one for one in named if named.count(one) > 1}):
        yield f"{place}: {name} is named twice"
    strategies = [part.get("AllocationStrategy") for part in launch.values()]
    most = _MOST_TYPES if any(strategies) else _MOST_TYPES_WITHOUT_STRATEGY
    if len(configs) > most:
        yield f"{place}: {len(configs)} instance types, {most} at most"
    for config in configs:
        if config.get("WeightedCapacity", 1) < 1:
            yield f"{place}: {config['InstanceType']} has a weight below 1"
        if "BidPrice" in config and "BidPriceAsPercentageOfOnDemandPrice" in config:
            yield f"{place}: {config['InstanceType']} has two kinds of bid"
    yield from _timeouts(fleet, place)


def _timeouts(fleet: Mapping[str, Any], place: str) -> Iterator[str]:
    spot = (fleet.get("LaunchSpecifications") or {}).get("SpotSpecification") or {}
    yield from _within(spot, "TimeoutDurationMinutes", 5, 1440, place)
    if "BlockDurationMinutes" in spot:
        yield f"{place}: BlockDurationMinutes is no longer offered"
    for name, part in (fleet.get("ResizeSpecifications") or {}).items():
        yield from _within(part, "TimeoutDurationMinutes", 5, 10_080, f"{place}.{name}")


def _within(
    part: Mapping[str, Any], field: str, low: float, high: float, place: str
) -> Iterator[str]:
    value = part.get(field)
    if value is not None and not low <= value <= high:
        yield f"{place}.{field}: {value} is not between {low} and {high}"


def _numbers(request: Mapping[str, Any]) -> Iterator[str]:
    yield from _within(request, "StepConcurrencyLevel", 1, 256, "RunJobFlow")
    yield from _within(request, "EbsRootVolumeSize", 15, 100, "RunJobFlow")
    idle = request.get("AutoTerminationPolicy") or {}
    yield from _within(idle, "IdleTimeout", 60, 604_800, "AutoTerminationPolicy")
    if request.get("StepConcurrencyLevel", 1) > 1:
        for step in request.get("Steps") or ():
            if step.get("ActionOnFailure", "CONTINUE") != "CONTINUE":
                yield (
                    f"Steps[{step['Name']}]: with StepConcurrencyLevel above 1 a failing step can "
                    f"only CONTINUE, got {step['ActionOnFailure']}"
                )


def _scaling(request: Mapping[str, Any], fleets: list[Mapping[str, Any]]) -> Iterator[str]:
    policy = request.get("ManagedScalingPolicy") or {}
    limits = policy.get("ComputeLimits") or {}
    low, high = limits.get("MinimumCapacityUnits", 0), limits.get("MaximumCapacityUnits", 0)
    if limits and not 1 <= low <= high:
        yield f"ManagedScalingPolicy: 1 <= minimum <= maximum must hold, got {low} and {high}"
    for field in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        if limits.get(field, 0) > high:
            yield f"ManagedScalingPolicy.{field}: {limits[field]} is above the maximum {high}"
    if limits and fleets and limits["UnitType"] != "InstanceFleetUnits":
        yield "ManagedScalingPolicy.UnitType: fleets are counted in InstanceFleetUnits"
    index = policy.get("UtilizationPerformanceIndex")
    if index is not None and index not in {1, 25, 50, 75, 100}:
        yield f"ManagedScalingPolicy.UtilizationPerformanceIndex: 1, 25, 50, 75 or 100, got {index}"


def _steps(request: Mapping[str, Any]) -> Iterator[str]:
    steps = request.get("Steps") or ()
    if len(steps) > _MOST_STEPS:
        yield f"Steps: {len(steps)}, {_MOST_STEPS} at most"
    for step in steps:
        jar = step["HadoopJarStep"]
        length = sum(map(len, jar.get("Args") or ()))
        if length > _LONGEST_STEP:
            place = f"Steps[{step['Name']}]"
            yield f"{place}: {length} characters of arguments, {_LONGEST_STEP} at most"


_RULES: dict[tuple[str, str], Callable[[Mapping[str, Any]], Iterator[str]]] = {
    ("emr", "RunJobFlow"): _run_job_flow,
    ("emr", "AddJobFlowSteps"): _steps,
}
