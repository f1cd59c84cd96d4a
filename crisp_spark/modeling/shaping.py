"""Fitted scales and shapes of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crisp_spark.errors import DataError
from crisp_spark.modeling.fitting import Feature, Fitting
from crisp_spark.modeling.statements import number
from crisp_spark.modeling.statistics import Requests, Statistics, quantiles_sql

if TYPE_CHECKING:
    from crisp_spark.spec.features import Scale, Transform

Apply = Callable[[Statistics], None]
Floats = NDArray[np.float64]

_GOLDEN = (math.sqrt(5) - 1) / 2
_FLAT = 1e-9
"""Exponents nearer to 0 than this are the logarithm."""
_PRECISION = 1e-6
_GRID = tuple(n / 200 for n in range(201))


def plan_scale(fitting: Fitting, op: Scale, chosen: list[Feature], requests: Requests) -> Apply:
    """Plan a linear scale; a feature without spread becomes 0."""
    asked: dict[str, str] = {}
    for feature in chosen:
        fitting.require(feature, "scale", ("numeric", "flag"))
        x = feature.sql
        asked[feature.name] = requests.scalar(
            {
                "standard": f"array(avg({x}), stddev_samp({x}))",
                "min_max": f"array(min({x}), max({x}) - min({x}))",
                "max_abs": f"array(0D, max(abs({x})))",
                "robust": quantiles_sql(x, (0.25, 0.5, 0.75)),
            }[op.method]
        )

    def apply(statistics: Statistics) -> None:
        for feature in chosen:
            found = statistics.numbers(asked[feature.name]) or [0.0, 0.0, 0.0]
            if op.method == "robust":
                found = [found[1], found[2] - found[0]]
            center, spread = found
            usable = math.isfinite(center) and math.isfinite(spread) and spread > 0
            sql = f"({feature.sql} - {number(center)}) / {number(spread)}"
            if not usable:
                sql = f"CASE WHEN {feature.sql} IS NOT NULL THEN 0D END"
            fitting.put(feature.then(f"scale({op.method})", fitting.define(sql)))

    return apply


def plan_transform(
    fitting: Fitting, op: Transform, chosen: list[Feature], requests: Requests
) -> Apply:
    """Plan a change of shape; exponents are fitted on 201 exact quantiles of the training rows."""
    asked: dict[str, str] = {}
    for feature in chosen:
        fitting.require(feature, "transform", ("numeric",))
        if op.method in ("power", "box_cox"):
            asked[feature.name] = requests.scalar(quantiles_sql(feature.sql, _GRID))

    def apply(statistics: Statistics) -> None:
        for feature in chosen:
            grid = statistics.numbers(asked[feature.name]) if asked else None
            sql, words = _shape(op, feature, np.asarray(grid or [0.0]))
            fitting.put(feature.then(words, fitting.define(sql)))

    return apply


def _shape(op: Transform, feature: Feature, grid: Floats) -> tuple[str, str]:
    x = feature.sql
    if op.method == "log":
        return f"signum({x}) * log1p(abs({x}))", "transform(log)"
    if op.method == "sqrt":
        return f"signum({x}) * sqrt(abs({x}))", "transform(sqrt)"
    if op.method == "box_cox":
        low = float(grid.min())
        if low <= 0:
            raise DataError(
                f"preparation.features.transform: box_cox needs values above 0, "
                f"{feature.name!r} reaches {low:g}",
                hint="use method: power (Yeo-Johnson)",
            )
        exponent = best_exponent(grid, box_cox)
        # Values that training rows never had would have no logarithm: take the smallest seen.
        return _power_sql(f"greatest({x}, {number(low)})", exponent, x), (
            f"transform(box_cox, {exponent:.4g})"
        )
    exponent = best_exponent(grid, yeo_johnson)
    up = _power_sql(f"(abs({x}) + 1D)", exponent, x)
    down = _power_sql(f"(abs({x}) + 1D)", 2 - exponent, x)
    sql = f"CASE WHEN {x} >= 0D THEN {up} WHEN {x} < 0D THEN -({down}) END"
    return sql, f"transform(power, {exponent:.4g})"


def _power_sql(base: str, exponent: float, guard: str) -> str:
    value = (
        f"ln({base})"
        if abs(exponent) < _FLAT
        else f"(power({base}, {number(exponent)}) - 1D) / {number(exponent)}"
    )
    return f"CASE WHEN {guard} IS NOT NULL THEN {value} END"


def box_cox(x: Floats, exponent: float) -> tuple[Floats, float]:
    """Return Box-Cox values and the mean of the log of the derivative (Box and Cox, 1964)."""
    log = np.log(x)
    values = log if abs(exponent) < _FLAT else np.expm1(exponent * log) / exponent
    return values, float((exponent - 1) * log.mean())


def yeo_johnson(x: Floats, exponent: float) -> tuple[Floats, float]:
    """Return Yeo-Johnson values and the mean log derivative (Yeo and Johnson, 2000)."""
    log = np.log1p(np.abs(x))
    power = np.where(x >= 0, exponent, 2 - exponent)
    flat = np.abs(power) < _FLAT
    safe = np.where(flat, 1.0, power)
    values = np.sign(x) * np.where(flat, log, np.expm1(safe * log) / safe)
    return values, float(((exponent - 1) * np.sign(x) * log).mean())


def best_exponent(grid: Floats, curve: Callable[[Floats, float], tuple[Floats, float]]) -> float:
    """Return the exponent of largest profile likelihood, by golden section on [-5, 5]."""

    def loss(exponent: float) -> float:
        with np.errstate(all="ignore"):
            values, slope = curve(grid, exponent)
            spread = float(values.var())
        usable = math.isfinite(spread) and spread > 0
        return 0.5 * math.log(spread) - slope if usable else math.inf

    if float(grid.max()) == float(grid.min()):
        return 1.0
    low, high = -5.0, 5.0
    while high - low > _PRECISION:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return round((low + high) / 2, 6)
