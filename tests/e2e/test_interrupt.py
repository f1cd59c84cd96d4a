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


WAITING = """
import os, signal, threading, time
from crisp_spark.engine.session import build_session

spark = build_session("interrupted", master="local[2]")
jvm = spark.sparkContext._jvm
other = []

def ask_on_a_connection_of_its_own():
    jvm.java.lang.Thread.sleep(4000)
    other.append(jvm.java.lang.Math.abs(-7))

asking = threading.Thread(target=ask_on_a_connection_of_its_own)
asking.start()
for wait in (0.5, 2.0):
    spark.range(3).count()
    threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        spark.sparkContext.parallelize([120, 120], 2).map(time.sleep).collect()
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - began < 60)
    while spark.sparkContext.statusTracker().getActiveJobsIds():
        time.sleep(0.1)
asking.join()
print("other thread", other)
print("rows", spark.range(5).count())
spark.stop()
"""


def test_interrupt_while_the_jvm_answers_leaves_a_session_that_works():
    # Spark's own handler calls the JVM on the connection that is in use, which breaks it; and
    # py4j's cleaning up closes the connections of all threads.
    said = _run(WAITING)
    assert said == ["interrupted True", "interrupted True", "other thread [7]", "rows 5"]


TERMINATED = """
import os, signal, threading
from crisp_spark.engine.session import build_session
from crisp_spark.run.ending import TerminatedBySignal, terminated_as_error

spark = build_session("terminated", master="local[2]")
jvm = spark.sparkContext._jvm
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    with terminated_as_error():
        jvm.java.lang.Thread.sleep(3000)
except TerminatedBySignal as ended:
    # Records are closed here; what they ask must not get the answer that was still to come.
    print("asked", jvm.java.lang.Math.abs(-7), ended.code)
spark.stop()
"""


def test_after_sigterm_the_jvm_answers_what_was_asked():
    assert _run(TERMINATED) == ["asked 7 143"]


SIDE_BY_SIDE = """
import os, signal, threading, time
from crisp_spark.engine.session import build_session
from crisp_spark.understanding.side_by_side import side_by_side

spark = build_session("side by side", master="local[2]")
spark.range(3).count()
begun = []

def queries():
    # Between two queries when the interrupt comes: its first job is not there to be cancelled.
    time.sleep(2)
    begun.append(time.monotonic())
    spark.sparkContext.parallelize([120], 1).map(time.sleep).collect()

threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    side_by_side(spark, queries, queries)
except KeyboardInterrupt:
    print("interrupted", len(begun), time.monotonic() - began < 60)
spark.stop()
"""


def test_what_begins_after_the_interrupt_is_cancelled_too():
    assert _run(SIDE_BY_SIDE) == ["interrupted 2 True"]


def _run(script: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=90, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()
