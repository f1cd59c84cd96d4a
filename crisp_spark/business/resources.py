"""What the program finds on the machine that it runs on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata

from crisp_spark import __version__
from crisp_spark.results.charter import ResourceEntry

PACKAGES: tuple[str, ...] = (
    "pyspark",
    "mlflow",
    "great-expectations",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
)
"""Packages whose version belongs into the inventory."""

_GIB = 1024**3


def find_resources(packages: Iterable[str] = PACKAGES) -> list[ResourceEntry]:
    """Return cores, memory, Python and the versions of packages, as inventory entries."""
    found = [
        _entry("processor", "compute", f"{_cores()} cores, {platform.machine()}"),
        _entry("operating system", "software", platform.system()),
        _entry("Python", "software", platform.python_version()),
        _entry("crisp_spark", "software", __version__),
    ]
    memory = _memory_bytes()
    if memory:
        found.insert(1, _entry("memory", "compute", f"{memory / _GIB:.1f} GiB"))
    found.extend(_entry(name, "software", _version(name)) for name in packages)
    return found


def _entry(name: str, kind: str, detail: str) -> ResourceEntry:
    return ResourceEntry(name=name, kind=kind, detail=detail, found_by="program")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed as a package"
