from __future__ import annotations

import pytest
from pydantic import ValidationError

from crisp_spark.spec.columntypes import normal_type
from crisp_spark.spec.data import CsvSource, DataSpec, JdbcSource
from crisp_spark.spec.encodings import single_byte_signs


def source(**given):
    return DataSpec.model_validate({"sources": {"s": {"kind": "csv", "path": "a.csv", **given}}})


def test_column_may_be_its_type_alone():
    columns = source(columns={"a": "integer", "b": None}).sources["s"].columns
    assert columns["a"].type == "int"
    assert columns["b"].type is None


def test_one_path_and_one_key_column_may_be_plain_texts():
    read = source(key="id").sources["s"]
    assert read.path == ("a.csv",)
    assert read.key == ("id",)


@pytest.mark.parametrize(
    ("written", "spark"),
    [
        ("long", "bigint"),
        ("Text", "string"),
        ("numeric(10, 2)", "decimal(10,2)"),
        ("decimal(5)", "decimal(5,0)"),
        ("array<struct<a:int>>", "array<struct<a:int>>"),
    ],
)
def test_types_get_the_names_that_spark_reports(written, spark):
    assert normal_type(written) == spark


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": {"a": "nit"}}, "did you mean 'int'"),
        ({"columns": {"a": "decimal(39,2)"}}, "no column type"),
        ({"columns": {"a": "array<int"}}, "no column type"),
        ({"columns": {"a": "int", "A": "int"}}, "compared without case"),
        ({"columns": {"a": {"aliases": ["b"]}, "b": {}}}, "also a name of column"),
        ({"columns": {"_crisp_x": "int"}}, "must not start with _crisp_"),
        ({"columns": {" ": "int"}}, "has no name"),
        ({"columns": {"a": "array<int>"}}, "cannot be of type array<int>"),
        ({"columns": {"a": {"type": "int", "format": "yyyy"}}}, "format is for dates"),
        ({"infer": False, "columns": {"a": "int", "b": None}}, "got none for 'b'"),
        ({"infer": False}, "no columns are declared"),
        ({"infer": False, "columns": {"ident": "int"}, "key": "idnt"}, "did you mean 'ident'"),
        ({"encoding": "latinx"}, "no encoding 'latinx'"),
        ({"encoding": "base64"}, "no encoding 'base64'"),
        ({"encoding": "utf-16"}, "before they are decoded"),
        ({"encoding": "cp1252", "multiline": True}, "multiline files can be read in"),
        ({"path": []}, "at least 1 item"),
        ({"rules": [{"relationships": {"column": "a", "to": "t", "field": "k"}}]}, "no source 't'"),
        ({"rules": ["not_null"]}, "names no column"),
    ],
)
def test_faults_are_refused_with_a_reason(given, message):
    with pytest.raises(ValidationError, match=message):
        source(**given)


@pytest.mark.parametrize("name", ["a-b", "1a", "a b", ""])
def test_names_of_sources_are_names_of_tables(name):
    with pytest.raises(ValidationError, match="pattern"):
        DataSpec.model_validate({"sources": {name: {"kind": "csv", "path": "a"}}})


def jdbc(**given):
    return JdbcSource.model_validate({"url": "jdbc:derby:memory:x", **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either table or query"),
        ({"table": "t", "query": "SELECT 1"}, "either table or query"),
        ({"table": "t", "password": "hunter2"}, "must be a reference"),
        ({"table": "t", "url": "jdbc:x://u:hunter2@host/db"}, "holds a secret"),
        ({"table": "t", "options": {"sslPassword": "hunter2"}}, "must be a reference"),
    ],
)
def test_databases_are_read_without_secrets_in_the_file(given, message):
    with pytest.raises(ValidationError, match=message) as caught:
        jdbc(**given)
    assert all("hunter2" not in error["msg"] for error in caught.value.errors())


def test_references_to_secrets_are_taken():
    assert jdbc(table="t", password="${env:PW}").password == "${env:PW}"


def test_partition_needs_a_table():
    part = {"column": "id", "lower": 0, "upper": 9, "partitions": 3}
    assert jdbc(table="t", partition=part).partition.partitions == 3
    with pytest.raises(ValidationError, match="partition needs table"):
        jdbc(query="SELECT 1", partition=part)


def test_encodings_are_known_by_any_name():
    assert CsvSource(path=("a",), encoding="latin-1").encoding == "iso8859-1"
    assert CsvSource(path=("a",), encoding="utf-8-sig").encoding == "utf-8"


def test_only_single_byte_encodings_have_a_table_of_signs():
    signs = single_byte_signs("cp1252")
    assert signs[0] == "€"
    assert signs[1] == "\ufffd"  # byte 0x81 is not defined
    assert len(signs) == 128
    assert single_byte_signs("utf-8") == single_byte_signs("gbk") == ""
