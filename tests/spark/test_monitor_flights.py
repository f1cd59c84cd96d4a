"""A month of real flights against the year: with injected drift, and without."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import functions as F

from crisp_spark.cli.examples.nycflights import read_table
from crisp_spark.deployment.monitor import Times, Watched, measure_monitoring
from crisp_spark.deployment.retraining import open_request
from crisp_spark.deployment.signals import monitoring_line
from crisp_spark.reporting.pages.monitor import section
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.base import Verdict
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.spec.deployment import MonitoringSpec
from crisp_spark.spec.signals import watched_metrics
from tests.embedded_metrics import extracted

COLUMNS = ["distance", "hour", "carrier", "origin", "tailnum"]
LIMITS = MonitoringSpec(
    wasserstein_limit=0.25,
    owner="operations",
    signals={"unseen": {"owner": "data team", "action": "ask the source for its new codes"}},
)
EVALUATION = EvaluateResult(
    problem="binary", main_metric="roc_auc", confidence=0.95, bootstrap=10, seed=1, splits={}
)


@pytest.fixture(scope="module")
def flights(spark_session):
    """Every 16th flight of the year, and every 8th of October among the others."""
    lines = read_table("flights")
    header = next(lines)
    at = {name: header.index(name) for name in [*COLUMNS, "month"]}
    year, october = [], []
    for number, line in enumerate(lines):
        row = (
            float(line[at["distance"]]),
            int(line[at["hour"]]),
            line[at["carrier"]],
            line[at["origin"]],
            line[at["tailnum"]] or None,
        )
        if number % 16 == 0:
            year.append(row)
        elif number % 8 == 1 and line[at["month"]] == "10":
            october.append(row)
    schema = "distance double, hour int, carrier string, origin string, tailnum string"
    return tuple(spark_session.createDataFrame(rows, schema).cache() for rows in (year, october))


def monitored(reference, current, columns=COLUMNS):
    return measure_monitoring(
        Watched(("train", "later"), reference, current, columns),
        None,
        EVALUATION,
        LIMITS,
        times=Times(date(2026, 11, 1), date(2026, 10, 1)),
    )


def told_to_cloudwatch(found) -> set[str]:
    """Signals whose metric lies above the threshold of its alarm."""
    line = monitoring_line(found, project="p", model="m", at=datetime(2026, 11, 1, tzinfo=UTC))
    values = {name: value for (_, name, _), value in extracted(line).items()}
    return {
        metric.signal
        for metric, limit in watched_metrics(LIMITS)
        if values.get(metric.name, 0) > limit
    }


def test_a_month_without_drift_raises_nothing(flights):
    found = monitored(*flights, columns=["distance", "hour", "carrier", "origin"])
    assert [alarm.text for alarm in found.alarms] == []
    assert found.verdict is Verdict.PASS
    assert found.retrain is None
    assert told_to_cloudwatch(found) == set()
    moved = {column.column: column.wasserstein for column in found.columns}
    assert 0 < moved["distance"] < 0.1
    assert moved["carrier"] is None


def test_a_drifted_month_raises_the_alarms_of_what_was_injected(flights):
    reference, october = flights
    draw = F.pmod(F.xxhash64("distance", "tailnum", "hour", "carrier"), F.lit(100))
    drifted = (
        october.withColumn("distance", F.col("distance") * 1.6)
        .withColumn("carrier", F.when(draw < 2, "ZZ").otherwise(F.col("carrier")))
        .withColumn("hour", F.when(draw >= 85, None).otherwise(F.col("hour")))
    )
    found = monitored(reference, drifted, columns=["distance", "hour", "carrier", "origin"])
    raised = {(alarm.signal, alarm.feature) for alarm in found.alarms}
    assert raised == {
        ("psi", "distance"),
        ("js", "distance"),
        ("ks", "distance"),
        ("wasserstein", "distance"),
        ("missing", "hour"),
        ("unseen", "carrier"),
    }
    assert told_to_cloudwatch(found) == {signal for signal, _ in raised}
    told = {alarm.signal: (alarm.owner, alarm.action) for alarm in found.alarms}
    assert told["unseen"] == ("data team", "ask the source for its new codes")
    assert told["missing"] == ("operations", LIMITS.action)

    asked = found.retrain
    assert asked.columns == ["distance", "hour"]  # a new code alone is only a warning
    carried = open_request([{"result": found.model_dump(mode="json")}])
    assert carried == asked
    assert "A new model is asked for" in str(section(Results({"monitor": found})).body)


def test_no_earlier_monitoring_asks_for_nothing():
    assert open_request([]) is None
    assert open_request([{"result": {"alarms": []}}]) is None
