"""Numbers of earlier runs, for rules that compare with them.

They come from what the steps ``quality`` and ``profile`` published; nothing else is kept. Data
that was judged several times (because a rule changed, say) counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crisp_spark.results.quality import PastValue
from crisp_spark.run.steprun import StepRun
from crisp_spark.spec.quality import AsUsual, BoundRule

Found = dict[str, tuple[str, PastValue]]
"""Identity of the data to when it was published and the value."""


def past_values(
    run: StepRun, source: str, rules: Sequence[BoundRule]
) -> dict[str, tuple[PastValue, ...]]:
    """Return, for each rule about history, the values of earlier runs over other data.

    Args:
        run: The step that runs.
        source: Source that the rules judge.
        rules: Its rules.

    Returns:
        Rule name to values, oldest first.
    """
    compared = [(bound.name, bound, bound.rule) for bound in rules]
    usual = [(name, bound, rule) for name, bound, rule in compared if isinstance(rule, AsUsual)]
    if not usual:
        return {}
    identities = _identities(run, source)
    now = identities.get(run.lineage().get("ingest", ""), "")
    commits = {step: list(_of_source(run, step, source)) for step in ("profile", "quality")}
    found = {}
    for name, bound, rule in usual:
        values: Found = {}
        # What quality measured itself comes last and so counts.
        for step, read in (("profile", _profiled), ("quality", _judged)):
            for commit, told in commits[step]:
                ingest = str(commit["inputs"].get("ingest", ""))
                identity = identities.get(ingest, ingest)
                value = read(told, rule, bound.columns)
                if value is None or identity == now:
                    continue
                created = commit["created"].isoformat()
                past = PastValue(run_id=commit["run_id"], created=created, value=value)
                first = min(created, values[identity][0]) if identity in values else created
                values[identity] = (first, past)
        found[name] = tuple(past for _, past in sorted(values.values(), key=lambda one: one[0]))
    return found


def _identities(run: StepRun, source: str) -> dict[str, str]:
    """Stage key of each ingest to the identity of the source's data."""
    return {
        str(commit["stage_key"]): str(
            commit["result"].get("sources", {}).get(source, {}).get("digest") or commit["stage_key"]
        )
        for commit in run.commits("ingest")
    }


def _of_source(
    run: StepRun, step: str, source: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Commits of a step, oldest first, each with its part about the source."""
    name = {"profile": "name", "quality": "source"}[step]
    for commit in run.commits(step):
        for told in commit["result"].get("sources", ()):
            if told.get(name) == source:
                yield commit, told


def _profiled(told: Mapping[str, Any], rule: AsUsual, columns: Sequence[str]) -> float | None:
    if rule.metric == "row_count":
        return _number(told.get("rows"))
    column = next((one for one in told.get("columns", ()) if one["name"] == columns[0]), None)
    if column is None:
        return None
    numbers = column.get("numbers") or {}
    return _number(
        {
            "null_fraction": column.get("missing_share") if told.get("rows") else None,
            "distinct_count": column.get("distinct") if column.get("distinct_exact") else None,
            "mean": numbers.get("mean"),
            "sum": numbers.get("sum"),
            "stddev": numbers.get("std"),
            "min": column.get("min"),
            "max": column.get("max"),
        }[rule.metric]
    )


def _judged(told: Mapping[str, Any], rule: AsUsual, columns: Sequence[str]) -> float | None:
    if rule.metric == "row_count":
        return _number(told.get("rows"))
    for one in told.get("rules", ()):
        declared = one.get("declared", {})
        same = declared.get("kind") == "as_usual" and declared.get("metric") == rule.metric
        if same and list(one.get("columns", ())) == list(columns):
            return _number(one.get("observed"))
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
