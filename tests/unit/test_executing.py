"""Groups of one engine side by side, and what an interruption does to them."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from crisp_spark.modeling import executing
from crisp_spark.modeling.groups import FitGroup, Work
from crisp_spark.modeling.search import plan_trials
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.modeling import Family, Search


class FakeSession:
    """What `run_groups` asks of Spark: whether it lives, and that its jobs end."""

    def __init__(self):
        self.cancelled = threading.Event()
        scheduler = SimpleNamespace(sc=lambda: SimpleNamespace(isStopped=lambda: False))
        self.sparkContext = SimpleNamespace(_jsc=scheduler, cancelAllJobs=self.cancelled.set)


class Plain:
    """Records each fit by MLlib."""

    fits: list[str] = []

    def run(self, group, work):
        self.fits.append(group.trials[0].name)
        raise AssertionError("fitted again")


@pytest.fixture
def plain(monkeypatch):
    Plain.fits = []
    monkeypatch.setattr(executing, "PlainEngine", Plain)
    return Plain


def groups():
    family = Family(kind="gradient_boosting", params={"maxIter": 5, "maxDepth": [3, 5]})
    trials = plan_trials([(family, estimator("gradient_boosting", "binary"))], Search(), seed=1)
    return [FitGroup("fast", (trial,)) for trial in trials]


def work(session):
    rows = SimpleNamespace(sparkSession=session)
    return Work(SimpleNamespace(rows=rows), (), None)


class Interrupted:
    """One group is interrupted; the other's job is cancelled, as Spark does."""

    name = "fast"
    at_once = 2

    def __init__(self, session):
        self.session = session
        self.first = threading.Lock()

    def run(self, group, work):
        if self.first.acquire(blocking=False):
            raise KeyboardInterrupt
        assert self.session.cancelled.wait(10)
        raise RuntimeError("Job 3 cancelled")


def test_a_job_cancelled_by_an_interruption_is_not_fitted_again(plain):
    session = FakeSession()
    with pytest.raises(KeyboardInterrupt):
        list(executing.run_groups(groups(), work(session), Interrupted(session)))
    assert plain.fits == []


def test_a_job_that_fails_by_itself_is_fitted_again(plain):
    def fails(group, work):
        raise RuntimeError("out of memory")

    engine = SimpleNamespace(name="fast", at_once=2, run=fails)
    with pytest.raises(AssertionError, match="fitted again"):
        list(executing.run_groups(groups(), work(FakeSession()), engine))
    assert plain.fits
