"""A verdict for each criterion: pass, fail or unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crisp_spark.results.base import Verdict
from crisp_spark.results.decide import CriterionVerdict
from crisp_spark.results.evaluate import Measurement
from crisp_spark.spec.business import Criterion

_BOUNDS = {"lower_bound": "lower bound", "upper_bound": "upper bound", "estimate": "value"}
_THOUSAND = 1000


def judge_criteria(
    criteria: Sequence[Criterion], measured: Sequence[Measurement]
) -> list[CriterionVerdict]:
    """Judge every criterion of the charter, in its order.

    A criterion is unknown where nothing was measured, where there are fewer rows than
    ``min_support``, or where the end of the interval that it compares does not exist.
    """
    found = {item.criterion_id: item for item in measured}
    return [judge(criterion, found.get(criterion.id)) for criterion in criteria]


def judge(criterion: Criterion, measurement: Measurement | None) -> CriterionVerdict:
    """Judge one criterion."""
    if criterion.measured_by == "person":
        measurement = _read_out(criterion)
    value = _finite(measurement.value) if measurement else None
    low = _finite(measurement.low) if measurement else None
    high = _finite(measurement.high) if measurement else None
    held = {"estimate": value, "lower_bound": low, "upper_bound": high}[criterion.compare]
    unknown = _why_unknown(criterion, measurement, held)
    margin = None
    if held is not None:
        gap = held - criterion.target
        margin = gap if criterion.direction == "at_least" else -gap
    if unknown or margin is None:
        verdict = Verdict.UNKNOWN
    else:
        verdict = Verdict.PASS if margin >= 0 else Verdict.FAIL
    return CriterionVerdict(
        id=criterion.id,
        level=criterion.level,
        metric=criterion.metric,
        unit=criterion.unit,
        on=criterion.on,
        slice=criterion.slice,
        required=criterion.required,
        verdict=verdict,
        value=value,
        low=low,
        high=high,
        held=held,
        compare=criterion.compare,
        direction=criterion.direction,
        target=criterion.target,
        current=criterion.current,
        margin=margin,
        support=measurement.support if measurement else 0,
        rows=measurement.rows if measurement else 0,
        sentence=_sentence(criterion, (value, low, high), held, unknown),
    )


def number(value: float) -> str:
    """Write a number for a sentence: four significant digits, or whole from 1,000 on."""
    return f"{value:,.0f}" if abs(value) >= _THOUSAND else f"{value:.4g}"


def _read_out(criterion: Criterion) -> Measurement | None:
    reading = criterion.reading
    if reading is None:
        return None
    # A reading without a count is taken at its word: its author answers for the support.
    rows = criterion.min_support if reading.support is None else reading.support
    return Measurement(
        criterion_id=criterion.id,
        metric=criterion.metric,
        on=criterion.on,
        slice=criterion.slice,
        value=reading.value,
        low=reading.low,
        high=reading.high,
        support=rows,
        rows=rows,
        method=f"read by {reading.by} on {reading.date.isoformat()}",
    )


def _why_unknown(criterion: Criterion, measurement: Measurement | None, held: float | None) -> str:
    if measurement is None:
        if criterion.measured_by == "person":
            return "nobody has measured it yet"
        return "the evaluation did not measure it"
    if measurement.rows < criterion.min_support:
        return f"{measurement.rows:,} rows are too few, {criterion.min_support:,} are needed"
    if held is None:
        if measurement.reason:
            return measurement.reason
        if measurement.value is not None:
            return f"there is no {_BOUNDS[criterion.compare]}"
        return "there is no value"
    return ""


def _sentence(
    criterion: Criterion,
    numbers: tuple[float | None, float | None, float | None],
    held: float | None,
    unknown: str,
) -> str:
    where = f"on {criterion.on}"
    if criterion.slice != "all":
        where += f" where {criterion.slice}"
    about = f"{criterion.metric} {where}"
    if unknown:
        return f"{criterion.id} is unknown: {about}: {unknown}."
    value, low, high = numbers
    assert held is not None
    shown = number(value) if value is not None else "not known"
    if criterion.unit:
        shown += f" {criterion.unit}"
    if low is not None and high is not None:
        shown += f" ({number(low)} to {number(high)})"
    words = criterion.direction.replace("_", " ")
    missed = held < criterion.target if words == "at least" else held > criterion.target
    bound = ""
    if criterion.compare != "estimate":
        bound = f"its {_BOUNDS[criterion.compare]} {number(held)} "
    else:
        bound = "it "
    gap = number(abs(held - criterion.target))
    tail = f"misses by {gap}" if missed else f"has {gap} to spare"
    return (
        f"{criterion.id} {'fails' if missed else 'passes'}: {about} is {shown}; "
        f"{bound}must be {words} {number(criterion.target)} and {tail}."
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
