"""Carries a search out round by round: the executor sees one round at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crisp_spark.modeling.executing import Executed, carry_out
from crisp_spark.modeling.planning import SweepPlan, SweepProgress, SweepTask

if TYPE_CHECKING:
    from crisp_spark.modeling.groups import Engine, Work
    from crisp_spark.modeling.preparing import Preparation
    from crisp_spark.modeling.search import PlannedTrial
    from crisp_spark.results.sweep import TrialResult


def search_through(
    plan: SweepPlan,
    work: Work,
    task: SweepTask,
    engines: Sequence[Engine],
    sample: Callable[[int], Preparation],
) -> tuple[SweepPlan, Executed]:
    """Carry out round after round, until the search or the budget ends.

    Args:
        plan: The plan; its trials are the first round.
        work: Prepared folds and what every trial is told.
        task: What the sweep is told.
        engines: Engines, the most economical first.
        sample: Gives the folds of a sample of so many rows; released after the round.

    Returns:
        The plan with the trials of all rounds, and what came of them.
    """
    state = _State(plan, task)
    batch = plan.trials
    while batch:
        fresh = state.fresh(batch)
        rows = fresh[0].rows if fresh else None
        used = work if rows is None else replace(work, preparation=sample(rows))
        if fresh:
            state.add(carry_out(replace(plan, trials=fresh), used, state.watched(), engines))
        if used is not work:
            used.preparation.release()
        reason = state.executed.stopped or state.why_stop()
        batch = () if state.executed.stopped else plan.search.next(state.results)
        if reason and batch:
            state.executed.stopped = reason
            break
    return state.whole_plan(), state.executed


@dataclass
class _State:
    """What a search has done so far."""

    plan: SweepPlan
    task: SweepTask
    executed: Executed = field(default_factory=lambda: Executed([], {}))
    results: dict[str, TrialResult] = field(default_factory=dict)
    planned: dict[str, PlannedTrial] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    kept: float = float("-inf")
    taken: int = 0

    def fresh(self, batch: tuple[PlannedTrial, ...]) -> tuple[PlannedTrial, ...]:
        """Return the trials that were not carried out in an earlier round."""
        found = tuple(trial for trial in batch if trial.key not in self.planned)
        most = self.task.spec.budget.max_trials
        if most is not None:
            found = found[: most - len(self.planned)]
        self.planned |= {trial.key: trial for trial in found}
        return found

    def watched(self) -> SweepTask:
        """Return the task with every record stamped, and the budget of the whole search kept."""
        return replace(self.task, on_trial=self.report, must_stop=self.why_stop)

    def report(self, key: str, result: TrialResult) -> None:
        """Take down a record and hand it on."""
        stamped = result.model_copy(update={"share": self.planned[key].share})
        self.results[key] = stamped
        self.taken += stamped.resumed
        self.task.on_trial(key, stamped)
        self.task.on_progress(self.progress())

    def progress(self) -> SweepProgress:
        """Return how far the search is."""
        done = list(self.results.values())
        best = max(
            (r for r in done if r.metric is not None and r.share >= 1),
            key=self._worth,
            default=None,
        )
        seconds = time.monotonic() - self.begun
        planned = max(self.plan.search.planned - self.plan.left_out, len(done))
        if self.task.spec.budget.max_trials is not None:
            planned = min(planned, self.task.spec.budget.max_trials)
        fitted = len(done) - self.taken
        return SweepProgress(
            done=len(done),
            failed=sum(result.status == "failed" for result in done),
            planned=planned,
            best=best.metric if best else None,
            best_trial=best.name if best else "",
            metric=self.plan.metric.name,
            seconds=round(seconds, 3),
            left=round(seconds / fitted * (planned - len(done)), 1) if fitted else None,
        )

    def add(self, part: Executed) -> None:
        """Add what a round left; the fitted folds of the best full trial stay."""
        by_name = {result.name: result for result in self.results.values()}
        self.executed.trials += [by_name[result.name] for result in part.trials]
        self.executed.stopped = part.stopped
        for name, models in part.models.items():
            worth = self._worth(by_name[name])
            if by_name[name].share >= 1 and worth > self.kept:
                self.kept, self.executed.models = worth, {name: models}

    def why_stop(self) -> str:
        """Return why no further trial may start; empty when one may."""
        budget = self.task.spec.budget
        if budget.max_seconds is not None and time.monotonic() - self.begun > budget.max_seconds:
            return f"budget of {budget.max_seconds:g} s spent"
        if budget.max_trials is not None and len(self.planned) >= budget.max_trials:
            rest = self.plan.search.planned > len(self.planned)
            # A round was cut when it began; this ends a search that would go on.
            if rest and len(self.results) >= len(self.planned):
                return f"budget of {budget.max_trials} trials spent"
        return self.task.must_stop()

    def whole_plan(self) -> SweepPlan:
        """Return the plan with the trials of all rounds."""
        trials = tuple(self.planned.values())
        rest = self.plan.search.planned - len(trials) if self.executed.stopped else 0
        return replace(self.plan, trials=trials, left_out=max(self.plan.left_out, rest))

    def _worth(self, result: TrialResult) -> float:
        sign = 1.0 if self.plan.metric.higher_is_better else -1.0
        return float("-inf") if result.metric is None else sign * result.metric
