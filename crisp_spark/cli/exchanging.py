"""Commands that bring rules from other tools and take them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import DataError, UsageError
from crisp_spark.spec.faults import nearest

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule
    from crisp_spark.understanding.exchange import Exported, ImportedRules

FORMATS = ("dbt", "dqdl", "gx")
_ENDINGS = {".yml": "dbt", ".yaml": "dbt", ".dqdl": "dqdl", ".json": "gx"}

_Format = Annotated[
    str | None,
    typer.Option("--format", help="dbt (schema.yml), dqdl (AWS Glue) or gx (Great Expectations)."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    rules = typer.Typer(no_args_is_help=True, help="Quality rules from and for other tools.")
    app.add_typer(rules, name="rules", rich_help_panel="Check")
    command(rules, "import", project=False)(import_rules)
    command(rules, "export")(export_rules)


def import_rules(
    shared: Shared,
    file: Annotated[Path, typer.Argument(help="dbt's schema.yml, a DQDL ruleset or a GX suite.")],
    *,
    format_: _Format = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Source the rules are for; dbt: only this model."),
    ] = None,
) -> None:
    """Turn rules of another tool into YAML to copy below data.sources of the project file.

    What no rule says is named at the end, with the reason; nothing is dropped silently.
    """
    kind = _kind(format_, file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"rules import: {file}: cannot be read ({error})") from error
    found = _imported(kind, text, source or file.stem)
    if kind == "dbt" and source:
        _only(found, source)
    shared.out.data(
        {
            "rules": found.count,
            "sources": {
                name: {"columns": own.columns, "rules": own.rules}
                for name, own in found.sources.items()
            },
            "left_out": found.left_out,
            "differences": found.differences,
        }
    )
    left = f", {len(found.left_out)} left out" if found.left_out else ""
    if not shared.out.as_json:  # lines are copied: they must not be wrapped
        typer.echo(f"# {found.count} rules from {file.name} ({kind}){left}\n{found.as_yaml()}")


def _imported(kind: str, text: str, source: str) -> ImportedRules:
    from crisp_spark.understanding.exchange import ImportedRules, import_dbt, import_dqdl

    if kind == "dbt":
        return import_dbt(text)
    if kind == "dqdl":
        return import_dqdl(text, source)
    from crisp_spark.understanding.exchange.carried import SourceRules
    from crisp_spark.understanding.expectations import import_suite

    try:
        suite = json.loads(text)
    except ValueError as error:
        raise DataError(f"rules import: no JSON ({error})") from error
    if not isinstance(suite, dict):
        raise DataError(f"rules import: no suite, got a {type(suite).__name__}")
    found = import_suite(suite)
    own = SourceRules(found.columns, found.rules)
    return ImportedRules({str(suite.get("name") or source): own}, list(found.left_out))


def _only(found: ImportedRules, source: str) -> None:
    if source not in found.sources:
        hint = nearest(source, found.sources, kind="models")
        raise UsageError(f"--source: no model {source!r}", hint=hint)
    found.sources = {source: found.sources[source]}


def _kind(given: str | None, file: Path | None) -> str:
    kind = given or (_ENDINGS.get(file.suffix.lower(), "") if file else "")
    if kind not in FORMATS:
        got = f"got {kind!r}" if kind else "not given, and the file's ending does not tell it"
        raise UsageError(f"--format: {got}", hint=f"formats: {', '.join(FORMATS)}")
    return kind


def export_rules(
    shared: Shared,
    *,
    format_: _Format = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a new file.")
    ] = None,
) -> None:
    """Write the project's rules as dbt tests, a DQDL ruleset or a Great Expectations suite.

    DQDL rulesets and suites speak of one table: name the source. Rules that the other tool cannot
    say are named on stderr and at the top of the text.
    """
    project = shared.load()
    kind = _kind(format_, output)
    sources = project.spec.data.sources
    for name in source or ():
        if name not in sources:
            hint = nearest(name, sources, kind="sources")
            raise UsageError(f"--source: no source {name!r}", hint=hint)
    from crisp_spark.spec.quality import bind_rules

    chosen = {
        name: bind_rules(
            name,
            {column: spec.rules for column, spec in sources[name].columns.items()},
            sources[name].rules,
        )
        for name in source or list(sources)
    }
    exported = _exported(kind, chosen)
    if output is not None:
        if output.exists():
            raise UsageError(f"--output: {output} exists", hint="name a new file")
        output.write_text(exported.text, encoding="utf-8")
    shared.out.data(
        {
            "format": kind,
            "rules": exported.rules,
            "left_out": exported.left_out,
            "text": exported.text,
        }
    )
    if output is None and not shared.out.as_json:
        typer.echo(exported.text, nl=False)
    elif output is not None:
        shared.out.text(f"{exported.rules} rules in {output}")
    for line in exported.left_out:
        typer.echo(f"left out: {line}", err=True)


def _exported(kind: str, chosen: dict[str, tuple[BoundRule, ...]]) -> Exported:
    from crisp_spark.understanding.exchange import Exported, export_dbt, export_dqdl

    if kind == "dbt":
        return export_dbt(chosen)
    if len(chosen) != 1:
        raise UsageError(
            f"rules export: {kind} speaks of one table, got {len(chosen)} sources",
            hint="name one with --source",
        )
    ((name, bound),) = chosen.items()
    if kind == "dqdl":
        return export_dqdl(bound)
    from datetime import UTC, datetime

    from crisp_spark.understanding.expectations import export_suite

    kept = [rule for rule in bound if rule.rule.kind != "as_usual"]
    left_out = [
        f"{rule.name}: its bounds follow from earlier runs" for rule in bound if rule not in kept
    ]
    suite = export_suite(name, kept, as_of=datetime.now(tz=UTC))
    return Exported(json.dumps(suite, indent=2) + "\n", len(kept), tuple(left_out))
