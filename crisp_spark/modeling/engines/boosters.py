"""LightGBM and XGBoost inside a Spark task: boost, and hand the trees over as plain arrays.

A split is ``value <= threshold`` in double precision, as MLlib asks it. LightGBM asks the same
where no value is missing, which assembled vectors guarantee, once values next to 0 are taken for 0:
the threshold just below 0 moves down by one double. XGBoost asks ``float32(value) <
float32(threshold)``: the largest double that answers yes takes the threshold's place, so no value
goes another way.

This module runs inside Spark tasks: it imports nothing of Spark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_LEAST_CHANCE = 1e-6
_CATEGORICAL = 1
_NEXT_TO_ZERO = float(np.float32(1e-35))
_BEYOND_FLOAT32 = -(2.0**128)
_CAPITAL = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True)
class FlatTree:
    """A tree as arrays over its nodes; node 0 is the root.

    Attributes:
        slot: Slot that is split; -1 in a leaf.
        threshold: Values up to it go left.
        left: Left child; -1 in a leaf.
        right: Right child; -1 in a leaf.
        value: Prediction of a leaf; 0 elsewhere.
        gain: What the split gained, in the library's own measure; 0 in a leaf.
        weight: Rows of a leaf, or what the library counts in their place; 0 elsewhere.
    """

    slot: Places
    threshold: Floats
    left: Places
    right: Places
    value: Floats
    gain: Floats
    weight: Floats


@dataclass(frozen=True)
class Table:
    """Rows to fit on.

    Attributes:
        x: Features; shape (rows, slots).
        y: Label; shape (rows,).
        w: Weights; shape (rows,); None where rows have none.
    """

    x: Floats
    y: Floats
    w: Floats | None


@dataclass(frozen=True)
class Order:
    """What is to be grown.

    Attributes:
        kind: lightgbm or xgboost.
        problem: binary, multiclass or regression.
        params: Hyperparameters as the project names them.
        class_count: Number of classes.
        seed: Seed, where none is among ``params``.
    """

    kind: str
    problem: str
    params: Mapping[str, Any]
    class_count: int
    seed: int


def boost(order: Order, table: Table) -> list[list[FlatTree]]:
    """Grow one list of trees; for several classes one per class, each against the rest.

    The sum of a list's trees is the prediction, or the log odds of the class.

    Raises:
        ValueError: The library refuses rows or hyperparameters.
        ModuleNotFoundError: The library is not installed where this runs.
    """
    grow = {"lightgbm": _lightgbm, "xgboost": _xgboost}[order.kind]
    if order.problem != "multiclass":
        return grow(order, table, [table.y])
    return grow(order, table, [(table.y == at).astype(float) for at in range(order.class_count)])


def native(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters under the library's own names: ``numLeaves`` is ``num_leaves``."""
    return {_CAPITAL.sub("_", name).lower(): value for name, value in params.items()}


def _lightgbm(order: Order, table: Table, labels: Sequence[Floats]) -> list[list[FlatTree]]:
    import lightgbm

    own: dict[str, Any] = {
        "objective": "regression" if order.problem == "regression" else "binary",
        "seed": order.seed,
        **native(order.params),
        "use_missing": False,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    rounds = own.pop("num_iterations", 100)
    found = []
    try:
        data = lightgbm.Dataset(
            table.x, label=labels[0], weight=table.w, params=own, free_raw_data=False
        )
        for label in labels:
            data.set_label(label)
            booster = lightgbm.train(own, data, num_boost_round=rounds)
            found.append(lightgbm_trees(booster.model_to_string()))
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from error
    return found


def lightgbm_trees(text: str) -> list[FlatTree]:
    """Return the trees of a saved LightGBM model.

    Raises:
        ValueError: A split is by categories.
    """
    body, _, _ = text.partition("end of trees")
    return [_lightgbm_tree(part) for part in body.split("\nTree=")[1:]]


def _lightgbm_tree(text: str) -> FlatTree:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def numbers(name: str) -> Floats:
        return np.array(fields[name].split(), dtype=np.float64)

    kinds = numbers("decision_type").astype(np.int64)
    if (kinds & _CATEGORICAL).any():
        raise ValueError("lightgbm: splits by categories have no threshold")
    inner, values, cut = kinds.size, numbers("leaf_value"), numbers("threshold")
    cut = np.where(cut == -_NEXT_TO_ZERO, np.nextafter(cut, -np.inf), cut)
    none, leaves = np.full(values.size, -1), np.zeros(values.size)

    def children(name: str) -> Places:
        # A leaf is written as the complement of its number; here leaves follow the inner nodes.
        side = numbers(name).astype(np.int64)
        return np.concatenate([np.where(side < 0, inner + ~side, side), none])

    return FlatTree(
        slot=np.concatenate([numbers("split_feature").astype(np.int64), none]),
        threshold=np.concatenate([cut, leaves]),
        left=children("left_child"),
        right=children("right_child"),
        value=np.concatenate([np.zeros(inner), values]),
        gain=np.concatenate([numbers("split_gain"), leaves]),
        weight=np.concatenate([np.zeros(inner), numbers("leaf_count")]),
    )


def _xgboost(order: Order, table: Table, labels: Sequence[Floats]) -> list[list[FlatTree]]:
    import xgboost

    numbers = order.problem == "regression"
    own: dict[str, Any] = {
        "objective": "reg:squarederror" if numbers else "binary:logistic",
        "seed": order.seed,
        **native(order.params),
        "nthread": 1,
        "verbosity": 0,
    }
    rounds = own.pop("num_round", 100)
    found = []
    data = xgboost.DMatrix(table.x, label=labels[0], weight=table.w)
    for label in labels:
        data.set_label(label)
        start, margin = _start(own["objective"], label, table.w)
        booster = xgboost.train({**own, "base_score": start}, data, num_boost_round=rounds)
        trees = xgboost_trees(booster.save_raw("json").decode())
        found.append([_raised(trees[0], margin), *trees[1:]])
    return found


def _start(objective: str, label: Floats, weights: Floats | None) -> tuple[float, float]:
    """Return what boosting starts from, as XGBoost is told it and on the scale of the trees."""
    if objective == "reg:squarederror":
        mean = float(np.float32(np.average(label, weights=weights)))
        return mean, mean
    if objective != "binary:logistic":
        middle = float(np.float32(np.median(label)))
        return middle, middle
    chance = np.clip(np.average(label, weights=weights), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    told = float(np.float32(chance))
    return told, float(np.log(told / (1 - told)))


def _raised(tree: FlatTree, by: float) -> FlatTree:
    return replace(tree, value=np.where(tree.left < 0, tree.value + by, tree.value))


def xgboost_trees(text: str) -> list[FlatTree]:
    """Return the trees of a saved XGBoost model (JSON), without its base score.

    Raises:
        ValueError: A split is by categories.
    """
    model = json.loads(text)["learner"]["gradient_booster"]["model"]
    return [_xgboost_tree(tree) for tree in model["trees"]]


def _xgboost_tree(tree: Mapping[str, Any]) -> FlatTree:
    if any(tree.get("split_type", ())):
        raise ValueError("xgboost: splits by categories have no threshold")
    left = np.array(tree["left_children"], dtype=np.int64)
    cut = np.array(tree["split_conditions"], dtype=np.float32)
    leaf = left < 0
    return FlatTree(
        slot=np.where(leaf, -1, np.array(tree["split_indices"], dtype=np.int64)),
        threshold=np.where(leaf, 0.0, last_below(cut)),
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        value=np.where(leaf, cut.astype(np.float64), 0.0),
        gain=np.where(leaf, 0.0, np.array(tree["loss_changes"], dtype=np.float64)),
        weight=np.where(leaf, np.array(tree["sum_hessian"], dtype=np.float64), 0.0),
    )


def last_below(cut: NDArray[np.float32]) -> Floats:
    """Return the largest doubles that are below ``cut`` once they are rounded to float32.

    Between the float32 before and ``cut`` itself values round to the nearer one; the middle goes
    to the one whose last bit is 0.
    """
    with np.errstate(over="ignore"):
        before = np.nextafter(cut, np.float32(-np.inf), dtype=np.float32).astype(np.float64)
        # Rounding takes the place after the last finite number for infinity.
        middle = (np.maximum(before, _BEYOND_FLOAT32) + cut.astype(np.float64)) / 2
        goes_up = middle.astype(np.float32) >= cut
    return np.where(goes_up, np.nextafter(middle, -np.inf), middle)
