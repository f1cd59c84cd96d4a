"""Fitted numbers as MLlib's own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.common import _py2java
from pyspark.ml.linalg import DenseVector

if TYPE_CHECKING:
    from pyspark import SparkContext

    from crisp_spark.modeling.linear.penalty import LinearFit


def mllib_model(estimator: Any, fit: LinearFit, context: SparkContext) -> Any:
    """Return the model that an estimator would have fitted, from its numbers. Jobs: none.

    Args:
        estimator: ``LinearRegression`` or ``LogisticRegression`` with its parameters set.
        fit: Coefficients and intercept.
        context: Spark's context.
    """
    jvm: Any = context._jvm  # noqa: SLF001
    package = (
        jvm.org.apache.spark.ml.classification.LogisticRegressionModel
        if type(estimator).__name__ == "LogisticRegression"
        else jvm.org.apache.spark.ml.regression.LinearRegressionModel
    )
    vector = _py2java(context, DenseVector(fit.coefficients))
    model = estimator._create_model(package(estimator.uid, vector, fit.intercept))  # noqa: SLF001
    return estimator._copyValues(model)  # noqa: SLF001
