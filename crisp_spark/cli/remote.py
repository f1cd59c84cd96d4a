"""Finds and follows runs at AWS: what submit, status, logs, cancel and clusters share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisp_spark.cli.command import Shared
from crisp_spark.cli.watching import RunWatch, took
from crisp_spark.errors import EX_CANCELLED, CrispError, UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.clients import Clients
    from crisp_spark.aws.emr.logs import LogSource
    from crisp_spark.aws.emr.records import Submission, Submissions
    from crisp_spark.aws.emr.view import RemoteRun, RunView
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.spec.load import LoadedProject

RunId = Annotated[
    str | None, typer.Option("--run-id", metavar="ID", help="The run; else the newest one.")
]
Poll = Annotated[
    float | None,
    typer.Option(
        "--poll",
        metavar="SECONDS",
        min=0.05,
        help="Time between questions to AWS; else 15 to 60 s.",
    ),
]
AllLines = Annotated[bool, typer.Option("--all-lines", help="Show Spark's everyday talk too.")]

VIEW_COLUMNS = ("run", "id", "stage", "state", "min:s", "why")
"""Columns of :func:`rows_of`."""

_SHOWN_RUNS = 5
_ASKED = "leave it running (l), cancel its steps (c) or end its machines too (t)?"


def workspace_of(project: LoadedProject) -> Workspace:
    """Return the workspace of a project whose target is at AWS.

    Raises:
        UsageError: The target is local, or the workspace is not in S3.
    """
    from crisp_spark.run.places import is_s3
    from crisp_spark.run.workspace import Workspace

    if project.compute.kind == "local":
        raise UsageError(
            f"target {project.target or '(none)'}: its compute is local",
            hint="name a target of kind emr or emr-serverless with --target; `crisp run` runs here",
        )
    location = project.spec.project.workspace
    if not is_s3(location):
        raise UsageError(
            f"project.workspace: machines at AWS cannot reach {location!r}",
            hint="set it to s3://bucket/folder, for this target in overrides: "
            "{project: {workspace: ...}}",
        )
    return Workspace(project)


def clients_of(project: LoadedProject) -> Clients:
    """Return the clients of the target's Region.

    Raises:
        UsageError: The target is local.
    """
    from crisp_spark.aws.clients import clients
    from crisp_spark.spec.compute import LocalCompute

    compute = project.compute
    if isinstance(compute, LocalCompute):
        raise UsageError(f"target {project.target or '(none)'}: its compute is local")
    return clients(compute.region)


def newest_views(project: LoadedProject, *, run_id: str | None) -> list[RunView]:
    """Return how the newest runs of the workspace, or the one asked for, are doing.

    A project that runs and keeps its workspace on this machine has none.
    """
    from crisp_spark.run.places import is_s3

    if project.compute.kind == "local" or not is_s3(project.spec.project.workspace):
        return []
    from crisp_spark.aws.clients import clients

    records = records_of(workspace_of(project))
    found = [records.get(run_id)] if run_id else records.newest(_SHOWN_RUNS)
    return [remote_run(clients(one.region), one).look() for one in found]


def records_of(workspace: Workspace) -> Submissions:
    """Return the records of submissions of a workspace."""
    from crisp_spark.aws.emr.records import Submissions

    return Submissions(workspace.objects)


def remote_run(aws: Clients, submission: Submission) -> RemoteRun:
    """Return the run of a record."""
    from crisp_spark.aws.emr.serverless_run import ServerlessRun
    from crisp_spark.aws.emr.view import ClusterRun

    if submission.kind == "emr-serverless":
        return ServerlessRun(aws, submission)
    return ClusterRun(aws, submission)


def log_sources(aws: Clients, submission: Submission) -> list[LogSource]:
    """Return where a run's log lines come from: CloudWatch, where they are sooner, then S3."""
    from crisp_spark.aws.emr.logs import CloudWatchLogs, S3Logs

    found: list[LogSource] = []
    if submission.log_group:
        found.append(CloudWatchLogs(aws, submission.log_group, submission.project))
    if submission.log_uri:
        found.append(S3Logs.of(aws, submission))
    return found


def follow(
    shared: Shared,
    workspace: Workspace,
    submission: Submission,
    *,
    poll: float | None = None,
    all_lines: bool = False,
) -> RunView:
    """Follow a run to its end and return it; Ctrl-C asks what to do.

    Args:
        shared: Options of the command.
        workspace: The project's workspace.
        submission: Record of the run.
        poll: Seconds between questions to AWS; its usual pace when None.
        all_lines: Show Spark's own talk too.

    Raises:
        RemoteRunError: The run failed; its exit code tells whose turn it is.
    """
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.emr.following import Follower, Watch
    from crisp_spark.aws.emr.waiting import Pace

    aws = clients(submission.region)
    run = remote_run(aws, submission)
    pace = Pace() if poll is None else Pace(first=poll, longest=poll)
    screen = RunWatch(quiet=shared.out.as_json, all_lines=all_lines)
    watch = Watch(screen.on_view, screen.on_line, screen.on_trouble)
    follower = Follower(run, log_sources(aws, submission), watch, pace)
    while True:
        try:
            with screen:
                view = follower.follow()
        except KeyboardInterrupt:
            _interrupted(shared, run)
            continue
        except CrispError:
            sys.stderr.write(_goes_on(shared, submission.run_id))
            raise
        break
    if not view.succeeded:
        _failed(shared, aws, workspace, submission, view=view)
    return view


def _interrupted(shared: Shared, run: RemoteRun) -> None:
    """Ask what Ctrl-C meant; return when the run is to be followed on."""
    run_id = run.submission.run_id
    answer = "l"
    if sys.stdin.isatty():
        try:
            answer = typer.prompt(f"\nrun {run_id}: {_ASKED}", default="l", err=True)
        except (KeyboardInterrupt, typer.Abort):
            answer = "l"
    if answer[:1].lower() in {"c", "t"}:
        done = run.cancel() if answer[:1].lower() == "c" else run.terminate()
        for line in done or ["nothing was left to cancel"]:
            sys.stderr.write(f"{line}\n")
        return
    sys.stderr.write(_goes_on(shared, run_id))
    raise typer.Exit(EX_CANCELLED)


def _goes_on(shared: Shared, run_id: str) -> str:
    again = f"crisp status{shared.command_options} --run-id {run_id} --follow"
    return f"\nrun {run_id} goes on; `{again}` follows it, `crisp cancel` ends it\n"


def _failed(
    shared: Shared,
    aws: Clients,
    workspace: Workspace,
    submission: Submission,
    *,
    view: RunView,
) -> None:
    from crisp_spark.aws.emr.failures import RemoteRunError, explain_failure
    from crisp_spark.aws.emr.logs import S3Logs

    logs = S3Logs.of(aws, submission) if submission.log_uri else None
    failure = explain_failure(view, submission, objects=workspace.objects, logs=logs)
    if failure.lines and not shared.out.as_json:
        where = f" of {failure.log}" if failure.log else ""
        sys.stderr.write(f"last lines{where}:\n")
        sys.stderr.writelines(f"  {line}\n" for line in failure.lines)
    raise RemoteRunError(submission.run_id, failure)


def as_data(view: RunView) -> dict[str, Any]:
    """Return a view for ``--json``."""
    return {
        "run_id": view.run_id,
        "place": view.place,
        "state": view.state,
        "code": view.code,
        "message": view.message,
        "errors": list(view.errors),
        "succeeded": view.succeeded,
        "ended": view.ended,
        "steps": list(view.steps),
        "billed": dict(view.billed),
    }


def rows_of(views: Sequence[RunView]) -> list[tuple[Any, ...]]:
    """Return the rows of a table of views: run, place, stage, state, time, why."""
    rows: list[tuple[Any, ...]] = []
    for view in views:
        rows.append((view.run_id, view.place, "", view.state, "", view.message))
        rows += [
            ("", step.id, step.stage, step.state, took(step), step.message) for step in view.steps
        ]
    return rows
