"""What the benchmark of quality rules asks of other libraries, without the libraries."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import duckdb
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))
    for name in ("peer_checks", "peer_run", "peer_words", "quality_peers"):
        sys.modules.pop(name, None)


def module(name):
    return importlib.import_module(name)


BETWEEN = ("expect_column_values_to_be_between", {"column": "n", "min_value": 1, "max_value": 3})
ROWS = [
    (BETWEEN, {1, 2, None}),
    ((BETWEEN[0], BETWEEN[1] | {"where": "t = 'b'"}), {1, 2, None, 9}),
    (("expect_column_values_to_be_in_set", {"column": "n", "value_set": [9]}), {9, None}),
    (("expect_column_values_to_not_be_in_set", {"column": "n", "value_set": [9]}), {1, 2, None}),
    (("expect_column_value_lengths_to_equal", {"column": "t", "value": 2}), {2, None}),
    (("expect_column_max_to_be_between", {"column": "n", "max_value": 1}), {1, None}),
    (("expect_column_min_to_be_between", {"column": "n", "min_value": 2}), {2, 9, None}),
    (
        ("expect_multicolumn_sum_to_equal", {"column_list": ["n", "m"], "sum_total": 3}),
        {1, 2},
    ),
]


@pytest.mark.parametrize(("expectation", "good"), ROWS)
def test_a_row_condition_is_true_of_good_rows_only(expectation, good):
    condition = module("peer_words").row_condition(*expectation)
    table = "(VALUES (1, 'b', 2), (2, 'bb', 1), (9, 'a', 0), (NULL, NULL, 0)) AS x(n, t, m)"
    # Its own: the default connection is everybody's, and may be in use.
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT n FROM {table} WHERE {condition}").fetchall()
    assert {n for (n,) in found} == good


def test_an_extreme_with_both_bounds_is_no_condition_on_rows():
    told = {"column": "n", "min_value": 1, "max_value": 2}
    assert module("peer_words").row_condition("expect_column_max_to_be_between", told) is None


@pytest.mark.parametrize(
    ("peer", "cannot"),
    [
        ("cuallee", {2, 3, 4}),
        ("pandera", {2, 3}),
        ("pandera-cached", {2, 3}),
        ("pydeequ", {4}),
        ("soda", {4}),
    ],
)
def test_what_a_peer_has_no_words_for_is_named_with_the_reason(peer, cannot):
    asked = {
        1: BETWEEN,
        2: ("expect_column_mean_to_be_between", {"column": "n", "min_value": 1, "max_value": 2}),
        3: ("expect_table_row_count_to_be_between", {"min_value": 1}),
        4: ("expect_table_column_count_to_equal", {"value": 2}),
    }
    found = module("peer_checks").PEERS[peer](None, asked)
    assert found.cannot.keys() == cannot
    assert all(found.cannot.values())
    assert found.sayable.keys() == asked.keys() - cannot


@pytest.mark.parametrize(
    ("theirs", "apart"),
    [
        ((True, 0), ["1: (True, 0) and (False, 4)"]),
        ((False, 3), ["1: (False, 3) and (False, 4)"]),
        ((False, 4), []),
        ((False, None), []),
    ],
)
def test_verdicts_and_counts_that_differ_are_told(theirs, apart):
    assert module("peer_run").differences({1: theirs}, {1: (False, 4)}) == apart


@pytest.mark.parametrize(
    ("expectation", "kinds"),
    [
        (BETWEEN, ["between"]),
        (("expect_compound_columns_to_be_unique", {"column_list": ["n", "m"]}), ["unique"]),
        (
            ("expect_column_distinct_values_to_equal_set", {"column": "n", "value_set": [1, 2]}),
            ["accepted_values", "distinct_count_between"],
        ),
        (("expect_table_column_count_to_equal", {"value": 2}), ["schema"]),
        (
            (
                "expect_multicolumn_sum_to_equal",
                {"column_list": ["n", "m"], "sum_total": 1, "mostly": 0},
            ),
            [],
        ),
    ],
)
def test_our_rules_that_say_the_same(expectation, kinds):
    kind, told = expectation
    found = module("peer_run").described({"type": kind, "kwargs": told}, ["n", "m"])
    assert [rule["kind"] for _, rule in found["ours"]] == kinds
    assert bool(found["reason"]) is not bool(kinds)


def test_what_cannot_be_installed_is_told():
    peers = module("quality_peers")
    with pytest.raises(peers.NotRunError, match="x cannot be installed: no such thing"):
        peers.called("x", [sys.executable, "-c", "import sys; sys.exit('no such thing')"])


@pytest.mark.parametrize("spark", ["41", "35"])
def test_environments_take_our_versions_from_the_constraints(spark):
    peers = module("quality_peers")
    asked = peers.Environment(spark, ("peer==1",)).requirements()
    assert asked[0] == "peer==1"
    assert f"pyspark=={'4.1.1' if spark == '41' else '3.5.8'}" in asked
    assert all("==" in one for one in asked)
