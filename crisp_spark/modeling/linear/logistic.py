"""Logistic regression for many penalties at once: proximal Newton over shared passes.

Coefficients of all points form one matrix, so a pass over the rows serves every point: margins,
losses, gradients. Curvatures are shared by points and taken anew only where progress is slow
(Lee, Sun and Saunders, "Proximal Newton-type methods", 2014). The objective is MLlib's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from crisp_spark.modeling.linear.penalty import (
    Floats,
    LinearFit,
    Penalty,
    by_intercept,
    penalty_weights,
)
from crisp_spark.modeling.linear.quadratic import Quadratics, minimise

if TYPE_CHECKING:
    from crisp_spark.modeling.linear.rows import Scale

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

MOST_STEPS = 40
_SLOW = 0.15
"""A step that leaves more than this share of the last one's gain takes a new curvature."""
_ENOUGH = 1e-4
_SHORTEST = 1e-4
_MOST_MARGIN = 14.0
"""Without penalty, margins beyond this mean that classes can be told apart without error."""
_TOLERANCE = 1e-10


class Passes(Protocol):
    """Passes over the rows of a fold; slots are on one scale, the last one is the intercept's."""

    def slopes(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean losses, their gradients and the largest margins of some points.

        Args:
            weights: Shape (points, slots).

        Returns:
            Shapes (points,), (points, slots), (points,).
        """

    def curvatures(self, weights: Floats) -> Floats:
        """Return second derivatives of the mean losses; shape (points, slots, slots)."""


@dataclass(frozen=True)
class Solution:
    """Where the solver stopped.

    Attributes:
        weights: Shape (points, slots).
        trouble: Why a point's minimum was not reached; empty where it was.
        passes: Passes over the rows.
        curvatures: Curvatures that were computed.
    """

    weights: Floats
    trouble: tuple[str, ...]
    passes: int
    curvatures: int


@dataclass
class _State:
    """Points under way."""

    weights: Floats
    loss: Floats
    gradient: Floats
    reach: Floats
    value: Floats
    gain: Floats
    place: Places
    matrices: list[Floats]
    passes: int = 0
    curvatures: int = 0


def fit_logistic(
    scale: Scale, passes: Callable[[bool], Passes], penalties: Sequence[Penalty]
) -> list[LinearFit]:
    """Return the model of each penalty.

    Args:
        scale: Scale of the features, and the share of the positive class.
        passes: Passes over the rows on that scale, with or without an intercept.
        penalties: What is asked for.
    """
    on, width = scale.on, scale.mean.size
    if not 0 < scale.share < 1:
        lone = LinearFit(np.zeros(width), 0.0, "only one class has weight")
        return [lone] * len(penalties)
    odds = float(np.log(scale.share / (1 - scale.share)))
    strengths = sorted({(p.strength, p.standardization) for p in penalties})
    found: dict[int, LinearFit] = {}
    for intercept, places in by_intercept(penalties):
        chosen = [penalties[at] for at in places]
        weights = penalty_weights(chosen, scale.deviation[on])
        if intercept:
            weights = tuple(np.pad(part, ((0, 0), (0, 1))) for part in weights)  # type: ignore[assignment]
        start = np.r_[np.zeros(on.size), odds] if intercept else np.zeros(on.size)
        groups = [strengths.index((p.strength, p.standardization)) for p in chosen]
        solution = solve_logistic(passes(intercept), start, weights, groups)
        for row, at in enumerate(places):
            coefficients = np.zeros(width)
            coefficients[on] = solution.weights[row, : on.size] / scale.deviation[on]
            constant = 0.0
            if intercept:
                constant = float(solution.weights[row, -1] - coefficients @ scale.mean)
            found[at] = LinearFit(coefficients, constant, solution.trouble[row])
    return [found[at] for at in range(len(penalties))]


def solve_logistic(
    passes: Passes, start: Floats, penalties: tuple[Floats, Floats], groups: Sequence[int]
) -> Solution:
    """Minimise mean loss plus penalties for every point.

    Args:
        passes: Rows of the fold.
        start: The same start for all points; shape (slots,).
        penalties: Weights of half the squares and of absolute values; shapes (points, slots).
        groups: Points of one group are near to each other and may share a curvature.
    """
    ridge, l1 = penalties
    count = ridge.shape[0]
    loss, gradient, reach = passes.slopes(start[None])
    state = _State(
        weights=np.tile(start, (count, 1)),
        loss=np.tile(loss, count),
        gradient=np.tile(gradient, (count, 1)),
        reach=np.tile(reach, count),
        value=np.zeros(count),
        gain=np.full(count, np.inf),
        place=np.zeros(count, dtype=np.intp),
        matrices=list(passes.curvatures(start[None])),
        passes=1,
        curvatures=1,
    )
    state.value = state.loss + _penalty(state.weights, ridge, l1)
    converged = np.zeros(count, dtype=np.bool_)
    slow = np.zeros(count, dtype=np.bool_)
    for _ in range(MOST_STEPS):
        live = np.flatnonzero(~converged)
        if not live.size:
            break
        _renew(passes, state, live[slow[live]], groups)
        target, gain = _model_step(state, live, ridge, l1)
        small = gain <= _TOLERANCE * np.maximum(1.0, np.abs(state.value[live]))
        converged[live[small]] = True
        moving = live[~small]
        moved = _search(passes, state, moving, target[~small], (ridge, l1))
        slow[:] = False
        slow[moving] = ~moved | (gain[~small] > _SLOW * state.gain[moving])
        state.gain[moving] = gain[~small]
    free = ~(ridge.any(axis=1) | l1.any(axis=1))
    apart = free & (state.reach > _MOST_MARGIN)
    trouble = tuple(
        "classes are told apart without error, and there is no penalty"
        if apart[at]
        else ("" if converged[at] else f"no minimum after {MOST_STEPS} steps")
        for at in range(count)
    )
    return Solution(state.weights, trouble, state.passes, state.curvatures)


def _penalty(weights: Floats, ridge: Floats, l1: Floats) -> Floats:
    found: Floats = (0.5 * ridge * np.square(weights) + l1 * np.abs(weights)).sum(axis=1)
    return found


def _renew(passes: Passes, state: _State, slow: Places, groups: Sequence[int]) -> None:
    """Give slow points a curvature where they stand: one for a group, then one of their own."""
    shared: dict[int, list[int]] = {}
    for at in slow:
        first = state.place[at] == 0
        # Negative keys are points on their own.
        shared.setdefault(groups[at] if first else -1 - int(at), []).append(int(at))
    if not shared:
        return
    chosen = [members[len(members) // 2] for members in shared.values()]
    found = passes.curvatures(state.weights[chosen])
    state.passes += 1
    state.curvatures += len(chosen)
    for members, matrix in zip(shared.values(), found, strict=True):
        own = int(state.place[members[0]])
        if own and sum(state.place == own) == 1:
            state.matrices[own] = matrix
            continue
        state.matrices.append(matrix)
        state.place[members] = len(state.matrices) - 1


def _model_step(state: _State, live: Places, ridge: Floats, l1: Floats) -> tuple[Floats, Floats]:
    """Return the minimum of each point's quadratic model, and what the model gains there."""
    weights, used = state.weights[live], np.unique(state.place[live])
    matrices = np.stack([state.matrices[at] for at in used])
    place = np.searchsorted(used, state.place[live])
    bare = Quadratics(matrices, place, np.zeros_like(weights), weights, l1[live])
    linear = bare.product(weights) - state.gradient[live]
    problem = Quadratics(matrices, place, ridge[live], linear, l1[live])
    target = minimise(problem, weights)
    step = target - weights
    change = (state.gradient[live] * step).sum(axis=1) + 0.5 * (bare.product(step) * step).sum(
        axis=1
    )
    change += _penalty(target, ridge[live], l1[live]) - _penalty(weights, ridge[live], l1[live])
    return target, -change


def _search(
    passes: Passes, state: _State, moving: Places, target: Floats, penalties: tuple[Floats, Floats]
) -> Flags:
    """Go to the targets, or part of the way where that does not lower the objective enough.

    Returns:
        Which points took the whole step.
    """
    ridge, l1 = penalties[0][moving], penalties[1][moving]
    base, share = state.weights[moving].copy(), np.ones(moving.size)
    slope = (state.gradient[moving] * (target - base)).sum(axis=1)
    slope += _penalty(target, ridge, l1) - _penalty(base, ridge, l1)
    waiting = np.arange(moving.size)
    while waiting.size:
        tried = base[waiting] + share[waiting, None] * (target[waiting] - base[waiting])
        loss, gradient, reach = passes.slopes(tried)
        state.passes += 1
        value = loss + _penalty(tried, ridge[waiting], l1[waiting])
        bound = state.value[moving[waiting]] + _ENOUGH * share[waiting] * slope[waiting]
        good = value <= bound + 1e-14
        done = moving[waiting[good]]
        state.weights[done], state.loss[done] = tried[good], loss[good]
        state.gradient[done], state.reach[done] = gradient[good], reach[good]
        state.value[done] = value[good]
        share[waiting[~good]] /= 2
        waiting = waiting[~good & (share[waiting] >= _SHORTEST)]
    whole: Flags = share == 1.0
    return whole
