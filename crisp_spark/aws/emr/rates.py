"""What an hour of a planned cluster costs, from smallest to largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.aws.emr.fleets import core_types, core_vcpu, primary_types, spot_types
from crisp_spark.aws.emr.instances import vcpu_of
from crisp_spark.aws.pricing import Prices, Range
from crisp_spark.spec.compute import EmrCompute

_ROOT_GIB = 32


@dataclass(frozen=True)
class HourlyRate:
    """USD per hour of one cluster.

    Attributes:
        on_demand: EC2 of the on-demand machines (primary, core, a declared part of task).
        spot: EC2 of the spot machines.
        spot_on_demand: What the spot machines would cost on demand.
        emr_fee: EMR's fee.
        disks: EBS.
        missing: Instance types without a price, left out.
    """

    on_demand: Range
    spot: Range
    spot_on_demand: Range
    emr_fee: Range
    disks: Range
    missing: tuple[str, ...] = ()

    @property
    def total(self) -> Range:
        """All together."""
        return self.on_demand.plus(self.spot).plus(self.emr_fee).plus(self.disks)

    @property
    def total_on_demand(self) -> Range:
        """All together, were the spot machines bought on demand."""
        return self.on_demand.plus(self.spot_on_demand).plus(self.emr_fee).plus(self.disks)


def cluster_rate(compute: EmrCompute, prices: Prices) -> HourlyRate:
    """Return what an hour of the cluster costs.

    Low is the smallest size at the lowest prices among the declared types, high the largest size
    at the highest prices, middle halfway between start and largest size at the mean price.

    Args:
        compute: What the target declares.
        prices: Prices of its Region.

    Raises:
        SpecError: No type of a fleet has a price.
    """
    core, task = float(core_vcpu(compute)), compute.task
    bought = float(task.on_demand_vcpu)
    spot_vcpu = Range(
        float(max(task.min_vcpu - task.on_demand_vcpu, 0)),
        max((task.initial_vcpu + task.max_vcpu) / 2 - bought, 0.0),
        max(task.max_vcpu - bought, 0.0),
    )
    primary, workers = primary_types(compute), core_types(compute)
    spots = spot_types(compute) if task.max_vcpu else ()
    known = {name: prices.knows(name) for name in dict.fromkeys([*primary, *workers, *spots])}
    one = _per_unit(prices, [name for name in primary if known[name]] or primary, by_vcpu=False)
    per_core = _per_unit(prices, [name for name in workers if known[name]] or workers)
    zero = Range(0.0, 0.0, 0.0)
    per_task = _per_unit(prices, [n for n in spots if known[n]] or spots) if spots else None
    on_demand = one.on_demand.plus(per_core.on_demand.scaled(core))
    fee = one.fee.plus(per_core.fee.scaled(core))
    spot = spot_full = zero
    if per_task is not None:
        on_demand = on_demand.plus(per_task.on_demand.scaled(bought))
        fee = fee.plus(per_task.fee.scaled(bought)).plus(per_task.fee.times(spot_vcpu))
        spot = per_task.spot.times(spot_vcpu)
        spot_full = per_task.on_demand.times(spot_vcpu)
    return HourlyRate(
        on_demand=on_demand,
        spot=spot,
        spot_on_demand=spot_full,
        emr_fee=fee,
        disks=_disks(compute, prices, spot_vcpu),
        missing=tuple(name for name, is_known in known.items() if not is_known),
    )


@dataclass(frozen=True)
class _Unit:
    """Prices of one vCPU, or of one machine."""

    on_demand: Range
    spot: Range
    fee: Range


def _per_unit(prices: Prices, types: Sequence[str], *, by_vcpu: bool = True) -> _Unit:
    sizes = [float(vcpu_of(name)) if by_vcpu else 1.0 for name in types]
    full = [prices.on_demand_usd(name) / size for name, size in zip(types, sizes, strict=True)]
    fees = [prices.fee_usd(name) / size for name, size in zip(types, sizes, strict=True)]
    spots = [prices.spot_usd(name).scaled(1 / s) for name, s in zip(types, sizes, strict=True)]
    return _Unit(
        on_demand=_spread(full),
        fee=_spread(fees),
        spot=Range(
            min(one.low for one in spots),
            sum(one.middle for one in spots) / len(spots),
            max(one.high for one in spots),
        ),
    )


def _spread(values: Sequence[float]) -> Range:
    return Range(min(values), sum(values) / len(values), max(values))


def _disks(compute: EmrCompute, prices: Prices, spot_vcpu: Range) -> Range:
    task = compute.task
    fixed = compute.primary.disk_gib + _ROOT_GIB
    fixed += compute.core.nodes * (compute.core.disk_gib + _ROOT_GIB)
    steady = prices.disk_usd(fixed)
    per_vcpu = prices.disk_usd(task.disk_gib_per_vcpu + _ROOT_GIB / 4)
    moving = spot_vcpu.plus(Range(*(float(task.on_demand_vcpu),) * 3)).scaled(per_vcpu)
    return Range(steady, steady, steady).plus(moving)
