"""What the tests with several processes share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crisp_spark.engine.s3a import hadoop_version
from tests.cluster.yarn.cluster import Yarn

ROOT = Path(__file__).parents[2]
NODES = {"127.0.0.21": "ON_DEMAND", "127.0.0.22": "SPOT", "127.0.0.23": "SPOT"}


def fetched(script: str) -> Path:
    """Return the folder of the jars that a script fetches, or skip where it cannot."""
    done = subprocess.run(
        [ROOT / script, hadoop_version()], capture_output=True, text=True, timeout=500, check=False
    )
    if done.returncode in {64, 69}:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def code_zip(tmp_path_factory) -> Path:
    """The wheel under a name that ``--py-files`` accepts."""
    folder = tmp_path_factory.mktemp("zip")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl")).rename(folder / "crisp_spark.zip")


@pytest.fixture
def jobs(tmp_path) -> Path:
    """The entry points, away from the source tree."""
    return Path(shutil.copytree(ROOT / "jobs", tmp_path / "jobs"))


@pytest.fixture(scope="module")
def yarn(tmp_path_factory) -> Iterator[Yarn]:
    """A YARN with one node on demand and two on spot."""
    jars = fetched("tests/cluster/yarn/fetch.sh")
    with Yarn(tmp_path_factory.mktemp("yarn"), jars, dict(NODES)) as cluster:
        yield cluster
