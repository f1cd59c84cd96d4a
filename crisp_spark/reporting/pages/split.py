"""Section of the step ``split``: the parts, and the proof that nothing leaks between them."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    definitions,
    heading,
    lead,
    name,
    names,
    num,
    prose,
    table,
)
from crisp_spark.reporting.numbers import count, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import listed, plain_value
from crisp_spark.results.base import worst
from crisp_spark.results.split import PartSummary, SplitResult

TITLE = "Data divided"

_KINDS = {
    "hash": "by a hash of the key",
    "stratified": "by a hash of the key, with the same class shares in every part",
    "group": "by a hash of the group, so that a group is never torn apart",
    "time": "by time, so that no part sees rows of its future",
}


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(SplitResult)
    if result is None:
        return None
    verdict = worst([check.verdict for check in result.checks])
    body = join(
        [
            _lead(result),
            _parts([*result.parts, *result.folds]),
            heading(4, "Proof"),
            _checks(result),
            _design(result),
        ]
    )
    return Section("split", TITLE, body, badge=verdict.value)


def _lead(result: SplitResult) -> Html:
    parts = listed([f"{count(part.rows)} {part.name}" for part in result.parts])
    return lead(
        f"{plural(result.rows_in, 'row')} were divided {_KINDS.get(result.kind, result.kind)}: "
        f"{parts} rows, with {plural(len(result.folds), 'validation fold')} in the training rows."
    )


def _parts(parts: list[PartSummary]) -> Html:
    classes = sorted({label for part in parts for label in part.classes or {}})[:6]
    timed = any(part.time_from for part in parts)
    heads: list[str] = []
    rows: list[list[Content]] = []
    for part in parts:
        row: list[Content] = [part.name, count(part.rows), percent(part.share)]
        row += [_class_share(part, label) for label in classes]
        if any(other.target_mean is not None for other in parts) and not classes:
            row.append(number(part.target_mean))
        if timed:
            row += [part.time_from, part.time_to]
        rows.append(row)
    heads = [f"“{label}”" for label in classes]
    if not classes and any(part.target_mean is not None for part in parts):
        heads = ["Target mean"]
    columns: Heads = [
        "Part",
        num("Rows"),
        num("Share"),
        *map(num, heads),
        *(["From", "To"] if timed else []),
    ]
    return table(columns, rows, caption="Parts and folds")


def _class_share(part: PartSummary, label: str) -> str:
    total = sum((part.classes or {}).values())
    return percent((part.classes or {}).get(label, 0) / total) if total else percent(None)


def _checks(result: SplitResult) -> Html:
    rows: list[list[Content]] = [
        [check.statement, plain_value(check.value), badge(check.verdict.value)]
        for check in result.checks
    ]
    heads: Heads = [prose("What must hold"), "Found", "Verdict"]
    return table(heads, rows, caption="Checks that nothing leaks between the parts", quiet=True)


def _design(result: SplitResult) -> Html:
    return definitions(
        [
            ("Key", names(result.key) if result.key else ""),
            ("Group", names(result.group) if result.group else ""),
            ("Time", name(result.time) if result.time else ""),
            ("Test share asked for", percent(result.test_share)),
            ("Later period from", result.later_from or ""),
            ("Boundaries", listed(result.boundaries)),
            ("Seed", str(result.seed)),
        ]
    )
