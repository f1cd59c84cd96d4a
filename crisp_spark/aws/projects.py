"""The resolved project file of one run, where its jobs can read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crisp_spark.aws.clients import Clients
from crisp_spark.aws.objects import SCHEMES, S3Objects
from crisp_spark.errors import SpecError, UsageError
from crisp_spark.spec.data import FileSource
from crisp_spark.spec.hooks import hook_file, hook_references

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

FILE = "crisp.json"
_LAYERS = ("include", "variables")
"""Blocks that have done their work once a project is resolved."""


def publish_project(
    project: LoadedProject, run_id: str, prefix: str, aws: Clients | None = None
) -> str:
    """Put the resolved project and its Python hooks into S3 and return the file's URI.

    All layers are laid over each other already, so the jobs need neither the target's name nor
    variables. Secrets stay references. Publishing the same again changes nothing.

    Args:
        project: The loaded project.
        run_id: Id of the run.
        prefix: ``s3://bucket/prefix`` of everything that is published.
        aws: Clients; those of the environment when None.

    Raises:
        SpecError: The project names places that machines elsewhere cannot open.
        UsageError: The run id was used for another project file.
    """
    _check_places(project)
    objects = S3Objects(f"{prefix.rstrip('/')}/projects/{project.spec.project.name}/{run_id}", aws)
    plain = _self_contained(project)
    for reference in sorted(set(hook_references(plain))):
        file = hook_file(reference, project.project_dir)
        name = file.relative_to(project.project_dir).as_posix()
        _put(objects, name, file.read_bytes(), run_id)
    content = json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True).encode()
    _put(objects, FILE, content, run_id)
    return objects.uri(FILE)


def _put(objects: S3Objects, key: str, content: bytes, run_id: str) -> None:
    if objects.put_if_absent(key, content) or objects.read(key) == content:
        return
    raise UsageError(
        f"run {run_id}: {key} was published with another content below {objects.root}",
        hint="the project changed since that run was submitted: choose another run id",
    )


def _self_contained(project: LoadedProject) -> dict[str, Any]:
    plain = {key: value for key, value in project.resolved.items() if key not in _LAYERS}
    targets: Mapping[str, Any] = plain.pop("targets", {})
    if project.target:
        target = targets[project.target]
        kept = {
            key: value for key, value in target.items() if key not in {"overrides", "variables"}
        }
        plain["targets"] = {project.target: {**kept, "default": True}}
    return plain


def _check_places(project: LoadedProject) -> None:
    workspace = project.spec.project.workspace
    faults = []
    if urlsplit(workspace).scheme not in SCHEMES:
        faults.append(f"project.workspace: write s3://bucket/folder, got {workspace!r}")
    for name, source in project.spec.data.sources.items():
        faults += [
            f"data.sources.{name}.path: write s3://bucket/..., got {path!r}"
            for path in (source.path if isinstance(source, FileSource) else ())
            if urlsplit(path).scheme in {"", "file"}
        ]
    if faults:
        where = f"target {project.target}" if project.target else "the project"
        raise SpecError(
            f"{where}: machines elsewhere cannot open folders of this one",
            hint="put the data into S3 and name it in the target's `overrides` or `variables`",
            faults=faults,
        )
