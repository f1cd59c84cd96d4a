"""Evidence of the outputs of phase 1."""

from __future__ import annotations

from crisp_spark.business.evidence import Finding, Material, authored, count
from crisp_spark.results.charter import CharterResult


def background(at: Material) -> Finding | None:
    """Output 1.1.1."""
    text = at.spec.business.background
    return authored([text], text.text.strip().splitlines()[0] if text else "")


def objectives(at: Material) -> Finding | None:
    """Output 1.1.2."""
    items = at.spec.business.objectives
    return authored(
        items, f"{count(items, 'objective')}, first: {items[0].statement}" if items else ""
    )


def business_criteria(at: Material) -> Finding | None:
    """Output 1.1.3."""
    items = [item for item in at.spec.business.criteria if item.level != "mining"]
    return authored(items, f"{count(items, 'criterion', 'criteria')}{_frozen(at)}")


def resources(at: Material) -> Finding | None:
    """Output 1.2.1."""
    declared = at.spec.business.resources
    charter = at.of(CharterResult)
    found = [item for item in charter.resources if item.found_by == "program"] if charter else []
    if not declared and not found:
        return None
    by_hand = authored(declared, "")
    return Finding(
        text=f"{len(declared)} declared, {len(found)} found on the machine",
        settled=by_hand is not None and by_hand.settled,
        owner=by_hand.owner if by_hand else "",
    )


def conditions(at: Material) -> Finding | None:
    """Output 1.2.2."""
    business = at.spec.business
    items = [*business.requirements, *business.assumptions, *business.constraints]
    charter = at.of(CharterResult)
    expired = [item.id for item in charter.conditions if item.expired] if charter else []
    text = (
        f"{count(business.requirements, 'requirement')}, "
        f"{count(business.assumptions, 'assumption')}, {count(business.constraints, 'constraint')}"
    )
    return authored(items, text + (f"; expired: {', '.join(expired)}" if expired else ""))


def risks(at: Material) -> Finding | None:
    """Output 1.2.3."""
    items = at.spec.business.risks
    covered = [item for item in items if item.contingency]
    return authored(items, f"{count(items, 'risk')}, {len(covered)} with a contingency")


def terminology(at: Material) -> Finding | None:
    """Output 1.2.4: the glossary, and the descriptions of columns."""
    items = at.spec.business.glossary
    described = [
        name
        for source in at.spec.data.sources.values()
        for name, column in source.columns.items()
        if column.description
    ]
    if not items and not described:
        return None
    by_hand = authored(items, "")
    return Finding(
        text=f"{count(items, 'term')}, {count(described, 'described column')}",
        settled=by_hand is not None and by_hand.settled,
        owner=by_hand.owner if by_hand else "",
    )


def costs(at: Material) -> Finding | None:
    """Output 1.2.5."""
    business = at.spec.business
    if business.outcome_values is None and not business.running_costs:
        return None
    by_hand = authored(business.running_costs, "")
    charter = at.of(CharterResult)
    text = "outcome values" if business.outcome_values else "no outcome values"
    text += f", {count(business.running_costs, 'cost')}"
    if charter and charter.costs.break_even_per_row is not None:
        text += (
            f"; {charter.costs.break_even_per_row:.4g} {charter.costs.currency} "
            "per prediction pay for them"
        )
    return Finding(
        text=text,
        settled=by_hand is not None and by_hand.settled,
        owner=by_hand.owner if by_hand else "",
    )


def goal(at: Material) -> Finding | None:
    """Output 1.3.1."""
    item = at.spec.business.mining_goal
    what = item.target or "groups"
    return authored([item], f"{item.problem}: {what} for {item.unit_of_prediction or 'one row'}")


def mining_criteria(at: Material) -> Finding | None:
    """Output 1.3.2."""
    items = [item for item in at.spec.business.criteria if item.level == "mining"]
    return authored(items, f"{count(items, 'criterion', 'criteria')}{_frozen(at)}")


def plan(at: Material) -> Finding | None:
    """Output 1.4.1: stages, with their progress by the steps that have run."""
    items = at.spec.business.plan
    tracked = [item for item in items if item.steps]
    done = [item for item in tracked if all(step in at.results for step in item.steps)]
    charter = at.of(CharterResult)
    days = f", {charter.critical_path_days:g} days on the critical path" if charter else ""
    progress = f"; {len(done)} of {count(tracked, 'tracked stage')} done" if tracked else ""
    return authored(items, f"{count(items, 'stage')}{days}{progress}")


def techniques(at: Material) -> Finding | None:
    """Output 1.4.2."""
    charter = at.of(CharterResult)
    if charter is None:
        return None
    chosen = [item.title for item in charter.techniques if item.chosen]
    return Finding(
        text=f"{count(charter.techniques, 'learner')} fit {charter.technique_class}; "
        f"tried: {', '.join(chosen) or 'none'}"
    )


def _frozen(at: Material) -> str:
    charter = at.of(CharterResult)
    if charter is None:
        return ", not frozen yet"
    return f", frozen in version {charter.version} as {charter.criteria_hash[:12]}"
