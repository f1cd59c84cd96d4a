"""Linear models from shared passes against MLlib's own, fit by fit."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import LinearRegression

from crisp_spark.modeling.estimators import WEIGHT
from crisp_spark.modeling.features import FEATURES, FeaturePlan
from crisp_spark.modeling.labels import LABEL
from crisp_spark.modeling.linear.fold import run_in_task, run_over_partitions
from crisp_spark.modeling.linear.models import mllib_model
from crisp_spark.modeling.linear.penalty import LinearFit, Penalty
from crisp_spark.modeling.linear.solving import FoldWork
from crisp_spark.modeling.metrics import average_precision, roc_auc
from crisp_spark.modeling.planning import SweepTask
from crisp_spark.modeling.sweep import run_sweep
from crisp_spark.spec.business import MiningGoal, OutcomeValues
from crisp_spark.spec.modeling import ModelingSpec

pytestmark = pytest.mark.slow


@pytest.fixture
def count_jobs(spark):
    """Return what a call gives, and the Spark jobs that were started meanwhile."""

    def count(call):
        scheduler = spark.sparkContext._jsc.sc().dagScheduler()
        before = scheduler.numTotalJobs()
        found = call()
        return found, scheduler.numTotalJobs() - before

    return count


def table(n=240, seed=3):
    """Return features (a constant, a rare flag, a large scale, a full set of dummies) and noise."""
    rng = np.random.default_rng(seed)
    dummies = np.eye(3)[rng.integers(0, 3, n)]
    x = np.column_stack(
        [
            rng.normal(size=(n, 3)),
            rng.exponential(size=n) * 1e4,
            np.full(n, 0.5),
            (np.arange(n) % 40 == 0).astype(float),
            dummies,
        ]
    )
    return x, rng.normal(size=n)


def frame(spark, x, y, w=None, partitions=2):
    cells = [
        (Vectors.dense(row) if n % 2 else Vectors.sparse(len(row), *_nonzero(row)), float(label))
        for n, (row, label) in enumerate(zip(x, y, strict=True))
    ]
    rows = [(*cell, *([] if w is None else [float(w[n])])) for n, cell in enumerate(cells)]
    names = [FEATURES, LABEL, *([] if w is None else [WEIGHT])]
    return spark.createDataFrame(rows, names).repartition(partitions).cache()


def _nonzero(row):
    on = np.flatnonzero(row)
    return on.tolist(), row[on].tolist()


def estimator(kind, penalty, **params):
    return kind(
        featuresCol=FEATURES,
        labelCol=LABEL,
        regParam=penalty.strength,
        elasticNetParam=penalty.mixture,
        standardization=penalty.standardization,
        fitIntercept=penalty.intercept,
        **params,
    )


GRID = tuple(
    Penalty(strength, mixture, standardization, intercept)
    for strength in (0.001, 0.3)
    for mixture in (0.0, 0.5, 1.0)
    for standardization, intercept in ((True, True), (False, True), (True, False))
)


def both_ways(train, kept, work):
    task = run_in_task(train, kept, work)
    spread = run_over_partitions(train, kept, kept.count(), work)
    for one, other in zip(task.fits, spread.fits, strict=True):
        assert one.trouble == other.trouble
        if not one.trouble:
            np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-6, atol=1e-8)
    for one, other in zip(task.metrics, spread.metrics, strict=True):
        for name, value in one.items():
            assert value == other[name] or value == pytest.approx(other[name], rel=1e-6, abs=1e-8)
    return task


@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_are_mllibs_normal_solution(spark, weighted):
    x, noise = table()
    y = 5 + x[:, 0] - 2 * x[:, 1] + 1e-4 * x[:, 3] + x[:, 6] + noise
    w = 0.5 + np.arange(y.size) % 3 if weighted else None
    new = x[:50] * 1.1
    train, kept = frame(spark, x, y, w), frame(spark, new, y[:50])
    found = both_ways(train, kept, FoldWork("least_squares", GRID))
    for penalty, fit, metrics in zip(GRID, found.fits, found.metrics, strict=True):
        params = {"tol": 1e-14, "maxIter": 5000, **({"weightCol": WEIGHT} if weighted else {})}
        model = estimator(LinearRegression, penalty, **params).fit(train)
        mine = new @ fit.coefficients + fit.intercept
        theirs = new @ model.coefficients.toArray() + model.intercept
        # With absolute values MLlib iterates until it sees no progress, and so it does where a
        # constant feature has no penalty; elimination has no such limit.
        closed = penalty.mixture == 0 and penalty.standardization
        tolerance = 1e-9 if closed else 2e-5
        np.testing.assert_allclose(
            mine, theirs, rtol=tolerance, atol=tolerance, err_msg=str(penalty)
        )
        assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean((mine - y[:50]) ** 2)), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression_has_mllibs_minimum(spark, weighted):
    x, noise = table(300)
    y = (x[:, 0] - 0.5 * x[:, 1] + x[:, 6] + 2 * noise > 0.5).astype(float)
    w = np.where(y > 0, 2.0, 0.5) if weighted else None
    new = x[:60] * 1.1
    train, kept = frame(spark, x, y, w), frame(spark, new, y[:60])
    found = both_ways(train, kept, FoldWork("logistic", GRID))
    for penalty, fit, metrics in zip(GRID, found.fits, found.metrics, strict=True):
        assert not fit.trouble
        params = {"tol": 1e-13, "maxIter": 2000, **({"weightCol": WEIGHT} if weighted else {})}
        model = estimator(LogisticRegression, penalty, **params).fit(train)
        mine, theirs = (
            1 / (1 + np.exp(-(new @ coefficients + intercept)))
            for coefficients, intercept in (
                (fit.coefficients, fit.intercept),
                (model.coefficients.toArray(), model.intercept),
            )
        )
        np.testing.assert_allclose(mine, theirs, atol=2e-5, err_msg=str(penalty))
        assert metrics["roc_auc"] == pytest.approx(roc_auc(y[:60], mine), abs=1e-9)
        assert metrics["pr_auc"] == pytest.approx(average_precision(y[:60], mine), abs=1e-9)


@pytest.mark.parametrize("kind", [LinearRegression, LogisticRegression])
def test_fitted_numbers_become_a_model_that_is_saved_and_loaded(spark, tmp_path, kind):
    fit, penalty = LinearFit(np.array([1.0, 0.0, -2.0]), 0.5), Penalty(0.1, 0.5)
    rows = frame(spark, np.eye(3), np.zeros(3), partitions=1)
    model = mllib_model(estimator(kind, penalty), fit, spark.sparkContext)
    assert model.getOrDefault("regParam") == 0.1
    model.save(str(tmp_path / "model"))
    loaded = type(model).load(str(tmp_path / "model"))
    before, after = (
        each.transform(rows).select("prediction").collect() for each in (model, loaded)
    )
    assert before == after
    margins = [1.5, 0.5, -1.5]
    expected = margins if kind is LinearRegression else [float(m > 0) for m in margins]
    assert [row[0] for row in before] == expected


# --- in a sweep -----------------------------------------------------------------------------------


def swept(spark, goal, families, **fields):
    """Sweep rows with gaps and categories, and return what came of it."""
    rng = np.random.default_rng(5)
    cells = []
    for n in range(240):
        x, y, z = rng.normal(size=3)
        cost = 1 + 2 * x - y + 0.3 * z * (n % 3) + rng.normal()
        late = bool(cost > 2)
        cells.append(
            (
                n,
                None if n % 11 == 0 else float(x),
                float(y),
                "abc"[n // 3 % 3],
                late,
                float(cost),
                n % 3,
            )
        )
    rows = spark.createDataFrame(
        cells,
        "id int, `x.1` double, y double, c string, late boolean, cost double, _crisp_fold int",
    )
    spec = ModelingSpec.model_validate({"families": families, **fields})
    task = SweepTask(
        spec,
        goal,
        FeaturePlan(excluded={"late": "target", "cost": "target"}, optional={"id": "key"}),
        key=("id",),
        partitions=2,
        values=OutcomeValues(tp=5, fn=-5, fp=-1) if goal.problem == "binary" else None,
    )
    outcome = run_sweep(rows.coalesce(1), task)
    scored = [row["_crisp_score"] for row in outcome.validation.orderBy("id").collect()]
    outcome.release()
    return outcome.result, scored


LATE = MiningGoal(problem="binary", target="late", positive=True, key=("id",))
COST = MiningGoal(problem="regression", target="cost", key=("id",))


@pytest.mark.long
def test_a_fast_sweep_of_logistic_regression_finds_the_same_winner_in_a_third_of_the_jobs(
    spark, count_jobs
):
    grid = {"regParam": [0.003, 0.03, 0.3], "elasticNetParam": [0.0, 0.5]}
    families = [{"kind": "logistic_regression", "params": grid}]
    slow, slow_jobs = count_jobs(lambda: swept(spark, LATE, families, metric="roc_auc"))
    fast, fast_jobs = count_jobs(
        lambda: swept(spark, LATE, families, metric="roc_auc", search={"mode": "fast"})
    )
    assert {t.engine for t in slow[0].trials} == {"mllib"}
    assert {(t.engine, t.label) for t in fast[0].trials} == {("newton", "equivalent")}
    assert fast[0].winner.trial == slow[0].winner.trial
    for one, other in zip(fast[0].trials, slow[0].trials, strict=True):
        assert one.metrics.keys() == other.metrics.keys()
        for name in ("roc_auc", "pr_auc", "log_loss", "brier"):
            assert one.metrics[name] == pytest.approx(other.metrics[name], abs=1e-4)
    np.testing.assert_allclose(fast[1], slow[1], atol=2e-4)
    assert fast_jobs < slow_jobs / 3


@pytest.mark.long
def test_penalized_least_squares_are_exact_and_absolute_penalties_only_fast(spark):
    # By default MLlib's iteration for absolute penalties stops early.
    steps = {"tol": [1e-12], "maxIter": [1000]}
    grid = {"regParam": [0.01, 0.1], "elasticNetParam": [0.0, 1.0], **steps}
    families = [{"kind": "linear_regression", "params": grid}]
    exact, scored = swept(spark, COST, families)
    marks = {t.params["elasticNetParam"]: (t.engine, t.label) for t in exact.trials}
    assert marks == {0.0: ("moments", "exact"), 1.0: ("mllib", "exact")}
    fast, _ = swept(spark, COST, families, search={"mode": "fast"})
    assert {t.engine for t in fast.trials} == {"moments"}
    assert fast.winner.trial == exact.winner.trial
    for one, other in zip(fast.trials, exact.trials, strict=True):
        tolerance = 1e-9 if one.params["elasticNetParam"] == 0 else 1e-4
        assert one.metrics["rmse"] == pytest.approx(other.metrics["rmse"], rel=tolerance)
    assert len(scored) == 240


@pytest.mark.long
def test_what_has_no_minimum_is_left_to_mllib_and_says_so(spark):
    families = [
        {"kind": "logistic_regression", "params": {"regParam": [0.0, 0.1], "maxIter": 60}},
        {"kind": "logistic_regression", "name": "early", "params": {"maxIter": 3}},
    ]
    ops = {"validation": "k_fold", "search": {"mode": "fast"}, "metric": "value_per_row"}
    result, _ = swept(spark, LATE, families, class_weights="outcome_values", **ops)
    engines = {t.name: t.engine for t in result.trials}
    assert engines["early-001"] == "mllib", "a model that stopped early is only MLlib's"
    assert engines["logistic_regression-002"] == "newton"
    assert result.metric == "value_per_row"
    assert result.plan.class_weights["true"] > result.plan.class_weights["false"]
    always = next(b for b in result.baselines if b.name == "prior")
    assert result.winner.metric > always.metrics["value_per_row"]


def test_folds_drawn_anew_give_more_rounds_and_score_each_row_once(spark):
    families = [{"kind": "linear_regression", "params": {"regParam": [0.1]}}]
    result, scored = swept(spark, COST, families, validation="repeated", repeats=2)
    assert result.plan.validation == "repeated"
    assert len(result.trials[0].fold_metrics) == 6
    assert len(set(result.trials[0].fold_metrics)) == 6
    assert len(scored) == 240
    assert result.train_rows == 240
