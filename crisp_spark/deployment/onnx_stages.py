"""Numeric feature stages of a portable model as ONNX operators.

A missing number is NaN in ONNX, which has no null. A stage that would refuse a row also tells which
rows it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crisp_spark.deployment.onnx_graph import Graph
from crisp_spark.deployment.onnx_trees import Arrays
from crisp_spark.deployment.portable_sql import NotPortableError

Spec = Mapping[str, Any]

_FRACTIONS = frozenset({"double", "float"})


@dataclass
class Columns:
    """Columns under way.

    Attributes:
        graph: Where they are made.
        arrays: Numbers of the bundle.
        tensors: Column to its tensor, rows by width.
        widths: Column to its width; a number has 1.
        vectors: Columns that are vectors.
        absent: Vector to the tensor that tells where it is null.
        taken: Tensors that tell which rows a stage takes.
    """

    graph: Graph
    arrays: Arrays
    tensors: dict[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    vectors: set[str] = field(default_factory=set)
    absent: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def number(self, name: str, tensor: str) -> None:
        """Set a column of numbers."""
        self.tensors[name], self.widths[name] = tensor, 1
        self.vectors.discard(name)
        self.absent.pop(name, None)

    def vector(self, name: str, tensor: str, width: int) -> None:
        """Set a column of vectors."""
        self.number(name, tensor)
        self.widths[name] = width
        self.vectors.add(name)

    def missing(self, name: str) -> str:
        """Return a tensor of one column that tells where a number is missing."""
        return self.graph.op("IsNaN", self.tensors[name])


def used_by(spec: Spec) -> list[str]:
    """Return the columns that a stage reads."""
    return list(spec["inputs"]) if "inputs" in spec else [spec["input"]]


def made_by(spec: Spec) -> list[str]:
    """Return the columns that a stage makes."""
    return list(spec["outputs"]) if "outputs" in spec else [spec["output"]]


def why_not(spec: Spec) -> str:
    """Say why a stage cannot be carried; empty where it can."""
    if spec["kind"] not in STAGES:
        return f"a stage {spec['kind']}"
    if spec["kind"] == "impute" and not math.isnan(float(spec["missing"])):
        return "an imputer of another value than null and NaN"
    return ""


def add_stage(columns: Columns, spec: Spec) -> None:
    """Add a stage to a graph.

    Raises:
        NotPortableError: It has no counterpart in ONNX.
    """
    if reason := why_not(spec):
        raise NotPortableError(f"export onnx: {reason} cannot be carried")
    STAGES[spec["kind"]](columns, spec)


def _impute(columns: Columns, spec: Spec) -> None:
    graph, names = columns.graph, (spec["inputs"], spec["outputs"], spec["surrogates"])
    for (source, target, text), kind in zip(zip(*names, strict=True), spec["types"], strict=True):
        value = float(text)
        if kind == "float":
            value = float(np.float32(value))
        elif kind not in _FRACTIONS:
            value = float(int(value))  # a whole number stays one, as in Spark
        filled = graph.op(
            "Where", columns.missing(source), graph.constant(value), columns.tensors[source]
        )
        columns.number(target, filled)


def _one_hot(columns: Columns, spec: Spec) -> None:
    graph = columns.graph
    keep, drop = spec["invalid"] == "keep", spec["drop_last"]
    for source, target, size in zip(spec["inputs"], spec["outputs"], spec["sizes"], strict=True):
        width = size + (1 if keep and not drop else -1 if drop and not keep else 0)
        value, null = columns.tensors[source], columns.missing(source)
        above = graph.op("GreaterOrEqual", value, graph.constant(0.0))
        known = graph.op("And", above, graph.op("Less", value, graph.constant(float(size))))
        if not keep:
            columns.taken.append(graph.op("Or", known, null))
        place = graph.op("Where", known, graph.op("Floor", value), graph.constant(float(size)))
        hot = graph.cast(graph.op("Equal", place, graph.constant(np.arange(width))), "DOUBLE")
        columns.vector(target, graph.op("Where", null, graph.constant(math.nan), hot), width)
        columns.absent[target] = null


def _assemble(columns: Columns, spec: Spec) -> None:
    graph, keep = columns.graph, spec["invalid"] == "keep"
    for name in spec["inputs"]:
        null = columns.absent.get(name) if name in columns.vectors else columns.missing(name)
        if null is not None and not keep:
            columns.taken.append(graph.op("Not", null))
    tensors = [columns.tensors[name] for name in spec["inputs"]]
    width = sum(columns.widths[name] for name in spec["inputs"])
    columns.vector(spec["output"], graph.op("Concat", *tensors, axis=1), width)


def _slice(columns: Columns, spec: Spec) -> None:
    source, places = spec["input"], np.array(spec["places"], dtype=np.int64)
    made = columns.graph.op(
        "Gather", columns.tensors[source], columns.graph.constant(places, np.int64), axis=1
    )
    absent = columns.absent.get(source)
    columns.vector(spec["output"], made, len(places))
    if absent is not None:
        columns.absent[spec["output"]] = absent


def _whole(columns: Columns, name: str) -> str:
    """Return a vector for a stage that takes no null."""
    absent = columns.absent.get(name)
    if absent is not None:
        columns.taken.append(columns.graph.op("Not", absent))
    return columns.tensors[name]


def _linear(columns: Columns, spec: Spec) -> None:
    made = _whole(columns, spec["input"])
    for part, kind in (("shift", "Sub"), ("scale", "Mul")):
        if spec.get(part):
            made = columns.graph.op(kind, made, columns.graph.constant(columns.arrays[spec[part]]))
    columns.vector(spec["output"], made, columns.widths[spec["input"]])


def _min_max(columns: Columns, spec: Spec) -> None:
    graph, given = columns.graph, _whole(columns, spec["input"])
    low, scale = columns.arrays[spec["low"]], columns.arrays[spec["scale"]]
    start, end = float(spec["min"]), float(spec["max"])
    moved = graph.op("Mul", graph.op("Sub", given, graph.constant(low)), graph.constant(scale))
    moved = graph.op("Add", moved, graph.constant(start))
    flat = graph.constant(scale == 0, np.bool_)
    moved = graph.op("Where", flat, graph.constant((start + end) / 2.0), moved)
    made = graph.op("Where", graph.op("IsNaN", given), given, moved)
    columns.vector(spec["output"], made, columns.widths[spec["input"]])


def learner_vector(columns: Columns, name: str) -> str:
    """Return the vector that the learner reads."""
    return _whole(columns, name)


def taken_rows(columns: Columns) -> str | None:
    """Return a tensor that tells which rows all stages take; None where none refuses any."""
    tests: Sequence[str] = columns.taken
    if not tests:
        return None
    graph, (found, *others) = columns.graph, tests
    for test in others:
        found = graph.op("And", found, test)
    return graph.flat(found)


STAGES: dict[str, Callable[[Columns, Spec], None]] = {
    "impute": _impute,
    "one_hot": _one_hot,
    "assemble": _assemble,
    "slice": _slice,
    "linear": _linear,
    "min_max": _min_max,
}
"""Stages by the kind that a bundle names."""
