"""Ad-hoc SQL by Spark: on the sources as they are, and on the published tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crisp_spark.engine import tables
from crisp_spark.errors import DataError, UsageError, suggest
from crisp_spark.run.places import open_session_for
from crisp_spark.run.published import view_name
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crisp_spark.engine.commits import TableCommit
    from crisp_spark.spec.load import LoadedProject

_WORD = re.compile(r"\w+")
_READS = re.compile(
    r"^[\s(]*(select|with|values|table|describe|desc|show|explain)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class SqlAnswer:
    """The answer to a query.

    Attributes:
        columns: Names of the columns.
        rows: The first rows.
        truncated: Whether there are more.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


def run_sql(
    project: LoadedProject,
    query: str,
    *,
    most_rows: int = 100,
    spark: SparkSession | None = None,
) -> SqlAnswer:
    """Run a query on sources (by their names) and published tables (``clean_flights``).

    Only what the query names is opened. Sources are read as ``ingest`` reads them: rows that it
    would reject are left out.

    Args:
        project: The project.
        query: One statement of Spark SQL that reads.
        most_rows: Most rows returned.
        spark: Session; the one of the project's target when None.

    Raises:
        UsageError: The statement does not only read.
        DataError: Spark refuses the query.
    """
    from pyspark.errors import PySparkException

    if not _READS.match(_without_comments(query)):
        raise UsageError(
            "sql: only statements that read are taken", hint="begin with SELECT, WITH or DESCRIBE"
        )
    session = spark or open_session_for(project, "sql")
    words = {word.lower() for word in _WORD.findall(query)}
    published = _published(project)
    _open_published(project, session, {v: t for v, t in published.items() if v in words})
    _open_sources(project, session, words - published.keys())
    try:
        frame = session.sql(query)
        rows = frame.limit(most_rows + 1).collect()
    except PySparkException as error:
        raise _refused(error, [*published, *project.spec.data.sources]) from error
    return SqlAnswer(
        columns=tuple(frame.columns),
        rows=tuple(tuple(row) for row in rows[:most_rows]),
        truncated=len(rows) > most_rows,
    )


def sql_names(project: LoadedProject) -> Mapping[str, str]:
    """Return what a query may name: name to what it is."""
    sources = {name: f"source, {source.kind}" for name, source in project.spec.data.sources.items()}
    return sources | {
        view: f"published, {table.rows:,} rows" for view, table in _published(project).items()
    }


def _published(project: LoadedProject) -> dict[str, TableCommit]:
    from crisp_spark import flow

    commits = Workspace(project).commits
    current = [commits.current(step.name) for step in flow.FLOW]
    return {
        view_name(name): table
        for commit in current
        if commit is not None
        for name, table in commit.tables.items()
    }


def _open_published(
    project: LoadedProject, spark: SparkSession, named: Mapping[str, TableCommit]
) -> None:
    objects = Workspace(project).objects
    for view, table in named.items():
        tables.read_table(objects, spark, table).createOrReplaceTempView(view)


def _open_sources(project: LoadedProject, spark: SparkSession, words: set[str]) -> None:
    from crisp_spark.understanding.ingest import IngestContext, ingest_source

    sources = project.spec.data.sources
    needed = {name for name in sources if name.lower() in words}
    if any(sources[name].kind == "sql" for name in needed):
        needed = set(sources)  # a source of kind sql may read any other
    opened: dict[str, Any] = {}
    for name in sorted(needed, key=lambda name: sources[name].kind == "sql"):
        context = IngestContext(project.project_dir, opened)
        opened[name] = ingest_source(spark, name, sources[name], context).kept
        opened[name].createOrReplaceTempView(name)


def _refused(error: Exception, names: Sequence[str]) -> DataError:
    words = str(error).splitlines()[0]
    missing = re.search(r"table or view [`\"]?(\w+)", words, re.IGNORECASE)
    near = suggest(missing[1], names) if missing else None
    hint = f"did you mean {near}? " if near else ""
    return DataError(f"sql: {words}", hint=f"{hint}`crisp sql --tables` lists what there is")


def _without_comments(query: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", " ", query, flags=re.DOTALL)
