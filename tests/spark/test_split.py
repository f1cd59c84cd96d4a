from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from pyspark.sql import functions as F

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.preparation.split import (
    FOLD,
    PART,
    canonical,
    part_sizes,
    shared_units,
    split_rule,
    with_parts,
)
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.splitting import SplitSpec

GOAL = MiningGoal(problem="binary", target="late", positive=True, key=("id.x",))
ROWS = 3000


@pytest.fixture(scope="module")
def derived(spark_session):
    return spark_session.range(ROWS).selectExpr(
        "id AS `id.x`",
        "CASE WHEN id % 50 = 0 THEN NULL ELSE TIMESTAMP '2013-01-01' + make_interval(0, 0, 0, CAST(id / 10 AS INT)) END AS zeit",
        "id % 97 AS day",
        "id % 10 = 0 AS late",
        "CAST(id AS DOUBLE) AS amount",
        "id * 31 AS _crisp_row",
    )


def rule(goal=GOAL, **spec):
    return split_rule(SplitSpec.model_validate(spec), goal, seed=7)


def collect(frame):
    return {row["id.x"]: (row[PART], row[FOLD]) for row in frame.collect()}


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "hash"},
        {"kind": "stratified"},
        {"kind": "group", "group": ["day"]},
        {"kind": "time", "time": "zeit"},
        {"kind": "hash", "later": {"from": "2013-09-01", "time": "zeit"}},
        {"kind": "stratified", "later": {"from": "2013-09-01", "time": "zeit"}},
    ],
    ids=str,
)
def test_split_starts_no_job_and_does_not_depend_on_the_layout(derived, no_jobs, spec):
    with no_jobs():
        divided = with_parts(derived, rule(**spec))
        again = with_parts(derived.repartition(7, "amount"), rule(**spec))
    parts = collect(divided)
    assert parts == collect(again)
    assert len(parts) == ROWS
    sizes = Counter(part for part, _ in parts.values())
    kept = sizes["train"] + sizes["test"]
    assert sizes["test"] / kept == pytest.approx(0.3, abs=0.006 if "group" in spec else 0.03)
    assert {fold for part, fold in parts.values() if part == "train"} == {0, 1, 2}
    assert {fold for part, fold in parts.values() if part != "train"} == {None}
    assert ("later" in sizes) == ("later" in spec)


def test_another_seed_gives_another_split(derived):
    one = collect(with_parts(derived, split_rule(SplitSpec(), GOAL, seed=1)))
    other = collect(with_parts(derived, split_rule(SplitSpec(), GOAL, seed=2)))
    assert one != other


def test_adding_rows_moves_no_row_of_a_hash_split(derived):
    few = collect(with_parts(derived.filter("`id.x` < 500"), rule(kind="hash")))
    many = collect(with_parts(derived, rule(kind="hash")))
    assert few == {key: many[key] for key in few}


def test_stratified_keeps_the_share_of_each_class_to_the_row(derived):
    divided = with_parts(derived, rule(kind="stratified"))
    counts = {
        (row["late"], row[PART]): row["count"]
        for row in divided.groupBy("late", PART).count().collect()
    }
    assert (counts[True, "test"], counts[False, "test"]) == (90, 810)


def test_a_group_is_never_cut(derived):
    divided = with_parts(derived, rule(kind="group", group="day"))
    cut = divided.groupBy("day").agg(F.size(F.collect_set(F.concat_ws("/", PART, FOLD))).alias("n"))
    assert cut.filter("n > 1").count() == 0
    assert shared_units(divided, rule(kind="group", group="day")).first().asDict() == {
        "units": 97,
        "train_test": 0,
        "train_later": 0,
        "folds": 0,
        "test": 29,
        "largest": 31,
    }


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_few_groups_of_unequal_size_are_cut_where_the_rows_come_nearest_the_share(derived, share):
    sized = derived.withColumn("shop", F.floor(F.sqrt("`id.x`")))  # 55 groups, 1 to 109 rows
    spec = {"kind": "group", "group": ["shop"], "test": share, "folds": 5}
    divided = with_parts(sized, rule(**spec))
    test = divided.filter(F.col(PART) == "test").count()
    assert 0 < test < ROWS
    assert abs(test - share * ROWS) <= 109 / 2
    groups = Counter(
        row[FOLD]
        for row in divided.filter(F.col(PART) == "train").select("shop", FOLD).distinct().collect()
    )
    assert max(groups.values()) - min(groups.values()) <= 1


def test_two_groups_lie_on_two_sides_and_later_rows_do_not_count(derived):
    two = derived.withColumn("side", F.col("`id.x`") < 2900)
    parts = {
        row["side"]: row[PART]
        for row in with_parts(two, rule(kind="group", group="side")).select("side", PART).collect()
    }
    assert set(parts.values()) == {"train", "test"}
    spec = {"kind": "group", "group": "day", "later": {"from": "2013-01-01", "time": "zeit"}}
    sizes = dict(with_parts(derived, rule(**spec)).groupBy(PART).count().collect())
    assert sizes["test"] / (sizes["test"] + sizes["train"]) == pytest.approx(0.3, abs=0.02)


def test_time_split_tests_on_the_last_rows_and_orders_the_folds(derived):
    divided = with_parts(derived, rule(kind="time", time="zeit"))
    found = {
        (row["part"], row["fold"]): (row["low"], row["high"])
        for row in divided.filter("zeit IS NOT NULL")
        .groupBy(F.col(PART).alias("part"), F.col(FOLD).alias("fold"))
        .agg(F.min("zeit").alias("low"), F.max("zeit").alias("high"))
        .collect()
    }
    order = [("train", 0), ("train", 1), ("train", 2), ("test", None)]
    assert set(found) == set(order)
    for before, after in pairwise(order):
        assert found[before][1] < found[after][0]


def test_rows_without_a_time_are_never_later_rows(derived):
    divided = with_parts(derived, rule(later={"from": "2013-01-01", "time": "zeit"}))
    parts = divided.filter("zeit IS NULL").select(PART).distinct().collect()
    assert {row[0] for row in parts} == {"train", "test"}


def test_shared_units_are_counted(derived):
    doubled = derived.union(derived.limit(5)).withColumn(
        PART, F.when(F.col("`id.x`") < 3, "train").otherwise("test")
    )
    first = doubled.filter("`id.x` = 1").withColumn(PART, F.lit("test")).limit(1)
    parts = doubled.union(first).withColumn(FOLD, F.lit(None).cast("int"))
    assert shared_units(parts, rule()).first()["train_test"] == 1


def test_sizes_have_classes_times_and_the_mean_of_a_quantity(derived):
    divided = with_parts(derived, rule(kind="hash"))
    timed = split_rule(SplitSpec(kind="time", time="zeit"), GOAL, seed=7)
    rows = part_sizes(divided, timed, "late", classes=True).collect()
    assert sum(row["rows"] for row in rows) == ROWS
    assert sum(row["rows"] for row in rows if row["class"] == "true") == ROWS // 10
    assert min(row["first"] for row in rows) == "2013-01-01 00:00:00"
    total = sum(
        row["total"] for row in part_sizes(divided, timed, "amount", classes=False).collect()
    )
    assert total == pytest.approx(ROWS * (ROWS - 1) / 2)


def test_canonical_layout_is_the_same_from_any_layout(derived):
    def layout(frame):
        return canonical(frame, ["id.x"], 3).select("`id.x`", F.spark_partition_id()).collect()

    assert layout(derived) == layout(derived.repartition(5, "amount").orderBy(F.desc("amount")))


def test_missing_columns_and_wrong_types_are_named(derived):
    with pytest.raises(MissingColumnsError, match=r"no such column 'dya'"):
        with_parts(derived, rule(kind="group", group="dya"))
    with pytest.raises(SpecError, match="amount"):
        with_parts(derived, rule(kind="time", time="amount"))


def test_stratified_needs_classes_and_later_needs_a_time():
    goal = MiningGoal(problem="regression", target="amount", key=("id.x",))
    with pytest.raises(SpecError, match="needs classes, got a regression goal"):
        rule(goal, kind="stratified")
    with pytest.raises(SpecError, match="no time column is known"):
        rule(later={"from": "2013-01-01"})


def test_without_any_key_the_original_record_decides(derived):
    goal = MiningGoal(problem="clustering")
    assert rule(goal).unit == ("_crisp_row",)
    assert len(collect(with_parts(derived, rule(goal)))) == ROWS


def test_empty_table_stays_empty(derived):
    assert with_parts(derived.limit(0), rule(kind="stratified")).count() == 0
    assert with_parts(derived.limit(0), rule(kind="time", time="zeit")).count() == 0
