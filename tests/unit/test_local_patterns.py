"""Java's patterns in RE2's syntax, and what is left to Spark; no JVM."""

from __future__ import annotations

import sys

import pytest

from crisp_spark.errors import SpecError
from crisp_spark.understanding.local import judge_files
from crisp_spark.understanding.local.columns import local_columns
from crisp_spark.understanding.local.expressions import condition_of
from crisp_spark.understanding.local.judge import LocalTable
from crisp_spark.understanding.local.patterns import CannotError, re2_pattern

duckdb = pytest.importorskip("duckdb")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a$", "a\n", True),  # Java's $ also matches before a line end at the end
        ("^a$", "a\nb", False),
        ("^a\\z", "a\n", False),
        ("a.b", "a\rb", False),  # Java's dot takes no line end
        ("a.b", "a👍b", True),
        ("\\s", "\x0b", True),
        ("[\\d.]+x{2,3}?", "1.xx", True),
        ("[^\\]a]", "]", False),
        ("(a|b$)", "xb", True),
        ("a\\.b", "a.b", True),
    ],
)
def test_patterns_find_what_java_finds(pattern, text, found):
    ours = re2_pattern(pattern)
    with duckdb.connect() as connection:
        matched = connection.execute("SELECT regexp_matches(?, ?)", [text, ours]).fetchall()
    assert matched == [(found,)]


@pytest.mark.parametrize(
    "pattern", ["(?i)a", "a(?=b)", "\\p{L}", "\\bx", "a++", "[a-z&&[^b]]", "a$b", "(a)\\1", "x{1,2000}", "\\"]
)  # fmt: skip
def test_patterns_that_mean_something_else_are_left_to_spark(pattern):
    with pytest.raises(CannotError):
        re2_pattern(pattern)


@pytest.mark.parametrize(
    "sql",
    ["a / 2 > 1", "a > '1'", "b = 1", "nope > 1", "rand() > 0", "a IN (SELECT 1)", "a + c > 1", "upper(b) = 'X'",
     "CAST(a AS STRING) = '1'", "a", "b LIKE 'x%'", "((", "d > '2024-01-01'"],
)  # fmt: skip
def test_sql_with_another_sense_is_left_to_spark(sql):
    plans = local_columns({"a": "int", "b": "string", "c": "decimal(5,2)", "d": "date"})
    with pytest.raises(CannotError):
        condition_of(sql, plans)


def test_names_that_differ_in_case_only_are_left_to_spark():
    with pytest.raises(CannotError):
        local_columns({"a": "int", "A": "int"})


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SpecError, match="duckdb is not installed") as raised:
        judge_files(LocalTable((), {"a": "int"}), [])
    assert "crisp-spark[local-engine]" in raised.value.hint
