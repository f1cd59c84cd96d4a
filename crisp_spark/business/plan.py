"""The project plan: an order that respects dependencies, and the longest path."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from crisp_spark.errors import SpecError
from crisp_spark.results.charter import PlannedStage
from crisp_spark.spec.business import PlanStage

_EPSILON = 1e-9


def plan_stages(stages: Sequence[PlanStage]) -> list[PlannedStage]:
    """Put stages into an order and compute when each can start, by the critical path method.

    Args:
        stages: Stages as declared; among those that may start, the declared order is kept.

    Returns:
        Stages in order, with earliest start and end, slack and whether a delay of theirs delays
        the project. Times are working days from the start of the project.

    Raises:
        SpecError: A dependency is no stage, or stages wait for each other.
    """
    order = _order(stages)
    starts, ends = _earliest(order)
    finish = max(ends.values(), default=0.0)
    latest = _latest_ends(order, finish)
    planned = []
    for number, item in enumerate(order, start=1):
        slack = max(latest[item.stage] - ends[item.stage], 0.0)
        planned.append(
            PlannedStage(
                stage=item.stage,
                order=number,
                days=item.days,
                depends_on=list(item.depends_on),
                evaluation=item.evaluation,
                steps=list(item.steps),
                owner=item.owner,
                status=item.status,
                start_day=starts[item.stage],
                end_day=ends[item.stage],
                slack_days=0.0 if slack < _EPSILON else round(slack, 6),
                critical=slack < _EPSILON,
            )
        )
    return planned


def critical_path(planned: Sequence[PlannedStage]) -> tuple[list[str], float]:
    """Return the stages of a longest path, first to last, and its length in working days."""
    if not planned:
        return [], 0.0
    by_name = {item.stage: item for item in planned}
    current = max(planned, key=lambda item: (item.end_day, -item.order))
    path = [current.stage]
    while current.depends_on:
        before = [by_name[name] for name in current.depends_on]
        current = max(before, key=lambda item: (item.end_day, -item.order))
        path.append(current.stage)
    return list(reversed(path)), by_name[path[0]].end_day


def _order(stages: Sequence[PlanStage]) -> list[PlanStage]:
    by_name = {item.stage: item for item in stages}
    place = {item.stage: number for number, item in enumerate(stages)}
    for item in stages:
        unknown = [name for name in item.depends_on if name not in by_name]
        if unknown:
            raise SpecError(
                f"business.plan: stage {item.stage!r} depends on {unknown[0]!r}, which is no stage",
                hint=f"stages: {', '.join(by_name)}",
            )
    sorter = TopologicalSorter({item.stage: item.depends_on for item in stages})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise SpecError(
            f"business.plan: stages wait for each other, got {circle}",
            hint="take one of these out of a depends_on",
        ) from error
    order: list[PlanStage] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
        first = ready.pop(0)
        order.append(by_name[first])
        sorter.done(first)
    return order


def _earliest(order: Sequence[PlanStage]) -> tuple[dict[str, float], dict[str, float]]:
    starts: dict[str, float] = {}
    ends: dict[str, float] = {}
    for item in order:
        starts[item.stage] = max((ends[name] for name in item.depends_on), default=0.0)
        ends[item.stage] = starts[item.stage] + item.days
    return starts, ends


def _latest_ends(order: Sequence[PlanStage], finish: float) -> dict[str, float]:
    latest = {item.stage: finish for item in order}
    for item in reversed(order):
        start = latest[item.stage] - item.days
        for name in item.depends_on:
            latest[name] = min(latest[name], start)
    return latest
