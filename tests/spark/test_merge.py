from __future__ import annotations

import pytest
from chispa import assert_df_equality

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.preparation.merge import merge_sources
from crisp_spark.preparation.merge_metrics import (
    key_metrics_frame,
    output_metrics_frames,
    repeated_keys_frame,
    step_reports,
    unmatched_keys_frame,
    violations,
)
from crisp_spark.spec.merging import MergeSpec


@pytest.fixture
def merged(no_jobs):
    """Merge without a single job: ``merged(sources, step, ..., output_of=...)``."""

    def run(sources, *steps, output_of=None):
        spec = MergeSpec.model_validate({"steps": list(steps), "output_of": output_of})
        with no_jobs():
            made = merge_sources(sources, spec)
            key_metrics_frame(made)
            output_metrics_frames(made, made.frame)
        return made

    return run


def reports(made):
    keys = sorted((r.asDict() for r in key_metrics_frame(made).collect()), key=lambda r: r["step"])
    output = {}
    for _, frame in output_metrics_frames(made, made.frame):
        output |= frame.first().asDict()
    return step_reports(made, keys, output)


def rows(made, *names):
    found = made.frame.select(*(f"`{n}`" for n in names)).collect()
    return sorted((tuple(r) for r in found), key=str)


@pytest.fixture(scope="module")
def tables(spark_session):
    make = spark_session.createDataFrame
    return {
        "orders": make(
            [(1, "a", 5, 11), (2, "b", 6, 12), (3, None, 7, 13), (4, "a", 8, 14), (5, "z", 9, 15)],
            "id int, `cust.id` string, n int, _crisp_row bigint",
        ),
        "customers": make(
            [("a", "Zürich", 1, 21), ("b", None, 2, 22), ("c", "Oslo", 3, 23), (None, "?", 4, 24)],
            "cid string, `größe` string, rank int, _crisp_row bigint",
        ),
    }


LEFT = {
    "id": "all",
    "left": "orders",
    "right": "customers",
    "keys": {"cust.id": "cid"},
    "how": "left",
}


def test_left_join_reports_keys_matches_and_nulls(merged, tables):
    made = merged(tables, LEFT)
    assert rows(made, "id", "größe", "rank", "_crisp_row") == [
        (1, "Zürich", 1, 11),
        (2, None, 2, 12),
        (3, None, None, 13),
        (4, "Zürich", 1, 14),
        (5, None, None, 15),
    ]
    (report,) = reports(made)
    assert (report.rows_left, report.rows_right, report.rows_out) == (5, 4, 5)
    assert (report.matched_left, report.match_rate, report.unmatched_right) == (3, 0.6, 2)
    assert (report.found, report.fan_out) == ("many_to_one", 1.0)
    left = report.left_keys
    assert (left.distinct, left.repeated_keys, left.null_rows) == (3, 1, 1)
    assert (left.most_rows_per_key, left.top_key_share) == (2, 0.4)
    assert report.right_keys.null_rows == 1
    assert {n.column: (n.introduced, n.left_after_cleaning) for n in report.nulls} == {
        "größe": (2, 2),
        "rank": (2, 2),
    }
    assert not violations(made.steps[0], report)


def test_only_nulls_of_the_merge_are_cleaned_again(merged, tables):
    made = merged(
        tables,
        {
            **LEFT,
            "reclean": [
                {"op": "flag_missing", "columns": ["größe"], "suffix": "_none"},
                {"op": "fill", "columns": ["größe"], "value": "unknown"},
                {"op": "map", "columns": ["rank"], "missing": 0},
            ],
        },
    )
    assert rows(made, "id", "größe", "rank", "größe_none") == [
        (1, "Zürich", 1, 0),
        (2, None, 2, 0),
        (3, "unknown", 0, 1),
        (4, "Zürich", 1, 0),
        (5, "unknown", 0, 1),
    ]
    (report,) = reports(made)
    assert {n.column: (n.introduced, n.left_after_cleaning) for n in report.nulls} == {
        "größe": (2, 0),
        "rank": (2, 0),
    }
    assert report.nulls[0].operations == ["flag_missing", "fill"]
    with pytest.raises(SpecError, match="puts no nulls into 'n'"):
        merged(tables, {**LEFT, "reclean": [{"op": "fill", "columns": ["n"], "value": 0}]})


@pytest.mark.parametrize(
    ("how", "ids", "out"),
    [
        ("inner", [1, 2, 4], 3),
        ("outer", [1, 2, 3, 4, 5, None, None], 7),
        ("semi", [1, 2, 4], 3),
        ("anti", [3, 5], 2),
    ],
)
def test_every_kind_of_join(merged, tables, how, ids, out):
    made = merged(tables, {**LEFT, "how": how})
    assert sorted([r[0] for r in rows(made, "id")], key=str) == sorted(ids, key=str)
    (report,) = reports(made)
    assert report.rows_out == out == made.frame.count()
    assert report.matched_left == 3


def test_outer_join_keeps_the_keys_of_both_sides(merged, tables):
    made = merged(tables, {**LEFT, "how": "outer", "reclean": [
        {"op": "fill", "columns": ["n"], "value": -1}]})  # fmt: skip
    assert rows(made, "cust.id", "größe", "n", "_crisp_row") == [
        ("a", "Zürich", 5, 11),
        ("a", "Zürich", 8, 14),
        ("b", None, 6, 12),
        ("c", "Oslo", -1, 23),
        ("z", None, 9, 15),
        (None, "?", -1, 24),
        (None, None, 7, 13),
    ]
    (report,) = reports(made)
    introduced = {n.column: (n.introduced, n.left_after_cleaning) for n in report.nulls}
    assert introduced["n"] == (2, 0)
    assert introduced["größe"] == (2, 2)


def test_cross_join_multiplies_and_row_hashes_stay_unique(merged, tables):
    made = merged(tables, {"id": "x", "left": "orders", "right": "customers", "how": "cross"})
    assert made.frame.count() == 20
    assert made.frame.select("_crisp_row").distinct().count() == 20
    (report,) = reports(made)
    assert (report.rows_out, report.fan_out) == (20, 4.0)


def test_unexpected_fan_out_is_found_before_rows_are_joined(spark, merged, tables):
    twice = spark.createDataFrame([("a", 1), ("a", 2), ("b", 3)], "cid string, x int")
    made = merged({**tables, "customers": twice}, {**LEFT, "min_match": 0.9})
    (report,) = reports(made)
    assert report.rows_out == 7 == made.frame.count()
    cardinality, share = violations(made.steps[0], report)
    assert "expected many_to_one, but 1 of 2 keys (cid) occur more than once on the right" in (
        cardinality
    )
    assert "60.00% of 5 left rows found a right row, at least 90.00% expected" in share
    assert "preparation.merge.steps[0] 'all'" in share
    assert [tuple(r) for r in repeated_keys_frame(made.steps[0], "right").collect()] == [("a", 2)]
    assert [tuple(r) for r in unmatched_keys_frame(made.steps[0]).collect()] == [
        (None, 1),
        ("z", 1),
    ]
    allowed = merged({**tables, "customers": twice}, {**LEFT, "expect": "any"})
    assert not violations(allowed.steps[0], reports(allowed)[0])
    assert allowed.frame.select("_crisp_row").distinct().count() == 5


def test_counts_of_an_early_step_survive_a_later_one_that_drops_rows(merged, tables):
    made = merged(
        tables,
        {**LEFT, "columns": {"größe": "city"}},
        {"id": "some", "left": "all", "right": "customers", "how": "semi",
         "keys": {"cust.id": "cid"}},
    )  # fmt: skip
    first, second = reports(made)
    assert first.nulls[0].introduced == 2
    assert (second.rows_left, second.rows_out) == (5, 3)
    assert made.frame.count() == 3


def test_columns_are_picked_renamed_and_prefixed(merged, tables):
    made = merged(tables, {**LEFT, "columns": {"größe": "city", "cid": "cid", "rank": "rank"},
                           "prefix": "c_"})  # fmt: skip
    assert [c for c in made.frame.columns if not c.startswith("_crisp")] == [
        "id", "cust.id", "n", "c_cid", "city", "c_rank",
    ]  # fmt: skip


def test_a_name_on_both_sides_is_refused(spark, merged, tables):
    other = spark.createDataFrame([], "cid string, N int, `größe` string")
    with pytest.raises(SpecError, match="both sides have a column 'N'") as caught:
        merged({**tables, "customers": other}, LEFT)
    assert "prefix: customers_" in str(caught.value)


def test_keys_of_different_types_are_refused(spark, merged, tables):
    other = spark.createDataFrame([], "cid int")
    with pytest.raises(SpecError, match=r"keys 'cust\.id' and 'cid' cannot be compared"):
        merged({**tables, "customers": other}, LEFT)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"keys": {"cust_id": "cid"}}, MissingColumnsError, "did you mean 'cust.id'"),
        ({"columns": ["citty"]}, MissingColumnsError, "no such column 'citty'"),
        ({"right": "custommers"}, SpecError, "did you mean 'customers'"),
        ({"id": "rest"}, SpecError, "names a source and a step"),
    ],
)
def test_faults_name_the_step(merged, tables, change, error, message):
    with pytest.raises(error, match=message) as caught:
        merged({**tables, "rest": tables["orders"]}, {**LEFT, **change})
    assert "preparation.merge" in str(caught.value)


def test_a_step_nobody_uses_is_refused(merged, tables):
    with pytest.raises(SpecError, match="used by nothing"):
        merged(tables, LEFT, output_of="orders")


def test_one_source_needs_no_steps(merged, tables):
    made = merged({"orders": tables["orders"]})
    assert_df_equality(made.frame, tables["orders"])
    with pytest.raises(SpecError, match="say output_of"):
        merged(tables)


def test_empty_sides(spark, merged, tables):
    nobody = tables["customers"].limit(0)
    (report,) = reports(merged({**tables, "customers": nobody}, LEFT))
    assert (report.match_rate, report.rows_out) == (0.0, 5)
    (report,) = reports(merged({**tables, "orders": tables["orders"].limit(0)}, LEFT))
    assert (report.match_rate, report.rows_out, report.fan_out) == (None, 0, None)
