"""Spark queries that do not wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def side_by_side(session: SparkSession, *calls: Callable[[], Any]) -> list[Any]:
    """Run calls at the same time, each in a thread, and return what they return, in order.

    While one query is planned, or waits for its last task, the tasks of another run. The threads
    take over the local properties of this one (job group, description, pool), so that whoever
    cancels a job group reaches them.

    Raises:
        Exception: That of the first call, in order, which failed; all calls have ended by then.
    """
    from pyspark import __version__, inheritable_thread_target

    def inheriting(call: Callable[[], Any]) -> Callable[[], Any]:
        if __version__.startswith("3."):
            return inheritable_thread_target(call)
        inherited: Callable[[], Any] = inheritable_thread_target(session)(call)
        return inherited

    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        running = [pool.submit(inheriting(call)) for call in calls]
    return [done.result() for done in running]
