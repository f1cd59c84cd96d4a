"""Expectation maximisation of a Gaussian mixture, step by step. Runs in Python workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EPSILON = float(np.finfo(np.float64).eps)
_CELLS = 2**20
"""Numbers of a piece of rows."""


@dataclass(frozen=True)
class Components:
    """The components of a mixture.

    Attributes:
        weights: Shares of the rows; shape (components,).
        means: Shape (components, slots).
        covariances: Shape (components, slots, slots).
    """

    weights: Floats
    means: Floats
    covariances: Floats

    @staticmethod
    def start(drawn: Floats, components: int) -> Components:
        """Return the components that MLlib starts with: of equally many drawn rows each.

        Args:
            drawn: Rows drawn at random; shape (components * rows each, slots).
            components: Number of components.
        """
        own = drawn.reshape(components, -1, drawn.shape[1])
        spread = own.var(axis=1)
        return Components(
            np.full(components, 1.0 / components),
            own.mean(axis=1),
            np.array([np.diag(variances) for variances in spread]),
        )


@dataclass(frozen=True)
class Sums:
    """What a step adds up over rows.

    Attributes:
        likelihood: Logarithm of the likelihood.
        weights: Rows of each component, a row counted in parts; shape (components,).
        means: Sums of rows; shape (components, slots).
        squares: Sums of rows' outer products; shape (components, slots, slots).
    """

    likelihood: float
    weights: Floats
    means: Floats
    squares: Floats

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over the rows of both."""
        return Sums(
            self.likelihood + other.likelihood,
            self.weights + other.weights,
            self.means + other.means,
            self.squares + other.squares,
        )

    def components(self) -> Components:
        """Return the components that fit these sums best."""
        means = self.means / self.weights[:, None]
        outer = means[:, :, None] * means[:, None, :]
        squares = self.squares / self.weights[:, None, None] - outer
        # Sums are not symmetric to the last digit, and MLlib's scoring insists.
        squares = (squares + squares.transpose(0, 2, 1)) / 2
        return Components(self.weights / self.weights.sum(), means, squares)


def join(*parts: Floats | float) -> bytes:
    """Return arrays as bytes."""
    return np.concatenate([np.ravel(part) for part in parts]).tobytes()


def cut(content: bytes, components: int, slots: int) -> tuple[Floats, Floats, Floats]:
    """Return the weights, means and squares that :func:`join` wrote."""
    flat = np.frombuffer(content, dtype=np.float64)
    weights, means, squares = np.split(flat, [components, components * (1 + slots)])
    return weights, means.reshape(-1, slots), squares.reshape(-1, slots, slots)


@dataclass(frozen=True)
class Densities:
    """Densities of the components, ready for rows.

    Attributes:
        components: The components.
        roots: Roots of the inverse covariances; shape (slots, directions) each.
        peaks: Logarithms of the densities at the means.
    """

    components: Components
    roots: tuple[Floats, ...]
    peaks: tuple[float, ...]

    @staticmethod
    def of(components: Components) -> Densities:
        """Prepare the densities; directions without variance are left out, as MLlib does.

        Raises:
            ModelError: A covariance is infinite.
        """
        roots, peaks = [], []
        slots = components.means.shape[1]
        for number, covariance in enumerate(components.covariances):
            if not np.isfinite(covariance).all():
                raise _shrunk(number, components)
            values, vectors = np.linalg.eigh(covariance)
            kept = values > _EPSILON * values[-1] * slots
            peak = -0.5 * (slots * np.log(2.0 * np.pi) + np.log(values[kept]).sum())
            roots.append(vectors[:, kept] / np.sqrt(values[kept]))
            peaks.append(float(peak))
        return Densities(components, tuple(roots), tuple(peaks))

    def sums(self, rows: Floats) -> Sums:
        """Return what a step adds up over some rows; shape (rows, slots)."""
        slots = rows.shape[1]
        size = max(1, _CELLS // max(slots, 1))
        total = self._sums(rows[:size])
        for at in range(size, len(rows), size):
            total += self._sums(rows[at : at + size])
        return total

    def _sums(self, rows: Floats) -> Sums:
        found = np.empty((len(rows), len(self.roots)))
        for number, (root, peak) in enumerate(zip(self.roots, self.peaks, strict=True)):
            away = (rows - self.components.means[number]) @ root
            with np.errstate(over="ignore"):  # infinite densities are found by their likelihood
                found[:, number] = np.exp(peak - 0.5 * np.einsum("rs,rs->r", away, away))
        # MLlib adds the least step of a number: a row far from all belongs to all alike.
        found = _EPSILON + self.components.weights * found
        whole = found.sum(axis=1)
        if np.isinf(whole).any():
            nothing = np.zeros_like(self.components.means)
            return Sums(np.inf, nothing[:, 0], nothing, np.zeros_like(self.components.covariances))
        shares = found / whole[:, None]
        squares = np.array([(rows * share[:, None]).T @ rows for share in shares.T])
        return Sums(float(np.log(whole).sum()), shares.sum(axis=0), shares.T @ rows, squares)


def _shrunk(number: int, components: Components) -> ModelError:
    return ModelError(
        f"gaussian_mixture: component {number + 1} of {len(components.weights)} has shrunk to rows "
        "that are all alike, so that its density became infinite",
        hint="ask for fewer components (k), leave out features that hardly vary (rare flags), or "
        "join features first (pca)",
    )


def _not_numbers() -> ModelError:
    return ModelError(
        "gaussian_mixture: a feature holds values that are not numbers",
        hint="clean or impute them before the model",
    )


def fit_mixture(
    start: Components, step: Callable[[Densities], Sums], *, most: int, tolerance: float
) -> Components:
    """Fit a mixture: from the same start MLlib takes the same steps, and ends after as many.

    Args:
        start: The components to start with.
        step: Adds up over all rows what a step needs.
        most: Most steps.
        tolerance: Change of the likelihood's logarithm that is small enough to end.

    Raises:
        ModelError: A feature holds values that are not numbers, or a component's density or
            covariance became infinite. MLlib would go on, and never end.
    """
    found, likelihood, before = start, -np.inf, 0.0
    if not np.isfinite(start.covariances).all():
        raise _not_numbers()
    for _ in range(most):
        if abs(likelihood - before) <= tolerance:
            break
        densities = Densities.of(found)
        sums = step(densities)
        if np.isnan(sums.likelihood):
            raise _not_numbers()
        if np.isinf(sums.likelihood):
            raise _shrunk(int(np.argmax(densities.peaks)), found)
        before, likelihood = likelihood, sums.likelihood
        found = sums.components()
    Densities.of(found)
    return found
