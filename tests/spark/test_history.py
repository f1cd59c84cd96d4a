"""Rules that compare with earlier runs, over several deliveries of real files."""

from __future__ import annotations

import json

import pytest

from crisp_spark.flow import select_steps
from crisp_spark.run.runner import Runner
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from crisp_spark.tracking.memory import MemoryTracker

SPEC = """
version: 1
project: {name: p, workspace: work}
business: {mining_goal: {problem: clustering}}
data:
  sources:
    visits:
      kind: csv
      path: visits.csv
      columns:
        id: {type: int}
        "größe (m²)":
          type: double
          rules: [{as_usual: {metric: null_fraction, max_rise: 0.05, min_runs: 2, name: gaps}}]
      rules:
        - as_usual: {metric: row_count, within: 0.2, min_runs: 2, name: rows}
"""


def deliver(folder, rows, missing):
    lines = [f"{at},{'' if at < missing else at / 2}" for at in range(rows)]
    (folder / "visits.csv").write_text("\n".join(["id,größe (m²)", *lines]) + "\n")


@pytest.fixture
def run(tmp_path, spark, monkeypatch):
    (tmp_path / "crisp.yml").write_text(SPEC)
    monkeypatch.setattr(Runner, "session", spark)

    def once(rows, missing, **options):
        deliver(tmp_path, rows, missing)
        project = load_project(tmp_path / "crisp.yml")
        tracker = lambda _w, _r: MemoryTracker()  # noqa: E731
        runner = Runner(project, run_id=f"r{rows}-{missing}", tracker_factory=tracker, **options)
        runner.run(select_steps(only=["ingest", "quality"]))
        commit = Workspace(project).commits.current("quality")
        return {rule["name"]: rule for rule in commit.result["sources"][0]["rules"]}, commit

    return once


def test_each_delivery_is_compared_with_the_ones_before(run, tmp_path):
    first, commit = run(100, 0)
    assert {rule["verdict"] for rule in first.values()} == {"unknown"}
    suite = tmp_path / "work" / commit.files["expectations/visits.json"].key
    assert json.loads(suite.read_text())["expectations"] == []
    run(110, 2)
    usual, commit = run(90, 3)
    assert {name: rule["verdict"] for name, rule in usual.items()} == {
        "rows": "pass",
        "gaps": "pass",
    }
    assert usual["rows"]["history"]["median"] == 105
    assert [one["value"] for one in usual["rows"]["history"]["values"]] == [100, 110]
    suite = tmp_path / "work" / commit.files["expectations/visits.json"].key
    bounds = [one["kwargs"] for one in json.loads(suite.read_text())["expectations"]]
    assert bounds[1] == {"min_value": 84, "max_value": 126}
    broken, _ = run(60, 30)
    assert {name: rule["verdict"] for name, rule in broken.items()} == {
        "rows": "warn",
        "gaps": "warn",
    }
    assert broken["gaps"]["observed"] == 0.5
