"""Puts together the record of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from crisp_spark.modeling.assumptions import check_assumptions, stability_assumption
from crisp_spark.modeling.findings import (
    fold_spread,
    frontier,
    importances,
    next_steps,
    seed_spread,
)
from crisp_spark.modeling.leakage import VectorSample, leakage_warnings, sample_vectors
from crisp_spark.modeling.rounds import regret_words
from crisp_spark.modeling.winner import describe_features, describe_model
from crisp_spark.results.findings import SweepFindings
from crisp_spark.results.sweep import (
    BaselineResult,
    ExcludedColumn,
    FamilyResult,
    FoldResult,
    Plan,
    SweepResult,
    TrialResult,
    Winner,
)

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel

    from crisp_spark.modeling.executing import Executed
    from crisp_spark.modeling.folds import FoldCounts
    from crisp_spark.modeling.metrics import Floats
    from crisp_spark.modeling.planning import SweepPlan, SweepTask
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.modeling.trials import FittedTrial
    from crisp_spark.spec.estimators import EstimatorInfo

_MOST_NOTES = 20


@dataclass(frozen=True)
class SweepFacts:
    """Everything that the record tells.

    Attributes:
        task: What the sweep was told.
        plan: What was planned.
        executed: What came of it.
        classes: Class names.
        counts: Training rows by fold and label.
        trial: The winner's point.
        best: The winner's record.
        reason: Why it won.
        final: Vectors of the final fit.
        notes: Fixes made for the final fit.
        models: Vectors and fitted stages of each fold.
        baselines: Rules to beat.
        model: The final pipeline.
        share: Share of the training rows that trials were fitted on.
        final_seconds: Time of the final fit.
        seconds: Time of all.
        stability: Clustering: agreement of the models of different folds.
    """

    task: SweepTask
    plan: SweepPlan
    executed: Executed
    classes: Sequence[str]
    counts: FoldCounts
    trial: PlannedTrial
    best: TrialResult
    reason: str
    final: Prepared
    notes: Sequence[str]
    models: Mapping[int, tuple[Prepared, FittedTrial]]
    baselines: Sequence[BaselineResult]
    model: PipelineModel
    share: float
    final_seconds: float
    seconds: float
    stability: float | None = None


def build_result(facts: SweepFacts) -> SweepResult:
    """Return the record. Jobs: one, for the guard against leaks."""
    task, fitted = facts.task, facts.final.fitted
    trials, problem = facts.executed.trials, facts.task.goal.problem
    features = () if fitted is None else fitted.features
    rows = facts.final.train_rows
    sample = sample_vectors(facts.final.train, features, problem=problem, rows=rows)
    limit = task.spec.leakage_limit
    warnings = leakage_warnings(sample, features, problem=problem, limit=limit)
    return SweepResult(
        problem=task.goal.problem,
        classes=list(facts.classes),
        metric=facts.plan.metric.name,
        higher_is_better=facts.plan.metric.higher_is_better,
        train_rows=facts.final.train_rows,
        plan=_plan(facts),
        folds=[_fold(fold, facts.models[fold][0]) for fold in sorted(facts.models)],
        families=_families(facts.plan.trials, trials, facts.plan.metric.higher_is_better),
        trials=list(trials),
        winner=_winner(facts),
        baselines=list(facts.baselines),
        features=[] if fitted is None else describe_features(fitted),
        excluded=[]
        if fitted is None
        else [ExcludedColumn(column=name, reason=why) for name, why in fitted.excluded.items()],
        model_columns=_model_columns(facts),
        warnings=[*warnings, *_other_warnings(facts)],
        seconds=round(facts.seconds, 3),
        findings=_findings(facts, sample),
    )


def _findings(facts: SweepFacts, sample: VectorSample | None) -> SweepFindings:
    trials, higher = facts.executed.trials, facts.plan.metric.higher_is_better
    families = {trial.family.label: trial.family for trial in facts.plan.trials}
    counts = facts.final.facts.class_counts or {}
    names = dict(enumerate(facts.classes))
    checked = check_assumptions(
        facts.trial.info.kind,
        facts.best,
        _plain_numbers(facts, sample),
        {names.get(int(label), str(label)): count for label, count in counts.items()},
        slots=facts.final.facts.width,
    )
    return SweepFindings(
        importances=importances(trials, higher_is_better=higher),
        frontier=frontier(trials, higher_is_better=higher),
        fold_std=fold_spread(trials),
        seed_std=seed_spread(trials),
        stability=facts.stability,
        assumptions=[*checked, *stability_assumption(facts.stability)],
        next_steps=next_steps(
            trials,
            facts.best,
            families,
            higher_is_better=higher,
            stopped=facts.executed.stopped,
        ),
    )


def _plain_numbers(
    facts: SweepFacts, sample: VectorSample | None
) -> tuple[Floats, Sequence[str]] | None:
    """Return sampled values of features of one place: the places of one-hot always sum to one."""
    if sample is None or facts.final.fitted is None:
        return None
    slots, start = dict[int, str](), 0
    for feature in facts.final.fitted.features:
        if feature.kind != "vector":
            slots[start] = feature.name
        start += feature.width
    chosen = [at for at, place in enumerate(sample.places) if place in slots]
    return sample.cells[:, chosen], [slots[sample.places[at]] for at in chosen]


def _plan(facts: SweepFacts) -> Plan:
    trials = facts.executed.trials
    spec, share = facts.task.spec, facts.share
    by_name = {trial.name: trial for trial in trials}
    keyed = {p.key: by_name[p.name] for p in facts.plan.trials if p.name in by_name}
    rungs = facts.plan.search.rungs(keyed)
    resumed = sum(trial.resumed for trial in trials)
    stopped = facts.executed.stopped
    if facts.plan.left_out and not stopped:
        stopped = f"budget of {spec.budget.max_trials} trials: {facts.plan.left_out} were left out"
    names = dict(enumerate(facts.classes))
    return Plan(
        search=spec.search.kind,
        mode=spec.search.mode,
        planned=len(facts.plan.trials) + facts.plan.left_out,
        run=len(trials) - resumed,
        resumed=resumed,
        left_out=len(facts.plan.trials) + facts.plan.left_out - len(trials),
        stopped=stopped,
        rows=round(share * facts.counts.total) if share < 1 else None,
        validation=facts.task.validation,
        partitions=facts.task.partitions,
        class_weights={
            names.get(int(label), str(label)): weight
            for label, weight in facts.final.weights.items()
        },
        rungs=rungs,
        regret=regret_words(rungs),
    )


def _fold(fold: int, prepared: Prepared) -> FoldResult:
    return FoldResult(
        fold=fold,
        train_rows=prepared.train_rows,
        validation_rows=prepared.validation_rows,
        features=prepared.facts.width,
        seconds=prepared.seconds,
    )


def _families(
    planned: Sequence[PlannedTrial], trials: Sequence[TrialResult], higher_is_better: bool
) -> list[FamilyResult]:
    infos: dict[str, EstimatorInfo] = {trial.family.label: trial.info for trial in planned}
    pick = max if higher_is_better else min
    found = []
    for name, info in infos.items():
        own = [trial for trial in trials if trial.family == name]
        metrics = [t.metric for t in own if t.metric is not None and t.share >= 1]
        notes = dict.fromkeys(note for trial in own for note in trial.notes)
        found.append(
            FamilyResult(
                name=name,
                kind=info.kind,
                title=info.title,
                trials=len(own),
                failed=sum(trial.status == "failed" for trial in own),
                best_metric=pick(metrics) if metrics else None,
                seconds=round(sum(trial.seconds for trial in own), 3),
                notes=list(notes)[:_MOST_NOTES],
            )
        )
    return found


def _winner(facts: SweepFacts) -> Winner:
    words, weights, kind = describe_model(facts.model, facts.final.fitted)
    info, best = facts.trial.info, facts.best
    weight_kind: Literal["importance", "coefficient", ""] = (
        "importance" if kind == "importance" else "coefficient" if kind else ""
    )
    values: dict[str, Any] = dict(best.params)
    return Winner(
        trial=best.name,
        family=best.family,
        title=info.title,
        params=values,
        metric=best.metric if best.metric is not None else 0.0,
        std=best.std,
        reason=facts.reason,
        rows=facts.final.train_rows,
        seconds=round(facts.final_seconds, 3),
        score_is_probability=info.probabilities and facts.task.goal.problem != "regression",
        facts=[*words, *facts.notes],
        weights=weights,
        weight_kind=weight_kind,
    )


def _model_columns(facts: SweepFacts) -> list[str]:
    if facts.final.fitted is not None:
        return list(facts.final.fitted.model_columns)
    goal = facts.task.goal
    return [name for name in (goal.user, goal.item) if name is not None]


def _other_warnings(facts: SweepFacts) -> list[str]:
    found = list[str]()
    if facts.final.fitted is not None:
        found += facts.final.fitted.notes
        constant = facts.final.facts.constant
        if constant:
            found.append(f"constant on the training rows: {', '.join(constant[:_MOST_NOTES])}")
    failed = [trial for trial in facts.executed.trials if trial.status == "failed"]
    if failed:
        found.append(f"{len(failed)} trials failed; the first: {failed[0].error.splitlines()[0]}")
    if facts.executed.stopped:
        found.append(facts.executed.stopped)
    if facts.share < 1 and not facts.task.spec.refit_folds:
        rows = round(facts.share * facts.counts.total)
        found.append(
            f"out-of-fold scores come from models fitted on a sample of {rows} rows; "
            "the final model is fitted on all"
        )
    better = [b.name for b in facts.baselines if _not_beaten(facts, b)]
    if better:
        found.append(f"the winner does not beat the baseline {', '.join(better)}")
    return found


def _not_beaten(facts: SweepFacts, baseline: BaselineResult) -> bool:
    value, own = baseline.metrics.get(facts.plan.metric.name), facts.best.metric
    if value is None or own is None:
        return False
    return own <= value if facts.plan.metric.higher_is_better else own >= value
