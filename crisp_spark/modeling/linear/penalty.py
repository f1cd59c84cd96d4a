"""What linear learners are asked for, and what they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Penalty:
    """One point of a grid of linear learners; the defaults are MLlib's.

    Attributes:
        strength: Overall penalty (``regParam``).
        mixture: Share of the absolute penalty, 0 to 1 (``elasticNetParam``).
        standardization: Whether the penalty is laid on features of unit variance.
        intercept: Whether there is an intercept.
    """

    strength: float = 0.0
    mixture: float = 0.0
    standardization: bool = True
    intercept: bool = True

    @staticmethod
    def of(params: Mapping[str, Any]) -> Penalty:
        """Read hyperparameters, named as in MLlib."""
        return Penalty(
            float(params.get("regParam", 0.0)),
            float(params.get("elasticNetParam", 0.0)),
            bool(params.get("standardization", True)),
            bool(params.get("fitIntercept", True)),
        )

    @property
    def l1(self) -> float:
        """Weight of the absolute values."""
        return self.strength * self.mixture

    @property
    def l2(self) -> float:
        """Weight of half the squares."""
        return self.strength * (1 - self.mixture)


def penalty_weights(
    penalties: Sequence[Penalty], scale: Floats, label_scale: float = 1.0
) -> tuple[Floats, Floats]:
    """Return the weights of squares and absolute values on features of unit variance.

    Without standardization the penalty is laid on the features' own scale: what it weighs on
    standardized ones follows from ``b = scale * coefficient``.

    Args:
        penalties: What is asked for.
        scale: Standard deviation of each feature, above 0; shape (slots,).
        label_scale: Standard deviation of the label, which a penalty is divided by.

    Returns:
        Two arrays of shape (penalties, slots).
    """
    ridge, l1 = np.empty((len(penalties), scale.size)), np.empty((len(penalties), scale.size))
    for at, penalty in enumerate(penalties):
        own = np.ones_like(scale) if penalty.standardization else 1 / scale
        ridge[at] = penalty.l2 / label_scale * np.square(own)
        l1[at] = penalty.l1 / label_scale * own
    return ridge, l1


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear model on the features' own scale.

    Attributes:
        coefficients: Shape (slots,).
        intercept: 0 where there is none.
        trouble: Why the minimum was not reached; empty where it was.
    """

    coefficients: Floats
    intercept: float
    trouble: str = ""


def by_intercept(
    penalties: Sequence[Penalty],
) -> list[tuple[bool, list[int]]]:
    """Return the places of penalties with an intercept, and of those without one."""
    found = [
        (kind, [at for at, p in enumerate(penalties) if p.intercept is kind])
        for kind in (True, False)
    ]
    return [(kind, places) for kind, places in found if places]
