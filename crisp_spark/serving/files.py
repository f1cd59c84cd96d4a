"""The file of a bundle: a ZIP of JSON and NumPy arrays, each with its checksum; nothing runs."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.serving.refusal import BundleError

FORMAT = 1
"""Version of the format; a reader refuses any other."""

SUFFIX = ".crisp.zip"
_MANIFEST, _MODEL, _ARRAYS, _PARITY = "manifest.json", "model.json", "arrays.npz", "parity.json"
_FIRST = (1980, 1, 1, 0, 0, 0)
"""The same content gives the same file: no clock is in it."""


def pack(
    model: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    parity: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the bytes of a bundle.

    Args:
        model: Description of the model.
        arrays: Its numbers.
        parity: Report of the comparison with Spark.
    """
    members = {_MODEL: _json(model), _ARRAYS: _npz(arrays)}
    if parity is not None:
        members[_PARITY] = _json(parity)
    manifest = {
        "format": FORMAT,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    return _zip({_MANIFEST: _json(manifest), **members})


def unpack(
    content: bytes, *, place: str = "bundle"
) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, Any] | None]:
    """Return model, arrays and parity report of a bundle.

    Raises:
        BundleError: It is no bundle, of another format, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            manifest = json.loads(archive.read(_MANIFEST))
            if manifest.get("format") != FORMAT:
                raise BundleError(
                    f"{place}: format {manifest.get('format')!r} of a bundle, {FORMAT} can be read",
                    hint="deploy the model again with this version of crisp_spark",
                )
            members = {}
            for name, digest in manifest["sha256"].items():
                members[name] = archive.read(name)
                if hashlib.sha256(members[name]).hexdigest() != digest:
                    raise BundleError(f"{place}: {name} is not what was written (checksum differs)")
        model = json.loads(members[_MODEL])
        with np.load(io.BytesIO(members[_ARRAYS]), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        parity = json.loads(members[_PARITY]) if _PARITY in members else None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, AttributeError) as error:
        raise BundleError(
            f"{place}: not a bundle, or a damaged one ({error})", hint="fetch or deploy it again"
        ) from error
    return model, arrays, parity


def read(path: str | Path | bytes) -> tuple[bytes, str]:
    """Return content and name of a bundle's file.

    Raises:
        BundleError: There is no such file, or it cannot be read.
    """
    if isinstance(path, bytes):
        return path, "bundle"
    try:
        return Path(path).read_bytes(), str(path)
    except OSError as error:
        raise BundleError(f"bundle: cannot read {str(path)!r} ({error.strerror})") from error


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    members = {}
    for name, array in sorted(arrays.items()):
        stored = io.BytesIO()
        np.lib.format.write_array(stored, np.ascontiguousarray(array), allow_pickle=False)
        members[f"{name}.npy"] = stored.getvalue()
    return _zip(members)


def _zip(members: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _FIRST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return made.getvalue()
