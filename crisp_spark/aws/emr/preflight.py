"""Hazards that only the account can tell: release, instance types, subnets and their addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.fleets import core_types, primary_types, spot_types
from crisp_spark.aws.emr.hazards import MANAGED_TAG, Hazard
from crisp_spark.spec.compute import EmrCompute

_RESERVE = 1.2
_METADATA_VERSION = 2


def account_hazards(compute: EmrCompute, aws: Clients) -> tuple[Hazard, ...]:
    """Look at what AWS says of the release, the instance types and the subnets.

    Needs ``elasticmapreduce:ListReleaseLabels``, ``elasticmapreduce:ListSupportedInstanceTypes``,
    ``elasticmapreduce:DescribeSecurityConfiguration``, ``ec2:DescribeSubnets`` and
    ``ec2:DescribeRouteTables``.

    Args:
        compute: What is declared.
        aws: Clients of its Region.

    Raises:
        CrispError: AWS did not answer, or refused.
    """
    with translated("plan --live"):
        return (*_release(compute, aws), *_subnets(compute, aws), *_security(compute, aws))


def _release(compute: EmrCompute, aws: Clients) -> Iterator[Hazard]:
    labels = _collected(aws.emr.list_release_labels, "ReleaseLabels", "NextToken")
    if labels and compute.release not in labels:
        yield Hazard(
            "release_absent",
            "fault",
            f"{compute.region} offers no release {compute.release}",
            f"newest: {', '.join(labels[:3])}",
        )
        return
    offered = _collected(
        aws.emr.list_supported_instance_types,
        "SupportedInstanceTypes",
        "Marker",
        ReleaseLabel=compute.release,
    )
    known = {one["Type"] for one in offered}
    wanted = dict.fromkeys([*primary_types(compute), *core_types(compute), *spot_types(compute)])
    absent = [name for name in wanted if known and name not in known]
    if absent:
        yield Hazard(
            "type_absent",
            "fault",
            f"{compute.release} in {compute.region} takes no {', '.join(absent)}",
            "name other instance types",
        )


def _subnets(compute: EmrCompute, aws: Clients) -> Iterator[Hazard]:
    if not compute.subnets:
        return
    ec2 = aws.get("ec2")
    found = ec2.describe_subnets(SubnetIds=list(compute.subnets))["Subnets"]
    # A vCPU of the smallest default type is a quarter of a machine, and a machine is an address.
    needed = int((1 + compute.core.nodes + compute.task.max_vcpu / 4) * _RESERVE)
    for subnet in found:
        name = subnet["SubnetId"]
        if subnet["AvailableIpAddressCount"] < needed:
            yield Hazard(
                "few_addresses",
                "warning",
                f"{name} has {subnet['AvailableIpAddressCount']} free addresses, up to {needed} "
                "may be needed; without one a fleet is suspended in silence",
            )
        if _is_public(subnet, ec2):
            yield Hazard(
                "public_subnet",
                "warning",
                f"{name} is public: its route table leads to an internet gateway",
                "use private subnets with an S3 gateway endpoint",
            )
        tags = {tag["Key"]: tag["Value"] for tag in subnet.get("Tags") or ()}
        if tags.get(MANAGED_TAG) != "true":
            yield Hazard(
                "subnet_tag",
                "warning",
                f"{name} lacks the tag {MANAGED_TAG}=true, which EMR's managed policy asks for",
            )
    zones = {subnet["AvailabilityZone"] for subnet in found}
    if len(found) > 1 and len(zones) == 1:
        yield Hazard("one_zone", "warning", f"all subnets are in {zones.pop()}")


def _security(compute: EmrCompute, aws: Clients) -> Iterator[Hazard]:
    name = compute.security_configuration
    if not name:
        return
    answer = aws.emr.describe_security_configuration(Name=name)
    content = json.loads(answer["SecurityConfiguration"])
    metadata = content.get("InstanceMetadataServiceConfiguration", {})
    if metadata.get("MinimumInstanceMetadataServiceVersion") != _METADATA_VERSION:
        yield Hazard(
            "metadata_v1",
            "fault",
            f"the security configuration {name} lets machines answer version 1 of the metadata "
            "service",
            "set MinimumInstanceMetadataServiceVersion to 2, or leave the name out",
        )
    if not content.get("EncryptionConfiguration", {}).get("EnableAtRestEncryption"):
        yield Hazard("unencrypted", "fault", f"{name} does not encrypt at rest")


def _is_public(subnet: Mapping[str, Any], ec2: Any) -> bool:
    def routes(field: str, value: str) -> Sequence[Mapping[str, Any]]:
        filters = [{"Name": field, "Values": [value]}]
        if field == "vpc-id":
            filters.append({"Name": "association.main", "Values": ["true"]})
        tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
        return [route for table in tables for route in table["Routes"]]

    own = routes("association.subnet-id", subnet["SubnetId"])
    used = own or routes("vpc-id", subnet["VpcId"])
    return any(str(route.get("GatewayId", "")).startswith("igw-") for route in used)


def _collected(operation: Any, key: str, marker: str, **arguments: Any) -> list[Any]:
    found: list[Any] = []
    token: dict[str, str] = {}
    while True:
        answer = operation(**arguments, **token)
        found += answer.get(key, [])
        if not answer.get(marker):
            return found
        token = {marker: answer[marker]}
