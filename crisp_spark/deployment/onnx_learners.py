"""Fitted learners of a portable model as ONNX operators, with the same formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crisp_spark.deployment.onnx_graph import Graph
from crisp_spark.deployment.onnx_trees import Arrays, Trees, add_leaves
from crisp_spark.deployment.portable_sql import NotPortableError

Spec = Mapping[str, Any]

_EPSILON = 1e-16
_MOST = 1.7976931348623157e308


@dataclass(frozen=True)
class Made:
    """Tensors of a learner.

    Attributes:
        prediction: Class number (whole) or number, one a row.
        chances: Probability by class; None where a number is predicted.
    """

    prediction: str
    chances: str | None = None


def learner(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> Made:
    """Add a learner to a graph.

    Args:
        graph: What is added to.
        spec: The learner's stage in the bundle.
        arrays: Numbers of the bundle.
        vector: Tensor of the assembled features.

    Raises:
        NotPortableError: Its family has no counterpart in ONNX.
    """
    kind, family = spec["kind"], str(spec.get("family", ""))
    families = {"classifier": _RAW, "regressor": _NUMBERS}.get(kind, {})
    if family not in families or spec.get("number"):
        told = f"{kind} {family}".strip()
        raise NotPortableError(
            f"export onnx: a {told} cannot be carried",
            hint=f"carried: {', '.join(sorted({*_RAW, *_NUMBERS}))}; the bundle itself scores it",
        )
    if kind == "regressor":
        return Made(graph.flat(_NUMBERS[family](graph, spec, arrays, vector)))
    raw = _RAW[family](graph, spec, arrays, vector)
    chances = _chances(graph, spec, raw)
    return Made(_chosen(graph, spec, raw, chances), chances)


def logistic(graph: Graph, tensor: str) -> str:
    """Return 1 / (1 + exp(-x)), which keeps the digits of small shares; Sigmoid need not."""
    power = graph.op("Exp", graph.op("Neg", tensor))
    one = graph.constant(1.0)
    return graph.op("Div", one, graph.op("Add", one, power))


def _margin(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    weights, start = arrays[spec["coefficients"]], arrays[spec["intercept"]]
    matrix = weights.T if weights.ndim > 1 else weights[:, None]
    return graph.op(
        "Add", graph.op("MatMul", vector, graph.constant(matrix)), graph.constant(start)
    )


def _two_sided(graph: Graph, margin: str) -> str:
    return graph.op("Concat", graph.op("Neg", margin), margin, axis=1)


def _margin_of_two(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    return _two_sided(graph, _margin(graph, spec, arrays, vector))


def _weighted(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    """Trees of numbers: one, the mean of many, or their weighted sum; one column."""
    values = arrays[f"{spec['trees']}.prediction"]
    trees = Trees(spec, arrays)
    if spec.get("weights"):
        values = values * arrays[spec["weights"]][trees.tree_of(np.arange(len(values)))]
    found = graph.op("Gather", graph.constant(values), add_leaves(graph, trees, vector))
    total = graph.summed(found, len(trees) - 1)
    if spec.get("mean"):
        total = graph.op("Div", total, graph.constant(float(len(trees))))
    return graph.op("Unsqueeze", total, graph.constant([1], np.int64))


def _boosted(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    return _two_sided(graph, _weighted(graph, spec, arrays, vector))


def _votes(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    shares = arrays[f"{spec['trees']}.stats"]
    trees = Trees(spec, arrays)
    if spec.get("forest"):
        totals = np.add.accumulate(shares, axis=1)[:, -1]
        shares = shares / np.where(totals == 0, 1.0, totals)[:, None]
    found = graph.op("Gather", graph.constant(shares), add_leaves(graph, trees, vector))
    return graph.summed(found, len(trees) - 1)


def _chances(graph: Graph, spec: Spec, raw: str) -> str:
    classes, family = int(spec["classes"]), spec["family"]
    if family == "softmax":
        return _softmax(graph, raw, classes)
    if family == "boosted":
        against = graph.op("Mul", graph.column(raw, 0), graph.constant(2.0))
        first = logistic(graph, against)
        return graph.op("Concat", first, graph.op("Sub", graph.constant(1.0), first), axis=1)
    if family == "votes":
        one = graph.constant(1.0)
        total = _across(graph, raw, classes)
        none = graph.op("Equal", total, graph.constant(0.0))
        return graph.op("Div", raw, graph.op("Where", none, one, total))
    # A margin keeps the order; scores of a model without probability are its logistic.
    return logistic(graph, raw)


def _across(graph: Graph, tensor: str, classes: int) -> str:
    total = graph.summed(tensor, classes - 1)
    return graph.op("Unsqueeze", total, graph.constant([1], np.int64))


def _softmax(graph: Graph, raw: str, classes: int) -> str:
    top = graph.op("ReduceMax", raw, graph.constant([1], np.int64), keepdims=1)
    power = graph.op("Exp", graph.op("Sub", raw, top))
    inverse = graph.op("Div", graph.constant(1.0), _across(graph, power, classes))
    shares = graph.op("Mul", power, inverse)
    first = graph.op("ArgMax", raw, axis=1, keepdims=1)
    alone = graph.op("Equal", graph.constant(np.arange(classes), np.int64), first)
    # ReduceMax passes over NaN, which spoils all shares of its row.
    spoilt = graph.cast(graph.op("IsNaN", raw), "DOUBLE")
    sound = graph.op("Equal", _across(graph, spoilt, classes), graph.constant(0.0))
    endless = graph.op("And", graph.op("IsInf", top, detect_negative=0), sound)
    return graph.op("Where", endless, graph.cast(alone, "DOUBLE"), shares)


def _chosen(graph: Graph, spec: Spec, raw: str, chances: str) -> str:
    thresholds, threshold = spec.get("thresholds"), spec.get("threshold")
    if threshold is not None:
        cut = graph.constant(_raw_threshold(spec, float(threshold)))
        return graph.flat(graph.cast(graph.op("Greater", graph.column(raw, 1), cut), "INT64"))
    values = raw
    if thresholds and spec["family"] != "margin":
        values = graph.op("Div", chances, graph.constant([float(one) for one in thresholds]))
    missing = graph.op("IsNaN", values)
    known = graph.op("Where", missing, graph.constant(-math.inf), values)
    return graph.op("ArgMax", known, axis=1, keepdims=0)


def _raw_threshold(spec: Spec, threshold: float) -> float:
    """A threshold of probability is laid on the raw scale, as Spark does."""
    if spec["family"] != "logistic":
        return threshold
    if threshold in (0.0, 1.0):
        return -math.inf if threshold == 0 else math.inf
    return math.log(threshold / (1.0 - threshold))


def _generalized(graph: Graph, spec: Spec, arrays: Arrays, vector: str) -> str:
    link = spec.get("link")
    if spec.get("link_power") is not None or link not in ("identity", "log", "logit"):
        told = link or f"power {spec.get('link_power')}"
        raise NotPortableError(
            f"export onnx: a generalised linear model with link {told} cannot be carried",
            hint="carried: identity, log, logit",
        )
    eta = _margin(graph, spec, arrays, vector)
    mean = {
        "identity": lambda: eta,
        "log": lambda: graph.op("Exp", eta),
        "logit": lambda: logistic(graph, eta),
    }[link]()
    return _in_range(graph, spec["distribution"], mean)


def _in_range(graph: Graph, distribution: str, mean: str) -> str:
    """Bring a mean into the range of its distribution, as Spark does."""

    def capped(tensor: str, test: str, bound: float, value: float) -> str:
        beyond = graph.op(test, tensor, graph.constant(bound))
        return graph.op("Where", beyond, graph.constant(value), tensor)

    if distribution == "gaussian":
        low = capped(mean, "Less", -_MOST, -_MOST)
        return capped(low, "Greater", _MOST, _MOST)
    low = capped(mean, "Less", _EPSILON, _EPSILON)
    if distribution == "binomial":
        return capped(low, "Greater", 1.0 - _EPSILON, 1.0 - _EPSILON)
    return capped(low, "Greater", _MOST, _MOST)


_Part = Callable[[Graph, Spec, Arrays, str], str]
_RAW: dict[str, _Part] = {
    "logistic": _margin_of_two,
    "softmax": _margin,
    "margin": _margin_of_two,
    "boosted": _boosted,
    "votes": _votes,
}
"""Raw prediction by class, by family."""
_NUMBERS: dict[str, _Part] = {"linear": _margin, "glm": _generalized, "trees": _weighted}
