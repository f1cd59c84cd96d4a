"""Commands about models in use: rollback, promote, aliases, challenger, serve."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError

if TYPE_CHECKING:
    from crisp_spark.serving.endpoint.aliases import Move

_LOCALHOST = "127.0.0.1"

By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who; the name of the account if left.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "rollback", panel="Use")(rollback)
    command(app, "promote", panel="Use")(promote)
    command(app, "aliases", panel="Use")(aliases)
    command(app, "challenger", panel="Use")(challenger)
    command(app, "serve", panel="Use")(serve)


def rollback(
    shared: Shared,
    *,
    reason: Reason,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Version; else the one before.")
    ] = None,
    by: By = None,
) -> None:
    """Move the alias back to an earlier version; the move is recorded with name and reason.

    Endpoints that follow the alias take it up within their refresh time. A function that carries
    its model goes back by CodeDeploy's alarms, or by deploying the earlier run again.
    """
    project = shared.load()
    from crisp_spark.run.models import models_of, who

    alias = project.spec.deployment.alias
    move = models_of(project).roll_back(alias, to=to, by=who(by), reason=reason)
    shared.out.data(asdict(move))
    shared.out.text(f"{alias} -> {move.version} (move {move.number}, by {move.by}: {move.reason})")


def promote(
    shared: Shared,
    *,
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ALIAS", help="Alias that points there; else the shadow's."),
    ] = None,
    by: By = None,
) -> None:
    """Move the alias to the model in the shadow; the move is recorded with name and reason.

    Endpoints that follow the alias take it up within their refresh time.
    """
    project = shared.load()
    from crisp_spark.run.models import models_of, who

    deployment = project.spec.deployment
    other = to or deployment.endpoint.shadow
    if not other:
        raise UsageError(
            "promote: deployment.endpoint.shadow names no alias", hint="--to ALIAS names one"
        )
    move = models_of(project).promote(deployment.alias, to=other, by=who(by), reason=reason)
    shared.out.data(asdict(move))
    shared.out.text(
        f"{move.alias} -> {move.version} (move {move.number}, by {move.by}: {move.reason})"
    )


def aliases(
    shared: Shared,
    *,
    alias: Annotated[
        str | None, typer.Option("--alias", metavar="NAME", help="Alias; else the one in use.")
    ] = None,
) -> None:
    """Show every move of the model's alias: when, to which version, by whom and why."""
    project = shared.load()
    from crisp_spark.run.models import models_of

    moves = models_of(project).history(alias or project.spec.deployment.alias)
    shared.out.data([asdict(move) for move in moves])
    shared.out.table(
        ("move", "version", "kind", "at (UTC)", "by", "reason"), [_row(move) for move in moves]
    )
    if not moves:
        shared.out.text("the alias points at nothing yet: `crisp deploy` publishes a model")


def _row(move: Move) -> tuple[str, ...]:
    return (str(move.number), move.version, move.kind, move.at, move.by, move.reason)


def challenger(
    shared: Shared,
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="Logs of the endpoint.")],
    *,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Look up outcomes in the project's tables.")
    ] = True,
) -> None:
    """Compare the champion with the model in the shadow, by logs of an endpoint.

    It reads the lines that the endpoint wrote about both, leaves all others out, and joins them by
    the rows' keys with the outcomes that evaluation and monitoring know.
    """
    project = shared.load()
    from crisp_spark.run.challenger import compare_logged, read_comparisons

    found = compare_logged(project, read_comparisons(logs), labels=labels)
    shared.out.data([asdict(one) for one in found])
    for one in found:
        shared.out.text(f"champion {one.champion}, challenger {one.challenger}")
        shared.out.table(("", ""), one.lines())
    if not found:
        shared.out.text("no line of these logs is a comparison: is CRISP_SHADOW set?")


def serve(
    shared: Shared,
    *,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="A bundle; else the deployed model."),
    ] = None,
    shadow: Annotated[
        Path | None,
        typer.Option("--shadow", metavar="FILE", help="A bundle that scores beside it."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = _LOCALHOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8080,
) -> None:
    """Answer requests by HTTP on this machine, as the container does: /invocations and the rest."""
    from crisp_spark.serving import load_bundle
    from crisp_spark.serving.endpoint.holding import FixedModel, settings_of
    from crisp_spark.serving.endpoint.loading import BundleModel
    from crisp_spark.serving.endpoint.on_http import run_server
    from crisp_spark.serving.endpoint.service import Endpoint
    from crisp_spark.serving.endpoint.shadow import Shadow

    if bundle is None:
        from crisp_spark.run.deployed import deployed_bundle

        model = BundleModel(load_bundle(deployed_bundle(shared.load())[0]))
    else:
        model = BundleModel(load_bundle(bundle))
    settings = settings_of(os.environ, stage="local", model="bundle")
    beside = None if shadow is None else FixedModel(BundleModel(load_bundle(shadow)))
    endpoint = Endpoint(
        FixedModel(model),
        limits=settings.limits,
        stage=settings.stage,
        shadow=None if beside is None else Shadow(lambda: beside),
    )

    def ready(at: int) -> None:
        label = f"{model.identity.name} {model.identity.version}"
        sys.stderr.write(f"{label} answers at http://{host}:{at}/invocations; Ctrl-C ends it\n")

    run_server(endpoint, host=host, port=port, ready=ready)
