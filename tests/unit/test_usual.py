"""Rules that compare a run with earlier ones; no JVM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter, ValidationError

from crisp_spark.errors import SpecError
from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import PastValue, RuleResult
from crisp_spark.run.past import past_values
from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.usual import (
    as_static,
    judge_usual,
    limits_of,
    measurable,
    robust_deviation,
)

RULE = TypeAdapter(RuleSpec)


def rule(**details):
    return RULE.validate_python({"kind": "as_usual", **details})


def bind(**details):
    own = rule(**details)
    if own.metric == "row_count":
        return bind_rules("t", {}, [own])
    return bind_rules("t", {"a b": [own]})


def past(*values):
    return tuple(
        PastValue(run_id=f"r{at}", created="2026-01-01", value=v) for at, v in enumerate(values)
    )


def judge(observed, values, **details):
    rules = bind(**details)
    measured = RuleResult(
        name=rules[0].name, kind="mean_between", columns=(), severity="warn", expected="",
        verdict=Verdict.PASS, rows=9, observed=observed,
    )  # fmt: skip
    return judge_usual(rules, [measured], {rules[0].name: past(*values)})[0]


@pytest.mark.parametrize(
    ("details", "values", "low", "high"),
    [
        ({"within": 0.2}, [90, 100, 500], 80, 120),
        ({"within": 0.2}, [-10, -10, -10], -12, -8),
        ({"max_rise": 0.05}, [0.1, 0.1, 0.2], None, 0.15),
        ({"max_rise": 1, "max_fall": 2}, [10, 10, 10], 8, 11),
        ({"robust_z": 2}, [1, 2, 3, 4, 5], 3 - 2 * 1.4826, 3 + 2 * 1.4826),
        ({"robust_z": 2, "within": 0.1}, [1, 2, 3, 4, 5], 2.7, 3.3),
    ],
)
def test_limits_follow_from_the_median_of_the_last_runs(details, values, low, high):
    found = limits_of(rule(metric="mean", **details), values)
    assert (found.low, found.high) == (
        low if low is None else pytest.approx(low),
        pytest.approx(high),
    )


def test_a_history_of_mostly_one_value_still_has_a_deviation():
    assert robust_deviation([5, 5, 5, 5]) == 0
    assert robust_deviation([5, 5, 5, 9]) == pytest.approx(1.2533)


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (100, "pass"),
        (120, "pass"),
        (121, "fail"),
        (None, "fail"),
        (float("nan"), "fail"),
        ("x", "fail"),
    ],
)
def test_a_run_is_judged_against_the_runs_before(observed, verdict):
    found = judge(observed, [100, 90, 110], metric="mean", within=0.2, severity="fail")
    assert found.verdict.value == verdict
    assert (found.kind, found.history.median, found.history.high) == ("as_usual", 100, 120)
    assert (found.remedy is None) == (verdict == "pass")


def test_too_little_history_is_unknown_whatever_the_severity():
    found = judge(1e9, [100, 90], metric="mean", within=0.2, severity="fail")
    assert found.verdict is Verdict.UNKNOWN
    assert found.note == "2 earlier runs over other data, 3 are needed"
    assert [one.value for one in found.history.values] == [100, 90]


def test_only_the_last_runs_count():
    assert judge(10, [1000, 1000, 10, 10, 10], metric="mean", within=0.1, runs=3).holds
    assert not judge(10, [1000, 1000, 10], metric="mean", within=0.1, runs=3).holds


def test_rules_are_measured_by_what_engines_know():
    rules = [
        bind(metric=metric, within=1)[0]
        for metric in ("row_count", "null_fraction", "distinct_count", "stddev")
    ]
    assert [one.rule.kind for one in measurable(rules)] == [
        "row_count",
        "null_fraction_between",
        "distinct_count_between",
        "stddev_between",
    ]
    assert [one.name for one in measurable(rules)] == [one.name for one in rules]


def test_a_suite_for_others_gets_the_bounds_of_the_history():
    rules = bind(metric="row_count", within=0.5)
    known, early = (
        judge(9, [10, 10, 12], metric="row_count", within=0.5),
        judge(9, [], metric="row_count", within=0.5),
    )
    assert [(one.rule.min, one.rule.max) for one in as_static(rules, [known])] == [(5, 15)]
    assert as_static(rules, [early]) == []


@pytest.mark.parametrize(
    "details",
    [{}, {"metric": "mean"}, {"metric": "mode", "within": 1}, {"metric": "mean", "within": -1},
     {"metric": "mean", "within": 1, "runs": 2}, {"metric": "mean", "within": 1, "severity": "drop"}],
)  # fmt: skip
def test_rules_that_say_nothing_are_refused(details):
    with pytest.raises(ValidationError):
        rule(**details)


def test_row_counts_belong_to_the_source():
    with pytest.raises(SpecError, match="belongs to the source"):
        bind_rules("t", {"a": [rule(metric="row_count", within=1)]})


def commits_of(days):
    """Commits of three steps over some deliveries: (rows, null share, digest)."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = {"ingest": [], "profile": [], "quality": []}
    for day, (rows, missing, digest) in enumerate(days):
        shared = {"created": start + timedelta(days=day), "run_id": f"r{day}"}
        key = f"i{day}"
        receipt = {"sources": {"t": {"digest": digest}}}
        found["ingest"].append({**shared, "stage_key": key, "inputs": {}, "result": receipt})
        column = {"name": "a b", "missing_share": missing, "numbers": {"mean": rows / 2.0}}
        told = {"name": "t", "rows": rows, "columns": [column]}
        inputs = {"inputs": {"ingest": key}, "stage_key": f"p{day}"}
        found["profile"].append({**shared, **inputs, "result": {"sources": [told]}})
        if day % 2:
            judged = {"source": "t", "rows": rows, "rules": []}
            found["quality"].append({**shared, **inputs, "result": {"sources": [judged]}})
    return found


def values_of(days, now, **details):
    commits = commits_of(days)
    run = SimpleNamespace(commits=commits.__getitem__, lineage=lambda: {"ingest": now})
    rules = bind(**details)
    return [one.value for one in past_values(run, "t", rules)[rules[0].name]]


def test_earlier_values_come_from_profiles_and_earlier_judgements():
    days = [(10, 0.1, "a"), (20, 0.2, "b"), (30, 0.3, "c"), (99, 0.9, "d")]
    assert values_of(days, "i3", metric="row_count", within=1) == [10, 20, 30]
    assert values_of(days, "i3", metric="null_fraction", max_rise=1) == [0.1, 0.2, 0.3]
    assert values_of(days, "i3", metric="mean", within=1) == [5, 10, 15]
    assert values_of(days, "i3", metric="distinct_count", within=1) == []


def test_data_that_was_looked_at_several_times_counts_once_and_never_against_itself():
    days = [(10, 0, "a"), (10, 0, "a"), (20, 0, "b"), (10, 0, "a"), (20, 0, "b")]
    assert values_of(days, "i4", metric="row_count", within=1) == [10]
    assert values_of(days, "i1", metric="row_count", within=1) == [20]
