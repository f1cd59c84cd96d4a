"""The part of ``crisp plan`` that is about machines on AWS: choices, hazards, price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crisp_spark.cli.command import Shared
from crisp_spark.cli.costing import estimated, planned, print_estimate
from crisp_spark.errors import CrispError

if TYPE_CHECKING:
    from crisp_spark.aws.cost import CostEstimate
    from crisp_spark.aws.emr.explaining import Choice
    from crisp_spark.aws.emr.hazards import Hazard
    from crisp_spark.spec.load import LoadedProject


@dataclass(frozen=True)
class Machines:
    """Machines of a target on AWS, as they would be asked for.

    Attributes:
        choices: What was chosen and what it means.
        hazards: What is wrong or risky.
        cost: What a run may cost; None without prices.
        trouble: Why there is no price, or that the charter's cap may be passed; else empty.
        over_cap: That the charter's cap would be passed, which stops a submission; else empty.
        request: The request that would be sent.
    """

    choices: tuple[Choice, ...]
    hazards: tuple[Hazard, ...]
    cost: CostEstimate | None
    trouble: str
    over_cap: str
    request: dict[str, Any]

    @property
    def faults(self) -> list[str]:
        """What would stop a submission."""
        found = [
            f"compute: {one.message}" + (f"; {one.hint}" if one.hint else "")
            for one in self.hazards
            if one.severity == "fault"
        ]
        return [*found, self.over_cap] if self.over_cap else found


def machines_of(project: LoadedProject, *, live: bool = False) -> Machines | None:
    """Return the machines of the target in use; None for a local target.

    Args:
        project: The loaded project.
        live: Ask AWS for prices, subnets and instance types as well.

    Raises:
        CrispError: The plan is not possible, or AWS did not answer.
    """
    if project.compute.kind == "local":
        return None
    from crisp_spark.aws.cost import refuse_above_cap
    from crisp_spark.aws.emr.plan import EmrPlan

    plan = planned(project)
    hazards = list(plan.hazards())
    if live and isinstance(plan, EmrPlan):
        from crisp_spark.aws.clients import clients
        from crisp_spark.aws.emr.preflight import account_hazards

        hazards += account_hazards(plan.compute, clients(plan.compute.region))
    cost, trouble, over = None, "", ""
    try:
        cost = estimated(project, plan, live=live)
    except CrispError as error:
        trouble = str(error)
    if cost is not None:
        try:
            trouble = refuse_above_cap(cost, project.spec.business.max_cost_usd)
        except CrispError as error:
            over = error.message
    request = (
        plan.run_job_flow()
        if isinstance(plan, EmrPlan)
        else plan.start_job_run("s3://bucket/jobs/run.py")
    )
    return Machines(plan.explain(), tuple(hazards), cost, trouble, over, request)


def print_machines(shared: Shared, machines: Machines) -> None:
    """Print the machines for people."""
    out = shared.out
    rows = [(choice.what, choice.value, choice.meaning) for choice in machines.choices]
    out.table(("machines", "choice", "what it means"), rows)
    out.text()
    if machines.cost is not None:
        print_estimate(shared, machines.cost)
    if machines.trouble:
        out.text(f"warning: {machines.trouble}", style="yellow")
    for hazard in machines.hazards:
        style = "red" if hazard.severity == "fault" else "yellow"
        hint = f"; {hazard.hint}" if hazard.hint else ""
        out.text(f"{hazard.severity}: {hazard.message}{hint}", style=style)
    out.text()
