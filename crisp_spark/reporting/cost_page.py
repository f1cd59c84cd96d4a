"""What a run on AWS cost, as a page: per phase and market, beside what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import Column, bullets, facts, note, num, paragraph, table
from crisp_spark.reporting.numbers import duration, fixed, money
from crisp_spark.reporting.report import Group, plain_page


@dataclass(frozen=True)
class CostRow:
    """USD of one phase and one market.

    Attributes:
        phase: The phase.
        market: ``ON_DEMAND``, ``SPOT`` or ``SERVERLESS``.
        hours: Machine hours.
        ec2: EC2.
        emr_fee: EMR's fee.
        ebs: Disks.
        saved: What spot saved.
    """

    phase: str
    market: str
    hours: float
    ec2: float
    emr_fee: float
    ebs: float
    saved: float

    @property
    def total(self) -> float:
        """All together."""
        return self.ec2 + self.emr_fee + self.ebs


@dataclass(frozen=True)
class CostPage:
    """What the page shows.

    Attributes:
        project: Name of the project.
        run_id: The run.
        place: Cluster or job run.
        rows: Cost per phase and market.
        interruptions: Spot machines lost.
        redone_seconds: Seconds of steps that failed or were cancelled.
        prices: Where the prices come from, and of which day.
        notes: What to know about the figures.
        promised: What became of the charter's business criteria.
        expected_per_run: What the charter reckons for one run, in ``currency``.
        currency: Currency of the charter.
        cap_usd: The charter's cap in USD.
    """

    project: str
    run_id: str
    place: str
    rows: tuple[CostRow, ...]
    interruptions: int
    redone_seconds: float
    prices: str
    notes: tuple[str, ...] = ()
    promised: tuple[str, ...] = ()
    expected_per_run: float | None = None
    currency: str = ""
    cap_usd: float | None = None


def render_cost(page: CostPage) -> str:
    """Render what a run cost as a self-contained page."""
    total = sum(row.total for row in page.rows)
    return plain_page(
        title=f"{page.project}: cost of a run",
        subtitle=f"{money(total, 'USD')} on {page.place}",
        eyebrow=f"Run {page.run_id}",
        opening=_opening(page, total),
        groups=[
            Group("parts", "Where it went", body=_parts(page.rows)),
            Group("promise", "Beside what was promised", body=bullets(page.promised)),
            Group("figures", "About the figures", body=_about(page)),
        ],
    )


def _opening(page: CostPage, total: float) -> Html:
    saved = sum(row.saved for row in page.rows)
    pairs: list[tuple[str, Content]] = [
        ("Cost", money(total, "USD")),
        ("Saved by spot", money(saved, "USD")),
        ("Spot machines lost", str(page.interruptions)),
        ("Failed or cancelled steps", duration(page.redone_seconds)),
    ]
    if page.cap_usd is not None:
        pairs.append(("Cap of the charter", money(page.cap_usd, "USD")))
    if page.expected_per_run:
        pairs.append(("Reckoned per run", money(page.expected_per_run, page.currency)))
    shown: list[Content] = [facts(pairs)]
    if page.cap_usd is not None and total > page.cap_usd:
        shown.insert(0, note("warn", "The run cost more than the charter's cap."))
    return join(shown)


def _parts(rows: Sequence[CostRow]) -> Html:
    numbers = ("Machine hours", "EC2", "EMR fee", "Disks", "Total USD", "Saved USD")
    heads: list[Column | str] = ["Phase", "Market", *map(num, numbers)]
    cells = [
        (
            row.phase,
            row.market.lower().replace("_", " "),
            fixed(row.hours, 2),
            *(fixed(usd) for usd in (row.ec2, row.emr_fee, row.ebs, row.total, row.saved)),
        )
        for row in rows
    ]
    return table(heads, cells, caption="Cost per phase and market")


def _about(page: CostPage) -> Html:
    return join([paragraph(f"Prices: {page.prices}."), bullets(page.notes)])
