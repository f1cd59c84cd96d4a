"""Builds MLlib learners from the table of estimators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from crisp_spark.modeling.labels import LABEL
from crisp_spark.spec.estimators import EstimatorInfo, estimator

if TYPE_CHECKING:
    from pyspark.ml.base import Estimator

WEIGHT = "_crisp_weight"
CENSOR = "_crisp_censor"
USER = "_crisp_user"
ITEM = "_crisp_item"
RATING_SCORE = "_crisp_als"


@dataclass(frozen=True)
class BuildContext:
    """What a learner is told beside its hyperparameters.

    Attributes:
        problem: Kind of problem.
        column: Column of the feature vector.
        width: Length of the vector.
        class_count: Number of classes.
        seed: Seed, where the learner has one and none is declared.
        weighted: Whether rows carry weights.
        base: ``one_vs_rest``: the binary learner.
    """

    problem: str
    column: str = "features"
    width: int = 0
    class_count: int = 2
    seed: int = 42
    weighted: bool = False
    base: str = ""


def build_estimator(
    info: EstimatorInfo, params: Mapping[str, Any], context: BuildContext
) -> Estimator[Any]:
    """Return the learner with its columns, seed and hyperparameters set.

    Args:
        info: Entry of the table.
        params: Hyperparameters, named as in MLlib.
        context: Columns, sizes, seed.
    """
    if info.kind == "gaussian_mixture":
        from crisp_spark.modeling.mixture import BoundedGaussianMixture

        learner: Any = BoundedGaussianMixture()
    else:
        module = import_module(f"pyspark.ml.{info.module}")
        learner = getattr(module, info.classes[context.problem])()
    values = dict(params)
    values.pop("keepLeafProbabilities", None)
    if info.kind == "one_vs_rest":
        base = estimator(context.base or "logistic_regression", "binary")
        inner = BuildContext("binary", context.column, seed=context.seed)
        classifier = build_estimator(base, values, inner)
        values = {"classifier": classifier}
    if info.kind == "multilayer_perceptron":
        hidden = [int(width) for width in values.pop("hidden", ())]
        values["layers"] = [context.width, *hidden, context.class_count]
    _set_columns(learner, info, context)
    if learner.hasParam("seed") and "seed" not in values:
        values["seed"] = context.seed
    for name, value in values.items():
        param = learner.getParam(name)
        learner.set(param, str(value) if name == "featureSubsetStrategy" else value)
    return learner  # type: ignore[no-any-return]


def _set_columns(learner: Any, info: EstimatorInfo, context: BuildContext) -> None:
    if info.kind == "als":
        learner.setUserCol(USER).setItemCol(ITEM).setRatingCol(LABEL)
        learner.setPredictionCol(RATING_SCORE).setColdStartStrategy("nan")
        return
    learner.setFeaturesCol(context.column)
    if learner.hasParam("labelCol"):
        learner.setLabelCol(LABEL)
    if info.kind == "survival_regression":
        learner.setCensorCol(CENSOR)
    if context.weighted and info.weighted and learner.hasParam("weightCol"):
        learner.setWeightCol(WEIGHT)
