"""What every function that runs in a Python worker of Spark does first."""

from __future__ import annotations

import sys
import zipimport
from pathlib import Path
from typing import Any


def keep_archives_read() -> None:
    """Keep this process from reading unchanged archives of modules again before every task.

    A worker forgets what it knows of import paths before each task. Python 3.10 and 3.11 then read
    the list of files of every archive on the path at once, and Spark's own two have thousands:
    about 80 ms a task, more than many tasks take. Python 3.12 reads it when next asked. Here an
    archive is read again only where its size or time has changed, as a package handed over later
    might. For workers only, which live from task to task; calling it again does nothing.
    """
    original: Any = zipimport.zipimporter.invalidate_caches
    if sys.version_info >= (3, 12) or getattr(original, "__name__", "") == _forget.__name__:
        return
    _ORIGINAL.append(original)
    setattr(zipimport.zipimporter, "invalidate_caches", _forget)  # noqa: B010


_ORIGINAL: list[Any] = []
_SEEN: dict[tuple[str, str], tuple[int, int]] = {}
"""Size and time by archive and folder in it: each folder has an importer with a list of its own."""


def _forget(importer: zipimport.zipimporter) -> None:
    try:
        found = Path(importer.archive).stat()
    except OSError:
        _ORIGINAL[0](importer)
        return
    state, name = (found.st_mtime_ns, found.st_size), (importer.archive, importer.prefix)
    if _SEEN.get(name) != state:
        _SEEN[name] = state
        _ORIGINAL[0](importer)
