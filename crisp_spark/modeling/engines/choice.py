"""Which engines a sweep has, the most economical first, and what they are told of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crisp_spark.errors import SpecError
from crisp_spark.modeling.engines.binned import BinnedFolds
from crisp_spark.modeling.engines.histogram import HistogramEngine, check_installed
from crisp_spark.modeling.engines.histogram_forest import HistogramForestEngine
from crisp_spark.modeling.engines.histogram_proved import ProvedEngine
from crisp_spark.modeling.engines.library import LibraryEngine
from crisp_spark.modeling.engines.linear import LinearEngine
from crisp_spark.modeling.engines.memory import task_megabytes
from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.engines.sharing import ForestPrefixEngine, SharingEngine
from crisp_spark.modeling.groups import Engine, SweepData, Work
from crisp_spark.modeling.installed import missing_libraries

if TYPE_CHECKING:
    from crisp_spark.spec.modeling import ModelingSpec

HISTOGRAM_KINDS = frozenset({"gradient_boosting", "random_forest", "decision_tree"})
"""Families that ``mode: fast`` grows on bins."""


def engines_for(spec: ModelingSpec) -> tuple[Engine, ...]:
    """Return the engines of a sweep; the last one takes whatever the others leave.

    Raises:
        SpecError: A package is missing: a family's, or that of ``mode: fast`` for boosted trees.
    """
    missing = missing_libraries(spec)
    if missing:
        raise SpecError(missing[0], faults=missing[1:])
    bins = BinnedFolds()
    exact: tuple[Engine, ...] = (
        LibraryEngine(),
        ProvedEngine(bins),
        LinearEngine("least_squares", "moments"),
        LinearEngine("logistic", "newton"),
        SharingEngine(),
        PlainEngine(),
    )
    if spec.search.mode == "exact":
        return exact
    # Without families, every learner of the problem is tried.
    if not spec.families or any(one.kind in HISTOGRAM_KINDS for one in spec.families):
        check_installed()
    return (HistogramEngine(bins), HistogramForestEngine(bins), ForestPrefixEngine(), *exact)


def measured(work: Work, spec: ModelingSpec) -> SweepData:
    """Return what engines decide by, from the prepared folds. Jobs: those of preparing them."""
    folds = work.preparation.all_folds(work.folds, work.task.parallelism) if work.folds else []
    session = folds[0].train.sparkSession if folds else None
    return SweepData(
        problem=work.task.problem,
        class_count=work.task.class_count,
        rows=max((fold.train_rows + fold.validation_rows for fold in folds), default=0),
        slots=max((fold.facts.width for fold in folds), default=0),
        arity=max((fold.facts.arity for fold in folds), default=0),
        weighted=any(fold.weights for fold in folds),
        folds=len(folds),
        mode=spec.search.mode,
        cores=session.sparkContext.defaultParallelism if session else 1,
        task_mb=task_megabytes(session) if session else 0.0,
    )
