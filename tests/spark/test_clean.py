from __future__ import annotations

import pytest
from chispa import assert_df_equality
from pydantic import TypeAdapter

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.preparation.clean import Cleaned, Cleaning, clean_frame, missing_shares_frame
from crisp_spark.preparation.clean_metrics import (
    clean_metrics_frame,
    failure_samples_frame,
    operation_reports,
)
from crisp_spark.spec.cleaning import CleanOp

OPS = TypeAdapter(list[CleanOp])


@pytest.fixture
def cleaned(no_jobs):
    """Clean without a single job; ``cleaned(frame, op, op, ...)``."""

    def run(frame, *ops, folder=None, shares=None) -> Cleaned:
        with no_jobs():
            done = clean_frame(
                frame, OPS.validate_python(list(ops)), Cleaning("s", folder, shares or {})
            )
            _ = done.kept, done.dropped, clean_metrics_frame(done)
        return done

    return run


def rows(frame, *names):
    return sorted(tuple(r) for r in frame.select(*(f"`{n}`" for n in names)).collect())


def reports(done):
    return operation_reports(done, clean_metrics_frame(done).first().asDict())


def changes(report):
    return {
        c.column: (c.changed, c.filled, c.nulled, c.nulls_before, c.nulls_after)
        for c in report.columns
    }


def test_no_operation_keeps_everything(spark, cleaned):
    frame = spark.createDataFrame([(1, "a"), (2, None)], "id int, `größe.m` string")
    done = cleaned(frame)
    assert_df_equality(done.kept, frame, ignore_nullable=True)
    assert done.dropped.count() == 0
    assert done.dropped.columns == ["id", "größe.m", "_crisp_drop_reason"]


def test_empty_frame_is_cleaned(spark, cleaned):
    frame = spark.createDataFrame([], "id int, t string")
    done = cleaned(
        frame,
        {"op": "trim", "columns": "*"},
        {"op": "deduplicate", "keys": ["id"]},
        {"op": "filter", "expression": "id > 0", "reason": "positive"},
    )
    assert done.kept.count() == 0
    assert [r.rows_before for r in reports(done)] == [0, 0, 0]


def test_text_operations_with_counts(spark, cleaned):
    name = "straße. nr"
    frame = spark.createDataFrame(
        [(1, "\u00a0 Äb  c\t"), (2, ""), (3, None), (4, "ok"), (5, "N/A"), (6, "ﬁx")],
        f"id int, `{name}` string",
    )
    done = cleaned(
        frame,
        {"op": "trim", "columns": "*", "collapse": True},
        {"op": "missing_codes", "columns": [name], "codes": ["n/a", -9], "ignore_case": True},
        {"op": "unicode", "columns": [name], "form": "NFKC", "strip_accents": True},
        {"op": "case", "columns": [name], "to": "upper"},
        {"op": "replace", "columns": [name], "pattern": "(O)K", "replacement": "$1!"},
        {"op": "map", "columns": [name], "values": {"O!": "yes"}, "missing": "none"},
    )
    assert dict(done.kept.collect()) == {
        1: "AB C",
        2: "none",
        3: "none",
        4: "yes",
        5: "none",
        6: "FIX",
    }
    trim, codes, unicode, case, replace, mapped = reports(done)
    assert changes(trim) == {name: (2, 0, 1, 1, 2)}
    assert changes(codes) == {name: (1, 0, 1, 2, 3)}
    assert changes(unicode) == {name: (2, 0, 0, 3, 3)}
    assert changes(case) == {name: (3, 0, 0, 3, 3)}
    assert changes(replace) == {name: (1, 0, 0, 3, 3)}
    assert changes(mapped) == {name: (4, 3, 0, 3, 0)}
    assert trim.rows_before == trim.rows_after == 6
    assert trim.summary == "trim columns: *, collapse: true"


def test_missing_codes_fit_the_type_of_each_column(spark, cleaned):
    frame = spark.createDataFrame(
        [(-999, -999.0, "-999", "1900-01-01"), (1, float("nan"), "NA", "2013-01-01")],
        "i int, d double, s string, t string",
    ).selectExpr("i", "d", "s", "CAST(t AS date) AS t")
    done = cleaned(
        frame,
        {"op": "missing_codes", "columns": "*", "codes": [-999, "NA", "NaN", "1900-01-01"]},
    )
    assert [tuple(map(str, r)) for r in done.kept.orderBy("i").collect()] == [
        ("None", "None", "None", "None"),
        ("1", "None", "None", "2013-01-01"),
    ]


def test_select_keeps_reserved_columns(spark, cleaned):
    frame = spark.createDataFrame([(1, 2, 3)], "a int, b int, _crisp_row bigint")
    kept = cleaned(frame, {"op": "select", "keep": ["b"], "reason": "enough"})
    assert kept.kept.columns == ["b", "_crisp_row"]
    left = cleaned(frame, {"op": "select", "exclude": ["b"], "reason": "policy"})
    assert left.kept.columns == ["a", "_crisp_row"]
    assert reports(left)[0].columns_removed == ["b"]


def test_filter_drops_false_and_unknown_with_the_reason(spark, cleaned):
    frame = spark.createDataFrame([(1,), (-1,), (None,)], "`a b` int")
    done = cleaned(frame, {"op": "filter", "expression": "`a b` > 0", "reason": "must be positive"})
    assert rows(done.kept, "a b") == [(1,)]
    assert {tuple(r) for r in done.dropped.collect()} == {
        (-1, "must be positive"),
        (None, "must be positive"),
    }
    assert (reports(done)[0].rows_dropped, reports(done)[0].rows_after) == (2, 1)


def test_first_reason_wins_and_dropped_cells_stay_as_they_were(spark, cleaned):
    frame = spark.createDataFrame([(1, " x "), (-1, " y "), (-2, None)], "id int, t string")
    done = cleaned(
        frame,
        {"op": "filter", "expression": "id > 0", "reason": "first"},
        {"op": "filter", "expression": "id > -2", "reason": "second"},
        {"op": "trim", "columns": ["t"]},
        {"op": "fill", "columns": ["t"], "value": "?"},
    )
    assert done.dropped.select("_crisp_drop_reason").distinct().collect()[0][0] == "first"
    assert rows(done.dropped.where("t IS NOT NULL"), "t") == [(" y ",)]
    first, second, trim, fill = reports(done)
    assert (first.rows_dropped, second.rows_before, second.rows_dropped) == (2, 1, 0)
    assert changes(trim) == {"t": (1, 0, 0, 0, 0)}
    assert changes(fill) == {"t": (0, 0, 0, 0, 0)}


def test_failed_casts_are_counted_and_their_text_kept(spark, cleaned):
    frame = spark.createDataFrame(
        [("1", "2013-02-01"), ("x", "01.02.2013"), (None, None), ("2", "31.02.2013")],
        "`n.o` string, d string",
    )
    done = cleaned(
        frame,
        {"op": "cast", "columns": {"n.o": "int"}},
        {"op": "cast", "columns": {"d": "date"}, "format": "dd.MM.yyyy"},
    )
    assert dict(done.kept.dtypes) == {
        "n.o": "int",
        "d": "date",
        "_crisp_cast_failures": "array<struct<column:string,text:string>>",
    }
    kept = done.kept.collect()
    assert sorted([tuple(f) for r in kept for f in r[2] or []]) == [
        ("d", "2013-02-01"),
        ("d", "31.02.2013"),
        ("n.o", "x"),
    ]
    assert [r[2] for r in kept].count(None) == 1
    first, second = reports(done)
    assert changes(first) == {"n.o": (1, 0, 1, 1, 2)}
    assert changes(second) == {"d": (2, 0, 2, 1, 3)}
    assert clean_metrics_frame(done).first()["cast_failures"] == 3
    assert ("n.o", "x", 1) in {tuple(r) for r in failure_samples_frame(done).collect()}


def test_failed_cast_may_drop_the_row(spark, cleaned):
    frame = spark.createDataFrame([("1",), ("x",), (None,)], "n string")
    done = cleaned(frame, {"op": "cast", "columns": {"n": "int"}, "on_fail": "drop"})
    assert {r[0] for r in done.kept.collect()} == {1, None}
    (dropped,) = done.dropped.collect()
    assert dropped["_crisp_drop_reason"] == "n is no int"
    assert [tuple(f) for f in dropped["_crisp_cast_failures"]] == [("n", "x")]


@pytest.mark.parametrize(
    ("survivor", "kept"), [("first", ["a", "n1", "n2"]), ("last", ["c", "n1", "n2"])]
)
def test_duplicates_keep_the_declared_survivor(spark, cleaned, survivor, kept):
    frame = spark.createDataFrame(
        [(1, 10, "a", 5), (1, 20, "b", 3), (1, 20, "c", 1), (None, 1, "n1", 7), (None, 1, "n2", 8)],
        "k int, o int, v string, _crisp_row bigint",
    )
    op = {"op": "deduplicate", "keys": ["k"], "survivor": survivor, "order_by": "o"}
    for partitions in (1, 5):
        done = cleaned(frame.repartition(partitions), op)
        assert [r[0] for r in rows(done.kept, "v")] == kept
        assert reports(done)[0].rows_dropped == 2


def test_most_complete_duplicate_survives_and_dropped_rows_do_not_compete(spark, cleaned):
    frame = spark.createDataFrame(
        [(1, None, "a", 1), (1, 3, "b", 2), (1, 9, "c", 3)],
        "k int, o int, v string, _crisp_row bigint",
    )
    done = cleaned(
        frame,
        {"op": "drop_outside", "columns": ["o"], "max": 5},
        {"op": "deduplicate", "keys": ["k"], "survivor": "most_complete"},
    )
    assert rows(done.kept, "v") == [("b",)]
    assert dict(rows(done.dropped, "v", "_crisp_drop_reason")) == {
        "a": "duplicate of k",
        "c": "outside - to 5: o",
    }


def test_equal_records_are_duplicates_without_keys(spark, cleaned):
    frame = spark.createDataFrame(
        [(1, None, 7, "x"), (1, None, 7, "y"), (1, 2, 8, "x")],
        "a int, b int, _crisp_row bigint, _crisp_file string",
    )
    done = cleaned(frame, {"op": "deduplicate"})
    assert done.kept.count() == 2
    assert rows(done.dropped, "_crisp_file", "_crisp_drop_reason") == [("y", "duplicate record")]


def test_rows_and_columns_that_miss_too_much_go(spark, cleaned):
    frame = spark.createDataFrame(
        [(1, 1, None), (2, None, None), (3, 3, 3), (4, 4, None)], "id int, a int, b int"
    )
    done = cleaned(frame, {"op": "drop_missing", "columns": ["a", "b"], "max_share": 0.5})
    assert [r[0] for r in rows(done.kept, "id")] == [1, 3, 4]
    op = {"op": "drop_missing", "axis": "columns", "max_share": 0.5}
    before = cleaned(frame)
    shares = missing_shares_frame(before, "p", OPS.validate_python([op])[0]).first().asDict()
    assert shares == {"id": 0.0, "a": 0.25, "b": 0.75}
    done = cleaned(frame, op, shares={0: shares})
    assert done.kept.columns == ["id", "a"]
    assert reports(done)[0].columns_removed == ["b"]


def test_constants_and_expressions_fill_and_flags_tell_where(spark, cleaned):
    frame = spark.createDataFrame(
        [(1, None, None, None), (2, 5, 1.5, "x")], "id int, a int, b double, c string"
    )
    done = cleaned(
        frame,
        {"op": "flag_missing", "columns": ["a"]},
        {"op": "fill", "values": {"a": 0, "c": "none"}},
        {"op": "fill", "columns": ["b"], "expression": "id * 2.5"},
    )
    assert rows(done.kept, "id", "a", "b", "c", "a_missing") == [
        (1, 0, 2.5, "none", 1),
        (2, 5, 1.5, "x", 0),
    ]
    assert reports(done)[0].columns_added == ["a_missing"]
    assert changes(reports(done)[1]) == {"a": (1, 1, 0, 1, 0), "c": (1, 1, 0, 1, 0)}


def test_values_outside_declared_bounds(spark, cleaned):
    frame = spark.createDataFrame([(-5, 1.0), (3, None), (50, 2.0)], "a int, b double")
    clip = cleaned(frame, {"op": "clip", "columns": ["a"], "min": 0, "max": 10})
    assert rows(clip.kept, "a") == [(0,), (3,), (10,)]
    null = cleaned(frame, {"op": "null_outside", "columns": ["a"], "max": 10.5})
    assert {r[0] for r in null.kept.collect()} == {-5, 3, None}
    flag = cleaned(frame, {"op": "flag_outside", "columns": ["a", "b"], "min": 1.5})
    assert rows(flag.kept, "a", "a_outside", "b_outside") == [(-5, 1, 1), (3, 0, 0), (50, 0, 0)]
    drop = cleaned(frame, {"op": "drop_outside", "columns": ["a"], "min": 0, "reason": "typo"})
    assert rows(drop.dropped, "a", "_crisp_drop_reason") == [(-5, "typo: a")]


def test_noise_is_rounded_binned_and_smoothed(spark, cleaned):
    frame = spark.createDataFrame(
        [
            ("p", 1, 1.04, 1),
            ("p", 2, 3.0, 2),
            ("q", 1, 9.0, 3),
            ("p", 3, None, 4),
            ("p", 4, 5.0, 5),
        ],
        "g string, t int, v double, _crisp_row bigint",
    )
    done = cleaned(
        frame,
        {"op": "bin", "columns": ["v"], "edges": [2, 6], "labels": ["low", "mid", "high"]},
        {"op": "smooth", "columns": ["v"], "order_by": "t", "partition_by": ["g"], "rows": 2,
         "suffix": "_avg"},
        {"op": "round", "columns": ["v", "v_avg"], "digits": 1},
    )  # fmt: skip
    assert {tuple(r) for r in done.kept.select("g", "t", "v", "v_bin", "v_avg").collect()} == {
        ("p", 1, 1.0, "low", 1.0),
        ("p", 2, 3.0, "mid", 2.0),
        ("p", 3, None, None, None),
        ("p", 4, 5.0, "mid", 5.0),
        ("q", 1, 9.0, "high", 9.0),
    }


def test_mapping_may_change_the_type(spark, cleaned):
    frame = spark.createDataFrame([(1, True), (2, False), (3, None)], "a int, b boolean")
    done = cleaned(
        frame,
        {"op": "map", "columns": ["a"], "values": {1: "one", 2: "two"}, "others": "null"},
        {
            "op": "map",
            "columns": ["b"],
            "values": {True: 1, False: 0},
            "others": "default",
            "default": 9,
        },
    )
    assert {tuple(r) for r in done.kept.collect()} == {("one", 1), ("two", 0), (None, None)}
    with pytest.raises(SpecError, match="wrong type: column 'b'"):
        cleaned(frame, {"op": "map", "columns": ["b"], "values": {True: 5}})


def test_python_hook_sees_live_rows_only(spark, cleaned, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from pyspark.sql import functions as F\n"
        "def double(df):\n    return df.withColumn('b', F.col('a') * 2)\n"
        "def thief(df):\n    return df.select('a')\n"
        "def nothing(df):\n    return None\n"
    )
    frame = spark.createDataFrame([(1, 5), (-1, 6)], "a int, _crisp_row bigint")
    keep = {"op": "filter", "expression": "a > 0", "reason": "r"}
    done = cleaned(frame, keep, {"python": "mine:double"}, folder=tmp_path)
    assert rows(done.kept, "a", "b") == [(1, 2)]
    assert rows(done.dropped, "a", "_crisp_row") == [(-1, 6)]
    assert reports(done)[1].columns_added == ["b"]
    for name, message in [
        ("thief", "took away _crisp"),
        ("nothing", "must return a DataFrame"),
        ("absent", "no function"),
    ]:
        with pytest.raises(SpecError, match=message):
            cleaned(frame, {"python": f"mine:{name}"}, folder=tmp_path)
    with pytest.raises(SpecError, match="no module 'gone' below"):
        cleaned(frame, {"python": "gone:f"}, folder=tmp_path)
    (tmp_path / "broken.py").write_text("import mine\n")
    with pytest.raises(SpecError, match="cannot be imported"):
        cleaned(frame, {"python": "broken:f"}, folder=tmp_path)


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        ({"op": "trim", "columns": ["t."]}, MissingColumnsError, "did you mean 't'"),
        ({"op": "trim", "columns": ["a"]}, SpecError, "text is needed, got column 'a' of type int"),
        ({"op": "fill", "columns": ["a"], "value": "x"}, SpecError, "column 'a' is int, got 'x'"),
        ({"op": "fill", "columns": ["a"], "value": 1.5}, SpecError, "column 'a' is int, got 1.5"),
        ({"op": "clip", "columns": ["t"], "max": 1}, SpecError, "number or a date"),
        ({"op": "filter", "expression": "aa > 1", "reason": "r"}, MissingColumnsError, "'aa'"),
        ({"op": "filter", "expression": "a + 1", "reason": "r"}, SpecError, "a condition"),
        ({"op": "filter", "expression": "a >", "reason": "r"}, SpecError, "cannot be read"),
        ({"op": "filter", "expression": "fo(a)", "reason": "r"}, SpecError, "no such function fo"),
        ({"op": "cast", "columns": {"a": "array<int>"}}, SpecError, "wrong type"),
        ({"op": "flag_missing", "columns": ["a"], "suffix": "_x"}, SpecError, "already there"),
    ],
)
def test_faults_name_the_operation(spark, cleaned, op, error, message):
    frame = spark.createDataFrame([], "a int, t string, A_x int")
    with pytest.raises(error, match=message) as caught:
        cleaned(frame, {"op": "trim", "columns": "*"}, op)
    assert f"preparation.clean.s[1] {op['op']}" in str(caught.value)
