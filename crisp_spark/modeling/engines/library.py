"""LightGBM and XGBoost in a sweep: one fit is one Spark task, and serves every number of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.converting import check_room, first_trees
from crisp_spark.modeling.engines.memory import task_megabytes
from crisp_spark.modeling.engines.sharing import (
    Measured,
    SharingEngine,
    expected_jobs,
    fit_key,
    largest,
    setting,
)
from crisp_spark.modeling.groups import FitGroup, SweepData, Work
from crisp_spark.modeling.limits import in_job_group
from crisp_spark.modeling.trials import (
    FittedTrial,
    Stopwatch,
    TrialOutcome,
    TrialTask,
    failed_outcome,
    fit_trial,
    spark_is_gone,
)

if TYPE_CHECKING:
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial

ROUNDS: Mapping[str, tuple[str, ...]] = {"lightgbm": ("numIterations",), "xgboost": ("numRound",)}
"""The hyperparameter that counts trees: a model holds every model of fewer."""


class LibraryEngine(SharingEngine):
    """Boosts by LightGBM or XGBoost: rows in one task per fit, trees as MLlib's own model."""

    name = "library"
    rules = ROUNDS

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take all trials of a library; those that differ in rounds share a fit."""
        self.at_once = max(1, ceil(data.cores / max(data.folds, 1)))
        found: dict[str, list[PlannedTrial]] = {}
        for trial in trials:
            if not trial.info.library:
                continue
            (name,) = self.rules[trial.info.kind]
            # A number of rounds that no learner takes must not cost the others.
            key = fit_key(trial, self.rules) if setting(trial, name) >= 1 else trial.name
            found.setdefault(key, []).append(trial)
        return [self._group(members) for members in found.values()]

    def _group(self, members: Sequence[PlannedTrial]) -> FitGroup:
        top = largest(members, self.rules)
        (name,) = self.rules[top.info.kind]
        shared = f", which holds {len(members)} trials" if len(members) > 1 else ""
        why = f"{top.info.title} with {name} {setting(top, name)} in one task{shared}"
        return FitGroup(self.name, tuple(members), why=why, jobs=expected_jobs(top))

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Boost once on every fold, a task each, and score all trials in one pass.

        A table that is too large for the final fit ends the trials at once. Jobs: three per fold.
        """
        watch = Stopwatch(trials=len(group.trials))
        try:
            slots = work.preparation.fold(work.folds[0]).facts.width
            session = work.preparation.rows.sparkSession
            info, rows = group.trials[0].info, work.preparation.counts.total
            check_room(info, rows, slots, task_megabytes(session))
            return super().run(group, work)
        except Exception as error:
            # MLlib has no such learner to fall back on; a dead Spark would fail them all.
            if spark_is_gone(work.preparation):
                raise
            return [failed_outcome(trial, error, watch) for trial in group.trials]

    def _on_folds(self, group: FitGroup, work: Work) -> list[Measured]:
        limit = work.task.limit_s
        return in_job_group(
            work.preparation.rows.sparkSession.sparkContext,
            group.trials[0].name,
            [partial(self._on_fold, group, work, fold) for fold in work.folds],
            parallelism=work.task.parallelism,
            limit_s=None if limit is None else limit * len(group.trials),
        )

    def _fitted(
        self, trials: Sequence[PlannedTrial], prepared: Prepared, task: TrialTask
    ) -> list[FittedTrial]:
        top = fit_trial(largest(trials, self.rules), prepared, task)
        at, (name,) = len(top.stages) - len(prepared.post) - 1, self.rules[trials[0].info.kind]
        return [
            FittedTrial(
                (*top.stages[:at], first_trees(top.stages[at], count), *top.stages[at + 1 :]),
                top.notes,
            )
            for count in (int(setting(trial, name)) for trial in trials)
        ]
