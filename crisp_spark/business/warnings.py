"""What a reader of the charter should know before the work starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crisp_spark.results.charter import ConditionEntry, RiskEntry
from crisp_spark.spec.business import BusinessSpec, Criterion
from crisp_spark.spec.evaluation import metric_info


def warn_about(
    business: BusinessSpec, *, conditions: Sequence[ConditionEntry], risks: Sequence[RiskEntry]
) -> list[str]:
    """List what is open, expired or odd in a charter, in words."""
    return [
        *_about_objectives(business),
        *(line for criterion in business.criteria for line in _about(criterion, business)),
        *_about_expiry(conditions, risks),
        *(
            f"risk {risk.id}: {risk.band}, without a contingency or a trigger"
            for risk in risks
            if risk.band == "high" and not (risk.contingency and risk.trigger)
        ),
    ]


def _about_objectives(business: BusinessSpec) -> Iterator[str]:
    if not any(criterion.required for criterion in business.criteria):
        yield "no criterion is required: nothing can be decided"
    served = {criterion.objective for criterion in business.criteria}
    for objective in business.objectives:
        if objective.id not in served and objective.status != "waived":
            yield f"objective {objective.id}: no criterion measures it"


def _about(criterion: Criterion, business: BusinessSpec) -> Iterator[str]:
    place = f"criterion {criterion.id}"
    lenient = {"at_least": "upper_bound", "at_most": "lower_bound"}[criterion.direction]
    if criterion.compare == lenient:
        yield f"{place}: the favourable end of the interval is compared, so it passes by chance"
    if criterion.measured_by == "person":
        if criterion.reading is None:
            yield f"{place}: nobody has measured it yet"
        return
    info = metric_info(business.mining_goal.problem, criterion.metric)
    if info is None:
        yield f"{place}: no evaluation computes {criterion.metric!r}, it stays unknown"
    elif info.name != "bias" and info.higher_is_better != (criterion.direction == "at_least"):
        way = "higher" if info.higher_is_better else "lower"
        yield f"{place}: {criterion.metric} is better when {way}, but must be {_words(criterion)}"
    if info is not None and info.needs == "values" and business.outcome_values is None:
        yield f"{place}: {criterion.metric} needs business.outcome_values, it stays unknown"
    if criterion.current is not None and not _beyond(criterion, criterion.current):
        yield f"{place}: the target asks for less than the current value {criterion.current:g}"


def _about_expiry(
    conditions: Sequence[ConditionEntry], risks: Sequence[RiskEntry]
) -> Iterator[str]:
    for entry in conditions:
        if entry.expired:
            owner = f", ask {entry.owner}" if entry.owner else ""
            yield f"{entry.kind} {entry.id}: expired on {entry.expires}{owner}"
    for risk in risks:
        if risk.expired:
            yield f"risk {risk.id}: its assessment has expired"


def _beyond(criterion: Criterion, current: float) -> bool:
    if criterion.direction == "at_least":
        return criterion.target >= current
    return criterion.target <= current


def _words(criterion: Criterion) -> str:
    return f"{criterion.direction.replace('_', ' ')} {criterion.target:g}"
