"""Profiles that add up: parts tell what the whole tells, within the bounds they state."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from crisp_spark.flow import select_steps
from crisp_spark.run.runner import Runner
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.data import ColumnSpec
from crisp_spark.spec.load import load_project
from crisp_spark.tracking.memory import MemoryTracker
from crisp_spark.understanding.profile_merged import profile_of
from crisp_spark.understanding.profile_state import (
    DISTINCT_ERROR,
    VALUE_ERROR,
    estimated,
    measure_state,
    merge_states,
)

NAN, INF = float("nan"), float("inf")
SCHEMA = "`a.b ü` double, n int, t string, d date, ok boolean, gone double, tags array<int>"


def rows(count):
    rng = np.random.default_rng(3)
    values = [float(v) for v in np.exp(rng.normal(size=count) * 3) * rng.choice([-1, 1], count)]
    values[:6] = [NAN, INF, -INF, 0.0, -0.0, 1e-300]
    for at, value in enumerate(values):
        text = None if at % 7 == 0 else f" ä{at % 900}"
        day = None if at % 5 == 0 else date(2020, 1, 1 + at % 28)
        yield (value, at % 50, text, day, at % 2 == 0, None, [at])


@pytest.fixture(scope="module")
def states(spark_session):
    content = list(rows(3000))
    whole = spark_session.createDataFrame(content, SCHEMA)
    cuts = [(0, 1000), (1000, 1001), (1001, 1001), (1001, 3000)]
    parts = [
        measure_state(spark_session.createDataFrame(content[a:b], SCHEMA), "t", {f"{a}-{b}": "x"})
        for a, b in cuts
    ]
    merged = estimated(merge_states(parts), spark_session)
    return estimated(measure_state(whole, "t"), spark_session), merged, content


def test_parts_add_up_to_the_whole(states):
    whole, merged, _ = states
    assert (merged.rows, len(merged.files)) == (3000, 4)
    for one, two in zip(whole.columns, merged.columns, strict=True):
        floats = ("mean", "m2", "m3", "m4")
        exact = {key: value for key, value in one if key not in {*floats, "sketch", "distinct"}}
        assert exact == {key: getattr(two, key) for key in exact}
        for key in floats:
            assert getattr(two, key) == pytest.approx(getattr(one, key), rel=1e-9, abs=1e-9)
        if one.distinct is not None:
            assert two.distinct == pytest.approx(one.distinct, rel=3 * DISTINCT_ERROR)


def test_what_merged_parts_tell_lies_within_the_stated_errors(states):
    _, merged, content = states
    profile = profile_of(merged, {"t": ColumnSpec(pii=True)})
    number = profile.column("a.b ü")
    values = np.sort([row[0] for row in content if math.isfinite(row[0])])
    for probability, value in number.numbers.quantiles.items():
        exact = values[max(1, math.ceil(float(probability) * len(values) - 1e-9)) - 1]
        assert value == pytest.approx(exact, rel=VALUE_ERROR * 1.0001, abs=1e-12)
    assert number.numbers.mean == pytest.approx(values.mean())
    assert number.numbers.std == pytest.approx(values.std(ddof=1))
    counts = (number.numbers.nans, number.numbers.positive_infinities, number.numbers.zeros)
    assert counts == (1, 1, 2)
    assert sum(one.rows for one in number.histogram) == len(values)
    hidden = profile.column("t")
    assert (hidden.missing, hidden.pii) == (429, True)
    assert "ä" not in str(hidden.min)
    assert hidden.texts.padded == 3000 - 429
    assert profile.column("gone").semantic.value == "empty"
    assert profile.column("d").min == "2020-01-01"


def test_states_of_another_schema_or_of_the_same_file_do_not_add_up(states, spark):
    _, merged, _ = states
    with pytest.raises(ValueError, match="measured twice"):
        merge_states([merged, merged])
    other = measure_state(spark.createDataFrame([(1,)], "n int"), "t")
    with pytest.raises(ValueError, match="columns of t changed"):
        merge_states([merged, other])


SPEC = """
version: 1
project: {name: p, workspace: work}
business: {mining_goal: {problem: clustering}}
data:
  sources:
    visits: {kind: csv, path: "*.csv", profile: incremental, columns: {id: {type: int}, x: {type: double}}}
"""


def test_a_new_file_is_added_and_a_changed_one_measured_anew(tmp_path, spark, monkeypatch):
    (tmp_path / "crisp.yml").write_text(SPEC)
    monkeypatch.setattr(Runner, "session", spark)
    files = {"a.csv": range(60), "b.csv": range(60, 100), "c.csv": range(5)}

    def run(name, **options):
        lines = [f"{at},{at / 2}" for at in files[name]]
        (tmp_path / options.get("to", name)).write_text("\n".join(["id,x", *lines]) + "\n")
        project = load_project(tmp_path / "crisp.yml")
        tracker = lambda _w, _r: MemoryTracker()  # noqa: E731
        Runner(project, run_id=name, tracker_factory=tracker).run(
            select_steps(only=["ingest", "profile"])
        )
        (source,) = Workspace(project).commits.current("profile").result["sources"]
        return source

    assert run("a.csv")["notes"][0].endswith("1 files, all measured in this run")
    both = run("b.csv")
    assert both["notes"][0].endswith("1 files measured before, 1 new")
    assert (both["rows"], both["columns"][1]["numbers"]["mean"]) == (100, 24.75)
    changed = run("c.csv", to="a.csv")
    assert changed["notes"][0].endswith("2 files, all measured in this run")
    assert changed["rows"] == 45
