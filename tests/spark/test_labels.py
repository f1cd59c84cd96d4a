from __future__ import annotations

import pytest

from crisp_spark.errors import DataError, MissingColumnsError
from crisp_spark.modeling.baselines import with_baselines
from crisp_spark.modeling.labels import class_names, with_label
from crisp_spark.modeling.layout import laid_out, sampled
from crisp_spark.results.sweep import BaselineResult
from crisp_spark.spec.business import MiningGoal


def labels(spark, kind, values, **goal):
    frame = spark.createDataFrame(
        [(n, v) for n, v in enumerate(values)], f"n int, `ta.rget ü` {kind}"
    )
    found = MiningGoal(target="ta.rget ü", **goal)
    classes = class_names(frame, found)
    rows = with_label(frame, found, classes).orderBy("n").collect()
    return [row["_crisp_label"] for row in rows], classes


@pytest.mark.parametrize(
    ("kind", "values", "positive"),
    [
        ("boolean", [True, False, None], True),
        ("string", ["yes", "no", None], "yes"),
        ("int", [1, 0, None], 1),
        ("double", [1.0, 0.0, None], 1),
        ("string", ["o'x", "no", None], "o'x"),
    ],
)
def test_the_positive_value_is_one_others_zero_and_unknown_stays_unknown(
    spark, kind, values, positive
):
    found, classes = labels(spark, kind, values, problem="binary", positive=positive)
    assert found == [1.0, 0.0, None]
    assert len(classes) == 2


def test_a_positive_value_of_the_wrong_type_is_an_error(spark):
    with pytest.raises(DataError, match="holds numbers, got 'yes'"):
        labels(spark, "int", [1, 0], problem="binary", positive="yes")


def test_classes_are_sorted_numbers_by_size(spark):
    assert labels(spark, "string", ["b", "a", None, "c"], problem="multiclass") == (
        [1.0, 0.0, None, 2.0],
        ("a", "b", "c"),
    )
    assert labels(spark, "int", [10, 9, 2], problem="multiclass")[1] == ("2", "9", "10")
    with pytest.raises(DataError, match="1 classes"):
        labels(spark, "string", ["a", "a"], problem="multiclass")


def test_numbers_are_labels_themselves_unless_they_are_none(spark):
    values = [1.5, float("nan"), float("inf"), None]
    assert labels(spark, "double", values, problem="regression")[0] == [1.5, None, None, None]


def test_a_missing_target_is_named(spark):
    goal = MiningGoal(problem="regression", target="prize")
    with pytest.raises(MissingColumnsError, match="'prize'"):
        with_label(spark.createDataFrame([(1,)], "price int"), goal, ())


def test_labels_layout_and_baselines_start_no_job(spark, no_jobs):
    frame = spark.range(10).selectExpr("id", "id % 2 = 0 AS even")
    goal = MiningGoal(problem="binary", target="even", positive=True)
    rule = BaselineResult(name="half", expression="id > 4", doc="", metrics={})
    with no_jobs():
        found = with_baselines(with_label(frame, goal, ("false", "true")), [rule])
        laid = laid_out(sampled(found, 0.5, ["id"], 1), ["id"], 3, 1)
    assert laid.schema["_crisp_baseline_half"].dataType.simpleString() == "double"
    assert laid.rdd.getNumPartitions() == 3


def test_layout_does_not_depend_on_the_partitions_of_the_input(spark):
    frame = spark.range(100).selectExpr("id", "id % 7 AS k")
    few, many = (
        laid_out(each, ["k"], 3, 1)
        .rdd.glom()
        .map(lambda rows: [row["id"] for row in rows])
        .collect()
        for each in (frame.repartition(2), frame.repartition(16))
    )
    assert few == many
