"""Quantiles of sets of rows beside Spark's own ``percentile``, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from crisp_spark.modeling import quantiles
from crisp_spark.modeling.statistics import Requests, Targets, measure_sets, median_sql
from crisp_spark.modeling.statistics import quantiles_sql as several

GRID = tuple(at / 16 for at in range(17))
SETS = {-1: "true", 0: "id % 3 <> 0", 1: "id % 3 <> 1", 2: "id % 50 = 2", 3: "id < 0"}
ASKED = (
    median_sql("smooth"),
    several("smooth", GRID),
    several("ties", (0.1, 0.5, 0.999)),
    median_sql("few"),
    several("none", (0.5,)),
    median_sql("none"),
    several("whole * 2", (0.25, 0.75)),
    median_sql("`odd.näme`"),
    several("ends", (0.0, 0.01, 0.99, 1.0)),
)


@pytest.fixture
def rows(spark):
    random = np.random.default_rng(5)
    made = [
        (
            n,
            float(random.normal()),
            float(random.integers(0, 4)),
            float(n) if n % 97 == 0 else None,
            None,
            n * 7919 % 1000,
            float(random.exponential()),
            (float("inf"), float("-inf"), 1e-310, None)[n % 4] if n % 5 == 0 else float(n % 13),
        )
        for n in range(3000)
    ]
    schema = (
        "id int, smooth double, ties double, few double, none double, whole int, "
        "`odd.näme` double, ends double"
    )
    return spark.createDataFrame(made, schema).repartition(3).cache()


def of_sets(rows, sets=SETS, asked=ASKED):
    places = [F.when(F.expr(sql), F.lit(number)) for number, sql in sets.items()]
    frame = rows.withColumn("sets", F.array_compact(F.array(*places)))
    requests = Requests()
    for sql in asked:
        requests.scalar(sql)
    return measure_sets(frame, "sets", requests, {number: Targets() for number in sets})


def by_spark(rows, sql, asked=ASKED):
    return dict(zip(asked, rows.where(sql).agg(*map(F.expr, asked)).head(), strict=True))


@pytest.mark.parametrize(
    ("whole", "cells"), [(50_000, 16_000_000), (700, 16_000_000), (700, 11_000), (700, 1)],
    ids=["whole table", "sample", "one ask at a time", "left to Spark"],
)  # fmt: skip
def test_every_set_gets_what_percentile_gives(rows, whole, cells, monkeypatch):
    monkeypatch.setattr(quantiles, "WHOLE", whole)
    monkeypatch.setattr(quantiles, "_CELLS", cells)
    found = of_sets(rows)
    assert set(found) == set(SETS) - {3}  # a set without rows has no answer
    for number, own in found.items():
        assert dict(own.scalars) == by_spark(rows, SETS[number])


def test_a_sample_that_misses_is_noticed(rows, monkeypatch):
    """Brackets without width miss nearly always; then Spark is asked."""
    monkeypatch.setattr(quantiles, "_sample_size", lambda rows: 300)
    monkeypatch.setattr(quantiles, "_SIGMAS", 0.0)
    found = of_sets(rows, {0: "true"})
    assert dict(found[0].scalars) == by_spark(rows, "true")


@pytest.mark.parametrize("whole", [50_000, 300])
def test_nan_is_the_largest_number_as_in_spark(rows, whole, monkeypatch):
    monkeypatch.setattr(quantiles, "WHOLE", whole)
    some = rows.withColumn("ends", F.when(F.col("id") % 2 == 0, F.lit(float("nan"))).otherwise(1.0))
    asked = (median_sql("ends"), several("ends", (0.2, 0.9)))
    found = of_sets(some, {0: "true"}, asked)[0].scalars
    expected = by_spark(some, "true", asked)
    assert str(list(found.values())) == str(list(expected.values()))


def test_no_percentile_is_left_to_spark(rows, monkeypatch):
    monkeypatch.setattr(quantiles, "WHOLE", 700)
    seen = []
    real = quantiles.find_quantiles

    def watched(*arguments):
        found = real(*arguments)
        seen.append(found)
        return found

    monkeypatch.setattr("crisp_spark.modeling.statistics.find_quantiles", watched)
    of_sets(rows)
    (answers,) = seen
    assert {number: len(own) for number, own in answers.items()} == dict.fromkeys(
        (-1, 0, 1, 2), len(ASKED)
    )
