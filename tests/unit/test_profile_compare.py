"""Two profiles compared; no JVM."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from crisp_spark.cli.main import main
from crisp_spark.engine.commits import Commit
from crisp_spark.reporting.profile_change_page import render_changes
from crisp_spark.results.profile import (
    ColumnProfile,
    Missingness,
    ProfileResult,
    SemanticType,
    TableProfile,
    ValueCount,
)
from crisp_spark.results.profile_changes import Change
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from crisp_spark.understanding.distributions import histogram_of, numbers_of
from crisp_spark.understanding.profile_compare import compare_profiles, compare_tables

ROWS = 5000


def numeric(name, values, *, kind="double", missing=0.0, **more):
    values = np.asarray(values, dtype=float)
    found, counts = np.unique(values, return_counts=True)
    return ColumnProfile(
        name=name, type=kind, semantic=SemanticType.NUMERIC, missing=round(missing * ROWS), missing_share=missing,
        distinct=len(found), distinct_exact=True, min=float(values.min()), max=float(values.max()),
        numbers=numbers_of(found, counts), histogram=histogram_of(found, counts), **more,
    )  # fmt: skip


def category(name, shares, *, distinct=None, **more):
    top = tuple(ValueCount(value=v, rows=round(s * ROWS), share=s) for v, s in shares.items())
    return ColumnProfile(
        name=name, type="string", semantic=SemanticType.CATEGORY, missing=0, missing_share=0,
        distinct=distinct or len(top), distinct_exact=True, top_values=top, **more,
    )  # fmt: skip


def table(*columns, name="t", rows=ROWS):
    return TableProfile(
        name=name, rows=rows, columns=columns, duplicated_rows=0, missingness=Missingness(complete_rows=rows),
        sample_rows=rows, scans=1,
    )  # fmt: skip


def compared(old, new):
    return compare_tables(table(old), table(new)).columns[0]


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(7).normal(size=ROWS)


def test_equal_profiles_have_not_changed(normal):
    found = compared(numeric("a", normal), numeric("a", normal))
    assert (found.change, found.psi, found.ks, found.reasons) == (Change.SAME, 0, 0, ())


@pytest.mark.parametrize(
    ("shift", "change"), [(0.05, Change.SAME), (0.4, Change.MOVED), (1.0, Change.DRIFTED)]
)
def test_a_shift_is_seen_as_what_it_is(normal, shift, change):
    found = compared(numeric("a", normal), numeric("a", normal + shift))
    assert found.change is change
    # Psi of two normals one apart is shift squared, in the limit of many groups.
    assert found.psi == pytest.approx(shift**2, rel=0.25, abs=0.01)
    exact = (
        np.abs(
            np.searchsorted(np.sort(normal), normal)
            - np.searchsorted(np.sort(normal + shift), normal)
        ).max()
        / ROWS
    )
    assert abs(found.ks - exact) <= found.ks_error


def test_missing_values_and_types_count_too(normal):
    assert compared(numeric("a", normal), numeric("a", normal, missing=0.06)).change is Change.MOVED
    gone = compared(numeric("a", normal), numeric("a", normal, missing=0.3))
    assert gone.change is Change.DRIFTED
    assert gone.reasons == ("missing values went from 0.0% to 30.0%",)
    other = compared(numeric("a", normal), numeric("a", normal, kind="float"))
    assert (other.change, other.types.before, other.types.after) == (Change.TYPE, "double", "float")


def test_values_that_come_and_go_are_named():
    found = compared(category("c", {"x": 0.5, "y": 0.5}), category("c", {"x": 0.5, "z": 0.5}))
    assert (found.new_values, found.lost_values) == (("z",), ("y",))
    assert found.total_variation == pytest.approx(0.5)
    assert found.change is Change.DRIFTED


def test_of_a_list_that_is_cut_off_nothing_is_said_to_be_new():
    found = compared(
        category("c", {"x": 0.5, "y": 0.1}, distinct=99), category("c", {"x": 0.5, "z": 0.5})
    )
    assert found.new_values == ()
    assert found.lost_values == ("y",)


def test_of_personal_data_and_empty_tables_no_distribution_is_told(normal):
    hidden = compared(category("c", {"x**": 1.0}, pii=True), category("c", {"y**": 1.0}, pii=True))
    assert (hidden.psi, hidden.new_values) == (None, ())
    nothing = numeric("a", normal).model_copy(update={"histogram": ()})
    empty = compare_tables(table(numeric("a", normal)), table(nothing, rows=0))
    assert empty.columns[0].psi is None


def test_one_place_that_spreads_is_a_drift(normal):
    assert compared(numeric("a", np.zeros(ROWS)), numeric("a", normal)).change is Change.DRIFTED
    assert compared(numeric("a", np.zeros(ROWS)), numeric("a", np.zeros(ROWS))).psi == 0


def test_columns_and_sources_that_come_and_go_are_named(normal):
    a, b = numeric("a", normal), numeric("b", normal)
    found = compare_tables(table(a, b), table(numeric("c", normal), a))
    assert {one.name: one.change for one in found.columns} == {
        "a": Change.SAME, "b": Change.REMOVED, "c": Change.ADDED,
    }  # fmt: skip
    assert not found.reordered
    assert compare_tables(table(a, b), table(b, a)).reordered
    before = ProfileResult(sources=(table(a), table(a, name="old")))
    both = compare_profiles(before, ProfileResult(sources=(table(a), table(a, name="new"))))
    assert (both.added, both.removed) == (("new",), ("old",))


SPEC = """
version: 1
project: {name: p, workspace: work}
business: {mining_goal: {problem: clustering}}
data: {sources: {t: {kind: csv, path: x.csv}}}
"""


def test_the_command_compares_runs_and_writes_a_page(tmp_path, monkeypatch, capsys, normal):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crisp.yml").write_text(SPEC)
    workspace = Workspace(load_project(tmp_path / "crisp.yml"))
    for run, shift in (("r1", 0.0), ("r2", 2.0)):
        result = ProfileResult(sources=(table(numeric("<b>ä", normal + shift)),))
        commit = workspace.commits.publish(
            Commit(
                step="profile", stage_key=run, run_id=run, created=datetime.now(UTC), seconds=1,
                result=json.loads(result.model_dump_json()),
            )
        )  # fmt: skip
        workspace.pin(run, commit)
    assert main(["profile", "compare", "r1", "--html", "p.html", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["after"], found["sources"][0]["columns"][0]["change"]) == ("r2", "drifted")
    page = (tmp_path / "p.html").read_text()
    assert "&lt;b&gt;ä" in page
    assert "<b>ä" not in page
    assert main(["profile", "compare", "r1", "r2"]) == 0
    assert "drifted" in capsys.readouterr().out
    assert main(["profile", "compare", "nope"]) == 64
    assert "r1, r2" in capsys.readouterr().err


def test_a_page_of_no_change_says_so(normal):
    both = ProfileResult(sources=(table(numeric("a", normal)),))
    page = render_changes(compare_profiles(both, both, runs=("x", "y")), "p")
    assert "Every column is as before" in page
