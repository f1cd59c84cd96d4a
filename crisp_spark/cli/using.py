"""Commands that use what a run has made: score, suggest rules, review, ui."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import StorageError, UsageError
from crisp_spark.spec.faults import nearest

if TYPE_CHECKING:
    from crisp_spark.spec.data import Source

_LOCALHOST = "127.0.0.1"
_FIRST_PORT = 5000
_PORTS_TRIED = 50
_STATE_STYLES = {"done": "green", "drafted": "yellow", "waived": "dim", "missing": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "score", panel="Use")(score)
    command(app, "review", panel="Look")(review)
    command(app, "ui", panel="Look")(ui)
    suggest = typer.Typer(no_args_is_help=True, help="Suggestions from what was found.")
    app.add_typer(suggest, name="suggest", rich_help_panel="Check")
    command(suggest, "rules")(suggest_rules)


def score(
    shared: Shared,
    batch: Annotated[str, typer.Argument(metavar="INPUT", help="File, folder or glob of rows.")],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="New folder for the scores.")
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="parquet, orc, csv or json; else told by the ending."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", help="decided: what was deployed; candidate: the newest winner, for trials."
        ),
    ] = "decided",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only files that DIR does not hold yet.")
    ] = False,
) -> None:
    """Score a batch of merged rows on Spark; rows in = rows scored + rows rejected.

    Writes DIR/scored, DIR/rejected (with reasons) and DIR/summary.json. With --incremental INPUT is
    a folder that grows: each call makes DIR/batch=.../ of the files that have arrived.
    """
    project = shared.load()
    from crisp_spark.run.score import score_batch
    from crisp_spark.run.score_new import score_new

    call: dict[str, Any] = {"input_path": batch, "output_path": output, "model": model}
    call["kind"] = kind or _kind_of(batch)
    if incremental:
        found = score_new(project, **call)
        shared.out.data(found)
        shared.out.text(f"files     {found.files:,} new, {found.known:,} scored before")
        if found.summary is None:
            return
        summary = found.summary
    else:
        summary = score_batch(project, **call)
        shared.out.data(summary)
    shared.out.text(f"model     {summary.model}")
    shared.out.text(
        f"rows      {summary.rows_in:,} in = {summary.rows_scored:,} scored "
        f"+ {summary.rows_rejected:,} rejected"
        + (f" ({summary.rows_by_rule:,} answered by the fallback)" if summary.rows_by_rule else "")
    )
    for reason, rows in summary.reasons.items():
        shared.out.text(f"          {rows:,} {reason}", style="yellow")
    if summary.ignored:
        shared.out.text(f"ignored   {', '.join(summary.ignored)}")
    shared.out.text(f"output    {summary.output}")


def _kind_of(path: str) -> str:
    endings = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".orc": "orc"}
    for ending, kind in endings.items():
        if path.removesuffix(".gz").endswith(ending):
            return kind
    return "parquet"


def suggest_rules(
    shared: Shared,
    *,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")
    ] = None,
) -> None:
    """Suggest quality rules from the profile, as YAML to copy into the project file."""
    project = shared.load()
    wanted = _known_sources(source or (), project.spec.data.sources)
    from crisp_spark.results.profile import ProfileResult
    from crisp_spark.run.status import result_of
    from crisp_spark.understanding.suggest import suggest_rules as suggested
    from crisp_spark.understanding.suggest import suggestions_yaml

    profile = result_of(project, "profile")
    if not isinstance(profile, ProfileResult):
        raise StorageError("profile: the commit holds another kind of result")
    found = [
        suggestion
        for table in profile.sources
        if table.name in wanted
        for suggestion in suggested(table, _declared(project.spec.data.sources[table.name]))
    ]
    shared.out.data(
        [
            {
                "source": one.source,
                "column": one.column,
                "rule": one.rule,
                "evidence": one.evidence,
                "yaml": one.yaml,
            }
            for one in found
        ]
    )
    shared.out.text("# below data.sources of the project file; each rule only warns as it stands")
    shared.out.text(suggestions_yaml(found) if found else "# nothing to suggest")


def _known_sources(names: Sequence[str], sources: Mapping[str, Source]) -> Sequence[str]:
    for name in names:
        if name not in sources:
            hint = nearest(name, sources, kind="sources")
            raise UsageError(f"--source: no source {name!r}", hint=hint)
    return names or list(sources)


def _declared(source: Source) -> list[tuple[str, str]]:
    own = [(name, rule.kind) for name, column in source.columns.items() for rule in column.rules]
    return own + [(getattr(rule, "column", ""), rule.kind) for rule in source.rules]


def review(
    shared: Shared,
    *,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only outputs that are done, drafted, waived or missing."),
    ] = None,
) -> None:
    """Go through the 24 tasks and 42 outputs of CRISP-DM: done, drafted, waived or missing.

    Drafted outputs were written by the program and want a person's reading: agree to them in the
    project file, or write a note under review.notes.
    """
    if state is not None and state not in _STATE_STYLES:
        raise UsageError(f"--state: got {state!r}", hint=f"states: {', '.join(_STATE_STYLES)}")
    project = shared.load()
    from crisp_spark.business.review import review_project
    from crisp_spark.run.status import results_of

    found = review_project(project.spec, results_of(project))
    shared.out.data(found)
    if shared.out.as_json:
        return
    from rich.text import Text

    width = max(len(output.name) for output in found.outputs)
    for task in found.tasks:
        outputs = [output for output in task.outputs if state in {None, output.state}]
        if outputs:
            shared.out.text(f"{task.number} {task.name} ({task.phase})", style="bold")
        for output in outputs:
            line = Text(f"  {output.number} {output.name:<{width}} ")
            line.append(f"{output.state:<8}", style=_STATE_STYLES[output.state])
            line.append(f" {output.note or output.evidence}")
            shared.out.console.print(line)
    counts = Counter[str](output.state for output in found.outputs)
    total = ", ".join(f"{counts[name]} {name}" for name in _STATE_STYLES)
    shared.out.text()
    shared.out.text(f"{len(found.tasks)} tasks, {len(found.outputs)} outputs: {total}")


def ui(
    shared: Shared,
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port; else the first free one from 5000."),
    ] = None,
) -> None:
    """Start MLflow's user interface on this project's records, for this machine only."""
    project = shared.load()
    from crisp_spark.run.tracked import tracking_uri
    from crisp_spark.run.workspace import Workspace

    uri = tracking_uri(Workspace(project))
    if uri.startswith(("http://", "https://", "databricks")):
        shared.out.data({"url": uri})
        shared.out.text(f"the records are kept by {uri}")
        return
    store = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:") and not store.exists():
        raise StorageError(
            "ui: nothing is recorded yet", hint=f"run `crisp run{shared.command_options}`"
        )
    chosen = _free_port(port)
    url = f"http://{_LOCALHOST}:{chosen}"
    shared.out.data({"url": url})
    shared.out.text(f"MLflow: {url} (Ctrl-C ends it)")
    sys.stdout.flush()
    _serve(uri, chosen)


def _free_port(wanted: int | None) -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS_TRIED) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOCALHOST, port))
            except OSError:
                continue
            return port
    what = f"port {wanted} is taken" if wanted else "no free port found"
    raise UsageError(f"ui: {what}", hint="choose another with --port")


def _serve(uri: str, port: int) -> None:
    arguments = ["--backend-store-uri", uri, "--host", _LOCALHOST, "--port", str(port)]
    command_line = [sys.executable, "-m", "mlflow", "server", *arguments, "--workers", "1"]
    # A group of its own: Ctrl-C reaches this process only, which then ends all of the server's.
    with subprocess.Popen(command_line, start_new_session=True) as server:  # noqa: S603  # our own words
        previous = signal.signal(signal.SIGTERM, lambda *_: os.killpg(server.pid, signal.SIGTERM))
        try:
            code = server.wait()
        except KeyboardInterrupt:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
            return
        finally:
            signal.signal(signal.SIGTERM, previous)
    if code > 0:
        raise StorageError(f"ui: MLflow ended with exit code {code}")
