"""What a sweep found out beside its winner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart


class ImportanceResult(ResultPart):
    """How much a hyperparameter moved the metric."""

    family: str
    """Name of the family; empty for the choice of the family itself."""
    parameter: str
    """Name of the hyperparameter, or ``family``."""
    share: float
    """Share of the variance of the metric over trials that the hyperparameter explains alone,
    0 to 1, less what as many groups would explain by chance."""
    trials: int
    """Trials that it was computed from."""
    best: str
    """Value, or range of values, with the best mean."""


class FrontierPoint(ResultPart):
    """A trial that no other trial beats in both quality and cost."""

    trial: str
    """Name."""
    metric: float
    """Mean of the metric over the folds."""
    seconds: float
    """Time of the trial."""


class AssumptionResult(ResultPart):
    """An assumption of the winner's technique."""

    name: str
    """What is assumed."""
    verdict: Literal["pass", "warn", "unknown"]
    """Whether it holds."""
    finding: str
    """What was seen."""


class SweepFindings(ResultPart):
    """What a sweep found out beside its winner."""

    importances: list[ImportanceResult] = Field(default=[])
    """What moved the metric, most first within a family."""
    frontier: list[FrontierPoint] = Field(default=[])
    """Trials that none beats in both quality and time, cheapest first."""
    fold_std: float | None = None
    """Median over trials of the standard deviation over folds."""
    seed_std: float | None = None
    """Standard deviation over trials that differ in their seed alone; None without such trials."""
    stability: float | None = None
    """Clustering: mean adjusted Rand index of the clusters that models of different folds see in
    the same rows (1: the same clusters, 0: chance)."""
    assumptions: list[AssumptionResult] = Field(default=[])
    """Assumptions of the winner's technique."""
    next_steps: list[str] = Field(default=[])
    """What to try next, and why."""
