"""Training and validation vectors of a fold: prepared once, used by every trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.folds import FoldCounts, FoldPlan
from crisp_spark.modeling.formatting import Ends, measure_vectors
from crisp_spark.modeling.layout import sampled
from crisp_spark.modeling.shared import SharedSet, SharedStatistics
from crisp_spark.modeling.vectorizing import (
    FoldRows,
    Made,
    PreparationTask,
    facts_of,
    make_ratings,
    make_vectors,
    targets_of,
)

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.features import FittedFeatures
    from crisp_spark.modeling.formatting import InputFacts

_Name = tuple[int | None, bool]
"""Fold, None for all rows, and whether all its rows are fitted on."""
_ALL = -1
"""Set of all training rows."""


@dataclass(frozen=True)
class Prepared:
    """Vectors to fit on, vectors to score, and the stages that make them.

    Attributes:
        stages: Stages from a merged row to the learner's input.
        post: Stages behind the learner.
        train: Learner's input with label (and weight), cached.
        validation: The same for the rows to score; None for the final fit.
        facts: What learners may object to.
        fitted: Fitted features; None for recommendation.
        train_rows: Rows fitted on.
        validation_rows: Rows scored.
        weights: Weight by label, where rows have weights.
        seconds: Time it took.
    """

    stages: tuple[Transformer, ...]
    post: tuple[Transformer, ...]
    train: DataFrame
    validation: DataFrame | None
    facts: InputFacts
    fitted: FittedFeatures | None
    train_rows: int
    validation_rows: int
    weights: Mapping[float, float]
    seconds: float
    released_with: list[Callable[[], None]] = field(default_factory=list)

    def release(self) -> None:
        """Drop what is kept of the fold: cached vectors, and what others made of them."""
        self.train.unpersist()
        if self.validation is not None:
            self.validation.unpersist()
        while self.released_with:
            self.released_with.pop()()


@dataclass(frozen=True)
class _Making:
    """Vectors of a fold that nobody has looked at yet."""

    asked: FoldRows
    made: Made
    started: float


@dataclass
class Preparation:
    """Prepares folds on first use and keeps them; safe to ask from several threads.

    Attributes:
        rows: Labelled training rows, laid out and cached.
        counts: Rows by fold and label.
        task: What is prepared.
    """

    rows: DataFrame
    counts: FoldCounts
    task: PreparationTask
    _kept: dict[_Name, Prepared] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: dict[_Name, threading.Lock] = field(default_factory=dict)
    _shared: SharedStatistics | None = None

    def fold(self, plan: FoldPlan | None, *, all_rows: bool = False) -> Prepared:
        """Return the vectors of a fold, or of all training rows (None); prepared only once.

        Args:
            plan: Fold; None for the final fit.
            all_rows: Whether to fit on all rows of the fold even where trials use a sample.
        """
        name = self._name(plan, all_rows=all_rows)
        with self._lock_of(name):
            if name not in self._kept:
                making = self._make(plan, all_rows=name[1])
                self._kept[name] = self._finished(making, _look_at([making])[0])
            return self._kept[name]

    def _name(self, plan: FoldPlan | None, *, all_rows: bool = False) -> _Name:
        return None if plan is None else plan.fold, all_rows or plan is None or self.share == 1

    def _lock_of(self, name: _Name) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    def all_folds(self, plans: Sequence[FoldPlan], at_once: int) -> list[Prepared]:
        """Return the vectors of several folds, prepared together.

        A fold's statistics are many short jobs, which alone leave most cores idle: what all folds
        ask for first, and the look at their vectors, are one job each for all of them.

        Args:
            plans: Folds, not twice the same.
            at_once: Folds prepared at the same time.
        """
        names = [self._name(plan) for plan in plans]
        with ExitStack() as locks, ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
            # In one order, so that two callers cannot wait for each other.
            for name in sorted(names, key=str):
                locks.enter_context(self._lock_of(name))
            new = {n: p for n, p in zip(names, plans, strict=True) if n not in self._kept}
            self._share_statistics(plans)
            makings = list(pool.map(self._make, new.values()))
            for name, making, ends in zip(new, makings, _look_at(makings), strict=True):
                self._kept[name] = self._finished(making, ends)
            return [self._kept[name] for name in names]

    def _share_statistics(self, plans: Sequence[FoldPlan]) -> None:
        """Get ready to measure folds together, and all rows with them where trials see them all."""
        if self._shared is not None or self.task.problem == "recommendation":
            return
        rows = sampled(self.rows, self.share, self.task.key, self.task.seed + 1)
        sets = {plan.fold: plan.train_rows() for plan in plans}
        folds: dict[int, Sequence[int]] = {plan.fold: plan.training for plan in plans}
        if self.share == 1:
            sets[_ALL], folds[_ALL] = F.lit(True), self.counts.folds
        targets = {at: targets_of(self.task, rows, own) for at, own in folds.items()}
        self._shared = SharedStatistics(rows, sets, targets)

    def release(self, plan: FoldPlan | None = None) -> None:
        """Drop the cached vectors of one fold, or all of them."""
        for name, prepared in list(self._kept.items()):
            if plan is None or name[0] == plan.fold:
                prepared.release()
                del self._kept[name]

    @property
    def share(self) -> float:
        """Share of training rows that trials are fitted on."""
        wanted = self.task.trial_rows
        return 1.0 if wanted is None else min(1.0, wanted / max(self.counts.total, 1))

    def _make(self, plan: FoldPlan | None, *, all_rows: bool | None = None) -> _Making:
        started = time.monotonic()
        all_rows = self.share == 1 if all_rows is None else all_rows
        number = _ALL if plan is None else plan.fold
        shared = self._shared if all_rows == (self.share == 1) else None
        folds = self.counts.folds if plan is None else plan.training
        train = self.rows if plan is None else self.rows.where(plan.train_rows())
        if not all_rows:
            train = sampled(train, self.share, self.task.key, self.task.seed + 1)
        asked = FoldRows(
            train,
            None if plan is None else self.rows.where(plan.validation_rows()),
            0 if plan is None else self.counts.rows[plan.fold],
            folds,
            class_weights(self.task, self.counts.class_counts(folds)),
            self.counts.class_counts(folds),
            self.counts.mean(folds),
            SharedSet(shared, number) if shared and number in shared.sets else None,
        )
        make = make_ratings if self.task.problem == "recommendation" else make_vectors
        return _Making(asked, make(asked, self.task), started)

    def _finished(self, making: _Making, ends: Ends) -> Prepared:
        made, asked, started = making.made, making.asked, making.started
        facts, train_rows = facts_of(made, asked, self.task, ends)
        return Prepared(
            stages=made.stages,
            post=made.post,
            train=made.train,
            validation=made.validation,
            facts=facts,
            fitted=made.fitted,
            train_rows=train_rows,
            validation_rows=_validation_rows(made, asked, self.task),
            weights=asked.weights,
            seconds=round(time.monotonic() - started, 3),
        )


def _look_at(makings: Sequence[_Making]) -> list[Ends]:
    """Look at the vectors of folds and count them; this fills their caches. Jobs: one."""
    frames = [making.made.train for making in makings]
    if all(making.made.fitted is not None for making in makings):
        return measure_vectors(frames, FEATURES) if frames else []
    nothing = np.zeros(0)
    return [Ends(nothing, nothing, 0.0, 0.0, frame.count()) for frame in frames]


def _validation_rows(made: Made, asked: FoldRows, task: PreparationTask) -> int:
    """Return the rows to score; counted only where they are a sample. Jobs: none or one."""
    if made.validation is None:
        return 0
    width = 1 if made.fitted is None else made.fitted.width
    if asked.validation_share(task, width) >= 1:
        return asked.validation_rows
    return made.validation.count()


def _cost_weights(task: PreparationTask, counts: Mapping[float, int]) -> dict[float, float]:
    """Weigh a row by what a mistake on it costs; the mean weight is 1 (Elkan, 2001)."""
    values = task.values
    if values is None:
        raise SpecError("modeling.class_weights: business.outcome_values are not declared")
    costs = {0.0: values.tn - values.fp, 1.0: values.tp - values.fn}
    if min(costs.values()) <= 0:
        raise SpecError(
            "modeling.class_weights: by business.outcome_values a mistake costs nothing, got "
            f"tp - fn = {costs[1.0]:g} and tn - fp = {costs[0.0]:g}",
            hint="both must be above 0 for outcome_values to weigh rows",
        )
    total = sum(costs[label] * count for label, count in counts.items())
    return {label: costs[label] * sum(counts.values()) / total for label in counts}


def class_weights(task: PreparationTask, counts: Mapping[float, int]) -> dict[float, float]:
    """Return the weight of each label.

    Raises:
        SpecError: A weight is given for a class that does not exist.
    """
    declared = task.class_weights
    if declared == "none" or not counts:
        return {}
    if declared == "outcome_values":
        return _cost_weights(task, counts)
    if isinstance(declared, str):
        rows, classes = sum(counts.values()), len(counts)
        return {label: rows / (classes * count) for label, count in counts.items()}
    names = {name: float(index) for index, name in enumerate(task.classes)}
    unknown = [name for name in declared if name not in names]
    if unknown:
        raise SpecError(
            f"modeling.class_weights: no class {unknown[0]!r}",
            hint=f"classes: {', '.join(task.classes)}",
        )
    return {label: float(declared.get(name, 1.0)) for name, label in names.items()}
