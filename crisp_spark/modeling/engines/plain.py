"""MLlib, one fit per trial and fold: serves everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crisp_spark.modeling.groups import FitGroup, SweepData, Work
from crisp_spark.modeling.trials import FittedTrial, TrialOutcome, TrialTask, fit_trial, run_trial

if TYPE_CHECKING:
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial

PLAIN = "mllib"


class PlainEngine:
    """Fits every trial by itself."""

    name = PLAIN
    at_once = 1

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take all trials, each as its own group."""
        del data
        return [FitGroup(self.name, (trial,), why="fitted by itself") for trial in trials]

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Fit and score each trial on every fold. Jobs: those of the learner, one per score."""
        return [run_trial(t, work.preparation, work.folds, work.task) for t in group.trials]

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit a trial. Jobs: those of the learner."""
        return fit_trial(trial, prepared, task)
