"""Forests grown in one task: as good as MLlib's, and converted without a difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crisp_spark.modeling.engines import histogram_forest as engines
from crisp_spark.modeling.engines.bagged import bag
from crisp_spark.modeling.engines.binned import BinnedFolds
from crisp_spark.modeling.engines.histogram_forest import HistogramForestEngine
from crisp_spark.modeling.engines.kernel import nodes_of
from crisp_spark.modeling.engines.nodes import (
    Stop,
    build_model,
    cut,
    gateway,
    read_trees,
    singleton,
    with_class_counts,
)
from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.engines.sharing import ForestPrefixEngine, largest, subset_size
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.groups import SweepData, plan_groups
from crisp_spark.modeling.trials import FittedTrial, fit_trial, score_validation
from tests.spark.fold_cases import SLOTS, Folds, predictions, trials_of

pytestmark = pytest.mark.slow

DATA = SweepData("binary", 2, 500, SLOTS, 0, False, 3, mode="fast")


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


SEVERAL = {"maxDepth": [0, 2, 6], "numTrees": [2, 4], "minInfoGain": 0.004}
CONVERTED = [
    ("binary", "random_forest", SEVERAL),
    ("binary", "random_forest", SEVERAL | {"keepLeafProbabilities": True}),
    ("binary", "random_forest", {"numTrees": [3], "subsamplingRate": 0.6, "bootstrap": False}),
    ("regression", "random_forest", SEVERAL | {"subsamplingRate": 0.5, "minInstancesPerNode": 9}),
    ("binary", "decision_tree", {"maxDepth": [1, 5], "minInfoGain": [0.0, 0.02]}),
    ("regression", "decision_tree", {"maxDepth": [1, 5], "minInfoGain": [0.0, 0.05]}),
]


@pytest.mark.parametrize(("problem", "kind", "params"), CONVERTED)
def test_metrics_are_those_of_the_models_of_mllib_they_stand_for(spark, problem, kind, params):
    folds, trials = Folds(spark, problem), trials_of(problem, kind, params)
    data, engine = replace(folds.data, mode="fast"), HistogramForestEngine()
    (group,) = plan_groups(trials, data, [engine, PlainEngine()])
    assert (group.engine, group.label) == ("histogram-forest", "equivalent")
    for trial, outcome in zip(trials, engine.run(group, folds.work), strict=True):
        model = grown(trial, group, folds)
        scored = score_validation(FittedTrial((model,), ()), folds.prepared, folds.task)
        assert outcome.result.metrics == scored
        trees = read_trees(model)
        assert len(trees) == trial.params.get("numTrees", 1)
        assert all(0 <= depth_of(tree) <= trial.params.get("maxDepth", 5) for tree in trees)
        least = trial.params.get("minInstancesPerNode", 1)
        assert all(node["rawCount"] >= least for tree in trees for node in tree)


def grown(trial, group, folds):
    """The forest that a trial was measured by, as a model of MLlib."""
    problem, params = folds.task.problem, trial.params
    top = largest(group.trials, engines._RULES)
    case = BinnedFolds().one(top, folds.prepared, folds.task)
    share = engines._share(top, folds.data)
    part = engines._part(trial, folds.task)
    forest = bag(case.block.value, engines._bagging(top, folds.task, share), [part])
    trees = [nodes_of(tree, case.thresholds) for tree in forest.trees[: part.trees]]
    impurity = "gini" if problem == "binary" else "variance"
    if problem == "binary":
        trees = [with_class_counts(tree) for tree in trees]
    merge = not params.get("keepLeafProbabilities")
    stop = Stop(part.depth, params.get("minInfoGain", 0.0), merge, impurity)
    kind = "RandomForest" if trial.info.kind == "random_forest" else "DecisionTree"
    own = {n: v for n, v in params.items() if n != "keepLeafProbabilities"}
    return build_model(
        build_estimator(trial.info, own, BuildContext(problem, width=SLOTS)),
        f"{kind}{'Classification' if problem == 'binary' else 'Regression'}Model",
        [cut(tree, stop) for tree in trees],
        slots=SLOTS,
        impurity=impurity,
    )


def test_bins_go_with_their_fold(spark):
    folds = Folds(spark, "regression")
    (trial,) = trials_of("regression", "decision_tree", {"maxDepth": 2})
    block = BinnedFolds().one(trial, folds.prepared, folds.task).block
    held = Path(block._path)
    assert held.exists()
    folds.prepared.release()
    assert not held.exists()
    assert not folds.prepared.train.is_cached


def depth_of(tree, at=0):
    node = tree[at]
    if node["leftChild"] < 0:
        return 0
    return 1 + max(depth_of(tree, node["leftChild"]), depth_of(tree, node["rightChild"]))


SINGLE = [
    # Equally good splits are common in small nodes of 0 and 1, so nodes are kept large.
    ("binary", "decision_tree", {"maxDepth": 3, "minInstancesPerNode": 25}),
    ("regression", "decision_tree", {"maxDepth": 4, "minInstancesPerNode": 3, "maxBins": 16}),
    # Nothing is drawn: each tree of the forest is the same one.
    (
        "regression",
        "random_forest",
        {"numTrees": 2, "maxDepth": 3, "bootstrap": False, "featureSubsetStrategy": "all"},
    ),
]


@pytest.mark.parametrize(("problem", "kind", "params"), SINGLE)
def test_where_nothing_is_drawn_trees_are_those_of_mllib(spark, problem, kind, params):
    folds = Folds(spark, problem)
    (trial,) = trials_of(problem, kind, params)
    engine = HistogramForestEngine()
    (group,) = engine.take([trial], replace(folds.data, mode="fast"))
    (outcome,) = engine.run(group, folds.work)
    alone = fit_trial(trial, folds.prepared, folds.task)
    ours, theirs = grown(trial, group, folds), alone.stages[0]
    assert outcome.result.metrics == pytest.approx(
        score_validation(alone, folds.prepared, folds.task), abs=1e-9
    )
    assert type(ours) is type(theirs)
    splits = [
        [[(n["split"], n["rawCount"]) for n in tree] for tree in read_trees(model)]
        for model in (ours, theirs)
    ]
    assert splits[0] == splits[1]
    assert predictions(ours, folds) == pytest.approx(predictions(theirs, folds), abs=1e-9)
    # The final model is always MLlib's own.
    final = engine.fit(trial, folds.prepared, folds.task).stages[0]
    assert read_trees(final) == read_trees(theirs)


@pytest.mark.parametrize(
    ("problem", "metric", "params"),
    [
        ("binary", "roc_auc", {"numTrees": 5, "maxDepth": 4}),
        ("regression", "rmse", {"numTrees": 5, "maxDepth": 4, "subsamplingRate": 0.7}),
    ],
)
def test_forests_are_as_good_as_those_of_mllib_over_many_draws(spark, problem, metric, params):
    folds, seeds = Folds(spark, problem), list(range(1, 13))
    engine, data = HistogramForestEngine(), replace(folds.data, mode="fast")
    trials = trials_of(problem, "random_forest", params | {"seed": seeds})
    ours = [
        outcome.result.metrics[metric]
        for group in engine.take(trials, data)
        for outcome in engine.run(group, folds.work)
    ]
    theirs = [
        score_validation(fit_trial(trial, folds.prepared, folds.task), folds.prepared, folds.task)[
            metric
        ]
        for trial in trials
    ]
    assert len(set(ours)) == len(seeds)
    spread = np.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / len(seeds))
    assert abs(np.mean(ours) - np.mean(theirs)) < 3 * spread
    assert 1 / 3 < np.std(ours) / np.std(theirs) < 3


def test_the_first_trees_of_a_forest_do_not_depend_on_how_many_follow(spark):
    folds, engine = Folds(spark, "binary"), HistogramForestEngine()
    data = replace(folds.data, mode="fast")
    found = []
    for asked in ([2], [2, 7]):
        trials = trials_of("binary", "random_forest", {"numTrees": asked, "maxDepth": 3})
        (group,) = engine.take(trials, data)
        (first, *_) = engine.run(group, folds.work)
        found.append((first.result.metrics, read_trees(grown(trials[0], group, folds))))
    assert found[0] == found[1]


def test_what_it_would_not_do_justice_is_left_to_others(spark):
    engine = HistogramForestEngine()
    (trial,) = trials_of("binary", "random_forest", {"numTrees": 4})
    assert engine.take([trial], DATA)[0].trials == (trial,)
    for other in ({"mode": "exact"}, {"arity": 3}, {"weighted": True}, {"rows": 10**9}):
        assert not engine.take([trial], replace(DATA, **other))
    assert not engine.take([trial], replace(DATA, problem="multiclass", class_count=3))
    for params in (
        {"impurity": "entropy"},
        {"maxDepth": 13},
        {"maxBins": 300},
        {"featureSubsetStrategy": "1"},
        {"featureSubsetStrategy": "some"},
        {"minWeightFractionPerNode": 0.1},
    ):
        (other,) = trials_of("binary", "random_forest", params)
        assert not engine.take([other], DATA), params
    # A single tree looks at all slots, so it is no part of a larger forest.
    several = trials_of("binary", "random_forest", {"numTrees": [1, 3, 5]})
    assert [len(group.trials) for group in engine.take(several, DATA)] == [1, 2]
    several = trials_of("binary", "random_forest", {"numTrees": [2, 4], "impurity": "entropy"})
    engines = [engine, ForestPrefixEngine(), PlainEngine()]
    assert [group.engine for group in plan_groups(several, DATA, engines)] == ["mllib-prefix"]


STRATEGIES = ["auto", "all", "sqrt", "log2", "onethird", "3", "40", "0.3", "1.0"]


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_as_many_slots_are_drawn_as_by_mllib(spark, problem):
    folds = Folds(spark, problem)
    jvm = gateway().jvm.org.apache.spark
    for text in STRATEGIES:
        for count in (1, 3):
            params = {"numTrees": count, "featureSubsetStrategy": text}
            (trial,) = trials_of(problem, "random_forest", params)
            ml = jvm.ml.classification if problem == "binary" else jvm.ml.regression
            kind = "Classifier" if problem == "binary" else "Regressor"
            learner = getattr(ml, f"RandomForest{kind}")()
            learner.setLabelCol("_crisp_label")
            instances = singleton("org.apache.spark.ml.util.DatasetUtils$").extractInstances(
                learner, folds.prepared.train._jdf, singleton("scala.None$")
            )
            boosting = jvm.ml.regression.GBTRegressor()
            numbers = singleton("org.apache.spark.mllib.tree.configuration.Algo$").Regression()
            none = singleton("scala.collection.immutable.Map$").empty()
            strategy = boosting.getOldBoostingStrategy(none, numbers).treeStrategy()
            if problem == "binary":
                strategy.setAlgo("Classification")
                strategy.setNumClasses(2)
            about = singleton("org.apache.spark.ml.tree.impl.DecisionTreeMetadata$").buildMetadata(
                instances, strategy, count, text
            )
            assert subset_size(trial, replace(folds.data, problem=problem)) == (
                about.numFeaturesPerNode()
            ), (text, count)
