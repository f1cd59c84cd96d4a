"""What changed between two profiles, as a page."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import Heads, badge, facts, name, names, note, num, prose, table
from crisp_spark.reporting.numbers import count, number
from crisp_spark.reporting.report import Group, plain_page
from crisp_spark.reporting.words import plain_value
from crisp_spark.results.profile_changes import (
    Change,
    ColumnChange,
    ProfileChange,
    Shift,
    TableChange,
)

_BADGES = {
    Change.SAME: "pass",
    Change.MOVED: "warn",
    Change.DRIFTED: "fail",
    Change.TYPE: "fail",
    Change.ADDED: "info",
    Change.REMOVED: "fail",
}


def render_changes(found: ProfileChange, project: str) -> str:
    """Render what changed between two runs as a self-contained page."""
    worst = sum(
        table_.count(change)
        for table_ in found.sources
        for change in (Change.DRIFTED, Change.TYPE, Change.REMOVED)
    )
    return plain_page(
        title=f"{project}: two profiles compared",
        subtitle=f"{worst} columns drifted, changed their type or are gone",
        eyebrow=f"{found.before} and {found.after}",
        opening=_opening(found),
        groups=[
            Group(f"source-{at}", one.name, body=_source(one))
            for at, one in enumerate(found.sources)
        ],
    )


def _opening(found: ProfileChange) -> Html:
    counts: list[tuple[str, Content]] = [
        (change.value.capitalize(), count(sum(one.count(change) for one in found.sources)))
        for change in Change
    ]
    parts: list[Content] = [facts(counts)]
    if found.added:
        parts.append(note("info", "New sources: ", names(found.added), "."))
    if found.removed:
        parts.append(note("fail", "Sources that are gone: ", names(found.removed), "."))
    return join(parts)


def _source(one: TableChange) -> Html:
    heads: Heads = [
        "Column",
        "Change",
        num("PSI"),
        num("Largest difference"),
        num("Missing"),
        num("Mean"),
        num("Median"),
        prose("In words"),
    ]
    shown = [column for column in one.columns if column.change is not Change.SAME]
    pairs: list[tuple[str, Content]] = [
        ("Rows before", _plain(one.rows.before)),
        ("Rows after", _plain(one.rows.after)),
        ("Columns compared", count(len(one.columns))),
        ("As before", count(one.count(Change.SAME))),
    ]
    parts: list[Content] = [facts(pairs)]
    if one.reordered:
        parts.append(note("info", "The columns come in another order."))
    if shown:
        rows = map(_row, [*shown, *(c for c in one.columns if c.change is Change.SAME)])
        parts.append(table(heads, rows, caption=f"Columns of {one.name}", most=200))
    else:
        parts.append(note("pass", "Every column is as before."))
    return join(parts)


def _row(column: ColumnChange) -> list[Content]:
    largest = None
    if column.ks is not None:
        largest = f"{number(column.ks)} ± {number(column.ks_error)}"
    elif column.total_variation is not None:
        largest = number(column.total_variation)
    return [
        name(column.name),
        badge(_BADGES[column.change], column.change.value),
        number(column.psi),
        largest,
        _both(column.missing_share),
        _both(column.mean),
        _both(column.median),
        "; ".join(column.reasons),
    ]


def _both(shift: Shift | None) -> str | None:
    return None if shift is None else f"{_plain(shift.before)} → {_plain(shift.after)}"


def _plain(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(float(value))
    return plain_value(value)
