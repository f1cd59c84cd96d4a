"""The command about runs that start by themselves: schedule."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import SpecError, UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.schedule.deploy import Deployer, Proposal
    from crisp_spark.aws.schedule.stack import StackPlan
    from crisp_spark.spec.load import LoadedProject

_ACTION_STYLES = {"Add": "green", "Modify": "yellow", "Remove": "red"}
_PENDING = "decided when it is deployed"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "schedule", panel="AWS")(schedule)


def schedule(
    shared: Shared,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write template and state machines here."),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Ask AWS what a deployment would change; change nothing.")
    ] = False,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Upload the package and deploy the stack.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing.")] = False,
    package: Annotated[
        str | None,
        typer.Option(
            "--package", metavar="URI", help="Manifest of a published package; else one is made."
        ),
    ] = None,
) -> None:
    """Run the project by itself on AWS: state machine, schedule, alarms, roles, one stack.

    Without options it says what would be made. --out writes the CloudFormation template and the
    state machines; --diff shows changes to what is deployed; --deploy makes them, after asking.
    """
    if diff and deploy:
        raise UsageError("schedule: --diff and --deploy exclude each other")
    project = shared.load()
    from crisp_spark.aws.schedule.stack import plan_stack

    plan = plan_stack(project.spec, project.target, project.resolved)
    if out is not None:
        _write(shared, plan, out)
    elif diff:
        _diff(shared, plan)
    elif deploy:
        _deploy(shared, project, plan, yes=yes, package=package)
    else:
        _describe(shared, plan)


def _describe(shared: Shared, plan: StackPlan) -> None:
    from crisp_spark.aws.schedule.stages import STAGES
    from crisp_spark.aws.schedule.template import template

    resources = template(plan)["Resources"]
    schedule = plan.schedule
    shared.out.data(
        {
            "stack": plan.name,
            "cron": schedule.cron,
            "time_zone": schedule.time_zone,
            "enabled": schedule.enabled,
            "stages": {stage.name: list(stage.steps) for stage in STAGES},
            "resources": {name: one["Type"] for name, one in resources.items()},
        }
    )
    state = "" if schedule.enabled else " (not enabled)"
    shared.out.text(f"stack     {plan.name} in {plan.compute.region}")
    shared.out.text(f"starts    cron({schedule.cron}) {schedule.time_zone}{state}")
    for stage in STAGES:
        shared.out.text(f"{stage.name:<9} {', '.join(stage.steps)}")
    told = ", ".join(schedule.notify) or "nobody: give `notify` an address"
    shared.out.text(f"tells     {told}")
    shared.out.text(f"resources {len(resources)}; --out DIR writes them, --deploy makes them")


def _write(shared: Shared, plan: StackPlan, folder: Path) -> None:
    from crisp_spark.aws.schedule.template import schedule_files

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in schedule_files(plan).items():
        (folder / name).write_text(content, encoding="utf-8")
        written.append(str(folder / name))
    shared.out.data({"files": written})
    for file in written:
        shared.out.text(file)


def _deployer(plan: StackPlan) -> Deployer:
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.schedule.deploy import Deployer

    return Deployer(clients(plan.compute.region), plan)


def _diff(shared: Shared, plan: StackPlan) -> None:
    from crisp_spark.aws.schedule.deploy import Change, Proposal
    from crisp_spark.aws.schedule.stack import PARAMETERS
    from crisp_spark.aws.schedule.template import template

    content = template(plan)
    deployer = _deployer(plan)
    if deployer.exists():
        values = dict.fromkeys(PARAMETERS, _PENDING) | deployer.values()
        proposal = deployer.propose(content, values)
        deployer.withdraw(proposal)
    else:
        added = [Change("Add", name, one["Type"]) for name, one in content["Resources"].items()]
        proposal = Proposal(plan.name, "", new=True, changes=tuple(added))
    show_proposal(shared, proposal)


def _deploy(
    shared: Shared, project: LoadedProject, plan: StackPlan, *, yes: bool, package: str | None
) -> None:
    from crisp_spark.aws.schedule.template import storage_template, template

    _check(shared, project)
    deployer = _deployer(plan)
    storage = storage_template(plan)
    if storage is not None and not deployer.exists():
        carry_out(shared, deployer, deployer.propose(storage, {}), yes=yes)
    values = _values(project, package)
    outputs = carry_out(shared, deployer, deployer.propose(template(plan), values), yes=yes)
    shared.out.data({"stack": plan.name, "outputs": outputs})
    for name, value in outputs.items():
        shared.out.text(f"{name:<15} {value}")


def _check(shared: Shared, project: LoadedProject) -> None:
    """Refuse what `crisp submit` would refuse, the charter's cap included; tell the price."""
    from crisp_spark.cli.machines import machines_of

    machines = machines_of(project)
    if machines is None:
        return
    if machines.faults:
        raise SpecError(f"target {project.target}: cannot be scheduled", faults=machines.faults)
    for hazard in machines.hazards:
        shared.out.text(f"{hazard.severity}: {hazard.message}", style="yellow")
    if machines.trouble:
        shared.out.text(f"warning: {machines.trouble}", style="yellow")
    if machines.cost is not None:
        total = machines.cost.total
        shared.out.text(f"each run costs {total.low:.2f} to {total.high:.2f} USD")


def _values(project: LoadedProject, package: str | None) -> dict[str, str]:
    """Upload the package and the project; return the parameters that name them."""
    from crisp_spark.cli.shipping import ship_package, ship_project

    shipped = ship_package(project, package=package, foreign=False)
    if shipped.package is None:
        raise UsageError("schedule: a package is needed", hint="--package takes a manifest's URI")
    return {
        # Named by its content: the project of a run that is under way is never replaced.
        "ProjectUri": ship_project(project, f"scheduled-{_content(project)[:12]}"),
        "JobUri": shipped.job_uri,
        "ManifestUri": shipped.package.manifest_uri,
        "BootstrapUri": shipped.package.bootstrap_uri,
        "CodeDigest": shipped.package.code_digest,
    }


def _content(project: LoadedProject) -> str:
    """Digest of the resolved project and its hooks."""
    from crisp_spark.spec.base import digest
    from crisp_spark.spec.hooks import hook_file, hook_references

    hooks = sorted(set(hook_references(project.resolved)))
    code = {name: hook_file(name, project.project_dir).read_text("utf-8") for name in hooks}
    return digest({"project": dict(project.resolved), "target": project.target, "hooks": code})


def carry_out(
    shared: Shared, deployer: Deployer, proposal: Proposal, *, yes: bool
) -> dict[str, str]:
    """Show a proposal and carry it out, after asking unless ``yes``; returns the outputs."""
    if not proposal.changes:
        deployer.withdraw(proposal)
        shared.out.text(f"stack {proposal.stack}: nothing changes")
        return {}
    _print(shared, proposal)
    if not yes and not _agreed(shared):
        deployer.withdraw(proposal)
        raise UsageError("nothing was changed", hint="--yes changes without asking")
    return dict(deployer.carry_out(proposal, _say))


def _say(state: str) -> None:
    sys.stderr.write(f"{state}\n")


def _agreed(shared: Shared) -> bool:
    if shared.out.as_json or not sys.stdin.isatty():
        return False
    return typer.confirm("Make these changes?", err=True)


def show_proposal(shared: Shared, proposal: Proposal) -> None:
    """Show what a proposal would change."""
    shared.out.data(proposal)
    if not proposal.changes:
        shared.out.text(f"stack {proposal.stack}: nothing changes")
    _print(shared, proposal)


def _print(shared: Shared, proposal: Proposal) -> None:
    for change in proposal.changes:
        anew = " (made anew)" if change.replaced == "True" else ""
        shared.out.text(
            f"{change.action:<8} {change.resource:<22} {change.kind}{anew}",
            style=_ACTION_STYLES.get(change.action, ""),
        )
