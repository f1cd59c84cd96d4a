from __future__ import annotations

import sys

from crisp_spark.engine.session import SEMANTICS


def test_session_has_the_settings_that_make_spark_lines_agree(spark):
    for key, value in SEMANTICS.items():
        if key.startswith("spark.sql"):
            assert spark.conf.get(key) == value


def test_workers_run_the_interpreter_of_the_driver(spark):
    executables = spark.sparkContext.parallelize([1], 1).map(lambda _: sys.executable).collect()
    assert executables == [sys.executable]


def test_no_jobs_fixture_sees_a_job(spark, no_jobs):
    import pytest

    with pytest.raises(AssertionError, match="Spark job"), no_jobs():
        spark.range(3).count()
