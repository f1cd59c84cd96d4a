"""Forests and trees of ``mode: fast``: one forest and fold per Spark task, on bins of one byte.

The draws are not MLlib's, so a forest is as good as the one that it stands for, and not the same:
the label is ``equivalent``, and the best ones are fitted again by MLlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.bagged import Bagging, Part, bag_and_measure
from crisp_spark.modeling.engines.binned import BinnedFolds
from crisp_spark.modeling.engines.histogram import (
    DEEPEST,
    MOST_BINS,
    ROUTES,
    BinnedEngine,
    in_tasks,
)
from crisp_spark.modeling.engines.kernel import Limits
from crisp_spark.modeling.engines.sharing import (
    PREFIXES,
    SHARED,
    fit_key,
    largest,
    setting,
    subset_size,
    valid,
)
from crisp_spark.modeling.groups import FitGroup, Label, SweepData, Work
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

_RULES: Mapping[str, tuple[str, ...]] = {
    "random_forest": PREFIXES["random_forest"],
    "decision_tree": SHARED["decision_tree"],
}
_SERVED = {
    *("maxDepth", "maxBins", "minInstancesPerNode", "minInfoGain", "impurity", "seed"),
    *("numTrees", "subsamplingRate", "featureSubsetStrategy", "bootstrap"),
    *("keepLeafProbabilities", *ROUTES),
}
_IMPURITY = {"binary": "gini", "regression": "variance"}
_FEWEST_DRAWN = 2


class HistogramForestEngine(BinnedEngine):
    """Serves forests and trees on numbers, where a binned fold fits the memory of a task."""

    name = "histogram-forest"
    mode = "fast"
    label: Label = "equivalent"
    _how = ", with draws of its own; finalists are fitted again"
    refit_finalists = True

    def __init__(self, bins: BinnedFolds | None = None) -> None:
        """Start without binned folds, or with those of others."""
        super().__init__(bins)
        self._shares: dict[str, float] = {}

    def _key(self, trial: PlannedTrial, data: SweepData) -> str | None:
        if not _serves(trial, data):
            return None
        self._shares[trial.name] = _share(trial, data)
        # A single tree looks at all slots, and is the first of no forest that does not.
        return f"{fit_key(trial, _RULES)} {_trees(trial) > 1}"

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Grow one forest on every fold, a task each. Jobs: one, and those of binning, once."""
        watch, top = Stopwatch(trials=len(group.trials)), largest(group.trials, _RULES)
        parts = [_part(trial, work.task) for trial in group.trials]
        folds = [work.preparation.fold(fold) for fold in work.folds]
        cases = self._bins.all(top, work)
        bagging = _bagging(top, work.task, self._shares[top.name])
        # Forests stay in their tasks: only the best is kept, and that one is fitted by MLlib.
        found = in_tasks(folds[0], cases, partial(bag_and_measure, bagging=bagging, parts=parts))
        return [
            measured_outcome(
                trial, [metrics[part] for metrics in found], work.task, watch, models={}
            )
            for trial, part in zip(group.trials, parts, strict=True)
        ]

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit a trial by MLlib. Jobs: those of the learner."""
        return fit_trial(trial, prepared, task)


def _trees(trial: PlannedTrial) -> int:
    return int(setting(trial, "numTrees")) if trial.info.kind == "random_forest" else 1


def _share(trial: PlannedTrial, data: SweepData) -> float:
    if trial.info.kind != "random_forest" or not data.slots:
        return 1.0
    return subset_size(trial, data) / data.slots


def _serves(trial: PlannedTrial, data: SweepData) -> bool:
    params = trial.params
    return (
        trial.info.kind in _RULES
        and valid(trial)
        and set(params) <= _SERVED
        and trial.family.standardize != "yes"
        and params.get("impurity", _IMPURITY[data.problem]) == _IMPURITY[data.problem]
        and (data.problem == "binary" or not params.get("keepLeafProbabilities"))
        and int(setting(trial, "maxDepth")) <= DEEPEST
        and 2 <= int(params.get("maxBins", 32)) <= MOST_BINS  # noqa: PLR2004
        and int(params.get("minInstancesPerNode", 1)) >= 1
        and 0 < float(params.get("subsamplingRate", 1.0)) <= 1
        # The library never looks at fewer.
        and _share(trial, data) * data.slots >= min(_FEWEST_DRAWN, data.slots)
    )


def _part(trial: PlannedTrial, task: TrialTask) -> Part:
    gain = float(setting(trial, "minInfoGain"))
    # Variance of 0 and 1 is half of Gini's impurity.
    variance = gain / 2 if task.problem == "binary" else gain
    return Part(_trees(trial), int(setting(trial, "maxDepth")), variance)


def _bagging(trial: PlannedTrial, task: TrialTask, share: float) -> Bagging:
    params, part = trial.params, _part(trial, task)
    forest = trial.info.kind == "random_forest"
    seed = int(params.get("seed", task.seed))
    return Bagging(
        problem=task.problem,
        trees=part.trees,
        limits=Limits(
            part.depth, int(params.get("minInstancesPerNode", 1)), part.gain, share, seed
        ),
        rate=float(params.get("subsamplingRate", 1.0)) if forest else 1.0,
        again=forest and bool(params.get("bootstrap", True)),
        merge=not params.get("keepLeafProbabilities"),
        values=task.values,
    )
