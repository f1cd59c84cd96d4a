"""The command that runs a project on machines at AWS: submit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark import flow
from crisp_spark.cli.command import Shared, command
from crisp_spark.cli.remote import (
    VIEW_COLUMNS,
    AllLines,
    Poll,
    as_data,
    clients_of,
    follow,
    records_of,
    remote_run,
    rows_of,
    workspace_of,
)
from crisp_spark.errors import SpecError, UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.emr.hazards import Hazard
    from crisp_spark.aws.emr.records import Submission, Submissions
    from crisp_spark.aws.emr.view import RunView
    from crisp_spark.cli.shipping import Shipped
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.spec.load import LoadedProject


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "submit", panel="AWS")(submit)


def submit(
    shared: Shared,
    *,
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", metavar="ID", help="Name the run; the same id is the same run."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ID", help="Use this cluster; it is not ended."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Start with this step.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="STEP", help="End with this step.")
    ] = None,
    package: Annotated[
        str | None,
        typer.Option(
            "--package",
            metavar="URI",
            help="Manifest of a published package; else one is made. `none`: the machines have "
            "crisp_spark already.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run even work that a run has completed already.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    poll: Poll = None,
    all_lines: AllLines = False,
) -> None:
    """Run the flow on the target's machines at AWS, and follow it to its end.

    Makes the package and the cluster, or uses --cluster; shows states and driver logs. Given
    twice, also at the same time or after a crash, it takes up the run that is under way. Ctrl-C
    asks whether to leave the run, cancel it or end its machines. Exit codes: 65 data, 70 code,
    71 node set-up, 75 no capacity (submit again), 77 permission, 78 project file, 130 cancelled.
    """
    steps = [step.name for step in flow.select_steps(first=first, last=last)]
    project = shared.load()
    workspace = workspace_of(project)
    _check(project)
    from crisp_spark.cli.shipping import ship_package

    shipped = ship_package(project, package=package, foreign=cluster is not None)
    wanted = _Wanted(project, tuple(steps), shipped, cluster or "")
    named = run_id or _run_id_of(workspace, wanted, again=again)
    submission = _submitted(shared, workspace, wanted, named)
    if detach:
        shared.out.data(submission)
        shared.out.text(f"run       {submission.run_id} on {submission.place}")
        return
    view = follow(shared, workspace, submission, poll=poll, all_lines=all_lines)
    _summarise(shared, project, view)


@dataclass(frozen=True)
class _Wanted:
    """What a person asked for."""

    project: LoadedProject
    steps: tuple[str, ...]
    shipped: Shipped
    cluster: str

    @property
    def digest(self) -> str:
        """Digest of the work: equal work has the same."""
        from crisp_spark.spec.base import digest

        return digest(
            {
                "project": digest(self.project.spec),
                "code": self.shipped.code_digest,
                "steps": list(self.steps),
                "compute": digest(self.project.compute),
            }
        )

    @property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """The wanted steps by the Spark application that runs them."""
        from crisp_spark.aws.schedule.stages import STAGES

        found = {
            stage.name: tuple(step for step in stage.steps if step in self.steps)
            for stage in STAGES
        }
        return {name: steps for name, steps in found.items() if steps}


def _check(project: LoadedProject) -> None:
    from crisp_spark.cli.machines import machines_of

    machines = machines_of(project)
    if machines is not None and machines.faults:
        raise SpecError(f"target {project.target}: cannot be submitted", faults=machines.faults)


def _without_faults(wanted: _Wanted, hazards: Sequence[Hazard]) -> None:
    """Refuse a plan that is wrong now that the package is known."""
    faults = [f"{one.message} {one.hint}".rstrip() for one in hazards if one.severity == "fault"]
    if faults:
        raise SpecError(f"target {wanted.project.target}: cannot be submitted", faults=faults)


def _run_id_of(workspace: Workspace, wanted: _Wanted, *, again: bool) -> str:
    """Return the run that does this work, or the id of a new one.

    The same command given twice is the same run, unless that has ended; racing commands agree.
    """
    from crisp_spark.run.workspace import new_run_id

    records = records_of(workspace)
    runs = records.runs_of(wanted.digest)
    if runs:
        submission = records.find(runs[-1])
        if submission is None:
            return runs[-1]
        view = remote_run(clients_of(wanted.project), submission).look()
        if not view.ended or (view.succeeded and not again):
            return runs[-1]
    return records.name_run(wanted.digest, len(runs) + 1, new_run_id())


def _submitted(shared: Shared, workspace: Workspace, wanted: _Wanted, run_id: str) -> Submission:
    from crisp_spark.cli.shipping import ship_project
    from crisp_spark.spec.compute import EmrServerlessCompute

    records = records_of(workspace)
    known = records.find(run_id)
    if known is not None:
        if known.work != wanted.digest:
            raise UsageError(
                f"--run-id: run {run_id} was submitted with another project, code or steps",
                hint="leave --run-id away, or give a new one",
            )
        _say(shared, f"run {run_id} was submitted at {known.submitted:%Y-%m-%d %H:%M:%S} UTC")
        return known
    uri = ship_project(wanted.project, run_id)
    _say(shared, f"run {run_id}: submitting")
    if isinstance(wanted.project.compute, EmrServerlessCompute):
        return _job(shared, records, wanted, run_id=run_id, uri=uri)
    return _cluster(shared, records, wanted, run_id=run_id, uri=uri)


def _cluster(
    shared: Shared, records: Submissions, wanted: _Wanted, *, run_id: str, uri: str
) -> Submission:
    from crisp_spark.aws.emr.plan import plan_cluster
    from crisp_spark.aws.emr.submit import submit as submit_run
    from crisp_spark.aws.emr.work import Work
    from crisp_spark.spec.compute import EmrCompute

    compute = wanted.project.compute
    if not isinstance(compute, EmrCompute):
        raise UsageError(f"target {wanted.project.target}: kind {compute.kind}")
    if wanted.cluster:
        compute = compute.model_copy(update={"cluster_id": wanted.cluster})
    name = wanted.project.spec.project.name
    plan = plan_cluster(compute, project=name, package=wanted.shipped.package)
    _without_faults(wanted, plan.hazards())
    work = Work(
        run_id=run_id,
        project=name,
        plan=plan,
        project_uri=uri,
        job_uri=wanted.shipped.job_uri,
        stages=wanted.stages,
        cluster_id=compute.cluster_id,
        role=compute.runtime_role,
        log_uri=compute.log_uri,
        log_group=compute.log_group,
        digest=wanted.digest,
    )
    aws = clients_of(wanted.project)
    return submit_run(aws, records, work, told=lambda text: _say(shared, text))


def _job(
    shared: Shared, records: Submissions, wanted: _Wanted, *, run_id: str, uri: str
) -> Submission:
    from crisp_spark.aws.emr.serverless import plan_serverless
    from crisp_spark.aws.emr.serverless_run import JobWork, submit_job
    from crisp_spark.spec.compute import EmrServerlessCompute

    compute = wanted.project.compute
    if not isinstance(compute, EmrServerlessCompute):
        raise UsageError(f"target {wanted.project.target}: kind {compute.kind}")
    name = wanted.project.spec.project.name
    plan = plan_serverless(compute, project=name, package=wanted.shipped.package)
    _without_faults(wanted, plan.hazards())
    work = JobWork(
        run_id=run_id,
        project=name,
        plan=plan,
        project_uri=uri,
        job_uri=wanted.shipped.job_uri,
        steps=wanted.steps,
        application_id=compute.application_id,
        log_uri=compute.log_uri,
        log_group=compute.log_group,
        digest=wanted.digest,
    )
    aws = clients_of(wanted.project)
    return submit_job(aws, records, work, told=lambda text: _say(shared, text))


def _say(shared: Shared, text: str) -> None:
    if not shared.out.as_json:
        sys.stderr.write(f"{text}\n")


def _summarise(shared: Shared, project: LoadedProject, view: RunView) -> None:
    from crisp_spark.cli.decision import print_decision
    from crisp_spark.results.decide import DecideResult
    from crisp_spark.run.status import results_of

    found = results_of(project).get("decide")
    decision = found if isinstance(found, DecideResult) else None
    shared.out.data({**as_data(view), "decision": decision})
    shared.out.table(VIEW_COLUMNS, rows_of([view]))
    for unit, amount in view.billed.items():
        shared.out.text(f"billed    {amount:.3f} {unit}")
    if decision is not None:
        print_decision(shared.out, decision)
    shared.out.text(f"cost      crisp cost report{shared.command_options} --run-id {view.run_id}")
