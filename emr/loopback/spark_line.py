"""Turns the submit line of a step into one that runs on this machine's Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emr.loopback.options import SparkHere

_FLAGS = {"--verbose", "-v", "--supervise"}
_DROPPED = {
    "--master",
    "--deploy-mode",
    "--queue",
    "--num-executors",
    "--executor-cores",
    "--executor-memory",
    "--total-executor-cores",
    "--driver-cores",
    "--driver-memory",
    "--principal",
    "--keytab",
}
_FETCHED = {"--py-files", "--files", "--archives", "--jars"}
_DROPPED_CONF = (
    "spark.yarn.",
    "spark.executor.memory",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executorEnv.",
    "spark.driver.memory",
    "spark.driver.cores",
    "spark.dynamicAllocation.",
    "spark.shuffle.service.",
    "spark.blacklist.",
    "spark.decommissioning.",
    "spark.resourceManager.",
    "spark.submit.deployMode",
    "spark.master",
)
_PYTHON_CONF = ("spark.pyspark.python", "spark.pyspark.driver.python")


@dataclass
class _Line:
    options: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    python: str = ""


def local_line(
    args: Sequence[str], spark: SparkHere, fetch: Callable[[str], Path]
) -> tuple[list[str], dict[str, str]]:
    """Return the command and its environment for ``spark-submit ARGS`` of a step.

    What speaks of YARN, or of the size of machines, is left out; files in S3 are fetched first.

    Args:
        args: Arguments of ``command-runner.jar``; the first is ``spark-submit``.
        spark: The Spark of this machine.
        fetch: Brings an S3 object here.
    """
    line = _read(args[1:], fetch)
    python = line.python if Path(line.python).is_file() else spark.python
    home = spark.found_home()
    conf = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        **({"spark.driver.extraClassPath": _class_path(spark)} if spark.jars else {}),
        **({"spark.executor.extraClassPath": _class_path(spark)} if spark.jars else {}),
        **spark.conf,
    }
    command = [str(home / "bin" / "spark-submit"), "--master", spark.master, *line.options]
    for key, value in conf.items():
        command += ["--conf", f"{key}={value}"]
    environ = {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "LC_ALL": "C.UTF-8",
    }
    return [*command, *line.rest], environ


def _class_path(spark: SparkHere) -> str:
    return ":".join(map(str, spark.jars))


def _read(words: Sequence[str], fetch: Callable[[str], Path]) -> _Line:
    line = _Line()
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option, joined, value = rest.pop(0).partition("=")
        if option in _FLAGS:
            line.options.append(option)
            continue
        value = value if joined else rest.pop(0)
        if option in {"--conf", "-c"}:
            _conf(line, value)
        elif option in _FETCHED:
            line.options += [option, ",".join(_fetched(one, fetch) for one in value.split(","))]
        elif option not in _DROPPED:
            line.options += [option, value]
    if rest:
        line.rest = [_fetched(rest[0], fetch), *rest[1:]]
    return line


def _conf(line: _Line, text: str) -> None:
    key, _, value = text.partition("=")
    if key in _PYTHON_CONF:
        line.python = value
    elif key == "spark.yarn.appMasterEnv.PYSPARK_PYTHON":
        line.python = line.python or value
    elif not key.startswith(_DROPPED_CONF):
        line.options += ["--conf", text]


def _fetched(uri: str, fetch: Callable[[str], Path]) -> str:
    place, mark, name = uri.partition("#")
    return f"{fetch(place)}{mark}{name}" if place.startswith(("s3://", "s3a://")) else uri
