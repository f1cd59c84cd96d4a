"""``spark-submit --master yarn --deploy-mode cluster`` of the project's jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyspark

from crisp_spark.aws.emr.settings import SURVIVAL
from tests.cluster import eventlog
from tests.cluster.yarn.cluster import Yarn

HOME = Path(pyspark.__file__).parent
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Duser.timezone=UTC"
_SIZES = {
    "spark.driver.memory": "1g",
    "spark.executor.memory": "640m",
    "spark.executor.cores": "1",
    "spark.executor.instances": "2",
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.extraJavaOptions": _JAVA,
    "spark.executor.extraJavaOptions": _JAVA,
}
_PLACES = {
    "spark.submit.deployMode": "cluster",
    # EMR says the same for every application with a property of its own in yarn-site.
    "spark.yarn.am.nodeLabelExpression": "ON_DEMAND",
    "spark.yarn.report.interval": "1s",
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True)
class Package:
    """How the code and its interpreter reach the nodes.

    Attributes:
        files: What ``--py-files`` gets.
        python: Interpreter on the nodes.
        archives: What ``--archives`` gets.
    """

    files: tuple[Path, ...]
    python: str = sys.executable
    archives: tuple[str, ...] = ()


def submit(
    yarn: Yarn,
    package: Package,
    job: Path,
    arguments: Sequence[str],
    *,
    log: Path,
    events: Path,
    jars: Path | None = None,
    conf: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Submit a job and return the client that waits for the application's end.

    Args:
        yarn: The cluster.
        package: Code and interpreter.
        job: Entry point.
        arguments: Its arguments.
        log: What the client says.
        events: Folder for the event log.
        jars: Folder with more jars that every node has.
        conf: More Spark settings.
        environment: Variables of the driver.
    """
    events.mkdir(exist_ok=True)
    places = [HOME / "jars", *([jars] if jars else [])]
    settings = {
        **_PLACES,
        **_SIZES,
        **SURVIVAL,
        **eventlog.SETTINGS,
        "spark.eventLog.dir": events.as_uri(),
        "spark.yarn.jars": ",".join(f"local:{place}/*" for place in places),
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": package.python,
        "spark.executorEnv.PYSPARK_PYTHON": package.python,
        **{f"spark.yarn.appMasterEnv.{name}": value for name, value in (environment or {}).items()},
        **(conf or {}),
    }
    command = [str(HOME / "bin" / "spark-submit"), "--master", "yarn"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--py-files", ",".join(str(file) for file in package.files)]
    if package.archives:
        command += ["--archives", ",".join(package.archives)]
    with log.open("wb") as out:
        return subprocess.Popen(
            [*command, str(job), *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=_clean_environment(yarn),
        )


def _clean_environment(yarn: Yarn) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHONPATH", "PYSPARK", "SPARK_", "COV_", "COVERAGE"))
    }
    return inherited | {
        "HADOOP_CONF_DIR": str(yarn.conf),
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",
        "LC_ALL": "C.UTF-8",
    }
