"""What an instance type's name says, and the types that plans take when none are named."""

from __future__ import annotations

import re

from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import Architecture

_NAME = re.compile(r"^(?P<family>[a-z]+(?:-[a-z0-9]+)?\d+[a-z0-9-]*)\.(?P<size>[a-z0-9-]+)$")
_GRAVITON = re.compile(r"^(a1|[a-z]+\d+g)")
_VCPU = {"medium": 1, "large": 2, "xlarge": 4}
_MEMORY_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}

# General and memory-optimised types only: an executor of 4 vCPU and 9 GiB of heap fits all.
_FAMILIES: dict[Architecture, tuple[str, ...]] = {
    "aarch64": ("m7g", "m6g", "m8g", "r7g", "r6g", "r8g"),
    "x86_64": ("m6i", "m5", "m6a", "m5a", "r6i", "r5"),
}
_STEADY_SIZE = "xlarge"
_TASK_SIZES = ("xlarge", "2xlarge")


def vcpu_of(instance_type: str) -> int:
    """Return the virtual CPUs of a type, from its size.

    Sizes are multiples of four per ``xlarge`` in all families that EMR offers, a few old ones
    (``c1``, ``m2``, ``c4.8xlarge``) and bare metal aside.

    Raises:
        SpecError: The name says no size.
    """
    size = _parts(instance_type)["size"]
    if size in _VCPU:
        return _VCPU[size]
    found = re.match(r"^(\d+)xlarge$", size)
    if found is None:
        raise SpecError(
            f"instance type {instance_type!r}: the size {size!r} says no number of vCPU",
            hint="use sizes such as xlarge, 2xlarge, 4xlarge",
        )
    return 4 * int(found[1])


def architecture_of(instance_type: str) -> Architecture:
    """Return the processor type: Graviton families carry a ``g`` right behind their number.

    Raises:
        SpecError: The name is not that of an instance type.
    """
    return "aarch64" if _GRAVITON.match(family_of(instance_type)) else "x86_64"


def family_of(instance_type: str) -> str:
    """Return the family, such as ``m7g``.

    Raises:
        SpecError: The name is not that of an instance type.
    """
    return _parts(instance_type)["family"]


def memory_gib_of(instance_type: str) -> int | None:
    """Return the memory in GiB of a type of the families c, m and r; None for others."""
    per_vcpu = _MEMORY_GIB_PER_VCPU.get(family_of(instance_type)[0])
    return per_vcpu * vcpu_of(instance_type) if per_vcpu else None


def steady_types(architecture: Architecture) -> tuple[str, ...]:
    """Return the default types of primary and core machines: four vCPU each."""
    return tuple(f"{family}.{_STEADY_SIZE}" for family in _FAMILIES[architecture])


def task_types(architecture: Architecture) -> tuple[str, ...]:
    """Return the default types of task machines: twelve, of two sizes."""
    return tuple(f"{family}.{size}" for size in _TASK_SIZES for family in _FAMILIES[architecture])


def _parts(instance_type: str) -> re.Match[str]:
    found = _NAME.match(instance_type)
    if found is None:
        raise SpecError(
            f"instance type {instance_type!r}: not a name like m7g.xlarge",
            hint="`aws emr list-supported-instance-types --release-label ...` lists them",
        )
    return found
