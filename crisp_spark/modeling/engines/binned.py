"""The binned folds of a sweep, shared by the engines that grow trees on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from crisp_spark.modeling.engines.bins import Case, binned_fold
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.formatting import format_trial
from crisp_spark.spec.estimators import estimator

if TYPE_CHECKING:
    from crisp_spark.modeling.groups import Work
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.modeling.trials import TrialTask


class BinnedFolds:
    """Folds as bins, each made once for all engines and settings that ask for the same bins."""

    def __init__(self) -> None:
        """Start without any."""
        self._cases: dict[tuple[int, int, int], tuple[Case, Prepared]] = {}
        self._locks: dict[tuple[int, int, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def all(self, trial: PlannedTrial, work: Work) -> list[Case]:
        """Return all folds, for the bins of a trial. Jobs: those of binning, once."""
        folds = [work.preparation.fold(fold) for fold in work.folds]
        # Binning is a few short jobs a fold, which alone leave most cores idle.
        with ThreadPoolExecutor(max_workers=max(1, work.task.parallelism)) as pool:
            return list(pool.map(lambda fold: self.one(trial, fold, work.task), folds))

    def one(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> Case:
        """Return a fold, for the bins of a trial."""
        learner = _candidates_of(trial, prepared, task)
        name = id(prepared), learner.getOrDefault("maxBins"), learner.getOrDefault("seed")
        with self._lock:
            own = self._locks.setdefault(name, threading.Lock())
        with own:
            if name not in self._cases:
                # The fold is kept, so that its identity stays its own.
                case = binned_fold(learner, prepared, FEATURES)
                prepared.released_with.append(partial(self._release, name))
                self._cases[name] = case, prepared
            return self._cases[name][0]

    def _release(self, name: tuple[int, int, int]) -> None:
        """Drop a fold's bins. The session's folder for them may be gone already."""
        case, _ = self._cases.pop(name)
        with suppress(FileNotFoundError):
            case.block.destroy()


def _candidates_of(trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> Any:
    """Return a learner that draws the candidates of splits of a trial, whatever its family."""
    formatted = format_trial(trial, prepared.facts, FEATURES)
    own = {name: value for name, value in formatted.params.items() if name in ("maxBins", "seed")}
    context = BuildContext(problem=task.problem, width=prepared.facts.width, seed=task.seed)
    return build_estimator(estimator("gradient_boosting", task.problem), own, context)
