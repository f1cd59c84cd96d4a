"""Fitted learners: from a vector to a prediction, with Spark's formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from crisp_spark.serving import trees
from crisp_spark.serving.batch import Arrays, Batch, Build, Floats, Layout, Spec, Stage
from crisp_spark.serving.likelihoods import bayes
from crisp_spark.serving.links import project, unlink
from crisp_spark.serving.neighbours import arg_max

Formula = Callable[[Floats], Floats]


def logistic(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)); infinities give 0 and 1."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-x)))


def softmax(x: Floats) -> Floats:
    """Return shares of exp(x); an infinite value takes all."""
    top = x.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.exp(x - top)
        found = found * (1.0 / trees.summed(found))[:, None]
    endless = np.isposinf(top[:, 0])
    if endless.any():
        found[endless] = 0.0
        found[endless, np.isposinf(x[endless]).argmax(axis=1)] = 1.0
    return np.asarray(found)


def _in_turn(terms: Floats) -> Any:
    """Add each row up from left to right, as the JVM does: where terms cancel, the order is all."""
    return np.add.accumulate(terms, axis=1)[:, -1]


def linear(spec: Spec, arrays: Arrays) -> Formula:
    """Return x times coefficients plus intercept."""
    weights, intercept = arrays[spec["coefficients"]], arrays[spec["intercept"]]
    if weights.ndim == 1:
        start = float(intercept[0])
        return lambda x: np.asarray(_in_turn(x * weights) + start)
    return lambda x: np.asarray(x @ weights.T + intercept)


def _shares(raw: Floats) -> Floats:
    total = trees.summed(raw)
    return np.asarray(
        np.where(total[:, None] != 0, raw / np.where(total == 0, 1.0, total)[:, None], raw)
    )


def _two_sided(margin: Floats) -> Floats:
    return _side_by_side(-margin, margin)


def _side_by_side(first: Floats, second: Floats) -> Floats:
    """Two columns as a matrix: for one row, stacking takes longer than what is stacked."""
    found = np.empty((len(first), 2))
    found[:, 0], found[:, 1] = first, second
    return found


Chances = Callable[[Floats], Floats]
_Raw = Callable[[Spec, Arrays], Formula]


def _of_margin(formula: _Raw) -> _Raw:
    """Lay a score out for two classes: against, for."""

    def build(spec: Spec, arrays: Arrays) -> Formula:
        margin = formula(spec, arrays)
        return lambda x: _two_sided(margin(x))

    return build


def _boosted(raw: Floats) -> Floats:
    first = logistic(2.0 * raw[:, 0])
    return _side_by_side(first, 1.0 - first)


def raw_formula(spec: Spec, arrays: Arrays) -> tuple[Formula, Chances | None]:
    """Return the raw prediction by class, and how it becomes probabilities (None: it has none)."""
    raw, chances = _FAMILIES[spec["family"]]
    return raw(spec, arrays), chances


def _of_second(raw: Floats) -> Floats:
    second = logistic(raw[:, 1])
    return _side_by_side(1.0 - second, second)


def _from_logs(raw: Floats) -> Floats:
    found = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(found * (1.0 / trees.summed(found))[:, None])


def rest(spec: Spec, arrays: Arrays) -> Formula:
    """One against the rest: the raw prediction of each model for its own class."""
    models = [raw_formula(model, arrays)[0] for model in spec["models"]]
    return lambda x: np.stack([model(x)[:, 1] for model in models], axis=1)


def perceptron(spec: Spec, arrays: Arrays) -> Formula:
    """Layers of logistic units; the last one is left raw."""
    layers = [
        (arrays[f"{spec['weights']}.{at}"], arrays[f"{spec['weights']}.{at}.bias"])
        for at in range(int(spec["layers"]))
    ]

    def raw(x: Floats) -> Floats:
        for at, (weights, bias) in enumerate(layers):
            x = x @ weights.T + bias
            if at < len(layers) - 1:
                x = logistic(x)
        return x

    return raw


def factors(spec: Spec, arrays: Arrays) -> Formula:
    """Factorisation machine (Rendle, 2010)."""
    intercept = float(arrays[spec["intercept"]][0])
    weights, pairs = arrays[spec["coefficients"]], arrays[spec["factors"]]

    def score(x: Floats) -> Floats:
        # Term by term in Spark's order: squares of large values cancel down to the last bit.
        start = np.full((len(x), 1), intercept)
        raw = _in_turn(np.concatenate([start, x * weights], axis=1))
        for factor in pairs.T:
            terms = x * factor
            together = _in_turn(terms)
            raw = raw + 0.5 * (together * together - _in_turn(terms * terms))
        return np.asarray(raw)

    return score


_FAMILIES: dict[str, tuple[_Raw, Chances | None]] = {
    "logistic": (_of_margin(linear), logistic),
    "softmax": (linear, softmax),
    "margin": (_of_margin(linear), None),
    "boosted": (_of_margin(trees.regression), _boosted),
    "votes": (trees.votes, _shares),
    "bayes": (bayes, _from_logs),
    "perceptron": (perceptron, softmax),
    "factors": (_of_margin(factors), _of_second),
    "rest": (rest, None),
}


def _chosen(spec: Spec, raw: Floats, chances: Floats | None) -> Floats:
    thresholds, threshold = spec.get("thresholds"), spec.get("threshold")
    if threshold is not None:
        # A single threshold is laid on the raw scale, as Spark does.
        return (raw[:, 1] > _raw_threshold(spec, float(threshold))).astype(np.float64)
    if thresholds and chances is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = chances / np.array(thresholds)
        return arg_max(np.where(np.isnan(scaled), -np.inf, scaled))
    return arg_max(raw)


def _raw_threshold(spec: Spec, threshold: float) -> float:
    if spec["family"] != "logistic":
        return threshold
    if threshold in (0.0, 1.0):
        return -math.inf if threshold == 0 else math.inf
    return math.log(threshold / (1.0 - threshold))


def _classifier(spec: Spec, arrays: Arrays, layout: Layout) -> Stage:
    source, outputs = spec["input"], spec["outputs"]
    raw_of, chances_of = raw_formula(spec, arrays)
    classes, slot = int(spec["classes"]), None
    for name in ("raw", "probability"):
        if outputs.get(name):
            layout.vector(outputs[name], classes)
    if outputs.get("prediction"):
        slot = layout.value(outputs["prediction"])

    def apply(batch: Batch) -> None:
        raw = raw_of(batch.vector(source))
        chances = chances_of(raw) if chances_of is not None else None
        if outputs.get("raw"):
            batch.put(outputs["raw"], raw)
        if outputs.get("probability") and chances is not None:
            batch.put(outputs["probability"], chances)
        _set(batch, slot, _chosen(spec, raw, chances))

    return apply


def _set(batch: Batch, slot: int | None, values: Floats) -> None:
    if slot is not None:
        for row, value in zip(batch.frame.settled(), values.tolist(), strict=True):
            row[slot] = value


def regression_formula(spec: Spec, arrays: Arrays) -> Formula:
    """Return the prediction of a number."""
    family = spec["family"]
    if family == "trees":
        return trees.regression(spec, arrays)
    if family == "factors":
        return factors(spec, arrays)
    if family == "isotonic":
        return isotonic(spec, arrays)
    score = linear(spec, arrays)
    if family == "linear":
        return score
    if family == "survival":
        return lambda x: np.exp(score(x))
    return lambda x: project(spec, unlink(spec, score(x)))


def isotonic(spec: Spec, arrays: Arrays) -> Formula:
    """Lines between the boundaries, level beyond them."""
    bounds, levels = arrays[spec["boundaries"]], arrays[spec["predictions"]]
    place = int(spec["place"])

    def predict(x: Floats) -> Floats:
        value = x[:, place]
        above = np.searchsorted(bounds, value, side="left").clip(0, len(bounds) - 1)
        below = np.maximum(above - 1, 0)
        x0, x1, y0, y1 = bounds[below], bounds[above], levels[below], levels[above]
        with np.errstate(divide="ignore", invalid="ignore"):
            between = y0 + (y1 - y0) * (value - x0) / (x1 - x0)
        exact = (value == x1) | (above == below) | (value > bounds[-1])
        return np.asarray(np.where(exact, y1, between))

    return predict


def _regressor(spec: Spec, arrays: Arrays, layout: Layout) -> Stage:
    formula, source = regression_formula(spec, arrays), spec["input"]
    number = spec.get("number", False)
    from_slot = layout.slots[source] if number else -1
    slot = layout.value(spec["outputs"]["prediction"])

    def apply(batch: Batch) -> None:
        if number:
            x = np.array([[row[from_slot]] for row in batch.rows], dtype=np.float64)
        else:
            x = batch.vector(source)
        with np.errstate(all="ignore"):
            _set(batch, slot, formula(x))

    return apply


LEARNERS: dict[str, Build] = {
    "classifier": _classifier,
    "regressor": _regressor,
}
