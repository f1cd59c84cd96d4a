"""The ``crisp`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from crisp_spark import __version__
from crisp_spark.cli import (
    answering,
    checking,
    configuring,
    costing,
    exchanging,
    explaining,
    exporting,
    overseeing,
    packaging,
    profiling,
    publishing,
    rollout,
    running,
    scheduling,
    starting,
    submitting,
    sweeping,
    using,
)
from crisp_spark.errors import EX_USAGE

_CLICK_USAGE = 2  # what the argument parser exits with

app = typer.Typer(
    name="crisp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="CRISP-DM as code on Spark: from the business charter to a deploy decision.",
    epilog="Exit codes: 0 done, 64 usage, 65 data, 70 bug, 71 node set-up, 75 try again, "
    "77 permission, 78 project file, 130 interrupted.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"crisp-spark {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """CRISP-DM as code on Spark: from the business charter to a deploy decision."""


for group in (
    starting,
    checking,
    exchanging,
    explaining,
    running,
    sweeping,
    using,
    rollout,
    answering,
    exporting,
    profiling,
    publishing,
    configuring,
    submitting,
    overseeing,
    packaging,
    scheduling,
    costing,
):
    group.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="crisp")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return EX_USAGE if code == _CLICK_USAGE else code
    return 0


if __name__ == "__main__":
    sys.exit(main())
