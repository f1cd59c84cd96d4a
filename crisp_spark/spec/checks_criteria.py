"""Checks of success criteria: metrics that exist, targets that can be reached at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from crisp_spark.spec.business import BusinessSpec, Criterion, OutcomeValues
from crisp_spark.spec.evaluation import GAIN_SUFFIX, MetricInfo, metric_info, metric_names
from crisp_spark.spec.faults import Fault, Place, nearest

_EVERYTHING = (-math.inf, math.inf)
_RANGES = {"r2": (-math.inf, 1.0), "silhouette": (-1.0, 1.0), "brier": (0.0, 1.0)}
_NOT_NEGATIVE = {
    "rmse",
    "mae",
    "mape",
    "log_loss",
    "cost",
    "cost_per_row",
    "within_ss",
}
_EITHER_WAY = {"alert_rate", "bias"}


def metric_range(info: MetricInfo, values: OutcomeValues | None) -> tuple[float, float]:
    """Return the smallest and largest value that a metric can take."""
    name = info.name.removesuffix(GAIN_SUFFIX)
    if name in _RANGES:
        found = _RANGES[name]
    elif name in _NOT_NEGATIVE:
        found = (0.0, math.inf)
    elif info.unit == "share":
        found = (0.0, 1.0)
    elif name == "value_per_row" and values is not None and values.per_outcome:
        outcomes = (values.tp, values.fp, values.fn, values.tn)
        found = (min(outcomes), max(outcomes))
    else:
        return _EVERYTHING
    if info.name == name:
        return found
    width = found[1] - found[0]
    return -width, width


def criterion_faults(business: BusinessSpec, *, has_later: bool) -> Iterator[Fault]:
    """Check the criteria that the program measures.

    Args:
        business: The charter.
        has_later: Whether the split keeps a later period apart.
    """
    for number, criterion in enumerate(business.criteria):
        if criterion.measured_by == "program":
            place: Place = ("business", "criteria", number)
            yield from _criterion(criterion, place, business)
            if criterion.on == "later" and not has_later:
                what = "measured on the later period, but the split keeps none"
                hint = "add preparation.split.later, or measure on: test"
                yield Fault((*place, "on"), what, hint)


def _criterion(criterion: Criterion, place: Place, business: BusinessSpec) -> Iterator[Fault]:
    problem, values = business.mining_goal.problem, business.outcome_values
    info = metric_info(problem, criterion.metric)
    if info is None:
        what = f"no metric of {problem} problems, got {criterion.metric!r}"
        hint = nearest(criterion.metric, metric_names(problem))
        yield Fault((*place, "metric"), what, f"{hint}; or measured_by: person")
        return
    if info.needs == "values" and values is None:
        wanted = "tp, fp, fn and tn" if problem == "binary" else "cost_per_unit_error"
        what = f"{criterion.metric} needs business.outcome_values, which is missing"
        yield Fault((*place, "metric"), what, f"add outcome_values with {wanted}")
    yield from _reachable(criterion, place, metric_range(info, values))
    if (
        criterion.direction == "at_least"
        and not info.higher_is_better
        and criterion.metric not in _EITHER_WAY
    ):
        what = f"{criterion.metric} is better when it is smaller, got at_least"
        yield Fault((*place, "direction"), what, "write direction: at_most")


def _reachable(criterion: Criterion, place: Place, bounds: tuple[float, float]) -> Iterator[Fault]:
    low, high = bounds
    over = criterion.direction == "at_least" and criterion.target > high
    under = criterion.direction == "at_most" and criterion.target < low
    if over or under:
        way = criterion.direction.replace("_", " ")
        what = f"cannot be met: {criterion.metric} {way} {criterion.target:g}"
        hint = f"{criterion.metric} lies between {low:g} and {high:g}"
        yield Fault((*place, "target"), what, hint)
