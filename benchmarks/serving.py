"""Scoring without Spark against MLflow's Spark flavour, ONNX Runtime and a bare product.

Takes a project whose flow has run (the flights example unless a project file is given), exports its
newest candidate with the comparison against Spark, and measures in fresh processes: cold start to
the first answer, resident memory, one row, 1,000 rows; then the same row by MLflow's pyfunc with
Spark, and one NumPy dot product as the floor. The estimator alone, on assembled vectors, is timed
in NumPy and in ONNX Runtime (one thread), both with the answers of the whole pipeline left out.
The package of a Lambda function is made and weighed, and the HTTP endpoint is asked by 1, 8 and 64
clients at once. Ends with ONE JSON line; what could not be measured is null, and said on stderr.

    .venv/bin/python benchmarks/serving.py [CRISP_YML]
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import serving_load

REPEATS = 5
ROWS = 1000
LOAD_SECONDS = 5.0
BATCH = 100

COLD = """
import time; begun = time.perf_counter(); cpu = time.process_time()
import json, sys
from crisp_spark.serving import load_bundle
bundle = load_bundle(sys.argv[1])
row = json.load(open(sys.argv[2]))[:1]
bundle.score(row)
def peak():  # getrusage would count the process that started this one
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
print(json.dumps({"wall": time.perf_counter() - begun, "cpu": time.process_time() - cpu,
    "rss": peak()}))
"""

ONNX = """
import time; begun = time.perf_counter(); cpu = time.process_time()
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
vectors = np.load(sys.argv[2])
def ask(x):
    return session.run(["score", "prediction"], {sys.argv[3]: x})
ask(vectors[:1])
first, used = time.perf_counter() - begun, time.process_time() - cpu
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
one, many = [], []
for at in range(2000):
    row = vectors[at % len(vectors)][None, :]
    begun = time.perf_counter(); ask(row); one.append(time.perf_counter() - begun)
for _ in range(20):
    begun = time.perf_counter(); ask(vectors); many.append(time.perf_counter() - begun)
import json, statistics
print(json.dumps({"onnx_cold_start_s": round(first, 3), "onnx_cold_start_cpu_s": round(used, 3),
    "onnx_rss_mb": round(peak, 1),
    "onnx_estimator_row_ms": round(statistics.median(one) * 1000, 4),
    "onnx_estimator_thousand_rows_ms": round(statistics.median(many) * 1000, 4)}))
"""

SPARK = """
import time; begun = time.perf_counter()
import json, os, sys
from crisp_spark.engine.session import build_session
import pandas as pd
session = build_session("bench", master="local[1]")
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.DataFrame(json.load(open(sys.argv[2])))
for name in json.loads(sys.argv[3]):
    rows[name] = pd.to_datetime(rows[name])
model.predict(rows[:1])
first, spent = time.perf_counter() - begun, []
for at in range(int(sys.argv[4])):
    begun = time.perf_counter()
    model.predict(rows[at:at + 1])
    spent.append(time.perf_counter() - begun)
def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
jvm = int(session.sparkContext._jvm.ProcessHandle.current().pid())
print(json.dumps({"first": first, "rows": spent, "rss": resident(os.getpid()) + resident(jvm)}))
"""


def python(code: str, *arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def exported(project_file: Path, folder: Path) -> dict:
    """Export the newest candidate; returns where things lie and what the comparison found."""
    import mlflow.spark
    from candidate import newest

    from crisp_spark.deployment.portable_parity import held_rows
    from crisp_spark.engine.session import build_session
    from crisp_spark.run.portable import make_portable

    session = build_session("bench", master="local[2]")
    name, pipeline, contract, held = newest(project_file, session)
    begun = time.perf_counter()
    made = make_portable(pipeline, contract, held, rows=10 * ROWS)
    seconds = time.perf_counter() - begun
    (folder / "model.crisp.zip").write_bytes(made.packed(name, "1"))
    rows = held_rows(held, contract.inputs, most=ROWS)
    (folder / "rows.json").write_text(json.dumps(rows, default=str))
    mlflow.spark.save_model(
        pipeline,
        str(folder / "mlflow"),
        pip_requirements=["pyspark"],
        dfs_tmpdir=str(folder / "tmp"),
    )
    moments = [i.name for i in contract.inputs if i.type.startswith("timestamp")]
    learner = type(pipeline.stages[-1]).__name__
    session.stop()
    return {"parity": made.parity, "export_s": seconds, "moments": moments, "learner": learner}


def warm(folder: Path) -> dict:
    """Time one row and many in this process, and the floor: one product of two vectors."""
    import numpy as np

    from crisp_spark.serving import load_bundle

    bundle = load_bundle(folder / "model.crisp.zip")
    rows = json.loads((folder / "rows.json").read_text())
    rows = (rows * (ROWS // len(rows) + 1))[:ROWS]
    one, many, floor = [], [], []
    vector = np.ones(100)
    for at in range(2000):
        begun = time.perf_counter()
        bundle.score(rows[at % ROWS : at % ROWS + 1])
        one.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        vector @ vector
        floor.append(time.perf_counter() - begun)
    for _ in range(REPEATS):
        begun = time.perf_counter()
        bundle.score(rows)
        many.append(time.perf_counter() - begun)
    return {
        "row_ms": statistics.median(one) * 1000,
        "row_min_ms": min(one) * 1000,
        "thousand_rows_ms": statistics.median(many) * 1000,
        "dot_ms": statistics.median(floor) * 1000,
    }


def estimators(folder: Path) -> dict:
    """Time the estimator alone, on assembled vectors: NumPy here, ONNX Runtime in its own process.

    Raises:
        NotPortableError: The estimator has no counterpart in ONNX.
        EnvironmentFaultError: The extra is not installed.
    """
    import numpy as np

    from crisp_spark.run.portable_onnx import make_onnx
    from crisp_spark.serving import files, load_bundle
    from crisp_spark.serving.batch import Batch, Layout
    from crisp_spark.serving.bundle import STAGES
    from crisp_spark.serving.columns import Frame

    content = (folder / "model.crisp.zip").read_bytes()
    rows = json.loads((folder / "rows.json").read_text())
    made = make_onnx(content, rows)
    (folder / "model.onnx").write_bytes(made.content)
    (name,) = made.inputs
    vectors = load_bundle(content).columns(rows, [name])[1][name]
    vectors = np.tile(vectors, (ROWS // len(vectors) + 1, 1))[:ROWS]
    np.save(folder / "vectors.npy", vectors)

    description, arrays, _ = files.unpack(content)
    spec, layout = description["stages"][-1], Layout()
    layout.vector(name, vectors.shape[1])
    stage = STAGES[spec["kind"]](spec, arrays, layout)

    def seconds(x: np.ndarray) -> float:
        batch = Batch(Frame([[None] * layout.room for _ in x]), {name: x})
        with np.errstate(all="ignore"):
            begun = time.perf_counter()
            stage(batch)
            return time.perf_counter() - begun

    one = [seconds(vectors[at % ROWS][None, :]) for at in range(2000)]
    many = [seconds(vectors) for _ in range(20)]
    return {
        "estimator_row_ms": round(statistics.median(one) * 1000, 4),
        "estimator_thousand_rows_ms": round(statistics.median(many) * 1000, 4),
        **python(ONNX, str(folder / "model.onnx"), str(folder / "vectors.npy"), name),
        "onnx_bytes": len(made.content),
        "onnx_max_abs_difference": made.parity.max_abs_difference,
    }


def lambda_package(folder: Path) -> dict:
    """Make the package of a function, as `crisp deploy --to lambda` does, and weigh it.

    Raises:
        CrispError: A wheel cannot be fetched.
    """
    from crisp_spark.aws.package import constraints_text
    from crisp_spark.aws.rollout import zips
    from crisp_spark.spec.deployment import EndpointSpec

    kind = {name: EndpointSpec.model_fields[name].default for name in ("architecture", "runtime")}
    wheels = zips.function_wheels(
        constraints_text(),
        architecture=kind["architecture"],
        python=kind["runtime"].removeprefix("python"),
    )
    packed = zips.function_zip(wheels, (folder / "model.crisp.zip").read_bytes())
    return {
        "lambda_zip_mb": round(len(packed.content) / 2**20, 2),
        "lambda_unpacked_mb": round(packed.unpacked_bytes / 2**20, 2),
    }


def endpoint(folder: Path) -> dict:
    """Ask the HTTP endpoint from several clients at once."""
    rows = json.loads((folder / "rows.json").read_text())
    found = serving_load.measure(
        folder / "model.crisp.zip", rows, seconds=LOAD_SECONDS, batch=BATCH
    )
    line = {
        f"http_{clients}_clients_{name}": value
        for clients, told in found["one_row"].items()
        for name, value in told.items()
    }
    line["http_batch_rows_s"] = round(found["batch"]["requests_s"] * found["batch_rows"])
    return {**line, "http_batch_p99_ms": found["batch"]["p99_ms"]}


def where_possible(measure: Callable[[Path], dict], folder: Path) -> dict:
    """Measure what needs more than this package; say why where it cannot be."""
    from crisp_spark.errors import CrispError

    try:
        return measure(folder)
    except CrispError as error:
        print(f"{measure.__name__}: {error}", file=sys.stderr)
        return {measure.__name__: None}


def main() -> None:
    project = Path(sys.argv[1] if len(sys.argv) > 1 else "demo/crisp.yml")
    if not project.exists():
        sys.exit(f"{project}: run the flow first (make demo), or name the file of a project")
    folder = Path(tempfile.mkdtemp(prefix="crisp-serving-"))
    found = exported(project, folder)
    bundle, rows = str(folder / "model.crisp.zip"), str(folder / "rows.json")
    cold = [python(COLD, bundle, rows) for _ in range(REPEATS)]
    mine = warm(folder)
    others = {}
    for measure in (estimators, lambda_package, endpoint):
        others |= where_possible(measure, folder)
    spark = python(SPARK, str(folder / "mlflow"), rows, json.dumps(found["moments"]), "20")
    versions = {name: metadata.version(name) for name in ("numpy", "pyspark", "mlflow")}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), **versions}
    print(json.dumps({"machine": machine, "load": os.getloadavg()[0], "model": found["learner"]}))
    print(json.dumps({"cold_runs": cold, "mlflow": spark, "export_s": round(found["export_s"], 1)}))
    parity = found["parity"]
    line = {
        "cold_start_s": round(min(run["wall"] for run in cold), 3),
        "cold_start_cpu_s": round(min(run["cpu"] for run in cold), 3),
        "rss_mb": round(max(run["rss"] for run in cold), 1),
        **{name: round(value, 4) for name, value in mine.items()},
        "mlflow_spark_row_ms": round(statistics.median(spark["rows"]) * 1000, 1),
        "mlflow_spark_first_s": round(spark["first"], 1),
        "mlflow_spark_rss_mb": round(spark["rss"], 1),
        **others,
        "bundle_bytes": Path(bundle).stat().st_size,
        "rows_compared": parity.rows,
        "max_abs_difference": parity.max_abs_difference,
        "prediction_mismatches": parity.prediction_mismatches,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
