"""The real package: all wheels, the node script in a clean root, the packed environment on Spark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyspark
import pytest

from crisp_spark.aws.manifest import PackageManifest, SparkLine
from crisp_spark.aws.package import build_package
from crisp_spark.errors import UnavailableError
from tests.package_fixtures import ROOT, clean_root

SECONDS = 180
"""Longest time for the node script: about 20 s alone on two cores, far more on a busy machine."""
LINE: SparkLine = "4.1" if pyspark.__version__.startswith("4.") else "3.5"
IMPORTS = """
import crisp_spark.run.runner, crisp_spark.aws.objects, crisp_spark.tracking.mlflow_tracker
import mlflow.spark, numpy, pandas, pyarrow.parquet, great_expectations, sys
print(sys.prefix)
try:
    import pyspark
except ImportError:
    print("no pyspark")
"""
IN_A_TASK = """
import json
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf

spark = SparkSession.builder.getOrCreate()

def where(_):
    import crisp_spark, numpy, os, sys
    return crisp_spark.__file__, numpy.__file__, os.path.basename(sys.executable)

@pandas_udf("long")
def twice(numbers):
    return numbers * 2

found = spark.sparkContext.parallelize(range(4), 2).map(where).collect()
total = spark.range(1000).select(twice("id").alias("n")).groupBy().sum("n").first()[0]
print("FOUND " + json.dumps([found, total]))
spark.stop()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> PackageManifest:
    folder = tmp_path_factory.mktemp("package")
    try:
        manifest = build_package(architecture="x86_64", out=folder, environment=True, spark=LINE)
    except UnavailableError as error:
        pytest.skip(f"no package index here: {error.message}")
    shutil.copy(ROOT / "bootstrap" / "node.sh", folder)
    return manifest


def test_the_node_script_builds_the_whole_environment_offline(package, tmp_path):
    assert len(package.wheels) > 100
    assert not [name for name in package.wheels if name.startswith(("pyspark", "py4j"))]
    root = clean_root(tmp_path / "root")
    started = time.monotonic()
    done = root.run(package.folder, "/bin/bash", "/srv/node.sh", f"/srv/{package.key}")
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert seconds < SECONDS
    environment = f"/opt/crisp/{package.code_digest}"
    seen = root.run(package.folder, f"{environment}/bin/python", "-c", IMPORTS)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.split("\n")[:2] == [environment, "no pyspark"]


def test_executors_run_in_the_packed_environment(package, tmp_path):
    job = tmp_path / "job.py"
    job.write_text(IN_A_TASK)
    spark = Path(pyspark.__file__).parent
    archive = package.folder / package.file("environment").key
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "COV_"))}
    done = subprocess.run(
        [
            spark / "bin" / "spark-submit",
            *("--master", "local-cluster[2,1,1024]", "--archives", f"{archive}#environment"),
            *("--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"),
            *("--conf", "spark.driver.bindAddress=127.0.0.1"),
            *("--conf", "spark.pyspark.python=./environment/bin/python"),
            *("--conf", f"spark.pyspark.driver.python={sys.executable}"),
            *("--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"),
            job,
        ],
        cwd=tmp_path,
        env={
            **kept,
            "SPARK_HOME": str(spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_DIR": str(tmp_path / "work"),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found, total = json.loads(line.removeprefix("FOUND "))
    assert total == 999_000
    assert len(found) == 4
    for code, numpy, interpreter in found:
        assert "/environment/lib/python3.11/site-packages/crisp_spark/" in code
        assert "/environment/lib/python3.11/site-packages/numpy/" in numpy
        assert interpreter == "python3.11"
