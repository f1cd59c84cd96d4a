"""Trees of Spark ML as arrays, all of a model's trees one behind the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def keep_trees(trees: Sequence[Any], classes: int, keep: Callable[[str, Any], str], at: str) -> str:
    """Keep trees and return the name that their arrays begin with.

    Args:
        trees: Fitted trees.
        classes: Number of classes, 0 for trees that predict a number.
        keep: Keeps an array.
        at: Put before the names.

    A node that tests a category keeps the smaller of the two sets, as Spark does, because a
    category that training never saw goes the way of the other one.
    """
    nodes = _Nodes(classes)
    for tree in trees:
        nodes.add(_read(tree))
    return nodes.keep(keep, at)


def _read(tree: Any) -> list[dict[str, Any]]:
    """Return the nodes of a tree in one call to the JVM, numbered from the root on."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    jvm: Any = session.sparkContext._jvm  # noqa: SLF001
    package = jvm.org.apache.spark.ml.tree
    builder = getattr(getattr(package, "DecisionTreeModelReadWrite$NodeData$"), "MODULE$")
    built = builder.build(tree._java_obj.rootNode(), 0)._1()  # noqa: SLF001
    mapper = jvm.com.fasterxml.jackson.databind.ObjectMapper()
    module = getattr(jvm.com.fasterxml.jackson.module.scala, "DefaultScalaModule$")
    mapper.registerModule(getattr(module, "MODULE$"))
    # The fields alone: a getter of splits fails on leaves.
    accessor = jvm.com.fasterxml.jackson.annotation.PropertyAccessor
    visible = getattr(jvm.com.fasterxml.jackson.annotation, "JsonAutoDetect$Visibility")
    mapper.setVisibility(accessor.GETTER, visible.NONE)
    mapper.setVisibility(accessor.FIELD, visible.ANY)
    listed: list[dict[str, Any]] = json.loads(mapper.writeValueAsString(built))
    return sorted(listed, key=lambda node: int(node["id"]))


class _Nodes:
    """Arrays that grow tree by tree."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._columns: dict[str, list[Any]] = {
            name: []
            for name in ("feature", "threshold", "left", "right", "sets", "side", "prediction")
        }
        self._roots: list[int] = []
        self._stats: list[list[float]] = []
        self._members: list[float] = []
        self._bounds = [0]

    def add(self, nodes: Sequence[dict[str, Any]]) -> None:
        start = len(self._columns["feature"])
        self._roots.append(start)
        for node in nodes:
            split = node["split"]
            inner = int(node["leftChild"]) >= 0
            self._append("feature", int(split["featureIndex"]) if inner else -1)
            self._append("left", start + int(node["leftChild"]) if inner else 0)
            self._append("right", start + int(node["rightChild"]) if inner else 0)
            self._append("prediction", float(node["prediction"]))
            if self._classes:
                self._stats.append([float(value) for value in node["impurityStats"]])
            self._add_split(split, inner=inner)

    def _add_split(self, split: dict[str, Any], *, inner: bool) -> None:
        values = [float(value) for value in split["leftCategoriesOrThreshold"]]
        arity = int(split["numCategories"])
        if not inner or arity < 0:
            self._append("threshold", values[0] if inner else 0.0)
            self._append("sets", -1)
            self._append("side", value=True)
            return
        is_left = len(values) <= arity // 2
        chosen = values if is_left else [float(n) for n in range(arity) if float(n) not in values]
        self._members += chosen
        self._bounds.append(len(self._members))
        self._append("threshold", 0.0)
        self._append("sets", len(self._bounds) - 2)
        self._append("side", value=is_left)

    def _append(self, name: str, value: Any) -> None:
        self._columns[name].append(value)

    def keep(self, keep: Callable[[str, Any], str], at: str) -> str:
        kinds = {"threshold": np.float64, "prediction": np.float64, "side": np.bool_}
        name = ""
        for column, values in self._columns.items():
            array: Any = np.array(values, dtype=kinds.get(column, np.int32))
            name = keep(f"{at}trees.{column}", array).rpartition(".")[0]
        keep(f"{at}trees.root", np.array(self._roots, dtype=np.int32))
        keep(f"{at}trees.members", np.array(self._members, dtype=np.float64))
        keep(f"{at}trees.bounds", np.array(self._bounds, dtype=np.int32))
        if self._classes:
            keep(f"{at}trees.stats", np.array(self._stats, dtype=np.float64))
        return name
