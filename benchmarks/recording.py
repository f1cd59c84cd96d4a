"""What it costs to record the trials of a sweep in MLflow.

A real tracking server on 127.0.0.1 over sqlite. Three ways, by turns, on one server: this project's
(table, metrics of the parent and a few runs), a run per trial in three requests, and the fluent API
with one request per key. The other ways are slow: they record a few trials, and their times are
multiplied::

    python benchmarks/recording.py --trials 1000 --few 20 --repeats 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.tracking.mlflow_tracker import MlflowTracker, quiet_mlflow
from crisp_spark.tracking.tracker import Trial


def trials(count: int) -> list[Trial]:
    """Return made-up trials: 8 parameters, 6 metrics, 4 tags each."""
    now = int(time.time() * 1000)
    return [
        Trial(
            name=f"gradient_boosting-{at:04d}",
            params={f"param{n}": at * n % 17 for n in range(8)},
            metrics={f"metric{n}": (at * n % 101) / 101 for n in range(6)},
            tags={f"tag{n}": f"value {at}" for n in range(4)},
            started_ms=now + at,
            ended_ms=now + at + 1,
            main="metric0",
        )
        for at in range(count)
    ]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a tracking server; stopped by its process group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def ours(address: str, folder: Path, found: list[Trial], name: str) -> float:
    """Return how long the sweep itself was held up."""
    tracker = MlflowTracker(
        address, "bench", run_id=name, artifacts=None, tags={}, spool=LocalObjects(folder / "spool")
    )
    with tracker.step("sweep", tags={}) as step:
        begun = time.perf_counter()
        for trial in found:
            step.trial(trial)
        held_up = time.perf_counter() - begun
    tracker.finish(failed=False)
    return held_up


def run_per_trial(address: str, found: list[Trial]) -> None:
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("bench").experiment_id
    parent = client.create_run(experiment).info.run_id
    for trial in found:
        run = client.create_run(experiment, tags={**trial.tags, "mlflow.parentRunId": parent})
        client.log_batch(
            run.info.run_id,
            [Metric(k, v, trial.ended_ms, 0) for k, v in trial.metrics.items()],
            [Param(k, str(v)) for k, v in trial.params.items()],
        )
        client.set_terminated(run.info.run_id)


def fluent(address: str, found: list[Trial]) -> None:
    import mlflow

    mlflow.set_tracking_uri(address)
    mlflow.set_experiment("bench")
    with mlflow.start_run():
        for trial in found:
            with mlflow.start_run(nested=True, run_name=trial.name):
                for key, value in trial.params.items():
                    mlflow.log_param(key, value)
                for key, value in trial.metrics.items():
                    mlflow.log_metric(key, value)
                for key, value in trial.tags.items():
                    mlflow.set_tag(key, value)


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and own CPU seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    quiet_mlflow()
    every = trials(options.trials)
    few = every[: options.few]
    walls: dict[str, list[float]] = {"ours": [], "run_per_trial": [], "fluent": []}
    cpus: dict[str, list[float]] = {name: [] for name in walls}
    held: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, server(Path(scratch)) as address:
        folder = Path(scratch)
        ours(address, folder, every[:5], "warm-up")
        for turn in range(options.repeats):
            ways = {
                "ours": (
                    lambda turn=turn: held.append(ours(address, folder, every, f"run-{turn}")),
                    1,
                ),
                "run_per_trial": (lambda: run_per_trial(address, few), len(every) / len(few)),
                "fluent": (lambda: fluent(address, few), len(every) / len(few)),
            }
            for name, (call, factor) in ways.items():
                wall, cpu = measured(call)
                walls[name].append(wall * factor)
                cpus[name].append(cpu * factor)
                print(f"{name}: {wall:.2f} s for {options.trials / factor:.0f} trials", flush=True)
    print(
        json.dumps(
            {
                "trials": options.trials,
                "mlflow": metadata.version("mlflow"),
                "load": [round(value, 1) for value in os.getloadavg()],
                "sweep_held_up_s": round(statistics.median(held), 4),
                **{
                    f"{name}_s": round(statistics.median(found), 2) for name, found in walls.items()
                },
                **{f"{n}_cpu_s": round(statistics.median(found), 2) for n, found in cpus.items()},
                "extrapolated_from": {"trials": len(few), "ways": ["run_per_trial", "fluent"]},
            }
        )
    )


if __name__ == "__main__":
    main()
