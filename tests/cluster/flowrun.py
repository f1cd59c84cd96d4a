"""A run of the small project in another process: what it has done so far, and what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crisp_spark.engine.commits import Commits
from crisp_spark.engine.objects import ObjectStore
from crisp_spark.flow import STEP_NAMES

GOLDEN = json.loads((Path(__file__).parents[1] / "e2e" / "golden.json").read_text("utf-8"))
STEPS = STEP_NAMES[: STEP_NAMES.index("decide") + 1]


@dataclass(frozen=True)
class FlowRun:
    """One run in one workspace.

    Attributes:
        objects: The workspace.
        run_id: The run.
        going: Whether the process that does the work is still there.
    """

    objects: ObjectStore
    run_id: str
    going: Callable[[], bool]

    def wait_until_in(self, step: str, *, delay: float = 0.0, limit: float = 480) -> None:
        """Wait until the run is at work on a step, and ``delay`` seconds more."""
        before = STEP_NAMES[STEP_NAMES.index(step) - 1]
        self._wait(lambda: bool(self._pinned(before)), f"{before} done", limit)
        time.sleep(delay)
        assert not self._pinned(step), f"{step} was over before it could be disturbed"

    def wait_for_trials(self, count: int, *, limit: float = 480) -> None:
        """Wait until so many trials of the sweep are in its journal."""
        self._wait(lambda: len(self.trials()) >= count, f"{count} trials", limit)
        assert not self._pinned("sweep"), "the sweep was over before it could be disturbed"

    def trials(self) -> dict[str, int]:
        """Return when each finished trial was begun (epoch milliseconds), by name."""
        entries = [
            json.loads(self.objects.read(found.key))["entry"]
            for found in self.objects.stat("journal/sweep")
        ]
        return {entry["name"]: entry["started_ms"] for entry in entries}

    def commit(self, step: str) -> dict:
        """Return the published commit of a step as plain data."""
        found = Commits(self.objects).current(step)
        assert found is not None, f"{step} is not published"
        return found.model_dump(mode="json")

    def assert_same_as_undisturbed(self) -> None:
        """Compare rows, winner, threshold, metrics and decision with the undisturbed run's."""
        commits = {step: self.commit(step) for step in STEPS}
        rows = {
            name: table["rows"]
            for commit in commits.values()
            for name, table in commit["tables"].items()
        }
        assert rows == {name: count for name, count in GOLDEN["rows"].items() if name in rows}
        assert set(rows) >= {"merged", "derived", "train", "test", "validation", "predictions"}
        assert commits["sweep"]["result"]["winner"]["trial"] == GOLDEN["winner"]
        assert commits["decide"]["result"]["decision"] == GOLDEN["decision"]
        evaluation = commits["evaluate"]["result"]
        assert evaluation["threshold"]["value"] == pytest.approx(GOLDEN["threshold"], abs=1e-6)
        metrics = {
            f"{split}.{name}": metric["value"]
            for split, judged in evaluation["splits"].items()
            for name, metric in judged["metrics"].items()
        }
        assert metrics == pytest.approx(GOLDEN["metrics"], abs=1e-6)

    def assert_no_finished_trial_was_fitted_again(self, finished: dict[str, int]) -> None:
        """The sweep's record holds the trials of ``finished`` as they were first fitted."""
        published = {
            trial["name"]: trial["started_ms"] for trial in self.commit("sweep")["result"]["trials"]
        }
        assert finished
        assert {name: published[name] for name in finished} == finished
        assert {name: self.trials()[name] for name in finished} == finished

    def _pinned(self, step: str) -> list[str]:
        return [found.key for found in self.objects.stat(f"runs/{self.run_id}/steps/{step}")]

    def _wait(self, met: Callable[[], bool], what: str, limit: float) -> None:
        end = time.monotonic() + limit
        while not met():
            assert self.going(), f"the run ended before: {what}"
            assert time.monotonic() < end, f"not in {limit:.0f} s: {what}"
            time.sleep(0.1)
