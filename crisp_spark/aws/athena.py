"""SQL on published tables by Athena."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.errors import DataError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_PAGE = 1000


@dataclass(frozen=True)
class AthenaAnswer:
    """The answer to a query.

    Attributes:
        columns: Names of the columns.
        rows: Rows, every value as text; None is SQL's NULL.
        truncated: Whether there are more rows than were asked for.
        scanned_bytes: Bytes that were read, which is what Athena charges for.
        seconds: Time that the query took.
        execution_id: Id of the query at Athena; its whole answer is at ``location``.
        location: CSV file in S3 with the whole answer.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    truncated: bool
    scanned_bytes: int
    seconds: float
    execution_id: str
    location: str


def ask_athena(
    aws: Clients,
    sql: str,
    *,
    database: str,
    output: str,
    workgroup: str = "primary",
    most_rows: int = 100,
    pause: Callable[[float], None] = time.sleep,
) -> AthenaAnswer:
    """Run a query and return its first rows; an interrupted wait stops the query.

    Args:
        aws: Clients of the target's region.
        sql: One statement.
        database: Database that plain names are looked up in.
        output: S3 prefix for answers.
        workgroup: Workgroup, whose limits hold.
        most_rows: Most rows returned.
        pause: Waits between two looks.

    Raises:
        DataError: Athena refuses the query, or it failed; its words are told.
    """
    athena = aws.get("athena")
    with translated("sql: athena"):
        started = athena.start_query_execution(
            QueryString=sql,
            ClientRequestToken=uuid4().hex,
            QueryExecutionContext={"Database": database},
            ResultConfiguration={"OutputLocation": output},
            WorkGroup=workgroup,
        )
    identity = str(started["QueryExecutionId"])
    try:
        ended = _wait(athena, identity, pause)
    except KeyboardInterrupt:
        with translated("sql: athena"):
            athena.stop_query_execution(QueryExecutionId=identity)
        raise
    columns, rows = _rows(athena, identity, most_rows + 1)
    statistics = ended.get("Statistics", {})
    return AthenaAnswer(
        columns=columns,
        rows=tuple(rows[:most_rows]),
        truncated=len(rows) > most_rows,
        scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
        seconds=float(statistics.get("TotalExecutionTimeInMillis", 0)) / 1000,
        execution_id=identity,
        location=str(ended.get("ResultConfiguration", {}).get("OutputLocation", "")),
    )


def _wait(athena: Any, identity: str, pause: Callable[[float], None]) -> dict[str, Any]:
    longest = _FIRST_PAUSE
    while True:
        with translated("sql: athena"):
            found = athena.get_query_execution(QueryExecutionId=identity)["QueryExecution"]
        state = found["Status"]["State"]
        if state == "SUCCEEDED":
            return dict(found)
        if state in {"FAILED", "CANCELLED"}:
            reason = found["Status"].get("StateChangeReason", "no reason given")
            raise DataError(
                f"sql: the query {state.lower()}: {reason}",
                hint="`crisp sql --tables` lists tables and columns; `crisp publish` registers "
                "newer ones",
            )
        pause(random.uniform(longest / 2, longest))  # noqa: S311  # jitter, not a secret
        longest = min(longest * 1.5, _LONGEST_PAUSE)


def _rows(
    athena: Any, identity: str, most: int
) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    columns: tuple[str, ...] = ()
    rows: list[tuple[str | None, ...]] = []
    page: dict[str, Any] = {"NextToken": ""}
    while "NextToken" in page and len(rows) < most:
        more = {"NextToken": page["NextToken"]} if page["NextToken"] else {}
        with translated("sql: athena"):
            page = athena.get_query_results(
                QueryExecutionId=identity, MaxResults=min(_PAGE, most + 1), **more
            )
        result = page["ResultSet"]
        described = result.get("ResultSetMetadata", {}).get("ColumnInfo", ())
        listed = [
            tuple(cell.get("VarCharValue") for cell in row["Data"])
            for row in result.get("Rows", ())
        ]
        if not columns:
            columns = tuple(one["Name"] for one in described)
            if listed and listed[0] == columns:  # of a SELECT, the first row holds the names
                listed = listed[1:]
        rows += listed
    return columns, rows
