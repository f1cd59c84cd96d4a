"""LightGBM and XGBoost in a sweep: the libraries' own answers, by models of MLlib."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import lightgbm
import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from crisp_spark.errors import ModelError
from crisp_spark.modeling.engines.converting import fit_by_library
from crisp_spark.modeling.engines.library import LibraryEngine
from crisp_spark.modeling.engines.nodes import read_trees
from crisp_spark.modeling.estimators import BuildContext
from crisp_spark.modeling.executing import run_groups
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.groups import plan_groups
from crisp_spark.modeling.labels import score_columns
from crisp_spark.modeling.planning import SweepTask
from crisp_spark.modeling.sweep import run_sweep
from crisp_spark.modeling.trials import fit_trial, score_validation
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.modeling import ModelingSpec
from tests.spark.test_sweep_trees import SLOTS, Folds, trials_of

needs_xgboost = pytest.mark.skipif(find_spec("xgboost") is None, reason="XGBoost is not installed")
PROBLEMS = [
    "binary",
    pytest.param("multiclass", marks=pytest.mark.slow),
    pytest.param("regression", marks=pytest.mark.slow),
]
LEAVES = {"numIterations": 12, "numLeaves": 7, "baggingFraction": 0.8, "baggingFreq": 1}


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


def table(spark, problem):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(700, 4)).round(2)
    pull = x[:, 0] + x[:, 1] ** 2 + rng.normal(size=700) * 0.5
    y = {
        "binary": (pull > 1).astype(float),
        "multiclass": np.digitize(pull, [0.5, 1.5]).astype(float),
        "regression": 1000 + 20 * pull,
    }[problem]
    w = 1.0 + np.arange(700) % 3
    cells = [(Vectors.dense(a), float(b), float(c)) for a, b, c in zip(x, y, w, strict=True)]
    # Several partitions in a known order, one of them empty.
    rows = spark.sparkContext.parallelize([[], cells[:10], cells[10:500], cells[500:]], 4)
    schema = spark.createDataFrame(cells[:1], ["features", "_crisp_label", "_crisp_weight"]).schema
    return spark.createDataFrame(rows.flatMap(list), schema).cache(), x, y, w


def scores(model, frame, problem):
    """Score per row, and for several classes the margins."""
    scored = model.transform(frame)
    if problem == "multiclass":
        return np.array([list(r[0]) for r in scored.select("rawPrediction").collect()])
    return np.array(
        [r[0] for r in scored.select(score_columns(scored, problem)["_crisp_score"]).collect()]
    )


def fitted(kind, problem, params, frame, *, weighted=True):
    context = BuildContext(problem, "features", 4, 3, seed=7, weighted=weighted)
    rows = frame if weighted else frame.drop("_crisp_weight")
    return fit_by_library(estimator(kind, problem), params, context, rows, 700)


# --- the answers of the libraries -----------------------------------------------------------------


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_model_answers_as_lightgbm_does(spark, tmp_path, problem, weighted):
    frame, x, y, w = table(spark, problem)
    model = fitted("lightgbm", problem, LEAVES, frame, weighted=weighted)
    own = {
        "objective": "regression" if problem == "regression" else "binary",
        "num_leaves": 7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": 7,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    labels = [(y == at).astype(float) for at in range(3)] if problem == "multiclass" else [y]
    data = [lightgbm.Dataset(x, label, weight=w if weighted else None) for label in labels]
    expected = np.transpose(
        [lightgbm.train(own, one, 12).predict(x, raw_score=problem == "multiclass") for one in data]
    )
    expected = expected if problem == "multiclass" else expected[:, 0]
    found = scores(model, frame, problem)
    assert found.std() > 0.05
    assert found == pytest.approx(expected, abs=1e-9, rel=1e-12)
    assert type(model).__module__.startswith("pyspark.ml.")
    path = str(tmp_path / "model")
    PipelineModel([model]).write().save(path)
    assert (scores(PipelineModel.load(path), frame, problem) == found).all()


@needs_xgboost
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_model_answers_as_xgboost_does(spark, problem, weighted):
    import xgboost

    frame, x, y, w = table(spark, problem)
    params = {"numRound": 12, "maxDepth": 4, "eta": 0.3, "subsample": 0.8}
    found = scores(fitted("xgboost", problem, params, frame, weighted=weighted), frame, problem)
    labels = [(y == at).astype(float) for at in range(3)] if problem == "multiclass" else [y]
    expected = []
    for label in labels:
        data = xgboost.DMatrix(x, label=label, weight=w if weighted else None)
        own = {
            "objective": "reg:squarederror" if problem == "regression" else "binary:logistic",
            "base_score": float(np.average(label, weights=w if weighted else None)),
            "max_depth": 4,
            "eta": 0.3,
            "subsample": 0.8,
            "seed": 7,
            "nthread": 1,
        }
        booster = xgboost.train(own, data, 12)
        expected.append(booster.predict(xgboost.DMatrix(x), output_margin=problem == "multiclass"))
    expected = np.transpose(expected) if problem == "multiclass" else expected[0]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_same_rows_in_the_same_partitions_give_the_same_trees(spark):
    frame, *_ = table(spark, "binary")
    first, second = (fitted("lightgbm", "binary", LEAVES, frame) for _ in range(2))
    assert read_trees(first) == read_trees(second)


def test_what_the_library_refuses_is_told_in_its_words(spark):
    frame, *_ = table(spark, "binary")
    with pytest.raises(ModelError, match=r"modeling\.lightgbm: .*num_leaves"):
        fitted("lightgbm", "binary", {"numLeaves": 1}, frame)


# --- in a sweep -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lightgbm", pytest.param("xgboost", marks=needs_xgboost)])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_one_fit_serves_every_number_of_rounds_exactly(spark, problem, kind):
    name = {"lightgbm": "numIterations", "xgboost": "numRound"}[kind]
    folds = Folds(spark, problem)
    params = {name: [3, 8], "seed": 3}
    if kind == "lightgbm":
        params |= {"baggingFraction": 0.7, "baggingFreq": 1, "featureFraction": 0.6}
    else:
        params |= {"subsample": 0.7, "colsampleBytree": 0.6}
    trials = trials_of(problem, kind, params)
    folds.work = replace(folds.work, preparation=Counted(folds))
    (group,) = plan_groups(trials, folds.data, [LibraryEngine()])
    for trial, outcome in zip(
        trials, run_groups([group], folds.work, LibraryEngine()), strict=True
    ):
        alone = fit_trial(trial, folds.prepared, folds.task)
        assert (outcome.result.engine, outcome.result.label) == ("library", "exact")
        assert outcome.result.metrics == score_validation(alone, folds.prepared, folds.task)
        ours, theirs = outcome.models[0].stages[0], alone.stages[0]
        if problem != "multiclass":
            ours, theirs = [ours], [theirs]
        else:
            ours, theirs = ours.models, theirs.models
        for one, other in zip(ours, theirs, strict=True):
            assert len(one.trees) == trial.params[name]
            assert read_trees(one) == read_trees(other)


class Counted:
    """The folds of a sweep, with the number of all rows."""

    def __init__(self, folds, total=500):
        self.folds, self.rows = folds, folds.rows
        self.counts = type("Counts", (), {"total": total})

    def fold(self, plan, **more):
        return self.folds.fold(plan, **more)


def test_a_table_too_large_for_the_final_fit_ends_the_trials_at_once(spark, no_jobs):
    folds = Folds(spark, "binary")
    folds.rows.count()
    work = replace(folds.work, preparation=Counted(folds, total=10**9))
    (group,) = plan_groups(trials_of("binary", "lightgbm", {}), folds.data, [LibraryEngine()])
    with no_jobs():
        (outcome,) = LibraryEngine().run(group, work)
    assert outcome.result.status == "failed"
    assert f"1000000000 rows of {SLOTS} features need" in outcome.result.error


def test_a_trial_that_takes_too_long_is_given_up(spark):
    folds = Folds(spark, "binary")
    work = replace(folds.work, preparation=Counted(folds), task=replace(folds.task, limit_s=0.001))
    trials = trials_of("binary", "lightgbm", {"numIterations": 200})
    (group,) = plan_groups(trials, folds.data, [LibraryEngine()])
    (outcome,) = LibraryEngine().run(group, work)
    assert "took longer than 0.001 s" in outcome.result.error


SCORE = """
import sys
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
sys.modules["lightgbm"] = sys.modules["crisp_spark"] = None
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
model = PipelineModel.load(sys.argv[1])
rows = model.transform(spark.read.parquet(sys.argv[2])).orderBy("id")
print([row["prediction"] for row in rows.select("prediction").collect()])
"""


def test_side_by_side_with_logistic_regression_a_winner_that_loads_anywhere(spark, tmp_path):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3)).round(2)
    late = (np.abs(x[:, 0]) + 0.5 * np.abs(x[:, 1]) > 1.0) ^ (rng.random(400) < 0.03)
    cells = [
        (n, *map(float, row), bool(y), n % 3)
        for n, (row, y) in enumerate(zip(x, late, strict=True))
    ]
    schema = "id int, a double, b double, c double, late boolean, _crisp_fold int"
    train = spark.createDataFrame(cells, schema).coalesce(2).cache()
    families = [
        {"kind": "logistic_regression", "params": {"maxIter": 5}},
        {
            "kind": "lightgbm",
            "params": {"numLeaves": [4, 8], "numIterations": [10, 40], "learningRate": [0.2]},
        },
    ]
    spec = ModelingSpec.model_validate({"families": families, "class_weights": "balanced"})
    goal = MiningGoal(
        problem="binary", target="late", target_source="t", key=("id",), positive=True
    )
    plan = FeaturePlan(excluded={"late": "the target"}, optional={"id": "key"})
    outcome = run_sweep(train, SweepTask(spec, goal, plan, key=("id",), partitions=2, seed=7))
    result = outcome.result
    assert [t.error for t in result.trials if t.status == "failed"] == []
    assert {(t.family, t.engine) for t in result.trials} == {
        ("logistic_regression", "mllib"),
        ("lightgbm", "library"),
    }
    assert len(result.trials) == 5
    assert result.winner.family == "lightgbm"
    assert {type(stage).__module__.split(".")[0] for stage in outcome.model.stages} == {"pyspark"}
    # Another process, without this package and without the library.
    train.drop("late", "_crisp_fold").write.parquet(str(tmp_path / "rows"))
    outcome.model.write().save(str(tmp_path / "model"))
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(tmp_path / "model"), str(tmp_path / "rows")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    here = outcome.model.transform(train).orderBy("id").select("prediction").collect()
    assert done.stdout.strip().splitlines()[-1] == str([row["prediction"] for row in here])
    right = outcome.model.transform(train).where(F.col("prediction") == F.col("late").cast("int"))
    assert right.count() > 340
    outcome.release()
