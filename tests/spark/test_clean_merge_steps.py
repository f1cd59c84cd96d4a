from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from crisp_spark.errors import DataError
from crisp_spark.results.clean import CleanResult
from crisp_spark.results.merge import MergeResult
from crisp_spark.run.steprun import Written
from crisp_spark.run.steps.preparation import clean, merge
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.data import DataSpec
from crisp_spark.spec.preparation import PreparationSpec


@dataclass
class Run:
    """The part of a step's run that cleaning and merging use, over frames in memory."""

    tables: dict
    preparation: dict
    data: dict
    project_dir: Path = Path()
    spec: object = None
    written: dict = field(default_factory=dict)

    def __post_init__(self):
        goal = MiningGoal(problem="clustering", target_source="flights")
        self.spec = SimpleNamespace(
            data=DataSpec.model_validate({"sources": self.data}),
            preparation=PreparationSpec.model_validate(self.preparation),
            business=SimpleNamespace(mining_goal=goal),
        )

    def read(self, table):
        return self.tables[table]

    def rows(self, table):
        return self.tables[table].count()

    def reread(self, table):
        return self.written[table]

    def write(self, table, frame):
        rows = frame.collect()
        self.written[table] = frame.sparkSession.createDataFrame(rows, frame.schema)
        return Written(table, len(rows), 0, 1)


SOURCE = {"kind": "csv", "path": "x.csv"}


@pytest.fixture(scope="module")
def tables(spark_session):
    make = spark_session.createDataFrame
    return {
        "checked.flights": make(
            [(1, " N1 ", "x", None, 1), (2, "N2", "5", None, 2), (2, "N2", "5", None, 3),
             (3, None, "7", "a", 4)],
            "id int, tailnum string, `sitz.e` string, sparse string, _crisp_row bigint",
        ),
        "checked.planes": make([("N1", 1999), ("N3", 2001)], "tailnum string, year int"),
    }  # fmt: skip


CLEAN = {
    "flights": [
        {"op": "trim", "columns": "*"},
        {"op": "cast", "columns": {"sitz.e": "int"}},
        {"op": "deduplicate", "keys": ["id"], "reason": "one row per flight"},
        {"op": "drop_missing", "axis": "columns", "max_share": 0.6},
    ]
}
MERGE = {
    "steps": [
        {"id": "all", "left": "flights", "right": "planes", "keys": ["tailnum"], "min_match": 0.3,
         "reclean": [{"op": "fill", "columns": ["year"], "value": 0}]}
    ]
}  # fmt: skip


def columns(pii=False):
    flights = {"sitz.e": {"type": "string", "pii": pii}}
    return {"flights": {**SOURCE, "columns": flights}, "planes": SOURCE}


def cached(spark):
    return set(spark.sparkContext._jsc.getPersistentRDDs())


def test_clean_writes_counts_and_explains(spark, tables):
    before = cached(spark)
    run = Run(tables, {"clean": CLEAN}, columns())
    outcome = clean(run)
    assert isinstance(outcome.result, CleanResult)
    flights, planes = outcome.result.sources
    assert (flights.rows_in, flights.rows_kept, flights.rows_dropped) == (4, 3, 1)
    assert flights.dropped_by_reason == {"one row per flight": 1}
    assert flights.excluded == {"sparse": "more than 60% missing"}
    assert flights.columns_out == ["id", "tailnum", "sitz.e"]
    assert [(s.column, s.text, s.cells) for s in flights.failure_samples] == [("sitz.e", "x", 1)]
    assert [op.rows_after for op in flights.operations] == [4, 4, 3, 3]
    assert (planes.rows_in, planes.rows_kept, planes.operations) == (2, 2, [])
    assert run.written["dropped.planes"].count() == 0
    assert {note.level for note in outcome.notes} == {"info", "warn"}
    outcome.result.model_dump_json()
    assert cached(spark) <= before


def test_personal_data_is_not_shown(tables):
    flights = clean(Run(tables, {"clean": CLEAN}, columns(pii=True))).result.sources[0]
    assert [(s.text, s.cells) for s in flights.failure_samples] == [("(hidden)", 1)]


def test_a_function_that_loses_rows_is_found_out(tables, tmp_path):
    (tmp_path / "mine.py").write_text("def bad(df):\n    return df.limit(1)\n")
    run = Run(tables, {"clean": {"flights": [{"python": "mine:bad"}]}}, columns(), tmp_path)
    with pytest.raises(DataError, match=r"rows do not add up, got 4 in, 1 kept and 0 dropped"):
        clean(run)


@pytest.fixture
def cleaned(tables):
    run = Run(tables, {"clean": CLEAN}, columns())
    clean(run)
    return run.written


def test_merge_writes_and_reports(cleaned):
    run = Run(cleaned, {"merge": MERGE}, columns())
    outcome = merge(run)
    result = outcome.result
    assert isinstance(result, MergeResult)
    assert (result.output, result.rows_out) == ("all", 3)
    assert result.columns == {"id": "int", "tailnum": "string", "sitz.e": "int", "year": "int"}
    (step,) = result.steps
    assert (step.matched_left, step.match_rate) == (1, pytest.approx(1 / 3))
    assert [(n.introduced, n.left_after_cleaning) for n in step.nulls] == [(2, 0)]
    assert outcome.notes[0].text == "all: flights + planes (left), 3 rows, 33.3% matched"
    result.model_dump_json()


def test_broken_promises_stop_the_merge_before_anything_is_written(cleaned, spark):
    twice = spark.createDataFrame([("N1", 1), ("N1", 2)], "tailnum string, year int")
    step = {**MERGE["steps"][0], "min_match": 0.9}
    run = Run({**cleaned, "clean.planes": twice}, {"merge": {"steps": [step]}}, columns())
    with pytest.raises(DataError) as caught:
        merge(run)
    text = str(caught.value)
    assert "preparation.merge.steps[0] 'all': expected many_to_one" in text
    assert "repeated on the right: N1 (2 rows)" in text
    assert "33.33% of 3 left rows found a right row" in text
    assert "without a match: None (1 rows), N2 (1 rows)" in text
    assert "merged" not in run.written


def test_one_source_is_passed_on(cleaned):
    run = Run(cleaned, {}, {"flights": SOURCE})
    outcome = merge(run)
    assert (outcome.result.steps, outcome.result.rows_out) == ([], 3)
