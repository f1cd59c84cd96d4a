"""Calls whose Spark jobs end with them."""

from __future__ import annotations

import threading
import time

import pytest
from pyspark.sql import functions as F

from crisp_spark.errors import ModelError
from crisp_spark.modeling.limits import in_job_group


def sleep_in_tasks(spark):
    """Run a job whose only task sleeps far longer than any limit here."""
    slow = F.udf(lambda _: __import__("time").sleep(300), "string")
    spark.range(1).select(slow("id")).collect()


def no_job_runs(spark):
    until = time.monotonic() + 60
    while spark.sparkContext.statusTracker().getActiveJobsIds():
        assert time.monotonic() < until
        time.sleep(0.1)
    return True


def test_what_calls_return_comes_back_in_order(spark):
    calls = [lambda n=n: spark.range(n).count() for n in (3, 1, 2)]
    assert in_job_group(spark.sparkContext, "t", calls, parallelism=2) == [3, 1, 2]


def test_at_the_limit_jobs_are_cancelled_and_the_call_is_given_up(spark):
    calls = [lambda: sleep_in_tasks(spark)]
    with pytest.raises(ModelError, match="hung took longer than 3 s and was given up"):
        in_job_group(spark.sparkContext, "hung", calls, parallelism=1, limit_s=3)
    assert no_job_runs(spark)


def test_when_one_call_fails_the_others_are_cancelled_and_waiting_ones_never_start(spark):
    late = threading.Event()

    def fail():
        time.sleep(1)
        raise ValueError("the real reason")

    calls = [lambda: sleep_in_tasks(spark), fail, late.set]
    with pytest.raises(ValueError, match="the real reason"):
        in_job_group(spark.sparkContext, "t", calls, parallelism=2)
    assert no_job_runs(spark)
