"""Fitted learners of Spark ML as data."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.deployment.portable_sql import NotPortableError
from crisp_spark.deployment.portable_stages import Export, Keep
from crisp_spark.deployment.portable_trees import keep_trees

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_GLM_LINKS = {"gaussian": "identity", "binomial": "logit", "poisson": "log", "gamma": "inverse"}


def _classifier(stage: Any, formula: dict[str, Any]) -> dict[str, Any]:
    outputs = {"prediction": stage.getPredictionCol(), "raw": stage.getRawPredictionCol()}
    outputs["probability"] = stage.getProbabilityCol() if stage.hasParam("probabilityCol") else ""
    spec = {
        "kind": "classifier",
        "input": stage.getFeaturesCol(),
        "outputs": outputs,
        "classes": int(stage.numClasses),
        **formula,
    }
    if stage.hasParam("thresholds") and stage.isSet("thresholds") and "threshold" not in formula:
        spec["thresholds"] = [float(value) for value in stage.getThresholds()]
    return spec


def _regressor(stage: Any, formula: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "regressor",
        "input": stage.getFeaturesCol(),
        "outputs": {"prediction": stage.getPredictionCol()},
        **formula,
    }


def _linear(stage: Any, keep: Keep, at: str = "") -> dict[str, Any]:
    return {
        "coefficients": keep(f"{at}coefficients", stage.coefficients.toArray()),
        "intercept": keep(f"{at}intercept", [float(stage.intercept)]),
    }


def _logistic(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _classifier(stage, _logistic_formula(stage, keep, ""))


def _logistic_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    matrix = stage.coefficientMatrix.toArray()
    if matrix.shape[0] == 1:
        return {
            "family": "logistic",
            "coefficients": keep(f"{at}coefficients", matrix[0]),
            "intercept": keep(f"{at}intercept", stage.interceptVector.toArray()),
            "threshold": float(stage.getThreshold()),
        }
    return {
        "family": "softmax",
        "coefficients": keep(f"{at}coefficients", matrix),
        "intercept": keep(f"{at}intercept", stage.interceptVector.toArray()),
    }


def _margin_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    return {
        "family": "margin",
        **_linear(stage, keep, at),
        "threshold": float(stage.getThreshold()),
    }


def _bayes_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    kind = stage.getModelType()
    formula = {
        "family": "bayes",
        "type": kind,
        "theta": keep(f"{at}theta", stage.theta.toArray()),
        "prior": keep(f"{at}prior", stage.pi.toArray()),
    }
    if kind == "gaussian":
        formula["sigma"] = keep(f"{at}sigma", stage.sigma.toArray())
    return formula


def _factor_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    return {
        "family": "factors",
        "coefficients": keep(f"{at}coefficients", stage.linear.toArray()),
        "intercept": keep(f"{at}intercept", [float(stage.intercept)]),
        "factors": keep(f"{at}factors", stage.factors.toArray()),
    }


def _vote_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    single = not hasattr(stage, "trees")
    trees = [stage] if single else list(stage.trees)
    name = keep_trees(trees, int(stage.numClasses), keep, at)
    return {"family": "votes", "trees": name, "forest": not single}


def _boost_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    return {
        "family": "boosted",
        "trees": keep_trees(list(stage.trees), 0, keep, at),
        "weights": keep(f"{at}weights", np.array(stage.treeWeights, dtype=np.float64)),
    }


def _perceptron_formula(stage: Any, keep: Keep, at: str) -> dict[str, Any]:
    widths = [int(width) for width in stage.getLayers()]
    weights, place, name = stage.weights.toArray(), 0, ""
    for number, (before, after) in enumerate(pairwise(widths)):
        matrix = weights[place : place + before * after].reshape(before, after).T
        place += before * after
        name = keep(f"{at}layer.{number}", matrix).rpartition(".")[0]
        keep(f"{at}layer.{number}.bias", weights[place : place + after])
        place += after
    return {"family": "perceptron", "weights": name, "layers": len(widths) - 1}


_FORMULAS = {
    "LogisticRegressionModel": _logistic_formula,
    "LinearSVCModel": _margin_formula,
    "NaiveBayesModel": _bayes_formula,
    "FMClassificationModel": _factor_formula,
    "DecisionTreeClassificationModel": _vote_formula,
    "RandomForestClassificationModel": _vote_formula,
    "GBTClassificationModel": _boost_formula,
    "MultilayerPerceptronClassificationModel": _perceptron_formula,
}


def _by_formula(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _classifier(stage, _FORMULAS[type(stage).__name__](stage, keep, ""))


def _one_vs_rest(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    models = []
    for at, model in enumerate(stage.models):
        name = type(model).__name__
        if name not in _FORMULAS:
            raise NotPortableError(f"one against the rest of {name}")
        models.append(_FORMULAS[name](model, keep, f"m{at}."))
    return {
        "kind": "classifier",
        "family": "rest",
        "input": stage.getFeaturesCol(),
        "outputs": {
            "prediction": stage.getPredictionCol(),
            "raw": stage.getRawPredictionCol(),
            "probability": "",
        },
        "classes": len(models),
        "models": models,
    }


def _linear_regression(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _regressor(stage, {"family": "linear", **_linear(stage, keep)})


def _generalized(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    for name in ("offsetCol", "linkPredictionCol"):
        if stage.isSet(name) and stage.getOrDefault(name):
            raise NotPortableError(f"a generalised linear model with {name}")
    family = stage.getFamily()
    formula: dict[str, Any] = {
        "family": "glm",
        "distribution": family,
        "link_power": None,
        **_linear(stage, keep),
    }
    if family == "tweedie":
        power = float(stage.getVariancePower())
        link = stage.getLinkPower() if stage.isSet("linkPower") else 1.0 - power
        formula["link_power"] = float(link)
        formula["distribution"] = {0.0: "gaussian", 1.0: "poisson", 2.0: "gamma"}.get(
            power, "tweedie"
        )
    else:
        formula["link"] = stage.getLink() if stage.isSet("link") else _GLM_LINKS[family]
    return _regressor(stage, formula)


def _survival(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    if stage.isSet("quantilesCol") and stage.getQuantilesCol():
        raise NotPortableError("survival regression with quantiles")
    return _regressor(stage, {"family": "survival", **_linear(stage, keep)})


def _isotonic(stage: Any, frame: DataFrame, keep: Keep) -> dict[str, Any]:
    number = dict(frame.dtypes)[stage.getFeaturesCol()] != "vector"
    formula = {
        "family": "isotonic",
        "boundaries": keep("boundaries", stage.boundaries.toArray()),
        "predictions": keep("predictions", stage.predictions.toArray()),
        "place": 0 if number else int(stage.getFeatureIndex()),
        "number": number,
    }
    return _regressor(stage, formula)


def _tree_regressor(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    name = type(stage).__name__
    if stage.hasParam("varianceCol") and stage.isSet("varianceCol"):
        raise NotPortableError("a tree with varianceCol")
    trees = list(stage.trees) if hasattr(stage, "trees") else [stage]
    formula: dict[str, Any] = {"family": "trees", "trees": keep_trees(trees, 0, keep, "")}
    if name == "GBTRegressionModel":
        formula["weights"] = keep("weights", np.array(stage.treeWeights, dtype=np.float64))
    formula["mean"] = name == "RandomForestRegressionModel"
    return _regressor(stage, formula)


def _factor_regressor(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _regressor(stage, _factor_formula(stage, keep, ""))


def _clusters(stage: Any, family: str, **formula: Any) -> dict[str, Any]:
    probability = stage.getProbabilityCol() if stage.hasParam("probabilityCol") else ""
    return {
        "kind": "clusters",
        "family": family,
        "input": stage.getFeaturesCol(),
        "outputs": {"prediction": stage.getPredictionCol(), "probability": probability},
        **formula,
    }


def _kmeans(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    centers = keep("centers", np.array(stage.clusterCenters()))
    return _clusters(stage, "kmeans", centers=centers, distance=stage.getDistanceMeasure())


def _bisecting(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    """The tree of clusters, a node's children behind it; leaves carry the cluster."""
    centers, children, leaf = list[list[float]](), list[list[int]](), list[int]()

    def visit(node: Any) -> int:
        at = len(centers)
        centers.append([float(value) for value in node.center().toArray()])
        children.append([])
        leaf.append(int(node.index()))
        below = node.children()
        for number in range(len(below)):
            children[at].append(visit(below[number]))
        return at

    java = stage._java_obj  # noqa: SLF001
    # Scala puts the class before the name of a private field, or not.
    field = next(f for f in java.getClass().getDeclaredFields() if "parentModel" in f.getName())
    field.setAccessible(True)
    visit(field.get(java).root())
    return _clusters(
        stage,
        "bisecting",
        centers=keep("centers", np.array(centers)),
        distance=stage.getDistanceMeasure(),
        children=children,
        leaf=leaf,
    )


def _mixture(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    gaussians = list(stage.gaussians)
    return _clusters(
        stage,
        "mixture",
        clusters=len(gaussians),
        weights=keep("weights", np.array(stage.weights, dtype=np.float64)),
        means=keep("means", np.array([each.mean.toArray() for each in gaussians])),
        covariances=keep("covariances", np.array([each.cov.toArray() for each in gaussians])),
    )


def _recommender(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    if stage.getColdStartStrategy() != "nan":
        raise NotPortableError("a recommender that drops unknown users")
    formula = {}
    for name, frame in (("user", stage.userFactors), ("item", stage.itemFactors)):
        rows = sorted(frame.select("id", "features").collect())
        formula[f"{name}s"] = keep(f"{name}s", np.array([row[0] for row in rows], dtype=np.int64))
        factors = np.array([row[1] for row in rows], dtype=np.float32)
        formula[f"{name}_factors"] = keep(f"{name}_factors", factors)
    return {
        "kind": "recommender",
        "user": stage.getUserCol(),
        "item": stage.getItemCol(),
        "outputs": {"prediction": stage.getPredictionCol()},
        **formula,
    }


LEARNERS: dict[str, Export] = {
    **dict.fromkeys(_FORMULAS, _by_formula),
    "LogisticRegressionModel": _logistic,
    "OneVsRestModel": _one_vs_rest,
    "LinearRegressionModel": _linear_regression,
    "GeneralizedLinearRegressionModel": _generalized,
    "AFTSurvivalRegressionModel": _survival,
    "IsotonicRegressionModel": _isotonic,
    "DecisionTreeRegressionModel": _tree_regressor,
    "RandomForestRegressionModel": _tree_regressor,
    "GBTRegressionModel": _tree_regressor,
    "FMRegressionModel": _factor_regressor,
    "KMeansModel": _kmeans,
    "BisectingKMeansModel": _bisecting,
    "GaussianMixtureModel": _mixture,
    "ALSModel": _recommender,
}
"""Exports by the class of the fitted learner."""
