"""One prepared fold of five columns, and trials on it, without a sweep around them."""

from __future__ import annotations

import numpy as np
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
