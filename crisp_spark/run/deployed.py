"""The portable model of the newest deployment."""

from __future__ import annotations

import hashlib

from crisp_spark.errors import ModelError, StorageError
from crisp_spark.results.deploy import DeployResult
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import LoadedProject


def deployed_bundle(project: LoadedProject) -> tuple[bytes, DeployResult]:
    """Return the portable model of the newest deployment, and the deployment.

    Raises:
        ModelError: Nothing was deployed, or it cannot leave Spark; the reason is told.
        StorageError: The bundle is damaged.
    """
    workspace = Workspace(project)
    commit = workspace.commits.current("deploy")
    found = None if commit is None else DeployResult.model_validate(commit.result)
    if commit is None or found is None or found.model is None:
        reason = f": {found.reason}" if found else ""
        raise ModelError(f"deploy: no model was deployed{reason}", hint="`crisp run` up to deploy")
    portable = found.portable
    if portable is None or not portable.written:
        why = portable.reason if portable else "deployment.portable is off"
        raise ModelError(
            f"deploy: {found.model_label} has no portable form: {why}",
            hint="`crisp score` scores it with Spark; --to batch does so on a schedule",
        )
    content = workspace.objects.read(commit.files[portable.file].key)
    if hashlib.sha256(content).hexdigest() != portable.sha256:
        raise StorageError("deploy: the portable model in the workspace is damaged")
    return content, found
