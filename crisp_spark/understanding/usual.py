"""Rules that compare a run with the ones before it: ``as_usual``.

Such a rule is measured by a stand-in that the engine knows (a row count, a mean, ...) and judged
against the median of the last runs. The robust deviation is 1.4826 times the median absolute
deviation; where more than half of the history is one and the same value, 1.2533 times the mean
absolute deviation (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import History, PastValue, Remedy, RuleResult
from crisp_spark.spec import quality as q
from crisp_spark.spec.quality import BoundRule, Severity
from crisp_spark.understanding.rule_words import expected

_OF_MEDIAN = 1.4826
_OF_MEAN = 1.2533
_STAND_INS = {"row_count": "row_count", "distinct_count": "distinct_count_between"}


@dataclass(frozen=True)
class Limits:
    """What a history allows."""

    centre: float
    low: float | None
    high: float | None


def measurable(rules: Sequence[BoundRule]) -> list[BoundRule]:
    """Return the rules with those about history replaced by what measures their number.

    A stand-in has the name and place of its rule; its own verdict means nothing.
    """
    return [_stand_in(bound) if isinstance(bound.rule, q.AsUsual) else bound for bound in rules]


def _stand_in(bound: BoundRule, low: float | None = 0, high: float | None = None) -> BoundRule:
    metric = bound.rule.metric if isinstance(bound.rule, q.AsUsual) else ""
    kind = _STAND_INS.get(metric, f"{metric}_between")
    common: dict[str, Any] = {"severity": bound.rule.severity, "name": bound.rule.name}
    rule: Any
    match kind:
        case "row_count":
            rule = q.RowCount(min=_whole(low), max=_whole(high), **common)
        case "distinct_count_between":
            rule = q.DistinctCountBetween(min=_whole(low), max=_whole(high), **common)
        case _:
            rule = q.StatisticBetween.model_validate(
                {"kind": kind, "min": low, "max": high, **common}
            )
    return replace(bound, rule=rule)


def _whole(value: float | None) -> int | None:
    return None if value is None else max(0, int(value))


def judge_usual(
    rules: Sequence[BoundRule],
    results: Sequence[RuleResult],
    past: Mapping[str, Sequence[PastValue]],
) -> tuple[RuleResult, ...]:
    """Judge the rules about history by what their stand-ins measured; leave the others as they are.

    Args:
        rules: All rules, as declared.
        results: Their results, in the same order.
        past: Rule name to earlier values, oldest first.
    """
    return tuple(
        _judged(bound, bound.rule, result, past.get(bound.name, ()))
        if isinstance(bound.rule, q.AsUsual)
        else result
        for bound, result in zip(rules, results, strict=True)
    )


def limits_of(rule: q.AsUsual, values: Sequence[float]) -> Limits:
    """Return the range that a history allows; every limit that is given must hold.

    Args:
        rule: The rule.
        values: Earlier values, at least one.
    """
    centre = median(values)
    lows: list[float] = []
    highs: list[float] = []
    if rule.within is not None:
        reach = abs(centre) * rule.within
        lows, highs = [*lows, centre - reach], [*highs, centre + reach]
    if rule.robust_z is not None:
        reach = robust_deviation(values) * rule.robust_z
        lows, highs = [*lows, centre - reach], [*highs, centre + reach]
    if rule.max_fall is not None:
        lows.append(centre - rule.max_fall)
    if rule.max_rise is not None:
        highs.append(centre + rule.max_rise)
    return Limits(centre, max(lows, default=None), min(highs, default=None))


def robust_deviation(values: Sequence[float]) -> float:
    """Estimate the standard deviation without regard to outliers; 0 where all values are equal."""
    centre = median(values)
    distances = [abs(value - centre) for value in values]
    return median(distances) * _OF_MEDIAN or fmean(distances) * _OF_MEAN


def _judged(
    bound: BoundRule, rule: q.AsUsual, result: RuleResult, past: Sequence[PastValue]
) -> RuleResult:
    last = tuple(past)[-rule.runs :]
    own = {
        "kind": rule.kind,
        "expected": expected(bound),
        "declared": rule.model_dump(mode="json", exclude_defaults=True) | {"kind": rule.kind},
        "remedy": None,
    }
    if result.error:
        return result.model_copy(update=own)
    if len(last) < rule.min_runs:
        had = f"{len(last)} earlier runs over other data, {rule.min_runs} are needed"
        unknown = {"verdict": Verdict.UNKNOWN, "history": History(values=last), "note": had}
        return result.model_copy(update=own | unknown)
    limits = limits_of(rule, [value.value for value in last])
    holds = _within(result.observed, limits)
    broken = Verdict.FAIL if rule.severity is Severity.FAIL else Verdict.WARN
    history = History(values=last, median=limits.centre, low=limits.low, high=limits.high)
    update = own | {"verdict": Verdict.PASS if holds else broken, "history": history}
    if not holds:
        text = "find out what changed since then: the world, or only the delivery"
        update["remedy"] = Remedy(text=text)
    return result.model_copy(update=update)


def _within(observed: Any, limits: Limits) -> bool:
    if not isinstance(observed, int | float) or observed != observed:  # noqa: PLR0124  # NaN
        return False
    # A sum of doubles depends on the order of the rows in its last digits.
    slack = 1e-9 * max(1.0, abs(limits.centre))
    above = limits.low is None or observed >= limits.low - slack
    return above and (limits.high is None or observed <= limits.high + slack)


def as_static(rules: Sequence[BoundRule], results: Sequence[RuleResult]) -> list[BoundRule]:
    """Return rules with the bounds that the history gave them; those without a history go."""
    found = []
    for bound, result in zip(rules, results, strict=True):
        if not isinstance(bound.rule, q.AsUsual):
            found.append(bound)
        elif result.history and result.history.median is not None:
            found.append(_stand_in(bound, result.history.low, result.history.high))
    return found
