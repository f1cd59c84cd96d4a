"""Gradient boosting of ``mode: fast``: one model and fold per Spark task, on bins of one byte.

The fold is binned by MLlib's own rule once, sent to the tasks, and a model grown in each by
:mod:`crisp_spark.modeling.engines.boosted`; its prefixes are scored in the same task. The trees are
MLlib's up to ties between equally good splits, so the label is ``equivalent``. What is kept is
converted into MLlib's own model class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

from crisp_spark.errors import SpecError
from crisp_spark.modeling.engines.binned import BinnedFolds
from crisp_spark.modeling.engines.bins import Case, megabytes
from crisp_spark.modeling.engines.boosted import Boosted, Growth, boost
from crisp_spark.modeling.engines.kernel import Block, nodes_of
from crisp_spark.modeling.engines.nodes import build_model
from crisp_spark.modeling.engines.sharing import fit_key, largest, setting, valid
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.features import FEATURES
from crisp_spark.modeling.formatting import format_trial
from crisp_spark.modeling.groups import FitGroup, Label, SweepData, Work
from crisp_spark.modeling.trials import (
    FittedTrial,
    Stopwatch,
    TrialOutcome,
    TrialTask,
    measured_outcome,
)
from crisp_spark.modeling.workers import keep_archives_read

if TYPE_CHECKING:
    from pyspark.ml.base import Estimator

    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial

ROUTES = ("maxMemoryInMB", "cacheNodeIds", "checkpointInterval")
"""How MLlib goes about it, not what comes out."""
_SERVED = {
    *("maxIter", "maxDepth", "maxBins", "minInstancesPerNode", "minInfoGain", "stepSize", "seed"),
    *ROUTES,
}
MOST_BINS = 256
DEEPEST = 12
_TASKS_PER_CORE, _SHORT_TASKS_PER_CORE = 3, 24
_SHORT = 2**22
"""Values of a fold on which a model grows in about a second or less."""
Grown = TypeVar("Grown")


def check_installed() -> None:
    """Refuse to plan on a library that is not there.

    Raises:
        SpecError: LightGBM is missing.
    """
    if find_spec("lightgbm") is None:
        raise SpecError(
            "modeling.search.mode: fast needs the package lightgbm, which is not installed",
            hint="pip install 'crisp-spark[fast]', on the cluster too; or set mode: exact",
        )


def at_once(data: SweepData) -> int:
    """Return how many groups, of a task for each fold, keep all cores busy.

    Budgets are looked at between such batches, so long tasks come in small ones.
    """
    short = data.rows * data.slots <= _SHORT
    tasks = (_SHORT_TASKS_PER_CORE if short else _TASKS_PER_CORE) * data.cores
    return max(1, ceil(tasks / max(data.folds, 1)))


def refused(data: SweepData) -> bool:
    """Say whether the tables of a sweep cannot be grown on as bins, or should not."""
    return (
        data.problem not in ("binary", "regression")
        # MLlib orders unordered codes anew in every node.
        or data.arity > 0
        or data.weighted
        or megabytes(data.rows, data.slots) > data.task_mb
    )


class BinnedEngine:
    """What engines that grow one model on each binned fold, a task each, have in common.

    Args:
        bins: Folds as bins, shared with other engines.
    """

    name: str
    mode: str
    """Mode of the search that it serves."""
    label: Label = "exact"
    _how: str
    """What readers are told of it."""

    def __init__(self, bins: BinnedFolds | None = None) -> None:
        """Start without binned folds, or with those of others."""
        self.at_once = 1
        self._bins = bins or BinnedFolds()

    def take(self, trials: Sequence[PlannedTrial], data: SweepData) -> Sequence[FitGroup]:
        """Take what bins can do justice to, grouped by fit; the others are left to MLlib."""
        self.at_once = at_once(data)
        if data.mode != self.mode or refused(data):
            return []
        found: dict[str, list[PlannedTrial]] = {}
        for trial in trials:
            key = self._key(trial, data)
            if key is not None:
                found.setdefault(key, []).append(trial)
        return [
            FitGroup(
                self.name,
                tuple(members),
                label=self.label,
                why=f"{len(members)} trials from one model per fold, each in one task{self._how}",
                jobs=1 / max(data.folds, 1),
            )
            for members in found.values()
        ]

    def _key(self, trial: PlannedTrial, data: SweepData) -> str | None:
        """Return the same text for trials that one fit serves; None for one not served."""
        raise NotImplementedError


class HistogramEngine(BinnedEngine):
    """Serves gradient boosting on numbers, where a binned fold fits the memory of a task."""

    name = "histogram"
    mode = "fast"
    label: Label = "equivalent"
    _how = "; MLlib's trees up to ties"
    _boost = staticmethod(boost)

    def __init__(self, bins: BinnedFolds | None = None) -> None:
        """Start without binned folds, or with those of others."""
        super().__init__(bins)
        self.declined: dict[str, str] = {}

    def _key(self, trial: PlannedTrial, data: SweepData) -> str | None:
        del data
        return fit_key(trial) if serves(trial) else None

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
            folds[0], cases, partial(self._boost, growth=growth, counts=counts)
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
        """Grow one model in one task and convert it. Jobs: one, and those of binning."""
        case = self._bins.one(trial, prepared, task)
        growth = growth_of(trial, task)
        (found,) = in_tasks(prepared, [case], partial(boost, growth=growth, counts=[]))
        return converted(trial, prepared, case, found.trees, task)()


class OnDemand(Mapping[int, FittedTrial]):
    """Models by fold, converted when first asked for: most trials lose and never are."""

    def __init__(self, makers: Mapping[int, Callable[[], FittedTrial]]) -> None:
        """Keep how each model is made."""
        self._makers = dict(makers)
        self._made: dict[int, FittedTrial] = {}

    def __getitem__(self, fold: int) -> FittedTrial:
        if fold not in self._made:
            self._made[fold] = self._makers[fold]()
        return self._made[fold]

    def __iter__(self) -> Iterator[int]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def serves(trial: PlannedTrial) -> bool:
    """Say whether a trial is boosting that bins can do justice to."""
    params = trial.params
    return (
        trial.info.kind == "gradient_boosting"
        and valid(trial)
        and set(params) <= _SERVED
        and trial.family.standardize != "yes"
        and int(setting(trial, "maxDepth")) <= DEEPEST
        and 2 <= int(params.get("maxBins", 32)) <= MOST_BINS  # noqa: PLR2004
        and int(params.get("minInstancesPerNode", 1)) >= 1
        and 0 < float(params.get("stepSize", 0.1)) <= 1
    )


def _learner(trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> Any:
    formatted = format_trial(trial, prepared.facts, FEATURES)
    context = BuildContext(
        problem=task.problem,
        width=prepared.facts.width,
        class_count=task.class_count,
        seed=task.seed,
    )
    return build_estimator(trial.info, formatted.params, context)


def growth_of(trial: PlannedTrial, task: TrialTask) -> Growth:
    """Return how the boosted trees of a trial grow."""
    return Growth(
        problem=task.problem,
        trees=int(setting(trial, "maxIter")),
        depth=int(setting(trial, "maxDepth")),
        step=float(trial.params.get("stepSize", 0.1)),
        min_rows=int(trial.params.get("minInstancesPerNode", 1)),
        min_gain=float(setting(trial, "minInfoGain")),
        values=task.values,
    )


def in_tasks(
    prepared: Prepared, cases: Sequence[Case], grow: Callable[[Block], Grown]
) -> list[Grown]:
    """Grow one model on each fold, each in a task of one job. Jobs: one."""
    context = prepared.train.sparkSession.sparkContext
    blocks = [case.block for case in cases]
    numbers = context.parallelize(range(len(blocks)), len(blocks))

    def in_task(at: int) -> Grown:
        keep_archives_read()
        return grow(blocks[at].value)

    found: list[Grown] = numbers.map(in_task).collect()
    return found


def converted(
    trial: PlannedTrial,
    prepared: Prepared,
    case: Case,
    trees: Sequence[Any],
    task: TrialTask,
) -> Callable[[], FittedTrial]:
    """Return what makes a model of MLlib of boosted trees."""

    def make() -> FittedTrial:
        learner: Estimator[Any] = _learner(trial, prepared, task)
        name = "GBTClassificationModel" if task.problem == "binary" else "GBTRegressionModel"
        step = float(trial.params.get("stepSize", 0.1))
        model = build_model(
            learner,
            name,
            [nodes_of(tree, case.thresholds) for tree in trees],
            slots=prepared.facts.width,
            weights=[1.0, *[step] * (len(trees) - 1)],
        )
        return FittedTrial((model, *prepared.post), ())

    return make
