"""Opens the tracker of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crisp_spark import __version__
from crisp_spark.engine.objects import LocalObjects
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.base import digest

if TYPE_CHECKING:
    from crisp_spark.tracking.tracker import Tracker


def tracking_uri(workspace: Workspace) -> str:
    """Return the project's MLflow store, else ``MLFLOW_TRACKING_URI``'s, else the workspace's.

    Raises:
        UsageError: The workspace is in S3, and no server is named.
    """
    from crisp_spark.tracking.mlflow_tracker import default_uri

    return _named_uri(workspace) or default_uri(workspace.folder)


def _named_uri(workspace: Workspace) -> str:
    declared = workspace.project.spec.project.tracking_uri
    return declared or os.environ.get("MLFLOW_TRACKING_URI", "")


def open_tracker(workspace: Workspace, run_id: str) -> Tracker:
    """Open MLflow for the run; a run with this id is taken up again.

    A workspace in S3 without a server keeps the records as objects.
    """
    spec = workspace.project.spec
    tags = {
        "crisp.project": spec.project.name,
        "crisp.spec_sha256": digest(spec),
        "crisp.version": __version__,
    }
    if not _named_uri(workspace) and not isinstance(workspace.objects, LocalObjects):
        from crisp_spark.tracking.objects_tracker import ObjectsTracker

        return ObjectsTracker(workspace.objects, run_id, tags=tags)
    from crisp_spark.tracking.mlflow_tracker import MlflowTracker, default_uri

    uri = tracking_uri(workspace)
    artifacts = None
    if isinstance(workspace.objects, LocalObjects) and uri == default_uri(workspace.folder):
        workspace.folder.mkdir(parents=True, exist_ok=True)
        artifacts = (workspace.folder / "mlartifacts").as_uri()
    return MlflowTracker(
        uri,
        spec.project.name,
        run_id=run_id,
        artifacts=artifacts,
        tags=tags,
        spool=workspace.objects,
    )
