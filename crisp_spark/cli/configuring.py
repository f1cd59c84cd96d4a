"""Commands about the project file itself: config schema, config show."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    config = typer.Typer(no_args_is_help=True, help="The project file: its schema, its values.")
    app.add_typer(config, name="config", rich_help_panel="Check")
    command(config, "schema", project=False)(schema)
    command(config, "show")(show)


def schema(
    shared: Shared,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it here instead.")
    ] = None,
) -> None:
    """Print the JSON Schema of the project file, for editors.

    Editors with the YAML language server read it through a first line like
    [bold]# yaml-language-server: $schema=./.crisp/schema.json[/bold]
    """
    from crisp_spark.spec.schema import packaged_schema

    text = packaged_schema()
    if out is None:
        sys.stdout.write(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    shared.out.data({"file": str(out)})
    shared.out.text(f"schema: {out}")


def show(
    shared: Shared,
    *,
    place: Annotated[
        str | None, typer.Argument(metavar="[PLACE]", help="Only below here, e.g. data.sources.")
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say of each value where it was set.")
    ] = False,
    declared: Annotated[bool, typer.Option("--declared", help="Leave defaults out.")] = False,
) -> None:
    """Show the project file after all layers; secrets stay references.

    Layers, low to high: defaults, the file, its includes, the target, CRISP_VAR_*, --var, --set.
    """
    project = shared.load()
    values = dict(leaves(project.resolved))
    origins = project.origins
    shown = {
        name: value
        for name, value in values.items()
        if _below(name, place) and not (declared and origins.get(name, "default") == "default")
    }
    if place and not shown:
        from crisp_spark.spec.faults import nearest

        raise UsageError(f"config: nothing at {place!r}", hint=nearest(place, _prefixes(values)))
    rows = {
        name: {"value": value, "origin": origins.get(name, "default")}
        for name, value in shown.items()
    }
    shared.out.data(rows if origin else shown)
    width = min(max(map(len, shown), default=0), 70)
    for name, row in rows.items():
        line = f"{name:<{width}} = {json.dumps(row['value'], ensure_ascii=False)}"
        shared.out.text(f"{line}  # {row['origin']}" if origin else line)


def _below(name: str, place: str | None) -> bool:
    return not place or name == place or name.startswith((f"{place}.", f"{place}["))


def _prefixes(names: Mapping[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            found[".".join(parts[:end])] = None
    return list(found)


def leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """List the single values of plain data with their places."""
    from crisp_spark.spec.faults import dotted

    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*place, str(key)))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, (*place, number))
    else:
        yield dotted(place), value
