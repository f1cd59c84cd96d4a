"""Gradient boosting of ``mode: exact`` on bins, as far as its trees are certainly MLlib's.

One model and fold per Spark task, as in ``mode: fast``, but grown by
:mod:`crisp_spark.modeling.engines.proved`, which stops where MLlib might choose another split.
What is certain is measured at once; the rest is left to the engines of MLlib, which say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.boosted import Boosted, boost_proved
from crisp_spark.modeling.engines.histogram import (
    BinnedFolds,
    OnDemand,
    at_once,
    converted,
    growth_of,
    in_tasks,
    refused,
    serves,
)
from crisp_spark.modeling.engines.sharing import fit_key, largest, setting
from crisp_spark.modeling.groups import FitGroup, SweepData, Work
from crisp_spark.modeling.trials import (
    FittedTrial,
    Stopwatch,
    TrialOutcome,
    TrialTask,
    fit_trial,
    measured_outcome,
)

if TYPE_CHECKING:
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial


class ProvedEngine:
    """Serves gradient boosting on numbers, where a binned fold fits the memory of a task.

    Args:
        bins: Folds as bins, shared with other engines.
    """

    name = "histogram-proved"

    def __init__(self, bins: BinnedFolds | None = None) -> None:
        """Start without binned folds, or with those of others."""
        self.at_once = 1
        self._bins = bins or BinnedFolds()
        self.declined: dict[str, str] = {}

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take boosted trees, grouped by fit; the others are left to MLlib."""
        self.at_once = at_once(data)
        if data.mode != "exact" or refused(data):
            return []
        found: dict[str, list[PlannedTrial]] = {}
        for trial in trials:
            if serves(trial):
                found.setdefault(fit_key(trial), []).append(trial)
        return [
            FitGroup(
                self.name,
                tuple(members),
                why=f"{len(members)} trials from one model per fold, each in one task, as long as "
                "every split is certainly MLlib's; else by MLlib",
                jobs=1 / max(data.folds, 1),
            )
            for members in found.values()
        ]

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Grow one model on every fold, a task each; no outcome for trials that are uncertain.

        Jobs: one, and those of binning, once.
        """
        watch, top = Stopwatch(trials=len(group.trials)), largest(group.trials)
        counts = [int(setting(trial, "maxIter")) for trial in group.trials]
        folds = [work.preparation.fold(fold) for fold in work.folds]
        cases = self._bins.all(top, work)
        growth = growth_of(top, work.task)
        boosted: list[Boosted] = in_tasks(
            folds[0], cases, partial(boost_proved, growth=growth, counts=counts)
        )
        sure = min(len(found.trees) for found in boosted)
        outcomes = {}
        for trial, count in zip(group.trials, counts, strict=True):
            if count > sure:
                continue
            makers = {
                plan.fold: converted(trial, fold, case, found.trees[:count], work.task)
                for plan, fold, case, found in zip(work.folds, folds, cases, boosted, strict=True)
            }
            metrics = [found.metrics[count] for found in boosted]
            outcomes[trial.name] = measured_outcome(
                trial, metrics, work.task, watch, models=OnDemand(makers)
            )
        doubt = next((found.doubt for found in boosted if len(found.trees) == sure), "")
        for trial in group.trials:
            if trial.name not in outcomes:
                self.declined[trial.name] = f"{self.name} was not certain ({doubt})"
        return list(outcomes.values())

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit a trial by MLlib. Jobs: those of the learner."""
        return fit_trial(trial, prepared, task)
