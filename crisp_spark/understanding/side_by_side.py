"""Spark queries that do not wait for each other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_CANCELS = 0.5


def side_by_side(session: SparkSession, *calls: Callable[[], Any]) -> list[Any]:
    """Run calls at the same time, each in a thread, and return what they return, in order.

    While one query is planned, or waits for its last task, the tasks of another run. The threads
    take over the local properties of this one (job group, description, pool), so that whoever
    cancels a job group reaches them.

    Raises:
        Exception: That of the first call, in order, which failed; all calls have ended by then,
            as they have where Ctrl-C or SIGTERM ends the waiting: whatever they start after it is
            cancelled too.
    """
    if not calls:
        return []
    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        running = [pool.submit(_inheriting(session, call)) for call in calls]
        try:
            wait(running)
        except BaseException:
            _cancel(session, running)
            raise
    return [done.result() for done in running]


def _inheriting(session: SparkSession, call: Callable[[], Any]) -> Callable[[], Any]:
    from pyspark import __version__, inheritable_thread_target

    if __version__.startswith("3."):
        return inheritable_thread_target(call)
    wrapper: Any = inheritable_thread_target(session)
    # Without pinned threads there is nothing to take over, and the session itself comes back.
    return call if wrapper is session else wrapper(call)


def _cancel(session: SparkSession, running: list[Future[Any]]) -> None:
    """Cancel jobs until all calls have ended; a call may be between two queries."""
    while not all(call.done() for call in running):
        try:
            session.sparkContext.cancelAllJobs()
        except Exception as error:  # noqa: BLE001  # the JVM is gone, and the calls will notice
            _LOG.info("Spark jobs were not cancelled: %s", error)
        wait(running, _SECONDS_BETWEEN_CANCELS)
