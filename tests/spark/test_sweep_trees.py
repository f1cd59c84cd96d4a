"""One fit that serves several trials gives each of them what its own fit would give."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.classification import GBTClassificationModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from crisp_spark.modeling.engines.bins import split_candidates
from crisp_spark.modeling.engines.histogram import HistogramEngine
from crisp_spark.modeling.engines.nodes import Stop, cut, read_trees
from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.engines.sharing import ForestPrefixEngine, SharingEngine
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.executing import carry_out, run_groups
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.groups import SweepData, plan_groups
from crisp_spark.modeling.planning import SweepTask
from crisp_spark.modeling.sweep import run_sweep
from crisp_spark.modeling.trials import fit_trial, score_validation
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.modeling import ModelingSpec
from tests.spark.fold_cases import FOLD, SLOTS, Folds, coded, predictions, trials_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


SHARED = [
    ("binary", "gradient_boosting", {"maxIter": [1, 3, 4], "maxDepth": 3, "subsamplingRate": 0.8}),
    ("regression", "gradient_boosting", {"maxIter": [2, 3], "featureSubsetStrategy": "sqrt"}),
    ("binary", "decision_tree", {"maxDepth": [0, 2, 6], "minInfoGain": [0.0, 0.02]}),
    ("multiclass", "decision_tree", {"maxDepth": [2, 5], "impurity": "entropy"}),
    ("regression", "decision_tree", {"maxDepth": [1, 5], "minInfoGain": [0.0, 0.05]}),
    ("binary", "random_forest", {"maxDepth": [2, 4, 7], "numTrees": 3}),
    ("multiclass", "random_forest", {"maxDepth": [2, 5], "numTrees": 3}),
    ("regression", "random_forest", {"maxDepth": [2, 5], "numTrees": 3}),
    (
        "binary",
        "random_forest",
        {"maxDepth": [2, 4], "numTrees": 2, "keepLeafProbabilities": True},
    ),
]


@pytest.mark.parametrize(("problem", "kind", "params"), SHARED)
def test_a_shared_fit_equals_separate_fits_bit_for_bit(spark, tmp_path, problem, kind, params):
    folds, trials = Folds(spark, problem), trials_of(problem, kind, params)
    (group,) = plan_groups(trials, folds.data, [SharingEngine(), PlainEngine()])
    assert (group.engine, group.label, len(group.trials)) == ("mllib-shared", "exact", len(trials))
    outcomes = SharingEngine().run(group, folds.work)
    for trial, outcome in zip(trials, outcomes, strict=True):
        alone = fit_trial(trial, folds.prepared, folds.task)
        ours, theirs = outcome.models[0].stages[0], alone.stages[0]
        # The first line of a model's text is its name.
        assert lines(ours) == lines(theirs)
        assert read_trees(ours) == read_trees(theirs)
        assert outcome.result.metrics == score_validation(alone, folds.prepared, folds.task)
        for name, value in trial.params.items():
            if name != "keepLeafProbabilities":
                assert str(ours.getOrDefault(name)) == str(value)
    path = str(tmp_path / "model")
    PipelineModel([ours]).write().save(path)
    assert read_trees(PipelineModel.load(path).stages[0]) == read_trees(ours)


def lines(model):
    text = model.toDebugString.splitlines()[1:]
    return [line for line in text if "uid" not in line and "numFeatures" not in line]


def test_leaves_that_keep_their_probabilities_are_the_same_splits_and_finer_scores(spark):
    folds = Folds(spark, "binary")
    found = {}
    for keep in (True, False):
        params = {"maxDepth": 3, "numTrees": 3, "keepLeafProbabilities": keep}
        (trial,) = trials_of("binary", "random_forest", params)
        found[keep] = fit_trial(trial, folds.prepared, folds.task)
    fine, coarse = (read_trees(found[keep].stages[0]) for keep in (True, False))
    assert [len(tree) for tree in fine] > [len(tree) for tree in coarse]
    # Merged as MLlib merges, they are MLlib's own forest.
    merged = [cut(tree, Stop(9, impurity="gini")) for tree in fine]
    assert [[n["split"] for n in tree] for tree in merged] == [
        [n["split"] for n in tree] for tree in coarse
    ]
    assert [[n["impurityStats"] for n in tree] for tree in merged] == [
        [n["impurityStats"] for n in tree] for tree in coarse
    ]
    scores = PipelineModel(list(found[True].stages)).transform(folds.prepared.validation)
    row = scores.select("probability", "prediction").first()
    assert row["prediction"] == float(row["probability"][1] > 0.5)
    assert abs(sum(row["probability"]) - 1) < 1e-12


def test_what_cannot_be_shared_exactly_is_fitted_by_itself(spark):
    data = SweepData("binary", 2, 500, 4000, 0, False, 3)
    deep = trials_of("binary", "random_forest", {"maxDepth": [2, 14], "numTrees": 50})
    other = trials_of("binary", "random_forest", {"numTrees": [2, 3]})
    bad = trials_of("binary", "gradient_boosting", {"maxIter": [0, -1]})
    for trials in (deep, other, bad):
        groups = plan_groups(trials, data, [SharingEngine(), PlainEngine()])
        assert [g.engine for g in groups] == ["mllib"] * 2


FAST = [
    # Equally good splits are common in small nodes of 0 and 1, so nodes are kept large.
    ("binary", {"maxIter": [1, 4, 8], "maxDepth": 3, "minInstancesPerNode": 25}),
    ("binary", {"maxIter": 5, "maxDepth": 3, "minInfoGain": 0.01, "maxBins": 16}),
    ("regression", {"maxIter": [2, 6], "maxDepth": 3, "stepSize": 0.3, "minInstancesPerNode": 3}),
    ("regression", {"maxIter": 2, "maxDepth": 0}),
]


@pytest.mark.parametrize(("problem", "params"), FAST)
def test_the_histogram_engine_grows_the_trees_of_mllib(spark, tmp_path, problem, params):
    folds, trials = Folds(spark, problem), trials_of(problem, "gradient_boosting", params)
    data, engine = replace(folds.data, mode="fast"), HistogramEngine()
    (group,) = plan_groups(trials, data, [engine, PlainEngine()])
    assert (group.engine, group.label) == ("histogram", "equivalent")
    for trial, outcome in zip(trials, engine.run(group, folds.work), strict=True):
        alone = fit_trial(trial, folds.prepared, folds.task)
        ours, theirs = outcome.models[0].stages[0], alone.stages[0]
        assert type(ours) is type(theirs)
        assert list(ours.treeWeights) == list(theirs.treeWeights)
        # The engine's own metrics are those of the model that it is converted into.
        converted = score_validation(outcome.models[0], folds.prepared, folds.task)
        assert outcome.result.metrics == pytest.approx(converted, abs=1e-12)
        assert predictions(ours, folds) == pytest.approx(predictions(theirs, folds), abs=1e-9)
    path = str(tmp_path / "model")
    PipelineModel([ours]).write().save(path)
    loaded = PipelineModel.load(path).stages[0]
    assert predictions(loaded, folds) == predictions(ours, folds)
    final = engine.fit(trials[-1], folds.prepared, folds.task).stages[0]
    assert predictions(final, folds) == predictions(ours, folds)


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_the_histogram_engine_splits_places_of_one_hot_vectors(spark, problem):
    folds = coded(spark, problem, one_hot=True)
    params = {"maxIter": 4, "maxDepth": 3, "minInstancesPerNode": 20}
    (trial,) = trials_of(problem, "gradient_boosting", params)
    ours = HistogramEngine().fit(trial, folds.prepared, folds.task).stages[0]
    theirs = fit_trial(trial, folds.prepared, folds.task).stages[0]
    assert predictions(ours, folds) == pytest.approx(predictions(theirs, folds), abs=1e-9)
    slots = {
        node["split"]["featureIndex"]
        for tree in read_trees(ours)
        for node in tree
        if node["leftChild"] >= 0
    }
    assert slots & {1, 2, 3, 4}


def test_codes_of_more_than_two_categories_are_left_to_mllib(spark):
    folds = coded(spark, "binary", one_hot=False)
    (trial,) = trials_of("binary", "gradient_boosting", {"maxIter": 2, "maxDepth": 2})
    with pytest.raises(ValueError, match="slot 1 holds unordered codes of 4 categories"):
        HistogramEngine().fit(trial, folds.prepared, folds.task)


def test_candidates_of_splits_are_those_of_mllib_above_its_sample_size(spark):
    rng = np.random.default_rng(5)
    rows = [(Vectors.dense(v), float(v[0] > v[1])) for v in rng.normal(size=(12_000, 2))]
    frame = spark.createDataFrame(rows, ["features", "_crisp_label"]).repartition(2).cache()
    (trial,) = trials_of("binary", "gradient_boosting", {"maxIter": 1, "maxDepth": 4, "maxBins": 8})
    learner = build_estimator(trial.info, trial.params, BuildContext("binary", seed=11))
    candidates = split_candidates(learner, frame, "features")
    assert all(6 <= ends.size <= 8 for ends in candidates)
    for node in read_trees(learner.fit(frame))[0]:
        if node["leftChild"] >= 0:
            slot, (threshold,) = (
                node["split"]["featureIndex"],
                node["split"]["leftCategoriesOrThreshold"],
            )
            assert threshold in candidates[slot]


def test_the_histogram_engine_refuses_what_it_would_not_do_justice(spark):
    (trial,) = trials_of("binary", "gradient_boosting", {"maxIter": 2})
    (drawn,) = trials_of("binary", "gradient_boosting", {"subsamplingRate": 0.5})
    data = SweepData("binary", 2, 500, 5, 0, False, 3, mode="fast")
    engine = HistogramEngine()
    assert engine.take([trial, drawn], data)[0].trials == (trial,)
    for other in ({"mode": "exact"}, {"arity": 3}, {"weighted": True}, {"rows": 10**9}):
        assert not engine.take([trial], replace(data, **other))


def test_a_group_that_its_engine_cannot_fit_is_fitted_by_mllib_with_a_note(spark, monkeypatch):
    folds = Folds(spark, "binary")
    trials = trials_of("binary", "gradient_boosting", {"maxIter": [1, 2], "maxDepth": 2})

    def broken(*_):
        raise ValueError("no room")

    engine = SharingEngine()
    monkeypatch.setattr(engine, "run", broken)
    found = list(run_groups(engine.take(trials, folds.data), folds.work, engine))
    assert [o.result.status for o in found] == ["finished"] * 2
    assert {o.result.engine for o in found} == {"mllib"}
    assert "no room" in found[0].result.notes[0]


def test_a_fast_sweep_ends_with_a_model_of_mllib_and_says_what_is_equivalent(spark, tmp_path):
    folds = Folds(spark, "binary")
    columns = [F.col("v")[at].alias(f"x{at}") for at in range(SLOTS)]
    train = (
        folds.rows.select(
            vector_to_array("features").alias("v"), F.col("_crisp_label").alias("late")
        )
        .select(*columns, F.col("late").cast("int"))
        .withColumn("id", F.xxhash64(*(f"x{at}" for at in range(SLOTS))))
        .withColumn("_crisp_fold", F.pmod("id", F.lit(2)).cast("int"))
        .cache()
    )
    spec = ModelingSpec.model_validate(
        {
            "families": [
                {"kind": "gradient_boosting", "params": {"maxIter": [2, 9], "maxDepth": 3}},
                {"kind": "random_forest", "params": {"numTrees": [1, 2], "maxDepth": 2}},
            ],
            "search": {"mode": "fast"},
            "metric": "roc_auc",
        }
    )
    goal = MiningGoal(problem="binary", target="late", positive=1, key=("id",))
    plan = FeaturePlan(excluded={"late": "the target"}, optional={"id": "key"})
    outcome = run_sweep(train, SweepTask(spec, goal, plan, key=("id",), partitions=2))
    result, path = outcome.result, str(tmp_path / "model")
    assert result.plan.mode == "fast"
    assert {t.family: (t.engine, t.label) for t in result.trials} == {
        "gradient_boosting": ("histogram", "equivalent"),
        "random_forest": ("histogram-forest", "equivalent"),
    }
    assert result.winner.family == "gradient_boosting"
    outcome.model.write().save(path)
    learner = PipelineModel.load(path).stages[-1]
    assert isinstance(learner, GBTClassificationModel)
    assert learner.getNumTrees == result.winner.params["maxIter"]
    assert outcome.validation.count() == train.count()
    outcome.release()


def test_finalists_are_fitted_again_until_the_best_is_mllibs_own(spark):
    folds = Folds(spark, "binary")
    trials = trials_of("binary", "random_forest", {"numTrees": [1, 2, 5], "maxDepth": 4})
    search = SimpleNamespace(mode="fast", finalists=3)
    spec = SimpleNamespace(search=search, budget=SimpleNamespace(max_seconds=None))
    task = SimpleNamespace(spec=spec, finished={}, on_trial=lambda *_: None, must_stop=str)
    metric = SimpleNamespace(name="accuracy", higher_is_better=True)
    plan = SimpleNamespace(trials=trials, folds=(FOLD,), metric=metric)
    found = carry_out(plan, folds.work, task, [ForestPrefixEngine(), PlainEngine()])
    best = max(found.trials, key=lambda trial: trial.metric)
    assert [t.name for t in found.trials] == [t.name for t in trials]
    assert (best.engine, best.label) == ("mllib", "exact")
    assert "a finalist: mllib-prefix gave accuracy" in best.notes[-1]
    alone = fit_trial(next(t for t in trials if t.name == best.name), folds.prepared, folds.task)
    assert best.metrics == score_validation(alone, folds.prepared, folds.task)
