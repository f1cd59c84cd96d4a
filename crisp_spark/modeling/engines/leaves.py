"""Forests and trees of two classes whose leaves keep their probabilities.

After growing, MLlib makes sibling leaves of one class into one, which coarsens probabilities and
costs ranking quality. Grown as numbers 0 and 1 the splits are the same (variance is half of the
Gini impurity) and leaves stay; the trees are then given class counts and become MLlib's own
classification model. A different, better ranking model, under its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import ModelError
from crisp_spark.modeling.engines.nodes import build_model, read_trees, with_class_counts
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.spec.estimators import estimator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.spec.estimators import EstimatorInfo

_TREES = 20


def fit_keeping_leaves(
    info: EstimatorInfo, params: Mapping[str, Any], context: BuildContext, train: DataFrame
) -> Any:
    """Fit a forest or a tree of two classes whose leaves keep their probabilities.

    Args:
        info: Entry of the learner.
        params: Hyperparameters as for the classifier.
        context: Columns, sizes, seed.
        train: Rows to fit on.

    Raises:
        ModelError: More than two classes, or an impurity other than Gini.
    """
    if context.problem != "binary":
        raise ModelError("modeling: keepLeafProbabilities is for two classes only")
    if params.get("impurity", "gini") != "gini":
        raise ModelError(
            f"modeling: keepLeafProbabilities needs impurity gini, got {params['impurity']!r}"
        )
    classifier = build_estimator(info, params, context)
    grown = {name: value for name, value in params.items() if name != "impurity"}
    # The classifier's own choice: a regressor would draw a third of the features.
    several = int(params.get("numTrees", _TREES)) > 1
    if info.kind == "random_forest" and params.get("featureSubsetStrategy", "auto") == "auto":
        grown["featureSubsetStrategy"] = "sqrt" if several else "all"
    grown["minInfoGain"] = float(params.get("minInfoGain", 0.0)) / 2
    numbers = estimator(info.kind, "regression")
    grower = build_estimator(numbers, grown, replace(context, problem="regression"))
    model: Any = grower.fit(train)
    name = type(model).__name__.replace("Regression", "Classification")
    trees = [with_class_counts(tree) for tree in read_trees(model)]
    return build_model(classifier, name, trees, slots=model.numFeatures, impurity="gini")
