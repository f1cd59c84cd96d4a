"""Estimates with their influence functions: one way to every interval, paired or not.

An estimate is a smooth function of the rows' weights. Its influence function psi has one number
per row, mean 0, and Var(estimate) = mean(psi^2) / n (the infinitesimal jackknife: Jaeckel 1972;
Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, chapter 6). The difference
of two estimates on the same rows has the difference of their influences, which makes paired
comparisons as easy as single intervals, and nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crisp_spark.results.evaluate import MetricValue

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

METHODS: dict[str, str] = {
    "wilson": "Score interval of a proportion (Wilson, J. Am. Stat. Assoc. 22, 1927)",
    "delong": (
        "Variance from placement values (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988), "
        "on the logit scale"
    ),
    "logit": (
        "Infinitesimal jackknife (Efron 1982) on the logit scale, as advised for areas under "
        "precision-recall curves by Boyd, Eng and Page (ECML PKDD 2013)"
    ),
    "normal": "Normal approximation with the infinitesimal jackknife's variance (Efron 1982)",
    "mover": (
        "Interval of a difference from two single intervals (square-and-add, Newcombe, "
        "Statistics in Medicine 17, 1998; Donner and Zou, Statistics in Medicine 21, 2002)"
    ),
}


@dataclass(frozen=True)
class Estimate:
    """A number, and how it would move with each row.

    Attributes:
        value: Point estimate, None where undefined.
        influence: One number per row (unit of the value, mean 0), None where undefined.
        support: Rows that the number rests on.
        scale: ``interval`` of a proportion, of a number between 0 and 1, or of any number.
        reason: Why there is no value.
    """

    value: float | None
    influence: Floats | None = None
    support: int = 0
    scale: Literal["proportion", "delong", "unit", "plain"] = "plain"
    reason: str = ""

    def times(self, factor: float) -> Estimate:
        """Return the estimate of ``factor`` times this value, on a plain scale."""
        if self.value is None or self.influence is None:
            return self
        return replace(
            self, value=self.value * factor, influence=self.influence * factor, scale="plain"
        )


def undefined(reason: str) -> Estimate:
    """Return an estimate that has no value."""
    return Estimate(None, reason=reason)


def mean_of(values: Floats) -> Estimate:
    """Estimate a mean over rows."""
    if values.size == 0:
        return undefined("no labelled rows")
    mean = float(values.mean())
    return Estimate(mean, values - mean, int(values.size))


def share_of(hits: Flags, among: Flags, *, empty: str) -> Estimate:
    """Estimate the share of ``hits`` among the rows ``among`` (a proportion).

    Args:
        hits: Rows that count, a subset of ``among``.
        among: Rows that could count.
        empty: Reason given when ``among`` is empty.
    """
    support = int(among.sum())
    if support == 0:
        return undefined(empty)
    ratio = ratio_of(hits.astype(np.float64), among.astype(np.float64), empty=empty)
    return replace(ratio, support=support, scale="proportion")


def ratio_of(top: Floats, bottom: Floats, *, empty: str) -> Estimate:
    """Estimate sum(top) / sum(bottom); influence (top - ratio * bottom) / mean(bottom)."""
    mean_bottom = float(bottom.mean()) if bottom.size else 0.0
    if mean_bottom == 0:
        return undefined(empty)
    ratio = float(top.mean()) / mean_bottom
    return Estimate(ratio, (top - ratio * bottom) / mean_bottom, int(top.size), scale="unit")


def normal_quantile(confidence: float) -> float:
    """Two-sided quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def standard_error(influence: Floats) -> float:
    """Standard error of an estimate, from its influence function."""
    n = influence.size
    return sqrt(float(np.square(influence).sum()) / (n * (n - 1))) if n > 1 else float("inf")


def wilson(hits: float, support: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a proportion.

    Args:
        hits: Successes.
        support: Trials, at least 1.
        confidence: For instance 0.95.

    Returns:
        Lower and upper end, both within 0 and 1.
    """
    z = normal_quantile(confidence)
    share = hits / support
    middle = (share + z * z / (2 * support)) / (1 + z * z / support)
    half = (
        z
        / (1 + z * z / support)
        * sqrt(share * (1 - share) / support + z * z / (4 * support * support))
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def _logit_interval(value: float, error: float, z: float) -> tuple[float, float]:
    centre, half = log(value / (1 - value)), z * error / (value * (1 - value))
    return tuple(
        1 / (1 + exp(-min(max(end, -700.0), 700.0))) for end in (centre - half, centre + half)
    )  # type: ignore[return-value]


def with_interval(name: str, estimate: Estimate, confidence: float) -> MetricValue:
    """Turn an estimate into a metric value with an interval.

    A proportion gets Wilson's interval. A number between 0 and 1 gets a normal interval on the
    logit scale; at exactly 0 or 1, where that has no width, Wilson's with the support. Any other
    number gets a normal interval.
    """
    value, support = estimate.value, estimate.support
    if value is None:
        return MetricValue(name=name, value=None, support=support, reason=estimate.reason)
    if estimate.scale == "proportion":
        low, high = wilson(value * support, support, confidence)
        method = "wilson"
    elif estimate.influence is None or estimate.influence.size < 2:  # noqa: PLR2004
        reason = "one row has no interval"
        return MetricValue(name=name, value=value, support=support, reason=reason)
    else:
        error, z = standard_error(estimate.influence), normal_quantile(confidence)
        if estimate.scale == "plain":
            low, high, method = value - z * error, value + z * error, "normal"
        elif 0 < value < 1:
            low, high = _logit_interval(value, error, z)
            method = "delong" if estimate.scale == "delong" else "logit"
        else:
            low, high = wilson(value * support, support, confidence)
            method = "wilson"
    return MetricValue(name=name, value=value, low=low, high=high, support=support, method=method)


def difference(name: str, first: Estimate, second: Estimate, confidence: float) -> MetricValue:
    """Interval of ``first - second``, both estimated on the same rows."""
    if first.value is None or second.value is None:
        reason = first.reason or second.reason
        return MetricValue(name=name, value=None, support=first.support, reason=reason)
    gap = first.value - second.value
    if first.influence is None or second.influence is None:
        return MetricValue(name=name, value=gap, support=first.support, reason="no interval")
    error = standard_error(first.influence - second.influence)
    z = normal_quantile(confidence)
    return MetricValue(
        name=name,
        value=gap,
        low=gap - z * error,
        high=gap + z * error,
        support=first.support,
        method="normal",
    )


def independent_difference(name: str, first: MetricValue, second: MetricValue) -> MetricValue:
    """Interval of ``first - second`` for values measured on different rows (MOVER).

    With estimates a, b and intervals (l1, u1), (l2, u2) the ends are
    a - b - sqrt((a - l1)^2 + (u2 - b)^2) and a - b + sqrt((u1 - a)^2 + (b - l2)^2).
    """
    ends = (first.value, first.low, first.high, second.value, second.low, second.high)
    if first.value is None or second.value is None:
        reason = first.reason or second.reason
        return MetricValue(name=name, value=None, reason=reason)
    gap = first.value - second.value
    support = min(first.support, second.support)
    if any(end is None for end in ends):
        return MetricValue(name=name, value=gap, support=support, reason="no interval")
    a, l1, u1, b, l2, u2 = (float(end) for end in ends if end is not None)
    return MetricValue(
        name=name,
        value=gap,
        low=gap - sqrt((a - l1) ** 2 + (u2 - b) ** 2),
        high=gap + sqrt((u1 - a) ** 2 + (b - l2) ** 2),
        support=support,
        method="mover",
    )
