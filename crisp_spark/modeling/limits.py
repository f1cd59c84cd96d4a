"""Calls in threads whose Spark jobs end with them: at a time limit, a failure or an interrupt."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from crisp_spark.errors import ModelError

if TYPE_CHECKING:
    from pyspark import SparkContext

T = TypeVar("T")

_GRACE_S = 20
"""Seconds that cancelled calls may take to notice; one that hangs outside Spark is left behind."""


def in_job_group(
    context: SparkContext,
    name: str,
    calls: Sequence[Callable[[], T]],
    *,
    parallelism: int,
    limit_s: float | None = None,
) -> list[T]:
    """Carry out calls in threads and return what they return, in order.

    When one fails, when the limit is reached or the caller is interrupted, the Spark jobs of all
    of them are cancelled.

    Args:
        context: The Spark context.
        name: What the jobs are for, as the Spark UI shows it.
        calls: What to do.
        parallelism: Calls at a time.
        limit_s: Most seconds for all calls together; None for no limit.

    Raises:
        ModelError: The limit was reached.
    """
    group = f"{name}-{uuid4().hex[:8]}"

    def grouped(call: Callable[[], T]) -> T:
        context.setJobGroup(group, name, interruptOnCancel=True)
        return call()

    waiting = deque((partial(grouped, call), Future[T]()) for call in calls)
    futures, begun = [future for _, future in waiting], list[Future[T]]()
    for _ in range(min(parallelism, len(futures))):
        # Daemons: one that hangs must not keep the process from ending.
        work = threading.Thread(target=_carry_out, args=(waiting, begun), name=name, daemon=True)
        work.start()
    try:
        done, late = wait(futures, limit_s, FIRST_EXCEPTION)
    except BaseException:
        waiting.clear()
        _cancel(context, group, begun)
        raise
    failed = [error for future in done if (error := future.exception()) is not None]
    if late:
        waiting.clear()
        _cancel(context, group, begun)
    if failed:
        raise failed[0]
    if late:
        raise ModelError(
            f"modeling: {name} took longer than {limit_s:g} s and was given up",
            hint="raise modeling.budget.max_trial_seconds, or try smaller models",
        )
    return [future.result() for future in futures]


def _carry_out(waiting: deque[tuple[partial[T], Future[T]]], begun: list[Future[T]]) -> None:
    """Carry out what waits, one call after the other; a failure ends the waiting."""
    while True:
        try:
            call, future = waiting.popleft()
        except IndexError:
            return
        begun.append(future)
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller
            waiting.clear()
            future.set_exception(error)


def _cancel(context: SparkContext, group: str, begun: Sequence[Future[T]]) -> None:
    for _ in range(_GRACE_S):
        # Again and again: what is between two jobs would start its next one.
        context.cancelJobGroup(group)
        if not wait(begun, 1.0).not_done:
            return
