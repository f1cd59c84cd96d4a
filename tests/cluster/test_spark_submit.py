"""The jobs under a real spark-submit, with the package handed over as a zip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from tests import tiny_project

ROOT = Path(__file__).parents[2]
SUBMIT = Path(pyspark.__file__).parent / "bin" / "spark-submit"
CLUSTERS = ["local[2]", "local-cluster[2,1,1024]"]
IN_A_TASK = """
import json, sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()

def where(_):
    import crisp_spark
    from crisp_spark.spec.columns import quoted
    return crisp_spark.__file__, quoted("a b")

found = spark.sparkContext.parallelize(range(4), 2).map(where).collect()
import crisp_spark
print("FOUND " + json.dumps([crisp_spark.__file__, *map(list, found)]))
spark.stop()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zip")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl")).rename(folder / "crisp_spark.zip")


def submit(
    master: str, package: Path, job: Path, *arguments: str, scratch: Path
) -> subprocess.CompletedProcess:
    environment = {
        **{
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PYTHONPATH", "COV_", "COVERAGE"))
        },
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(scratch / "work"),
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(
        [
            str(SUBMIT),
            "--master",
            master,
            "--py-files",
            str(package),
            "--conf",
            "spark.ui.enabled=false",
            "--conf",
            "spark.driver.bindAddress=127.0.0.1",
            "--conf",
            "spark.driver.host=127.0.0.1",
            "--conf",
            "spark.sql.shuffle.partitions=2",
            "--driver-java-options",
            "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            str(job),
            *arguments,
        ],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.parametrize("master", CLUSTERS)
def test_package_from_the_zip_works_inside_a_task(master, package, tmp_path):
    job = tmp_path / "job.py"
    job.write_text(IN_A_TASK)
    done = submit(master, package, job, scratch=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    driver, *tasks = json.loads(line.removeprefix("FOUND "))
    assert "crisp_spark.zip" in driver
    assert len(tasks) == 4
    assert all("crisp_spark.zip" in file and name == "`a b`" for file, name in tasks)


@pytest.mark.parametrize(
    "master", [CLUSTERS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in CLUSTERS[1:])]
)
def test_jobs_run_the_steps_of_one_run(master, package, tmp_path):
    project = tiny_project.write(tmp_path / "project")
    jobs = tmp_path / "jobs"
    shutil.copytree(ROOT / "jobs", jobs)
    common = ("--project", project.as_uri(), "--run-id", "scheduled-1")
    first = submit(master, package, jobs / "20_ingest.py", *common, scratch=tmp_path)
    assert first.returncode == 0, first.stderr[-3000:]
    rest = submit(
        master, package, jobs / "run.py", *common, "--steps", "quality,clean", scratch=tmp_path
    )
    assert rest.returncode == 0, rest.stderr[-3000:]
    summary = json.loads(rest.stdout.splitlines()[-1])
    assert summary["run_id"] == "scheduled-1"
    assert {step: found["state"] for step, found in summary["steps"].items()} == {
        "quality": "done",
        "clean": "done",
    }
    again = submit(master, package, jobs / "20_ingest.py", *common, scratch=tmp_path)
    assert json.loads(again.stdout.splitlines()[-1])["steps"]["ingest"]["state"] == "skipped"


def test_a_wrong_project_file_ends_with_the_exit_code_of_its_fault(package, tmp_path):
    jobs = tmp_path / "jobs"
    shutil.copytree(ROOT / "jobs", jobs)
    project = tiny_project.write(
        tmp_path / "project", spec=tiny_project.SPEC.replace("known_at", "knwon_at")
    )
    done = submit(
        "local[2]", package, jobs / "20_ingest.py", "--project", str(project), scratch=tmp_path
    )
    assert done.returncode == 78
    said = done.stdout + done.stderr  # spark-submit joins both streams of the driver
    assert "knwon_at" in said
    assert "known_at" in said.replace("knwon_at", "")
