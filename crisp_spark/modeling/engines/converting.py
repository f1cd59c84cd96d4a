"""Boosted trees of LightGBM and XGBoost as MLlib's own models.

Two classes: MLlib makes a probability of twice the margin, so trees weigh a half. Several classes:
one model per class against the rest, whose margins are compared as they are, so trees weigh 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.ml.classification import OneVsRestModel

from crisp_spark.errors import ModelError
from crisp_spark.modeling.engines.boosters import FlatTree, Order
from crisp_spark.modeling.engines.memory import task_megabytes
from crisp_spark.modeling.engines.nodes import NO_SPLIT, Node, build_model, impurity_of, prefix
from crisp_spark.modeling.engines.onetask import boost_in_one_task
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.spec.estimators import estimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

    from crisp_spark.spec.estimators import EstimatorInfo

_BYTES_PER_VALUE = {"lightgbm": 24, "xgboost": 36}
"""Bytes of a value in the task at its peak: as it comes, as a table, and in the library."""
_BYTES_PER_ROW = 96


def check_room(info: EstimatorInfo, rows: int, slots: int, task_mb: float) -> None:
    """Refuse a table that does not fit one task.

    Args:
        info: Entry of the learner.
        rows: Rows of the table.
        slots: Length of the feature vector.
        task_mb: Memory of a task, MiB.

    Raises:
        ModelError: It does not fit.
    """
    needed = rows * (slots * _BYTES_PER_VALUE[info.kind] + _BYTES_PER_ROW) / 2**20
    if needed > task_mb:
        raise ModelError(
            f"modeling: {info.title} fits in one task: {rows} rows of {slots} features need "
            f"{needed:.0f} MiB, got {task_mb:.0f} MiB a task",
            hint="more memory a task (spark.executor.memoryOverhead, fewer spark.executor.cores), "
            "fewer features, or gradient_boosting, which Spark divides among tasks",
        )


def fit_by_library(
    info: EstimatorInfo,
    params: Mapping[str, Any],
    context: BuildContext,
    train: DataFrame,
    rows: int,
) -> Any:
    """Boost by a library in one task, and return the model as one of MLlib's. Jobs: two.

    Args:
        info: Entry of the learner.
        params: Hyperparameters.
        context: Columns, sizes, seed.
        train: Rows to fit on.
        rows: Number of them.

    Raises:
        ModelError: The table is too large for a task, or the library refuses it.
    """
    check_room(info, rows, context.width, task_megabytes(train.sparkSession))
    order = Order(info.kind, context.problem, params, context.class_count, context.seed)
    found, refusal = boost_in_one_task(train, context.column, order)
    if refusal:
        raise ModelError(f"modeling.{info.kind}: {refusal}")
    if context.problem != "multiclass":
        return _model(found[0], context, 0.5 if context.problem == "binary" else 1.0)
    several: Any = build_estimator(
        estimator("one_vs_rest", "multiclass"), {}, replace(context, base="gradient_boosting")
    )
    two = replace(context, problem="binary")
    models = [_model(trees, two, 1.0) for trees in found]
    return several._copyValues(OneVsRestModel(models))  # noqa: SLF001


def first_trees(model: Any, count: int) -> Any:
    """Return the model of fewer iterations that a boosted one holds."""
    if isinstance(model, OneVsRestModel):
        parts = [first_trees(part, count) for part in model.models]
        return model._copyValues(OneVsRestModel(parts))  # noqa: SLF001
    found = prefix(model, model, count)
    found.set(found.getParam("maxIter"), min(count, len(model.trees)))
    return found


def _model(trees: Sequence[FlatTree], context: BuildContext, weight: float) -> Any:
    learner = build_estimator(
        estimator("gradient_boosting", context.problem), {"maxIter": len(trees)}, context
    )
    classes = context.problem == "binary"
    return build_model(
        learner,
        "GBTClassificationModel" if classes else "GBTRegressionModel",
        [nodes_of(tree) for tree in trees],
        slots=context.width,
        weights=[weight] * len(trees),
    )


def nodes_of(tree: FlatTree) -> list[Node]:
    """Return a tree as MLlib saves it: root, left subtree, right subtree.

    Statistics are those of the leaves' predictions; a gain is per row, as MLlib multiplies it by
    the rows, so importances are sums of the library's gains.
    """
    found, places = list[Node](), list[int]()
    waiting = [(0, -1, "")]
    while waiting:
        at, parent, side = waiting.pop()
        place = len(found)
        found.append({"id": place, "leftChild": -1, "rightChild": -1})
        places.append(at)
        if parent >= 0:
            found[parent][side] = place
        if tree.left[at] >= 0:
            waiting += [
                (int(tree.right[at]), place, "rightChild"),
                (int(tree.left[at]), place, "leftChild"),
            ]
    # Children stand behind their parents.
    for node, at in zip(reversed(found), reversed(places), strict=True):
        _fill(node, at, tree, found)
    return found


def _fill(node: Node, at: int, tree: FlatTree, nodes: Sequence[Node]) -> None:
    if node["leftChild"] < 0:
        value, weight = float(tree.value[at]), float(tree.weight[at])
        stats, split, gain = [weight, weight * value, weight * value * value], NO_SPLIT, -1.0
    else:
        sides = [nodes[node[side]] for side in ("leftChild", "rightChild")]
        stats = [sum(parts) for parts in zip(*(s["impurityStats"] for s in sides), strict=True)]
        weight = stats[0]
        value = stats[1] / weight if weight else 0.0
        gain = float(tree.gain[at]) / weight if weight else 0.0
        split = {
            "featureIndex": int(tree.slot[at]),
            "leftCategoriesOrThreshold": [float(tree.threshold[at])],
            "numCategories": -1,
        }
    node.update(
        prediction=value,
        impurity=max(impurity_of(stats, "variance"), 0.0),
        impurityStats=stats,
        rawCount=round(weight),
        gain=gain,
        split=split,
    )
