"""One Spark session per process, reset after each test; plugged in by the folders that need it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from crisp_spark.engine.session import build_session


@pytest.fixture(scope="session")
def spark_session() -> Iterator[SparkSession]:
    scratch = tempfile.mkdtemp(prefix="crisp-spark-test-")
    session = build_session(
        "tests",
        master="local[2]",
        conf={
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": f"{scratch}/warehouse",
            "spark.local.dir": f"{scratch}/local",
            "spark.driver.memory": "2g",
            # Short tests spend their time in the compiler: the first tier is enough.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        },
    )
    yield session
    session.stop()
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session; cache and temporary views are gone after the test."""
    yield spark_session
    spark_session.catalog.clearCache()
    for table in spark_session.catalog.listTables():
        if table.isTemporary:
            spark_session.catalog.dropTempView(table.name)


@pytest.fixture
def no_jobs(spark: SparkSession) -> Callable[[], AbstractContextManager[None]]:
    """``with no_jobs(): ...`` fails when the block starts a Spark job."""

    @contextmanager
    def guard() -> Iterator[None]:
        context = spark.sparkContext
        group = f"no-jobs-{uuid4()}"
        context.setJobGroup(group, "must stay lazy")
        try:
            yield
        finally:
            jobs = context.statusTracker().getJobIdsForGroup(group)
            context.setLocalProperty("spark.jobGroup.id", None)
        assert not jobs, f"{len(jobs)} Spark job(s) were started"

    return guard
