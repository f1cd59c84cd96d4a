"""A portable model as an ONNX graph: the estimator, and numeric feature stages before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crisp_spark.deployment.onnx_graph import Graph
from crisp_spark.deployment.onnx_learners import Made, learner
from crisp_spark.deployment.onnx_stages import (
    Columns,
    add_stage,
    learner_vector,
    made_by,
    taken_rows,
    used_by,
    why_not,
)
from crisp_spark.deployment.onnx_trees import Arrays
from crisp_spark.deployment.portable_sql import NotPortableError

STARTS = ("estimator", "numeric", "inputs")
"""Where a graph may start: at the estimator's vector, as early as numeric stages reach, or at the
model's inputs."""

_LEARNERS = frozenset({"classifier", "regressor", "clusters", "recommender"})
_NUMBERS = frozenset({"double", "float", "bigint", "int", "smallint", "tinyint", "boolean"})
PREDICTION, SCORE, DECISION, PROBABILITIES, VALID = (
    "prediction",
    "score",
    "decision",
    "probabilities",
    "valid",
)
"""Names of the outputs."""


@dataclass(frozen=True)
class Cut:
    """Where a graph starts.

    Attributes:
        first: Place of the first stage in it.
        learner: Place of the learner, the last one.
        inputs: Columns that the graph takes.
        kinds: Spark types of those that are told.
    """

    first: int
    learner: int
    inputs: Sequence[str]
    kinds: Mapping[str, str]


def cut_of(description: Mapping[str, Any], start: str) -> Cut:
    """Say where a graph starts.

    Args:
        description: The portable model.
        start: One of :data:`STARTS`.

    Raises:
        NotPortableError: A stage that the graph must hold cannot be carried; the message names it.
    """
    stages = description["stages"]
    at = max((n for n, spec in enumerate(stages) if spec["kind"] in _LEARNERS), default=-1)
    if at < 0 or at != len(stages) - 1:
        behind = "no learner" if at < 0 else f"a stage {stages[-1]['kind']} behind the learner"
        raise NotPortableError(f"export onnx: {behind} cannot be carried")
    first = at
    while start != "estimator" and first and not why_not(stages[first - 1]):
        first -= 1
    if start == "inputs":
        _check_whole(description, first)
    inputs = _inputs(stages[first : at + 1])
    if taken := {PREDICTION, SCORE, DECISION, PROBABILITIES, VALID} & set(inputs):
        raise NotPortableError(f"export onnx: a column named {min(taken)!r} cannot be an input")
    kinds = {item["name"]: item["type"] for item in description["signature"]}
    for spec in reversed(stages[first:at]):
        kinds |= dict(zip(spec.get("inputs", ()), spec.get("types", ()), strict=False))
    return Cut(first, at, inputs, kinds)


def _check_whole(description: Mapping[str, Any], first: int) -> None:
    """Refuse what keeps a graph from starting at the model's inputs."""
    stages = description["stages"]
    if first:
        raise NotPortableError(
            f"export onnx: stage {first}: {why_not(stages[first - 1])} cannot be carried",
            hint="--start numeric begins behind it, the bundle makes what comes before",
        )
    kinds = {item["name"]: item["type"] for item in description["signature"]}
    for name in _inputs(stages):
        if kinds.get(name) not in _NUMBERS:
            raise NotPortableError(
                f"export onnx: input {name!r} is of type {kinds.get(name)}, no number"
            )


def _inputs(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that stages read and do not make themselves, in order."""
    made: set[str] = set()
    found: dict[str, None] = {}
    for spec in stages:
        is_last = spec["kind"] in _LEARNERS
        for name in [spec["input"]] if "input" in spec else used_by(spec):
            if name not in made:
                found[name] = None
        made |= set() if is_last else set(made_by(spec))
    return list(found)


def export_onnx(
    description: Mapping[str, Any],
    arrays: Arrays,
    cut: Cut,
    widths: Mapping[str, int | None],
    facts: Mapping[str, Any],
) -> bytes:
    """Return the file of a graph.

    Args:
        description: The portable model.
        arrays: Its numbers.
        cut: Where the graph starts.
        widths: Length of each input; None for a number.
        facts: What else the file tells about itself.

    Raises:
        NotPortableError: The learner's family has no counterpart in ONNX.
    """
    graph = Graph()
    columns = Columns(graph, arrays)
    for name in cut.inputs:
        width = widths[name]
        if width is None:
            columns.number(name, graph.take(name, 1))
        else:
            columns.vector(name, graph.take(name, width), width)
    stages = description["stages"]
    for spec in stages[cut.first : cut.learner]:
        add_stage(columns, spec)
    spec = stages[cut.learner]
    if "input" not in spec:
        raise NotPortableError(f"export onnx: a {spec['kind']} cannot be carried")
    vector = columns.tensors[spec["input"]] if spec.get("number") else None
    made = learner(graph, spec, arrays, vector or learner_vector(columns, spec["input"]))
    _give(graph, description, spec, made)
    valid = taken_rows(columns)
    if valid is not None:
        graph.give(VALID, valid, "BOOL")
    return graph.written({name: _text(value) for name, value in facts.items()})


def _give(
    graph: Graph, description: Mapping[str, Any], spec: Mapping[str, Any], made: Made
) -> None:
    """Add the outputs, by the rules of scoring with the bundle."""
    graph.give(PREDICTION, made.prediction, "DOUBLE" if made.chances is None else "INT64")
    if made.chances is None:
        graph.give(SCORE, made.prediction, "DOUBLE")
        return
    if description["problem"] == "binary":
        score = graph.flat(graph.column(made.chances, 1))
        graph.give(SCORE, score, "DOUBLE")
        if description["threshold"] is not None:
            cut = graph.constant(float(description["threshold"]))
            graph.give(DECISION, graph.op("GreaterOrEqual", score, cut), "BOOL")
        return
    import numpy as np

    classes = int(spec["classes"])
    total = graph.summed(made.chances, classes - 1)
    total = graph.op("Unsqueeze", total, graph.constant([1], np.int64))
    shares = graph.op("Div", made.chances, total)
    graph.give(
        SCORE, graph.op("ReduceMax", shares, graph.constant([1], np.int64), keepdims=0), "DOUBLE"
    )
    graph.give(PROBABILITIES, shares, "DOUBLE", classes)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
