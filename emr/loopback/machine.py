"""The one machine of a cluster: runs commands as process groups, keeps their logs in S3."""

from __future__ import annotations

import gzip
import logging
import os
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crisp_spark.engine.s3a import s3a_settings
from emr.loopback.cluster_state import now
from emr.loopback.options import Options

logger = logging.getLogger(__name__)

_AWS = """#!/bin/sh
exec {python} {file} "$@"
"""
_AWS_COMMAND = Path(__file__).with_name("aws_command.py")
_POLL = 0.02


@dataclass
class Process:
    """One command while it runs.

    Attributes:
        folder: Local folder of its logs.
        prefix: S3 URI of its logs, with a slash at its end; empty: no logs in S3.
    """

    folder: Path
    prefix: str
    stop: threading.Event = field(default_factory=threading.Event)
    how: int = signal.SIGTERM
    popen: subprocess.Popen[bytes] | None = None

    def end(self, how: int) -> None:
        """Ask for the end of the command, by a signal to its whole process group."""
        self.how = how
        self.stop.set()


class Machine:
    """Runs what the cluster's nodes would run.

    Args:
        options: How the loop-back EMR behaves.
        folder: Folder of the cluster.
        s3: S3 client.
        endpoint: Where steps find AWS.
        region: Region of the cluster.
    """

    def __init__(
        self, options: Options, folder: Path, *, s3: Any, endpoint: str, region: str
    ) -> None:
        self._options = options
        self._s3 = s3
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir(parents=True)
        script = tools / "aws"
        script.write_text(
            _AWS.format(python=shlex.quote(sys.executable), file=shlex.quote(str(_AWS_COMMAND)))
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        root = str(Path(__file__).parents[2])
        self._environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("COV_")},
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "loopback",
            "AWS_SECRET_ACCESS_KEY": "loopback",
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "EMR_LOOPBACK": "1",
            "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
            **options.environ,
        }
        for profile in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            self._environ.pop(profile, None)

    @property
    def connector(self) -> dict[str, str]:
        """Settings of S3A, which EMR's machines have by themselves."""
        return s3a_settings(self._environ)

    def fetch(self, uri: str, folder: Path) -> Path:
        """Bring an ``s3://`` object, or a local file, into ``folder``."""
        parts = urlsplit(uri)
        if parts.scheme not in {"s3", "s3a"}:
            return Path(parts.path)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / Path(parts.path).name
        self._s3.download_file(parts.netloc, parts.path.lstrip("/"), str(target))
        return target

    def run(
        self, command: Sequence[str], process: Process, environ: Mapping[str, str] | None = None
    ) -> int:
        """Run a command to its end and return its exit code (negative: the signal's number)."""
        process.folder.mkdir(parents=True, exist_ok=True)
        self._say(process, f"startExec '{' '.join(command)}'")
        begun = time.monotonic()
        with (
            (process.folder / "stdout").open("wb") as out,
            (process.folder / "stderr").open("wb") as err,
        ):
            try:
                process.popen = subprocess.Popen(  # noqa: S603  # what the user asked to run
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=process.folder,
                    env={**self._environ, **(environ or {})},
                    start_new_session=True,
                )
            except OSError as error:
                err.write(f"{error}\n".encode())
                code = 127
            else:
                code = self._wait(process, process.popen)
        took = int(time.monotonic() - begun)
        ending = "succeeded" if code == 0 else "failed"
        self._say(process, f"waitProcessCompletion ended with exit code {code}")
        self._say(process, f"Step {ending} with exitCode {code} and took {took} seconds")
        self.upload(process)
        return code

    def _wait(self, process: Process, popen: subprocess.Popen[bytes]) -> int:
        upload_at = time.monotonic() + self._options.log_upload
        kill_at: float | None = None
        while popen.poll() is None:
            if process.stop.is_set() and kill_at is None:
                _signal(popen, process.how)
                kill_at = time.monotonic() + self._options.grace
            if kill_at is not None and time.monotonic() > kill_at:
                _signal(popen, signal.SIGKILL)
            if time.monotonic() > upload_at:
                self.upload(process)
                upload_at = time.monotonic() + self._options.log_upload
            if kill_at is None:
                process.stop.wait(_POLL)
            else:
                time.sleep(_POLL)
        _signal(popen, signal.SIGKILL)  # what it left running
        return popen.returncode

    def upload(self, process: Process) -> None:
        """Put the logs, as far as they are written, into S3."""
        if not process.prefix:
            return
        parts = urlsplit(process.prefix)
        for name in ("controller", "stdout", "stderr"):
            file = process.folder / name
            content = file.read_bytes() if file.exists() else b""
            try:
                self._s3.put_object(
                    Bucket=parts.netloc,
                    Key=f"{parts.path.lstrip('/')}{name}.gz",
                    Body=gzip.compress(content),
                )
            except Exception:
                # A missing log bucket must not end the cluster; EMR says nothing either.
                logger.warning("logs not uploaded to %s", process.prefix, exc_info=True)
                return

    @staticmethod
    def _say(process: Process, text: str) -> None:
        with (process.folder / "controller").open("a") as log:
            log.write(f"{now():%Y-%m-%dT%H:%M:%S.%fZ} INFO {text}\n")


def _signal(popen: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(popen.pid, number)
    except ProcessLookupError:
        logger.debug("process group %s has ended", popen.pid)
