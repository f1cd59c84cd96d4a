"""The newest winner of a project whose flow has run, for benchmarks that ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from crisp_spark.deployment.score import ScoringContract, contract_of
from crisp_spark.engine import tables
from crisp_spark.run.score import _chosen, _load
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project


class Candidate(NamedTuple):
    """A winner: its project's name, its pipeline, its contract, and the rows held out."""

    project: str
    pipeline: Any
    contract: ScoringContract
    held: Any


def newest(project_file: Path, session: Any) -> Candidate:
    """Return the newest winner and the test split."""
    project = load_project(project_file)
    workspace = Workspace(project)
    deployed, sweep = _chosen(workspace, "candidate")
    held = tables.read_table(
        workspace.objects, session, workspace.commits.current("split").tables["test"]
    )
    contract = contract_of(deployed, project.spec.deployment.score)
    return Candidate(project.spec.project.name, _load(workspace, sweep), contract, held)
