"""Reads requests for clusters: their fleets, types and settings, wherever an overlay put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def fleets_of(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the instance fleets of a request."""
    fleets: Sequence[Mapping[str, Any]] = (request.get("Instances") or {}).get(
        "InstanceFleets"
    ) or ()
    return fleets


def types_of(
    request: Mapping[str, Any], kinds: Sequence[str] = ("MASTER", "CORE", "TASK")
) -> list[str]:
    """Return the instance types of a request's fleets, each once."""
    return list(
        dict.fromkeys(
            config["InstanceType"]
            for fleet in fleets_of(request)
            if fleet.get("InstanceFleetType") in kinds
            for config in fleet.get("InstanceTypeConfigs") or ()
            if "InstanceType" in config
        )
    )


def properties_of(request: Mapping[str, Any], classification: str) -> dict[str, str]:
    """Return the properties of one classification; empty where it is not in the request."""
    found: dict[str, str] = {}
    for one in request.get("Configurations") or ():
        if one.get("Classification") == classification:
            found |= dict(one.get("Properties") or {})
    return found


def vcpu_units(request: Mapping[str, Any], kind: str) -> int:
    """Return the capacity that the fleet of a kind asks for at the start."""
    return sum(
        int(fleet.get("TargetOnDemandCapacity", 0)) + int(fleet.get("TargetSpotCapacity", 0))
        for fleet in fleets_of(request)
        if fleet.get("InstanceFleetType") == kind
    )
