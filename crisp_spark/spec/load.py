"""Loads a project file: reads it, lays the layers over each other, checks it as a whole.

Layers, low to high: defaults, the file, its includes, the target's overrides, variables from
``CRISP_VAR_*`` and ``--var``, settings from ``--set``. All faults come in one error, each with
file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from crisp_spark.spec.checks import check_project
from crisp_spark.spec.compute import AnyCompute, LocalCompute
from crisp_spark.spec.faults import Fault, Origin, Place, ProjectFileError, describe
from crisp_spark.spec.load_layers import (
    PHASES,
    chosen_target,
    with_includes,
    with_settings,
    with_target,
    without_markers,
)
from crisp_spark.spec.load_origins import origins_of
from crisp_spark.spec.load_shape import check_shape, stray_references
from crisp_spark.spec.load_tree import Node, read_file
from crisp_spark.spec.load_variables import gathered
from crisp_spark.spec.project import ProjectSpec

VERSION = 1
_BLOCKS = ("project", *PHASES)
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class LoadedProject:
    """A project file after all layers, checked as a whole.

    Attributes:
        spec: What is declared.
        path: The project file.
        target: Name of the target in use, if any.
        origins: Place of each value (``business.criteria[0].target``) to where it was set:
            ``crisp.yml:12``, ``default``, ``--set ...``.
        resolved: The whole as plain data, defaults included; secrets as references.
        declared: What the layers say, without defaults.
    """

    spec: ProjectSpec = field(repr=False)
    path: Path
    target: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    resolved: Mapping[str, Any] = field(default_factory=dict, repr=False)
    declared: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def project_dir(self) -> Path:
        """Folder of the project file; relative paths start here."""
        return self.path.parent

    @property
    def compute(self) -> AnyCompute:
        """Compute of the target in use."""
        return self.spec.targets[self.target].compute if self.target else LocalCompute()


def load_project(
    path: str | Path,
    *,
    target: str | None = None,
    variables: Mapping[str, str] = _NO_VARIABLES,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedProject:
    """Load and check a project file.

    Args:
        path: The project file.
        target: Target to use; the default one of the file when None.
        variables: Values of variables (``--var``).
        overrides: Settings like ``modeling.search.trials=20`` (``--set``).
        environ: Environment, for ``CRISP_VAR_*``; the process's own when None.

    Raises:
        UsageError: The file, the target or a variable does not exist, or a setting is malformed.
        SpecError: The file has faults; all of them are named.
    """
    name = str(path)
    file = Path(path).absolute()
    faults: list[Fault] = []
    main = read_file(file, name, faults)
    if main is None:
        raise ProjectFileError(name, faults)
    environment = os.environ if environ is None else environ
    # Includes may use variables, but only of the main file and its targets: which variables the
    # included files declare is not known yet. Faults of this first look come again below.
    early = gathered(main, _early_target(main, target), environment, _known(main, variables), [])
    early.faults = faults
    tree = with_includes(main, file, name, early)
    chosen = chosen_target(tree, target, faults)
    tree = with_settings(with_target(tree, chosen, faults), overrides, faults)
    tree = without_markers(tree)
    found = gathered(tree, chosen, environment, variables, faults)
    known = len(faults)
    tree = _substituted(tree, chosen, found.substituted)
    spec = _checked(tree, faults, unfilled={fault.place for fault in faults[known:]})
    if spec is None or faults:
        raise ProjectFileError(name, _with_origins(faults, tree, name))
    return LoadedProject(
        spec=spec,
        path=file,
        target=chosen,
        origins=MappingProxyType(origins_of(spec, tree)),
        resolved=MappingProxyType(spec.model_dump(mode="json", by_alias=True)),
        declared=MappingProxyType(tree.plain()),
    )


def _early_target(main: Node, target: str | None) -> str | None:
    targets = main.child("targets")
    if target is not None:
        return target if targets and targets.child(target) else None
    return chosen_target(main, None, [])


def _known(main: Node, variables: Mapping[str, str]) -> dict[str, str]:
    block = main.child("variables")
    names = block.value if block and block.is_map else {}
    return {name: value for name, value in variables.items() if name in names}


def _substituted(tree: Node, target: str | None, substitute: Any) -> Node:
    """Fill in the variables, except in what other targets and the variables themselves hold."""
    values = {}
    for key, node in tree.value.items():
        if key == "targets" and node.is_map:
            values[key] = _targets_substituted(node, target, substitute)
        elif key in {"variables", "include"}:
            values[key] = node
        else:
            values[key] = substitute(node, (key,))
    return replace(tree, value=values)


def _targets_substituted(targets: Node, chosen: str | None, substitute: Any) -> Node:
    # Variables have values for the chosen target only: of the others, nothing is said about
    # compute that needs some (each is checked when it is chosen, or by `--every-target`).
    values = {
        name: _without_open_compute(block) if name != chosen and block.is_map else block
        for name, block in targets.value.items()
    }
    if chosen and values[chosen].is_map:
        block = values[chosen]
        kept = {
            key: node
            if key in {"overrides", "variables"}
            else substitute(node, ("targets", chosen, key))
            for key, node in block.value.items()
        }
        values[chosen] = replace(block, value=kept)
    return replace(targets, value=values)


def _without_open_compute(block: Node) -> Node:
    compute = block.child("compute")
    if compute is None or "${var." not in str(compute.plain()):
        return block
    return replace(
        block, value={key: node for key, node in block.value.items() if key != "compute"}
    )


def _checked(tree: Node, faults: list[Fault], *, unfilled: set[Place]) -> ProjectSpec | None:
    plain = tree.plain()
    if not _version_is_known(tree, faults):
        return None
    spec, found = check_shape(plain, ProjectSpec)
    # A reference that led nowhere has had its say already.
    faults += [one for one in found if not any(one.place[: len(at)] == at for at in unfilled)]
    if spec is not None:
        faults += stray_references(spec)
    faults += check_project(_parts(plain, spec))
    return spec


def _version_is_known(tree: Node, faults: list[Fault]) -> bool:
    node = tree.child("version")
    if node is None or node.value == VERSION:
        return True  # a missing one is a fault of shape
    what = f"unknown version of the file format, got {describe(node.plain())}"
    hint = f"write `version: {VERSION}`"
    newer = isinstance(node.value, int) and node.value > VERSION
    faults.append(Fault(("version",), what, f"{hint}, or upgrade crisp-spark" if newer else hint))
    return False


def _parts(plain: Mapping[str, Any], spec: ProjectSpec | None) -> Mapping[str, BaseModel]:
    """Return the top-level blocks that are sound, so that they can be checked together."""
    if spec is not None:
        return {name: getattr(spec, name) for name in _BLOCKS}
    parts: dict[str, BaseModel] = {}
    for name in _BLOCKS:
        kind = ProjectSpec.model_fields[name].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in plain:
            part, _ = check_shape(plain[name], kind)
            if part is not None:
                parts[name] = part
    return parts


def _with_origins(faults: Iterable[Fault], tree: Node, name: str) -> list[Fault]:
    return [
        fault
        if fault.origin
        else replace(fault, origin=_origin(tree, fault.place) or Origin(name, 1))
        for fault in faults
    ]


def _origin(tree: Node, place: Place) -> Origin:
    return tree.locate(place)
