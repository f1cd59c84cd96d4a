"""Every metric of the project file: of the model, of a baseline, or the gain of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crisp_spark.evaluation.estimates import (
    Estimate,
    difference,
    undefined,
    wilson,
    with_interval,
)
from crisp_spark.evaluation.formulas import FORMULAS, NO_ROWS
from crisp_spark.evaluation.judging import Judge, answers
from crisp_spark.evaluation.names import IN_USE
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.results.evaluate import MetricValue
from crisp_spark.spec.evaluation import GAIN_SUFFIX, METRICS


def estimate(rows: ScoredRows, judge: Judge, name: str, baseline: str | None = None) -> Estimate:
    """Estimate one metric of the model, or of a baseline."""
    if rows.size == 0:
        return undefined(NO_ROWS)
    return FORMULAS[judge.problem][name](answers(rows, judge, baseline), judge)


_OF_COUNTS: Mapping[str, Callable[[int, int, int, int], tuple[int, int]]] = {
    "accuracy": lambda tp, fp, fn, tn: (tp + tn, tp + fp + fn + tn),
    "precision": lambda tp, fp, _fn, _tn: (tp, tp + fp),
    "recall": lambda tp, _fp, fn, _tn: (tp, tp + fn),
    "specificity": lambda _tp, fp, _fn, tn: (tn, fp + tn),
    "false_positive_rate": lambda _tp, fp, _fn, tn: (fp, fp + tn),
    "alert_rate": lambda tp, fp, fn, tn: (tp + fp, tp + fp + fn + tn),
}


def measure(rows: ScoredRows, judge: Judge, name: str) -> MetricValue:
    """Measure one metric, or ``<metric>_gain`` over the best baseline, with its interval."""
    plain = name.removesuffix(GAIN_SUFFIX)
    if name.endswith(GAIN_SUFFIX) and plain in METRICS[judge.problem]:
        return _gain(rows, judge, plain)
    if rows.counts is not None and name in _OF_COUNTS:
        hits, support = _OF_COUNTS[name](*rows.counts)
        if support:
            low, high = wilson(hits, support, judge.confidence)
            share = hits / support
            return MetricValue(
                name=name, value=share, low=low, high=high, support=support, method="wilson"
            )
    return with_interval(name, estimate(rows, judge, name), judge.confidence)


def oriented(problem: str, name: str, found: Estimate) -> Estimate:
    """Turn an estimate so that more is better (``bias`` counts by its distance from 0)."""
    if found.value is None:
        return found
    if name == "bias":
        return found.times(-1.0 if found.value > 0 else 1.0)
    return found if METRICS[problem][name].higher_is_better else found.times(-1.0)


def best_baseline(rows: ScoredRows, judge: Judge, name: str) -> str | None:
    """Name of the baseline that does best on these rows, or None where none has the metric."""
    found: list[tuple[float, str]] = []
    for baseline in sorted(set(rows.baselines) - {IN_USE}):
        value = oriented(judge.problem, name, estimate(rows, judge, name, baseline)).value
        if value is not None:
            found.append((value, baseline))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def gain_over(rows: ScoredRows, judge: Judge, name: str, baseline: str) -> MetricValue:
    """Advantage of the model over a baseline on the same rows; positive is better."""
    ours = oriented(judge.problem, name, estimate(rows, judge, name))
    theirs = oriented(judge.problem, name, estimate(rows, judge, name, baseline))
    return difference(name + GAIN_SUFFIX, ours, theirs, judge.confidence)


def _gain(rows: ScoredRows, judge: Judge, plain: str) -> MetricValue:
    baseline = best_baseline(rows, judge, plain) if rows.size else None
    if baseline is None:
        reason = "no baseline has this metric" if rows.size else NO_ROWS
        return MetricValue(name=plain + GAIN_SUFFIX, value=None, reason=reason)
    return gain_over(rows, judge, plain, baseline)
