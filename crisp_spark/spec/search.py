"""How the space of hyperparameters is searched, and when the search ends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from crisp_spark.spec.base import SpecModel

SearchKind = Literal["grid", "random", "quasi_random", "tpe", "halving", "hyperband"]

ITERATIONS: dict[str, tuple[str, int]] = {
    "gradient_boosting": ("maxIter", 20),
    "random_forest": ("numTrees", 20),
    "multilayer_perceptron": ("maxIter", 100),
    "factorization_machine": ("maxIter", 100),
    "als": ("maxIter", 10),
    "lightgbm": ("numIterations", 100),
    "xgboost": ("numRound", 100),
}
"""Families that improve with iterations: the hyperparameter that counts them, and its default.
Other families are fitted in full at every rung."""


class Search(SpecModel):
    """How the space of hyperparameters is searched."""

    kind: SearchKind = "grid"
    """Every combination (``grid``); seeded draws (``random``); draws that fill the space evenly
    (``quasi_random``, a scrambled Halton sequence); proposals by what was seen (``tpe``, needs the
    extra ``search``); many started small, the best taken further (``halving``, ``hyperband``)."""
    trials: int = Field(default=20, ge=1)
    """Points of a search that is no grid, over all families together."""
    rows: int | None = Field(default=None, ge=100)
    """Training rows used for the trials (a hash sample); the winner is fitted on all rows."""
    parallelism: int = Field(default=2, ge=1, le=64)
    """Folds of a trial that are fitted at the same time."""
    mode: Literal["exact", "fast"] = "exact"
    """``exact``: every trial comes out as MLlib alone would have it. ``fast``: engines that are
    faster by an order of magnitude and equivalent; the model stays one of MLlib's own classes."""
    finalists: int = Field(default=3, ge=0, le=50)
    """``fast``: as many of the best trials are fitted again by MLlib where an engine's model is
    as good as MLlib's but not the same, until the best one is MLlib's own."""
    resource: Literal["iterations", "rows"] = "iterations"
    """``halving`` and ``hyperband``: what early rungs get less of. Iterations rank boosted trees
    almost perfectly; a sample of rows favours small models and risks more."""
    eta: int = Field(default=4, ge=2, le=16)
    """``halving`` and ``hyperband``: one of so many goes on to the next rung, which gets so many
    times as much."""
    smallest: float = Field(default=0.25, gt=0, lt=1)
    """``halving`` and ``hyperband``: share of the resource at the first rung."""
    batch: int = Field(default=4, ge=1, le=64)
    """``tpe``: points that are proposed at a time."""
    startup: int = Field(default=10, ge=1)
    """``tpe``: evenly spread points before the first proposal."""


class Budget(SpecModel):
    """When the sweep stops. ``business.max_cost_usd`` stops it too."""

    max_trials: int | None = Field(default=None, ge=1)
    """Most trials, those of early rungs included."""
    max_seconds: float | None = Field(default=None, gt=0)
    """No trial is started after this many seconds."""
    max_trial_seconds: float | None = Field(default=None, gt=0)
    """A trial that takes longer is given up: its Spark jobs are cancelled, it is recorded as
    failed, and the sweep goes on."""

    @model_validator(mode="after")
    def _trial_fits(self) -> Budget:
        most, one = self.max_seconds, self.max_trial_seconds
        if most is not None and one is not None and one > most:
            raise ValueError(f"max_trial_seconds {one:g} is above max_seconds {most:g}")
        return self
