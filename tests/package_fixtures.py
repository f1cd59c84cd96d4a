"""A tiny wheelhouse and checkout, so that packages are built and installed within a second."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = '[project]\nname = "crisp-spark"\ndependencies = ["tiny-dep>=1"]\n'


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes], tag: str) -> Path:
    """Write a wheel with the given files."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{one},,\n" for one in [*files, f"{info}/RECORD"])
    wheel = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for one, content in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(one, (2020, 2, 2, 0, 0, 0)), content)
    return wheel


def tiny_wheels(folder: Path) -> Path:
    """Write the wheels of one dependency and of the real installer."""
    folder.mkdir(parents=True)
    write_wheel(
        folder,
        "tiny_dep",
        "1.2",
        {
            "tiny_dep/__init__.py": b"answer = 42\n",
            "tiny_dep-1.2.data/purelib/tiny_more.py": b"more = 43\n",
            "tiny_dep-1.2.data/data/share/tiny.txt": b"data\n",
            "tiny_dep-1.2.data/scripts/tiny": b"#!python\n",
        },
        "py3-none-any",
    )
    installer = Path(sys.executable).parent / "uv"
    write_wheel(
        folder,
        "uv",
        "0.1",
        {"uv-0.1.data/scripts/uv": installer.read_bytes()},
        "py3-none-manylinux_2_17_x86_64",
    )
    return folder


def tiny_checkout(folder: Path) -> Path:
    """Write a checkout whose code needs the one dependency only."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    (folder / "bootstrap").mkdir()
    shutil.copy(ROOT / "bootstrap" / "node.sh", folder / "bootstrap")
    return folder


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class CleanRoot:
    """A root file system with the machine's ``/usr`` (read-only) and nothing else, no network.

    Args:
        folder: Where the root is.
    """

    _UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")
    _ENTER = """
set -e
for one in usr opt tmp proc dev etc srv; do mkdir -p "$ROOT/$one"; done
for one in bin lib lib64 sbin; do [ -L "$ROOT/$one" ] || ln -s "usr/$one" "$ROOT/$one"; done
mount --bind /usr "$ROOT/usr" && mount -o remount,bind,ro "$ROOT/usr"
mount --rbind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/tmp"
mount --bind "$GIVEN" "$ROOT/srv" && mount -o remount,bind,ro "$ROOT/srv"
exec chroot "$ROOT" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/nowhere "$@"
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def run(self, given: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, with the folder ``given`` seen (read-only) as ``/srv``."""
        return subprocess.run(
            [*self._UNSHARE, "bash", "-c", self._ENTER, "enter", *command],
            env={"ROOT": str(self.folder), "GIVEN": str(given), "PATH": "/usr/sbin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def clean_root(folder: Path) -> CleanRoot:
    """Return a clean root, or skip where this machine allows none."""
    root = CleanRoot(folder)
    tried = root.run(folder, "/usr/bin/python3.11", "-c", "print('ready')")
    if tried.stdout != "ready\n":
        pytest.skip(f"no namespace with /usr/bin/python3.11 here: {tried.stderr.strip()[-200:]}")
    return root
