"""Our execution engine against the library's own: equal results, fewer jobs."""

from __future__ import annotations

import json
import os
import time
import warnings
from datetime import UTC, datetime

import great_expectations as gx
import great_expectations.expectations as gxe
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.expectations import configuration
from crisp_spark.understanding.quality import evaluate_rules
from tests.spark.suite_cases import ROWS, SCHEMA, SUITES, Engines

# `CRISP_SUITES=300 pytest tests/spark/test_expectations_engine.py` tries hundreds.
MANY = int(os.environ.get("CRISP_SUITES", "4"))
FORMATS = st.sampled_from(["BASIC", "BASIC", "BOOLEAN_ONLY", "SUMMARY", "COMPLETE"])


@pytest.fixture(scope="module")
def engines():
    return Engines()


@seed(7 if MANY < 10 else None)
@settings(
    max_examples=MANY,
    deadline=None,
    database=None,
    derandomize=MANY < 10,
    suppress_health_check=list(HealthCheck),
)
@given(rows=ROWS, rules=SUITES, result_format=FORMATS)
def test_generated_suites_are_judged_as_by_the_library(
    spark_session, engines, rows, rules, result_format
):
    df = spark_session.createDataFrame(rows, SCHEMA).coalesce(1)
    assert not (found := engines.differences(df, rules, result_format)), "\n".join(found)


CLEAN = [
    (gxe.ExpectColumnValuesToNotBeNull, {"column": "id"}),
    (gxe.ExpectColumnValuesToBeUnique, {"column": "id"}),
    (gxe.ExpectColumnValuesToBeUnique, {"column": "näme.x"}),
    (gxe.ExpectCompoundColumnsToBeUnique, {"column_list": ["id", "c"]}),
    (gxe.ExpectColumnValuesToBeBetween, {"column": "x", "min_value": 0, "max_value": 1e9}),
    (gxe.ExpectColumnValuesToMatchRegex, {"column": "näme.x", "regex": "^u[0-9]+$"}),
    (gxe.ExpectColumnMeanToBeBetween, {"column": "x", "min_value": 0}),
    (gxe.ExpectColumnMedianToBeBetween, {"column": "x", "min_value": 0}),
    (gxe.ExpectColumnUniqueValueCountToBeBetween, {"column": "c", "max_value": 7}),
    (gxe.ExpectColumnDistinctValuesToEqualSet, {"column": "c", "value_set": [*range(7)]}),
    (
        gxe.ExpectColumnValuesToBeBetween,
        {
            "column": "x",
            "min_value": 0,
            "row_condition": "c = 2",
            "condition_parser": "spark",
        },
    ),
    (
        gxe.ExpectColumnPairValuesAToBeGreaterThanB,
        {"column_A": "id", "column_B": "c", "mostly": 0.5},
    ),
    (gxe.ExpectTableRowCountToBeBetween, {"min_value": 1}),
]


@pytest.fixture(scope="module")
def table(spark_session):
    return spark_session.range(0, 500, numPartitions=2).selectExpr(
        "id", "cast(id % 7 as int) c", "concat('u', id) `näme.x`", "id / 3 x", "id div 250 half"
    )


def count_jobs(spark, name, work):
    context = spark.sparkContext
    context.setJobGroup(name, name)
    work()
    return len(context.statusTracker().getJobIdsForGroup(name))


def test_a_clean_suite_takes_few_jobs_and_a_rule_on_a_column_already_read_none(
    spark, engines, table
):
    def jobs(name, rules):
        expectations = [
            cls(**kwargs, meta={"number": at}) for at, (cls, kwargs) in enumerate(rules)
        ]
        found = {}
        number = count_jobs(
            spark, name, lambda: found.update(engines.judge(engines.own, table, expectations))
        )
        assert all(one.success for one in found.values())
        return number

    some = jobs("some", CLEAN)
    assert some <= 15
    more = [
        *CLEAN,
        (gxe.ExpectColumnMaxToBeBetween, {"column": "x", "min_value": 1}),
        (gxe.ExpectColumnValuesToBeInSet, {"column": "c", "value_set": [*range(7)]}),
        (
            gxe.ExpectColumnQuantileValuesToBeBetween,
            {
                "column": "x",
                "quantile_ranges": {"quantiles": [0.25], "value_ranges": [[0, None]]},
            },
        ),
        (gxe.ExpectColumnUniqueValueCountToBeBetween, {"column": "id", "min_value": 1}),
    ]
    assert jobs("more", more) == some


def test_failures_are_counted_and_shown_as_by_the_library(engines, table):
    rules = [
        (gxe.ExpectColumnValuesToBeUnique, {"column": "half"}),
        (gxe.ExpectCompoundColumnsToBeUnique, {"column_list": ["half", "c"]}),
        (gxe.ExpectColumnValuesToBeBetween, {"column": "x", "max_value": 165.5}),
        (gxe.ExpectColumnValuesToBeIncreasing, {"column": "c"}),
        (
            gxe.ExpectColumnValueZScoresToBeLessThan,
            {"column": "x", "threshold": 1, "double_sided": True},
        ),
        (gxe.ExpectColumnValuesToBeJsonParseable, {"column": "näme.x"}),
        (gxe.ExpectColumnMostCommonValueToBeInSet, {"column": "half", "value_set": [0, 1]}),
        (gxe.ExpectColumnValuesToBeBetween, {"column": "näme.x", "max_value": 3}),
        (gxe.ExpectColumnValuesToBeInSet, {"column": "gone", "value_set": [1]}),
        (gxe.ExpectTableRowCountToEqual, {"value": 5}),
    ]
    asked = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    df = table.where("id % 50 < 4").coalesce(1)
    assert not (found := engines.differences(df, rules, asked)), "\n".join(found)


def test_examples_of_rules_that_many_rows_fail_come_from_one_look(
    spark, engines, table, monkeypatch
):
    from crisp_spark.understanding.expectations import suite_samples

    monkeypatch.setattr(suite_samples, "_FEW_ROWS", 100)
    df = table.selectExpr("*", "if(id % 50 = 49, null, c) gap").coalesce(1)
    rules = [
        (gxe.ExpectColumnValuesToBeBetween, {"column": "id", "max_value": -1}),
        (gxe.ExpectColumnValuesToBeBetween, {"column": "x", "max_value": 160}),
        (gxe.ExpectColumnValuesToNotBeNull, {"column": "gap"}),
        (gxe.ExpectColumnPairValuesAToBeGreaterThanB, {"column_A": "c", "column_B": "id"}),
    ]
    numbered = [cls(**kwargs, meta={"number": at}) for at, (cls, kwargs) in enumerate(rules)]
    found = {}
    jobs = count_jobs(
        spark, "many", lambda: found.update(engines.judge(engines.own, df, numbered, "SUMMARY"))
    )
    # The aggregation, and the look at the first rows.
    assert jobs == 2
    ids, few, gaps, pairs = (found[at].result["partial_unexpected_list"] for at in range(4))
    assert len(ids) == 20
    assert set(ids) <= set(range(500))
    assert sorted(few) == [id_ / 3 for id_ in range(481, 500)]
    assert gaps == [None] * 10
    assert len(pairs) == 20
    assert all(c <= id_ for c, id_ in pairs)


@pytest.mark.parametrize("shown", [900, 2_000])
def test_a_list_of_indices_is_as_long_as_asked_for(spark, engines, monkeypatch, shown):
    from crisp_spark.understanding.expectations import suite_samples

    monkeypatch.setattr(suite_samples, "_FEW_ROWS", 100)
    df = spark.range(0, 3_000, numPartitions=1).selectExpr("id", "id % 7 c")
    # Without a bound of 200, unlike the values.
    rule = gxe.ExpectColumnValuesToBeBetween(column="id", max_value=-1, meta={"number": 0})
    asked = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": shown,
        "unexpected_index_column_names": ["c"],
    }
    lengths = [
        len(engines.judge(batches, df, [rule], asked)[0].result["partial_unexpected_index_list"])
        for batches in (engines.stock, engines.own)
    ]
    assert lengths == [shown, shown]


@pytest.mark.parametrize(
    ("rule", "fresh"),
    [
        ({"max_age_days": 3}, True),
        ({"max_age_days": 1}, False),
        ({"max_age_days": 1, "as_of": "2024-01-06T01:00:00+02:00"}, True),
        ({"max_age_days": 1, "as_of": "2024-01-07"}, False),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles"])
def test_exported_freshness_is_judged_by_the_library_as_by_us(
    spark, engines, monkeypatch, rule, fresh, zone
):
    # Python's own zone, in which moments that are collected are said.
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    df = spark.sql(
        "SELECT TIMESTAMP'2024-01-05 10:00:00' at, DATE'2024-01-05' day UNION ALL"
        " SELECT TIMESTAMP'2023-01-05 10:00:00', NULL"
    )
    read = TypeAdapter(RuleSpec).validate_python
    now = datetime(2024, 1, 7, 20, tzinfo=UTC)
    bound = bind_rules("t", {name: [read({"freshness": rule})] for name in ("at", "day")})
    exported = [configuration(one, now).to_domain_obj() for one in bound]
    for at, one in enumerate(exported):
        one.meta = {"number": at}
    assert [one.holds for one in evaluate_rules(df, bound, now=now).rules] == [fresh] * 2
    try:
        for batches in (engines.stock, engines.own):
            found = engines.judge(batches, df, exported)
            assert [found[at].success for at in range(2)] == [fresh] * 2
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_result_is_stored_with_its_verdicts_on_quantiles(engines, table):
    suite = gx.ExpectationSuite(name="quantiles")
    suite.expectations = [
        gxe.ExpectColumnQuantileValuesToBeBetween(
            column="x", quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 5]]}
        )
    ]
    context = engines.context
    suite = context.suites.add(suite)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="stored", data=engines.own, suite=suite)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="stored", validation_definitions=[definition])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checkpoint.run(batch_parameters={"dataframe": table})
    assert found.success is False
    (result,) = found.run_results.values()
    assert json.loads(json.dumps(result.to_json_dict()))["results"][0]["success"] is False


def test_nothing_is_cached(engines, table):
    expectations = [gxe.ExpectColumnValuesToNotBeNull(column="id", meta={"number": 0})]
    engines.judge(engines.own, table, expectations)
    assert not table.is_cached
