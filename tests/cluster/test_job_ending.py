"""SIGTERM, as EMR sends it, closes a job's MLflow runs and leaves a record of the failure."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import mlflow

from tests import tiny_project

JOB = """
import sys, time
from pathlib import Path
from crisp_spark.run import wiring
from crisp_spark.run.steps import business

def slow(step):
    Path({mark!r}).touch()
    try:
        time.sleep(60)
    except Exception:  # a step that goes on after errors of its parts must end all the same
        time.sleep(60)

business.charter = slow
from crisp_spark.run.job import run_job
sys.exit(run_job("charter"))
"""


def test_a_job_that_is_told_to_end_closes_its_records(tmp_path):
    project = tiny_project.write(tmp_path / "project")
    mark = tmp_path / "running"
    job = tmp_path / "job.py"
    job.write_text(textwrap.dedent(JOB.format(mark=str(mark))))
    command = [sys.executable, str(job), "--project", str(project), "--run-id", "r1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not mark.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 143, said.decode()[-2000:]

    workspace = Path(next(path for path in tmp_path.rglob("runs") if path.is_dir())).parent
    (record,) = (workspace / "runs" / "r1").glob("failure-charter-*.json")
    failure = json.loads(record.read_text())
    assert failure["kind"] == "TerminatedBySignal"
    assert "SIGTERM" in failure["message"]

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{workspace / 'mlflow.db'}")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert len(runs) == 2
    assert {one.info.status for one in runs} == {"FAILED"}
    step = next(one for one in runs if one.data.tags["crisp.level"] == "step")
    assert "SIGTERM" in step.data.tags["crisp.error"]
