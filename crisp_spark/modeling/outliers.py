"""Fitted bounds for values far away from the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from crisp_spark.modeling.fitting import Feature, Fitting
from crisp_spark.modeling.statements import number
from crisp_spark.modeling.statistics import Requests, Statistics, median_sql, quantiles_sql

if TYPE_CHECKING:
    from crisp_spark.spec.features import Outliers

_SCALED_MAD = 1.482602218505602
"""Makes the median deviation of a normal distribution its standard deviation."""


def plan_outliers(
    fitting: Fitting, op: Outliers, chosen: list[Feature], requests: Requests
) -> Callable[[Statistics], None]:
    """Plan bounds by interquartile range, standard deviations or percentiles."""
    asked: dict[str, str] = {}
    for feature in chosen:
        fitting.require(feature, "outliers", ("numeric",))
        x = feature.sql
        asked[feature.name] = requests.scalar(
            {
                "iqr": quantiles_sql(x, (0.25, 0.75)),
                "percentile": quantiles_sql(x, (op.lower, op.upper)),
                "zscore": f"array(avg({x}), stddev_samp({x}))",
                "mad": quantiles_sql(x, (0.5,)),
            }[op.method]
        )

    def apply(statistics: Statistics) -> None:
        spreads = (
            _median_deviations(fitting, chosen, asked, statistics) if op.method == "mad" else {}
        )
        for feature in chosen:
            found = statistics.numbers(asked[feature.name])
            if found is None or not all(map(math.isfinite, found)):
                fitting.notes.append(f"outliers: {feature.name} has no values to take bounds from")
                continue
            low, high = _bounds(op, [*found, spreads.get(feature.name, 0.0)])
            _act_on_outliers(fitting, op, feature, (low, high))

    return apply


def _median_deviations(
    fitting: Fitting, chosen: list[Feature], asked: dict[str, str], statistics: Statistics
) -> dict[str, float]:
    """Median distance to the median; needs the medians first, hence a second job."""
    requests, sqls = Requests(), {}
    for feature in chosen:
        found = statistics.numbers(asked[feature.name])
        if found is not None and math.isfinite(found[0]):
            sqls[feature.name] = requests.scalar(
                median_sql(f"abs({feature.sql} - {number(found[0])})")
            )
    answers = fitting.measure(requests)
    return {name: answers.number(sql) or 0.0 for name, sql in sqls.items()}


def _bounds(op: Outliers, found: list[float]) -> tuple[float, float]:
    if op.method == "percentile":
        return found[0], found[1]
    if op.method == "iqr":
        reach = op.width * (found[1] - found[0])
        return found[0] - reach, found[1] + reach
    if op.method == "zscore":
        return found[0] - op.width * found[1], found[0] + op.width * found[1]
    reach = op.width * _SCALED_MAD * found[1]
    return found[0] - reach, found[0] + reach


def _act_on_outliers(
    fitting: Fitting, op: Outliers, feature: Feature, bounds: tuple[float, float]
) -> None:
    x, low, high = feature.sql, number(bounds[0]), number(bounds[1])
    words = f"outliers({op.method}, {op.action}, {bounds[0]:.6g} to {bounds[1]:.6g})"
    if op.action == "flag":
        column = fitting.define(f"CAST(coalesce({x} < {low} OR {x} > {high}, false) AS DOUBLE)")
        name = fitting.free_name(f"{feature.name}__outlier")
        flag = Feature(
            name,
            column,
            "flag",
            feature.sources,
            (*feature.transforms, words),
            complete=True,
            base=feature.base,
        )
        fitting.insert_after(feature.name, flag)
    elif op.action == "clip":
        # greatest and least skip nulls; a missing value must stay missing.
        column = fitting.define(
            f"CASE WHEN {x} IS NOT NULL THEN least(greatest({x}, {low}), {high}) END"
        )
        fitting.put(feature.then(words, column))
    else:
        column = fitting.define(f"CASE WHEN {x} BETWEEN {low} AND {high} THEN {x} END")
        fitting.put(feature.then(words, column, complete=False))
