"""All linear models of one fold: fitted, scored and measured on rows that are all here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crisp_spark.modeling.linear.blocks import Block, join_blocks
from crisp_spark.modeling.linear.least_squares import fit_least_squares
from crisp_spark.modeling.linear.logistic import fit_logistic
from crisp_spark.modeling.linear.moments import Moments
from crisp_spark.modeling.linear.penalty import Floats, LinearFit, Penalty
from crisp_spark.modeling.linear.rows import RowsInMemory, Scale, Spread
from crisp_spark.modeling.metrics import Metrics, Scored, metrics_of

if TYPE_CHECKING:
    import pyarrow as pa

    from crisp_spark.spec.business import OutcomeValues

Learner = Literal["least_squares", "logistic"]


@dataclass(frozen=True)
class FoldWork:
    """What is fitted on a fold.

    Attributes:
        learner: Linear or logistic regression.
        penalties: Points of the grid.
        exact: Whether a model that MLlib would have found otherwise is none.
        values: What outcomes are worth.
    """

    learner: Learner
    penalties: tuple[Penalty, ...]
    exact: bool = False
    values: OutcomeValues | None = None

    @property
    def problem(self) -> str:
        """Kind of problem, for metrics."""
        return "binary" if self.learner == "logistic" else "regression"


@dataclass(frozen=True)
class FoldFit:
    """What came of a fold.

    Attributes:
        fits: Model of each point.
        metrics: Metrics of each point.
    """

    fits: list[LinearFit]
    metrics: list[Metrics]


def in_task(batches: Iterable[pa.RecordBatch], *, work: FoldWork) -> Iterator[bytes]:
    """Fit and measure a fold that is all in one task."""
    block = join_blocks(batches)
    if block is not None:
        yield pack(fit_block(block, work))


def fit_block(block: Block, work: FoldWork) -> FoldFit:
    """Fit on the rows of a block that are for fitting, and measure on the others."""
    train, kept = block.fitted > 0, block.fitted == 0
    x, label, weight = block.x[train], block.label[train], block.weight[train]
    if work.learner == "least_squares":
        moments = Moments.of(np.column_stack([x, label]), weight)
        fits = fit_least_squares(moments, work.penalties, exact=work.exact)
    else:
        scale = Scale.of(Spread.of(np.column_stack([x, label]), weight))

        def passes(intercept: bool) -> RowsInMemory:
            shares = weight / max(scale.weight, 1e-300)
            return RowsInMemory(scale.apply(x, intercept=intercept), label, shares)

        fits = fit_logistic(scale, passes, work.penalties)
    coefficients, intercepts = matrix(fits)
    scores = block.x[kept] @ coefficients.T + intercepts
    return FoldFit(fits, measure(work, block.label[kept], scores))


def matrix(fits: Sequence[LinearFit]) -> tuple[Floats, Floats]:
    """Return coefficients of shape (models, slots), and intercepts."""
    return np.stack([fit.coefficients for fit in fits]), np.array([fit.intercept for fit in fits])


def measure(work: FoldWork, label: Floats, scores: Floats) -> list[Metrics]:
    """Measure every column of scores."""
    found = []
    for score in np.ascontiguousarray(scores.T):
        if work.learner == "logistic":
            small = np.exp(-np.abs(score))
            chance = np.where(score >= 0, 1.0, small) / (1 + small)
            rows = Scored(label, chance, (chance > 0.5).astype(np.float64))  # noqa: PLR2004
        else:
            rows = Scored(label, score, score)
        found.append(metrics_of(work.problem, rows, values=work.values))
    return found


def pack(fold: FoldFit) -> bytes:
    """Return what came of a fold as bytes."""
    coefficients, intercepts = matrix(fold.fits)
    head = json.dumps(
        {"trouble": [fit.trouble for fit in fold.fits], "metrics": fold.metrics}
    ).encode()
    sizes = np.array([len(head), *coefficients.shape], dtype=np.int64).tobytes()
    return sizes + head + intercepts.tobytes() + coefficients.tobytes()


def unpack(data: bytes) -> FoldFit:
    """Return what bytes of :func:`pack` hold."""
    length, models, slots = (int(n) for n in np.frombuffer(data, np.int64, 3))
    head: dict[str, Any] = json.loads(data[24 : 24 + length])
    flat = np.frombuffer(data[24 + length :], np.float64)
    coefficients = flat[models:].reshape(models, slots)
    fits = [
        LinearFit(coefficients[at], float(flat[at]), head["trouble"][at]) for at in range(models)
    ]
    return FoldFit(fits, head["metrics"])
