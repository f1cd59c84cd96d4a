"""Boosting on bins in ``mode: exact``: MLlib's own trees, or MLlib itself."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors

from crisp_spark.modeling.engines.histogram_proved import ProvedEngine
from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.engines.sharing import SharingEngine
from crisp_spark.modeling.executing import carry_out
from crisp_spark.modeling.groups import plan_groups
from crisp_spark.modeling.trials import fit_trial, score_validation
from tests.spark.fold_cases import FOLD, SLOTS, Folds, coded, predictions, trials_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


def coarse(spark, problem):
    """A fold of few values, some of them twice under another name: full of equal gains."""
    chance = np.random.default_rng(6)
    x = chance.integers(0, 6, (700, SLOTS)).astype(float)
    x[:, 1], x[:, 4] = 9 - x[:, 0], 2 * x[:, 2] + 1
    pull = x[:, 0] + x[:, 2] * x[:, 3] / 3 + chance.normal(size=700) * 2
    label = (pull > 6).astype(float) if problem == "binary" else np.round(pull)
    rows = [(Vectors.dense(a), float(b)) for a, b in zip(x, label, strict=True)]
    frame = spark.createDataFrame(rows, ["features", "_crisp_label"]).repartition(2).cache()
    train, validation = frame.limit(400).cache(), frame.limit(700).cache()
    folds = Folds(spark, problem)
    folds.prepared = replace(folds.prepared, train=train, validation=validation)
    return folds


CASES = [
    ("smooth", "binary", {"maxIter": [1, 4, 8], "maxDepth": [2, 4], "minInstancesPerNode": 8}),
    ("smooth", "binary", {"maxIter": [5], "maxDepth": 3, "minInfoGain": 0.01, "maxBins": 16}),
    (
        "smooth",
        "regression",
        {"maxIter": [2, 6], "maxDepth": 3, "stepSize": 0.3, "minInstancesPerNode": 5},
    ),
    ("smooth", "regression", {"maxIter": [2], "maxDepth": 0}),
    # Whole numbers: equal gains are decided as MLlib decides, whatever the size of a node.
    ("coarse", "binary", {"maxIter": [1], "maxDepth": [2, 5, 7]}),
    ("coarse", "regression", {"maxIter": [1], "maxDepth": [3, 6]}),
    ("coarse", "binary", {"maxIter": [3], "maxDepth": [3], "minInstancesPerNode": [5, 20]}),
]


@pytest.mark.parametrize(("rows", "problem", "params"), CASES)
def test_what_is_certain_is_what_mllib_fits(spark, rows, problem, params):
    folds = Folds(spark, problem) if rows == "smooth" else coarse(spark, problem)
    trials, engine = trials_of(problem, "gradient_boosting", params), ProvedEngine()
    groups = plan_groups(trials, folds.data, [engine, PlainEngine()])
    assert {(group.engine, group.label) for group in groups} == {("histogram-proved", "exact")}
    assert proved_as_mllib(engine, groups, folds) >= len(trials) / 2


def proved_as_mllib(engine, groups, folds):
    """Compare certain trials with MLlib's own fits, and count them."""
    proved = 0
    for group in groups:
        trials = {trial.name: trial for trial in group.trials}
        for outcome in engine.run(group, folds.work):
            alone = fit_trial(trials[outcome.result.name], folds.prepared, folds.task)
            theirs = score_validation(alone, folds.prepared, folds.task)
            assert outcome.result.metrics == pytest.approx(theirs, abs=1e-9)
            assert predictions(outcome.models[0].stages[0], folds) == pytest.approx(
                predictions(alone.stages[0], folds), abs=1e-9
            )
            proved += 1
    return proved


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_places_of_one_hot_vectors_are_certain_too(spark, problem):
    folds, engine = coded(spark, problem, one_hot=True), ProvedEngine()
    params = {"maxIter": [1, 4], "maxDepth": [2, 3], "minInstancesPerNode": 20}
    trials = trials_of(problem, "gradient_boosting", params)
    groups = engine.take(trials, folds.data)
    assert proved_as_mllib(engine, groups, folds) >= len(trials) / 2


def test_what_is_uncertain_is_fitted_by_mllib_and_the_rest_is_not(spark):
    folds, engine = Folds(spark, "binary"), ProvedEngine()
    trials = trials_of("binary", "gradient_boosting", {"maxIter": [1, 30], "maxDepth": 5})
    search = SimpleNamespace(mode="exact", finalists=0)
    spec = SimpleNamespace(search=search, budget=SimpleNamespace(max_seconds=None))
    seen = []
    task = SimpleNamespace(
        spec=spec, finished={}, on_trial=lambda key, _: seen.append(key), must_stop=str
    )
    metric = SimpleNamespace(name="accuracy", higher_is_better=True)
    plan = SimpleNamespace(trials=trials, folds=(FOLD,), metric=metric)
    found = carry_out(plan, folds.work, task, [engine, SharingEngine(), PlainEngine()])
    one, other = found.trials
    assert (one.engine, one.label, one.notes) == ("histogram-proved", "exact", [])
    assert (other.engine, other.label) == ("mllib", "exact")
    assert "histogram-proved was not certain (tree" in other.notes[-1]
    alone = fit_trial(trials[1], folds.prepared, folds.task)
    assert other.metrics == score_validation(alone, folds.prepared, folds.task)
    assert seen == [trial.key for trial in trials]


def test_the_final_model_is_fitted_by_mllib(spark):
    folds, engine = Folds(spark, "regression"), ProvedEngine()
    (trial,) = trials_of("regression", "gradient_boosting", {"maxIter": 2, "maxDepth": 2})
    final, alone = (
        fit(trial, folds.prepared, folds.task).stages[0] for fit in (engine.fit, fit_trial)
    )
    assert predictions(final, folds) == predictions(alone, folds)


def test_it_serves_exact_sweeps_of_numbers_only(spark):
    data, engine = Folds(spark, "binary").data, ProvedEngine()
    (trial,) = trials_of("binary", "gradient_boosting", {"maxIter": 2})
    (drawn,) = trials_of("binary", "gradient_boosting", {"subsamplingRate": 0.5})
    assert engine.take([trial, drawn], data)[0].trials == (trial,)
    for other in ({"mode": "fast"}, {"arity": 3}, {"weighted": True}, {"rows": 10**9}):
        assert not engine.take([trial], replace(data, **other))
