"""Watches what a run has cost so far, where its machines have a price and the charter a cap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from crisp_spark import flow
from crisp_spark.run.steprun import StepRun
from crisp_spark.spec.compute import HOURLY_RATE

STARTUP = timedelta(minutes=8)
"""Paid time before the first step: machines start and are set up. An assumption."""


def cost_so_far(
    run: StepRun, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Callable[[], float] | None:
    """Return a function that gives what the run has cost so far in US dollars, an upper bound.

    The planned hourly rate, machines at their largest, times the hours since the run's first step
    began. None where no plan has set a rate.

    Args:
        run: The step that asks.
        now: Clock.
    """
    rate = run.spark.conf.get(HOURLY_RATE, None)
    if rate is None:
        return None
    begun, per_hour = _begun(run), float(rate)
    return lambda: (now() - begun + STARTUP) / timedelta(hours=1) * per_hour


def cost_watch(
    run: StepRun, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Callable[[], str]:
    """Return a function that gives a reason to stop once the run has cost its cap.

    Without ``business.max_cost_usd``, or without the rate that plans set, there is never a reason.

    Args:
        run: The step that asks.
        now: Clock.
    """
    cap = run.spec.business.max_cost_usd
    if cap is None:
        return str
    cost = cost_so_far(run, now=now)
    if cost is None:
        return str

    def reason() -> str:
        spent = cost()
        if spent < cap:
            return ""
        return f"about {spent:.2f} USD spent, business.max_cost_usd is {cap:g}"

    return reason


def _begun(run: StepRun) -> datetime:
    """Return when the first step of this run began, from its commits; else this step."""
    starts = [
        datetime.fromisoformat(str(commit["created"])) - timedelta(seconds=commit["seconds"])
        for step in flow.FLOW
        for commit in run.commits(step.name)
        if commit["run_id"] == run.run_id
    ]
    return min([*starts, run.started])
