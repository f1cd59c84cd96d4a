"""The running code as a wheel: the same bytes for the same code, no build tool needed."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import crisp_spark
from crisp_spark import __version__

_EPOCH = (2020, 2, 2, 0, 0, 0)
_LEFT_OUT = frozenset({"__pycache__", "_shipped"})
_MODE = 0o644 << 16


def write_wheel(folder: Path, *, requires: Sequence[str]) -> Path:
    """Write the package that is running as a wheel into ``folder`` and return the file.

    Args:
        folder: Where the wheel goes.
        requires: Its requirements.
    """
    info = f"crisp_spark-{__version__}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        "Name: crisp-spark",
        f"Version: {__version__}",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {line}" for line in requires),
    ]
    wheel = ["Wheel-Version: 1.0", "Generator: crisp package", "Root-Is-Purelib: true"]
    files = dict(_sources(Path(crisp_spark.__file__).parent))
    files |= {
        f"{info}/METADATA": _lines(metadata),
        f"{info}/WHEEL": _lines([*wheel, "Tag: py3-none-any"]),
        f"{info}/entry_points.txt": _lines(
            ["[console_scripts]", "crisp = crisp_spark.cli.main:main"]
        ),
    }
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = _lines([*record, f"{info}/RECORD,,"])
    target = folder / f"crisp_spark-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _MODE
            archive.writestr(entry, content)
    return target


def _sources(package: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(package.rglob("*")):
        place = file.relative_to(package.parent)
        if file.is_file() and not _LEFT_OUT & set(place.parts) and file.suffix != ".pyc":
            yield place.as_posix(), file.read_bytes()


def _lines(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
