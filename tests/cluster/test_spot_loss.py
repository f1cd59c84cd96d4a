"""Executors of a real (local) cluster are killed while the flow runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from crisp_spark.aws.emr.settings import SURVIVAL
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from tests import tiny_project
from tests.cluster import eventlog
from tests.cluster.flowrun import STEPS, FlowRun
from tests.cluster.losses import Losses
from tests.cluster.yarn.daemons import kill

pytestmark = pytest.mark.cluster_long
HOME = Path(pyspark.__file__).parent
MARK = "CRISP_TEST_CLUSTER"
LIMIT = 900


def executors(mark: str) -> list[int]:
    """Return the executors (not their Python workers) of the cluster that bears a mark."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if (
                process.name.isdigit()
                and f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
                and b"CoarseGrainedExecutorBackend" in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def test_killed_executors_change_nothing_that_is_published(code_zip, jobs, tmp_path):
    project = tiny_project.write(tmp_path / "project")
    losses = Losses("local-cluster[2,1,1024]", tmp_path / "events")
    losses.events.mkdir()
    settings = {
        **SURVIVAL,
        **eventlog.SETTINGS,
        "spark.eventLog.dir": losses.events.as_uri(),
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "640m",
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    command = [str(HOME / "bin" / "spark-submit"), "--master", "local-cluster[2,1,1024]"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--py-files", str(code_zip), str(jobs / "run.py")]
    command += ["--project", project.as_uri(), "--run-id", "r1", "--steps", ",".join(STEPS)]
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHONPATH", "COV_", "COVERAGE"))
        },
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(tmp_path / "work"),
        "LC_ALL": "C.UTF-8",
        MARK: str(tmp_path),
    }
    log = tmp_path / "client.log"
    with log.open("wb") as out:
        client = subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path, env=environment)
    run = FlowRun(Workspace(load_project(project)).objects, "r1", lambda: client.poll() is None)
    for step in ("quality", "merge"):
        run.wait_until_in(step, delay=1)
        losses.note(step, "kill -9 of an executor")
        assert kill(executors(str(tmp_path))[:1]) == 1
    run.wait_for_trials(1)
    finished = run.trials()
    losses.note("sweep", "kill -9 of both executors")
    assert kill(executors(str(tmp_path))) == 2
    assert client.wait(LIMIT) == 0, log.read_text(errors="replace")[-4000:]
    run.assert_same_as_undisturbed()
    run.assert_no_finished_trial_was_fitted_again(finished)
    for loss in losses.report():
        assert loss.noticed is not None
        assert loss.replaced is not None
