"""Commands about published tables: publish, sql."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisp_spark.cli.command import Shared, command
from crisp_spark.errors import UsageError
from crisp_spark.spec.compute import AwsCompute
from crisp_spark.spec.faults import nearest

if TYPE_CHECKING:
    from crisp_spark.run.published import PublishedTable
    from crisp_spark.run.queries import ReadyQuery
    from crisp_spark.spec.load import LoadedProject

_EXPORTS = "exports/criteria"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "publish", panel="AWS")(publish)
    command(app, "sql", panel="Look")(sql)


def publish(
    shared: Shared,
    *,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated.")
    ] = None,
    quicksight: Annotated[
        Path | None,
        typer.Option("--quicksight", metavar="DIR", help="Write QuickSight's data sets here."),
    ] = None,
) -> None:
    """Show the published tables in the Glue Data Catalog, each at its published version.

    Athena, Spark and QuickSight read them from there, as database PROJECT. Tables that are there
    already are switched to the newer version in one step; readers never see a part.
    """
    project = shared.load()
    compute = _aws_compute(project)
    from crisp_spark.aws.catalog import register as register_tables
    from crisp_spark.aws.clients import clients
    from crisp_spark.run.published import database_name, published_tables

    tables = _chosen(published_tables(project), table or ())
    database = database_name(project.spec.project.name)
    done = register_tables(clients(compute.region), database, tables)
    files = [] if quicksight is None else _quicksight(quicksight, tables, database, compute.region)
    manifest = _verdicts(project)
    shared.out.data(
        {"database": database, "tables": done, "quicksight": files, "manifest": manifest}
    )
    for one in done:
        shared.out.text(f"{one.action:<9} {database}.{one.table} {one.rows:,} rows")
    for file in files:
        shared.out.text(f"written   {file}")
    if manifest:
        shared.out.text(f"manifest  {manifest}")


def _aws_compute(project: LoadedProject) -> AwsCompute:
    if isinstance(project.compute, AwsCompute):
        return project.compute
    having = [
        name
        for name, target in project.spec.targets.items()
        if isinstance(target.compute, AwsCompute)
    ]
    raise UsageError(
        f"publish: target {project.target or '(none)'} is not at AWS",
        hint=f"--target {having[0]}" if having else "declare a target of kind emr",
    )


def _chosen(tables: Sequence[PublishedTable], names: Sequence[str]) -> Sequence[PublishedTable]:
    known = {one.name: one for one in tables} | {one.view: one for one in tables}
    for name in names:
        if name not in known:
            raise UsageError(
                f"--table: no table {name!r} is published",
                hint=nearest(name, known, kind="tables"),
            )
    return [known[name] for name in dict.fromkeys(names)] if names else tables


def _quicksight(
    folder: Path, tables: Sequence[PublishedTable], database: str, region: str
) -> list[str]:
    from crisp_spark.aws.quicksight import dataset_request

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        file = folder / f"{table.view}.dataset.json"
        request = dataset_request(table, database=database, region=region)
        file.write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")
        written.append(str(file))
    return written


def _verdicts(project: LoadedProject) -> str:
    """Keep the verdicts as CSV with a manifest beside it; empty where nothing was decided."""
    from crisp_spark.aws.quicksight import manifest, verdicts_csv
    from crisp_spark.run.workspace import Workspace

    workspace = Workspace(project)
    decided = workspace.commits.current("decide")
    if decided is None:
        return ""
    rows, listed = (f"{_EXPORTS}/{decided.stage_key}.{kind}" for kind in ("csv", "manifest.json"))
    content = verdicts_csv(decided.result["criteria"])
    workspace.objects.put_if_absent(rows, content.encode())
    workspace.put(listed, manifest([workspace.objects.uri(rows)]))
    return workspace.objects.uri(listed)


def sql(
    shared: Shared,
    query: Annotated[str | None, typer.Argument(metavar="[QUERY]", help="One statement.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Read the query from here.")
    ] = None,
    ready: Annotated[
        str | None, typer.Option("--ready", metavar="NAME", help="Ask a ready query.")
    ] = None,
    queries: Annotated[bool, typer.Option("--queries", help="List the ready queries.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="List what a query may name.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Most rows shown.")] = 100,
    workgroup: Annotated[
        str, typer.Option("--workgroup", help="Athena workgroup, whose limits hold.")
    ] = "primary",
) -> None:
    """Ask SQL of the sources and the published tables: here by Spark, at AWS by Athena.

    With a target of kind emr the query goes to Athena, on the tables that `crisp publish`
    registered; elsewhere Spark answers it, and may read sources by their names as well.
    """
    if sum(1 for one in (query, file, ready, queries or None, tables or None) if one) != 1:
        raise UsageError(
            "sql: give a QUERY, --file, --ready, --queries or --tables, and one of them only",
            hint='crisp sql "SELECT count(*) FROM derived"',
        )
    project = shared.load()
    if tables:
        _list_tables(shared, project)
        return
    known = _ready(project) if queries or ready else []
    if queries:
        _list_queries(shared, known)
        return
    text = _text(query, file, ready, known)
    if isinstance(project.compute, AwsCompute):
        _ask_athena(shared, project, text, rows=rows, workgroup=workgroup)
    else:
        _ask_spark(shared, project, text, rows=rows)


def _text(
    query: str | None, file: Path | None, ready: str | None, known: Sequence[ReadyQuery]
) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--file: cannot read {file} ({error.strerror})") from error
    if ready is not None:
        named = {one.name: one.sql for one in known}
        if ready not in named:
            hint = nearest(ready, named, kind="ready queries")
            raise UsageError(f"--ready: no query {ready!r}", hint=hint)
        return named[ready]
    return query or ""


def _ready(project: LoadedProject) -> list[ReadyQuery]:
    from crisp_spark.run.published import published_tables
    from crisp_spark.run.queries import ready_queries

    goal = project.spec.business.mining_goal
    source = project.spec.data.sources.get(goal.target_source or "")
    return ready_queries(
        published_tables(project),
        engine="athena" if isinstance(project.compute, AwsCompute) else "spark",
        target=goal.target or "",
        time=(source.time or "") if source else "",
    )


def _list_queries(shared: Shared, known: Sequence[ReadyQuery]) -> None:
    shared.out.data(known)
    shared.out.table(
        ("name", "question", "query"), [(one.name, one.question, one.sql) for one in known]
    )
    if not known:
        shared.out.text("nothing is published yet")


def _list_tables(shared: Shared, project: LoadedProject) -> None:
    from crisp_spark.run.sql import sql_names

    names: Mapping[str, str] = sql_names(project)
    if isinstance(project.compute, AwsCompute):  # Athena does not see the sources
        names = {name: what for name, what in names.items() if what.startswith("published")}
    shared.out.data(names)
    shared.out.table(("name", "what"), list(names.items()))


def _ask_spark(shared: Shared, project: LoadedProject, text: str, *, rows: int) -> None:
    from crisp_spark.run.sql import run_sql

    answer = run_sql(project, text, most_rows=rows)
    _show(shared, answer.columns, answer.rows, truncated=answer.truncated)


def _ask_athena(
    shared: Shared, project: LoadedProject, text: str, *, rows: int, workgroup: str
) -> None:
    from crisp_spark.aws.athena import ask_athena
    from crisp_spark.aws.clients import clients
    from crisp_spark.run.published import database_name

    compute = _aws_compute(project)
    answer = ask_athena(
        clients(compute.region),
        text,
        database=database_name(project.spec.project.name),
        output=f"{compute.artifacts.rstrip('/')}/athena/",
        workgroup=workgroup,
        most_rows=rows,
    )
    _show(shared, answer.columns, answer.rows, truncated=answer.truncated)
    read = f"{answer.scanned_bytes / 1e6:,.1f} MB read in {answer.seconds:.1f} s"
    sys.stderr.write(f"{read}; the whole answer: {answer.location}\n")


def _show(
    shared: Shared,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    truncated: bool,
) -> None:
    shared.out.data(
        {"columns": list(columns), "rows": [list(row) for row in rows], "truncated": truncated}
    )
    shared.out.table(columns, [["" if cell is None else str(cell) for cell in row] for row in rows])
    if truncated:
        sys.stderr.write(f"only the first {len(rows):,} rows are shown; --rows shows more\n")
