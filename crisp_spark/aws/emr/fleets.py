"""The three instance fleets of a cluster, and how managed scaling may change them.

All fleets count in virtual CPUs: a type's weight is its number of vCPU, so that a target means the
same capacity whichever types are found, and the limits of managed scaling add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crisp_spark.aws.emr.instances import steady_types, task_types, vcpu_of
from crisp_spark.spec.compute import EmrCompute

_ON_DEMAND = {"OnDemandSpecification": {"AllocationStrategy": "prioritized"}}
_DISKS_FROM_GIB = 512  # one gp3 disk of this size or more is split into two


def primary_types(compute: EmrCompute) -> tuple[str, ...]:
    """Return the instance types of the primary machine, best first."""
    return compute.primary.instance_types or steady_types(compute.architecture)


def core_types(compute: EmrCompute) -> tuple[str, ...]:
    """Return the instance types of the core machines, best first."""
    return compute.core.instance_types or steady_types(compute.architecture)


def spot_types(compute: EmrCompute) -> tuple[str, ...]:
    """Return the instance types of the task machines."""
    return compute.task.instance_types or task_types(compute.architecture)


def core_vcpu(compute: EmrCompute) -> int:
    """Return the virtual CPUs of all core machines together."""
    return compute.core.nodes * vcpu_of(core_types(compute)[0])


def instance_fleets(compute: EmrCompute) -> list[dict[str, Any]]:
    """Return the fleets as ``RunJobFlow`` takes them."""
    fleets = [_primary(compute), _core(compute)]
    return [*fleets, _task(compute)] if compute.task.max_vcpu else fleets


def managed_scaling(compute: EmrCompute) -> dict[str, Any]:
    """Return the policy of managed scaling: core machines fixed, task machines as declared."""
    core, task = core_vcpu(compute), compute.task
    return {
        "ComputeLimits": {
            "UnitType": "InstanceFleetUnits",
            "MinimumCapacityUnits": core + task.min_vcpu,
            "MaximumCapacityUnits": core + task.max_vcpu,
            "MaximumOnDemandCapacityUnits": core + task.on_demand_vcpu,
            "MaximumCoreCapacityUnits": core,
        }
    }


def _primary(compute: EmrCompute) -> dict[str, Any]:
    types = primary_types(compute)
    return {
        "Name": "primary",
        "InstanceFleetType": "MASTER",
        "TargetOnDemandCapacity": 1,
        "InstanceTypeConfigs": [
            {
                "InstanceType": name,
                "WeightedCapacity": 1,
                "Priority": float(rank),
                "EbsConfiguration": _disks(compute.primary.disk_gib),
            }
            for rank, name in enumerate(types)
        ],
        "LaunchSpecifications": _ON_DEMAND,
    }


def _core(compute: EmrCompute) -> dict[str, Any]:
    minutes = compute.task.resize_minutes
    return {
        "Name": "core",
        "InstanceFleetType": "CORE",
        "TargetOnDemandCapacity": core_vcpu(compute),
        "InstanceTypeConfigs": [
            {
                "InstanceType": name,
                "WeightedCapacity": vcpu_of(name),
                "Priority": float(rank),
                "EbsConfiguration": _disks(compute.core.disk_gib),
            }
            for rank, name in enumerate(core_types(compute))
        ],
        "LaunchSpecifications": _ON_DEMAND,
        "ResizeSpecifications": {
            "OnDemandResizeSpecification": {"TimeoutDurationMinutes": minutes},
        },
    }


def _task(compute: EmrCompute) -> dict[str, Any]:
    task = compute.task
    return {
        "Name": "task",
        "InstanceFleetType": "TASK",
        "TargetOnDemandCapacity": task.on_demand_vcpu,
        "TargetSpotCapacity": task.initial_vcpu - task.on_demand_vcpu,
        "InstanceTypeConfigs": _spot_configs(spot_types(compute), compute),
        "LaunchSpecifications": {
            "SpotSpecification": {
                "TimeoutDurationMinutes": task.provisioning_minutes,
                "TimeoutAction": task.without_spot,
                "AllocationStrategy": task.strategy,
            },
            "OnDemandSpecification": {"AllocationStrategy": "lowest-price"},
        },
        "ResizeSpecifications": {
            "SpotResizeSpecification": {
                "TimeoutDurationMinutes": task.resize_minutes,
                "AllocationStrategy": task.strategy,
            },
            "OnDemandResizeSpecification": {"TimeoutDurationMinutes": task.resize_minutes},
        },
    }


def _spot_configs(types: Sequence[str], compute: EmrCompute) -> list[dict[str, Any]]:
    ranked = compute.task.strategy == "capacity-optimized-prioritized"
    return [
        {
            "InstanceType": name,
            "WeightedCapacity": vcpu_of(name),
            "BidPriceAsPercentageOfOnDemandPrice": 100.0,
            **({"Priority": float(rank)} if ranked else {}),
            "EbsConfiguration": _disks(compute.task.disk_gib_per_vcpu * vcpu_of(name)),
        }
        for rank, name in enumerate(types)
    ]


def _disks(gib: int) -> dict[str, Any]:
    number = 2 if gib >= _DISKS_FROM_GIB else 1
    volume = {"VolumeType": "gp3", "SizeInGB": -(-gib // number)}
    return {
        "EbsBlockDeviceConfigs": [{"VolumeSpecification": volume, "VolumesPerInstance": number}],
        "EbsOptimized": True,
    }
