"""Earlier versions of the charter, and the rule that criteria stay once a test set was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.results.charter import Amendment, CharterResult
from crisp_spark.spec.business import BusinessSpec

_WORDING = {"owner", "date", "status", "expires", "statement", "reading", "unit"}
_GOAL_WORDING = {"owner", "date", "status", "expires", "question"}


def check_amendment(business: BusinessSpec, evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Refuse criteria that changed after a test set was read under the same charter version.

    Args:
        business: The charter that is to be frozen.
        evaluations: Earlier commits of ``evaluate``: ``result`` and ``created`` of each.

    Raises:
        SpecError: The criteria changed without a new version, or the version went back.
    """
    for commit in evaluations:
        result = commit["result"]
        used = result.get("criteria_hash", "")
        version = result.get("charter_version", 1)
        when = _iso(commit.get("created", ""))
        if used and version == business.version and used != business.criteria_hash:
            raise SpecError(
                f"business.criteria: changed after the test set was read under version {version} "
                f"({when}), got hash {business.criteria_hash[:12]}, then {used[:12]}",
                hint=f"raise business.version to {version + 1} and say why in business.amendment; "
                "the report shows both versions",
            )
        if used and version > business.version:
            raise SpecError(
                f"business.version: got {business.version}, but the test set was read under "
                f"version {version} ({when})",
                hint=f"versions only rise: take {version}, or {version + 1} with an amendment",
            )


def check_frozen(business: BusinessSpec, charter: CharterResult) -> None:
    """Refuse to read the test set under criteria other than the frozen ones.

    Raises:
        SpecError: The project file differs from the charter in what decides a verdict.
    """
    if business.criteria_hash != charter.criteria_hash or business.version != charter.version:
        raise SpecError(
            f"business.criteria: not those of the frozen charter (version {charter.version}, "
            f"{charter.criteria_hash[:12]}), got version {business.version}, "
            f"{business.criteria_hash[:12]}",
            hint="run `crisp run --from charter`: it freezes the criteria before rows are read",
        )


def list_amendments(
    business: BusinessSpec,
    frozen_at: str,
    *,
    charters: Sequence[Mapping[str, Any]],
    evaluations: Sequence[Mapping[str, Any]],
) -> list[Amendment]:
    """List every version of the charter with what changed in its criteria; the last is this one.

    Versions are told apart by number and criteria: a change of wording is no version.

    Args:
        business: The charter that is being frozen.
        frozen_at: When, ISO.
        charters: Earlier commits of ``charter``, oldest first: ``result`` of each.
        evaluations: Earlier commits of ``evaluate``.
    """
    read = {
        (commit["result"].get("charter_version", 1), commit["result"].get("criteria_hash", ""))
        for commit in evaluations
    }
    this = _facts(business, frozen_at)
    known: dict[tuple[int, str], Mapping[str, Any]] = {}
    for facts in [*(commit["result"] for commit in charters), this]:
        identity = (facts["version"], facts["criteria_hash"])
        known.setdefault(identity, facts)
    mine = (business.version, business.criteria_hash)
    known[mine] = {**known.pop(mine), "amendment": business.amendment}
    entries: list[Amendment] = []
    before: Mapping[str, Any] | None = None
    for identity, facts in known.items():
        entries.append(
            Amendment(
                version=facts["version"],
                reason=facts.get("amendment", ""),
                criteria_hash=facts["criteria_hash"],
                charter_hash=this["charter_hash"] if identity == mine else facts["charter_hash"],
                created=facts["frozen_at"],
                evaluated=identity in read,
                criteria_changed=before is not None
                and before["criteria_hash"] != facts["criteria_hash"],
                changes=describe_changes(before, facts) if before is not None else [],
            )
        )
        before = facts
    return entries


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say in words what differs between two charters in what decides a verdict.

    Args:
        before: Charter result as JSON: ``criteria``, ``goal`` and ``outcome_values`` are read.
        after: The later one.
    """
    old = {item["id"]: item for item in before["criteria"]}
    new = {item["id"]: item for item in after["criteria"]}
    lines = [f"{name}: taken out" for name in old if name not in new]
    lines += [f"{name}: added ({_summary(item)})" for name, item in new.items() if name not in old]
    for name, item in old.items():
        if name in new:
            lines += _differences(name, item, new[name], _WORDING)
    lines += _differences("goal", before["goal"], after["goal"], _GOAL_WORDING)
    lines += _differences(
        "outcome values", before.get("outcome_values") or {}, after.get("outcome_values") or {}
    )
    return lines


def _facts(business: BusinessSpec, frozen_at: str) -> dict[str, Any]:
    values = business.outcome_values
    return {
        "version": business.version,
        "amendment": business.amendment,
        "criteria_hash": business.criteria_hash,
        "charter_hash": business.charter_hash,
        "frozen_at": frozen_at,
        "criteria": [item.model_dump(mode="json") for item in business.criteria],
        "goal": business.mining_goal.model_dump(mode="json"),
        "outcome_values": values.model_dump(mode="json") if values else None,
    }


def _differences(
    place: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    ignored: set[str] | frozenset[str] = frozenset(),
) -> list[str]:
    names = [name for name in dict.fromkeys([*old, *new]) if name not in ignored]
    return [
        f"{place}: {name} {_shown(old.get(name))} -> {_shown(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _summary(item: Mapping[str, Any]) -> str:
    words = str(item["direction"]).replace("_", " ")
    return f"{item['metric']} {words} {item['target']:g} on {item['on']}"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
