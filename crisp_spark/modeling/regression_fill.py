"""Imputation of numbers from other numbers by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression

from crisp_spark.errors import SpecError
from crisp_spark.modeling.fitting import Feature, Fitting, missing_count
from crisp_spark.modeling.imputing import add_indicator, fill_missing, known
from crisp_spark.modeling.statements import number
from crisp_spark.modeling.statistics import Requests, Statistics

if TYPE_CHECKING:
    from crisp_spark.spec.features import Impute

_ASKED = ("avg({0})", "stddev_samp({0})", "min({0})", "max({0})")


def impute_by_regression(fitting: Fitting, op: Impute, chosen: list[Feature]) -> None:
    """Predict missing numbers from other numeric features.

    Predictors that are missing themselves count with their mean. Predictions stay within the
    range of the training rows. Jobs: one for the means, then one fit per feature.
    """
    for feature in chosen:
        fitting.require(feature, "impute", ("numeric",))
    pool = _predictors(fitting, op)
    requests = Requests()
    for feature in {f.name: f for f in (*pool, *chosen)}.values():
        requests.scalar(missing_count(feature))
        for sql in _ASKED:
            requests.scalar(sql.format(feature.sql))
    statistics = fitting.measure(requests)
    for feature in chosen:
        known(statistics.number(f"avg({feature.sql})"), feature)
        used = [
            other
            for other in pool
            if other.name != feature.name
            and (statistics.number(f"stddev_samp({other.sql})") or 0.0) > 0
        ]
        fill = _fitted(fitting, feature, used, statistics)
        fill_missing(fitting, feature, fill, f"impute(regression on {len(used)} features)")
        missing = statistics.number(missing_count(feature)) or 0.0
        if op.indicator is True or (op.indicator == "auto" and missing > 0):
            add_indicator(fitting, feature)


def _predictors(fitting: Fitting, op: Impute) -> list[Feature]:
    if not op.using:
        return [feature for feature in fitting.features.values() if feature.kind == "numeric"]
    found = [fitting.features.get(name) for name in op.using]
    for name, feature in zip(op.using, found, strict=True):
        if feature is None or feature.kind not in ("numeric", "flag"):
            raise SpecError(f"preparation.features.impute.using: {name!r} is no numeric feature")
    return [feature for feature in found if feature is not None]


def _fitted(
    fitting: Fitting, feature: Feature, used: Sequence[Feature], statistics: Statistics
) -> str:
    """Return the SQL of the prediction."""
    if not used:
        return number(statistics.number(f"avg({feature.sql})"))
    means = [statistics.number(f"avg({other.sql})") for other in used]
    filled = [
        f"coalesce({other.sql}, {number(mean)})" for other, mean in zip(used, means, strict=True)
    ]
    columns = [f"_crisp_p{n}" for n in range(len(used))]
    rows = fitting.frame.where(f"{feature.sql} IS NOT NULL").selectExpr(
        f"{feature.sql} AS _crisp_y",
        *(f"{sql} AS {name}" for sql, name in zip(filled, columns, strict=True)),
    )
    vectors = VectorAssembler(inputCols=columns, outputCol="_crisp_v").transform(rows)
    # A trace of ridge keeps the fit unique where predictors repeat each other.
    model = LinearRegression(
        featuresCol="_crisp_v", labelCol="_crisp_y", solver="normal", regParam=1e-6
    ).fit(vectors)
    weights = [float(weight) for weight in model.coefficients.toArray()]
    terms = [f"{number(weight)} * {sql}" for weight, sql in zip(weights, filled, strict=True)]
    low, high = (number(statistics.number(f"{end}({feature.sql})")) for end in ("min", "max"))
    total = " + ".join([number(float(model.intercept)), *terms])
    return f"least(greatest({total}, {low}), {high})"
