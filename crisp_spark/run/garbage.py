"""Removes attempts that no commit names."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crisp_spark import flow
from crisp_spark.engine.commits import file_roots
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

_ATTEMPT_DEPTH = 4  # data/<table>/<stage_key>/<attempt>


@dataclass(frozen=True)
class Garbage:
    """What was, or would be, removed."""

    attempts: tuple[str, ...]
    bytes: int


def collect_garbage(
    project: LoadedProject, *, older_than_hours: float = 24.0, dry_run: bool = False
) -> Garbage:
    """Remove attempts that no commit names and that are older than any run still under way.

    Args:
        project: The loaded project.
        older_than_hours: Younger attempts stay: they may belong to a live run.
        dry_run: Only say what would be removed.
    """
    workspace = Workspace(project)
    named = {
        root
        for step in flow.FLOW
        for commit in workspace.commits.all(step.name)
        for root in file_roots(commit)
    }
    sizes: dict[str, int] = {}
    written: dict[str, float] = {}
    for found in workspace.objects.stat("data"):
        attempt = "/".join(found.key.split("/")[:_ATTEMPT_DEPTH])
        if attempt not in named:
            sizes[attempt] = sizes.get(attempt, 0) + found.bytes
            written[attempt] = max(written.get(attempt, 0.0), found.modified_s)
    limit = time.time() - older_than_hours * 3600
    old = {attempt: size for attempt, size in sizes.items() if written[attempt] <= limit}
    if not dry_run:
        for attempt in old:
            workspace.objects.delete_tree(attempt)
    return Garbage(attempts=tuple(sorted(old)), bytes=sum(old.values()))
