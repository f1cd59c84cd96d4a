"""Commands that look after runs at AWS: logs, cancel, clusters."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.cli.remote import RunId, clients_of, records_of, remote_run, workspace_of
from crisp_spark.errors import EX_TRY_AGAIN, UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "logs", panel="AWS")(logs)
    command(app, "cancel", panel="AWS")(cancel)
    command(app, "clusters", panel="AWS")(clusters)


def logs(
    shared: Shared,
    *,
    run_id: RunId = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Only this stage.")
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--log",
            metavar="NAME",
            help="stdout (all that the Python driver says), stderr (Spark) or controller (EMR).",
        ),
    ] = "stdout",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Last lines to show; 0: all.")
    ] = 200,
) -> None:
    """Show the logs of a run's steps, from the S3 prefix that the cluster writes them to.

    EMR writes them every few minutes while a step runs. What belongs to the driver on YARN comes
    after what belongs to its client.
    """
    project = shared.load()
    submission = records_of(workspace_of(project)).get(run_id)
    from crisp_spark.aws.emr.logs import S3Logs

    aws = clients_of(project)
    view = remote_run(aws, submission).look()
    source = S3Logs.of(aws, submission)
    known = [step.stage for step in view.steps]
    if stage is not None and stage not in known:
        raise UsageError(f"--stage: no stage {stage!r}", hint=f"stages: {', '.join(known)}")
    found = {
        step.stage: source.step_text(step.id, name).splitlines()
        for step in view.steps
        if step.id and stage in {None, step.stage}
    }
    shown = {key: text[-lines:] if lines else text for key, text in found.items()}
    shared.out.data({"run_id": submission.run_id, "log": name, "stages": shown})
    for key, text in shown.items():
        shared.out.text(
            f"== {key} {name}" if text else f"== {key} {name}: nothing yet", style="bold"
        )
        for line in text:
            shared.out.text(line)


def cancel(
    shared: Shared,
    *,
    run_id: RunId = None,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="End the cluster too, if it is the run's own.")
    ] = False,
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill the steps; else they may close their records.")
    ] = False,
) -> None:
    """Cancel a run's steps; with --terminate end its cluster as well."""
    project = shared.load()
    submission = records_of(workspace_of(project)).get(run_id)
    run = remote_run(clients_of(project), submission)
    done = run.cancel(kill=kill)
    if terminate:
        done += run.terminate()
    shared.out.data({"run_id": submission.run_id, "place": submission.place, "done": done})
    for line in done or [f"run {submission.run_id}: nothing was left to cancel"]:
        shared.out.text(line)


def clusters(
    shared: Shared,
    *,
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Only those that nobody needs any more.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all-projects", help="Those of other projects too.")
    ] = False,
    idle_minutes: Annotated[
        int, typer.Option("--idle-minutes", min=0, help="Minutes without work that are fine.")
    ] = 30,
    terminate: Annotated[bool, typer.Option("--terminate", help="End the leaked ones.")] = False,
) -> None:
    """List the active clusters that crisp made in the target's Region; find leaked ones.

    Leaked: no work, older than a day, never ends by itself, or left over from a lost race. Exit
    code 75 when leaked clusters were found and not ended.
    """
    project = shared.load()
    workspace = workspace_of(project)
    from crisp_spark.aws.emr.clusters import clusters_of_crisp, end_clusters

    aws = clients_of(project)
    name = "" if every else project.spec.project.name
    limit = timedelta(minutes=idle_minutes)
    found = clusters_of_crisp(aws, records=records_of(workspace), project=name, idle=limit)
    shown = [one for one in found if one.leak or not leaked]
    ended = end_clusters(aws, [one for one in found if one.leak]) if terminate else []
    shared.out.data({"clusters": shown, "ended": ended})
    columns = ("cluster", "name", "state", "run", "made (UTC)", "leaked")
    rows = [(one.id, one.name, one.state, one.run_id, one.created, one.leak) for one in shown]
    if rows:
        shared.out.table(columns, rows)
    else:
        kind = "leaked" if leaked else "active"
        shared.out.text(f"no {kind} cluster of crisp in {aws.region}")
    for one in ended:
        shared.out.text(f"ending {one}")
    if leaked and not terminate and shown:
        raise typer.Exit(EX_TRY_AGAIN)
