"""What an endpoint is run from: a function's ZIP, a machine's revision, a folder for an image."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import crisp_spark
from crisp_spark.aws.wheelhouse import cache_folder, fetch_wheels, needed_packages, pinned
from crisp_spark.errors import UsageError

LARGEST_UNPACKED = 250 << 20
"""Bytes that Lambda unpacks at most."""

BUNDLE = "model.crisp.zip"
_FIRST = (1980, 1, 1, 0, 0, 0)
_FILE, _PROGRAM = 0o644 << 16, 0o755 << 16
_LEFT_OUT = {"tests", "__pycache__", "include", "f2py"}
_NO_USE = (".pyi", ".pyc", ".a", ".h", ".pxd")

_APP = f'''"""The function: what Lambda imports, and so loads the model."""

from pathlib import Path

from crisp_spark.serving.endpoint.loading import load
from crisp_spark.serving.endpoint.on_lambda import start

handler = start(load, model=str(Path(__file__).parent / "{BUNDLE}"))
'''


@dataclass(frozen=True)
class Packed:
    """A ZIP.

    Attributes:
        content: Its bytes.
        unpacked_bytes: Size of what is in it.
    """

    content: bytes
    unpacked_bytes: int

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex; equal content gives equal bytes."""
        return hashlib.sha256(self.content).hexdigest()


def endpoint_code() -> dict[str, bytes]:
    """Return the part of this package that an endpoint needs: name to content."""
    package = Path(crisp_spark.__file__).parent
    files = [package / "__init__.py", package / "errors.py", *(package / "serving").rglob("*.py")]
    return {
        file.relative_to(package.parent).as_posix(): file.read_bytes() for file in sorted(files)
    }


def function_zip(wheels: Sequence[Path], bundle: bytes | None) -> Packed:
    """Return the package of a function.

    Args:
        wheels: Wheels of what it needs, for its processor and Python.
        bundle: The model; None where the function takes it from S3.

    Raises:
        UsageError: It is larger than Lambda takes.
    """
    files = {"app.py": _APP.encode(), **endpoint_code()}
    for wheel in wheels:
        files |= dict(_useful(wheel))
    if bundle is not None:
        files[BUNDLE] = bundle
    packed = packed_files(files)
    if packed.unpacked_bytes > LARGEST_UNPACKED:
        raise UsageError(
            f"deploy: the function has {packed.unpacked_bytes >> 20} MB unpacked, "
            f"Lambda takes {LARGEST_UNPACKED >> 20}",
            hint="deployment.endpoint.follow: true leaves the model in S3; or deploy to ecs",
        )
    return packed


def packed_files(files: Mapping[str, bytes], programs: frozenset[str] = frozenset()) -> Packed:
    """Return files as a ZIP that depends on nothing but them.

    Args:
        files: Name to content.
        programs: Names of those that can be run.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _PROGRAM if name in programs else _FILE
            archive.writestr(entry, files[name])
    return Packed(made.getvalue(), sum(map(len, files.values())))


def _useful(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if name.endswith(("/", *_NO_USE)) or _LEFT_OUT & set(parts[:-1]):
                continue
            yield name, archive.read(name)


def function_wheels(constraints: str, *, architecture: str, python: str) -> list[Path]:
    """Return the pinned wheels of a function, fetched where they are not there yet.

    Args:
        constraints: Text of the pinned constraints.
        architecture: ``arm64`` or ``x86_64``.
        python: Python of the function, such as ``3.13``.
    """
    machine = {"arm64": "aarch64"}.get(architecture, architecture)
    folder = cache_folder() / f"function-{python}-{machine}"
    pins = pinned(constraints, ["numpy"])
    return fetch_wheels(pins, architecture=machine, folder=folder, python=python)


def image_folder(constraints: str, *, architecture: str, bundle: bytes | None) -> dict[str, bytes]:
    """Return the folder that an image is built from: code, pinned requirements, Dockerfile.

    Args:
        constraints: Text of the pinned constraints.
        architecture: ``arm64`` or ``x86_64``.
        bundle: The model; None where the container takes it from S3.
    """
    machine = {"arm64": "aarch64"}.get(architecture, architecture)
    names = needed_packages(["numpy", "fastapi", "uvicorn"], architecture=machine)
    files = {f"code/{name}": content for name, content in endpoint_code().items()}
    files["code/requirements.txt"] = (
        "\n".join(pinned(constraints, names).values()) + "\n"
    ).encode()
    files["Dockerfile"] = dockerfile(architecture, with_model=bundle is not None).encode()
    if bundle is not None:
        files[f"model/{BUNDLE}"] = bundle
    return files


def dockerfile(architecture: str, *, with_model: bool) -> str:
    """Return the Dockerfile of an endpoint's image."""
    platform = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}[architecture]
    model = "COPY model /opt/ml/model\n" if with_model else ""
    return _DOCKERFILE.replace("@PLATFORM", platform).replace("@MODEL\n", model)


_DOCKERFILE = """FROM --platform=@PLATFORM python:3.11-slim
COPY code/requirements.txt /srv/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /srv/requirements.txt \\
 && useradd --uid 10001 --no-create-home endpoint
COPY code/crisp_spark /srv/crisp_spark
@MODEL
WORKDIR /srv
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CRISP_STAGE=container
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", \\
 "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/ping', timeout=2)"]
ENTRYPOINT ["python", "-m", "crisp_spark.serving.endpoint.container"]
CMD ["serve"]
"""
