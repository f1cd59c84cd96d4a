"""Commands about money: cost estimate, cost report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark import flow
from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import CrispError, UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.bill import CostReport
    from crisp_spark.aws.cost import CostEstimate
    from crisp_spark.aws.emr.plan import EmrPlan
    from crisp_spark.aws.emr.serverless import ServerlessPlan
    from crisp_spark.aws.pricing import Range
    from crisp_spark.spec.load import LoadedProject

_HOUR = 60.0
_Live = Annotated[
    bool, typer.Option("--live", help="Ask AWS for current prices (needs credentials).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    cost = typer.Typer(no_args_is_help=True, help="What a run will cost, and what it did cost.")
    app.add_typer(cost, name="cost", rich_help_panel="AWS")
    command(cost, "estimate")(estimate)
    command(cost, "report")(report)


def estimate(shared: Shared, *, live: _Live = False) -> None:
    """Estimate what a run on the target will cost: a range, spot against on demand.

    From the plan of the machines, the size of the sources and the durations of earlier runs in
    the workspace. Starts nothing. Exit code 78 when the charter's cap would be passed.
    """
    project = shared.load()
    found = estimated(project, planned(project), live=live)
    shared.out.data({"target": project.target, **as_data(found)})
    print_estimate(shared, found)
    from crisp_spark.aws.cost import refuse_above_cap

    warning = refuse_above_cap(found, project.spec.business.max_cost_usd)
    if warning:
        shared.out.text(f"warning: {warning}", style="yellow")


def report(
    shared: Shared,
    *,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The run; else the newest one.")
    ] = None,
    cluster_id: Annotated[
        str | None, typer.Option("--cluster-id", metavar="ID", help="Its cluster, if not recorded.")
    ] = None,
    live: _Live = False,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Record the cost in MLflow.")
    ] = True,
) -> None:
    """Work out what a run on EMR did cost, from the lives of its machines.

    EC2, EMR fee and EBS per phase and market, what spot saved, machines lost, work redone; beside
    the benefit that the charter promised. Kept in the workspace and in MLflow.
    """
    from crisp_spark.cli.billing import bill_of

    project = shared.load()
    bill = bill_of(project, run_id=run_id, cluster_id=cluster_id, live=live, track=track)
    shared.out.data(bill)
    _print_report(shared, bill.report)
    for line in bill.promised:
        shared.out.text(f"promised   {line}")
    shared.out.text(f"kept       {bill.kept_at}")
    shared.out.text(f"page       {bill.page}")


def planned(project: LoadedProject) -> EmrPlan | ServerlessPlan:
    """Return the plan of the target in use, without a package.

    Raises:
        UsageError: The target is local.
    """
    from crisp_spark.spec.compute import EmrCompute, EmrServerlessCompute

    name = project.spec.project.name
    compute = project.compute
    if isinstance(compute, EmrCompute):
        from crisp_spark.aws.emr.plan import plan_cluster

        return plan_cluster(compute, project=name, package=None)
    if isinstance(compute, EmrServerlessCompute):
        from crisp_spark.aws.emr.serverless import plan_serverless

        return plan_serverless(compute, project=name, package=None)
    raise UsageError(
        f"target {project.target or '(none)'}: its compute is local and costs nothing",
        hint="name a target whose compute is of kind emr or emr-serverless with --target",
    )


def estimated(
    project: LoadedProject,
    plan: EmrPlan | ServerlessPlan,
    *,
    live: bool = False,
    steps: Sequence[str] = flow.STEP_NAMES,
) -> CostEstimate:
    """Return what running the steps on the plan may cost.

    Args:
        project: The loaded project.
        plan: Its plan.
        live: Ask AWS for prices.
        steps: Steps that would run.

    Raises:
        CrispError: No prices.
    """
    from crisp_spark.aws.cost import PastStep, estimate, expected_duration
    from crisp_spark.aws.emr.plan import EmrPlan
    from crisp_spark.run.history import source_bytes, step_records
    from crisp_spark.run.workspace import Workspace

    trouble = ""
    try:
        records = step_records(Workspace(project))
    except CrispError as error:
        # A workspace in S3 without credentials: an estimate from nothing beats none, and says so.
        records, trouble = [], f"; the workspace could not be read ({error.message})"
    size = source_bytes(project) or next((r.input_bytes for r in reversed(records)), 0)
    past = [PastStep(r.step, r.seconds, r.input_bytes, r.place) for r in records]
    duration = expected_duration(past, steps=steps, input_bytes=size, place=project.compute.kind)
    if trouble:
        duration = type(duration)(duration.minutes, duration.basis + trouble)
    prices = None
    if live and isinstance(plan, EmrPlan):
        from crisp_spark.aws.clients import clients
        from crisp_spark.aws.emr.reading import types_of
        from crisp_spark.aws.live_prices import live_prices

        prices = live_prices(clients(plan.compute.region), types_of(plan.run_job_flow()))
    return estimate(plan, duration, prices)


def as_data(found: CostEstimate) -> dict[str, object]:
    """Return an estimate as plain data."""
    from dataclasses import asdict

    return {**asdict(found), "saved_by_spot": found.saved_by_spot}


def print_estimate(shared: Shared, found: CostEstimate) -> None:
    """Print an estimate for people."""
    rows = [(name, *_usd(part)) for name, part in found.parts.items()]
    rows.append(("total", *_usd(found.total)))
    if found.total_on_demand != found.total:
        rows.append(("total without spot", *_usd(found.total_on_demand)))
    shared.out.table(("USD", "low", "likely", "high"), rows, title="price of one run")
    hours = found.minutes
    shared.out.text(
        f"machines are paid for {hours.low / _HOUR:.1f} to {hours.high / _HOUR:.1f} hours, "
        f"likely {hours.middle / _HOUR:.1f} ({found.basis})"
    )
    if found.saved_by_spot > 0:
        shared.out.text(f"spot is expected to save {found.saved_by_spot:.0%}")
    shared.out.text(f"prices: {found.prices}, {found.prices_as_of}")
    for note in found.notes:
        shared.out.text(f"note: {note}")


def _usd(amount: Range) -> tuple[str, str, str]:
    return (f"{amount.low:.2f}", f"{amount.middle:.2f}", f"{amount.high:.2f}")


def _print_report(shared: Shared, found: CostReport) -> None:
    shared.out.table(
        ("phase", "market", "machine hours", "EC2", "EMR fee", "EBS", "total USD", "saved"),
        [
            (
                line.phase,
                line.market.lower().replace("_", " "),
                f"{line.hours:.2f}",
                *(f"{usd:.3f}" for usd in (line.ec2, line.emr_fee, line.ebs)),
                f"{line.total:.3f}",
                f"{line.saved:.3f}",
            )
            for line in found.lines
        ],
        title=f"cost of {found.cluster_id}",
    )
    shared.out.text(f"total      {found.total:.2f} USD; spot saved {found.saved_by_spot:.2f} USD")
    shared.out.text(
        f"spot       {found.interruptions} machines lost; "
        f"{found.redone_seconds / _HOUR:.1f} minutes of failed or cancelled steps"
    )
    shared.out.text(f"prices     {found.prices}, {found.prices_as_of}")
    for note in found.notes:
        shared.out.text(f"note       {note}")
