"""Commands that take a model to other runtimes: export onnx."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import DataError, UsageError
from crisp_spark.spec.faults import nearest

if TYPE_CHECKING:
    from crisp_spark.run.portable_onnx import OnnxModel


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    export = typer.Typer(no_args_is_help=True, help="The model for other runtimes.")
    app.add_typer(export, name="export", rich_help_panel="Use")
    command(export, "onnx")(export_onnx)


def export_onnx(
    shared: Shared,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write to a new file.")
    ],
    start: Annotated[
        str,
        typer.Option(
            "--start",
            help="estimator: at its vector; numeric: as early as numeric stages reach; "
            "inputs: the whole pipeline, or nothing.",
        ),
    ] = "estimator",
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="A bundle; else the deployed model."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            help="Rows to compare (.parquet, .csv, or JSON lines); else the held-out ones.",
        ),
    ] = None,
) -> None:
    """Write the portable model as ONNX, after comparing both on held-out rows.

    Nothing is written where a stage or a family has no counterpart, a prediction differs, or a
    score differs by more than 1e-9. Needs the extra `onnx`; starts no Spark.
    """
    from crisp_spark.deployment.onnx_export import STARTS
    from crisp_spark.deployment.onnx_graph import check_installed
    from crisp_spark.run.portable_onnx import held_out_rows, make_onnx, rows_of_file
    from crisp_spark.serving import load_bundle

    if start not in STARTS:
        raise UsageError(f"--start: got {start!r}", hint=nearest(start, STARTS, kind="starts"))
    if output.exists():
        raise UsageError(f"--output: {output} exists", hint="name a new file")
    check_installed()
    content = _deployed(shared) if bundle is None else _read(bundle)
    names = [field.name for field in load_bundle(content).signature]
    held = held_out_rows(shared.load(), names) if rows is None else rows_of_file(rows, names)
    made = make_onnx(content, held, start=start)
    output.write_bytes(made.content)
    _tell(shared, made, output)


def _deployed(shared: Shared) -> bytes:
    from crisp_spark.run.deployed import deployed_bundle

    return deployed_bundle(shared.load())[0]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"--bundle: {file}: cannot be read ({error.strerror})") from error


def _tell(shared: Shared, made: OnnxModel, output: Path) -> None:
    parity = made.parity
    shared.out.data(
        {
            "file": str(output),
            "bytes": len(made.content),
            "model": made.model,
            "inputs": made.inputs,
            "outputs": made.outputs,
            "stages": made.stages,
            "before": made.before,
            "parity": asdict(parity),
        }
    )
    inputs = [f"{name} [rows, {width}]" for name, width in made.inputs.items()]
    more = f" and {len(inputs) - 3} more" if len(inputs) > 3 else ""  # noqa: PLR2004
    shared.out.text(f"{output}  {len(made.content):,} bytes, {made.model}")
    shared.out.text(f"inputs    {', '.join(inputs[:3])}{more}, double")
    shared.out.text(f"outputs   {', '.join(made.outputs)}")
    shared.out.text(f"stages    {', '.join(made.stages)}")
    if made.before:
        shared.out.text(f"before    {len(made.before)} stages are the bundle's: Bundle.columns")
    shared.out.text(
        f"compared  {parity.rows:,} held-out rows and {parity.edge_rows:,} made from them: the "
        f"same answers, largest difference {parity.max_abs_difference:.1g}"
    )
