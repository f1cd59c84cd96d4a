"""Quality rules: this project against cuallee, pandera, PyDeequ and soda-core, all on Spark.

    python benchmarks/quality_peers.py [--rows 1000000] [--peers cuallee,pandera] [--minutes 9]

The table and the 40 expectations are those of `quality.py`. Each peer judges the ones that it has
words for (`peer_checks.py`; what is left out is printed with the reason), by turns with this
project's Spark engine, with and without examples of failing values, and with its DuckDB engine, on
the same rules, in one process and on one Spark version. Verdicts are compared, and the numbers of
failing rows where a peer counts them.

Peers live in environments of their own (`.venv-bench-NAME`, made on first use with pip; the jar of
deequ is fetched with Maven), never in the project's. A peer that cannot be installed or does not
run is named with the reason. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUN = Path(__file__).with_name("peer_run.py")
GRACE = 240
"""Seconds beyond its share that a peer may take for its one turn before it is stopped."""
OURS = ("duckdb", "numpy", "pandas", "pyarrow", "pydantic", "pydantic-core", "pyspark", "sqlglot")
"""What our engines need; the versions are those of the project's own constraints."""


@dataclass(frozen=True)
class Environment:
    """Where a peer lives.

    Attributes:
        spark: The Spark line that it runs on, as in the names of the constraints.
        packages: What pip installs, pinned.
        jar: Maven coordinates of a jar that Spark needs.
        variables: What the peer wants to be told.
    """

    spark: str
    packages: tuple[str, ...]
    jar: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def requirements(self) -> list[str]:
        """Everything that pip installs, pinned."""
        pins = (ROOT / f"bootstrap/constraints-spark{self.spark}.txt").read_text()
        found = dict(re.findall(r"^([\w-]+)==(\S+)", pins, flags=re.MULTILINE))
        return [*self.packages, *(f"{name}=={found[name]}" for name in OURS)]


ENVIRONMENTS = {
    "cuallee": Environment("41", ("cuallee==0.15.4",)),
    "pandera": Environment("41", ("pandera[pyspark]==0.35.0",)),
    # The newest pair whose jar Maven gave; 1.7.0 asks for 2.0.21 (Spark 3.5) or 2.0.18 (4.1).
    "pydeequ": Environment(
        "35",
        ("pydeequ==1.4.0",),
        "com.amazon.deequ:deequ:2.0.7-spark-3.5",
        {"SPARK_VERSION": "3.5"},
    ),
    # The last open one, which refuses Spark 4; version 4 has another licence.
    "soda": Environment("35", ("soda-core-spark-df==3.5.6",)),
}
PEERS = {"cuallee": "cuallee", "pandera": "pandera", "pandera-cached": "pandera",
         "pydeequ": "pydeequ", "soda": "soda"}  # fmt: skip
"""Each peer and where it lives."""


class NotRunError(Exception):
    """A peer cannot be measured."""


def ready(name: str) -> Path:
    """Make an environment unless it is there already; return its folder.

    Raises:
        NotRunError: Something cannot be installed.
    """
    environment, folder = ENVIRONMENTS[name], ROOT / f".venv-bench-{name}"
    wanted = "\n".join([*environment.requirements(), environment.jar])
    mark = folder / ".ready"
    if mark.is_file() and mark.read_text() == wanted:
        return folder
    print(f"making {folder.name}: {' '.join(environment.requirements())}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    called(name, [sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    called(name, [*pip, *environment.requirements()])
    called(name, [*pip, "--no-deps", "--editable", str(ROOT)])
    if environment.jar:
        if not shutil.which("mvn"):
            raise NotRunError(f"{environment.jar} is fetched with Maven, which is missing")
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        where = f"-DoutputDirectory={folder / 'jars'}"
        maven = ["mvn", "--batch-mode", "--quiet", copy, f"-Dartifact={environment.jar}", where]
        called(name, maven)
    mark.write_text(wanted)
    return folder


def called(name: str, command: list[str]) -> None:
    """Run a step of an installation.

    Raises:
        NotRunError: It failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        faults = [line for line in said if "ERROR" in line] or said or ["no message"]
        raise NotRunError(f"{name} cannot be installed: {faults[0]:.300}")


def measured(peer: str, home: Path, folder: Path, repeats: int, seconds: float) -> dict[str, Any]:
    """Measure a peer in its own environment.

    Raises:
        NotRunError: It failed, or did not end.
    """
    environment = ENVIRONMENTS[PEERS[peer]]
    command = [str(home / "bin/python"), str(RUN), "judge", str(folder), "--peer", peer]
    command += ["--repeats", str(repeats), "--seconds", str(seconds)]
    if environment.jar:
        (jar,) = (home / "jars").glob("*.jar")
        command += ["--jar", str(jar)]
    # soda writes into the home folder; a Spark or modules from elsewhere would be another's.
    variables = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "SPARK_HOME"}}
    variables |= {"HOME": str(folder), **environment.variables}
    log = folder / f"{peer}.log"
    with log.open("w") as errors:
        running = subprocess.Popen(command, env=variables, stderr=errors, start_new_session=True)
        try:
            code = running.wait(timeout=seconds + GRACE)
        except subprocess.TimeoutExpired as late:
            raise NotRunError(f"no end after {seconds + GRACE:.0f} s") from late
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
    if code:
        said = log.read_text().strip().splitlines() or ["no message"]
        print("\n".join(said[-20:]))
        raise NotRunError(f"exit code {code}: {said[-1]}")
    found: dict[str, Any] = json.loads((folder / f"{peer}.json").read_text())
    return {"packages": ENVIRONMENTS[PEERS[peer]].packages, "jar": environment.jar} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=9, help="once the environments exist")
    options = parser.parse_args()
    # Whoever is told to end still stops the peer that is running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = options.peers.split(",")
    unknown = sorted(set(chosen) - PEERS.keys())
    if unknown:
        parser.error(f"no peer {', '.join(unknown)}; peers: {', '.join(PEERS)}")
    homes: dict[str, Path] = {}
    found: dict[str, Any] = {}
    for peer in chosen:
        try:
            homes[peer] = ready(PEERS[peer])
        except NotRunError as error:
            found[peer] = {"not_run": str(error)}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-quality-peers-") as name:
        folder = Path(name)
        make = [sys.executable, str(RUN), "make", str(folder), "--rows", str(options.rows)]
        subprocess.run(make, check=True)
        for at, (peer, home) in enumerate(homes.items()):
            left = options.minutes * 60 - (time.perf_counter() - started)
            print(f"{peer}: {options.rows:,} rows", flush=True)
            try:
                found[peer] = measured(
                    peer, home, folder, options.repeats, max(left, 0) / (len(homes) - at)
                )
            except NotRunError as error:
                found[peer] = {"not_run": str(error)}
    for peer, told in found.items():
        if "not_run" in told:
            print(f"{peer} was not measured: {told['not_run']}")
    print(f"seconds in all: {time.perf_counter() - started:.0f}, load {os.getloadavg()[0]:.1f}")
    print(json.dumps({"rows": options.rows, "peers": found}))


if __name__ == "__main__":
    main()
