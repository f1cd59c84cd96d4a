"""Wires the sweep: training rows to the winner and its out-of-fold scores."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crisp_spark.results.sweep import SweepResult, TrialResult
from crisp_spark.run.spending import cost_so_far, cost_watch
from crisp_spark.run.steprun import Note, Outcome, StepProgress, StepRun
from crisp_spark.spec.lineage import outcome_columns, row_local_expressions
from crisp_spark.spec.modeling import BaselineRule

if TYPE_CHECKING:
    from crisp_spark.modeling.features import FeaturePlan
    from crisp_spark.modeling.planning import SweepProgress
    from crisp_spark.tracking.tracker import Trial

logger = logging.getLogger(__name__)

_BEST_RUNS = 10
"""Best trials that get a run of their own in the tracker, however many trials there are."""


def sweep(run: StepRun) -> Outcome:
    """Try the declared learners, fit the winner on all training rows, score out of fold."""
    from crisp_spark.modeling.planning import SweepTask
    from crisp_spark.modeling.sweep import run_sweep

    spec, goal = run.spec, run.spec.business.mining_goal
    finished = dict(run.journal())
    main = spec.modeling.metric_info(goal.problem).name

    def keep(key: str, trial: TrialResult) -> None:
        if not trial.resumed:
            run.record(key, trial.model_dump(mode="json"))
        run.tracker.trial(trial_record(trial, main))

    outcome = run_sweep(
        run.read("train"),
        SweepTask(
            spec=spec.modeling,
            goal=goal,
            features=feature_plan(run),
            key=goal.key or tuple(spec.preparation.split.key),
            seed=spec.project.seed,
            partitions=spec.project.partitions_of(run.rows("train")),
            unit=tuple(spec.preparation.split.group),
            expanding=spec.preparation.split.kind == "time",
            values=spec.business.outcome_values,
            rules=_rules(run),
            finished=finished,
            on_trial=keep,
            must_stop=cost_watch(run),
            on_round=run.record,
            on_progress=_teller(run),
        ),
    )
    try:
        run.write("validation", outcome.validation)
        run.write_model("model", outcome.model)
    finally:
        outcome.release()
    result = _with_unlabelled(outcome.result, run.rows("train"))
    for trial in _best(result):
        run.tracker.trial(trial_record(trial, result.metric), own_run=True)
    run.tracker.params({"winner": result.winner.trial, **result.winner.params})
    return Outcome(result, _notes(result), _metrics(result))


def _teller(run: StepRun) -> Callable[[SweepProgress], None]:
    """Return a function that tells a person, the log and the tracker how far the sweep is."""
    cost, cap = cost_so_far(run), run.spec.business.max_cost_usd

    def tell(now: SweepProgress) -> None:
        spent = cost() if cost is not None else None
        words = list[str]()
        if now.failed:
            words.append(f"{now.failed} failed")
        if now.best is not None:
            words.append(f"best {now.metric} {now.best:.4g} ({now.best_trial})")
        if now.left is not None:
            words.append(f"about {_duration(now.left)} left")
        if spent is not None:
            words.append(f"{spent:.2f} USD" + (f" of {cap:g}" if cap is not None else ""))
        logger.info("sweep %d/%d %s", now.done, now.planned, ", ".join(words))
        run.progress(StepProgress(now.done, now.planned, ", ".join(words)))
        live = {
            "trials_done": float(now.done),
            "trials_failed": float(now.failed),
            "trials_planned": float(now.planned),
            f"best.{now.metric}": now.best,
            "seconds_left": now.left,
            "cost_usd": spent,
        }
        found = {name: value for name, value in live.items() if value is not None}
        run.tracker.live(found, now.done)

    return tell


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def _best(result: SweepResult) -> list[TrialResult]:
    sign = -1.0 if result.higher_is_better else 1.0
    full = [t for t in result.trials if t.metric is not None and t.share >= 1]
    return sorted(full, key=lambda trial: sign * (trial.metric or 0.0))[:_BEST_RUNS]


def _with_unlabelled(result: SweepResult, rows: int) -> SweepResult:
    """Add a warning about training rows without a label."""
    left = rows - result.train_rows
    if left <= 0:
        return result
    words = f"{left} of {rows} training rows have no label and were left out"
    return result.model_copy(update={"warnings": [*result.warnings, words]})


def feature_plan(run: StepRun) -> FeaturePlan:
    """Say what may become a feature, from the project file alone."""
    from crisp_spark.modeling.features import FeaturePlan

    spec, goal = run.spec, run.spec.business.mining_goal
    excluded = dict(outcome_columns(spec.data, spec.preparation, goal))
    excluded |= {name: "it names the user or the item" for name in (goal.user, goal.item) if name}
    keys = dict.fromkeys(
        goal.key or spec.preparation.split.key,
        "it is part of the key; a feature operation that names it takes it in",
    )
    return FeaturePlan(
        ops=spec.preparation.features,
        derived=row_local_expressions(spec.preparation, goal),
        excluded=excluded,
        optional=keys,
        patterns=spec.preparation.exclude,
    )


def _rules(run: StepRun) -> list[BaselineRule]:
    """Return the declared baselines, and the rule that the business follows today."""
    rules = list(run.spec.modeling.baselines)
    today = run.spec.business.current_rule
    if today is None:
        return rules
    # The name becomes part of a column's name.
    name = re.sub(r"\W", "_", today.name, flags=re.ASCII).lstrip("_0123456789") or "current_rule"
    if all(rule.name != name for rule in rules):
        words = today.statement or "how the business decides today"
        rules.append(BaselineRule(name=name, rule=today.expression, doc=words))
    return rules


def trial_record(trial: TrialResult, main: str) -> Trial:
    """Return a trial as the tracker wants it; ``main`` is the metric that decides."""
    from crisp_spark.tracking.tracker import Trial

    folds = {
        f"fold_{number}": value
        for number, value in enumerate(trial.fold_metrics)
        if value is not None
    }
    metrics = {name: value for name, value in trial.metrics.items() if value is not None}
    tags = {"crisp.status": trial.status, "crisp.family": trial.family}
    if trial.error:
        tags["crisp.error"] = trial.error
    if trial.resumed:
        tags["crisp.resumed"] = "true"
    if trial.share < 1:
        tags["crisp.share"] = f"{trial.share:.3g}"
    params: dict[str, Any] = {"family": trial.family, **trial.params}
    return Trial(
        name=trial.name,
        params=params,
        metrics={**metrics, **folds, "seconds": trial.seconds},
        tags=tags,
        failed=trial.status == "failed",
        started_ms=trial.started_ms,
        ended_ms=trial.started_ms + int(trial.seconds * 1000),
        main=main,
    )


def _notes(result: SweepResult) -> list[Note]:
    winner = result.winner
    settings = ", ".join(f"{name} {value}" for name, value in winner.params.items())
    spread = f" +- {winner.std:.4f}" if winner.std is not None else ""
    notes = [
        Note(
            f"{winner.title} ({settings or 'defaults'}) wins {len(result.trials)} trials: "
            f"{result.metric} {winner.metric:.4f}{spread}"
        )
    ]
    if result.plan.resumed:
        notes.append(Note(f"{result.plan.resumed} trials taken over from an interrupted attempt"))
    return [*notes, *(Note(text, "warning") for text in result.warnings)]


def _metrics(result: SweepResult) -> dict[str, float]:
    found = {
        f"winner.{result.metric}": result.winner.metric,
        "trials": float(len(result.trials)),
        "failed_trials": float(sum(trial.status == "failed" for trial in result.trials)),
    }
    for baseline in result.baselines:
        value = baseline.metrics.get(result.metric)
        if value is not None:
            found[f"baseline.{baseline.name}.{result.metric}"] = value
    return found
