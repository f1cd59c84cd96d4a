"""MLlib's trees, with one fit for several trials: exactly what separate fits would give.

A boosted model holds every model of fewer iterations. A deeper tree holds every shallower one, and
a decision tree those of a larger least gain: growth does not depend on where it will stop, and
MLlib's merging of equal sibling leaves can be done again. Forests of another number of trees are
no part of each other: the bootstrap depends on the number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import ceil, log2, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import functions as F

from crisp_spark.errors import ModelError
from crisp_spark.modeling.engines.nodes import Stop, build_model, cut, prefix, read_trees
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.groups import FitGroup, Label, SweepData, Work
from crisp_spark.modeling.labels import LABEL, PREDICTION, PROBABILITIES, SCORE, score_columns
from crisp_spark.modeling.metrics import Scored, collect_arrays, metrics_of
from crisp_spark.modeling.trials import (
    FittedTrial,
    Stopwatch,
    TrialOutcome,
    TrialTask,
    fit_trial,
    measured_outcome,
)
from crisp_spark.spec.base import canonical_json

if TYPE_CHECKING:
    from crisp_spark.modeling.folds import FoldPlan
    from crisp_spark.modeling.metrics import Metrics
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial

DEFAULTS: Mapping[str, Any] = {
    "maxIter": 20,
    "maxDepth": 5,
    "minInfoGain": 0.0,
    "numTrees": 20,
    "numIterations": 100,
    "numRound": 100,
}
"""The learners' own, for hyperparameters that are not set."""
SHARED: Mapping[str, tuple[str, ...]] = {
    "gradient_boosting": ("maxIter",),
    "decision_tree": ("maxDepth", "minInfoGain"),
    "random_forest": ("maxDepth",),
}
"""Hyperparameters that one fit serves all values of, bit for bit."""
PREFIXES: Mapping[str, tuple[str, ...]] = {"random_forest": ("maxDepth", "numTrees")}
"""The same where a smaller forest may be the first trees of a larger one: as good, not equal."""
Measured = tuple[list["FittedTrial"], list["Metrics"]]
"""Models of the trials of a group, and how good each is, on one fold."""

DEEPEST = 30
_MEMORY_MB = 256
_BINS = 32


def setting(trial: PlannedTrial, name: str) -> Any:
    """Return a hyperparameter, or the learner's default."""
    return trial.params.get(name, DEFAULTS[name])


def fit_key(trial: PlannedTrial, rules: Mapping[str, tuple[str, ...]] = SHARED) -> str:
    """Return the same text for trials of the same family that one fit can serve."""
    shared = rules[trial.info.kind]
    rest = {name: value for name, value in trial.params.items() if name not in shared}
    return canonical_json({"family": trial.family.label, "params": rest})


def valid(trial: PlannedTrial) -> bool:
    """Say whether shared hyperparameters have values that MLlib takes."""
    return bool(
        setting(trial, "maxIter") >= 1
        and 0 <= setting(trial, "maxDepth") <= DEEPEST
        and setting(trial, "minInfoGain") >= 0
        and setting(trial, "numTrees") >= 1
    )


def largest(
    trials: Sequence[PlannedTrial], rules: Mapping[str, tuple[str, ...]] = SHARED
) -> PlannedTrial:
    """Return the point whose fit serves all of some trials."""
    kind, params = trials[0].info.kind, dict(trials[0].params)
    for name in rules[kind]:
        pick = min if name == "minInfoGain" else max
        params[name] = pick(setting(trial, name) for trial in trials)
    return replace(trials[0], params=params)


def subset_size(trial: PlannedTrial, data: SweepData) -> int:
    """Return how many slots MLlib looks at for a split of a forest; 0 where it would refuse."""
    strategy = str(trial.params.get("featureSubsetStrategy", "auto")).lower()
    if strategy == "auto" and int(setting(trial, "numTrees")) == 1:
        strategy = "all"
    if strategy == "auto":
        strategy = "sqrt" if data.problem in ("binary", "multiclass") else "onethird"
    known = {
        "all": data.slots,
        "sqrt": ceil(sqrt(data.slots)),
        "log2": max(1, ceil(log2(max(data.slots, 1)))),
        "onethird": ceil(data.slots / 3),
    }
    if strategy in known:
        return known[strategy]
    if strategy.isdecimal():
        return min(int(strategy), data.slots)
    try:
        fraction = float(strategy)
    except ValueError:
        return 0
    return ceil(fraction * data.slots) if 0 < fraction <= 1 else 0


def level_fits(trial: PlannedTrial, data: SweepData) -> bool:
    """Say whether MLlib grows each level of a forest in one go.

    Where it does not, the order of nodes, and with it the draw of features, depends on the depth.
    """
    trees, share = int(setting(trial, "numTrees")), subset_size(trial, data)
    if share in (0, data.slots):
        return share > 0
    bins = max(int(trial.params.get("maxBins", _BINS)), data.arity)
    classes = data.problem in ("binary", "multiclass")
    stats = (data.class_count if classes else 3) + 1
    nodes = trees * 2 ** max(0, int(setting(trial, "maxDepth")) - 1)
    most = int(trial.params.get("maxMemoryInMB", _MEMORY_MB)) * 2**20
    return bool(nodes * share * bins * stats * 8 <= most)


class SharingEngine:
    """Fits the largest model of a group on each fold, and takes the others out of it."""

    name = "mllib-shared"
    at_once = 1
    label: Label = "exact"
    rules: Mapping[str, tuple[str, ...]] = SHARED

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take tree learners of which one fit serves two trials or more."""
        found: dict[str, list[PlannedTrial]] = {}
        for trial in trials:
            served = trial.info.kind in self.rules and trial.family.standardize != "yes"
            if served and valid(trial):
                found.setdefault(fit_key(trial, self.rules), []).append(trial)
        return [
            self._group(members)
            for members in found.values()
            if len(members) > 1 and self._serves(members, data)
        ]

    def _serves(self, members: Sequence[PlannedTrial], data: SweepData) -> bool:
        return members[0].info.kind != "random_forest" or level_fits(largest(members), data)

    def _group(self, members: Sequence[PlannedTrial]) -> FitGroup:
        top = largest(members, self.rules)
        words = ", ".join(f"{n} {setting(top, n)}" for n in self.rules[top.info.kind])
        return FitGroup(
            self.name,
            tuple(members),
            label=self.label,
            why=f"one fit with {words} holds {len(members)} trials, {self._how}",
            jobs=expected_jobs(top),
        )

    @property
    def _how(self) -> str:
        return "bit for bit"

    def run(self, group: FitGroup, work: Work) -> Sequence[TrialOutcome]:
        """Fit once on every fold and score all trials in one pass.

        Jobs: those of one fit, and one, per fold.
        """
        watch = Stopwatch(trials=len(group.trials))

        found = self._on_folds(group, work)
        return [
            measured_outcome(
                trial,
                [metrics[at] for _, metrics in found],
                work.task,
                watch,
                models={
                    fold.fold: fitted[at]
                    for fold, (fitted, _) in zip(work.folds, found, strict=True)
                },
                notes=found[0][0][at].notes,
            )
            for at, trial in enumerate(group.trials)
        ]

    def _on_folds(self, group: FitGroup, work: Work) -> list[Measured]:
        with ThreadPoolExecutor(max_workers=work.task.parallelism) as pool:
            return list(pool.map(partial(self._on_fold, group, work), work.folds))

    def _on_fold(self, group: FitGroup, work: Work, fold: FoldPlan) -> Measured:
        prepared = work.preparation.fold(fold)
        fitted = self._fitted(group.trials, prepared, work.task)
        return fitted, score_together(fitted, prepared, work.task)

    def _fitted(
        self, trials: Sequence[PlannedTrial], prepared: Prepared, task: TrialTask
    ) -> list[FittedTrial]:
        return fit_group(trials, prepared, task, self.rules)

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit a trial by itself. Jobs: those of the learner."""
        return fit_trial(trial, prepared, task)


class ForestPrefixEngine(SharingEngine):
    """Takes smaller forests out of larger ones, in ``mode: fast``.

    MLlib draws another bootstrap for another number of trees, so a prefix is as good a forest as
    the one that it stands for, and not the same. The best ones are therefore fitted again.
    """

    name = "mllib-prefix"
    label: Label = "equivalent"
    rules = PREFIXES
    refit_finalists = True

    def _serves(self, members: Sequence[PlannedTrial], data: SweepData) -> bool:
        several = len({setting(trial, "numTrees") for trial in members}) > 1
        return data.mode == "fast" and several

    @property
    def _how(self) -> str:
        return "smaller forests as first trees; finalists are fitted again"


def fit_group(
    trials: Sequence[PlannedTrial],
    prepared: Prepared,
    task: TrialTask,
    rules: Mapping[str, tuple[str, ...]] = SHARED,
) -> list[FittedTrial]:
    """Fit the largest model and take every trial's model out of it. Jobs: those of one fit."""
    fitted = fit_trial(largest(trials, rules), prepared, task)
    model: Any = fitted.stages[0]
    name, kind, found = type(model).__name__, trials[0].info.kind, list[FittedTrial]()
    trees = None if kind == "gradient_boosting" else read_trees(model)
    for trial in trials:
        if trees is None:
            own = prefix(model, model, setting(trial, "maxIter"))
        else:
            merge = not trial.params.get("keepLeafProbabilities")
            impurity = model.getOrDefault("impurity")
            depth, gain = setting(trial, "maxDepth"), setting(trial, "minInfoGain")
            stop = Stop(depth, gain, merge, impurity)
            first = trees[: setting(trial, "numTrees")] if "numTrees" in rules[kind] else trees
            own = build_model(
                model,
                name,
                [cut(tree, stop) for tree in first],
                slots=model.numFeatures,
                class_count=getattr(model, "numClasses", 2),
                impurity=impurity,
            )
        for shared in rules[kind]:
            own.set(own.getParam(shared), setting(trial, shared))
        found.append(FittedTrial((own, *fitted.stages[1:]), fitted.notes))
    return found


def score_together(
    fitted: Sequence[FittedTrial], prepared: Prepared, task: TrialTask
) -> list[Metrics]:
    """Score the rows left out by several models that read the same vector. Jobs: one."""
    frame = prepared.validation
    if frame is None:
        return [{} for _ in fitted]
    for at, each in enumerate(fitted):
        scored = PipelineModel(list(each.stages)).transform(frame)
        columns = score_columns(scored, task.problem)
        added = [columns[PREDICTION].alias(f"p{at}"), columns[SCORE].alias(f"s{at}")]
        if PROBABILITIES in columns:
            chance = F.element_at(columns[PROBABILITIES], F.col(LABEL).cast("int") + 1)
            added.append(chance.alias(f"c{at}"))
        frame = scored.select(*frame.columns, *added)
    arrays = collect_arrays(frame.drop(FEATURES))
    label = np.asarray(arrays[LABEL], dtype=np.float64)
    found = []
    for at in range(len(fitted)):
        prediction = np.asarray(arrays[f"p{at}"], dtype=np.float64)
        if np.isnan(prediction).any():
            raise ModelError("modeling: the model gave predictions that are not numbers")
        score = np.asarray(arrays[f"s{at}"], dtype=np.float64)
        rows = Scored(label=label, score=score, prediction=prediction, chance=arrays.get(f"c{at}"))
        found.append(metrics_of(task.problem, rows, values=task.values))
    return found


def expected_jobs(trial: PlannedTrial) -> float:
    """Return about how many Spark jobs it takes to fit a learner of trees and score it."""
    if trial.info.library:
        return 3
    depth = float(setting(trial, "maxDepth"))
    trees = float(setting(trial, "maxIter")) if trial.info.kind == "gradient_boosting" else 1.0
    return 6 + trees * (depth + 1)
