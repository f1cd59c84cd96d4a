"""AWS's own emulator of Lambda's runtime interface: a static program in the wheel of SAM."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_PIN = (
    "aws-sam-cli==1.170.0 "
    "--hash=sha256:24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf\n"
)
_SUMS = {
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crisp-spark"


def emulator() -> Path:
    """Return the program; it is fetched once, by version and checksum."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = _CACHE / f"aws-lambda-rie-{_SUMS[machine][:12]}"
    if program.is_file() and _sum(program.read_bytes()) == _SUMS[machine]:
        return program
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "requirements.txt"
        lock.write_text(_PIN)
        line = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        line += ["--dest", folder, "--requirement", str(lock)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the wheel of aws-sam-cli could not be fetched: {done.stderr[-200:]}")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            content = wheel.read(f"samcli/local/rapid/aws-lambda-rie-{machine}")
    assert _sum(content) == _SUMS[machine]
    _CACHE.mkdir(parents=True, exist_ok=True)
    part = program.with_suffix(f".{os.getpid()}")
    part.write_bytes(content)
    part.chmod(part.stat().st_mode | stat.S_IXUSR)
    part.replace(program)
    return program


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Function:
    """A function behind the emulator."""

    def __init__(self, address: str, log: Path) -> None:
        self._address, self._log = address, log

    def call(self, event) -> tuple[int, object]:
        """Invoke it; returns the HTTP status and the answer."""
        path = "/2015-03-31/functions/function/invocations"
        answer = httpx.post(f"{self._address}{path}", json=event, timeout=60)
        try:
            return answer.status_code, answer.json()
        except ValueError:  # a time-out is told in words
            return answer.status_code, answer.text

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")


@contextmanager
def running(
    handler: str, *, path: list[Path], environ: Mapping[str, str], folder: Path, seconds: int = 30
) -> Iterator[Function]:
    """Run ``handler`` with Lambda's runtime client, on the loopback address only."""
    address, runtime = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    log = folder / f"function-{time.monotonic_ns()}.log"
    line = [str(emulator()), "--runtime-interface-emulator-address", address]
    line += ["--runtime-api-address", runtime, sys.executable, "-m", "awslambdaric", handler]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **environ,
    }
    with log.open("wb") as file:
        server = subprocess.Popen(line, stdout=file, stderr=file, env=environment, cwd=folder)
    try:
        _wait(address, server)
        yield Function(f"http://{address}", log)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait(address: str, server: subprocess.Popen) -> None:
    host, port = address.split(":")
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as knock:
            if knock.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"the emulator did not start ({server.poll()})")
