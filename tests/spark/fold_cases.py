"""One prepared fold of five columns, and trials on it, without a sweep around them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pyspark.ml import Pipeline
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.linalg import Vectors

from crisp_spark.modeling.folds import FoldPlan
from crisp_spark.modeling.formatting import InputFacts
from crisp_spark.modeling.groups import SweepData, Work
from crisp_spark.modeling.preparing import Prepared
from crisp_spark.modeling.search import plan_trials
from crisp_spark.modeling.trials import TrialTask
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.modeling import Family, Search

SLOTS = 5
FOLD = FoldPlan(0, (1,))


def table(spark, problem):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, SLOTS)).round(2)
    pull = x[:, 0] + x[:, 1] ** 2 + rng.normal(size=500) * 0.7
    label = {
        "binary": (pull > 1).astype(float),
        "multiclass": np.digitize(pull, [0.5, 1.5]).astype(float),
        "regression": pull.round(3),
    }[problem]
    rows = [(Vectors.dense(a), float(b)) for a, b in zip(x, label, strict=True)]
    return spark.createDataFrame(rows, ["features", "_crisp_label"]).repartition(2)


class Folds:
    """One fold, prepared."""

    share = 1.0

    def __init__(self, spark, problem):
        self.rows = table(spark, problem).cache()
        train, validation = self.rows.limit(350).cache(), self.rows.limit(500).cache()
        classes = {"binary": 2, "multiclass": 3}.get(problem, 0)
        counts = dict.fromkeys(map(float, range(classes)), 9) if classes else None
        facts = InputFacts(
            np.zeros(SLOTS),
            np.ones(SLOTS),
            tuple("abcde"),
            class_counts=counts,
            class_count=classes,
        )
        self.prepared = Prepared((), (), train, validation, facts, None, 350, 500, {}, 0.0)
        self.task = TrialTask(problem, "rmse" if not classes else "accuracy", classes or 2, seed=7)
        self.work = Work(self, (FOLD,), self.task)
        self.data = SweepData(problem, classes or 2, 500, SLOTS, 0, False, 1)

    def fold(self, _plan, **_):
        return self.prepared

    def all_folds(self, plans, _threads):
        return [self.prepared for _ in plans]


def trials_of(problem, kind, params):
    family = Family(kind=kind, params=params)
    return plan_trials([(family, estimator(kind, problem))], Search(), seed=1)


def predictions(model, folds):
    scored = model.transform(folds.prepared.validation)
    column = "probability" if folds.task.problem == "binary" else "prediction"
    found = [row[0] for row in scored.select(column).collect()]
    return [float(v[1]) for v in found] if column == "probability" else found


def coded(spark, problem, *, one_hot):
    """A fold whose labels hang on a category above all."""
    rng = np.random.default_rng(8)
    names, x = rng.choice(list("abcd"), size=600), rng.normal(size=(600, 2)).round(3)
    pull = 2.0 * (names == "b") - 1.5 * (names == "d") + x[:, 0] + rng.normal(size=600) * 0.5
    label = (pull > 0.3).astype(float) if problem == "binary" else pull.round(3)
    columns = zip(names.tolist(), *x.T.tolist(), label.tolist(), strict=True)
    rows = spark.createDataFrame(list(columns), ["name", "x0", "x1", "_crisp_label"])
    stages = [StringIndexer(inputCol="name", outputCol="code", stringOrderType="alphabetAsc")]
    if one_hot:
        stages.append(OneHotEncoder(inputCols=["code"], outputCols=["hot"], dropLast=False))
    inputs = ["x0", "hot" if one_hot else "code", "x1"]
    stages.append(VectorAssembler(inputCols=inputs, outputCol="features"))
    prepared = Pipeline(stages=stages).fit(rows).transform(rows).select("features", "_crisp_label")
    frame = prepared.repartition(2).cache()
    folds = Folds(spark, problem)
    width = 6 if one_hot else 3
    facts = replace(
        folds.prepared.facts,
        low=np.zeros(width),
        high=np.ones(width),
        slots=tuple("abcdef"[:width]),
    )
    folds.prepared = replace(
        folds.prepared, train=frame, validation=frame, facts=facts, train_rows=600
    )
    return folds
