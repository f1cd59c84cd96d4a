"""Starting, watching and killing the cluster's processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_JVM = (
    "-Xmx320m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.net.preferIPv4Stack=true",
    # Guice of this Hadoop makes classes at run time, which Java 17 allows only when asked.
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)
START_LIMIT = 300.0
"""Seconds that a daemon may need to start on a busy machine."""


def java_home() -> str:
    """Return the home of the Java on the path."""
    found = shutil.which("java")
    if found is None:
        raise RuntimeError("java: not on the path")
    return str(Path(found).resolve().parents[1])


def free_ports(address: str, count: int) -> list[int]:
    """Return ports of an address that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind((address, 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def java(jars: Path, conf: Path, main: str, *arguments: str) -> list[str]:
    """Return the command line of a Hadoop program."""
    return [
        f"{java_home()}/bin/java",
        *_JVM,
        "-cp",
        f"{conf}{os.pathsep}{jars}/*",
        main,
        *arguments,
    ]


def start(
    command: list[str], log: Path, ready: str, *, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a daemon and wait until its log says ``ready`` (a regular expression).

    Raises:
        RuntimeError: It ended, or said nothing in time.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "JAVA_HOME": java_home(), **(environment or {})},
            start_new_session=True,
        )
    found = wait_for(
        lambda: bool(re.search(ready, text(log))) or process.poll() is not None, START_LIMIT
    )
    if not found or process.poll() is not None:
        process.kill()
        raise RuntimeError(f"{log.name}: did not start:\n{text(log)[-3000:]}")
    return process


def wait_for(met: Callable[[], bool], limit: float, *, every: float = 0.25) -> bool:
    """Wait until something is so; False when the time is up."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if met():
            return True
        time.sleep(every)
    return False


def text(file: Path) -> str:
    """Return what a log holds."""
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def containers_below(folder: Path) -> Iterator[int]:
    """Yield the processes that were started as containers with local folders below ``folder``."""
    mark = f"LOCAL_DIRS={folder}/".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes()
            except OSError:  # it has ended
                continue
            if any(entry.startswith(mark) for entry in environment.split(b"\0")):
                yield int(process.name)


def kill(pids: Iterator[int] | list[int]) -> int:
    """End processes at once and return how many there were."""
    count = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            count += 1
        except ProcessLookupError:
            continue
    return count
