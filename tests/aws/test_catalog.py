from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from moto import mock_aws
from moto.athena.models import QueryResults, athena_backends

from crisp_spark.aws.athena import ask_athena
from crisp_spark.aws.catalog import VERSION_KEY, register
from crisp_spark.aws.clients import Clients
from crisp_spark.errors import DataError, UnavailableError
from tests.unit.test_published import table

REGION = "eu-central-1"


@pytest.fixture
def aws(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    with mock_aws():
        yield Clients(REGION)


def entry(name: str) -> dict:
    return boto3.client("glue", region_name=REGION).get_table(DatabaseName="shop", Name=name)[
        "Table"
    ]


def test_tables_are_registered_with_safe_names_read_by_position(aws):
    done = register(aws, "shop", [table("derived", **{"Größe (m²)": "double", "n": "long"})])
    assert [(one.table, one.action) for one in done] == [("derived", "created")]
    found = entry("derived")
    columns = found["StorageDescriptor"]["Columns"]
    assert [(one["Name"], one["Type"]) for one in columns] == [
        ("gr_e_m_", "double"),
        ("n", "bigint"),
    ]
    assert columns[0]["Comment"] == "Größe (m²)"
    serde = found["StorageDescriptor"]["SerdeInfo"]
    assert serde["Parameters"] == {"parquet.column.index.access": "true"}
    assert found["Parameters"][VERSION_KEY] == "k1"


def test_newer_version_is_switched_to_and_the_older_one_stays_on_record(aws):
    old = table("derived", n="long")
    new = replace(old, stage_key="k2", location="s3://bucket/data/derived/k2/x")
    register(aws, "shop", [old])
    assert register(aws, "shop", [old])[0].action == "unchanged"
    assert register(aws, "shop", [new])[0].action == "switched"
    assert entry("derived")["StorageDescriptor"]["Location"] == new.location
    versions = boto3.client("glue", region_name=REGION).get_table_versions(
        DatabaseName="shop", TableName="derived"
    )["TableVersions"]
    assert len(versions) == 2
    assert register(aws, "shop", [new])[0].action == "unchanged"


def test_two_writers_cannot_both_win(aws, monkeypatch):
    old = table("derived", n="long")
    register(aws, "shop", [old])
    glue = aws.get("glue")
    update, seen = glue.update_table, []

    def update_table(**request):
        seen.append(request["VersionId"])
        if request["VersionId"] != entry("derived")["VersionId"]:
            raise glue.exceptions.ConcurrentModificationException(
                {"Error": {"Code": "ConcurrentModificationException", "Message": "changed"}},
                "UpdateTable",
            )
        return update(**request)

    monkeypatch.setattr(glue, "update_table", update_table)
    stale = entry("derived")
    register(aws, "shop", [replace(old, stage_key="k2")])
    monkeypatch.setattr(glue, "get_table", lambda **_: {"Table": stale})
    with pytest.raises(UnavailableError, match="derived"):
        register(aws, "shop", [replace(old, stage_key="k3")])
    assert len(seen) == 2


def test_nothing_is_registered_where_one_column_cannot_be(aws):
    bad = table("later", gap="interval year to month")
    with pytest.raises(DataError, match=r"later\.gap"):
        register(aws, "shop", [table("derived", n="long"), bad])
    assert boto3.client("glue", region_name=REGION).get_databases()["DatabaseList"] == []


def test_local_data_is_refused(aws):
    with pytest.raises(DataError, match="not in S3"):
        register(aws, "shop", [replace(table("derived", n="long"), location="file:///data")])


def ask(aws, sql="SELECT 1", **more):
    return ask_athena(
        aws, sql, database="shop", output="s3://bucket/athena/", pause=lambda _: None, **more
    )


def queued(columns: list[str], rows: list[list[str | None]]) -> None:
    listed = [columns, *rows]
    athena_backends["123456789012"][REGION].query_results_queue.append(
        QueryResults(
            rows=[
                {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]}
                for row in listed
            ],
            column_info=[{"Name": name, "Type": "varchar"} for name in columns],
        )
    )


def test_answer_of_athena_has_columns_rows_and_nulls(aws):
    queued(["name", "n"], [["a", "1"], ["b", None]])
    answer = ask(aws)
    assert answer.columns == ("name", "n")
    assert answer.rows == (("a", "1"), ("b", None))
    assert not answer.truncated


def test_more_rows_than_wanted_are_said_to_be_there(aws):
    queued(["n"], [["1"], ["2"], ["3"]])
    answer = ask(aws, most_rows=2)
    assert answer.rows == (("1",), ("2",))
    assert answer.truncated


def test_failed_query_tells_the_words_of_athena(aws, monkeypatch):
    status = {"State": "FAILED", "StateChangeReason": "SYNTAX_ERROR: line 1:8: Column 'x'"}
    monkeypatch.setattr(
        aws.get("athena"),
        "get_query_execution",
        lambda **_: {"QueryExecution": {"Status": status}},
    )
    with pytest.raises(DataError, match="Column 'x'"):
        ask(aws, "SELECT x")


def test_interrupted_wait_stops_the_query(aws, monkeypatch):
    athena, stopped = aws.get("athena"), []
    running = {"QueryExecution": {"Status": {"State": "RUNNING"}}}
    monkeypatch.setattr(athena, "get_query_execution", lambda **_: running)
    monkeypatch.setattr(
        athena, "stop_query_execution", lambda **given: stopped.append(given["QueryExecutionId"])
    )

    def interrupt(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_athena(aws, "SELECT 1", database="d", output="s3://b/", pause=interrupt)
    assert len(stopped) == 1
