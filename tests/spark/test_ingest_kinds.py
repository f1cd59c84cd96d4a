"""Sources other than delimited text: JSON, columnar files, text, databases, catalog, SQL."""

from __future__ import annotations

import gzip
import json

import pytest

from crisp_spark.errors import DataError
from crisp_spark.understanding.ingest import IngestContext


def test_json_lines_are_parsed_and_judged(take):
    lines = [
        '{"a":1,"s":"x","more":{"k":[1]}}',
        '{"a":"5","s":"y"}',
        '{"a":1',
        '{"a":1}{"a":2}',
        "[1]",
        '{"a":1,"a":2}',
        '{"a":99999999999999999999}',
        "",
        '{"s":"-"}',
        "{}",
    ]
    content = "\n".join(lines).encode() + b'\n{"a":7,"s":"caf\xe9"}\n'
    got = take(
        {"f.json": content, "g.json.gz": gzip.compress(b'{"more":null,"s":"z","a":2}\n')},
        kind="json",
        columns={"a": "bigint", "s": "string"},
        null_values=["-"],
    )
    assert got.types == {"a": "bigint", "s": "string", "more": "struct<`k`:array<bigint>>"}
    assert got.values("a", "s") == [(1, "x"), (2, "z")]
    assert got.reasons == {
        lines[1]: ["column 'a': not of type bigint"],
        lines[2]: ["not valid JSON"],
        lines[3]: ["not valid JSON"],
        lines[4]: ["not a JSON object"],
        lines[5]: ["a key occurs twice"],
        lines[6]: ["column 'a': not of type bigint"],
        lines[8]: ["no value in any field"],
        lines[9]: ["no value in any field"],
        '{"a":7,"s":"caf\ufffd"}': ["bytes that are not valid utf-8"],
    }
    assert (got.receipt.rows_in, got.receipt.blanks) == (11, 1)


def test_json_keys_are_compared_file_by_file_and_types_frozen(take):
    files = {
        "1.json": b'{"id":1,"when":"2013-01-01"}\n',
        "2.json": b'{"id":2,"when":"2013-01-02"}\n',
        "3.json": b'{"id":3,"wehn":"2013-01-03"}\n',
    }
    first = take(files, kind="json", columns={"when": "date"})
    assert ("renamed_column", "3.json", "when") in first.problems
    assert first.types["id"] == "bigint"
    second = take({"1.json": b'{"id":"x","when":null}\n'}, kind="json", earlier=first.receipt)
    assert second.types == first.types
    assert second.reasons == {'{"id":"x","when":null}': ["column 'id': not of type bigint"]}


def test_json_documents_are_records_or_lists_of_them(take):
    documents = {
        "list.json": json.dumps([{"a": 1, "s": "x\ny"}, {"s": "z"}], indent=1),
        "wrong.json": json.dumps([{"a": 1}, {"a": "q"}], indent=1),
        "one.json": json.dumps({"a": 3, "s": "é"}, indent=1, ensure_ascii=False),
        "cut.json": '[{"a": 4,\n "s": ',
    }
    files = {name: text.encode("utf-16") for name, text in documents.items()}
    columns = {"a": "int", "s": "string"}
    got = take(files, kind="json", multiline=True, encoding="utf-16", columns=columns)
    assert got.values("a", "s") == [(None, "z"), (1, "x\ny"), (3, "é")]
    # The records of a document with a fault are rejected, each with the whole text.
    texts = {row["_crisp_file"]: row["text"].replace("\0", "") for row in got.rejected}
    assert sorted(texts) == ["cut.json", "wrong.json"]
    assert documents["wrong.json"] in texts["wrong.json"]
    assert got.receipt.rows_in == 6
    assert not any("bytes" in reason for row in got.rejected for reason in row["reasons"])


def test_json_keys_that_differ_in_case_only_are_not_lost(take):
    got = take({"f.json": b'{"a":1}\n{"A":2,"b":1}\n{"a":3,"A":3}\n'}, kind="json")
    assert len(got.kept) == 1
    assert len(got.rejected) == 2
    for row in got.rejected:
        assert "only in case" in row["reasons"][0]


def test_parquet_files_of_different_types_are_widened(spark, take, tmp_path):
    spark.sql("SELECT 1 AS a, 'x' AS b").write.parquet(str(tmp_path / "in" / "1"))
    spark.sql("SELECT 5000000000 AS a, 'y' AS B").write.parquet(str(tmp_path / "in" / "2"))
    spark.sql("SELECT 7 AS b, 2Y AS a WHERE false").write.parquet(str(tmp_path / "in" / "3"))
    got = take(kind="parquet")
    assert got.types == {"a": "bigint", "b": "string"}
    assert got.values("a", "b") == [(1, "x"), (5000000000, "y")]
    assert got.rejected == []
    assert {kind for kind, _, _ in got.problems} >= {"mixed_types", "header_spelling", "no_rows"}


def test_values_that_lose_something_in_a_declared_type_are_rejected(spark, take, tmp_path):
    spark.sql(
        "SELECT * FROM VALUES (1.5D, '2013-01-01', 300), (2.0D, 'soon', 1), (3.0D, NULL, 2)"
        " AS t(n, day, small)"
    ).coalesce(1).write.orc(str(tmp_path / "in"))
    got = take(kind="orc", columns={"n": "int", "day": "date", "small": "tinyint"})
    assert got.values("n", "day", "small") == [(3, None, 2)]
    assert {json.loads(text)["n"]: reasons for text, reasons in got.reasons.items()} == {
        1.5: [
            "column 'n': double does not fit type int",
            "column 'small': int does not fit type tinyint",
        ],
        2.0: ["column 'day': not of type date"],
    }
    assert (got.receipt.rows_in, got.receipt.kept, got.receipt.rejected) == (3, 1, 2)


def test_text_gives_a_row_per_line(take):
    files = {"day=1/a.log": b"first, line\n\nsecond \xff\n", "day=2/b.log": "drïtte\n".encode()}
    got = take(files, kind="text")
    assert got.values("value", "day") == [("drïtte", "2"), ("first, line", "1")]
    assert got.reasons == {"second \ufffd": ["bytes that are not valid utf-8"]}
    latin = take(kind="text", encoding="latin-1", columns={"line": "string"})
    assert ("second ÿ",) in latin.values("line")


def test_database_table_is_read_through_its_driver(spark, take, tmp_path, monkeypatch):
    monkeypatch.setenv("CRISP_TEST_USER", "APP")
    url = f"jdbc:derby:{tmp_path / 'db'}"
    rows = spark.sql("SELECT id AS k, concat('n', id) AS name, id * 1.5D AS x FROM range(10)")
    rows.write.jdbc(f"{url};create=true", "APP.THINGS", properties={"user": "APP"})
    given = {"kind": "jdbc", "url": url, "user": "${env:CRISP_TEST_USER}"}
    part = {"column": "k", "lower": 0, "upper": 9, "partitions": 2}
    got = take(**given, table="APP.THINGS", partition=part, columns={"x": "int"})
    names = {name.lower(): name for name in got.types}
    assert [row[0] for row in got.values(names["k"])] == [0, 2, 4, 6, 8]
    assert got.types["x"] == "int"
    assert got.receipt.rows_in == 10
    assert {tuple(row["reasons"]) for row in got.rejected} == {
        ("column 'x': double does not fit type int",)
    }
    assert got.receipt.location == f"{url}#APP.THINGS"
    query = 'SELECT "name" FROM APP.THINGS WHERE "k" = 3'
    assert [row["name"] for row in take(**given, query=query).kept] == ["n3"]
    with pytest.raises(DataError, match=r"data\.sources\.s: cannot be opened .*NOWHERE"):
        take(**given, table="APP.NOWHERE")


def test_catalog_table_is_read_by_name(spark, take):
    spark.sql("SELECT 1 AS a, 'x' AS b").write.saveAsTable("ingest_things")
    try:
        got = take(kind="catalog", table="ingest_things", columns={"a": "bigint"})
    finally:
        spark.sql("DROP TABLE ingest_things")
    assert got.types == {"a": "bigint", "b": "string"}
    assert got.values("a", "b", "_crisp_file") == [(1, "x", "ingest_things")]
    with pytest.raises(DataError, match="cannot be opened"):
        take(kind="catalog", table="ingest_things")


def test_query_sees_the_other_sources_and_nothing_of_ingest(spark, take, tmp_path):
    things = spark.sql("SELECT 1 AS a, 'f' AS _crisp_file UNION ALL SELECT 2, 'f'")
    context = IngestContext(tmp_path, {"things": things})
    got = take(kind="sql", query="SELECT *, a * 2 AS b FROM things", context=context)
    assert got.values("a", "b", "_crisp_file") == [(1, 2, "sql"), (2, 4, "sql")]
    assert not spark.catalog.tableExists("things")
    with pytest.raises(DataError, match="cannot be opened"):
        take(kind="sql", query="SELECT * FROM nothing", context=context)
    with pytest.raises(DataError, match=r"more than one column|twice"):
        take(kind="sql", query="SELECT a, a FROM things", context=context)
