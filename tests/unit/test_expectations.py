"""What goes out to, and comes in from, Great Expectations; no JVM."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from crisp_spark.errors import SpecError
from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import FailingValue, RuleResult, SourceQuality
from crisp_spark.spec.quality import KINDS, RuleSpec, bind_rules
from crisp_spark.understanding.expectations import (
    docs_index,
    docs_page,
    export_suite,
    import_suite,
    validation_result,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)
RULE = TypeAdapter(RuleSpec)
COLUMN_RULES = [
    "not_null",
    "unique",
    {"accepted_values": ["a", "ü<script>"]},
    {"rejected_values": [1, 2]},
    {
        "between": {
            "min": 0,
            "max": 9,
            "strict_min": True,
            "severity": "drop",
            "mostly": 0.9,
            "where": "x > 1",
        }
    },
    {"matches": "^[A-Z]+$"},
    {"matches": {"pattern": "x", "negate": True}},
    {"length_between": {"max": 3}},
    {"relationships": {"to": "other", "field": "id"}},
    {"freshness": {"max_age_days": 2}},
    {"mean_between": {"min": 1}},
    {"sum_between": {"max": 5}},
    {"stddev_between": {"max": 5}},
    {"min_between": {"min": 1}},
    {"max_between": {"max": 7}},
    {"null_fraction_between": {"min": 0.1, "max": 0.5, "strict_max": True}},
    {"quantile_between": {"quantile": 0.5, "min": 1, "max": 3}},
    {"distinct_count_between": {"min": 1}},
]
TABLE_RULES = [
    {"row_count": {"min": 1, "severity": "fail"}},
    {"unique": ["a", "b c"]},
    {"expression": "a > b"},
    {"schema": ["a", "b"]},
    {"schema": {"columns": {"a": "int"}, "ordered": True, "exact": True}},
]


@pytest.fixture(scope="module")
def bound():
    return bind_rules(
        "visits",
        {"a": [RULE.validate_python(r) for r in COLUMN_RULES]},
        [RULE.validate_python(r) for r in TABLE_RULES],
    )


@pytest.fixture(scope="module")
def suite(bound):
    return export_suite("visits", bound, as_of=NOW)


def test_every_kind_of_rule_has_an_expectation(bound, suite):
    # Bounds of as_usual follow from earlier runs: what goes out is another rule with them.
    assert {rule.rule.kind for rule in bound} == set(KINDS) - {"as_usual"}
    assert len(suite["expectations"]) == len(bound)
    json.dumps(suite)


def test_a_rule_is_said_in_the_words_of_the_library(suite):
    found = next(
        e for e in suite["expectations"] if e["type"] == "expect_column_values_to_be_between"
    )
    assert found["kwargs"] == {
        "column": "a",
        "min_value": 0.0,
        "max_value": 9.0,
        "strict_min": True,
        "mostly": 0.9,
        "row_condition": {"type": "pass_through", "pass_through_filter": "x > 1"},
        "condition_parser": "spark",
    }
    assert found["severity"] == "warning"


def test_freshness_becomes_an_oldest_moment(suite):
    found = next(e for e in suite["expectations"] if e["meta"]["name"].startswith("freshness"))
    query = found["kwargs"]["unexpected_rows_query"]
    assert query.endswith(">= TIMESTAMP '2026-01-29T00:00:00+00:00', false)")


def test_a_suite_of_ours_comes_back_without_loss(bound, suite):
    found = import_suite(json.loads(json.dumps(suite)))
    assert found.left_out == []
    back = bind_rules(
        "visits",
        {name: [RULE.validate_python(rule) for rule in own] for name, own in found.columns.items()},
        [RULE.validate_python(rule) for rule in found.rules],
    )
    own, theirs = ([r.rule.model_dump(exclude={"column"}) for r in some] for some in (bound, back))
    assert sorted(map(str, own)) == sorted(map(str, theirs))


def test_a_foreign_suite_comes_in_and_what_no_rule_says_is_named():
    foreign = {
        "name": "s",
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "x", "min_value": 1, "mostly": 0.5},
                "severity": "critical",
            },
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "x", "value_set": ["a"]},
            },
            {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 3}},
            {"type": "expect_column_kl_divergence_to_be_less_than", "kwargs": {"column": "x"}},
        ],
    }
    found = import_suite(foreign)
    assert found.columns["x"] == [
        {"kind": "between", "min": 1, "mostly": 0.5, "severity": "fail"},
        {"kind": "accepted_values", "values": ["a"], "mostly": 1.0, "severity": "warn"},
    ]
    assert found.rules == [{"kind": "row_count", "min": 3, "severity": "warn"}]
    assert found.left_out == [
        "expectations[3] expect_column_kl_divergence_to_be_less_than: no rule says this"
    ]


FOREIGN = [
    (
        "expect_column_values_to_be_null",
        {"column": "x"},
        {"kind": "expression", "sql": "`x` IS NULL"},
    ),
    (
        "expect_column_value_lengths_to_equal",
        {"column": "x", "value": 3},
        {"kind": "length_between", "min": 3, "max": 3},
    ),
    ("expect_table_row_count_to_equal", {"value": 3}, {"kind": "row_count", "min": 3, "max": 3}),
    ("expect_column_to_exist", {"column": "x"}, {"kind": "schema", "columns": ["x"]}),
    (
        "expect_column_values_to_be_of_type",
        {"column": "x", "type_": "LongType"},
        {"kind": "schema", "columns": {"x": "bigint"}},
    ),
    (
        "expect_column_values_to_match_regex_list",
        {"column": "x", "regex_list": ["a", "b"]},
        {"kind": "matches", "pattern": "(?:a)|(?:b)"},
    ),
    (
        "expect_column_values_to_match_like_pattern",
        {"column": "x", "like_pattern": "a%"},
        {"kind": "expression", "sql": "`x` LIKE 'a%'"},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "a.b", "column_B": "c", "or_equal": True},
        {"kind": "expression", "sql": "`a.b` >= `c`"},
    ),
    (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["a", "b"], "sum_total": 5},
        {"kind": "expression", "sql": "`a` + `b` = 5"},
    ),
    (
        "expect_select_column_values_to_be_unique_within_record",
        {"column_list": ["a", "b", "c"]},
        {"kind": "expression", "sql": "`a` <> `b` AND `a` <> `c` AND `b` <> `c`"},
    ),
    (
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a > 3"},
        {"kind": "expression", "sql": "NOT (a > 3)"},
    ),
    (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
        {"kind": "unique", "columns": ["a", "b"]},
    ),
    (
        "expect_column_quantile_values_to_be_between",
        {"column": "x", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, None]]}},
        {"kind": "quantile_between", "quantile": 0.5, "min": 1, "exact": True},
    ),
    (
        "expect_column_stdev_to_be_between",
        {"column": "x", "max_value": 3, "strict_max": True},
        {"kind": "stddev_between", "max": 3, "strict_max": True},
    ),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "x", "min_value": 3.0},
        {"kind": "distinct_count_between", "min": 3},
    ),
]


@pytest.mark.parametrize(("kind", "kwargs", "rule"), FOREIGN)
def test_a_foreign_expectation_becomes_the_rule_that_says_the_same(kind, kwargs, rule):
    found = import_suite({"expectations": [{"type": kind, "kwargs": kwargs}]})
    (back,) = [*found.rules, *(one for own in found.columns.values() for one in own)]
    back.pop("mostly", None)
    assert back == {**rule, "severity": "warn"}
    RULE.validate_python(back)


@pytest.mark.parametrize(
    ("kind", "kwargs", "reason"),
    [
        ("expect_column_median_to_be_between", {"column": "x", "min_value": 1}, "median averages"),
        (
            "expect_column_values_to_be_between",
            {"column": "x", "min_value": {"$PARAMETER": "p"}},
            "suite parameter",
        ),
        ("expect_column_values_to_be_between", {"column": "x"}, "give min, max or both"),
        (
            "expect_column_values_to_be_unique",
            {"column": "x", "row_condition": "a>1", "condition_parser": "pandas"},
            "not Spark SQL",
        ),
        (
            "expect_column_values_to_be_unique",
            {"column": "x", "row_condition": {"type": "comparison"}},
            "not Spark SQL",
        ),
        ("expect_column_values_to_be_unique", {"column": "x", "mostly": 0}, "always holds"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"]}, "ignore_row_if"),
        (
            "expect_column_pair_values_to_be_equal",
            {"column_A": "a", "column_B": "b", "ignore_row_if": "both_values_are_missing"},
            "one missing value",
        ),
        (
            "expect_column_values_to_match_regex_list",
            {"column": "x", "regex_list": ["a"], "match_on": "all"},
            "match_on",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            {
                "column": "x",
                "quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[1, 2], [3, 4]]},
            },
            "several quantiles",
        ),
        (
            "expect_table_row_count_to_be_between",
            {"min_value": 1, "strict_min": True},
            "strict bounds",
        ),
        (
            "unexpected_rows_expectation",
            {"unexpected_rows_query": "SELECT a FROM {batch}"},
            "not of the form",
        ),
        ("expect_column_values_to_match_regex", {"column": "x"}, "cannot be read"),
    ],
)
def test_what_no_rule_says_is_left_out_with_the_reason(kind, kwargs, reason):
    found = import_suite({"expectations": [{"type": kind, "kwargs": kwargs}]})
    assert not found.columns
    assert not found.rules
    assert reason in found.left_out[0]
    assert found.as_yaml().startswith("# left out: expectations[0]")


def test_imported_rules_are_written_as_they_stand_in_a_project_file(suite):
    from ruamel.yaml import YAML

    text = import_suite(suite).as_yaml()
    read = YAML(typ="safe").load(text)
    bind_rules(
        "visits",
        {
            name: [RULE.validate_python(rule) for rule in own["rules"]]
            for name, own in read["columns"].items()
        },
        [RULE.validate_python(rule) for rule in read["rules"]],
    )
    assert "- not_null\n" in text


def test_texts_as_bounds_become_queries():
    rules = [
        {"between": {"min": "b", "strict_max": True, "max": "d'"}},
        {"max_between": {"max": "x", "where": "y > 1"}},
    ]
    bound = bind_rules("visits", {"a.b": [RULE.validate_python(rule) for rule in rules]})
    queries = [
        one["kwargs"]["unexpected_rows_query"]
        for one in export_suite("visits", bound, as_of=NOW)["expectations"]
    ]
    assert queries == [
        "SELECT * FROM {batch} WHERE NOT (`a.b` >= 'b' AND `a.b` < 'd\\'')",
        "SELECT max(`a.b`) AS observed FROM {batch} WHERE y > 1 HAVING NOT (max(`a.b`) <= 'x')",
    ]


def test_something_else_is_no_suite():
    with pytest.raises(SpecError, match="no list of expectations, got keys a"):
        import_suite({"a": 1})


def quality(bound) -> SourceQuality:
    found = []
    for number, rule in enumerate(bound):
        bad = number % 2
        table = rule.rule.level == "table"
        found.append(
            RuleResult(
                name=rule.name,
                kind=rule.rule.kind,
                columns=rule.columns,
                severity="warn",
                expected="",
                verdict=Verdict.WARN if bad else Verdict.PASS,
                rows=100,
                missing=None if table else 10,
                evaluated=None if table else 90,
                failed=None if table else 9 * bad,
                observed=5 if table else None,
                samples=(FailingValue(value="<b>ü</b>", rows=9),) if bad and not table else (),
                error="broken" if number == 5 else "",
                declared=rule.rule.model_dump(mode="json"),
            )
        )
    return SourceQuality(
        source="visits", rows=100, kept=91, quarantined=9, verdict=Verdict.WARN, rules=tuple(found)
    )


def test_validation_result_is_one_of_the_library_with_our_counts(bound):
    from great_expectations.core import ExpectationSuiteValidationResult

    result = validation_result(quality(bound), bound, run_id="r1", started=NOW)
    assert isinstance(result, ExpectationSuiteValidationResult)
    plain = result.to_json_dict()
    json.dumps(plain)
    assert plain["statistics"]["evaluated_expectations"] == len(bound)
    unique = next(
        r
        for r in plain["results"]
        if r["expectation_config"]["type"] == "expect_column_values_to_be_unique"
    )
    assert (unique["result"]["unexpected_count"], unique["result"]["unexpected_percent"]) == (
        9,
        10.0,
    )
    assert unique["result"]["partial_unexpected_list"] == ["<b>ü</b>"]
    raised = [r for r in plain["results"] if r["exception_info"]["raised_exception"]]
    assert len(raised) == 1


def test_data_docs_page_needs_no_network_and_no_scripts(bound):
    page = docs_page(validation_result(quality(bound), bound, run_id="r1", started=NOW))
    assert "visits" in page
    assert not re.findall(r"https?://|<script|<link|<img|@import|url\(|\son[a-z]+=", page)
    assert "<b>ü</b>" not in page
    assert "&amp;lt;" not in page  # escaped once, not twice
    assert "Unexpected Value" in page
    assert "Show All" not in page  # buttons that need scripts
    assert 'href="index.html"' in page


def test_headings_of_data_docs_are_escaped():
    bad = "<b>x</b>"
    rules = [{"accepted_values": [bad]}, {"matches": bad}, {"not_null": {"where": f"y = '{bad}'"}}]
    table = [{"unique": [bad, "b"]}, {"schema": [bad]}, {"expression": f"a = '{bad}'"}]
    bound = bind_rules(
        "visits",
        {bad: [RULE.validate_python(rule) for rule in rules]},
        [RULE.validate_python(rule) for rule in table],
    )
    page = docs_page(validation_result(quality(bound), bound, run_id="r1", started=NOW))
    assert bad not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_index_of_the_pages_is_escaped():
    page = docs_index({"<x>": ("docs/x.html", False)})
    assert "&lt;x&gt;" in page
    assert "some rules do not hold" in page
