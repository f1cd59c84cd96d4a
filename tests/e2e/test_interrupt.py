"""Ctrl-C in the middle of a run, as a terminal sends it: to every process of the group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from tests import tiny_project

CRISP = (sys.executable, "-m", "crisp_spark")


def test_interrupted_run_says_how_to_go_on_and_leaves_no_process(tmp_path):
    project = tiny_project.write(tmp_path)
    with subprocess.Popen(
        [*CRISP, "run", "--to", "ingest", "--project", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        said = ""
        while "charter" not in said:
            line = running.stdout.readline()
            assert line, f"ended before the first step was done: {said}"
            said += line
        # Spark is starting, or reads the files: no moment is a bad one.
        time.sleep(3)
        os.killpg(running.pid, signal.SIGINT)
        rest, _ = running.communicate(timeout=60)
        said += rest
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert "crisp run" in said
    told = subprocess.run(
        [*CRISP, "status", "--json", "--project", str(project)],
        capture_output=True,
        text=True,
        check=True,
    )
    states = {step["step"]: step["state"] for step in json.loads(told.stdout)}
    assert states["charter"] == "current"
    assert states["ingest"] != "current"
