"""Linear regression for every penalty from the moments of the rows: one pass for a whole grid.

Scales follow MLlib's ``normal`` solver: population standard deviations, and a penalty that is
divided by the label's. A sum of squares needs no more of the rows than their second moments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crisp_spark.modeling.linear.moments import Floats, Moments
from crisp_spark.modeling.linear.penalty import (
    LinearFit,
    Penalty,
    by_intercept,
    penalty_weights,
)
from crisp_spark.modeling.linear.quadratic import Quadratics, has_full_rank, minimise

_ITERATED = "features are constant or repeat one another, and no penalty tells them apart"
_FLAT = 1e-13
"""A variance below this share of the mean square is rounding of a constant."""


def fit_least_squares(
    moments: Moments, penalties: Sequence[Penalty], *, exact: bool = False
) -> list[LinearFit]:
    """Return the model of each penalty.

    Args:
        moments: Of the features and, as the last column, the label.
        penalties: What is asked for.
        exact: Whether to name trouble where MLlib leaves elimination for an iteration that stops
            early: without a penalty, when features repeat one another.
    """
    found: dict[int, LinearFit] = {}
    for intercept, places in by_intercept(penalties):
        chosen = [penalties[at] for at in places]
        fits = _fit(moments, chosen, intercept=intercept, exact=exact)
        found |= zip(places, fits, strict=True)
    return [found[at] for at in range(len(penalties))]


def _fit(
    moments: Moments, penalties: Sequence[Penalty], *, intercept: bool, exact: bool
) -> list[LinearFit]:
    width = moments.mean.size - 1
    spread = _spread(moments)
    scale, label_scale = spread[:width], float(spread[width])
    middle = float(moments.mean[width])
    if label_scale == 0.0:
        # Without an intercept MLlib refuses a penalty here, or fits by other means.
        fine = intercept or middle == 0.0
        trouble = "" if fine else "the label is constant and there is no intercept"
        constant = LinearFit(np.zeros(width), middle if intercept else 0.0, trouble)
        return [constant] * len(penalties)
    second = moments.scatter / moments.weight
    if not intercept:
        second = second + np.outer(moments.mean, moments.mean)
    on = np.flatnonzero(scale > 0)
    unit = scale[on]
    matrix = second[np.ix_(on, on)] / np.outer(unit, unit)
    linear = second[on, width] / (unit * label_scale)
    ridge, l1 = penalty_weights(penalties, unit, label_scale)
    count = len(penalties)
    problem = Quadratics(
        matrix[None], np.zeros(count, dtype=np.intp), ridge, np.tile(linear, (count, 1)), l1
    )
    coefficients = np.zeros((count, width))
    coefficients[:, on] = minimise(problem, np.zeros((count, on.size))) * label_scale / unit
    constants = middle - coefficients @ moments.mean[:width] if intercept else np.zeros(count)
    iterated = set()
    if exact:
        flat = on.size < width
        repeated = flat or not has_full_rank(matrix)
        iterated = {
            at
            for at, penalty in enumerate(penalties)
            if (repeated if penalty.strength == 0 else flat and not penalty.standardization)
        }
    return [
        LinearFit(coefficients[at], float(constants[at]), _ITERATED if at in iterated else "")
        for at in range(count)
    ]


def _spread(moments: Moments) -> Floats:
    """Return population standard deviations; exactly 0 for constants."""
    variance = np.maximum(np.diagonal(moments.scatter), 0.0) / max(moments.weight, 1e-300)
    rounding = _FLAT * (variance + np.square(moments.mean))
    return np.sqrt(np.where(variance > rounding, variance, 0.0))
