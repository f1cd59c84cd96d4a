from __future__ import annotations

import sys

import pytest
from chispa import assert_df_equality

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.preparation.derive import class_counts, derive_frame, derived_metrics
from crisp_spark.preparation.windows import interval_micros
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.preparation import PreparationSpec

GOAL = MiningGoal(
    problem="binary", target="late", target_expression="delay >= 15", positive=True, key=("id",)
)
NO_GOAL = MiningGoal(problem="clustering")


@pytest.fixture(scope="module")
def merged(spark_session):
    return (
        spark_session.createDataFrame(
            [
                (1, "A", "2013-01-01 00:00:00", 10.0, 6, "Über den Wolken, wolken", 101),
                (2, "A", "2013-01-01 01:00:00", 20.0, 12, None, 102),
                (3, "A", "2013-01-01 01:00:00", 40.0, 18, "", 103),
                (4, "A", "2013-01-02 02:00:00", None, 23, "x", 104),
                (5, "B", "2013-01-01 05:00:00", 7.0, 0, "y", 105),
                (6, None, "2013-01-03 05:00:00", 7.0, None, "z", 106),
                (7, "B", None, 1.0, 1, "w", 107),
            ],
            "id int, carrier string, at string, delay double, `ho ur` int, note string, _crisp_row bigint",
        )
        .selectExpr("*", "CAST(at AS timestamp) AS t")
        .repartition(3)
    )


def derived(merged, no_jobs, *operations, goal=NO_GOAL, **spec):
    prepared = PreparationSpec.model_validate({"derive": list(operations), **spec})
    with no_jobs():
        return derive_frame(merged, prepared, goal)


def values(frame, *names):
    rows = frame.orderBy("id").collect()
    found = [tuple(row[name] for name in names) for row in rows]
    return [row[0] for row in found] if len(names) == 1 else found


def window(merged, no_jobs, **op):
    spec = {"op": "window", "name": "w", "partition_by": ["carrier"], "order_by": "t", **op}
    return values(derived(merged, no_jobs, spec), "w")


def test_expressions_use_each_other_in_any_order(spark, merged, no_jobs):
    frame = derived(
        merged,
        no_jobs,
        {"name": "twice", "expression": "`plus one` * 2"},
        {"name": "plus one", "expression": "id + 1", "type": "double"},
    )
    expected = spark.createDataFrame(
        [(n, (n + 1.0) * 2) for n in range(1, 8)], "id int, twice double"
    )
    assert_df_equality(
        frame.select("id", "twice"), expected, ignore_row_order=True, ignore_nullable=True
    )


def test_target_is_added_and_the_population_kept(merged, no_jobs):
    frame = derived(
        merged, no_jobs, goal=GOAL, population={"expression": "delay IS NOT NULL", "reason": "x"}
    )
    assert values(frame, "id", "late") == [
        (1, False),
        (2, True),
        (3, True),
        (5, False),
        (6, False),
        (7, False),
    ]


def test_row_local_operations(merged, no_jobs):
    frame = derived(
        merged,
        no_jobs,
        {"op": "cyclic", "column": "ho ur", "period": 24},
        {"op": "date_parts", "column": "t", "parts": ["weekday", "is_weekend"], "prefix": "d_"},
        {"op": "ratio", "name": "r", "numerator": "delay", "denominator": "ho ur"},
        {
            "op": "bin",
            "name": "b",
            "column": "ho ur",
            "edges": [6, 18],
            "labels": ["früh", "tag", "spät"],
        },
        {"op": "interaction", "name": "i", "columns": ["carrier", "ho ur"], "kind": "concat"},
        {"op": "text_tokens", "name": "words", "column": "note", "stop_words": ["den"]},
    )
    first = frame.filter("id = 1").first()
    assert first["ho ur_sin"] == pytest.approx(1.0)
    assert (first["d_weekday"], first["d_is_weekend"], first["b"], first["i"]) == (
        2,
        0,
        "tag",
        "A_6",
    )
    assert first["words"] == ["über", "wolken", "wolken"]
    assert values(frame, "r")[4:6] == [None, None]
    assert values(frame, "b") == ["tag", "tag", "spät", "spät", "früh", None, "früh"]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ({"function": "count"}, [0, 1, 1, 3, 0, None, None]),
        ({"function": "lag", "column": "delay"}, [None, 10.0, 10.0, 40.0, None, None, None]),
        (
            {"function": "lag", "column": "delay", "offset": 2},
            [None, None, None, 20.0, None, None, None],
        ),
        ({"function": "sum", "column": "delay"}, [None, 10.0, 10.0, 70.0, None, None, None]),
        ({"function": "mean", "column": "delay"}, [None, 10.0, 10.0, 70 / 3, None, None, None]),
        ({"function": "max", "column": "delay"}, [None, 10.0, 10.0, 40.0, None, None, None]),
        ({"function": "min", "column": "delay"}, [None, 10.0, 10.0, 10.0, None, None, None]),
        ({"function": "std", "column": "delay"}, [None, None, None, 15.275252, None, None, None]),
        ({"function": "count", "over": "1 hour"}, [0, 1, 1, 0, 0, None, None]),
        ({"function": "count", "over": "1 hour 30 minutes"}, [0, 1, 1, 0, 0, None, None]),
        ({"function": "count", "known_after": "2 hours"}, [0, 0, 0, 3, 0, None, None]),
        ({"function": "recency"}, [None, 1.0, 1.0, 25.0, None, None, None]),
        ({"function": "frequency", "over": "2 days"}, [0.0, 0.5, 0.5, 1.5, 0.0, None, None]),
    ],
    ids=str,
)
def test_windows_look_strictly_back_and_leave_ties_out(merged, no_jobs, op, expected):
    assert window(merged, no_jobs, **op) == [
        None if v is None else pytest.approx(v) for v in expected
    ]


def test_windows_do_not_depend_on_the_layout(merged, no_jobs):
    op = {"function": "lag", "column": "delay", "offset": 2}
    assert window(merged.coalesce(1).orderBy("id"), no_jobs, **op) == window(
        merged.repartition(5, "note"), no_jobs, **op
    )


def test_changing_the_future_changes_no_window(spark, merged, no_jobs):
    changed = merged.selectExpr(
        "id", "carrier", "t", "IF(id = 4, 999D, delay) AS delay", "_crisp_row"
    )
    for op in ({"function": "sum", "column": "delay"}, {"function": "lag", "column": "delay"}):
        assert window(changed, no_jobs, **op)[:4] == window(merged, no_jobs, **op)[:4]


def test_python_hook_beside_the_project(merged, tmp_path, no_jobs):
    (tmp_path / "mine.py").write_text(
        "from pyspark.sql import functions as F\n"
        "def add(frame):\n    return frame.withColumn('ten', F.col('id') * 10)\n"
        "def forget(frame):\n    return frame.drop('_crisp_row')\n"
    )
    before = list(sys.path)
    spec = PreparationSpec.model_validate(
        {"derive": [{"python": "mine:add", "adds": ["ten"], "uses": ["id"]}]}
    )
    assert values(derive_frame(merged, spec, NO_GOAL, folder=tmp_path), "ten")[:2] == [10, 20]
    assert sys.path == before
    broken = PreparationSpec.model_validate({"derive": [{"python": "mine:forget", "adds": ["x"]}]})
    with pytest.raises(SpecError, match="took away _crisp_row"):
        derive_frame(merged, broken, NO_GOAL, folder=tmp_path)


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (
            {"name": "x", "expression": "dellay + 1"},
            MissingColumnsError,
            r"'x'.*no such column 'dellay'(.|\n)*did you mean 'delay'",
        ),
        ({"name": "x", "expression": "id +"}, SpecError, "cannot be read"),
        ({"name": "x", "expression": "nope(id)"}, SpecError, r"no such function nope\(\)"),
        ({"name": "ID", "expression": "1"}, SpecError, "a column 'id' is already there"),
        (
            {"op": "window", "name": "w", "function": "sum", "column": "note", "order_by": "t"},
            SpecError,
            "needs a number, got column 'note'",
        ),
        (
            {"op": "window", "name": "w", "function": "count", "order_by": "note"},
            SpecError,
            "order_by must be",
        ),
        (
            {"op": "window", "name": "w", "function": "count", "order_by": "t", "over": "a while"},
            SpecError,
            "an interval like '7 days'",
        ),
        (
            {
                "op": "window",
                "name": "w",
                "function": "count",
                "order_by": "t",
                "over": "1 hour",
                "known_after": "2 hours",
            },
            SpecError,
            "nothing lies in the window",
        ),
        (
            {"op": "window", "name": "w", "function": "count", "order_by": "tt"},
            MissingColumnsError,
            "no such column 'tt'",
        ),
    ],
    ids=str,
)
def test_faults_are_named_before_any_job(merged, no_jobs, op, error, message):
    with pytest.raises(error, match=message):
        derived(merged, no_jobs, op)


def test_a_missing_target_is_named(merged, no_jobs):
    with pytest.raises(MissingColumnsError, match="no such column 'lte'"):
        derived(merged, no_jobs, goal=MiningGoal(problem="binary", target="lte", positive=1))


def test_intervals():
    assert interval_micros("p", "1 hour 30 minutes") == 5_400_000_000
    assert interval_micros("p", "0.5 days") == 43_200_000_000
    for bad in ("1 month", "days", "7", "", "3 dayz"):
        with pytest.raises(SpecError, match="an interval like"):
            interval_micros("p", bad)


def test_metrics_and_classes(merged, no_jobs):
    with no_jobs():
        metrics = derived_metrics(merged, ["ho ur", "note"])
        classes = class_counts(merged, "carrier")
    row = metrics.first()
    assert (row["rows"], row["0_nulls"], row["0_min"], row["0_max"], row["0_mean"]) == (
        7,
        1,
        0.0,
        23.0,
        10.0,
    )
    assert (row["1_nulls"], row["1_min"], row["1_max"]) == (1, "", "Über den Wolken, wolken")
    assert [tuple(found) for found in classes.collect()] == [("A", 4), ("B", 2), (None, 1)]
