"""SIGTERM ends a job the way an error does: records are closed, the failure is kept.

EMR sends it when a step is cancelled or a cluster ends; a person may too.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from crisp_spark.engine.session import leave_spark

EX_TERMINATED = 128 + signal.SIGTERM


class TerminatedBySignal(SystemExit):
    """The process was asked to end.

    Not an ordinary exception: a trial that fails is recorded and passed over, this is not.
    """

    def __init__(self) -> None:
        super().__init__(EX_TERMINATED)

    def __str__(self) -> str:
        return "ended by SIGTERM: the step was cancelled, or its machine is going away"


@contextmanager
def terminated_as_error() -> Iterator[None]:
    """Raise :class:`TerminatedBySignal` in the main thread on the first SIGTERM.

    Running Spark jobs are cancelled, so that threads which wait for them come back. A second
    SIGTERM ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ended(_number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        leave_spark(frame)
        raise TerminatedBySignal

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
