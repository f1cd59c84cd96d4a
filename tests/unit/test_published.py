from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from crisp_spark.aws.catalog import hive_type
from crisp_spark.aws.emr.validate import validate_service_request
from crisp_spark.aws.quicksight import dataset_request, manifest, verdicts_csv
from crisp_spark.cli import main as cli
from crisp_spark.errors import DataError
from crisp_spark.run.published import PublishedTable, database_name, safe_names, view_name
from crisp_spark.run.queries import ready_queries

EXAMPLE = Path(__file__).parents[2] / "emr" / "schedule" / "crisp.yml"
TEXTS = {"type": "array", "elementType": "string", "containsNull": True}


def table(name: str, **columns) -> PublishedTable:
    names = safe_names(columns)
    return PublishedTable(
        name=name,
        view=view_name(name),
        step="derive",
        stage_key="k1",
        run_id="r1",
        location=f"s3://bucket/data/{name}",
        rows=3,
        bytes=100,
        columns=tuple(zip(names, columns, columns.values(), strict=True)),
    )


def test_names_are_safe_and_different():
    given = ["Größe (m²)", "größe (m2)", "a b", "A.B", "a_b", "_crisp_row", "年", "a_b_2"]
    found = safe_names(given)
    assert len(set(found)) == len(found)
    assert found[0].isascii()
    assert found[2:6] == ["a_b", "a_b_2", "a_b_3", "_crisp_row"]
    assert found[6] == "c_7"
    assert found[7].startswith("a_b_2")


def test_views_and_databases_are_named_by_table_and_project():
    assert view_name("clean.Flights-2") == "clean_flights_2"
    assert database_name("Late-Flights") == "late_flights"


@pytest.mark.parametrize(
    ("spark", "hive"),
    [
        ("long", "bigint"),
        ("decimal(12,2)", "decimal(12,2)"),
        ("timestamp_ntz", "timestamp"),
        (TEXTS, "array<string>"),
        (
            {"type": "map", "keyType": "string", "valueType": "integer"},
            "map<string,int>",
        ),
        (
            {
                "type": "struct",
                "fields": [{"name": "X", "type": "double"}, {"name": "y", "type": TEXTS}],
            },
            "struct<x:double,y:array<string>>",
        ),
        ({"type": "udt", "sqlType": {"type": "struct", "fields": []}}, "struct<>"),
    ],
)
def test_types_of_spark_become_types_of_the_catalog(spark, hive):
    assert hive_type(spark, "t.c") == hive


def test_type_without_a_place_in_the_catalog_is_named_with_its_column():
    with pytest.raises(DataError, match=r"derived.gap .* interval day to second"):
        hive_type("interval day to second", "derived.gap")


def test_quicksight_request_is_what_the_service_takes():
    found = dataset_request(
        table("derived", **{"a b": "long", "day": "date", "p": "decimal(5,2)", "x": TEXTS}),
        database="flights",
        region="eu-central-1",
    )
    assert validate_service_request("quicksight", "CreateDataSet", found) == []
    (physical,) = found["PhysicalTableMap"].values()
    assert physical["RelationalTable"]["InputColumns"] == [
        {"Name": "a_b", "Type": "INTEGER"},
        {"Name": "day", "Type": "DATETIME"},
        {"Name": "p", "Type": "DECIMAL"},
    ]


def test_verdicts_are_one_line_a_criterion():
    criteria = [
        {
            "id": "B1",
            "metric": "net_value",
            "on": "test",
            "verdict": "pass",
            "value": 3.5,
            "sentence": 'earns 3.5, "more" than 1',
        },
    ]
    (row,) = csv.DictReader(io.StringIO(verdicts_csv(criteria)))
    assert (row["criterion"], row["verdict"], row["value"]) == ("B1", "pass", "3.5")
    assert row["sentence"] == 'earns 3.5, "more" than 1'


def test_manifest_is_of_the_form_that_quicksight_reads():
    form = {
        "type": "object",
        "required": ["fileLocations", "globalUploadSettings"],
        "properties": {
            "fileLocations": {
                "type": "array",
                "items": {"required": ["URIs"], "properties": {"URIs": {"type": "array"}}},
            },
            "globalUploadSettings": {
                "properties": {"format": {"enum": ["CSV", "TSV", "CLF", "ELF", "JSON"]}}
            },
        },
    }
    jsonschema.validate(manifest(["s3://bucket/a.csv"]), form)


def test_ready_queries_name_columns_as_their_engine_does():
    tables = [
        table("rejects.sales", reasons=TEXTS),
        table("dropped.sales", _crisp_drop_reason="string"),
        table("derived", **{"Größe (m²)": "double", "late": "boolean", "day": "date"}),
    ]
    spark = {one.name: one.sql for one in ready_queries(tables, engine="spark", target="late")}
    athena = {
        one.name: one.sql
        for one in ready_queries(tables, engine="athena", target="late", time="day")
    }
    assert set(spark) == {"sizes", "rejects", "dropped", "gaps", "outcomes"}
    assert set(athena) == {*spark, "months"}
    assert "`Größe (m²)`" in spark["gaps"]
    assert "Größe" not in athena["gaps"]
    assert "LATERAL VIEW explode(`reasons`)" in spark["rejects"]
    assert 'CROSS JOIN UNNEST("reasons")' in athena["rejects"]


def test_nothing_published_asks_nothing():
    assert ready_queries([], engine="spark") == []


def test_schedule_without_options_says_what_would_be_made(capsys):
    assert cli.main(["schedule", "--project", str(EXAMPLE)]) == 0
    told = capsys.readouterr().out
    assert "cron(30 5 ? * MON *) Europe/Berlin" in told
    assert "sweep     sweep" in told


def test_schedule_writes_its_files(tmp_path, capsys):
    out = tmp_path / "new" / "emr"
    assert cli.main(["schedule", "--project", str(EXAMPLE), "--out", str(out), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["files"]
    assert sorted(Path(file).name for file in written) == [
        "cleanup.asl.json",
        "state-machine.asl.json",
        "template.json",
    ]
    assert (out / "template.json").read_text() == (EXAMPLE.parent / "template.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["schedule", "--diff", "--deploy"], "exclude each other"),
        (["sql"], "one of them only"),
        (["sql", "SELECT 1", "--queries"], "one of them only"),
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments, told, capsys):
    assert cli.main([*arguments, "--project", str(EXAMPLE)]) == 64
    assert told in capsys.readouterr().err
