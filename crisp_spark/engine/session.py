"""The Spark session: one set of settings that makes both supported Spark lines agree."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from crisp_spark.engine.s3a import require_s3a, s3a_settings
from crisp_spark.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

SEMANTICS: Mapping[str, str] = {
    # Spark 3.5 and 4.x differ in these defaults; results must not.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # v1 commits whole tasks; v2 leaves stray rows behind a failed job.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
}

_COMPILER: Mapping[str, str] = {
    # The JVM never compiles methods beyond 8000 bytes, and Spark's own limit lets it interpret
    # them for good: wide tables were three times slower.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # A sweep, or a suite of rules, has more than the hundred classes that Spark keeps; the same
    # query then is compiled again, by Spark and by the JVM.
    "spark.sql.codegen.cache.maxEntries": "1000",
}

_LOCAL: Mapping[str, str] = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "2",
    "spark.driver.memory": "3g",
}

_LOGGING = Path(__file__).with_name("log4j2.properties")


def build_session(
    app_name: str,
    *,
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
    s3: bool = False,
) -> SparkSession:
    """Create, or take up, the Spark session.

    Under ``spark-submit`` the master comes from the command line; elsewhere it is ``local[*]``
    unless ``master`` says otherwise. In local mode the workers run the interpreter that runs this
    process, whether or not a virtual environment is activated.

    Args:
        app_name: Name shown by Spark.
        master: Spark master, for sessions not started by ``spark-submit``.
        conf: Settings of the target; they win over the defaults, never over the semantics that
            keep both Spark lines equal.
        s3: Whether ``s3://`` will be opened. Under ``spark-submit`` the cluster knows how;
            elsewhere the connector is set up from the environment.

    Raises:
        EnvironmentFaultError: pyspark, Java or the connector of S3 is missing.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession as Session
    except ImportError as error:
        raise EnvironmentFaultError(
            "spark: pyspark is not installed", hint="pip install 'crisp-spark[local]'"
        ) from error
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    builder = Session.builder.appName(app_name)
    settings: dict[str, str] = dict(_COMPILER)
    if not submitted:
        _prepare_process()
        settings |= _LOCAL
        settings |= s3a_settings() if s3 else {}
        builder = builder.master(master or "local[*]")
    settings |= dict(conf or {})
    settings |= SEMANTICS
    if not submitted:
        java = settings.get("spark.driver.extraJavaOptions", "-XX:+UseParallelGC")
        settings["spark.driver.extraJavaOptions"] = " ".join(
            [java, "-Duser.timezone=UTC", f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"]
        )
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with _interrupts_later():
            session = builder.getOrCreate()
    except (PySparkException, RuntimeError, FileNotFoundError) as error:
        raise EnvironmentFaultError(
            f"spark: no session could be started ({error})",
            hint="Spark needs Java 17: install it and set JAVA_HOME",
        ) from error
    if s3:
        require_s3a(session)
    return session


def _prepare_process() -> None:
    """Set the environment that a JVM started by this process, and its workers, will see."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    # Without a UTF-8 locale Java 17 cannot name files beyond ASCII.
    if not any("utf" in os.environ.get(name, "").lower() for name in ("LC_ALL", "LANG")):
        os.environ["LC_ALL"] = "C.UTF-8"
    # A pip Spark brings its own home; a foreign SPARK_HOME would mix two versions.
    os.environ.pop("SPARK_HOME", None)
    # Spark 4 repeats every analysis error as a page of JSON; the exception says it already.
    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold Ctrl-C back until the JVM has reported: interrupted before that, it would live on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Blocked, not handled: Spark's context puts a handler of its own in place half way.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
        # Spark's handler talks to the JVM from within: where the main thread waits for an
        # answer, that breaks the connection and ends in a Py4JError.
        signal.signal(signal.SIGINT, _interrupted)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _interrupted(_number: int, frame: FrameType | None) -> NoReturn:
    leave_spark(frame)
    raise KeyboardInterrupt


def leave_spark(frame: FrameType | None) -> None:
    """For signal handlers that are about to raise: give up the call of the JVM in ``frame``.

    All Spark jobs of this process are cancelled, so that threads which wait for them come back;
    in a thread of its own, because the main thread may be in the middle of talking to the JVM.
    """
    if "pyspark" not in sys.modules:
        return
    _drop_connection(frame)
    threading.Thread(target=_cancel_jobs, name="cancel-spark-jobs", daemon=True).start()


def _drop_connection(frame: FrameType | None) -> None:
    """Close the connection on which the interrupted code waits for an answer of the JVM.

    Left open, it may be taken up again, and the late answer be read as that to another question.
    Left to py4j, which cleans up after a KeyboardInterrupt only, *all* connections to the JVM are
    closed: those of other threads, and one that this thread opens right afterwards. That no other
    thread uses the connection holds for pinned threads, Spark's default.
    """
    while frame is not None:
        if (
            frame.f_code.co_name == "send_command"
            and frame.f_globals.get("__name__") == "py4j.java_gateway"
        ):
            connection = frame.f_locals.get("connection")
            if connection is not None:
                connection.close()
        frame = frame.f_back


def _cancel_jobs() -> None:
    from pyspark import SparkContext

    context = SparkContext._active_spark_context  # noqa: SLF001  # Spark has no public way
    if context is None:
        return
    try:
        context.cancelAllJobs()
    except Exception as error:  # noqa: BLE001  # the JVM may be gone already
        logger.info("Spark jobs were not cancelled: %s", error)
