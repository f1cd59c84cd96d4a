"""Minimises quadratics with absolute penalties, many at once, over shared matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PIVOT = 1e-6
"""A Cholesky factor whose pivots differ more than this is of a matrix without full rank."""
_RANK = 1e-11
"""Eigenvalues below this share of the largest one count as 0."""
_SWEEPS = 5
_ROUNDS = 80
_SETTLED = 1e-12
_SLACK = 1e-9


@dataclass(frozen=True)
class Quadratics:
    """Minimise ``b (H + diag(ridge)) b / 2 - linear b + sum(l1 |b|)`` for each of some points.

    Attributes:
        matrices: Symmetric, positive semidefinite; shape (matrices, slots, slots).
        place: Matrix of each point; shape (points,).
        ridge: Added to the diagonal; shape (points, slots).
        linear: Shape (points, slots).
        l1: Weight of the absolute value, 0 or more; shape (points, slots).
    """

    matrices: Floats
    place: NDArray[np.intp]
    ridge: Floats
    linear: Floats
    l1: Floats

    def product(self, b: Floats) -> Floats:
        """Return ``(H + diag(ridge)) b`` for each point; shape (points, slots)."""
        found = self.ridge * b
        for at in np.unique(self.place):
            chosen = self.place == at
            found[chosen] += b[chosen] @ self.matrices[at]
        return found

    def at(self, chosen: NDArray[np.intp]) -> Quadratics:
        """Return some of the points."""
        return Quadratics(
            self.matrices,
            self.place[chosen],
            self.ridge[chosen],
            self.linear[chosen],
            self.l1[chosen],
        )


def has_full_rank(matrix: Floats) -> bool:
    """Say whether a symmetric, positive semidefinite matrix can be inverted safely."""
    if not matrix.size:
        return True
    try:
        pivots = np.diagonal(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > _PIVOT * pivots.max())


def solve(matrix: Floats, right: Floats) -> Floats:
    """Return the solution of smallest length of a symmetric, positive semidefinite system.

    Args:
        matrix: Shape (slots, slots).
        right: Shape (slots,).
    """
    if not right.size:
        return right
    if has_full_rank(matrix):
        return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    values, vectors = np.linalg.eigh(matrix)
    kept = values > _RANK * max(float(values[-1]), 0.0)
    coordinates = vectors[:, kept].T @ right / values[kept]
    return np.asarray(vectors[:, kept] @ coordinates, dtype=np.float64)


def minimise(problem: Quadratics, start: Floats) -> Floats:
    """Return the minimiser of each point; shape (points, slots).

    Without absolute penalties by elimination; with them by coordinate descent over all points at
    once (Friedman, Hastie and Tibshirani, 2010), which finds the signs, and elimination on the
    slots that are not 0, kept where it meets the conditions of a minimum.

    Args:
        problem: Matrices and penalties.
        start: Where descent starts; shape (points, slots).
    """
    found = start.copy()
    rough = problem.l1.any(axis=1)
    for at in np.flatnonzero(~rough):
        matrix = problem.matrices[problem.place[at]] + np.diag(problem.ridge[at])
        found[at] = solve(matrix, problem.linear[at])
    waiting = np.flatnonzero(rough)
    for _ in range(_ROUNDS):
        if not waiting.size:
            break
        part = problem.at(waiting)
        found[waiting], settled = _descend(part, found[waiting])
        exact, met = _polish(part, found[waiting])
        found[waiting[met]] = exact[met]
        waiting = waiting[~met & ~settled]
    return found


def _descend(problem: Quadratics, start: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Take some sweeps of coordinate descent; say which points no longer move."""
    b = start.copy()
    rest = problem.linear - problem.product(b)
    slots = np.arange(b.shape[1])
    size = problem.matrices[problem.place][:, slots, slots] + problem.ridge
    usable = np.where(size > 0, size, 1.0)
    scale = np.maximum(np.abs(problem.linear).max(axis=1), 1e-30)
    still = np.square(_SETTLED * scale)

    def sweep(live: NDArray[np.intp]) -> NDArray[np.bool_]:
        moved = np.zeros(b.shape[0])
        for j in live:
            pull = rest[:, j] + size[:, j] * b[:, j]
            new = np.sign(pull) * np.maximum(np.abs(pull) - problem.l1[:, j], 0) / usable[:, j]
            step = np.where(size[:, j] > 0, new, 0.0) - b[:, j]
            if step.any():
                b[:, j] += step
                rest[:] -= problem.matrices[problem.place, j] * step[:, None]
                rest[:, j] -= problem.ridge[:, j] * step
                np.maximum(moved, size[:, j] * step * step, out=moved)
        return np.asarray(moved <= still, dtype=np.bool_)

    # Most slots are 0 and stay so: between two looks at all of them the others move alone.
    sweep(slots)
    live = np.flatnonzero((b != 0).any(axis=0))
    for _ in range(_SWEEPS):
        if sweep(live).all():
            break
    return b, sweep(slots)


def _polish(problem: Quadratics, b: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Solve for the slots that are not 0, and say where that is a minimum."""
    exact = b.copy()
    met = np.zeros(b.shape[0], dtype=np.bool_)
    for at in range(b.shape[0]):
        on = np.flatnonzero(b[at])
        signs = np.sign(b[at, on])
        matrix = problem.matrices[problem.place[at]][np.ix_(on, on)]
        matrix = matrix + np.diag(problem.ridge[at, on])
        value = solve(matrix, problem.linear[at, on] - problem.l1[at, on] * signs)
        exact[at] = 0.0
        exact[at, on] = value
        # A slot without penalty may change its sign.
        met[at] = bool(((np.sign(value) == signs) | (problem.l1[at, on] == 0)).all())
    rest = problem.linear - problem.product(exact)
    scale = np.maximum(np.abs(problem.linear).max(axis=1), 1e-30)[:, None]
    signed = np.where(exact != 0, rest - problem.l1 * np.sign(exact), 0.0)
    over = np.where(exact == 0, np.abs(rest) - problem.l1, np.abs(signed))
    return exact, met & (over <= _SLACK * scale).all(axis=1)
