"""How often a profile reads its table, how many jobs it takes, and that both ways tell the same."""

from __future__ import annotations

from uuid import uuid4

import pytest

from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding import profile
from crisp_spark.understanding.profile import profile_table

COLUMNS = (
    "xxhash64(id) AS _crisp_row",
    "id AS `order.id`",
    "concat('c-', id) AS code",
    "if(id % 50 = 3, null, pmod(xxhash64(id, 1), 1000000) / 7D) AS price",
    "CAST(if(id % 90 = 7, 'NaN', if(id % 80 = 9, '-Infinity', string(id / 3))) AS double) AS odd",
    "CAST(pmod(xxhash64(id, 2), 1000) / 1000 AS float) AS single",
    "CAST(pmod(id * 7, 90000) / 8 AS decimal(12, 3)) AS exact",
    "CAST(pmod(id, 50) AS tinyint) AS small",
    "element_at(array('DE', 'FR ', ' ', null, 'ÄÖ'), CAST(pmod(id, 5) AS int) + 1) AS country",
    "concat(if(id % 2 = 0, ' ', ''), repeat('ab', 120), id % 3000) AS long_text",
    "timestamp_micros(1704067200000000 + id * 3601000001) AS at",
    "date_add(date'2024-01-01', CAST(pmod(id, 366) AS int)) AS day",
    "id % 3 = 0 AS express",
    "array(id % 5) AS tags",
    "if(id % 4 = 0, null, CAST(string(id % 7) AS binary)) AS raw",
    "map('a', id) AS pairs",
    "CAST(null AS string) AS nothing",
    "5 AS one",
)
GOALS = {
    "binary": MiningGoal(
        problem="binary",
        target="late",
        target_expression="price > 60000",
        target_source="s",
        positive=True,
    ),
    "regression": MiningGoal(problem="regression", target="price", target_source="s"),
    "multiclass": MiningGoal(problem="multiclass", target="country", target_source="s"),
}
DECLARED = CsvSource(
    path="x.csv", key=("order.id", "raw"), time="at", columns={"code": {"pii": True}}
)


@pytest.fixture
def table(spark, tmp_path):
    """Write a table of so many rows as Parquet and open it."""

    def make(rows, columns=COLUMNS):
        folder = str(tmp_path / str(uuid4()))
        spark.range(0, rows, 1, 3).selectExpr(*columns).write.parquet(folder)
        return spark.read.parquet(folder)

    return make


@pytest.fixture
def spent(spark):
    """Run something; return what it returned, its jobs, and the rows that it read from files."""

    def run(work):
        context, group = spark.sparkContext, str(uuid4())
        context.setJobGroup(group, "profile")
        try:
            value = work()
        finally:
            context.setLocalProperty("spark.jobGroup.id", None)
        scheduler, tracker = context._jsc.sc(), context.statusTracker()
        scheduler.listenerBus().waitUntilEmpty(60_000)
        store, jobs = scheduler.statusStore(), tracker.getJobIdsForGroup(group)
        stages = {stage for job in jobs for stage in tracker.getJobInfo(job).stageIds}
        # A long session forgets stages that were skipped, first of all; they read nothing.
        known = [stage for stage in stages if tracker.getStageInfo(stage) is not None]
        read = sum(store.lastStageAttempt(stage).inputRecords() for stage in known)
        return value, len(jobs), read

    return run


def test_a_small_table_is_read_once_in_one_job(table, spent):
    df = table(700)
    found, jobs, read = spent(lambda: profile_table(df, "s", DECLARED, GOALS["binary"], rows=700))
    assert (jobs, read, found.scans) == (1, 700, 1)


def test_other_tables_are_read_three_times_in_seven_jobs(table, spent):
    df = table(12_000)
    found, jobs, read = spent(
        lambda: profile_table(df, "s", DECLARED, GOALS["binary"], rows=12_000)
    )
    assert not found.column("price").distinct_exact
    # Spark runs each shuffle as a job of its own.
    assert (jobs, read, found.scans) == (7, 3 * 12_000, 3)


def test_rows_that_nobody_knows_are_counted_without_reading_a_column(table, spent):
    df = table(700)
    known = profile_table(df, "s", rows=700)
    found, jobs, _ = spent(lambda: profile_table(df, "s"))
    assert (jobs, found.scans) == (3, 2)
    assert found.model_copy(update={"scans": 1}) == known


@pytest.mark.parametrize("problem", GOALS)
@pytest.mark.parametrize("sample_rows", [20_000, 1000])
def test_small_tables_are_told_as_if_they_were_not(table, monkeypatch, problem, sample_rows):
    df = table(2500)
    goal = GOALS[problem]
    small = profile_table(df, "s", DECLARED, goal, sample_rows=sample_rows, rows=2500)
    monkeypatch.setattr(profile, "fits", lambda *_: False)
    other = profile_table(df, "s", DECLARED, goal, sample_rows=sample_rows, rows=2500)
    assert (small.scans, other.scans) == (1, 3)
    assert small.model_dump(exclude={"scans"}) == other.model_dump(exclude={"scans"})


def test_years_that_only_spark_knows_take_the_passes(table):
    df = table(300, ("id AS k", "timestamp_seconds(if(id = 7, 400000000000, id)) AS at"))
    found = profile_table(df, "s", rows=300)
    assert found.scans == 4
    assert found.column("at").max.startswith("+14645-")


def test_wide_tables_take_one_more_scan_for_the_sample(table, spent):
    df = table(9500, [f"id % {n + 20} AS c{n}" for n in range(45)])
    found, _, read = spent(lambda: profile_table(df, "s", rows=9500))
    # Two groups of columns; each of them reads its own columns of every row.
    assert (found.scans, read) == (4, 5 * 9500)
    assert found.column("c30").distinct == 50
