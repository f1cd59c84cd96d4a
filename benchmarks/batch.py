"""Batch scoring in bounded memory: `crisp score` on the flights project, more and more rows.

Takes a project whose flow has run (make demo), repeats the rows of its test split, and scores them
by `crisp score` in a process of its own, with a fixed heap. Prints rows, seconds and the largest
resident memory of the whole process tree by size, and ends with one JSON line.

    .venv/bin/python benchmarks/batch.py [CRISP_YML] [--rows 100000,1000000,10000000] [--heap 1g]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring import resident_mb


def input_rows(project_file: Path, rows: int, folder: str) -> None:
    """Write so many merged rows: those of the test split, again and again."""
    from pyspark.sql import functions as F

    from crisp_spark.engine import tables
    from crisp_spark.engine.session import build_session
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.spec.load import load_project

    session = build_session("bench-batch", master="local[2]")
    workspace = Workspace(load_project(project_file))
    test = tables.read_table(
        workspace.objects, session, workspace.commits.current("split").tables["test"]
    )
    names = [name for name in test.columns if not name.startswith("_crisp")]
    some = test.select(*names).cache()
    copies = -(-rows // some.count())
    times = session.range(copies).select(F.col("id").alias("_copy"))
    some.crossJoin(times).drop("_copy").limit(rows).repartition(16).write.parquet(folder)
    session.stop()


def scored(project_file: Path, folder: str, output: str, heap: str) -> dict[str, float]:
    """Score in a new process; seconds, largest memory, rows."""
    command = [
        *(sys.executable, "-m", "crisp_spark", "score", folder, "--output", output),
        *("--project", str(project_file), "--model", "candidate", "--kind", "parquet", "--json"),
        *("--set", f"targets.dev.compute.conf={json.dumps({'spark.driver.memory': heap})}"),
    ]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        peak = [0.0]

        def watch() -> None:
            while running.poll() is None:
                peak[0] = max(peak[0], resident_mb(running.pid))
                time.sleep(0.5)

        watcher = threading.Thread(target=watch)
        watcher.start()
        said, _ = running.communicate()
        watcher.join()
    if running.returncode:
        sys.exit(f"crisp score ended with {running.returncode}")
    told = json.loads(said)
    if told["rows_in"] != told["rows_scored"] + told["rows_rejected"]:
        sys.exit(f"rows were lost: {said}")
    return {
        "rows": told["rows_in"],
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_mb": round(peak[0]),
    }


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("project", nargs="?", type=Path, default=Path("demo/crisp.yml"))
    asked.add_argument("--rows", default="100000,1000000,10000000")
    asked.add_argument("--heap", default="1g")
    options = asked.parse_args()
    if not options.project.exists():
        sys.exit(f"{options.project}: run the flow first (make demo), or name a project file")
    found = []
    for rows in map(int, options.rows.split(",")):
        with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
            making = [sys.executable, __file__, "--make", str(options.project), str(rows)]
            subprocess.run([*making, f"{folder}/rows"], check=True)
            found.append(
                scored(options.project, f"{folder}/rows", f"{folder}/scores", options.heap)
            )
        print(json.dumps(found[-1] | {"load": round(os.getloadavg()[0], 1)}), flush=True)
    print(json.dumps({"heap": options.heap, "cores": os.cpu_count(), "runs": found}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        input_rows(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main()
