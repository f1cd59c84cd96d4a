"""Python hooks of a project: ``module:function`` references and the files that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crisp_spark.errors import SpecError


def hook_references(value: Any) -> Iterator[str]:
    """Yield every ``python: module:function`` reference of a piece of the project file."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "python" and isinstance(child, str) and ":" in child:
                yield child
            else:
                yield from hook_references(child)
    elif isinstance(value, list):
        for child in value:
            yield from hook_references(child)


def hook_file(reference: str, folder: Path) -> Path:
    """Return the source file of a ``module:function`` reference.

    Hooks lie beside the project file and nowhere else: their source is part of what identifies a
    run, and it travels to a cluster with the project.

    Raises:
        SpecError: There is no such module below the project's folder.
    """
    module = reference.partition(":")[0]
    base = folder.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise SpecError(
        f"python hook {reference!r}: no module {module!r} below {folder}",
        hint="hooks lie beside the project file; a hook may import what is installed, but no "
        "other file of the project",
    )
