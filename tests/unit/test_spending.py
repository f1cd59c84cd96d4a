"""The cap of the charter ends a sweep, whose finished trials are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from crisp_spark.modeling.engines.plain import PlainEngine
from crisp_spark.modeling.executing import carry_out
from crisp_spark.modeling.groups import Work
from crisp_spark.modeling.trials import TrialOutcome
from crisp_spark.results.sweep import TrialResult
from crisp_spark.run.spending import STARTUP, cost_watch
from crisp_spark.spec.compute import HOURLY_RATE

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def fake_run(*, cap: float | None, rate: str | None, commits=()):
    return SimpleNamespace(
        spec=SimpleNamespace(business=SimpleNamespace(max_cost_usd=cap)),
        spark=SimpleNamespace(conf={HOURLY_RATE: rate} if rate else {}),
        started=NOON,
        run_id="r1",
        commits=lambda step: [one for one in commits if one["step"] == step],
    )


def at(hours: float):
    return lambda: NOON - STARTUP + timedelta(hours=hours)


def test_without_a_cap_or_a_rate_nothing_stops():
    assert cost_watch(fake_run(cap=None, rate="9"), now=at(999))() == ""
    assert cost_watch(fake_run(cap=1.0, rate=None), now=at(999))() == ""


def test_the_cap_is_reached_at_the_hourly_rate():
    run = fake_run(cap=10.0, rate="4.0")
    assert cost_watch(run, now=at(2.4))() == ""
    assert cost_watch(run, now=at(2.6))() == ("about 10.40 USD spent, business.max_cost_usd is 10")


def test_the_clock_starts_with_the_first_step_of_this_run():
    ended = NOON - timedelta(hours=1)
    own = {"step": "ingest", "run_id": "r1", "created": ended, "seconds": 3600}
    other = {**own, "run_id": "r0", "created": ended - timedelta(days=9)}
    run = fake_run(cap=10.0, rate="4.0", commits=[own, other])
    assert cost_watch(run, now=at(0.4))() == ""
    assert "10.40" in cost_watch(run, now=at(0.6))()


@pytest.mark.parametrize(("words", "fitted"), [("", 3), ("cap reached", 1)])
def test_a_sweep_stops_before_the_next_trial(monkeypatch, words, fitted):
    trials = [SimpleNamespace(name=f"t{n}", key=str(n)) for n in range(3)]

    def run(_engine, group, _work):
        name = group.trials[0].name
        result = TrialResult(name=name, family="f", params={}, status="finished", metric=1.0)
        return [TrialOutcome(result, {})]

    monkeypatch.setattr(PlainEngine, "run", run)
    plan = SimpleNamespace(trials=trials, folds=(), metric=SimpleNamespace(higher_is_better=True))
    task = SimpleNamespace(
        finished={},
        spec=SimpleNamespace(
            budget=SimpleNamespace(max_seconds=None), search=SimpleNamespace(mode="exact")
        ),
        on_trial=lambda *_: None,
        must_stop=lambda: words,
    )
    work = Work(None, (), SimpleNamespace(problem="binary", class_count=2))
    executed = carry_out(plan, work, task, [PlainEngine()])
    assert len(executed.trials) == fitted
    assert executed.stopped == ("cap reached; 2 trials were not started" if words else "")
