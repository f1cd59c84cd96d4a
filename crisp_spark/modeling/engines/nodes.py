"""Trees of MLlib as plain lists of nodes, and back into MLlib's own model classes.

MLlib saves a tree as a list of node records and builds it again from them; the same two functions
serve here, with JSON in place of files, so that a tree crosses in two calls whatever its size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark import SparkContext

if TYPE_CHECKING:
    from pyspark.ml.base import Estimator

Node = dict[str, Any]
"""A node as MLlib saves it: id, prediction, impurity, impurityStats, rawCount, gain, leftChild,
rightChild, split; nodes of a tree stand in the order root, left subtree, right subtree."""

NO_SPLIT: Mapping[str, Any] = {
    "featureIndex": -1,
    "leftCategoriesOrThreshold": [],
    "numCategories": -1,
}
_RECORD = "org.apache.spark.ml.tree.DecisionTreeModelReadWrite$NodeData"
_ENSEMBLES = {
    "GBTClassificationModel": ("regression.DecisionTreeRegressionModel", True, True),
    "GBTRegressionModel": ("regression.DecisionTreeRegressionModel", True, False),
    "RandomForestClassificationModel": (
        "classification.DecisionTreeClassificationModel",
        False,
        True,
    ),
    "RandomForestRegressionModel": ("regression.DecisionTreeRegressionModel", False, False),
}


def gateway() -> Any:
    """Return the gateway to the JVM; threads without a session of their own find it too."""
    return SparkContext._active_spark_context._gateway  # type: ignore[union-attr]  # noqa: SLF001


def _jvm() -> Any:
    return gateway().jvm


def singleton(name: str) -> Any:
    """Return an object of Scala by the name of its class."""
    return _jvm().java.lang.Class.forName(name).getField("MODULE$").get(None)


def mapper() -> Any:
    """Return what turns objects of the JVM into JSON and back, by their fields."""
    jackson = _jvm().com.fasterxml.jackson
    found = jackson.databind.ObjectMapper()
    found.registerModule(jackson.module.scala.DefaultScalaModule())
    accessors = jackson.annotation.PropertyAccessor
    visible = jackson.annotation.JsonAutoDetect.Visibility
    # Fields only: getters of the records compute things and may refuse to.
    for accessor in (accessors.GETTER, accessors.IS_GETTER):
        found.setVisibility(accessor, getattr(visible, "NONE"))  # noqa: B009
    found.setVisibility(accessors.FIELD, visible.ANY)
    return found


def read_trees(model: Any) -> list[list[Node]]:
    """Return the trees of a fitted tree, forest or boosted model."""
    java = model._java_obj  # noqa: SLF001
    trees = list(java.trees()) if hasattr(model, "trees") else [java]
    records, writer = singleton(f"{_RECORD}$"), mapper()
    return [
        json.loads(writer.writeValueAsString(records.build(tree.rootNode(), 0)._1()))  # noqa: SLF001
        for tree in trees
    ]


def build_model(
    estimator: Estimator[Any],
    name: str,
    trees: Sequence[Sequence[Node]],
    *,
    slots: int,
    class_count: int = 2,
    weights: Sequence[float] = (),
    impurity: str = "variance",
) -> Any:
    """Return a model of MLlib made of trees.

    Args:
        estimator: Learner whose columns and hyperparameters the model carries.
        name: Class of the model.
        trees: Nodes of each tree.
        slots: Length of the feature vector.
        class_count: Number of classes.
        weights: Weight of each tree (boosting).
        impurity: Impurity that the statistics of the nodes belong to.
    """
    reader, ml = mapper(), _jvm().org.apache.spark.ml
    kind = _jvm().java.lang.Class.forName(f"[L{_RECORD};")
    build = singleton("org.apache.spark.ml.tree.DecisionTreeModelReadWrite$").buildTreeFromNodes
    roots = [build(reader.readValue(json.dumps(list(nodes)), kind), impurity) for nodes in trees]
    if name not in _ENSEMBLES:
        return _wrapped(estimator, name, _tree(ml, name, roots[0], (slots, class_count)))
    tree_class, weighted, classes = _ENSEMBLES[name]
    members = [_tree(ml, tree_class, root, (slots, class_count)) for root in roots]
    return _ensemble(
        estimator,
        name,
        members,
        [*([list(weights)] if weighted else []), slots, *([class_count] if classes else [])],
    )


def prefix(estimator: Estimator[Any], model: Any, trees: int) -> Any:
    """Return a boosted model of the first trees of another."""
    name, java = type(model).__name__, model._java_obj  # noqa: SLF001
    members = list(java.trees())[:trees]
    weights = [float(weight) for weight in java.treeWeights()][:trees]
    more = [model.numClasses] if "Classification" in name else []
    return _ensemble(estimator, name, members, [weights, model.numFeatures, *more])


def _tree(ml: Any, name: str, root: Any, sizes: tuple[int, int]) -> Any:
    short = name.rsplit(".", 1)[-1]
    uid = f"{short}_{uuid4().hex[:12]}"
    if "Classification" in short:
        return ml.classification.DecisionTreeClassificationModel(uid, root, *sizes)
    return ml.regression.DecisionTreeRegressionModel(uid, root, sizes[0])


def _ensemble(
    estimator: Estimator[Any], name: str, members: Sequence[Any], rest: Sequence[Any]
) -> Any:
    door = gateway()
    ml = _jvm().org.apache.spark.ml
    package, tree = _ENSEMBLES[name][0].split(".")
    array = door.new_array(getattr(getattr(ml, package), tree), len(members))
    for at, member in enumerate(members):
        array[at] = member
    values = list[Any]()
    for value in rest:
        if isinstance(value, list):
            doubles = door.new_array(_jvm().double, len(value))
            for at, weight in enumerate(value):
                doubles[at] = float(weight)
            values.append(doubles)
        else:
            values.append(int(value))
    own = ml.classification if "Classification" in name else ml.regression
    uid = f"{name}_{uuid4().hex[:12]}"
    return _wrapped(estimator, name, getattr(own, name)(uid, array, *values))


def _wrapped(estimator: Estimator[Any], name: str, java: Any) -> Any:
    """Wrap a model of the JVM; it carries the learner's columns and hyperparameters."""
    from pyspark.ml import classification, regression

    found = getattr(classification if "Classification" in name else regression, name)(java)
    return estimator._copyValues(found)  # noqa: SLF001


@dataclass(frozen=True)
class Stop:
    """Where growth ends.

    Attributes:
        depth: Largest depth.
        min_gain: Least gain of a split.
        merge: Whether sibling leaves of one prediction become one, as MLlib does after growing.
        impurity: gini, entropy or variance.
    """

    depth: int
    min_gain: float = 0.0
    merge: bool = True
    impurity: str = "variance"


def cut(nodes: Sequence[Node], stop: Stop) -> list[Node]:
    """Return a tree as it would have grown with a smaller depth or a larger least gain."""
    kept = list[Node]()
    _grow(nodes, 0, stop.depth, stop, kept)
    return kept


def impurity_of(stats: Sequence[float], name: str) -> float:
    """Return the impurity of a node by MLlib's formulas, in MLlib's order of operations.

    Args:
        stats: Rows by class; for variance rows, sum and sum of squares.
        name: gini, entropy or variance.
    """
    if name == "variance":
        count, total, squares = stats
        return (squares - total * total / count) / count if count else 0.0
    count = sum(stats)
    found = 1.0 if name == "gini" else 0.0
    for part in stats:
        share = part / count if count else 0.0
        if name == "gini":
            found -= share * share
        elif part:
            found -= share * (log(share) / log(2))
    return found if count else 0.0


def _grow(nodes: Sequence[Node], at: int, depth: int, stop: Stop, kept: list[Node]) -> Node:
    """Append the subtree of a node and return its root as it stands now."""
    node = dict(nodes[at])
    place = node["id"] = len(kept)
    kept.append(node)
    ends, poor = node["leftChild"] < 0, node["gain"] < stop.min_gain
    if depth == 0 and place:
        # MLlib looks for no split here; where it looked and found none it writes -1.
        if node["impurity"] < 0:
            node["impurity"] = impurity_of(node["impurityStats"], stop.impurity)
        return _leaf(node, node["prediction"])
    if ends or poor or depth == 0:
        if poor and not ends:
            node["impurity"] = -1.0
        return _leaf(node, node["prediction"])
    left = _grow(nodes, nodes[at]["leftChild"], depth - 1, stop, kept)
    right = _grow(nodes, nodes[at]["rightChild"], depth - 1, stop, kept)
    both = left["leftChild"] < 0 and right["leftChild"] < 0
    if stop.merge and both and left["prediction"] == right["prediction"]:
        del kept[place + 1 :]
        return _leaf(node, left["prediction"])
    node["leftChild"], node["rightChild"] = left["id"], right["id"]
    return node


def _leaf(node: Node, prediction: float) -> Node:
    node.update(prediction=prediction, gain=-1.0, leftChild=-1, rightChild=-1, split=NO_SPLIT)
    return node


def with_class_counts(nodes: Sequence[Node]) -> list[Node]:
    """Turn a tree grown on 0 and 1 by variance into one that counts classes in every node.

    Variance of 0 and 1 is half of the Gini impurity, so impurities and gains double. Formula:
    with n rows and sum s, p = s / n; variance p(1 - p), Gini 2p(1 - p).
    """
    found = []
    for node in nodes:
        count, total = node["impurityStats"][0], node["impurityStats"][1]
        stats = [count - total, total]
        gain = node["gain"] if node["leftChild"] < 0 else 2 * node["gain"]
        found.append(
            node
            | {
                "impurityStats": stats,
                "impurity": impurity_of(stats, "gini") if node["impurity"] >= 0 else -1.0,
                "gain": gain,
                "prediction": float(stats[1] > stats[0]),
            }
        )
    return found
