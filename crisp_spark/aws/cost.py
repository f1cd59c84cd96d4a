"""What a run will cost (a range, before) and what it did cost (from instance lifetimes, after).

Counted are EC2, EMR's fee and EBS, per second with a minute at least. Not counted: S3, CloudWatch,
NAT gateways, data transfer, taxes, and discounts of the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from crisp_spark.aws.emr.plan import EmrPlan
from crisp_spark.aws.emr.rates import cluster_rate
from crisp_spark.aws.emr.serverless import ServerlessPlan, serverless_rate
from crisp_spark.aws.pricing import BUNDLED_ON, Prices, Range, bundled
from crisp_spark.errors import SpecError

STARTUP_MINUTES = Range(5.0, 8.0, 15.0)
"""From the request to the first step: machines, bootstrap, applications. An assumption."""

_ENDING_MINUTES = Range(1.0, 2.0, 3.0)
_NO_STARTUP = Range(1.0, 2.0, 4.0)  # of EMR Serverless
_MINUTES_PER_HOUR = 60.0
_UNKNOWN_RUN = Range(15.0, 60.0, 240.0)
_UNKNOWN_PER_GIB = Range(0.5, 3.0, 12.0)
_GIB = 1024.0**3
_SAME_PLACE = Range(0.7, 1.0, 1.6)
_OTHER_PLACE = Range(0.3, 1.0, 3.0)


@dataclass(frozen=True)
class PastStep:
    """How long a step took in an earlier run.

    Attributes:
        step: Name of the step.
        seconds: Its duration.
        input_bytes: Bytes of the published source tables of that run; 0 where unknown.
        place: Where it ran: ``local``, ``emr`` or ``emr-serverless``.
    """

    step: str
    seconds: float
    input_bytes: int = 0
    place: str = "local"


@dataclass(frozen=True)
class Duration:
    """How long a run may take.

    Attributes:
        minutes: Minutes of the steps, without start and end of the cluster.
        basis: What the figure rests on, in words.
    """

    minutes: Range
    basis: str


@dataclass(frozen=True)
class CostEstimate:
    """What a run may cost, in USD.

    Attributes:
        minutes: Minutes that machines are paid for.
        total: All together, task machines on spot.
        total_on_demand: All together, were task machines bought on demand.
        parts: ``ec2 on demand``, ``ec2 spot``, ``emr fee``, ``ebs`` (or ``serverless``).
        basis: What the duration rests on.
        prices: ``bundled`` or ``live``.
        prices_as_of: Day of the prices.
        notes: What to know about the figures.
    """

    minutes: Range
    total: Range
    total_on_demand: Range
    parts: Mapping[str, Range]
    basis: str
    prices: Literal["bundled", "live"]
    prices_as_of: date
    notes: tuple[str, ...] = field(default=())

    @property
    def saved_by_spot(self) -> float:
        """Share of the on-demand total that spot is expected to save, 0 to 1."""
        full = self.total_on_demand.middle
        return 1.0 - self.total.middle / full if full else 0.0


def expected_duration(
    past: Sequence[PastStep], *, steps: Sequence[str], input_bytes: int, place: str
) -> Duration:
    """Return how long a run may take.

    Each step takes as long as it last did at the same kind of place, else anywhere; steps of a
    run over less data are scaled up with the data, never down. Between places the speed differs
    by an unknown factor, so the range is wide.

    Args:
        past: Earlier steps, oldest first.
        steps: Steps of the run.
        input_bytes: Bytes of the sources now; 0 where unknown.
        place: Where it will run.
    """
    low = middle = high = 0.0
    same, other = 0, 0
    for step in steps:
        known = [one for one in past if one.step == step]
        here = [one for one in known if one.place == place]
        if not known:
            continue
        last = (here or known)[-1]
        spread = _SAME_PLACE if here else _OTHER_PLACE
        same, other = same + bool(here), other + (not here)
        grown = max(1.0, input_bytes / last.input_bytes) if last.input_bytes else 1.0
        seconds = last.seconds * grown
        low, middle, high = (
            low + seconds * spread.low,
            middle + seconds * spread.middle,
            high + seconds * spread.high,
        )
    missing = len(steps) - same - other
    if missing == len(steps):
        size = input_bytes / _GIB
        guess = _UNKNOWN_RUN.plus(_UNKNOWN_PER_GIB.scaled(size))
        return Duration(guess, f"a guess: no earlier run is on record; sources of {size:.3g} GiB")
    factor = len(steps) / (len(steps) - missing) / _MINUTES_PER_HOUR
    words = [
        f"{same} steps as they ran on {place}" if same else "",
        f"{other} steps as they ran elsewhere" if other else "",
        f"{missing} steps without a record" if missing else "",
    ]
    return Duration(
        Range(low * factor, middle * factor, high * factor), ", ".join(filter(None, words))
    )


def estimate(
    plan: EmrPlan | ServerlessPlan, duration: Duration, prices: Prices | None = None
) -> CostEstimate:
    """Return what a run may cost.

    Args:
        plan: The plan.
        duration: How long its steps may take.
        prices: Prices of the Region; the bundled ones when None.

    Raises:
        SpecError: The prices do not hold the Region, or no type of a fleet.
    """
    if isinstance(plan, ServerlessPlan):
        return _serverless(plan, duration)
    known = bundled(plan.compute.region) if prices is None else prices
    rate = cluster_rate(plan.compute, known)
    around = STARTUP_MINUTES.plus(_ENDING_MINUTES)
    minutes = duration.minutes.plus(around) if plan.own_cluster else duration.minutes
    hours = minutes.scaled(1 / _MINUTES_PER_HOUR)
    notes = ["S3, logs, NAT gateways, data transfer and taxes are not in it"]
    if not plan.own_cluster:
        notes.append("an existing cluster is used: the figures are those of a cluster of one's own")
    if rate.missing:
        notes.append(f"no price is known of {', '.join(rate.missing)}; the other types stand in")
    if known.source == "bundled":
        notes.append("spot prices are assumed (30 to 70 % of on demand); --live asks for real ones")
    return CostEstimate(
        minutes=minutes,
        total=rate.total.times(hours),
        total_on_demand=rate.total_on_demand.times(hours),
        parts={
            "ec2 on demand": rate.on_demand.times(hours),
            "ec2 spot": rate.spot.times(hours),
            "emr fee": rate.emr_fee.times(hours),
            "ebs": rate.disks.times(hours),
        },
        basis=duration.basis,
        prices="live" if known.source == "live" else "bundled",
        prices_as_of=known.as_of,
        notes=tuple(notes),
    )


def _serverless(plan: ServerlessPlan, duration: Duration) -> CostEstimate:
    minutes = duration.minutes.plus(_NO_STARTUP)
    total = serverless_rate(plan.compute).times(minutes.scaled(1 / _MINUTES_PER_HOUR))
    return CostEstimate(
        minutes=minutes,
        total=total,
        total_on_demand=total,
        parts={"serverless": total},
        basis=duration.basis,
        prices="bundled",
        prices_as_of=BUNDLED_ON,
        notes=(
            "S3, logs, data transfer and taxes are not in it",
            "prices of EMR Serverless are the bundled ones, also with --live",
        ),
    )


def refuse_above_cap(found: CostEstimate, max_cost_usd: float | None) -> str:
    """Refuse a run that is expected to pass the charter's cap.

    Returns:
        A warning where only the upper end of the range passes it; empty otherwise.

    Raises:
        SpecError: The middle of the estimate is above the cap.
    """
    if max_cost_usd is None:
        return ""
    if found.total.middle > max_cost_usd:
        raise SpecError(
            f"business.max_cost_usd: the run would cost about {found.total.middle:.2f} USD "
            f"({found.total.low:.2f} to {found.total.high:.2f}), the cap is {max_cost_usd:.2f}",
            hint="lower compute.task.max_vcpu, try fewer trials, or raise the cap",
        )
    if found.total.high > max_cost_usd:
        return (
            f"the run may cost up to {found.total.high:.2f} USD, above the cap of "
            f"{max_cost_usd:.2f}; the sweep stops when it is reached"
        )
    return ""
