"""The whole flow with workspace, sources and project file on s3://, by the real S3A connector."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from crisp_spark.aws.objects import S3Objects
from crisp_spark.engine.s3a import hadoop_version
from tests import tiny_project
from tests.aws_fixtures import point_at

ROOT = Path(__file__).parents[2]
BUCKET = "crisp-s3a-test"
PREFIX = "größe (m²)"  # Unicode and blanks must survive the connector


@pytest.fixture(scope="module")
def connector() -> str:
    """Folder of the connector's jars."""
    fetched = subprocess.run(
        [ROOT / "bootstrap/s3a/fetch.sh", hadoop_version()],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    if fetched.returncode == 69:
        pytest.skip(fetched.stderr.strip())
    assert fetched.returncode == 0, fetched.stderr
    return fetched.stdout.strip()


@pytest.fixture(scope="module")
def monkeymodule() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def project(connector, monkeymodule, tmp_path_factory) -> Iterator[str]:
    """URI of the tiny project in a bucket of this machine, all its paths on s3://."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each of 6,000 requests
    host, port = server.get_host_and_port()
    point_at(monkeymodule, f"http://{host}:{port}")
    monkeymodule.setenv("CRISP_S3A_JARS", connector)
    folder = tmp_path_factory.mktemp("tiny")
    home = f"s3://{BUCKET}/{PREFIX}"
    spec = (
        tiny_project.SPEC.replace("path: visits/*.csv", f'path: "{home}/data/visits/*.csv"')
        .replace("path: shops.csv", f'path: "{home}/data/shops.csv"')
        .replace("{name: tiny,", f'{{name: tiny, workspace: "{home}/workspace",')
    )
    tiny_project.write(folder, spec=spec)
    objects = S3Objects(home)
    objects._aws.s3.create_bucket(Bucket=BUCKET)
    objects.put_if_absent("crisp.yml", (folder / "crisp.yml").read_bytes())
    for file in [*(folder / "visits").iterdir(), folder / "shops.csv"]:
        objects.put_if_absent(f"data/{file.relative_to(folder).as_posix()}", file.read_bytes())
    yield f"{home}/crisp.yml"
    server.stop()


def job(project: str, *arguments: str) -> tuple[dict, str]:
    done = subprocess.run(
        [sys.executable, ROOT / "jobs/run.py", "--project", project, *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_flow_runs_on_s3_from_end_to_end(project, tmp_path):
    first, _ = job(project, "--run-id", "r1")
    assert {step["state"] for step in first["steps"].values()} == {"done"}
    assert len(first["steps"]) == 14
    objects = S3Objects(f"s3://{BUCKET}/{PREFIX}/workspace")
    keys = [item.key for item in objects.stat("")]
    assert {key.split("/")[0] for key in keys} >= {"data", "commits", "current", "runs"}
    assert not [key for key in keys if "_temporary" in key or "__magic" in key]
    decided = commit_of(objects, "decide")
    assert decided["result"]["decision"] == "deploy"
    derived = commit_of(objects, "derive")
    assert derived["tables"]["derived"]["rows"] == tiny_project.ROWS
    registered = json.loads(objects.read("registry/tiny/000001.json"))
    assert registered["uri"].startswith(f"s3://{BUCKET}/{PREFIX}/workspace/registered/tiny/")
    page = next(key for key in keys if key.endswith("report.html"))
    assert b"tiny" in objects.read(page)
    # Nothing changed: the second run finds that out without a Spark session.
    again, _ = job(project, "--run-id", "r2", "--steps", "charter,ingest")
    assert {step["state"] for step in again["steps"].values()} == {"skipped"}


def commit_of(objects: S3Objects, step: str) -> dict:
    (key,) = [item.key for item in objects.stat(f"commits/{step}")]
    return json.loads(objects.read(key))
