"""A whole project by ``crisp submit`` on the loop-back EMR: real Spark, real S3A, plain boto3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from crisp_spark.aws.objects import S3Objects
from crisp_spark.engine.s3a import hadoop_version
from emr.loopback import LoopbackEmr, Options, SparkHere
from tests import tiny_project
from tests.aws_fixtures import point_at

ROOT = Path(__file__).parents[2]
HOME = "s3://crisp-loopback"


@pytest.fixture(scope="module")
def connector() -> tuple[Path, ...]:
    """Jars of the S3A connector."""
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
    return tuple(sorted(Path(fetched.stdout.strip()).glob("*.jar")))


@pytest.fixture(scope="module")
def loopback(connector) -> Iterator[LoopbackEmr]:
    conf = {
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.codegen.wholeStage": "false",  # tiny tables: compiling costs more than it saves
    }
    spark = SparkHere(jars=connector, conf=conf)
    environ = {"PYTHONPATH": str(ROOT)}
    options = Options(provisioning=0.5, log_upload=0.5, environ=environ, spark=spark)
    with LoopbackEmr(options) as started, pytest.MonkeyPatch.context() as patch:
        point_at(patch, started.endpoint)
        yield started


@pytest.fixture(scope="module")
def project(loopback, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    objects = S3Objects(HOME)
    objects._aws.s3.create_bucket(Bucket="crisp-loopback")
    targets = {
        "emr": {
            "compute": {
                "kind": "emr",
                "region": "us-east-1",
                "artifacts": f"{HOME}/artifacts",
                "log_group": "",
            },
            "overrides": {
                "project": {"workspace": f"{HOME}/workspace"},
                "modeling": {"families": [{"kind": "logistic_regression"}]},
                "evaluation": {"bootstrap": 20, "importance": {"rows": 50, "repeats": 1}},
                "data": {
                    "sources": {
                        "visits": {"path": f"{HOME}/data/visits/*.csv"},
                        "shops": {"path": f"{HOME}/data/shops.csv"},
                    }
                },
            },
        }
    }
    written = tiny_project.write(
        folder, spec=tiny_project.SPEC + yaml.safe_dump({"targets": targets})
    )
    for file in [*(folder / "visits").iterdir(), folder / "shops.csv"]:
        objects.put_if_absent(f"data/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return written


def crisp(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crisp_spark.cli.main", *words, "-p", project, "--target", "emr"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=project.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_project_is_submitted_followed_decided_and_not_run_again(project, loopback):
    quick = ("--package", "none", "--poll", "0.5")
    done = crisp(project, "submit", *quick, "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["succeeded"]
    assert [step["stage"] for step in told["steps"]] == ["prepare", "sweep", "decide", "deploy"]
    assert told["decision"]["decision"] == "deploy"
    (cluster,) = loopback.clusters.values()
    assert cluster.id == told["place"]
    cluster.join(10)
    assert (cluster.status.state, cluster.status.code) == ("TERMINATED", "ALL_STEPS_COMPLETED")

    logs = crisp(project, "logs", "--stage", "sweep")
    assert "step sweep done" in logs.stdout

    again = crisp(project, "submit", *quick, "--json")
    assert again.returncode == 0, again.stderr[-4000:]
    assert json.loads(again.stdout)["run_id"] == told["run_id"]
    assert list(loopback.clusters) == [cluster.id]
