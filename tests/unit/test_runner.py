"""The runner over a real workspace, with steps of plain Python in place of the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from crisp_spark import flow
from crisp_spark.errors import CrispError, DataError, StorageError
from crisp_spark.flow import Phase, Step
from crisp_spark.results.base import StepResult
from crisp_spark.run import keys
from crisp_spark.run import runner as runner_module
from crisp_spark.run.runner import Runner
from crisp_spark.run.steprun import Outcome
from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.compute import LocalCompute
from crisp_spark.spec.project import ProjectInfo
from crisp_spark.tracking.memory import MemoryTracker

FIRST = Step("charter", Phase.BUSINESS, 10, spec=("business",))
SECOND = Step("decide", Phase.EVALUATION, 51, results=("charter",), spec=("evaluation",))
THIRD = Step(
    "report", Phase.DEPLOYMENT, 62, results=("charter", "decide", "deploy"), optional=("deploy",)
)
STEPS = (FIRST, SECOND, THIRD)


class FakeSpec(SpecModel):
    project: ProjectInfo
    business: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}


class CharterResult(StepResult):
    step: ClassVar[str] = "charter"
    value: int


class DecideResult(StepResult):
    step: ClassVar[str] = "decide"
    value: int


class Steps:
    """Plain steps that count their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_in: str | None = None

    def charter(self, run):
        self.note("charter", run)
        run.write_file("note.txt", b"hello")
        return Outcome(CharterResult(value=run.spec.business.get("value", 1)), metrics={"m": 2.0})

    def decide(self, run):
        self.note("decide", run)
        return Outcome(DecideResult(value=run.result(CharterResult).value * 10))

    def report(self, run):
        self.note("report", run)
        return Outcome(DecideResult(value=run.result(DecideResult).value + 1))

    def note(self, name, run):
        self.calls.append(name)
        run.record(f"call {len(self.calls)}", {"name": name})
        if self.fail_in == name:
            raise DataError(f"{name}: broken on purpose", hint="mend it")


@pytest.fixture
def steps(monkeypatch):
    fakes = Steps()
    monkeypatch.setattr(runner_module, "wiring_of", lambda step: getattr(fakes, step.name))
    monkeypatch.setattr(keys, "code_digest", lambda step: step.name)
    return fakes


@pytest.fixture
def make(tmp_path, steps):
    def build(*, run_id="r1", force=False, **pieces):
        spec = FakeSpec(project=ProjectInfo(name="p"), **pieces)
        project = SimpleNamespace(spec=spec, project_dir=tmp_path, compute=LocalCompute())
        events = []
        runner = Runner(
            project,
            run_id=run_id,
            force=force,
            on_event=events.append,
            tracker_factory=lambda _w, _r: MemoryTracker(),
        )
        runner.events = events
        return runner

    return build


def states(summary):
    return [(event.step, event.state) for event in summary.events]


def test_steps_run_in_order_and_hand_results_on(make, steps):
    summary = make().run(STEPS)
    assert steps.calls == ["charter", "decide", "report"]
    assert [event.result["value"] for event in summary.events] == [1, 10, 11]


def test_a_second_run_skips_everything_and_opens_no_tracker(make, steps):
    make().run(STEPS)
    second = make(run_id="r2")
    assert states(second.run(STEPS)) == [
        (name, "skipped") for name in ("charter", "decide", "report")
    ]
    assert steps.calls == ["charter", "decide", "report"]
    assert "tracker" not in second.__dict__


def test_only_what_depends_on_a_change_runs(make, steps):
    make().run(STEPS)
    changed = make(run_id="r2", evaluation={"x": 1}).run(STEPS)
    assert states(changed) == [("charter", "skipped"), ("decide", "done"), ("report", "done")]


def test_going_back_to_an_earlier_spec_takes_up_its_results(make, steps):
    make(business={"value": 3}).run(STEPS)
    make(run_id="r2", business={"value": 4}).run(STEPS)
    back = make(run_id="r3", business={"value": 3})
    assert {state for _, state in states(back.run(STEPS))} == {"skipped"}
    assert back.workspace.commits.current("report").result["value"] == 31


def test_a_failure_is_recorded_and_the_next_run_resumes_there(make, steps):
    steps.fail_in = "decide"
    broken = make()
    with pytest.raises(DataError, match="broken on purpose"):
        broken.run(STEPS)
    assert broken.events[-1].state == "failed"
    assert broken.tracker.steps["decide"].failed
    assert broken.tracker.finished is False
    records = list(Path(broken.workspace.folder).glob("runs/r1/failure-decide-*.json"))
    failure = json.loads(records[0].read_text())
    assert (failure["kind"], failure["exit_code"], failure["hint"]) == ("DataError", 65, "mend it")
    steps.fail_in = None
    again = make()
    assert states(again.run(STEPS)) == [
        ("charter", "skipped"),
        ("decide", "done"),
        ("report", "done"),
    ]
    assert steps.calls.count("charter") == 1


def test_force_runs_anew_and_the_forced_results_stay_current(make, steps):
    make().run(STEPS)
    forced = make(run_id="r2", force=True)
    assert states(forced.run([FIRST])) == [("charter", "done")]
    later = make(run_id="r3")
    assert states(later.run([FIRST])) == [("charter", "skipped")]
    assert later.workspace.commits.current("charter").run_id == "r2"


def test_a_step_whose_file_was_damaged_runs_again(make, steps):
    first = make()
    first.run(STEPS)
    commit = first.workspace.commits.current("charter")
    first.workspace.objects.path(commit.files["note.txt"].key).write_bytes(b"")
    second = make(run_id="r2")
    assert states(second.run([FIRST])) == [("charter", "done")]
    assert states(make(run_id="r3").run([FIRST])) == [("charter", "skipped")]


def test_missing_input_is_named(make, steps):
    with pytest.raises(StorageError, match="decide: needs the output of charter"):
        make().run([SECOND])


def test_a_run_keeps_reading_what_it_pinned(make, steps):
    """Another run that publishes in between does not leak into this one."""
    one = make(run_id="r1", business={"value": 3})
    one.run([FIRST])
    make(run_id="r2", business={"value": 7}).run([FIRST])
    assert make(run_id="r1", business={"value": 3}).run([SECOND]).events[0].result["value"] == 30
    assert make(run_id="r2", business={"value": 7}).run([SECOND]).events[0].result["value"] == 70


def test_a_job_of_the_same_run_follows_a_changed_spec(make, steps):
    make(business={"value": 3}).run([FIRST])
    make(business={"value": 5}).run([FIRST])
    assert make(business={"value": 5}).run([SECOND]).events[0].result["value"] == 50


def test_reading_or_writing_undeclared_things_is_a_bug(make, steps, monkeypatch):
    class Other(StepResult):
        step: ClassVar[str] = "evaluate"

    monkeypatch.setattr(steps, "charter", lambda run: run.result(Other))
    with pytest.raises(CrispError, match="without declaring it"):
        make().run([FIRST])
    monkeypatch.setattr(steps, "charter", lambda run: run.write("train", None))
    with pytest.raises(CrispError, match="writes train without declaring it"):
        make().run([FIRST])
    monkeypatch.setattr(steps, "charter", lambda run: run.read("train"))
    with pytest.raises(CrispError, match="reads train without declaring it"):
        make().run([FIRST])


def test_journal_of_a_failed_attempt_is_there_for_the_next(make, steps):
    steps.fail_in = "charter"
    with pytest.raises(DataError):
        make().run([FIRST])
    seen = {}
    steps.fail_in = None

    def look(run):
        seen.update(run.journal())
        return Outcome(CharterResult(value=1))

    steps.charter = look
    make().run([FIRST])
    assert seen == {"call 1": {"name": "charter"}}


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from tests.unit.test_runner import *
from crisp_spark.engine import objects

fakes = Steps()
runner_module.wiring_of = lambda step: getattr(fakes, step.name)
keys.code_digest = lambda step: step.name
calls = 0
real = objects.os.link
def link(source, target):
    global calls
    calls += 1
    if calls == {kill_at}:
        if {before}:
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
objects.os.link = link
spec = FakeSpec(project=ProjectInfo(name="p"))
project = SimpleNamespace(spec=spec, project_dir=Path({folder!r}), compute=LocalCompute())
Runner(project, run_id="k", tracker_factory=lambda w, r: MemoryTracker()).run(STEPS)
"""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kill_at", range(1, 15))
def test_kill_at_any_publication_then_resume_equals_an_undisturbed_run(
    make, steps, tmp_path, kill_at, before
):
    root = str(Path(__file__).parents[2])
    code = KILLED.format(tests=root, kill_at=kill_at, before=before, folder=str(tmp_path))
    killed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    resumed = make(run_id="k2")
    resumed.run(STEPS)
    assert [resumed.workspace.commits.current(s.name).result["value"] for s in STEPS] == [1, 10, 11]
    assert {state for _, state in states(make(run_id="k3").run(STEPS))} == {"skipped"}


def test_flow_selection():
    names = [step.name for step in flow.select_steps(first="split", last="evaluate")]
    assert names == ["split", "sweep", "evaluate"]
    assert [step.name for step in flow.select_steps(only=["sweep", "clean"])] == ["clean", "sweep"]
    with pytest.raises(CrispError, match="comes after"):
        flow.select_steps(first="sweep", last="clean")
    with pytest.raises(CrispError, match="cannot be combined"):
        flow.select_steps(first="sweep", only=["clean"])
    with pytest.raises(CrispError, match="did you mean 'sweep'"):
        flow.step("swep")
    assert flow.producer_of("raw.flights").name == "ingest"
    with pytest.raises(CrispError, match="no step writes"):
        flow.producer_of("nothing")
