"""A whole Python environment as one archive, for clusters that run no script of ours.

It is made of unpacked wheels, so it can be made on any machine for any processor, and its
interpreter is found when it starts, so it runs from wherever Spark unpacks it
(``spark.archives=...#environment``, ``./environment/bin/python``).
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from crisp_spark.aws.wheelhouse import INSTALLER, PYTHON
from crisp_spark.errors import StorageError

_SITE = f"lib/python{PYTHON}/site-packages"
_LEVEL = 1  # the archive is read far more often than its size matters
_EXECUTABLE = 0o755
_READABLE = 0o644

_LAUNCHER = f"""\
#!/bin/sh
# Starts this machine's Python {PYTHON} with the packages of this environment, wherever it lies.
here=$(CDPATH= cd -- "${{0%/*}}/.." && pwd -P)
for base in "$CRISP_BASE_PYTHON" /usr/bin/python{PYTHON} /usr/local/bin/python{PYTHON} \\
    "$(command -v python{PYTHON})"; do
    if [ -n "$base" ] && [ -x "$base" ]; then
        PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}$here/{_SITE}" PYTHONNOUSERSITE=1 exec "$base" "$@"
    fi
done
echo "crisp environment: this machine has no Python {PYTHON}; set CRISP_BASE_PYTHON" >&2
exit 127
"""


def pack_environment(wheels: Sequence[Path], target: Path) -> Path:
    """Write the environment of ``wheels`` as a ``.tar.gz``; equal wheels give equal bytes.

    Scripts and headers of the wheels are left out: nothing starts them on a cluster.

    Raises:
        StorageError: Two wheels hold different files of one name.
    """
    with (
        target.open("wb") as file,
        gzip.GzipFile(
            filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0
        ) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        launcher = _LAUNCHER.encode()
        for name in ("bin/python", "bin/python3", f"bin/python{PYTHON}"):
            _add(archive, name, launcher, _EXECUTABLE)
        seen: dict[str, bytes] = {}
        for wheel in sorted(wheels):
            if str(parse_wheel_filename(wheel.name)[0]) == INSTALLER:
                continue
            for name, content in _unpacked(wheel):
                if seen.setdefault(name, content[:64]) != content[:64]:
                    raise StorageError(f"package: {wheel.name} overwrites {name} of another wheel")
                _add(archive, name, content, _READABLE)
    return target


def _unpacked(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for entry in sorted(archive.infolist(), key=lambda one: one.filename):
            name = _installed_name(entry.filename)
            if name is not None and not entry.is_dir():
                yield name, archive.read(entry)


def _installed_name(name: str) -> str | None:
    """Return where a wheel's file goes, or None for what a cluster does not need."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
        return f"{_SITE}/{name}"
    kind, _, place = rest.partition("/")
    if kind in {"purelib", "platlib"}:
        return f"{_SITE}/{place}"
    return place if kind == "data" else None


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
