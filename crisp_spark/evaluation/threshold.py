"""Which score is high enough for an alert: money, a metric or a fixed value, within capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from crisp_spark.errors import SpecError
from crisp_spark.evaluation.curves import thinned
from crisp_spark.evaluation.estimates import Flags, Floats
from crisp_spark.evaluation.ranks import score_cells
from crisp_spark.results.evaluate import ThresholdChoice, ThresholdPoint
from crisp_spark.spec.business import OutcomeValues
from crisp_spark.spec.evaluation import ThresholdSpec

_SPREAD_CELLS = 2000
_By = Literal["outcome_values", "metric", "fixed"]


@dataclass(frozen=True)
class Sweep:
    """What every possible threshold gives on some rows; index 0 raises no alert.

    Attributes:
        cuts: Thresholds, falling: half-way between two neighbouring scores, so that rounding of
            a score moves no row over it.
        tp: Positives with an alert.
        fp: Negatives with an alert.
        positives: All positives.
        negatives: All negatives.
    """

    cuts: Floats
    tp: Floats
    fp: Floats
    positives: float
    negatives: float

    @property
    def alert_rate(self) -> Floats:
        """Share of rows with an alert."""
        return (self.tp + self.fp) / (self.positives + self.negatives)

    def metric(self, name: str) -> Floats:
        """Metric at every threshold; 0 where it is undefined."""
        fn, tn = self.positives - self.tp, self.negatives - self.fp
        top, bottom = {
            "accuracy": (self.tp + tn, self.tp + self.fp + fn + tn),
            "precision": (self.tp, self.tp + self.fp),
            "recall": (self.tp, self.tp + fn),
            "f1": (2 * self.tp, 2 * self.tp + self.fp + fn),
            "specificity": (tn, tn + self.fp),
        }[name]
        found: Floats = np.divide(top, bottom, out=np.zeros_like(self.tp), where=bottom > 0)
        return found

    def value_per_row(self, values: OutcomeValues) -> Floats:
        """Money per row at every threshold."""
        money = (
            self.tp * values.tp
            + self.fp * values.fp
            + (self.positives - self.tp) * values.fn
            + (self.negatives - self.fp) * values.tn
        )
        return money / (self.positives + self.negatives)


def sweep_thresholds(label: Floats, score: Floats) -> Sweep:
    """Count outcomes at every threshold that makes a difference.

    Args:
        label: 1.0 positive, 0.0 negative; shape (rows,), at least one row.
        score: Higher is more likely positive; shape (rows,).
    """
    cells = score_cells(label, score)
    between = (cells.scores[:-1] + cells.scores[1:]) / 2
    never = np.nextafter(max(1.0, float(cells.scores[0])), np.inf)
    last = min(0.0, float(cells.scores[-1]))
    return Sweep(
        cuts=np.r_[never, between, last],
        tp=np.r_[0.0, cells.tp],
        fp=np.r_[0.0, cells.fp],
        positives=float(cells.positives.sum()),
        negatives=float(cells.negatives.sum()),
    )


def _best(objective: Floats, allowed: Flags | None = None) -> int:
    """Index of the largest value; among equals the highest threshold, which alerts least."""
    if allowed is not None:
        objective = np.where(allowed, objective, -np.inf)
    return int(np.argmax(objective))


def break_even_score(values: OutcomeValues) -> float | None:
    """Score from which an alert pays, if scores are true probabilities.

    p tp + (1 - p) fp >= p fn + (1 - p) tn  <=>  p >= (tn - fp) / ((tn - fp) + (tp - fn))
    (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001).
    """
    alarm, catch = values.tn - values.fp, values.tp - values.fn
    return alarm / (alarm + catch) if alarm + catch > 0 else None


def resolved_rule(spec: ThresholdSpec, values: OutcomeValues | None) -> _By:
    """Say by what the threshold is chosen, once ``auto`` is resolved.

    Raises:
        SpecError: Outcome values are asked for and not declared.
    """
    declared = values is not None and values.per_outcome
    if spec.by == "auto":
        return "outcome_values" if declared else "metric"
    if spec.by == "outcome_values" and not declared:
        raise SpecError(
            "evaluation.threshold: by: outcome_values, but business.outcome_values gives none",
            hint="declare tp, fp, fn and tn under business.outcome_values, or use by: metric",
        )
    return spec.by


def capacity_share(spec: ThresholdSpec, test_rows: int) -> float | None:
    """Largest share of rows that may get an alert, or None without a limit."""
    if spec.capacity is None:
        return None
    if spec.capacity <= 1:
        return spec.capacity
    return min(1.0, spec.capacity / (spec.capacity_rows or max(test_rows, 1)))


@dataclass(frozen=True)
class ThresholdTask:
    """How to choose a threshold.

    Attributes:
        by: Resolved rule.
        spec: As declared.
        values: What outcomes are worth.
        capacity: Largest share of rows with an alert.
        seed: Seed of the resamples behind the interval.
        resamples: Number of resamples.
        confidence: Confidence of the interval.
        points: Most points of the curve.
    """

    by: _By
    spec: ThresholdSpec
    values: OutcomeValues | None = None
    capacity: float | None = None
    seed: int = 42
    resamples: int = 200
    confidence: float = 0.95
    points: int = 100

    def objective(self, sweep: Sweep) -> Floats:
        """What is maximised, at every threshold."""
        if self.by == "outcome_values" and self.values is not None:
            return sweep.value_per_row(self.values)
        return sweep.metric(self.spec.metric)

    def best_cut(self, sweep: Sweep) -> int:
        """Index of the best threshold within capacity."""
        allowed = None if self.capacity is None else sweep.alert_rate <= self.capacity
        return _best(self.objective(sweep), allowed)


def best_threshold(label: Floats, score: Floats, task: ThresholdTask) -> float:
    """Return the threshold alone; for baselines, which get the same fair choice.

    A rule that says just yes or no (1 or 0) is taken as it is practised.
    """
    if task.by == "fixed" or bool(np.isin(score, (0.0, 1.0)).all()):
        return 0.5
    sweep = sweep_thresholds(label, score)
    return float(sweep.cuts[task.best_cut(sweep)])


def choose_threshold(
    label: Floats, score: Floats, task: ThresholdTask, *, chosen_on: str
) -> ThresholdChoice:
    """Choose the threshold on rows that the final figures are not computed on.

    Args:
        label: 1.0 positive, 0.0 negative; shape (rows,), at least one row.
        score: Out-of-fold scores; shape (rows,).
        task: What to maximise, and the limits.
        chosen_on: Name of the split, for the report.
    """
    sweep = sweep_thresholds(label, score)
    unlimited = binds = low = high = None
    if task.by == "fixed" and task.spec.value is not None:
        value, metric = task.spec.value, ""
    else:
        best, free = task.best_cut(sweep), _best(task.objective(sweep))
        value, unlimited = float(sweep.cuts[best]), float(sweep.cuts[free])
        binds = bool(sweep.alert_rate[free] > sweep.alert_rate[best])
        metric = "value_per_row" if task.by == "outcome_values" else task.spec.metric
        low, high = _spread(label, score, task)
    money = task.values if task.values is not None and task.values.per_outcome else None
    return ThresholdChoice(
        value=value,
        low=low,
        high=high,
        by=task.by,
        metric=metric,
        chosen_on=chosen_on,
        capacity_share=task.capacity,
        capacity_binds=bool(binds),
        unlimited=unlimited,
        break_even=break_even_score(money) if money else None,
        explanation=_explanation(task, value, metric, binds=bool(binds)),
        curve=_curve(sweep, money, task.points),
    )


def _spread(label: Floats, score: Floats, task: ThresholdTask) -> tuple[float, float]:
    """Percentile interval of the best threshold over Poisson resamples of the rows.

    Rows are counted in at most 2000 cells of neighbouring scores; the weight of a cell in a
    resample is Poisson with the count as mean, which is the sum of Poisson(1) weights of its
    rows (Chamandy et al., "Estimating uncertainty for massive data streams", Google, 2012).
    """
    cells = score_cells(label, score)
    group = np.arange(cells.scores.size) * min(_SPREAD_CELLS, cells.scores.size)
    group = group // cells.scores.size
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    positives = np.add.reduceat(cells.positives, starts)
    negatives = np.add.reduceat(cells.negatives, starts)
    lowest = np.r_[cells.scores[starts[1:] - 1], cells.scores[-1]]
    cuts = np.r_[np.nextafter(max(1.0, cells.scores[0]), np.inf), lowest]
    random = np.random.default_rng(task.seed)
    found = []
    for _ in range(task.resamples):
        hit, miss = random.poisson(positives) * 1.0, random.poisson(negatives) * 1.0
        if hit.sum() + miss.sum() == 0:
            continue
        tried = Sweep(
            cuts, np.r_[0.0, hit.cumsum()], np.r_[0.0, miss.cumsum()], hit.sum(), miss.sum()
        )
        found.append(cuts[task.best_cut(tried)])
    tail = (1 - task.confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail], method="nearest")
    return float(low), float(high)


def _explanation(task: ThresholdTask, value: float, metric: str, *, binds: bool) -> str:
    if value > 1:
        return "No threshold pays: the best choice is to raise no alert at all."
    if task.by == "fixed":
        return f"The project fixes the threshold at {value:g}."
    goal = "the money per row" if metric == "value_per_row" else metric
    text = f"A threshold of {value:.4g} gives the largest {goal.removeprefix('the ')}"
    if task.capacity is None:
        return f"{text}."
    text += f" with alerts for at most {task.capacity:.3%} of the rows"
    return f"{text}; without that limit, more alerts would pay." if binds else f"{text}."


def _curve(sweep: Sweep, values: OutcomeValues | None, points: int) -> list[ThresholdPoint]:
    money = None if values is None else sweep.value_per_row(values)
    rate, precision = sweep.alert_rate, sweep.metric("precision")
    recall, f1 = sweep.metric("recall"), sweep.metric("f1")
    # Even steps in the share of alerts: every part of the curve is visible.
    wanted = np.linspace(0, 1, points)
    chosen = np.unique(np.searchsorted(rate, wanted).clip(0, rate.size - 1))
    chosen = chosen[thinned(chosen.size, points)]
    return [
        ThresholdPoint(
            threshold=float(sweep.cuts[i]),
            alert_rate=float(rate[i]),
            precision=float(precision[i]) if rate[i] > 0 else None,
            recall=float(recall[i]) if sweep.positives else None,
            f1=float(f1[i]),
            value_per_row=None if money is None else float(money[i]),
        )
        for i in chosen
    ]
