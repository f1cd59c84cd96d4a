"""Ready queries on published tables, in Spark's SQL and in Athena's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crisp_spark.run.published import PublishedTable

Engine = Literal["spark", "athena"]

_OWN = "_crisp_"


@dataclass(frozen=True)
class ReadyQuery:
    """A query that can be asked as it is.

    Attributes:
        name: Name on the command line.
        question: What it answers.
        sql: The statement.
    """

    name: str
    question: str
    sql: str


def ready_queries(
    tables: Sequence[PublishedTable], *, engine: Engine, target: str = "", time: str = ""
) -> list[ReadyQuery]:
    """Return the queries that the published tables can answer.

    Args:
        tables: Published tables.
        engine: Whose SQL is written; Athena sees columns by their names in SQL.
        target: Column with the outcome.
        time: Column with the time, of merged rows.
    """
    by_name = {table.name: table for table in tables}
    found = [_sizes(tables)] if tables else []
    found += _unused(tables, engine)
    derived = by_name.get("derived")
    if derived is not None:
        outcome, moment = _column(derived, target, engine), _column(derived, time, engine)
        found.append(_gaps(derived, engine))
        if outcome:
            found.append(
                ReadyQuery(
                    "outcomes",
                    "How often each outcome occurs",
                    f"SELECT {outcome} AS outcome, count(*) AS n FROM {derived.view} "
                    f"GROUP BY {outcome} ORDER BY n DESC",
                )
            )
        if moment:
            month = f"date_trunc('month', {moment})"
            found.append(
                ReadyQuery(
                    "months",
                    "Rows per month",
                    f"SELECT {month} AS month, count(*) AS n FROM {derived.view} "
                    f"GROUP BY {month} ORDER BY {month}",
                )
            )
    return found


def _sizes(tables: Sequence[PublishedTable]) -> ReadyQuery:
    counted = [
        f"SELECT '{table.view}' AS name, count(*) AS n FROM {table.view}" for table in tables
    ]
    return ReadyQuery(
        "sizes", "Rows of every published table", " UNION ALL ".join(counted) + " ORDER BY name"
    )


def _unused(tables: Sequence[PublishedTable], engine: Engine) -> list[ReadyQuery]:
    """Why rows were not used: read wrongly, against a rule, or dropped by cleaning."""
    asked = (
        ("rejects", "rejects.", "reasons", "Why rows could not be read", True),
        ("quarantine", "quarantine.", f"{_OWN}failed_rules", "Which rules rows broke", True),
        ("dropped", "dropped.", f"{_OWN}drop_reason", "Why cleaning dropped rows", False),
    )
    found = []
    for name, prefix, column, question, listed in asked:
        parts = [
            _reasons(table, column, engine, listed=listed)
            for table in tables
            if table.name.startswith(prefix) and any(own == column for _, own, _ in table.columns)
        ]
        if parts:
            found.append(ReadyQuery(name, question, " UNION ALL ".join(parts) + " ORDER BY n DESC"))
    return found


def _reasons(table: PublishedTable, column: str, engine: Engine, *, listed: bool) -> str:
    source = table.name.split(".", 1)[1].replace("'", "''")
    named = _column(table, column, engine)
    if not listed:
        start = f"SELECT '{source}' AS source, {named} AS reason, count(*) AS n FROM {table.view}"
        return f"{start} GROUP BY {named}"
    each = (
        f"LATERAL VIEW explode({named}) r AS reason"
        if engine == "spark"
        else f"CROSS JOIN UNNEST({named}) AS r (reason)"
    )
    start = f"SELECT '{source}' AS source, CAST(reason AS {_text(engine)}) AS reason"
    return f"{start}, count(*) AS n FROM {table.view} {each} GROUP BY reason"


def _text(engine: Engine) -> str:
    return "STRING" if engine == "spark" else "VARCHAR"


def _gaps(table: PublishedTable, engine: Engine) -> ReadyQuery:
    own = [name for _, name, _ in table.columns if not name.startswith(_OWN)]
    counted = ", ".join(
        f"count(*) - count({_column(table, name, engine)}) AS {_column(table, name, engine)}"
        for name in own
    )
    return ReadyQuery("gaps", "Nulls per column", f"SELECT {counted} FROM {table.view}")


def _column(table: PublishedTable, own: str, engine: Engine) -> str:
    """Return a column as the engine names it, quoted; empty where the table lacks it."""
    for safe, name, _ in table.columns:
        if name == own:
            escaped = name.replace("`", "``")
            return f"`{escaped}`" if engine == "spark" else f'"{safe}"'
    return ""
