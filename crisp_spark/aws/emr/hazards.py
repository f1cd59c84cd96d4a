"""What is wrong or risky about a planned cluster, looked for in the request that would be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from crisp_spark.aws.emr.delivery import PackageRefs
from crisp_spark.aws.emr.instances import architecture_of, memory_gib_of, vcpu_of
from crisp_spark.aws.emr.reading import fleets_of, properties_of, types_of, vcpu_units
from crisp_spark.aws.emr.releases import RELEASES, SPARK_8_APPLICATIONS, TESTED, release_of
from crisp_spark.aws.emr.validate import validate_request
from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import EmrCompute

Severity = Literal["fault", "warning"]

MANAGED_TAG = "for-use-with-amazon-emr-managed-policies"
_FEW_TYPES = 10
_SOON_DAYS = 90
_YARN_SHARE = 0.75  # of a machine's memory that EMR gives to YARN on types of 16 GiB
_OVERHEAD = 1.2


@dataclass(frozen=True)
class Hazard:
    """Something found.

    Attributes:
        id: Short name.
        severity: A ``fault`` stops a submission, a ``warning`` does not.
        message: What was found.
        hint: What to do.
    """

    id: str
    severity: Severity
    message: str
    hint: str = ""


def cluster_hazards(
    compute: EmrCompute,
    request: Mapping[str, Any],
    package: PackageRefs | None,
    *,
    today: date | None = None,
) -> tuple[Hazard, ...]:
    """Look for hazards.

    Args:
        compute: What is declared.
        request: The request for ``RunJobFlow``, overlay included.
        package: Published code, if any.
        today: Day to judge support by; the current one (UTC) when None.
    """
    found = [
        *(Hazard("request", "fault", line) for line in validate_request("RunJobFlow", request)),
        *_fleets(request),
        *_types(compute, request, package),
        *_release(compute, request, today or datetime.now(UTC).date()),
        *_operation(compute, request),
        *_sizes(compute, request),
    ]
    order = {"fault": 0, "warning": 1}
    return tuple(sorted(found, key=lambda hazard: order[hazard.severity]))


def _fleets(request: Mapping[str, Any]) -> Iterator[Hazard]:
    for fleet in fleets_of(request):
        kind = fleet.get("InstanceFleetType")
        if kind in {"MASTER", "CORE"} and fleet.get("TargetSpotCapacity"):
            yield Hazard(
                "spot_core",
                "fault",
                f"{kind} machines on spot: losing one ends the cluster or loses HDFS blocks",
                "keep spot to the TASK fleet",
            )
        types = fleet.get("InstanceTypeConfigs") or ()
        if kind == "TASK" and fleet.get("TargetSpotCapacity") and len(types) < _FEW_TYPES:
            yield Hazard(
                "few_types",
                "warning",
                f"only {len(types)} in the list of task instance types; {_FEW_TYPES} or more find "
                "spot capacity more often",
                "name more in compute.task.instance_types, or none at all",
            )
        bids = [
            str(config.get("InstanceType"))
            for config in types
            if "BidPrice" in config or config.get("BidPriceAsPercentageOfOnDemandPrice", 100) < 100  # noqa: PLR2004
        ]
        if bids:
            yield Hazard(
                "low_bid",
                "warning",
                f"a bid below the on-demand price for {', '.join(bids)} means more losses, not a "
                "lower price",
                "leave bids at 100 % of on demand",
            )


def _types(
    compute: EmrCompute, request: Mapping[str, Any], package: PackageRefs | None
) -> Iterator[Hazard]:
    used: dict[str, list[str]] = {}
    for name in types_of(request):
        try:
            used.setdefault(architecture_of(name), []).append(name)
            vcpu_of(name)
        except SpecError as error:
            yield Hazard("unknown_type", "fault", error.message, error.hint)
    if len(used) > 1:
        words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in sorted(used.items()))
        yield Hazard(
            "mixed_architectures",
            "fault",
            f"instance types of two processor types ({words}); compiled code fits one only",
            f"keep to {compute.architecture}, or change compute.architecture",
        )
    elif used and compute.architecture not in used:
        yield Hazard(
            "wrong_architecture",
            "fault",
            f"all instance types are {next(iter(used))}, compute.architecture says "
            f"{compute.architecture}",
        )
    if package is not None and package.architecture != compute.architecture:
        yield Hazard(
            "package_architecture",
            "fault",
            f"the package is for {package.architecture}, the machines are {compute.architecture}",
            f"crisp package --architecture {compute.architecture}",
        )
    for fleet in fleets_of(request):
        if fleet.get("InstanceFleetType") != "TASK":
            yield from _uneven(fleet)


def _uneven(fleet: Mapping[str, Any]) -> Iterator[Hazard]:
    names = [str(one.get("InstanceType")) for one in fleet.get("InstanceTypeConfigs") or ()]
    sizes = {vcpu_of(name) for name in names if _is_sized(name)}
    if fleet.get("InstanceFleetType") == "CORE" and len(sizes) > 1:
        yield Hazard(
            "uneven_core",
            "warning",
            f"core instance types of different sizes ({sorted(sizes)} vCPU): the number of core "
            "machines then depends on what is found",
            "name types of one size",
        )


def _is_sized(name: str) -> bool:
    try:
        return vcpu_of(name) > 0
    except SpecError:
        return False


def _release(compute: EmrCompute, request: Mapping[str, Any], today: date) -> Iterator[Hazard]:
    label = str(request.get("ReleaseLabel", compute.release))
    release = release_of(label)
    until = release.supported_until
    if until is not None and today > until:
        yield Hazard(
            "unsupported_release",
            "fault",
            f"{label}: AWS's support ended on {until}",
            f"use {TESTED[0]}",
        )
    elif until is not None and (until - today).days < _SOON_DAYS:
        yield Hazard("support_ends", "warning", f"{label}: AWS's support ends on {until}")
    if label not in TESTED:
        known = "is not one that crisp is tested on" if label in RELEASES else "is unknown to crisp"
        yield Hazard("untested_release", "warning", f"{label} {known}", f"use {TESTED[0]}")
    names = {str(one.get("Name")) for one in request.get("Applications") or ()}
    if release.is_spark_8 and names - SPARK_8_APPLICATIONS:
        yield Hazard(
            "applications",
            "fault",
            f"{label} has no application {', '.join(sorted(names - SPARK_8_APPLICATIONS))}",
            f"it has {', '.join(sorted(SPARK_8_APPLICATIONS))}; YARN and HDFS come with Spark",
        )
    if "Spark" not in names:
        yield Hazard("no_spark", "fault", "the application Spark is not asked for")
    emrfs = [
        one.get("Classification")
        for one in request.get("Configurations") or ()
        if one.get("Classification") == "emrfs-site"
    ]
    if emrfs and not release.has_emrfs:
        yield Hazard("emrfs", "fault", f"{label} has no EMRFS, so emrfs-site is refused")


def _operation(compute: EmrCompute, request: Mapping[str, Any]) -> Iterator[Hazard]:
    if not request.get("LogUri"):
        yield Hazard("no_logs", "fault", "no LogUri: a failed step leaves no trace")
    tags = {tag["Key"] for tag in request.get("Tags") or () if "Key" in tag}
    for tag in (MANAGED_TAG, "crisp:project"):
        if tag not in tags:
            yield Hazard("missing_tag", "fault", f"the tag {tag} is missing")
    if not request.get("AutoTerminationPolicy"):
        yield Hazard(
            "no_idle_end", "fault", "no AutoTerminationPolicy: a cluster may stay for ever"
        )
    instances = request.get("Instances") or {}
    if instances.get("TerminationProtected"):
        yield Hazard("protected", "fault", "termination protection keeps a cluster alive for ever")
    if instances.get("Ec2KeyName"):
        yield Hazard("ssh_key", "warning", "an SSH key is named; access by SSM needs none")
    yield from _network(compute, instances)
    yield from _access(compute)
    yield from _on_demand(request)


def _on_demand(request: Mapping[str, Any]) -> Iterator[Hazard]:
    """What must stay on machines that are not taken away."""
    label = "yarn.node-labels.am.default-node-label-expression"
    yarn = properties_of(request, "yarn-site")
    is_pinned = yarn.get(label) in {"ON_DEMAND", "CORE"}
    if not is_pinned or yarn.get("yarn.node-labels.enabled") != "true":
        yield Hazard(
            "am_on_spot",
            "fault",
            "YARN does not pin application masters to on-demand machines: a spot loss can end the "
            "run",
            f"leave yarn.node-labels.enabled and {label} as the plan sets them",
        )
    limits = (request.get("ManagedScalingPolicy") or {}).get("ComputeLimits") or {}
    core = vcpu_units(request, "CORE")
    if limits and limits.get("MaximumCoreCapacityUnits", core) != core:
        yield Hazard(
            "core_scales",
            "fault",
            f"managed scaling may change the core fleet ({core} units at the start, "
            f"{limits['MaximumCoreCapacityUnits']} at most): HDFS would move or grow for good",
            "keep MaximumCoreCapacityUnits at the core fleet's target",
        )


def _network(compute: EmrCompute, instances: Mapping[str, Any]) -> Iterator[Hazard]:
    if not compute.subnets and not instances.get("Ec2SubnetIds"):
        yield Hazard(
            "no_subnet",
            "warning",
            "no subnet is named: EMR takes one of the default VPC, which usually is public",
            "name private subnets in compute.subnets, one per availability zone",
        )
    elif len(instances.get("Ec2SubnetIds") or compute.subnets) == 1:
        yield Hazard(
            "one_subnet",
            "warning",
            "one subnet means one availability zone, and spot capacity of that zone only",
        )


def _access(compute: EmrCompute) -> Iterator[Hazard]:
    if not compute.kms_key and not compute.security_configuration:
        yield Hazard(
            "disks",
            "warning",
            "without compute.kms_key local disks are encrypted only if the account encrypts EBS "
            "by default",
        )
    if not compute.runtime_role:
        yield Hazard(
            "no_runtime_role",
            "warning",
            "steps run with the role of the machines; compute.runtime_role keeps access to data "
            "apart",
        )


def _sizes(compute: EmrCompute, request: Mapping[str, Any]) -> Iterator[Hazard]:
    needed = compute.executor_memory_gib * _OVERHEAD
    small = []
    for name in types_of(request, kinds=("CORE", "TASK")):
        memory = memory_gib_of(name) if _is_sized(name) else None
        if memory is not None and (
            memory * _YARN_SHARE < needed or vcpu_of(name) < compute.executor_vcpu
        ):
            small.append(name)
    if small:
        yield Hazard(
            "executor_size",
            "fault",
            f"an executor of {compute.executor_vcpu} vCPU and {needed:.1f} GiB does not fit on "
            f"{', '.join(small)}",
            "lower executor_memory_gib or executor_vcpu, or name larger types",
        )
    driver = compute.driver_memory_gib * _OVERHEAD
    cores = filter(_is_sized, types_of(request, kinds=("CORE",)))
    homes = [(name, memory_gib_of(name)) for name in cores]
    tight = [name for name, memory in homes if memory is not None and memory * _YARN_SHARE < driver]
    if tight and compute.deploy_mode == "cluster":
        yield Hazard(
            "driver_size",
            "fault",
            f"a driver of {driver:.1f} GiB does not fit on {', '.join(tight)}",
            "lower driver_memory_gib, or name larger core types",
        )
    nodes = compute.core.nodes
    if nodes < 2:  # noqa: PLR2004
        yield Hazard(
            "one_core", "warning", "one core machine: HDFS keeps a single copy of every block"
        )
