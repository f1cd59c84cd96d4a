"""What a workspace holds: the state and the result of each step."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crisp_spark import flow
from crisp_spark.engine.commits import Commit
from crisp_spark.engine.objects import LocalObjects
from crisp_spark.errors import StorageError
from crisp_spark.results.base import StepResult
from crisp_spark.results.registry import result_type
from crisp_spark.run.keys import ingredients_of, stage_key
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject


@dataclass(frozen=True)
class StepStatus:
    """State of one step: ``current``, ``stale`` (inputs, spec or code changed) or ``missing``."""

    step: str
    phase: str
    state: Literal["current", "stale", "missing"]
    finished_at: datetime | None = None
    seconds: float | None = None
    run_id: str | None = None
    stage_key: str | None = None


def status_of(project: LoadedProject) -> list[StepStatus]:
    """Return the state of every step; starts no Spark."""
    workspace = Workspace(project)
    commits = {step.name: workspace.commits.current(step.name) for step in flow.FLOW}
    stale: set[str] = set()
    found = []
    for step in flow.FLOW:
        commit = commits[step.name]
        if commit is None:
            found.append(StepStatus(step.name, step.phase.value, "missing"))
            stale.add(step.name)
            continue
        changed = _changed(step, commit, commits, project) or _reads_stale(step, stale)
        if changed:
            stale.add(step.name)
        found.append(
            StepStatus(
                step.name,
                step.phase.value,
                "stale" if changed else "current",
                commit.created,
                commit.seconds,
                commit.run_id,
                commit.stage_key,
            )
        )
    return found


def result_of(project: LoadedProject, step_name: str) -> StepResult:
    """Return the current result of a step.

    Raises:
        UsageError: No such step.
        StorageError: The step has not run.
    """
    step = flow.step(step_name)
    commit = Workspace(project).commits.current(step.name)
    if commit is None:
        raise StorageError(
            f"{step_name}: has not run in this workspace", hint=f"run `crisp run --to {step_name}`"
        )
    return result_type(step.name).model_validate(commit.result)


def results_of(project: LoadedProject) -> dict[str, StepResult]:
    """Return the current results of all steps that have run."""
    workspace = Workspace(project)
    commits = {step.name: workspace.commits.current(step.name) for step in flow.FLOW}
    return {
        name: result_type(name).model_validate(commit.result)
        for name, commit in commits.items()
        if commit is not None
    }


def report_file(project: LoadedProject, name: str = "report.html") -> Path | None:
    """Return the newest report as a local file, or None when there is none.

    Of a workspace elsewhere, it is a copy in the folder for temporary files.
    """
    workspace = Workspace(project)
    commit = workspace.commits.current("report")
    if commit is None or name not in commit.files:
        return None
    key = commit.files[name].key
    if isinstance(workspace.objects, LocalObjects):
        return workspace.objects.path(key)
    copy = Path(tempfile.gettempdir()) / f"crisp-{commit.stage_key}" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(workspace.objects.read(key))
    return copy


def stale_inputs(project: LoadedProject, steps: Sequence[flow.Step]) -> list[str]:
    """Return stale steps that ``steps`` would build on without running them; starts no Spark."""
    needed = set().union(*map(_inputs_of, steps)) - {step.name for step in steps}
    if not needed:
        return []
    return [one.step for one in status_of(project) if one.step in needed and one.state == "stale"]


def _inputs_of(step: flow.Step) -> set[str]:
    producers = {flow.producer_of(table).name for table in step.reads}
    return (producers | set(step.results)) - set(step.optional)


def _reads_stale(step: flow.Step, stale: set[str]) -> bool:
    return bool(_inputs_of(step) & stale)


def _changed(
    step: flow.Step,
    commit: Commit,
    commits: dict[str, Commit | None],
    project: LoadedProject,
) -> bool:
    producers = {flow.producer_of(table).name for table in step.reads} | set(step.results)
    inputs = {name: found for name in sorted(producers) if (found := commits[name]) is not None}
    ingredients = ingredients_of(
        step, project.spec, project_dir=project.project_dir, inputs=inputs, run_id=commit.run_id
    )
    return not commit.stage_key.startswith(stage_key(ingredients))
