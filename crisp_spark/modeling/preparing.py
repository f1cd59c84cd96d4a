"""Training and validation vectors of a fold: prepared once, used by every trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crisp_spark.errors import SpecError
from crisp_spark.modeling.folds import FoldCounts, FoldPlan
from crisp_spark.modeling.layout import sampled
from crisp_spark.modeling.vectorizing import (
    FoldRows,
    Made,
    PreparationTask,
    facts_of,
    make_ratings,
    make_vectors,
)

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.features import FittedFeatures
    from crisp_spark.modeling.formatting import InputFacts


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
    _kept: dict[tuple[int | None, bool], Prepared] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: dict[tuple[int | None, bool], threading.Lock] = field(default_factory=dict)

    def fold(self, plan: FoldPlan | None, *, all_rows: bool = False) -> Prepared:
        """Return the vectors of a fold, or of all training rows (None); prepared only once.

        Args:
            plan: Fold; None for the final fit.
            all_rows: Whether to fit on all rows of the fold even where trials use a sample.
        """
        name = (None if plan is None else plan.fold, all_rows or plan is None or self.share == 1)
        with self._lock:
            own = self._locks.setdefault(name, threading.Lock())
        with own:
            if name not in self._kept:
                self._kept[name] = self._prepare(plan, all_rows=name[1])
            return self._kept[name]

    def all_folds(self, plans: Sequence[FoldPlan], at_once: int) -> list[Prepared]:
        """Return the vectors of several folds, some of them prepared at the same time.

        A fold's statistics are many short jobs: alone they leave most cores idle.

        Args:
            plans: Folds.
            at_once: Folds prepared at the same time.
        """
        with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
            return list(pool.map(self.fold, plans))

    def release(self, plan: FoldPlan | None = None) -> None:
        """Drop the cached vectors of one fold, or all of them."""
        for name, prepared in list(self._kept.items()):
            if plan is None or name[0] == plan.fold:
                prepared.train.unpersist()
                if prepared.validation is not None:
                    prepared.validation.unpersist()
                del self._kept[name]

    @property
    def share(self) -> float:
        """Share of training rows that trials are fitted on."""
        wanted = self.task.trial_rows
        return 1.0 if wanted is None else min(1.0, wanted / max(self.counts.total, 1))

    def _prepare(self, plan: FoldPlan | None, *, all_rows: bool) -> Prepared:
        started = time.monotonic()
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
        )
        make = make_ratings if self.task.problem == "recommendation" else make_vectors
        made = make(asked, self.task)
        facts, train_rows = facts_of(made, asked, self.task)
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
