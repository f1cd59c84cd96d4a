"""Carries out a plan, group by group, on folds that were prepared once."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.choice import measured
from crisp_spark.modeling.engines.plain import PLAIN, PlainEngine
from crisp_spark.modeling.groups import Engine, FitGroup, Work, plan_groups
from crisp_spark.modeling.planning import SweepPlan, SweepTask
from crisp_spark.modeling.search import PlannedTrial
from crisp_spark.modeling.trials import FittedTrial, TrialOutcome, error_text, spark_is_gone
from crisp_spark.results.sweep import TrialResult

if TYPE_CHECKING:
    from crisp_spark.modeling.preparing import Prepared

logger = logging.getLogger(__name__)


@dataclass
class Executed:
    """Trials carried out, and the fitted folds of the best one so far."""

    trials: list[TrialResult]
    models: dict[str, Mapping[int, FittedTrial]]
    stopped: str = ""
    best: float = field(default=float("-inf"))

    def add(self, outcome: TrialOutcome, *, higher_is_better: bool) -> None:
        """Add a trial. Only the best one's models are kept: a forest is large."""
        self.trials.append(outcome.result)
        if outcome.result.metric is None:
            return
        value = outcome.result.metric if higher_is_better else -outcome.result.metric
        if value > self.best:
            self.best = value
            self.models = {outcome.result.name: outcome.models} if outcome.models else {}


def carry_out(plan: SweepPlan, work: Work, task: SweepTask, engines: Sequence[Engine]) -> Executed:
    """Carry out the plan; each trial is reported as its group ends.

    Trials of the journal are taken over; failed ones are tried again. Every fold is prepared
    before the first trial, so that a fault in a feature operation stops the sweep at once.

    Args:
        plan: What is tried on which folds.
        work: Prepared folds and what every trial is told.
        task: What the sweep is told.
        engines: Engines, the most economical first.
    """
    executed, begun = Executed([], {}), time.monotonic()
    better = plan.metric.higher_is_better
    waiting = list[PlannedTrial]()
    for trial in plan.trials:
        known = task.finished.get(trial.key)
        if known is None or known.get("status") != "finished":
            waiting.append(trial)
            continue
        taken = TrialResult.model_validate({**known, "name": trial.name, "resumed": True})
        executed.add(TrialOutcome(taken, {}), higher_is_better=better)
        task.on_trial(trial.key, taken)
    data = measured(work, task.spec) if waiting else None
    groups = plan_groups(waiting, data, engines) if data else ()
    keys = {trial.name: trial.key for trial in waiting}
    named = {engine.name: engine for engine in engines}
    queue, reasons = deque(_batches(groups, named)), dict[str, str]()
    while queue:
        batch = queue.popleft()
        reason = _reason_to_stop(time.monotonic() - begun, task) if executed.trials else ""
        if reason:
            left = len(plan.trials) - len(executed.trials)
            executed.stopped = f"{reason}; {left} trials were not started"
            break
        engine = named[batch[0].engine]
        undone = {trial.name: trial for group in batch for trial in group.trials}
        for found in run_groups(batch, work, engine):
            outcome = _with_reason(found, reasons)
            undone.pop(outcome.result.name)
            executed.add(outcome, higher_is_better=better)
            task.on_trial(keys[outcome.result.name], outcome.result)
            logger.info("trial %s %s", outcome.result.name, outcome.result.status)
        if undone and data:
            reasons |= getattr(engine, "declined", {})
            behind = engines[engines.index(engine) + 1 :]
            more = plan_groups(tuple(undone.values()), data, behind)
            queue.extendleft(reversed(list(_batches(more, named))))
    _verify_finalists(executed, plan, work, task, engines)
    place = {trial.name: at for at, trial in enumerate(plan.trials)}
    executed.trials.sort(key=lambda trial: place[trial.name])
    return executed


def _with_reason(outcome: TrialOutcome, reasons: Mapping[str, str]) -> TrialOutcome:
    """Write into a record why an engine before this one declined the trial."""
    reason = reasons.get(outcome.result.name)
    if reason is None:
        return outcome
    update = {"notes": [*outcome.result.notes, f"{reason}: fitted by MLlib"]}
    return TrialOutcome(outcome.result.model_copy(update=update), outcome.models)


def _verify_finalists(
    executed: Executed, plan: SweepPlan, work: Work, task: SweepTask, engines: Sequence[Engine]
) -> None:
    """Fit the best trials again by MLlib until the best one is MLlib's own.

    Only where its engine gives models that are as good as MLlib's and not the same.
    """
    near = {engine.name for engine in engines if getattr(engine, "refit_finalists", False)}
    better, plain = plan.metric.higher_is_better, PlainEngine()
    for _ in range(task.spec.search.finalists if near else 0):
        known = [trial for trial in executed.trials if trial.metric is not None]
        if not known:
            return
        pick = max if better else min
        best = pick(known, key=lambda trial: trial.metric or 0.0)
        if best.engine not in near:
            return
        planned = next(trial for trial in plan.trials if trial.name == best.name)
        group = FitGroup(PLAIN, (planned,))
        (outcome,) = run_groups([group], work, plain)
        note = f"a finalist: {best.engine} gave {plan.metric.name} {best.metric:.6g}"
        update = {"notes": [*outcome.result.notes, note]}
        executed.trials.remove(best)
        executed.models.pop(best.name, None)
        verified = TrialOutcome(outcome.result.model_copy(update=update), outcome.models)
        executed.best = float("-inf")
        executed.add(verified, higher_is_better=better)


def _batches(
    groups: Sequence[FitGroup], engines: Mapping[str, Engine]
) -> Iterator[tuple[FitGroup, ...]]:
    """Cut groups into those that may run at the same time: neighbours of one engine."""
    for name, found in groupby(groups, key=lambda group: group.engine):
        own, size = tuple(found), max(1, engines[name].at_once)
        yield from (own[at : at + size] for at in range(0, len(own), size))


class _InterruptedError(Exception):
    """Ends a thread whose sweep has ended; nobody sees it."""


def run_groups(groups: Sequence[FitGroup], work: Work, engine: Engine) -> Iterator[TrialOutcome]:
    """Run groups of one engine at the same time; outcomes come as each group ends.

    A group whose engine fails is fitted trial by trial by MLlib, with a note; not so where this
    thread was interrupted meanwhile: jobs that were cancelled are no reason to fit anew.
    """
    ended = threading.Event()

    def one(group: FitGroup) -> Sequence[TrialOutcome]:
        return _marked(group, _run_or_fall_back(group, work, engine, ended))

    if len(groups) == 1:
        yield from one(groups[0])
        return
    with ThreadPoolExecutor(max_workers=len(groups)) as pool:
        try:
            for future in as_completed([pool.submit(one, group) for group in groups]):
                yield from future.result()
        except BaseException as error:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                # A fit may have begun between the signal, which cancels jobs, and this line.
                work.preparation.rows.sparkSession.sparkContext.cancelAllJobs()
            raise


def _run_or_fall_back(
    group: FitGroup, work: Work, engine: Engine, ended: threading.Event
) -> Sequence[TrialOutcome]:
    try:
        return engine.run(group, work)
    except Exception as error:
        if engine.name == PLAIN or ended.is_set() or spark_is_gone(work.preparation):
            raise
        note = f"{engine.name} could not fit it ({error_text(error)}): fitted by MLlib"
        logger.warning("%s: %s", group.trials[0].name, note)
    found = list[TrialOutcome]()
    for trial in group.trials:
        if ended.is_set():
            raise _InterruptedError
        outcome = PlainEngine().run(FitGroup(PLAIN, (trial,)), work)[0]
        update = {"engine": PLAIN, "label": "exact", "notes": [*outcome.result.notes, note]}
        found.append(TrialOutcome(outcome.result.model_copy(update=update), outcome.models))
    return found


def _marked(group: FitGroup, outcomes: Sequence[TrialOutcome]) -> list[TrialOutcome]:
    """Write engine and label into the records, where the engine has not."""
    mark = {"engine": group.engine, "label": group.label}
    return [
        outcome
        if outcome.result.engine
        else TrialOutcome(outcome.result.model_copy(update=mark), outcome.models)
        for outcome in outcomes
    ]


def _reason_to_stop(seconds: float, task: SweepTask) -> str:
    most = task.spec.budget.max_seconds
    if most is not None and seconds > most:
        return f"budget of {most:g} s spent"
    return task.must_stop()


Fit = Callable[["PlannedTrial", "Prepared"], FittedTrial]


def fitter(best: TrialResult, work: Work, engines: Sequence[Engine]) -> Fit:
    """Return how the winner is fitted: by the engine that fitted its trial."""
    engine = next((e for e in engines if e.name == best.engine), engines[-1])
    return lambda trial, prepared: engine.fit(trial, prepared, work.task)


def fold_models(
    trial: PlannedTrial,
    work: Work,
    fit: Fit,
    kept: Mapping[str, Mapping[int, FittedTrial]],
    *,
    refit: bool,
) -> dict[int, tuple[Prepared, FittedTrial]]:
    """Return the winner's model of every fold: kept from its trial, or fitted again.

    Args:
        trial: The winner.
        work: Prepared folds.
        fit: How it is fitted.
        kept: Fitted folds kept from the trials.
        refit: Whether to fit on all rows of a fold where trials saw a sample.
    """
    found = {}
    for fold in work.folds:
        known = None if refit else kept.get(trial.name, {}).get(fold.fold)
        prepared = work.preparation.fold(fold, all_rows=refit)
        found[fold.fold] = prepared, known or fit(trial, prepared)
    return found
