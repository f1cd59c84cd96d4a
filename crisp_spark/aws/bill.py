"""The bill of a cluster, worked out from the lives of its machines: who, when, which market."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from crisp_spark.aws.emr.instances import vcpu_of
from crisp_spark.aws.lifetimes import ClusterLife, Life
from crisp_spark.aws.pricing import BUNDLED_ON, Prices, ServerlessPrices
from crisp_spark.spec.compute import EmrCompute

BETWEEN = "start, waiting, end"
"""Name of the time in which no phase ran."""

_ROOT_GIB = 32
_SHORTEST_SECONDS = 60.0
_SECONDS_PER_HOUR = 3600.0

SpotHistory = Mapping[str, Sequence[tuple[datetime, float]]]


@dataclass(frozen=True)
class PhaseTime:
    """When a phase ran; a phase may have several."""

    phase: str
    start: datetime
    end: datetime


@dataclass
class CostLine:
    """USD of one phase and one market.

    Attributes:
        phase: CRISP-DM phase, or :data:`BETWEEN`.
        market: ``ON_DEMAND``, ``SPOT`` or ``SERVERLESS``.
        hours: Machine hours.
        ec2: EC2.
        emr_fee: EMR's fee.
        ebs: EBS.
        saved: What the same time would have cost more on demand.
    """

    phase: str
    market: str
    hours: float = 0.0
    ec2: float = 0.0
    emr_fee: float = 0.0
    ebs: float = 0.0
    saved: float = 0.0

    @property
    def total(self) -> float:
        """All together."""
        return self.ec2 + self.emr_fee + self.ebs


@dataclass(frozen=True)
class CostReport:
    """What a run did cost, in USD.

    Attributes:
        cluster_id: The cluster, or the job run.
        lines: Per phase and market.
        machines: Number of machines per market.
        interruptions: Spot machines that were lost.
        redone_seconds: Seconds of steps that failed or were cancelled.
        prices: ``bundled`` or ``live``.
        prices_as_of: Day of the on-demand prices.
        notes: What to know about the figures.
    """

    cluster_id: str
    lines: tuple[CostLine, ...]
    machines: Mapping[str, int]
    interruptions: int
    redone_seconds: float
    prices: str
    prices_as_of: date
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """All together."""
        return sum(line.total for line in self.lines)

    @property
    def saved_by_spot(self) -> float:
        """What the spot machines would have cost more on demand."""
        return sum(line.saved for line in self.lines)

    def metrics(self) -> dict[str, float]:
        """Return the figures for the tracker."""
        parts = ("ec2", "emr_fee", "ebs")
        return {
            "cost_usd": self.total,
            "cost_saved_by_spot_usd": self.saved_by_spot,
            "spot_interruptions": float(self.interruptions),
            "redone_seconds": self.redone_seconds,
            **{
                f"cost_{name}_usd": sum(getattr(line, name) for line in self.lines)
                for name in parts
            },
        }


def report(
    cluster: ClusterLife,
    prices: Prices,
    *,
    history: SpotHistory,
    phases: Sequence[PhaseTime] = (),
    compute: EmrCompute | None = None,
) -> CostReport:
    """Work out what a cluster cost.

    Spot time is priced with the zone's price at that time, second by second; where no history is
    known, with the middle of the assumed range. Disks are those that the plan asked for.

    Args:
        cluster: The cluster.
        prices: On-demand prices and fees.
        history: Spot prices by type, oldest first.
        phases: When the phases ran; they must not overlap.
        compute: What the target declares, for the disks; None leaves EBS out.

    Raises:
        SpecError: A machine's type has no price.
    """
    lines: dict[tuple[str, str], CostLine] = {}
    spans = sorted(phases, key=lambda one: one.start)
    guessed = set()
    for life in cluster.lives:
        if life.market == "SPOT" and not history.get(life.instance_type):
            guessed.add(life.instance_type)
        gib = _disk_gib(life, compute) if compute else 0.0
        for phase, start, end in _pieces(life, spans):
            line = lines.setdefault((phase, life.market), CostLine(phase, life.market))
            _add(line, life, (start, end), prices=prices, history=history, gib=gib)
    markets = [life.market for life in cluster.lives]
    return CostReport(
        cluster_id=cluster.cluster_id,
        lines=tuple(_ordered(lines.values(), spans)),
        machines={market: markets.count(market) for market in sorted(set(markets))},
        interruptions=sum(life.interrupted for life in cluster.lives),
        redone_seconds=cluster.redone_seconds,
        prices=prices.source,
        prices_as_of=prices.as_of,
        notes=tuple(_notes(cluster, guessed, compute)),
    )


def serverless_report(
    job_run_id: str,
    billed: Mapping[str, float],
    prices: ServerlessPrices,
    *,
    phases: Sequence[PhaseTime] = (),
) -> CostReport:
    """Work out what a job run on EMR Serverless cost, from what AWS says it billed.

    AWS tells sums only: they are divided among the phases by their time.

    Args:
        job_run_id: The job run.
        billed: ``vCPUHour``, ``memoryGBHour`` and ``storageGBHour``.
        prices: Prices of the Region.
        phases: When the phases ran.
    """
    compute = billed.get("vCPUHour", 0.0) * prices.vcpu_hour
    compute += billed.get("memoryGBHour", 0.0) * prices.gb_hour
    disk = billed.get("storageGBHour", 0.0) * prices.disk_gb_hour
    seconds: dict[str, float] = {}
    for one in phases:
        span = (one.end - one.start).total_seconds()
        seconds[one.phase] = seconds.get(one.phase, 0.0) + span
    if not any(seconds.values()):
        seconds = {BETWEEN: 1.0}
    whole = sum(seconds.values())
    return CostReport(
        cluster_id=job_run_id,
        lines=tuple(
            CostLine(
                phase,
                "SERVERLESS",
                hours=billed.get("vCPUHour", 0.0) * part / whole,
                ec2=compute * part / whole,
                ebs=disk * part / whole,
            )
            for phase, part in seconds.items()
        ),
        machines={},
        interruptions=0,
        redone_seconds=0.0,
        prices="bundled",
        prices_as_of=BUNDLED_ON,
        notes=(
            "machine hours are vCPU hours; EC2 is vCPU and memory, EBS is disk",
            "divided among the phases by time: AWS tells sums only",
        ),
    )


def clipped(cluster: ClusterLife, start: datetime, end: datetime) -> ClusterLife:
    """Return only what happened between two moments, for a cluster that others use as well."""
    lives = tuple(
        replace(life, started=max(life.started, start), ended=min(life.ended, end))
        for life in cluster.lives
        if life.started < end and life.ended > start
    )
    return replace(cluster, lives=lives)


def _add(
    line: CostLine,
    life: Life,
    span: tuple[datetime, datetime],
    *,
    prices: Prices,
    history: SpotHistory,
    gib: float,
) -> None:
    hours = (span[1] - span[0]).total_seconds() / _SECONDS_PER_HOUR
    full = prices.on_demand_usd(life.instance_type) * hours
    paid = full
    if life.market == "SPOT":
        points = history.get(life.instance_type) or ()
        middle = prices.spot_usd(life.instance_type).middle
        paid = integrated(points, *span) if points else middle * hours
    line.hours += hours
    line.ec2 += paid
    line.saved += full - paid
    line.emr_fee += prices.fee_usd(life.instance_type) * hours
    line.ebs += prices.disk_usd(gib) * hours


def integrated(points: Sequence[tuple[datetime, float]], start: datetime, end: datetime) -> float:
    """Return the price over a time: a step function of USD per hour, integrated.

    The first price holds before its own time as well.

    Args:
        points: Times and prices, oldest first; at least one.
        start: Begin.
        end: End.
    """
    times = [moment for moment, _ in points]
    index = max(bisect_right(times, start) - 1, 0)
    total, at = 0.0, start
    while at < end:
        until = min(times[index + 1], end) if index + 1 < len(times) else end
        total += points[index][1] * (until - at).total_seconds() / _SECONDS_PER_HOUR
        at, index = until, index + 1
    return total


def _pieces(life: Life, phases: Sequence[PhaseTime]) -> Iterator[tuple[str, datetime, datetime]]:
    """Cut a life into phases; a life below a minute is paid as one."""
    end = max(life.ended, life.started + timedelta(seconds=_SHORTEST_SECONDS))
    at = life.started
    for phase in phases:
        start, stop = max(phase.start, at), min(phase.end, end)
        if start >= stop:
            continue
        if at < start:
            yield BETWEEN, at, start
        yield phase.phase, start, stop
        at = stop
    if at < end:
        yield BETWEEN, at, end


def _disk_gib(life: Life, compute: EmrCompute) -> float:
    if life.role == "primary":
        return compute.primary.disk_gib + _ROOT_GIB
    if life.role == "core":
        return compute.core.disk_gib + _ROOT_GIB
    return compute.task.disk_gib_per_vcpu * vcpu_of(life.instance_type) + _ROOT_GIB


def _ordered(lines: Iterable[CostLine], phases: Sequence[PhaseTime]) -> list[CostLine]:
    order = [BETWEEN, *dict.fromkeys(one.phase for one in phases)]

    return sorted(lines, key=lambda line: (order.index(line.phase), line.market))


def _notes(cluster: ClusterLife, guessed: set[str], compute: EmrCompute | None) -> Iterator[str]:
    yield "paid time is counted from the request of a machine: a minute or two too much"
    if not cluster.is_over:
        yield "the cluster still runs: the figures grow"
    if guessed:
        yield f"no spot history of {', '.join(sorted(guessed))}: 45 % of on demand is assumed"
    if compute is None:
        yield "disks are not counted"
