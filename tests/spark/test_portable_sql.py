"""Spark SQL without Spark: every function, and nests of them, give what Spark gives or raise."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crisp_spark.deployment.portable_sql import NotPortableError, expression_tree
from crisp_spark.serving.expressions import FUNCTIONS
from tests.spark.sql_cases import differences, each_once, expressions, frame_of

# CRISP_DIFFERENTIAL=50 tries that many batches, each of another kind than the last time.
BATCHES = int(os.environ.get("CRISP_DIFFERENTIAL", "0"))


@pytest.fixture(scope="module")
def frame(spark_session):
    # A part that two expressions share would be computed ahead of both, and raise for both.
    name = "spark.sql.subexpressionElimination.enabled"
    before = spark_session.conf.get(name)
    spark_session.conf.set(name, "false")
    yield frame_of(spark_session).cache()
    spark_session.conf.set(name, before)


@pytest.mark.parametrize("part", range(4))
def test_every_function_of_the_documented_subset(frame, part):
    assert differences(frame, each_once()[part::4]) == []


@pytest.mark.skipif(not BATCHES, reason="long: make differential")
@settings(
    max_examples=max(BATCHES, 1),
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(expressions(), min_size=40, max_size=60, unique=True))
def test_nests_of_functions(frame, batch):
    assert differences(frame, batch) == []


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("rand()", "Rand"),
        ("current_timestamp()", "CurrentTimestamp"),
        ("date_format(m, 'yyyy')", "DateFormatClass"),
        ("upper(soundex(s))", "SoundEx"),
        ("sum(d) OVER (PARTITION BY s)", "more than an expression"),
    ],
)
def test_what_cannot_be_carried_is_named(frame, sql, named):
    with pytest.raises(NotPortableError, match=named):
        expression_tree(sql, frame, FUNCTIONS)
