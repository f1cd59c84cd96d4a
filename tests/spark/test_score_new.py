"""A folder that grows: each file is scored once, whatever happens in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.errors import DataError, StorageError
from crisp_spark.run import score_new as module
from crisp_spark.run.score_new import score_new
from tests.spark.test_score import batch, model, project_in, workspace_dir

__all__ = ["batch", "model", "workspace_dir"]


@pytest.fixture
def scoring(spark, batch, workspace_dir, tmp_path):
    """Put a day of rows below ``in``; score what is new there into ``out``."""

    class Scoring:
        inbox, out = tmp_path / "in", tmp_path / "out"

        def arrive(self, day, rows=batch):
            rows.coalesce(1).write.parquet(f"{self.inbox}/day={day}")

        def call(self, **more):
            place = {"input_path": str(self.inbox), "output_path": str(self.out)}
            return score_new(project_in(workspace_dir), **place, **more, spark=spark)

        def scored(self):
            return spark.read.parquet(f"{self.out}/batch=*/scored")

        def batches(self):
            return sorted(path.name for path in self.out.iterdir())

    return Scoring()


def test_each_file_is_scored_once_and_keeps_its_partition(scoring):
    scoring.arrive(1)
    first = scoring.call()
    assert (first.files, first.known, first.summary.rows_scored) == (1, 0, 3)
    scoring.arrive(2)
    second = scoring.call()
    assert (second.files, second.known, second.summary.rows_in) == (1, 1, 3)
    again = scoring.call()
    assert (again.summary, again.files, again.known) == (None, 0, 2)
    assert len(scoring.batches()) == 2
    days = scoring.scored().groupBy("day").count().collect()
    assert sorted(map(tuple, days)) == [("1", 3), ("2", 3)]


def test_a_batch_that_was_cut_off_is_made_anew(scoring, monkeypatch):
    scoring.arrive(1)
    with monkeypatch.context() as cut:
        cut.setattr(LocalObjects, "put_if_absent", lambda *_: False)
        scoring.call()
    (left,) = scoring.batches()
    assert (scoring.out / left / "scored").is_dir()
    assert not (scoring.out / left / "summary.json").exists()
    found = scoring.call()
    assert (found.files, found.summary.rows_scored) == (1, 3)
    assert scoring.batches() == [left]
    assert scoring.scored().count() == 3


def test_a_file_that_changed_after_it_was_scored_is_named(scoring):
    scoring.arrive(1)
    scoring.call()
    (file,) = scoring.inbox.glob("day=1/*.parquet")
    os.utime(file, (1, 1))
    with pytest.raises(DataError, match=rf"1 files have changed.*{file.name}"):
        scoring.call()
    assert len(scoring.batches()) == 1


def test_a_damaged_ledger_is_told(scoring):
    scoring.arrive(1)
    scoring.call()
    summary = scoring.out / scoring.batches()[0] / "summary.json"
    summary.write_text("{}")
    with pytest.raises(StorageError, match="does not say which files"):
        scoring.call()


def test_text_files_arrive_as_well(scoring):
    scoring.inbox.mkdir()
    (scoring.inbox / "ä [1].csv").write_text("id,größe.m,pages,hour\n1,1.5,3,9\n2,x,3,9\n")
    found = scoring.call(kind="csv")
    assert (found.summary.rows_scored, found.summary.rows_rejected) == (1, 1)
    assert scoring.call(kind="csv").files == 0


def test_the_job_says_what_it_did(spark, monkeypatch, capsys, tmp_path):
    from crisp_spark.run import job

    asked = {}

    def scored(project, **call):
        asked.update(call)
        return module.NewlyScored(None, 0, 7)

    monkeypatch.setattr(module, "score_new", scored)
    monkeypatch.setattr(job, "_load", lambda options: options.project)
    call = ["--project", "p", "--input", "in", "--output", "out", "--incremental", "--kind", "orc"]
    assert job.run_score_job(call) == 0
    assert json.loads(capsys.readouterr().out) == {"summary": None, "files": 0, "known": 7}
    assert asked == {"input_path": "in", "output_path": "out", "kind": "orc", "model": "decided"}


def test_a_job_without_a_model_ends_with_a_reason(tmp_path):
    from tests import tiny_project

    project = tiny_project.write(tmp_path)
    script = Path(__file__).parents[2] / "jobs" / "63_score.py"
    call = ["--project", str(project), "--input", str(tmp_path), "--output", str(tmp_path / "o")]
    done = subprocess.run(
        [sys.executable, str(script), *call], capture_output=True, text=True, check=False
    )
    assert done.returncode == 65, done.stderr
    assert "score: no model was deployed" in done.stderr
