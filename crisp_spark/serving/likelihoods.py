"""Naive Bayes and Gaussian mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.batch import Arrays, Floats, Spec
from crisp_spark.serving.refusal import RowsRefusedError

_EPSILON = 2.0**-52


def _refuse(wrong: NDArray[np.bool_], words: str) -> None:
    if wrong.any():
        raise RowsRefusedError({int(at): words for at in np.nonzero(wrong.any(axis=1))[0]})


def bayes(spec: Spec, arrays: Arrays) -> Callable[[Floats], Floats]:
    """Return the log likelihood by class (Manning et al., 2008; Rennie et al., 2003)."""
    theta, prior = arrays[spec["theta"]], arrays[spec["prior"]]
    kind = spec["type"]
    if kind == "gaussian":
        return _gaussian(theta, arrays[spec["sigma"]], prior)
    if kind == "bernoulli":
        negative = np.log(1.0 - np.exp(theta))
        weights, constant = theta - negative, prior + negative.sum(axis=1)

        def flags(x: Floats) -> Floats:
            _refuse((x != 0) & (x != 1), "naive Bayes (bernoulli) takes 0 and 1 only")
            return np.asarray(x @ weights.T + constant)

        return flags

    def counts(x: Floats) -> Floats:
        _refuse(~(x >= 0), "naive Bayes takes no negative values")
        raw = x @ theta.T
        if kind == "multinomial":
            return np.asarray(raw + prior)
        top = raw.max(axis=1, keepdims=True)
        return np.asarray(raw - (np.log(np.exp(raw - top).sum(axis=1, keepdims=True)) + top))

    return counts


def _gaussian(mean: Floats, variance: Floats, prior: Floats) -> Callable[[Floats], Floats]:
    constant = np.log(variance).sum(axis=1)

    def raw(x: Floats) -> Floats:
        found = [
            prior[at] - (((x - mean[at]) ** 2 / variance[at]).sum(axis=1) + constant[at]) / 2.0
            for at in range(len(mean))
        ]
        return np.stack(found, axis=1)

    return raw


def mixture(spec: Spec, arrays: Arrays) -> Callable[[Floats], Floats]:
    """Return the chances of each Gaussian; a singular covariance counts in its own directions."""
    weights, means = arrays[spec["weights"]], arrays[spec["means"]]
    roots, constants = [], []
    for covariance in arrays[spec["covariances"]]:
        values, vectors = np.linalg.eigh(covariance)
        limit = _EPSILON * values.max() * len(values)
        usable = values > limit
        inverse = np.where(usable, 1.0 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
        roots.append(inverse[:, None] * vectors.T)
        determinant = float(np.log(values[usable]).sum())
        constants.append(-0.5 * (len(values) * math.log(2.0 * math.pi) + determinant))

    def chances(x: Floats) -> Floats:
        found = []
        for at, root in enumerate(roots):
            turned = (x - means[at]) @ root.T
            density = np.exp(constants[at] - 0.5 * (turned * turned).sum(axis=1))
            found.append(_EPSILON + weights[at] * density)
        raw = np.stack(found, axis=1)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    return chances
