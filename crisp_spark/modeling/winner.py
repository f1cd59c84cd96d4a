"""The winner: chosen among trials, fitted on all training rows, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml import PipelineModel

from crisp_spark.errors import ModelError
from crisp_spark.modeling.labels import SCORE, score_frame
from crisp_spark.results.sweep import FeatureResult, FeatureWeight, TrialResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.features import FittedFeatures
    from crisp_spark.modeling.folds import FoldPlan
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.trials import FittedTrial

_MOST_WEIGHTS = 100
_MOST_SLOT_NAMES = 200


def choose_winner(
    trials: Sequence[TrialResult], *, higher_is_better: bool, one_standard_error: bool
) -> tuple[TrialResult, str]:
    """Return the best trial and why; of equals the simpler, then the earlier one wins.

    Raises:
        ModelError: Every trial failed.
    """
    sign = 1.0 if higher_is_better else -1.0
    usable = [(t.metric, t) for t in trials if t.status == "finished" and t.metric is not None]
    if usable:
        # Trials of early rungs are told apart by less; one of them wins only where none went on.
        top = max(trial.share for _, trial in usable)
        usable = [entry for entry in usable if entry[1].share == top]
    if not usable:
        failed = [trial for trial in trials if trial.error]
        errors = list(dict.fromkeys(f"{t.family}: {t.error.splitlines()[0]}" for t in failed))
        raise ModelError(
            f"modeling: none of {len(trials)} trials could be fitted",
            hint="; ".join(errors[:3]),
        )

    def rank(entry: tuple[float, TrialResult]) -> tuple[float, float]:
        # Differences below a millionth of a millionth are rounding, not quality.
        return -round(sign * entry[0], 12), entry[1].complexity

    value, best = min(usable, key=rank)
    words = f"best mean over {len(best.fold_metrics)} folds among {len(usable)} trials"
    if not one_standard_error or best.std is None:
        return best, words
    reach = best.std / sqrt(len(best.fold_metrics))
    near = [entry for entry in usable if sign * (value - entry[0]) <= reach]
    simplest = min(near, key=lambda entry: (entry[1].complexity, rank(entry)))[1]
    if simplest.name == best.name:
        return best, f"{words}; no simpler one within one standard error ({reach:.4g})"
    return simplest, (
        f"simplest of {len(near)} trials within one standard error ({reach:.4g}) of {best.name}"
    )


def pipeline(prepared: Prepared, fitted: FittedTrial) -> PipelineModel:
    """Return the whole path from a merged row to the prediction, stock stages only."""
    return PipelineModel([*prepared.stages, *fitted.stages])


def out_of_fold(
    rows: DataFrame,
    models: Mapping[int, tuple[Prepared, FittedTrial]],
    folds: Sequence[FoldPlan],
    problem: str,
) -> DataFrame:
    """Score every validated row by the model that has not seen it.

    Rows: those of validated folds. Adds: scores. Drops: nothing. Jobs: none.
    """
    parts = [
        score_frame(
            pipeline(*models[plan.fold]),
            rows.where(plan.validation_rows()),
            problem,
            keep_features=problem == "clustering",
        )
        for plan in folds
    ]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.unionByName(part)
    if SCORE not in joined.columns:
        raise ModelError("modeling: the winner gave no scores")
    return joined


def describe_features(fitted: FittedFeatures) -> list[FeatureResult]:
    """Return the features in the order of the vector."""
    found, start = [], 0
    for feature in fitted.features:
        found.append(
            FeatureResult(
                name=feature.name,
                source_columns=list(feature.sources),
                kind="categorical" if feature.arity else _plain_kind(feature.kind),
                transforms=list(feature.transforms),
                slots=feature.width,
                first_slot=start,
                slot_names=list(feature.slots[:_MOST_SLOT_NAMES]),
                automatic=feature.automatic,
                missing=feature.missing,
                not_numbers=feature.not_numbers,
            )
        )
        start += feature.width
    return found


def _plain_kind(kind: str) -> Any:
    return kind if kind in ("numeric", "flag", "vector") else "categorical"


def describe_model(
    model: PipelineModel, fitted: FittedFeatures | None
) -> tuple[list[str], list[FeatureWeight], str]:
    """Return the model in words, its weights by slot, and what the weights are."""
    learner: Any = _learner(model)
    facts = [f"{len(model.stages)} stages, all of Spark ML"]
    facts += _facts(learner)
    slots = fitted.slot_names() if fitted is not None else []
    values, kind = _weights(learner)
    if values is None or len(values) != len(slots):
        return facts, [], ""
    order = sorted(range(len(values)), key=lambda at: (-abs(values[at]), at))
    weights = [
        FeatureWeight(feature=slots[at][0], slot=slots[at][1], value=float(values[at]))
        for at in order[:_MOST_WEIGHTS]
        if values[at] != 0
    ]
    return facts, weights, kind


def _learner(model: PipelineModel) -> Any:
    """Return the last stage that is a model of rows, not of SQL."""
    return next(
        stage
        for stage in reversed(model.stages)
        if type(stage).__name__ not in ("SQLTransformer", "VectorAssembler")
    )


def _facts(learner: Any) -> list[str]:
    found = [type(learner).__name__]
    trees = getattr(learner, "trees", None)
    if trees is not None:
        depth = max((tree.depth for tree in trees), default=0)
        nodes = sum(tree.numNodes for tree in trees)
        found.append(f"{len(trees)} trees, {nodes} nodes, depth up to {depth}")
    elif hasattr(learner, "numNodes"):
        found.append(f"{learner.numNodes} nodes, depth {learner.depth}")
    values, kind = _weights(learner)
    if kind == "coefficient" and values is not None:
        zero = int((np.asarray(values) == 0).sum())
        found.append(f"{len(values)} coefficients, {zero} of them 0")
    if hasattr(learner, "numClasses"):
        found.append(f"{learner.numClasses} classes")
    if hasattr(learner, "rank") and isinstance(learner.rank, int):
        found.append(f"rank {learner.rank}")
    return found


def _weights(learner: Any) -> tuple[Any, str]:
    if hasattr(learner, "featureImportances"):
        return learner.featureImportances.toArray(), "importance"
    matrix = getattr(learner, "coefficientMatrix", None)
    if matrix is not None:
        rows = matrix.toArray()
        # For several classes: the largest weight in any of them.
        return (rows[0] if rows.shape[0] == 1 else np.abs(rows).max(axis=0)), "coefficient"
    coefficients = getattr(learner, "coefficients", None)
    if coefficients is not None and hasattr(coefficients, "toArray"):
        return coefficients.toArray(), "coefficient"
    return None, ""
