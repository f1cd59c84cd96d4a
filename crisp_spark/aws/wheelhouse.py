"""Everything that the code needs at run time, as wheels for one kind of processor.

What is needed follows from the requirements of the installed packages; which version, and with
which checksum, from the pinned constraints. PySpark is never in it: the cluster has its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from crisp_spark.errors import EnvironmentFaultError, StorageError, UnavailableError

PYTHON = "3.11"
"""The only Python minor that both lines of EMR have."""
INSTALLER = "uv"
"""Installs the wheels on a node: one static program, without an index, within seconds."""

_NEVER = frozenset({"pyspark", "py4j"})
_OLDEST_GLIBC, _GLIBC = 17, 34  # Amazon Linux 2023 has 2.34
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def root_requirements(checkout: Path | None) -> list[str]:
    """Return the requirements of the code itself.

    Args:
        checkout: Folder with ``pyproject.toml``; None takes those of the installed package.
    """
    if checkout is not None:
        with (checkout / "pyproject.toml").open("rb") as file:
            declared: list[str] = tomllib.load(file)["project"]["dependencies"]
        return declared
    return [line for line in metadata.requires("crisp-spark") or [] if "extra ==" not in line]


def installed_requirements(name: str) -> list[str]:
    """Return what an installed package requires.

    Raises:
        EnvironmentFaultError: It is not installed.
    """
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError as error:
        raise EnvironmentFaultError(
            f"package: {name} is needed at run time, but not installed here",
            hint="make the environment anew (`make setup`)",
        ) from error


def needed_packages(
    requirements: Iterable[str],
    *,
    architecture: str,
    requires: Callable[[str], list[str]] = installed_requirements,
) -> list[str]:
    """Return the names of all packages that ``requirements`` lead to, sorted.

    Args:
        requirements: Requirements of the code.
        architecture: Processor type that markers are judged for.
        requires: Says what a package requires.
    """
    platform = {
        **{key: str(value) for key, value in default_environment().items()},
        "platform_machine": architecture,
        "python_version": PYTHON,
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    found: dict[str, set[str]] = {}
    waiting = [(Requirement(line), "") for line in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**platform, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if name in _NEVER or extras <= found.get(name, set()):
            continue
        new = extras - found.get(name, set())
        found[name] = found.get(name, set()) | extras
        lines = [Requirement(line) for line in requires(name)]
        waiting += [(line, one) for one in sorted(new) for line in lines]
    return sorted(found)


def pinned(constraints: str, names: Iterable[str]) -> dict[str, str]:
    """Return the block of each package (version and hashes) from a constraints file.

    Raises:
        EnvironmentFaultError: A package is not pinned.
    """
    blocks: dict[str, str] = {}
    name = ""
    for line in constraints.splitlines():
        if found := _PIN.match(line):
            name = canonicalize_name(found["name"])
            blocks[name] = line
        elif name and line.strip().startswith("--hash="):
            blocks[name] += f"\n{line}"
    wanted = sorted(set(names))
    missing = [one for one in wanted if one not in blocks]
    if missing:
        raise EnvironmentFaultError(
            f"package: not in the pinned constraints: {', '.join(missing)}",
            hint="pin them anew (`make constraints`)",
        )
    return {one: blocks[one] for one in wanted}


def fetch_wheels(
    pins: Mapping[str, str], *, architecture: str, folder: Path, python: str = PYTHON
) -> list[Path]:
    """Bring the pinned wheels into ``folder``, unless they lie there whole; return them sorted.

    Args:
        pins: Package to its version and checksums.
        architecture: Processor type.
        folder: Where they go.
        python: Python that they are for.

    Raises:
        UnavailableError: pip could not fetch them.
        EnvironmentFaultError: pip is missing.
    """
    found = _whole(pins, folder)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "requirements.txt"
    lock.write_text("\n".join(pins.values()) + "\n", encoding="utf-8")
    platforms = [word for tag in _platforms(architecture) for word in ("--platform", tag)]
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    line += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", python]
    line += [
        "--implementation",
        "cp",
        *platforms,
        "--dest",
        str(folder),
        "--requirement",
        str(lock),
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603 - own words
    if "No module named pip" in done.stderr:
        raise EnvironmentFaultError("package: pip is not installed here", hint="install pip")
    found = _whole(pins, folder) if done.returncode == 0 else None
    if found is None:
        raise UnavailableError(
            f"package: the wheels for {architecture} could not be fetched "
            f"({(done.stderr.strip().splitlines() or ['no reason given'])[-1]})",
            hint="is the package index reachable? or hand over a folder of wheels: --wheels",
        )
    return found


def wheels_in(folder: Path, *, architecture: str) -> list[Path]:
    """Return the wheels of a folder that a person filled, after a look at their names.

    Raises:
        StorageError: There are none, one is for another machine, or the installer is missing.
    """
    wheels = sorted(folder.glob("*.whl"))
    names = {str(parse_wheel_filename(wheel.name)[0]) for wheel in wheels}
    strange = [wheel.name for wheel in wheels if not _fits(wheel.name, architecture)]
    if strange or INSTALLER not in names or names & _NEVER:
        raise StorageError(
            f"package: {folder} is no wheelhouse for {architecture}"
            + (f": for other machines: {', '.join(strange)}" if strange else ""),
            hint=f"it needs the wheel of {INSTALLER} and those of all requirements but pyspark",
        )
    return wheels


def cache_folder() -> Path:
    """Return the folder where fetched wheels are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "crisp-spark" / "wheels"


def requirement_lines(wheels: Sequence[Path]) -> str:
    """Return a requirements file that names exactly these files by version and checksum."""
    lines = []
    for wheel in wheels:
        name, version, _, _ = parse_wheel_filename(wheel.name)
        if name != INSTALLER:
            lines.append(f"{name}=={version} --hash=sha256:{file_sha256(wheel)}")
    return "\n".join(sorted(lines)) + "\n"


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _whole(pins: Mapping[str, str], folder: Path) -> list[Path] | None:
    """Return the files of all pins, or None when one is missing or differs."""
    found = []
    files = {str(parse_wheel_filename(file.name)[0]): file for file in folder.glob("*.whl")}
    for name, block in pins.items():
        file = files.get(name)
        if file is None or file_sha256(file) not in _HASH.findall(block):
            return None
        found.append(file)
    return sorted(found)


def _platforms(architecture: str) -> list[str]:
    tags = [f"manylinux_2_{minor}" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
    old = ["manylinux2014"]
    if architecture == "x86_64":
        old += ["manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"]
    return [f"{tag}_{architecture}" for tag in [*tags, *old]]


def _fits(name: str, architecture: str) -> bool:
    _, _, _, tags = parse_wheel_filename(name)
    return any(tag.platform == "any" or tag.platform.endswith(f"_{architecture}") for tag in tags)
