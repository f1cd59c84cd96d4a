"""Statistics that all folds ask for first: measured together, they are those of each fold alone."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.folds import count_folds, plan_folds
from crisp_spark.modeling.labels import FOLD, LABEL
from crisp_spark.modeling.preparing import Preparation
from crisp_spark.modeling.shared import SharedStatistics
from crisp_spark.modeling.statistics import (
    Requests,
    Targets,
    key_sql,
    measure_statistics,
    median_sql,
)
from crisp_spark.modeling.vectorizing import PreparationTask

ALL = -1
FOLDS = (0, 1, 2)


@pytest.fixture
def frame(spark):
    made = [
        (
            n,
            None if n % 7 == 0 else float(n * n % 41),
            None if n % 11 == 0 else f"ö{n % 5}",
            f"k{n * n}" if n % 3 == 1 else None,
            n % 3,
            float(n % 4 == 0),
        )
        for n in range(200)
    ]
    schema = f"id int, `x.y` double, city string, rare string, {FOLD} int, {LABEL} double"
    return spark.createDataFrame(made, schema).cache()


@pytest.fixture
def requests():
    found = Requests()
    for sql in (median_sql("`x.y`"), "avg(`x.y`)", "count_if(`x.y` IS NULL)", "max(`x.y`)"):
        found.scalar(sql)
    found.group("k", "avg(`x.y`)")
    found.count("k")
    found.count("r")
    return found


STATEMENTS = (f"SELECT *, {key_sql('city')} AS k, {key_sql('rare')} AS r FROM __THIS__",)


def alone(rows, requests, targets):
    named = rows.withColumns({"k": F.expr(key_sql("city")), "r": F.expr(key_sql("rare"))})
    return measure_statistics(named, requests, targets)


@pytest.mark.parametrize("at_once", [240, 2])
def test_each_set_gets_the_answers_of_its_rows_alone(frame, requests, at_once, monkeypatch):
    monkeypatch.setattr("crisp_spark.modeling.statistics._AT_ONCE", at_once)
    plans = {plan.fold: plan for plan in plan_folds(FOLDS, "k_fold")}
    sets = {at: plan.train_rows() for at, plan in plans.items()} | {ALL: F.lit(True)}
    targets = {
        at: Targets((LABEL,), FOLD, plans[at].training if at in plans else FOLDS) for at in sets
    }
    shared = SharedStatistics(frame, sets, targets)
    for at, condition in sets.items():
        own = alone(frame.where(condition), requests, targets[at])
        together = shared.measure(at, STATEMENTS, requests)
        assert together == own
        parts = {len(item.part_rows) for item in together.categories["k"].items}
        assert parts == {len(targets[at].parts)}
    assert own.categories["r"].distinct > own.categories["k"].distinct > 1


def test_sets_with_parts_of_another_kind_are_measured_apart(frame, requests):
    targets = {0: Targets((LABEL,), FOLD, (1, 2)), 1: Targets((LABEL,), "id % 2", (0, 1))}
    sets = {0: F.col(FOLD) != 0, 1: F.col(FOLD) == 2}
    shared = SharedStatistics(frame, sets, targets)
    for at, condition in sets.items():
        own = alone(frame.where(condition), requests, targets[at])
        assert shared.measure(at, STATEMENTS, requests) == own


def test_a_set_without_rows_has_no_answer(frame, requests):
    targets = {0: Targets(), 1: Targets()}
    shared = SharedStatistics(frame, {0: F.col("id") < 0, 1: F.lit(True)}, targets)
    assert shared.measure(0, STATEMENTS, requests) is None
    assert shared.measure(1, STATEMENTS, requests) is not None


@pytest.mark.parametrize("kind", ["k_fold", "expanding"])
def test_folds_prepared_together_are_those_prepared_one_by_one(frame, kind):
    plan = FeaturePlan(optional={"id": "key"})
    task = PreparationTask("binary", ("no", "yes"), plan, key=("id",))
    plans = plan_folds(FOLDS, kind)
    jobs = frame.sparkSession.sparkContext._jsc.sc().dagScheduler()

    def prepared(together):
        found = Preparation(frame, count_folds(frame, is_classes=True), task)
        before = jobs.numTotalJobs()
        folds = found.all_folds(plans, 2) if together else [found.fold(plan) for plan in plans]
        folds = [*folds, found.fold(None)]
        taken = jobs.numTotalJobs() - before
        told = [
            (
                fold.fitted.features,
                fold.fitted.excluded,
                fold.facts.low.tolist(),
                fold.facts.high.tolist(),
                fold.train_rows,
                fold.train.sort("features").collect(),
            )
            for fold in folds
        ]
        found.release()
        return told, taken

    (together, few), (single, many) = prepared(together=True), prepared(together=False)
    assert together == single
    assert few < many
