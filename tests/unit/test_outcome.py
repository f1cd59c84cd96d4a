from __future__ import annotations

import json

import pytest

from crisp_spark.errors import DataError, TrackingError
from crisp_spark.run.job import run_job
from crisp_spark.run.outcome import was_lost, with_outcome
from crisp_spark.run.runner import RunSummary, StepEvent
from crisp_spark.spec.load import load_project
from tests import tiny_project


@pytest.fixture
def project(tmp_path):
    return load_project(tiny_project.write(tmp_path), environ={})


def word(project, name: str) -> dict:
    file = project.project_dir / "workspace" / "runs" / "r1" / "outcomes" / f"{name}.json"
    return json.loads(file.read_text())


def test_decision_is_left_for_the_state_machine(project):
    events = (
        StepEvent("evaluate", "done", result={"decision": "no"}),
        StepEvent("decide", "skipped", result={"decision": "iterate"}),
    )
    with_outcome(project, "r1", "decide-1", lambda: RunSummary("r1", events))
    assert word(project, "decide-1") == {"exit_code": 0, "lost": False, "decision": "iterate"}


def failing(error: BaseException):
    def work():
        raise error

    return work


def test_failure_is_left_with_exit_code_and_raised(project):
    with pytest.raises(DataError):
        with_outcome(project, "r1", "sweep-1", failing(DataError("data: no rows")))
    found = word(project, "sweep-1")
    assert (found["exit_code"], found["lost"], found["kind"]) == (65, False, "DataError")


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (TrackingError("mlflow: no answer"), True),
        (SystemExit(143), True),
        (
            RuntimeError("ExecutorLostFailure (executor 3): Container released on a *lost* node"),
            True,
        ),
        (RuntimeError("Job cancelled because SparkContext was shut down"), True),
        (RuntimeError("ExecutorLostFailure: Container killed for exceeding memory limits"), False),
        (RuntimeError("java.lang.OutOfMemoryError in ExecutorLostFailure"), False),
        (ValueError("a mistake"), False),
        (DataError("data: no rows"), False),
    ],
)
def test_only_machines_that_went_away_count_as_lost(error, lost):
    assert was_lost(error) is lost


def test_cause_behind_an_error_counts():
    error = DataError("ingest: cannot read")
    error.__cause__ = RuntimeError("FetchFailed(BlockManagerId(7))")
    assert was_lost(error)


def test_job_leaves_its_word_when_asked(project):
    code = run_job(
        None,
        [
            "--project",
            str(project.path),
            "--run-id",
            "r1",
            "--steps",
            "charter",
            "--outcome",
            "prepare-1",
        ],
    )
    assert code == 0
    assert word(project, "prepare-1") == {"exit_code": 0, "lost": False, "decision": "none"}
