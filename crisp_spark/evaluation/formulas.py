"""The formula of every metric, with its influence function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np

from crisp_spark.evaluation.estimates import (
    Estimate,
    Floats,
    mean_of,
    ratio_of,
    share_of,
    undefined,
)
from crisp_spark.evaluation.judging import Answers, Judge, row_values
from crisp_spark.evaluation.lists import ndcg_at_k, precision_at_k
from crisp_spark.evaluation.ranks import average_precision, roc_auc

NO_ROWS = "no labelled rows"
_NO_PROBABILITIES = "scores are an order, not probabilities"
_TINY = float(np.finfo(np.float64).eps)


def _log_loss(a: Answers, judge: Judge) -> Estimate:
    if a.of_model and not judge.probabilities:
        return undefined(_NO_PROBABILITIES)
    score = np.clip(a.score, _TINY, 1 - _TINY)
    return mean_of(-np.where(a.positive, np.log(score), np.log1p(-score)).astype(np.float64))


def _brier(a: Answers, judge: Judge) -> Estimate:
    if a.of_model and not judge.probabilities:
        return undefined(_NO_PROBABILITIES)
    return mean_of(np.square(a.score - a.label))


def _money(a: Answers, judge: Judge) -> Estimate:
    if judge.values is None or not judge.values.per_outcome:
        return undefined("business.outcome_values gives no tp, fp, fn, tn")
    return mean_of(row_values(a.positive, a.alert, judge.values))


def _total(estimate: Estimate, a: Answers) -> Estimate:
    return estimate.times(a.rows.labelled_rows)


def _f1(a: Answers) -> Estimate:
    hits = (a.positive & a.alert).astype(np.float64)
    seen = a.positive.astype(np.float64) + a.alert
    return ratio_of(2 * hits, seen, empty="no positives and no alerts")


Metric = Callable[[Answers, Judge], Estimate]

_BINARY: Mapping[str, Metric] = {
    "accuracy": lambda a, _: share_of(
        a.positive == a.alert, np.ones(a.label.size, dtype=np.bool_), empty=NO_ROWS
    ),
    "precision": lambda a, _: share_of(a.positive & a.alert, a.alert, empty="no alerts"),
    "recall": lambda a, _: share_of(a.positive & a.alert, a.positive, empty="no positives"),
    "f1": lambda a, _: _f1(a),
    "specificity": lambda a, _: share_of(~a.positive & ~a.alert, ~a.positive, empty="no negatives"),
    "false_positive_rate": lambda a, _: share_of(
        ~a.positive & a.alert, ~a.positive, empty="no negatives"
    ),
    "alert_rate": lambda a, _: share_of(
        a.alert, np.ones(a.label.size, dtype=np.bool_), empty=NO_ROWS
    ),
    "roc_auc": lambda a, _: roc_auc(a.label, a.score),
    "pr_auc": lambda a, _: average_precision(a.label, a.score),
    "log_loss": _log_loss,
    "brier": _brier,
    "net_value": lambda a, judge: _total(_money(a, judge), a),
    "value_per_row": _money,
}


def _class_shares(a: Answers, judge: Judge, what: str) -> Estimate:
    """Mean over the classes that occur of precision, recall or F1 (0 where undefined)."""
    if a.label.size == 0:
        return undefined(NO_ROWS)
    parts = []
    for index in range(judge.class_count):
        truth, said = a.label == index, a.prediction == index
        if not truth.any() and not said.any():
            continue
        top = (truth & said).astype(np.float64)
        bottom = {"precision": said * 1.0, "recall": truth * 1.0, "f1": (truth * 0.5 + said * 0.5)}
        part = ratio_of(top, bottom[what], empty="")
        parts.append(part if part.value is not None else Estimate(0.0, np.zeros(a.label.size)))
    value = float(np.mean([part.value for part in parts if part.value is not None]))
    influence = np.mean([part.influence for part in parts if part.influence is not None], axis=0)
    return Estimate(value, influence, int(a.label.size), scale="unit")


def _class_log_loss(a: Answers) -> Estimate:
    if not a.of_model or a.rows.row_loss is None:
        return undefined("no probabilities")
    return mean_of(a.rows.row_loss)


_MULTICLASS: Mapping[str, Metric] = {
    "accuracy": lambda a, _: share_of(
        a.label == a.prediction, np.ones(a.label.size, dtype=np.bool_), empty=NO_ROWS
    ),
    "macro_f1": lambda a, judge: _class_shares(a, judge, "f1"),
    "macro_precision": lambda a, judge: _class_shares(a, judge, "precision"),
    "macro_recall": lambda a, judge: _class_shares(a, judge, "recall"),
    "log_loss": lambda a, _: _class_log_loss(a),
}


def _errors(a: Answers) -> Floats:
    return a.prediction - a.label


def _rmse(a: Answers) -> Estimate:
    squared = mean_of(np.square(_errors(a)))
    if squared.value is None or squared.influence is None:
        return squared
    root = sqrt(squared.value)
    slope = 1 / (2 * root) if root else 0.0
    return Estimate(root, squared.influence * slope, squared.support)


def _r2(a: Answers) -> Estimate:
    if a.label.size == 0:
        return undefined(NO_ROWS)
    # The mean's own uncertainty is of second order: it minimises the sum in the denominator.
    spread = np.square(a.label - a.label.mean())
    left = ratio_of(np.square(_errors(a)), spread, empty="the target is constant")
    if left.value is None or left.influence is None:
        return left
    return Estimate(1 - left.value, -left.influence, left.support)


def _mape(a: Answers) -> Estimate:
    usable = a.label != 0
    if not usable.any():
        return undefined("every target is 0" if a.label.size else NO_ROWS)
    share = np.zeros(a.label.size)
    share[usable] = np.abs(_errors(a)[usable] / a.label[usable])
    part = ratio_of(share, usable.astype(np.float64), empty=NO_ROWS)
    return Estimate(part.value, part.influence, int(usable.sum()))


def _cost(a: Answers, judge: Judge) -> Estimate:
    if judge.values is None or judge.values.cost_per_unit_error is None:
        return undefined("business.outcome_values gives no cost_per_unit_error")
    return mean_of(np.abs(_errors(a)) * judge.values.cost_per_unit_error)


_REGRESSION: Mapping[str, Metric] = {
    "rmse": lambda a, _: _rmse(a),
    "mae": lambda a, _: mean_of(np.abs(_errors(a))),
    "r2": lambda a, _: _r2(a),
    "mape": lambda a, _: _mape(a),
    "bias": lambda a, _: mean_of(_errors(a)),
    "cost": lambda a, judge: _total(_cost(a, judge), a),
    "cost_per_row": _cost,
}


def _cluster(values: Floats | None) -> Estimate:
    return undefined("no features") if values is None else mean_of(values)


_CLUSTERING: Mapping[str, Metric] = {
    "silhouette": lambda a, _: _cluster(a.rows.silhouette),
    "within_ss": lambda a, _: _total(_cluster(a.rows.row_loss), a),
}

_RECOMMENDATION: Mapping[str, Metric] = {
    "rmse": lambda a, _: _rmse(a),
    "mae": lambda a, _: mean_of(np.abs(_errors(a))),
    "precision_at_k": lambda a, judge: precision_at_k(
        a.rows.user, a.label, a.score, k=judge.top_k, relevant_from=judge.relevant_from
    ),
    "ndcg_at_k": lambda a, judge: ndcg_at_k(
        a.rows.user, a.label, a.score, k=judge.top_k, relevant_from=judge.relevant_from
    ),
}

FORMULAS: Mapping[str, Mapping[str, Metric]] = {
    "binary": _BINARY,
    "multiclass": _MULTICLASS,
    "regression": _REGRESSION,
    "clustering": _CLUSTERING,
    "recommendation": _RECOMMENDATION,
}
"""Problem -> metric -> formula."""
