from __future__ import annotations

import pytest

from crisp_spark.errors import SpecError
from crisp_spark.preparation.merge_metrics import unmatched_keys_frame, violations
from tests.spark.test_merge import merged, reports, rows  # noqa: F401

ASOF = {
    "id": "w",
    "left": "flights",
    "right": "weather",
    "how": "asof",
    "keys": ["origin"],
    "asof": {"left": "t", "right": "seen"},
}


@pytest.fixture(scope="module")
def tables(spark_session):
    make = spark_session.createDataFrame
    flights = make(
        [
            (1, "JFK", "2013-01-01 10:00:00", 1),
            (2, "JFK", "2013-01-01 10:30:00", 2),
            (3, "JFK", "2013-01-01 09:00:00", 3),
            (4, "LGA", "2013-01-01 23:00:00", 4),
            (5, None, "2013-01-01 12:00:00", 5),
            (6, "JFK", None, 6),
        ],
        "id int, origin string, t string, _crisp_row bigint",
    ).selectExpr("id", "origin", "CAST(t AS timestamp) AS t", "_crisp_row")
    weather = make(
        [
            ("JFK", "2013-01-01 10:00:00", 1.0, None, 7),
            ("JFK", "2013-01-01 10:00:00", 2.0, "x", 8),
            ("JFK", "2013-01-01 11:00:00", 99.0, "future", 9),
            ("LGA", "2013-01-01 20:00:00", 3.0, "y", 10),
            (None, "2013-01-01 08:00:00", 4.0, "null key", 11),
            ("JFK", None, 5.0, "null time", 12),
        ],
        "origin string, seen string, `temp.c` double, note string, _crisp_row bigint",
    ).selectExpr("origin", "CAST(seen AS timestamp) AS seen", "`temp.c`", "note", "_crisp_row")
    return {"flights": flights, "weather": weather}


@pytest.mark.parametrize("partitions", [1, 5])
def test_asof_takes_the_last_known_row_and_never_a_later_one(merged, tables, partitions):  # noqa: F811
    shuffled = {name: frame.repartition(partitions) for name, frame in tables.items()}
    made = merged(shuffled, ASOF)
    assert rows(made, "id", "temp.c", "note", "_crisp_row") == [
        (1, 2.0, "x", 1),
        (2, 2.0, "x", 2),
        (3, None, None, 3),
        (4, 3.0, "y", 4),
        (5, None, None, 5),
        (6, None, None, 6),
    ]


def test_asof_reports_what_it_matched(merged, tables):  # noqa: F811
    made = merged(tables, {**ASOF, "min_match": 0.9,
                           "reclean": [{"op": "fill", "columns": ["note"], "value": "-"}]})  # fmt: skip
    (report,) = reports(made)
    assert (report.matched_left, report.match_rate, report.rows_out) == (3, 0.5, 6)
    assert (report.left_keys.null_rows, report.right_keys.null_rows) == (1, 2)
    assert report.right_keys.repeated_keys == 1
    nulls = {n.column: (n.introduced, n.left_after_cleaning) for n in report.nulls}
    assert nulls == {"seen": (3, 3), "temp.c": (3, 3), "note": (3, 0)}
    assert "50.00% of 6 left rows" in violations(made.steps[0], report)[0]
    assert unmatched_keys_frame(made.steps[0]).first()[0] == "JFK"


def test_tolerance_and_exact_times(merged, tables):  # noqa: F811
    short = merged(tables, {**ASOF, "asof": {**ASOF["asof"], "tolerance": "2 hours"}})
    assert rows(short, "id", "temp.c")[3] == (4, None)
    assert rows(short, "id", "temp.c")[1] == (2, 2.0)
    strict = merged(tables, {**ASOF, "asof": {**ASOF["asof"], "allow_exact": False}})
    assert rows(strict, "id", "temp.c")[:2] == [(1, None), (2, 2.0)]


def test_asof_by_number(spark, merged):  # noqa: F811
    left = spark.createDataFrame([("a", 5), ("a", 9)], "k string, t int")
    right = spark.createDataFrame([("a", 4, "old")], "k string, s bigint, v string")
    step = {"id": "x", "left": "l", "right": "r", "how": "asof", "keys": ["k"],
            "asof": {"left": "t", "right": "s", "tolerance": "2"}}  # fmt: skip
    assert rows(merged({"l": left, "r": right}, step), "t", "v") == [(5, "old"), (9, None)]
    step["asof"]["tolerance"] = "2 hours"
    with pytest.raises(SpecError, match="tolerance must be one"):
        merged({"l": left, "r": right}, step)
    with pytest.raises(SpecError, match="times 't' and 's' cannot be compared"):
        merged({"l": left, "r": right.selectExpr("k", "date'2020-01-01' AS s", "v")},
               {**step, "asof": {"left": "t", "right": "s"}})  # fmt: skip


UNION = {"id": "u", "left": "a", "right": "b", "inputs": ["c"], "how": "union"}


def test_union_reconciles_types_by_name(spark, merged):  # noqa: F811
    make = spark.createDataFrame
    tables = {
        "a": make([(1, "x", 1)], "id int, `v.1` string, _crisp_row bigint"),
        "b": make([(2.5, 2)], "id double, _crisp_row bigint"),
        "c": make([(7, 3)], "`v.1` int, _crisp_row bigint"),
    }
    made = merged(tables, {**UNION, "reclean": [{"op": "fill", "columns": ["v.1"], "value": "-"}]})
    assert rows(made, "id", "v.1", "_crisp_row") == [(1.0, "x", 1), (2.5, "-", 2), (None, "7", 3)]
    (report,) = reports(made)
    assert (report.rows_left, report.rows_right, report.rows_out) == (1, 2, 3)
    assert report.matched_left is None
    assert report.type_changes == {
        "id": "int, double -> double",
        "v.1": "string, int -> string",
    }
    assert {n.column: (n.introduced, n.left_after_cleaning) for n in report.nulls} == {
        "id": (1, 1),
        "v.1": (1, 0),
    }


def test_distinct_union_keeps_one_of_equal_rows(spark, merged):  # noqa: F811
    make = spark.createDataFrame
    tables = {
        "a": make([(1, None, 1), (1, None, 2)], "x int, y date, _crisp_row bigint"),
        "b": make([(1, None, 3), (2, None, 4)], "x int, y timestamp, _crisp_row bigint"),
        "c": make([], "x int, y timestamp, _crisp_row bigint"),
    }
    made = merged(tables, {**UNION, "distinct": True})
    assert rows(made, "x", "_crisp_row") == [(1, 1), (2, 4)]
    assert dict(made.frame.dtypes)["y"] == "timestamp"
    assert reports(made)[0].rows_out == 2


def test_union_of_nested_and_plain_is_refused(spark, merged):  # noqa: F811
    tables = {
        name: spark.createDataFrame([], f"x {kind}")
        for name, kind in {"a": "int", "b": "array<int>", "c": "int"}.items()
    }
    with pytest.raises(SpecError, match="wrong type: column 'x'"):
        merged(tables, UNION)
