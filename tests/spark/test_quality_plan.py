"""How many jobs judging takes, and that the plan says so before."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from threading import Barrier
from uuid import uuid4

import pytest
from pydantic import TypeAdapter
from pyspark.sql import functions as F

from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.passes_keys import (
    Bounds,
    Key,
    bounds_of,
    bounds_sql,
    count_keys,
)
from crisp_spark.understanding.passes_quantiles import Ask, rank_of, values_at_ranks
from crisp_spark.understanding.quality import evaluate_rules
from crisp_spark.understanding.quality_explain import explain_rules
from crisp_spark.understanding.side_by_side import side_by_side

RULE = TypeAdapter(RuleSpec)
NOW = datetime(2024, 3, 1, tzinfo=UTC)


def bind(columns, rules=()):
    parsed = {name: [RULE.validate_python(one) for one in own] for name, own in columns.items()}
    return bind_rules("orders", parsed, [RULE.validate_python(one) for one in rules])


def clean_rules():
    """About forty rules of all kinds, which hold."""
    numbers = {
        f"n{at}": [
            "not_null",
            {"between": {"min": 0}},
            {"between": {"max": 10_000, "where": "c > 2", "name": f"some_{at}"}},
            {"mean_between": {"min": 0}},
        ]
        for at in range(6)
    }
    return bind(
        {
            "id": ["not_null", "unique", {"between": {"min": 0}}],
            "code": ["unique", {"matches": "^u[0-9]+$"}, {"length_between": {"min": 2}}],
            "c": [
                {"accepted_values": [*range(7)]},
                {"distinct_count_between": {"min": 7, "max": 7}},
                {"relationships": {"to": "groups", "field": "c"}},
            ],
            **numbers,
            "x": [
                {"quantile_between": {"quantile": 0.5, "min": 0}},
                {"quantile_between": {"quantile": 0.9, "min": 0}},
                {"stddev_between": {"min": 0}},
            ],
        },
        [
            {"unique": ["id", "c"]},
            {"row_count": {"min": 1}},
            {"expression": {"sql": "n1 >= n0"}},
            {"schema": ["id", "code"]},
        ],
    )


@pytest.fixture(scope="module")
def orders(spark_session, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("orders") / "t")
    spark_session.range(0, 400, numPartitions=2).selectExpr(
        "id",
        "concat('u', id) code",
        "cast(id % 7 as int) c",
        "id / 3 x",
        *[f"id + {at} n{at}" for at in range(6)],
    ).write.parquet(path)
    return spark_session.read.parquet(path)


def count_jobs(spark, work):
    context, group = spark.sparkContext, str(uuid4())
    context.setJobGroup(group, group)
    found = work()
    return len(context.statusTracker().getJobIdsForGroup(group)), found


def test_forty_rules_that_hold_take_at_most_fifteen_jobs_as_explained(spark, orders, no_jobs):
    groups = spark.createDataFrame([(at,) for at in range(7)], "c int")
    rules = clean_rules()
    assert len(rules) >= 38
    with no_jobs():
        plan = explain_rules(orders, rules, source="orders", parents={"groups": groups})
    jobs, found = count_jobs(
        spark, lambda: evaluate_rules(orders, rules, parents={"groups": groups}, now=NOW)
    )
    assert {rule.verdict.value for rule in found.rules} == {"pass"}
    assert jobs <= min(plan.jobs, 15)
    assert plan.rules == len(rules)
    assert set(plan.columns) == set(orders.columns)


def test_a_rule_on_a_column_already_read_adds_no_job(spark, orders):
    few = bind({"id": ["not_null"], "x": [{"between": {"min": 0}}]})
    more = bind(
        {
            "id": ["not_null", {"max_between": {"max": 1e9}}],
            "x": [{"between": {"min": 0}}, {"mean_between": {"min": 0}}, "not_null"],
        },
        [{"expression": "x <= id"}],
    )
    counts = [
        count_jobs(spark, lambda r=r: evaluate_rules(orders, r, now=NOW)) for r in (few, more)
    ]
    assert counts[0][0] == counts[1][0]
    assert explain_rules(orders, few).jobs == explain_rules(orders, more).jobs


def test_equal_hashes_are_looked_at_again(spark, monkeypatch):
    # A hash that knows four values only: almost all keys collide.
    real = F.xxhash64
    monkeypatch.setattr(F, "xxhash64", lambda *columns: F.pmod(real(*columns), F.lit(4)))
    df = spark.range(0, 30).selectExpr("concat('k', id div 2 * if(id < 4, 1, id)) as t")
    count = count_keys(df, {"t": Key((F.col("t"),), F.lit(True), hashed=True)})["t"]
    values = [row["t"] for row in df.collect()]
    repeated = {value for value in values if values.count(value) > 1}
    assert count.distinct == len(set(values))
    assert count.repeated == len(repeated)
    assert count.repeated_rows == sum(value in repeated for value in values)
    assert {group[0] for group, _ in count.groups} == repeated


def test_hashes_of_many_rows_are_spread_before_they_are_counted(spark):
    df = spark.range(3_000).selectExpr("concat('k', if(id < 2000, id, id % 10)) as t")
    keys = {"t": Key((F.col("t"),), F.lit(True), hashed=True)}
    small = count_keys(df, keys)
    assert (small["t"].distinct, small["t"].rows, small["t"].repeated) == (2_000, 3_000, 10)
    for rows in (3_000_000, 10**9):
        assert count_keys(df, keys, rows) == small


def test_queries_side_by_side_answer_in_order_and_belong_to_the_callers_job_group(spark):
    context, group = spark.sparkContext, str(uuid4())
    context.setJobGroup(group, group)
    met = Barrier(3, timeout=60)

    def count(rows):
        met.wait()  # all three have to run at the same time
        return spark.range(rows).count()

    assert side_by_side(spark, *[partial(count, rows) for rows in (3, 1, 2)]) == [3, 1, 2]
    assert len(context.statusTracker().getJobIdsForGroup(group)) >= 3
    assert side_by_side(spark) == []


def test_of_queries_side_by_side_the_first_failure_is_told_when_all_have_ended(spark):
    ended = []

    def failing(at):
        ended.append(at)
        raise ValueError(at)

    with pytest.raises(ValueError, match=r"^1$"):
        side_by_side(spark, lambda: ended.append(0), partial(failing, 1), partial(failing, 2))
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize("low", [-(2**63), -40_000, 1, 2**63 - 70_001])
@pytest.mark.parametrize("repeated", [0, 3])
def test_bitmaps_count_whole_numbers_as_groups_do(spark, low, repeated):
    rows, more = 70_000, [low + 5, low + 5, low + 69_999][:repeated]
    df = spark.range(rows).select((F.lit(low) + F.col("id")).alias("n"))
    df = df.union(spark.createDataFrame([(value,) for value in more], "n long")) if more else df
    found = bounds_of(df.agg(bounds_sql(F.col("n"), F.lit(True))).collect()[0][0])
    assert found == Bounds(low, low + rows - 1, rows + repeated)
    bitmap = Key((F.col("n"),), F.lit(True), bounds=found)
    assert bitmap.bitmap
    count = count_keys(df, {"n": bitmap})["n"]
    assert count == count_keys(df, {"n": Key((F.col("n"),), F.lit(True))})["n"]
    assert (count.distinct, count.rows) == (rows, rows + repeated)
    assert count.repeated_rows == (5 if repeated else 0)


def test_bitmaps_stand_beside_other_keys_in_one_query(spark):
    df = spark.range(40_000).selectExpr("id", "id % 7 AS g", "concat('t', id) AS t")
    where = F.col("g") > 0
    bounds = bounds_of(df.agg(bounds_sql(F.col("id"), where)).collect()[0][0])
    keys = {
        "id": Key((F.col("id"),), where, bounds=bounds),
        "g": Key((F.col("g"),), where, flags=(F.col("k0") > 2,), listed=False),
        "t": Key((F.col("t"),), where, hashed=True),
    }
    found = count_keys(df, keys)
    kept = df.where(where).count()
    assert {name: (one.distinct, one.rows, one.repeated) for name, one in found.items()} == {
        "id": (kept, kept, 0),
        "g": (6, kept, 6),
        "t": (kept, kept, 0),
    }
    assert found["g"].flagged == (4,)


def test_numbers_far_apart_missing_or_few_take_no_bitmap(spark):
    far = Bounds(0, 2**40, 100_000)
    few = Bounds(0, 10, 100)
    many = Bounds(0, 600 * 32_768, 600 * 32_768)
    assert not any(bounds.dense for bounds in (far, few, many))
    df = spark.createDataFrame([(1,), (None,)], "n int")
    assert bounds_of(df.agg(bounds_sql(F.col("n"), F.lit(True))).collect()[0][0]) is None
    some = df.agg(bounds_sql(F.col("n"), F.col("n").isNotNull())).collect()[0][0]
    assert bounds_of(some) == Bounds(1, 1, 1)
    assert bounds_of(df.limit(0).agg(bounds_sql(F.col("n"), F.lit(True))).collect()[0][0]) is None


@pytest.mark.parametrize(("most", "whole"), [(5_000_000, True), (19_000, False)])
def test_bracketed_quantiles_are_those_of_the_sorted_column(spark, monkeypatch, most, whole):
    from crisp_spark.understanding import passes_quantiles

    halves, cut = [], passes_quantiles._by_halves
    monkeypatch.setattr(passes_quantiles, "SAMPLE", 500)
    monkeypatch.setattr(passes_quantiles, "_MOST_COLLECTED", most)
    monkeypatch.setattr(
        passes_quantiles, "_by_halves", lambda *about: halves.append(about) or cut(*about)
    )
    df = spark.range(0, 20_000).selectExpr(
        "cast(pmod(xxhash64(id), 1000003) as double) wide",
        "cast(id % 5 as double) ties",
        "cast(if(id % 3 = 0, null, if(id % 1000 = 1, double('infinity'), -id)) as double) gaps",
    )
    chances = [0.0, 0.001, 0.25, 0.5, 0.50001, 0.999, 1.0]
    counts = df.agg(*[F.count(name) for name in df.columns]).collect()[0]
    asks = [
        Ask(F.col(name), count, tuple(rank_of(chance, count) for chance in chances))
        for name, count in zip(df.columns, counts, strict=True)
    ]
    found = values_at_ranks(df, asks, 20_000)
    for name, ask, values in zip(df.columns, asks, found, strict=True):
        expected = df.approxQuantile(name, chances, 0.0)
        assert [values[rank] for rank in ask.ranks] == expected
    assert bool(halves) is not whole


def test_a_project_is_explained_without_a_job(spark, no_jobs, tmp_path):
    from crisp_spark.run.explain import explain_quality
    from crisp_spark.spec.load import load_project
    from tests.tiny_project import write

    project = load_project(write(tmp_path / "tiny"))
    with no_jobs():
        plans, notes = explain_quality(project, spark)
    assert notes == []
    assert [(plan.source, plan.rules, plan.scans) for plan in plans] == [
        ("visits", 3, 2),
        ("shops", 0, 0),
    ]
    assert plans[0].columns == ("visit", "größe (m²)")
