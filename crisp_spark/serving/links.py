"""Link functions of generalised linear models (McCullagh and Nelder, 1989)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from crisp_spark.serving.batch import Floats, Spec

_EPSILON = 1e-16
_MOST = 1.7976931348623157e308


def _normal(eta: Floats) -> Floats:
    return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in eta.tolist()])


_INVERSES: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "inverse": lambda eta: 1.0 / eta,
    "logit": lambda eta: 1.0 / (1.0 + np.exp(-1.0 * eta)),
    "probit": _normal,
    "cloglog": lambda eta: 1.0 - np.exp(-1.0 * np.exp(eta)),
    "sqrt": lambda eta: eta * eta,
}


def unlink(spec: Spec, eta: Floats) -> Floats:
    """Return the mean of a linear predictor."""
    power = spec.get("link_power")
    if power is None:
        return _INVERSES[spec["link"]](eta)
    if power == 0:
        return np.exp(eta)
    return np.asarray(np.power(eta, 1.0 / float(power)))


def project(spec: Spec, mean: Floats) -> Floats:
    """Bring a mean into the range of its distribution, as Spark does."""
    name = spec["distribution"]
    if name == "gaussian":
        return np.where(np.isneginf(mean), -_MOST, np.where(np.isposinf(mean), _MOST, mean))
    low = np.where(mean < _EPSILON, _EPSILON, mean)
    if name == "binomial":
        return np.where(mean > 1.0 - _EPSILON, 1.0 - _EPSILON, low)
    return np.where(np.isinf(low), _MOST, low)
