"""Commands that start a project: init, example."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError

if TYPE_CHECKING:
    from crisp_spark.cli.look_columns import ColumnLook, SourceLook
    from crisp_spark.cli.scaffold import Choices

_OFFERED = 8


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "init", project=False, panel="Start")(init)
    command(app, "example", project=False, panel="Start")(example)


def init(
    shared: Shared,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder of the project.")
    ] = Path(),
    *,
    name: Annotated[str | None, typer.Option("--name", help="Name of the project.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="GLOB",
            help="Data file, folder or glob, relative to DIR; may be repeated.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Column to predict.")
    ] = None,
    problem: Annotated[
        str | None,
        typer.Option("--problem", help="binary, multiclass, regression or clustering."),
    ] = None,
    non_interactive: Annotated[
        bool, typer.Option("--non-interactive", help="Ask nothing; take what seems likeliest.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a project file.")] = False,
) -> None:
    """Look at your data files and write a commented crisp.yml.

    Only the first rows are read; no Spark is started. Nothing is overwritten without --force.
    """
    file = directory / "crisp.yml"
    _refuse_to_overwrite(file, force=force)
    _known_problem(problem)
    asks = not non_interactive and not shared.out.as_json and sys.stdin.isatty()
    from crisp_spark.cli.look import find_sources
    from crisp_spark.cli.scaffold import project_file

    patterns = data or [_default_data(directory, asks=asks)]
    sources = find_sources(patterns, directory)
    default = _default_name(directory)
    name = name or (typer.prompt("Name of the project", default=default) if asks else default)
    choices = _choose(sources, str(name), target, problem, asks=asks)
    _write_checked(file, project_file(choices, sources))
    shared.out.data(
        {
            "file": str(file),
            "name": choices.name,
            "target": choices.target,
            "problem": choices.problem,
            "sources": [source.name for source in sources],
            "key": list(choices.source.keys[0]) if choices.source.keys else [],
        }
    )
    about = f"{choices.problem}, target {choices.target}" if choices.target else choices.problem
    found = ", ".join(source.name for source in sources)
    shared.out.text(f"{file}: written ({about}; sources {found})")
    shared.out.text("next: edit the lines marked TODO, then `crisp validate`, `crisp plan`")


def _refuse_to_overwrite(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise UsageError(f"{file}: exists already", hint="--force overwrites it")


def _known_problem(problem: str | None) -> None:
    from crisp_spark.cli.scaffold import PROBLEMS
    from crisp_spark.spec.faults import nearest

    if problem is not None and problem not in PROBLEMS:
        hint = nearest(problem, PROBLEMS)
        raise UsageError(f"--problem: no such problem, got {problem!r}", hint=hint)


def _default_data(directory: Path, *, asks: bool) -> str:
    default = "data" if (directory / "data").is_dir() else "."
    return (
        str(typer.prompt("Data files (file, folder or glob)", default=default)) if asks else default
    )


def _default_name(directory: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", directory.resolve().name).strip("-")
    return name if name and name[0].isalpha() else f"project-{name}".rstrip("-")


def _choose(
    sources: Sequence[SourceLook],
    name: str,
    target: str | None,
    problem: str | None,
    *,
    asks: bool,
) -> Choices:
    from crisp_spark.cli.scaffold import PROBLEMS, Choices, problem_of, target_candidates

    if problem == "clustering":
        if target:
            raise UsageError("--target: clustering has no target", hint="leave one of the two out")
        return Choices(name, None, problem, sources[0])
    candidates = target_candidates(sources)
    if target is None and asks:
        offered = ", ".join(column.name for _, column in candidates[:_OFFERED])
        typer.echo(f"Candidates for the target: {offered or 'none'}", err=True)
        first = candidates[0][1].name if candidates else None
        target = str(typer.prompt("Column to predict", default=first))
    source, column = _find_target(sources, target, candidates)
    likely = problem_of(column) or "regression"
    if problem is None and asks:
        problem = str(typer.prompt(f"Problem ({', '.join(PROBLEMS[:3])})", default=likely))
        _known_problem(problem)
    return Choices(name, column.name, problem or likely, source)


def _find_target(
    sources: Sequence[SourceLook],
    target: str | None,
    candidates: Sequence[tuple[SourceLook, ColumnLook]],
) -> tuple[SourceLook, ColumnLook]:
    if target is None:
        if candidates:
            return candidates[0]
        raise UsageError(
            "init: no column looks like a target",
            hint="name it with --target, or --problem clustering",
        )
    for source in sources:
        column = source.column(target)
        if column is not None:
            return source, column
    from crisp_spark.spec.faults import nearest

    names = [column.name for source in sources for column in source.columns]
    raise UsageError(f"--target: no column {target!r}", hint=nearest(target, names, kind="columns"))


def _write_checked(file: Path, text: str) -> None:
    """Write a project file that validates, together with the schema that editors look for."""
    from crisp_spark.spec.load import load_project

    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(text, encoding="utf-8")
    try:
        load_project(draft, environ={})
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    write_editor_schema(file.parent)


def write_editor_schema(directory: Path) -> None:
    """Write the schema where the first line of a project file points."""
    from crisp_spark.spec.schema import packaged_schema

    target = directory / ".crisp" / "schema.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(packaged_schema(), encoding="utf-8")


def example(
    shared: Shared,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which example; --list names them.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to; else a folder of that name.")
    ] = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the examples.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a project file.")] = False,
) -> None:
    """Write an example: real raw tables and a whole project file, to run and to copy."""
    from crisp_spark.cli.examples.registry import EXAMPLES, PROJECT_FILE
    from crisp_spark.cli.examples.registry import example as example_of

    if list_ or name is None:
        rows = [(one.name, one.problem, one.title) for one in EXAMPLES.values()]
        shared.out.data([dict(zip(("name", "problem", "title"), row, strict=True)) for row in rows])
        shared.out.table(("name", "problem", "what"), rows)
        return
    chosen = example_of(name)
    folder = directory or Path(name)
    _refuse_to_overwrite(folder / PROJECT_FILE, force=force)
    file = chosen.write(folder)
    write_editor_schema(folder)
    shared.out.data({"example": chosen.name, "file": str(file)})
    shared.out.text(f"{file}: written; next: `crisp run --project {file}`")
