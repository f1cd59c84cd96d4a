"""Prices: a bundled, dated table for two Regions, and the live ones for everything else.

Where the bundled figures come from, and how far they can be trusted:

- EC2 on demand, us-east-1: AWS price list as of 2026-07-20, as kept in the source of the Karpenter
  project. Exact for the families named here; prices within a family are proportional to size.
- EC2 on demand, eu-central-1: us-east-1 times 1.2. Approximate: held against public prices of m5,
  m6g, m7g, r5 and r6g (0.230, 0.184, 0.195, 0.304, 0.242 USD for four vCPU) it is within 1 %.
- EMR fee: a quarter of the on-demand price. Approximate rule; it holds to the cent at the points
  that AWS's best-practice guide names, and large old types are capped below it.
- EBS gp3: 0.08 and 0.0952 USD per GB-month. Approximate, from memory of the price list.
- Spot: 30 to 70 % of on demand, 45 % in the middle. An assumption, not a source: spot prices move
  by the hour. ``--live`` asks for the real ones.
- EMR Serverless: price table of PerfKitBenchmarker, August 2026; ``aarch64`` is a fifth less,
  approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from crisp_spark.aws.emr.instances import family_of, vcpu_of
from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import Architecture

BUNDLED_ON = date(2026, 7, 20)
"""Day of the bundled on-demand prices."""

BUNDLED_REGIONS = ("us-east-1", "eu-central-1")

HOURS_PER_MONTH = 730.0

_USD_PER_XLARGE: Mapping[str, float] = MappingProxyType(
    {
        "m5": 0.192,
        "m5a": 0.172,
        "m6a": 0.1728,
        "m6i": 0.192,
        "m7a": 0.23184,
        "m7i": 0.2016,
        "m6g": 0.154,
        "m7g": 0.1632,
        "m8g": 0.17952,
        "r5": 0.252,
        "r6i": 0.252,
        "r7i": 0.2646,
        "r6g": 0.2016,
        "r7g": 0.2142,
        "r8g": 0.23564,
    }
)
"""On-demand USD per hour of a type with four vCPU, us-east-1."""

_REGION_FACTOR = {"us-east-1": 1.0, "eu-central-1": 1.2}
_EBS = {"us-east-1": 0.08, "eu-central-1": 0.0952}
_FEE_SHARE = 0.25
_XLARGE_VCPU = 4
_ARM_SERVERLESS = 0.8


@dataclass(frozen=True)
class Range:
    """A quantity between two bounds, with a most likely value."""

    low: float
    middle: float
    high: float

    def times(self, other: Range) -> Range:
        """Return the product, bound by bound; both must not be negative."""
        return Range(self.low * other.low, self.middle * other.middle, self.high * other.high)

    def plus(self, other: Range) -> Range:
        """Return the sum, bound by bound."""
        return Range(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def scaled(self, factor: float) -> Range:
        """Return the range times a number that is not negative."""
        return Range(self.low * factor, self.middle * factor, self.high * factor)


SPOT_SHARE = Range(0.30, 0.45, 0.70)
"""Spot price as a share of the on-demand price, where no live price is known. An assumption."""


@dataclass(frozen=True)
class ServerlessPrices:
    """EMR Serverless, in USD.

    Attributes:
        vcpu_hour: Per vCPU and hour.
        gb_hour: Per GB of memory and hour.
        disk_gb_hour: Per GB of disk beyond 20 GB per worker, and hour.
    """

    vcpu_hour: float
    gb_hour: float
    disk_gb_hour: float


_SERVERLESS = {
    "us-east-1": ServerlessPrices(0.052624, 0.0057785, 0.000111),
    "eu-central-1": ServerlessPrices(0.060528, 0.006643, 0.000132),
}


@dataclass(frozen=True)
class Prices:
    """Prices of one Region.

    Attributes:
        region: The Region.
        source: ``bundled`` or ``live``.
        as_of: Day of the prices.
        on_demand: USD per hour by instance type, where known one by one.
        fees: EMR's USD per hour by instance type, where known one by one.
        spot: Spot USD per hour by instance type, where known.
        ebs_gb_month: USD per GB and month of gp3.
        factor: Region's price level against us-east-1, for the bundled table.
    """

    region: str
    source: str
    as_of: date
    ebs_gb_month: float
    factor: float = 1.0
    on_demand: Mapping[str, float] = field(default_factory=dict)
    fees: Mapping[str, float] = field(default_factory=dict)
    spot: Mapping[str, Range] = field(default_factory=dict)

    def knows(self, instance_type: str) -> bool:
        """Say whether the type has a price."""
        return instance_type in self.on_demand or (
            self.source == "bundled" and family_of(instance_type) in _USD_PER_XLARGE
        )

    def on_demand_usd(self, instance_type: str) -> float:
        """Return the on-demand price per hour.

        Raises:
            SpecError: The table does not know the type.
        """
        if instance_type in self.on_demand:
            return self.on_demand[instance_type]
        if not self.knows(instance_type):
            raise SpecError(
                f"price of {instance_type} in {self.region}: not in the {self.source} table",
                hint="--live asks AWS for current prices",
            )
        per_xlarge = _USD_PER_XLARGE[family_of(instance_type)] * self.factor
        return per_xlarge * vcpu_of(instance_type) / _XLARGE_VCPU

    def fee_usd(self, instance_type: str) -> float:
        """Return EMR's fee per hour, which is the same on spot and on demand."""
        known = self.fees.get(instance_type)
        return self.on_demand_usd(instance_type) * _FEE_SHARE if known is None else known

    def spot_usd(self, instance_type: str) -> Range:
        """Return what a spot hour may cost."""
        known = self.spot.get(instance_type)
        return SPOT_SHARE.scaled(self.on_demand_usd(instance_type)) if known is None else known

    def disk_usd(self, gib: float) -> float:
        """Return the price of one hour of so much gp3 disk."""
        return gib * self.ebs_gb_month / HOURS_PER_MONTH


def bundled(region: str) -> Prices:
    """Return the bundled prices of a Region.

    Raises:
        SpecError: The table does not hold the Region.
    """
    _check_region(region)
    return Prices(
        region=region,
        source="bundled",
        as_of=BUNDLED_ON,
        ebs_gb_month=_EBS[region],
        factor=_REGION_FACTOR[region],
    )


def serverless(region: str, architecture: Architecture) -> ServerlessPrices:
    """Return the bundled prices of EMR Serverless.

    Raises:
        SpecError: The table does not hold the Region.
    """
    _check_region(region)
    x86 = _SERVERLESS[region]
    if architecture == "x86_64":
        return x86
    return ServerlessPrices(
        x86.vcpu_hour * _ARM_SERVERLESS, x86.gb_hour * _ARM_SERVERLESS, x86.disk_gb_hour
    )


def _check_region(region: str) -> None:
    if region not in _REGION_FACTOR:
        raise SpecError(
            f"prices: the bundled table has no Region {region}",
            hint=f"it has {', '.join(BUNDLED_REGIONS)}; --live asks AWS for current prices",
        )
