"""A sweep whose driver is killed (SIGKILL) at ten random moments, and goes on each time."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crisp_spark.run.status import result_of
from crisp_spark.spec.load import load_project
from tests import tiny_project

KILLS = 10
GRID = "modeling.families=" + json.dumps(
    [
        {
            "kind": "logistic_regression",
            "params": {
                "regParam": [0.0001, 0.001, 0.01, 0.03, 0.1, 0.3],
                "elasticNetParam": [0.0, 1.0],
            },
        },
        {
            "kind": "decision_tree",
            "params": {"maxDepth": [2, 3, 4], "minInstancesPerNode": [1, 5, 20]},
        },
    ]
)
RUN = """
import os, signal, sys, threading, time
from pathlib import Path
from crisp_spark.run.runner import run_flow
from crisp_spark.flow import select_steps
from crisp_spark.spec.load import load_project

delay, project, grid, *steps = sys.argv[1:]
journal = Path(project).parent / "workspace" / "journal"

def kill():
    # At a random moment after this process has recorded a trial: each life gets a little further.
    before = len(list(journal.rglob("*.json")))
    while len(list(journal.rglob("*.json"))) == before:
        time.sleep(0.05)
    time.sleep(float(delay))
    os.kill(os.getpid(), signal.SIGKILL)

if float(delay):
    threading.Thread(target=kill, daemon=True).start()
run_flow(load_project(project, overrides=[grid]), select_steps(only=steps))
"""
BEFORE = ("charter", "ingest", "profile", "quality", "clean", "merge", "derive", "split")


def run(project: Path, *steps: str, delay: float = 0.0) -> subprocess.CompletedProcess:
    call = [sys.executable, "-c", RUN, str(delay), str(project), GRID, *steps]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def sweep_of(project: Path):
    return result_of(load_project(project, overrides=[GRID]), "sweep")


def journal(project: Path) -> dict[str, dict]:
    files = (project.parent / "workspace" / "journal").rglob("*.json")
    return {file.stem: json.loads(file.read_text())["entry"] for file in files}


@pytest.mark.long
def test_ten_kills_cost_no_finished_trial(tmp_path):
    project = tiny_project.write(tmp_path / "killed")
    assert run(project, *BEFORE).returncode == 0
    shutil.copytree(tmp_path / "killed", tmp_path / "calm")
    calm = tmp_path / "calm" / project.name
    done = run(calm, "sweep")
    assert done.returncode == 0, done.stderr
    expected = sweep_of(calm)

    chance = random.Random(20261126)
    known: dict[str, dict] = {}
    for number in range(KILLS):
        ended = run(project, "sweep", delay=chance.uniform(0.01, 3.0))
        assert ended.returncode == -signal.SIGKILL, (number, ended.stderr[-2000:])
        now = journal(project)
        # What had been recorded stands as it was: no finished trial was fitted again.
        assert {key: now[key] for key in known} == known
        known = now
    finished = [entry for entry in known.values() if entry["status"] == "finished"]
    assert finished
    done = run(project, "sweep")
    assert done.returncode == 0, done.stderr
    found = sweep_of(project)

    def figures(result):
        return {t.name: t.metric for t in result.trials}

    assert {t.status for t in found.trials} == {"finished"}
    assert figures(found) == pytest.approx(figures(expected), abs=1e-9)
    assert found.winner.trial == expected.winner.trial
    started = {trial.name: trial.started_ms for trial in found.trials}
    resumed = {trial.name for trial in found.trials if trial.resumed}
    assert resumed == {entry["name"] for entry in finished}
    assert all(started[entry["name"]] == entry["started_ms"] for entry in finished)
