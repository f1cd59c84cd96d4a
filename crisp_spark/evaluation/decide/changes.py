"""What would change the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crisp_spark.evaluation.decide.criteria import number
from crisp_spark.results.base import Verdict
from crisp_spark.results.decide import BaselineCheck, Change, CriterionVerdict
from crisp_spark.results.evaluate import EvaluateResult, ThresholdPoint

_AT_THRESHOLD = ("precision", "recall", "f1", "alert_rate", "value_per_row")


def list_changes(
    criteria: Sequence[CriterionVerdict],
    baselines: Sequence[BaselineCheck],
    evaluation: EvaluateResult,
) -> list[Change]:
    """List what would turn each required criterion that does not pass, or the narrowest pass."""
    required = [item for item in criteria if item.required]
    changes: list[Change] = []
    for item in required:
        if item.verdict is Verdict.FAIL:
            changes.extend(_for_a_miss(item, evaluation))
        elif item.verdict is Verdict.UNKNOWN:
            changes.append(_for_an_unknown(item))
    changes.extend(_for_a_baseline(baselines))
    if not required:
        changes.append(Change(kind="charter", sentence="Agree on at least one required criterion."))
    if not changes:
        changes.extend(_narrowest(required))
    return changes


def _for_a_miss(item: CriterionVerdict, evaluation: EvaluateResult) -> Iterator[Change]:
    assert item.held is not None
    words = item.direction.replace("_", " ")
    gap = number(abs(item.held - item.target))
    name = item.compare.replace("_", " ") if item.compare != "estimate" else "value"
    yield Change(
        criterion=item.id,
        kind="quality",
        sentence=f"{item.id} misses by {gap}: {name} {number(item.held)} must be {words} "
        f"{number(item.target)}; a better {item.metric} would do.",
        needed=item.target,
    )
    rows = _rows_needed(item)
    if rows is not None:
        yield Change(
            criterion=item.id,
            kind="rows",
            sentence=f"The value {number(item.value or 0.0)} of {item.id} meets the target, only "
            f"its {name} does not: about {rows:,} rows instead of {item.rows:,} would narrow the "
            "interval enough, were the value to stay.",
            needed=rows,
        )
    point = _other_threshold(item, evaluation)
    if point is not None and evaluation.threshold is not None:
        yield Change(
            criterion=item.id,
            kind="threshold",
            sentence=_threshold_words(item, point, evaluation.threshold.value),
            needed=point.threshold,
        )
    yield Change(
        criterion=item.id,
        kind="target",
        sentence=f"Or the business agrees to {words} {number(item.held)} for {item.id}, in a new "
        "version of the charter with an amendment.",
        needed=item.held,
    )


def _for_an_unknown(item: CriterionVerdict) -> Change:
    return Change(
        criterion=item.id,
        kind="measure",
        sentence=f"{item.sentence} A value {item.direction.replace('_', ' ')} "
        f"{number(item.target)} would make it pass.",
        needed=item.target,
    )


def _for_a_baseline(baselines: Sequence[BaselineCheck]) -> Iterator[Change]:
    for check in baselines:
        if check.verdict is not Verdict.PASS:
            short = ""
            if check.low is not None and check.low <= 0:
                short = f": the lower end of the advantage, {number(check.low)}, must pass 0"
            yield Change(
                kind="baseline",
                sentence=f"A proven advantage over {check.other} in {check.metric}{short}.",
                needed=0.0,
            )


def _narrowest(required: Sequence[CriterionVerdict]) -> Iterator[Change]:
    scaled = [
        (item.margin / max(abs(item.target), 1e-12), item)
        for item in required
        if item.margin is not None
    ]
    if scaled:
        item = min(scaled, key=lambda pair: pair[0])[1]
        assert item.margin is not None
        yield Change(
            criterion=item.id,
            kind="quality",
            sentence=f"{item.id} has the least room: were {item.metric} worse by more than "
            f"{number(item.margin)}, the verdict would be iterate.",
            needed=item.target,
        )


def _rows_needed(item: CriterionVerdict) -> int | None:
    """Rows at which the interval would just clear the target (its width falls as 1/sqrt(n))."""
    if item.compare == "estimate" or item.value is None or item.held is None or not item.rows:
        return None
    room = item.value - item.target if item.direction == "at_least" else item.target - item.value
    half = abs(item.value - item.held)
    if room <= 0:
        return None
    return math.ceil(item.rows * (half / room) ** 2)


def _other_threshold(item: CriterionVerdict, evaluation: EvaluateResult) -> ThresholdPoint | None:
    """Return the nearest threshold at which the criterion would hold on the choosing rows."""
    choice = evaluation.threshold
    if choice is None or item.slice != "all" or item.metric not in _AT_THRESHOLD:
        return None
    better = [point for point in choice.curve if _meets(item, getattr(point, item.metric))]
    return min(
        better,
        key=lambda point: (abs(point.threshold - choice.value), point.threshold),
        default=None,
    )


def _meets(item: CriterionVerdict, value: float | None) -> bool:
    if value is None:
        return False
    return value >= item.target if item.direction == "at_least" else value <= item.target


def _threshold_words(item: CriterionVerdict, point: ThresholdPoint, current: float) -> str:
    shown = [
        f"{name.replace('_', ' ')} {number(value)}"
        for name in _AT_THRESHOLD
        if (value := getattr(point, name)) is not None
    ]
    return (
        f"On the rows that the threshold was chosen on, {number(point.threshold)} instead of "
        f"{number(current)} would meet {item.id}, with {', '.join(shown)}."
    )
