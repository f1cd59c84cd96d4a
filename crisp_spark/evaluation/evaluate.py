"""The whole evaluation: scored splits in, one result out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crisp_spark.errors import DataError
from crisp_spark.evaluation.clusters import collect_clustered, describe_clusters
from crisp_spark.evaluation.collecting import Wanted, collect_rows, with_exact_counts
from crisp_spark.evaluation.comparing import (
    compare_baselines,
    compare_splits,
    measure_criteria,
)
from crisp_spark.evaluation.describing import describe_split
from crisp_spark.evaluation.estimates import METHODS
from crisp_spark.evaluation.explaining import Subject, explain_model
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.names import IN_USE
from crisp_spark.evaluation.readings import read_out, wording_of
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.evaluation.slices import find_slices, target_groups
from crisp_spark.evaluation.task import Split, Task, slice_columns
from crisp_spark.evaluation.threshold import (
    ThresholdTask,
    best_threshold,
    capacity_share,
    choose_threshold,
    resolved_rule,
)
from crisp_spark.results.evaluate import EvaluateResult, RankingPart, ThresholdChoice

_EXPLAINED = ("binary", "multiclass", "regression")
_ORDER = ("train", "validation", "test", "later")


def collect_splits(splits: Mapping[str, Split], task: Task) -> dict[str, ScoredRows]:
    """Bring all splits to the driver.

    Rows: all, or samples. Adds: nothing. Drops: nothing. Jobs: one per split.
    """
    goal, found = task.business.mining_goal, {}
    for name in _ORDER:
        if name not in splits:
            continue
        split = splits[name]
        wanted = Wanted(
            split=name,
            total_rows=split.rows,
            problem=task.problem,
            slices=slice_columns(task, name),
            key=[key for key in goal.key if key in split.frame.columns],
            seed=task.seed,
            max_rows=task.spec.max_rows,
            user=goal.user if task.problem == "recommendation" else None,
        )
        if task.problem == "clustering":
            found[name] = collect_clustered(split.frame, wanted, task.width)
        else:
            found[name] = collect_rows(split.frame, wanted)
    return found


def _threshold_rows(rows: Mapping[str, ScoredRows]) -> ScoredRows:
    """Rows to choose a threshold on: out-of-fold rows; never test rows."""
    for name in ("validation", "train"):
        if name in rows and rows[name].size:
            return rows[name]
    raise DataError(
        "evaluate: no labelled validation or training rows to choose a threshold on",
        hint="check the population and the split",
    )


def judge_for(rows: Mapping[str, ScoredRows], task: Task) -> tuple[Judge, ThresholdChoice | None]:
    """Fix everything that judging needs, the threshold first of all (binary)."""
    values = task.business.outcome_values
    facts: dict[str, Any] = {
        "problem": task.problem,
        "confidence": task.spec.confidence,
        "values": values,
        "class_count": max(2, len(task.classes)),
        "top_k": task.spec.top_k,
        "relevant_from": _relevant_from(rows, task),
        "probabilities": task.probabilities,
    }
    if task.problem != "binary":
        return Judge(**facts), None
    known = _threshold_rows(rows)
    limits = ThresholdTask(
        by=resolved_rule(task.spec.threshold, values),
        spec=task.spec.threshold,
        values=values,
        capacity=capacity_share(
            task.spec.threshold, rows["test"].total_rows if "test" in rows else known.total_rows
        ),
        seed=task.seed,
        resamples=task.spec.bootstrap,
        confidence=task.spec.confidence,
        points=task.spec.curve_points,
    )
    choice = choose_threshold(known.label, known.score, limits, chosen_on=known.split)
    fair = {
        name: best_threshold(known.label, score, limits) for name, score in known.baselines.items()
    }
    if task.threshold_in_use is not None:
        fair[IN_USE] = task.threshold_in_use
    return Judge(**facts, threshold=choice.value, baseline_thresholds=fair), choice


def _relevant_from(rows: Mapping[str, ScoredRows], task: Task) -> float:
    if task.spec.relevant_from is not None:
        return task.spec.relevant_from
    known = next((rows[name] for name in ("train", "validation", "test") if name in rows), None)
    return float(np.mean(known.label)) if known is not None and known.size else 0.0


def judge_rows(
    rows: Mapping[str, ScoredRows], judge: Judge, task: Task, threshold: ThresholdChoice | None
) -> EvaluateResult:
    """Put everything together that needs no further look at the data."""
    spec, goal = task.spec, task.business.mining_goal
    described = {
        name: describe_split(part, judge, classes=task.classes, points=spec.curve_points)
        for name, part in rows.items()
    }
    test = rows.get("test")
    judged = [rows[name] for name in ("test", "later") if name in rows]
    searches: dict[str, Any] = {
        "declared": task.slices,
        "searched": task.searched,
        "spec": spec.slice_search,
    }
    extra: dict[str, Any] = {}
    if test is not None and task.problem == "binary":
        extra["readings"] = read_out(judged, judge, wording_of(goal), slices=task.slices)
        extra["target_groups"] = target_groups(test, judge, **searches)
    if test is not None and task.problem == "clustering":
        extra["clusters"] = describe_clusters(test)
    if test is not None and task.problem == "recommendation":
        extra["ranking"] = _ranking(test, judge)
    comparisons = [item for part in judged for item in compare_baselines(part, judge)]
    return EvaluateResult(
        problem=task.problem,
        unit=goal.unit_of_prediction or "one row",
        currency=judge.values.currency if judge.values else "",
        classes=list(task.classes),
        main_metric=task.metric,
        confidence=spec.confidence,
        bootstrap=spec.bootstrap,
        seed=task.seed,
        splits=described,
        threshold=threshold,
        slices=find_slices(test, judge, **searches) if test is not None else None,
        comparisons=comparisons,
        stability=compare_splits(described),
        measured=measure_criteria(task.business.criteria, rows, judge),
        methods=METHODS,
        notes=_notes(rows, threshold),
        **extra,
    )


def _ranking(rows: ScoredRows, judge: Judge) -> RankingPart:
    relevant = rows.label >= judge.relevant_from
    users = np.unique(rows.user[relevant]).size if rows.user is not None else 0
    return RankingPart(
        k=judge.top_k,
        users=int(users),
        relevant_from=judge.relevant_from,
        note="Only items that a user has rated are ranked; what was never rated is not judged.",
    )


def _notes(rows: Mapping[str, ScoredRows], threshold: ThresholdChoice | None) -> list[str]:
    notes = []
    for name, part in rows.items():
        if part.read_rows < part.total_rows:
            notes.append(
                f"{name}: figures rest on a sample by hash of {part.read_rows:,} of "
                f"{part.total_rows:,} rows; the confusion matrix counts all rows."
            )
        unlabelled = part.read_rows - part.size
        if unlabelled:
            notes.append(f"{name}: {unlabelled:,} rows without a label or a score are left out.")
    if threshold is not None and threshold.chosen_on != "validation":
        notes.append(
            "There are no out-of-fold rows: the threshold was chosen on training rows and flatters."
        )
    return notes


def evaluate_model(splits: Mapping[str, Split], task: Task, predict: Any = None) -> EvaluateResult:
    """Evaluate a model on its scored splits.

    Args:
        splits: train, validation, test and, where there is one, later.
        task: What to evaluate, and how.
        predict: Scores rows (``_crisp_score``, ``_crisp_prediction``), for explanations; without
            it there are none.

    Rows: all, or samples. Adds: nothing. Drops: nothing. Jobs: one per split, and five for
    explanations, whatever the number of columns.
    """
    rows = collect_splits(splits, task)
    judge, threshold = judge_for(rows, task)
    if threshold is not None:
        rows = {
            name: with_exact_counts(part, splits[name].frame, threshold.value)
            for name, part in rows.items()
        }
    result = judge_rows(rows, judge, task, threshold)
    test = splits.get("test")
    usable = task.problem in _EXPLAINED and task.spec.importance.enabled and bool(task.columns)
    if predict is None or test is None or not rows["test"].size or not usable:
        return result
    subject = Subject(
        frame=test.frame,
        total_rows=test.rows,
        columns=task.columns,
        key=[key for key in task.business.mining_goal.key if key in test.frame.columns],
        predict=predict,
        metric=task.metric,
        private=task.private,
    )
    explained = explain_model(subject, judge, task.spec, task.seed)
    return result.model_copy(
        update={
            "importance": explained.importance,
            "partial_dependence": explained.dependence,
            "robustness": explained.robustness,
            "notes": [*result.notes, *explained.notes],
        }
    )
