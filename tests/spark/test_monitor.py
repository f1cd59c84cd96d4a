from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from crisp_spark.deployment.drift import population_stability_index
from crisp_spark.deployment.monitor import Times, Watched, judge_column, measure_monitoring
from crisp_spark.deployment.monitor_bins import MOST_CATEGORIES, BinnedColumn, measure_bins
from crisp_spark.deployment.monitor_quality import judge_quality
from crisp_spark.deployment.signals import signal_values
from crisp_spark.results.base import Verdict
from crisp_spark.results.evaluate import EvaluateResult, MetricValue, SplitEvaluation, StabilityRow
from crisp_spark.spec.deployment import MonitoringSpec
from crisp_spark.spec.signals import watched_metrics

LIMITS = MonitoringSpec(min_rows=20)


def evaluation(test: float, later: float | None) -> EvaluateResult:
    splits = {"test": split("test", test)}
    if later is not None:
        splits["later"] = split("later", later)
    return EvaluateResult(
        problem="binary",
        main_metric="roc_auc",
        confidence=0.95,
        bootstrap=10,
        seed=1,
        splits=splits,
    )


def split(name: str, auc: float) -> SplitEvaluation:
    value = MetricValue(name="roc_auc", value=auc, low=auc - 0.01, high=auc + 0.01, support=1000)
    money = MetricValue(name="net_value", value=auc * 1e6, support=1000)
    return SplitEvaluation(
        split=name,
        rows=1000,
        read_rows=1000,
        labelled_rows=1000,
        metrics={"roc_auc": value, "net_value": money},
    )


@pytest.fixture(scope="module")
def tables(spark_session):
    """Reference and current: `a.b` moves up, `same` stays, `ort` gets a new value and nulls."""
    reference = spark_session.range(1000).selectExpr(
        "CAST(id AS DOUBLE) AS `a.b`",
        "CAST(id % 7 AS INT) AS same",
        "CASE WHEN id % 2 = 0 THEN 'Köln' ELSE 'Łódź' END AS ort",
        "array(id) AS list",
        "id % 3 = 0 AS flag",
        "DATE '2013-01-01' AS day",
    )
    current = spark_session.range(500).selectExpr(
        "CASE WHEN id < 5 THEN double('NaN') WHEN id < 10 THEN double('Infinity') ELSE CAST(id + 500 AS DOUBLE) END AS `a.b`",
        "CAST(id % 7 AS INT) AS same",
        "CASE WHEN id % 5 = 0 THEN NULL WHEN id % 2 = 0 THEN 'Köln' ELSE 'Nîmes' END AS ort",
        "array(id) AS list",
        "id % 3 = 0 AS flag",
        "DATE '2014-06-01' AS day",
    )
    return reference, current


COLUMNS = ["a.b", "same", "ort", "list", "flag", "day"]


@pytest.fixture(scope="module")
def binned(tables):
    return {column.name: column for column in measure_bins(*tables, COLUMNS)}


def test_numbers_are_binned_by_the_deciles_of_the_reference(binned):
    found = binned["a.b"]
    assert found.reference == [100] * 10
    assert found.fine_reference == [20] * 50
    assert found.current[:5] == [0, 0, 0, 0, 0]
    assert sum(found.current) == 490
    assert found.labels[0].startswith("below ")


def test_nan_and_infinity_count_as_missing(binned):
    assert (binned["a.b"].missing_reference, binned["a.b"].missing_current) == (0, 10)


def test_unseen_values_and_nulls_are_counted(binned):
    found = binned["ort"]
    assert found.labels == ["Köln", "Łódź", "(other)"]
    assert found.reference == [500, 500, 0]
    assert found.unseen == {"Nîmes": 200}
    assert found.current == [200, 0, 200]
    assert found.missing_current == 100


def test_columns_without_a_text_form_are_left_out(binned):
    assert set(binned) == {"a.b", "same", "ort", "flag", "day"}


def test_time_moves_on_without_drifting(binned):
    found = binned["day"]
    assert (found.labels, found.reference, found.current) == (["(any time)"], [1000], [500])
    assert judge_column(found, "input", LIMITS, hide=False).verdict is Verdict.PASS


def test_repeated_values_give_one_bin_each_and_one_for_what_lies_below(binned):
    assert binned["same"].labels[0] == "below 0"
    assert len(binned["same"].labels) == 8
    assert binned["same"].reference[0] == 0
    assert sum(binned["same"].reference) == 1000


def test_result_does_not_depend_on_the_layout(tables, binned):
    again = measure_bins(tables[0].repartition(5), tables[1].repartition(3, "ort"), COLUMNS)
    assert {column.name: column for column in again} == binned


def test_the_number_of_jobs_does_not_grow_with_columns(spark, tables):
    def jobs(columns):
        context = spark.sparkContext
        context.setJobGroup(f"monitor {len(columns)}", "")
        measure_bins(*tables, columns)
        context.setLocalProperty("spark.jobGroup.id", None)
        return len(context.statusTracker().getJobIdsForGroup(f"monitor {len(columns)}"))

    assert jobs(COLUMNS) <= jobs(["a.b"]) + 1


@pytest.fixture(scope="module")
def result(tables):
    return measure_monitoring(
        Watched(("train", "later"), *tables, COLUMNS),
        None,
        evaluation(0.8, 0.6),
        LIMITS,
        times=Times(date(2026, 3, 1), date(2026, 1, 31)),
        pii=frozenset({"ort"}),
    )


def test_alarms_name_exactly_what_moved(result):
    assert {(alarm.signal, alarm.feature) for alarm in result.alarms} == {
        ("psi", "a.b"),
        ("js", "a.b"),
        ("ks", "a.b"),
        ("psi", "ort"),
        ("js", "ort"),
        ("missing", "ort"),
        ("unseen", "ort"),
        ("performance", "roc_auc"),
    }
    assert result.verdict is Verdict.FAIL


def test_signals_are_above_their_limits_where_alarms_were_raised(result):
    limits = {metric.signal: limit for metric, limit in watched_metrics(LIMITS)}
    values = signal_values(result, datetime(2026, 3, 1, tzinfo=UTC))
    above = {
        name for name, found in values.items() if name in limits and found.value > limits[name]
    }
    assert above == {alarm.signal for alarm in result.alarms}


def test_personal_values_are_not_shown(result):
    found = next(column for column in result.columns if column.column == "ort")
    assert (found.unseen_values, found.bins, found.unseen_count) == ([], [], 1)


def test_stale_date_follows_the_limit(result):
    assert result.stale_after == date(2026, 5, 1)


def test_undrifted_rows_raise_nothing(tables):
    reference, _ = tables
    found = measure_monitoring(
        Watched(
            ("train", "test"),
            reference,
            reference.filter("pmod(xxhash64(3, `a.b`), 2) = 0"),
            COLUMNS,
        ),
        None,
        evaluation(0.8, 0.79),
        LIMITS,
        times=Times(date(2026, 1, 1), date(2026, 1, 1)),
    )
    assert found.alarms == []
    assert found.verdict is Verdict.PASS


def test_empty_current_table_is_not_judged(tables):
    reference, current = tables
    found = measure_monitoring(
        Watched(("train", "later"), reference, current.limit(0), COLUMNS),
        None,
        evaluation(0.8, None),
        LIMITS,
        times=Times(date(2026, 1, 1), date(2026, 1, 1)),
    )
    assert {column.verdict for column in found.columns} == {Verdict.UNKNOWN}
    assert found.alarms == []
    assert found.verdict is Verdict.UNKNOWN
    assert found.notes == [
        "No labels of current rows yet: quality is not judged.",
        "Drift is judged from 20 rows on; there are fewer.",
    ]


def test_a_shift_within_the_noise_of_few_rows_is_no_drift():
    column = BinnedColumn(
        "x", True, [str(n) for n in range(10)], [100] * 10, [5, 1, 4, 2, 3, 2, 6, 1, 4, 2]
    )
    drift = judge_column(column, "input", LIMITS, hide=False)
    assert drift.psi == pytest.approx(population_stability_index(column.reference, column.current))
    assert drift.psi > LIMITS.psi_limit
    assert drift.psi < drift.psi_noise


def test_a_column_of_many_values_does_not_flood_the_driver(spark):
    reference = spark.range(3000).selectExpr("CAST(id AS STRING) AS name")
    current = spark.range(2900, 3200).selectExpr("CAST(id AS STRING) AS name")
    found = measure_bins(reference, current, ["name"])[0]
    assert len(found.labels) == MOST_CATEGORIES + 1
    assert (sum(found.reference), sum(found.current)) == (3000, 300)
    assert (found.unseen_count, found.unseen_rows) == (200, 200)
    assert sorted(found.unseen) == [str(n) for n in range(3000, 3010)]


def test_edges_of_a_large_reference_come_from_a_sample_but_all_rows_are_counted(spark):
    reference = spark.range(4000).selectExpr("CAST(id AS DOUBLE) AS x")
    found = measure_bins(reference, reference, ["x"], reference_rows=400_000)[0]
    assert sum(found.reference) == 4000
    assert found.reference == found.current
    assert len(found.labels) == 10
    assert max(found.reference) < 600


def test_nothing_to_watch_needs_no_job(tables):
    assert measure_bins(*tables, []) == []
    assert measure_bins(*tables, ["list"]) == []


def test_columns_of_nulls_are_all_missing(spark):
    table = spark.range(10).selectExpr("CAST(NULL AS DOUBLE) AS x", "CAST(NULL AS STRING) AS y")
    numbers, texts = measure_bins(table, table, ["x", "y"])
    assert (numbers.missing_reference, texts.missing_current) == (10, 10)
    drift = judge_column(numbers, "input", LIMITS, hide=False)
    assert (drift.psi, drift.ks, drift.missing_current) == (None, None, 1.0)


def test_a_stale_model_raises_an_alarm(tables):
    found = measure_monitoring(
        Watched(("train", "later"), *tables, []),
        None,
        evaluation(0.8, 0.8),
        LIMITS,
        times=Times(date(2026, 6, 1), date(2026, 1, 31)),
    )
    assert [(alarm.signal, alarm.limit) for alarm in found.alarms] == [("stale", "2026-05-01")]
    assert found.verdict is Verdict.FAIL


def test_a_drop_within_its_interval_is_no_alarm():
    gap = MetricValue(name="roc_auc", value=-0.1, low=-0.25, high=0.05)
    row = StabilityRow(metric="roc_auc", values={}, gaps={"test_later": gap})
    shaky = evaluation(0.8, 0.7).model_copy(update={"stability": [row]})
    found = judge_quality(shaky, LIMITS)[0]
    assert (found.verdict, found.low, found.high) == (Verdict.PASS, -0.05, 0.25)
    assert judge_quality(evaluation(0.8, 0.7), LIMITS)[0].verdict is Verdict.FAIL


def test_without_a_later_period_test_rows_are_held_against_out_of_fold_rows():
    found = evaluation(0.6, None)
    splits = {**found.splits, "validation": split("validation", 0.8)}
    found = found.model_copy(update={"splits": splits})
    judged = judge_quality(found, LIMITS, current="test")[0]
    assert (judged.reference, judged.current) == (0.8, 0.6)
    assert judged.verdict is Verdict.FAIL


def test_errors_are_held_against_the_limit_relative_to_their_size():
    def judged(before, now):
        splits = {
            name: split(name, 0.5).model_copy(
                update={"metrics": {"mae": MetricValue(name="mae", value=value, support=1000)}}
            )
            for name, value in (("test", before), ("later", now))
        }
        found = evaluation(0.5, 0.5).model_copy(
            update={"problem": "regression", "main_metric": "mae", "splits": splits}
        )
        return judge_quality(found, LIMITS)[0].verdict

    assert judged(100.0, 104.0) is Verdict.PASS
    assert judged(100.0, 106.0) is Verdict.FAIL
    assert judged(0.01, 0.02) is Verdict.FAIL


@pytest.mark.parametrize(
    ("now", "low", "high", "verdict"),
    [(-0.6, -8.9, 7.7, Verdict.PASS), (-6.0, -9.0, -3.0, Verdict.WARN)],
)
def test_a_bias_is_an_alarm_only_where_it_is_no_chance(now, low, high, verdict):
    values = {
        "test": MetricValue(name="bias", value=-0.2, support=1000),
        "later": MetricValue(name="bias", value=now, low=low, high=high, support=1000),
    }
    splits = {
        name: split(name, 0.5).model_copy(update={"metrics": {"bias": value}})
        for name, value in values.items()
    }
    found = evaluation(0.5, 0.5).model_copy(
        update={"problem": "regression", "main_metric": "mae", "splits": splits}
    )
    assert judge_quality(found, LIMITS)[0].verdict is verdict


def test_quality_leaves_sums_of_money_out():
    assert [metric.metric for metric in judge_quality(evaluation(0.8, 0.7), LIMITS)] == ["roc_auc"]
