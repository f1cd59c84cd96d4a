"""The pieces that pages are made of: figures, tables, facts, badges, notes, folded parts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from crisp_spark.reporting.charts import Chart
from crisp_spark.reporting.html import Content, Html, escape, join, tag
from crisp_spark.reporting.numbers import UNKNOWN

MAX_ROWS = 60
"""Rows that a table shows before it says how many more there are."""

_BADGES = {
    "pass": ("ok", "M2 6.5l3 3 5-6", "pass"),
    "warn": ("warn", "M6 1.5v5.5M6 9.4v1.1", "warning"),
    "unknown": ("unknown", "M3.6 4a2.4 2.4 0 1 1 3.4 2.2c-.8.4-1 .8-1 1.5M6 9.6v1", "unknown"),
    "fail": ("bad", "M2.5 2.5l7 7M9.5 2.5l-7 7", "fail"),
    "info": ("info", "M6 1.6v1.2M6 5v5.4", "note"),
}


@dataclass(frozen=True)
class Column:
    """Heading of a table column.

    Attributes:
        title: The heading.
        numeric: Whether the cells are numbers, set right with figures of equal width.
        wide: Whether the cells hold sentences that need room.
    """

    title: str
    numeric: bool = False
    wide: bool = False


def num(title: str) -> Column:
    """Heading of a column of numbers."""
    return Column(title, numeric=True)


Heads = Sequence[Column | str]
"""Headings of a table."""


def prose(title: str) -> Column:
    """Heading of a column of sentences."""
    return Column(title, wide=True)


@dataclass(frozen=True)
class Section:
    """A step's part of the report.

    Attributes:
        id: Anchor, unique in the page.
        title: Heading.
        body: Content below the heading.
        badge: Kind of badge beside the heading, or empty.
        present: Whether the run had something to show.
    """

    id: str
    title: str
    body: Html
    badge: str = ""
    present: bool = True


def slug(text: str) -> str:
    """An anchor made of ``text``: readable, and different for different texts."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40]
    return f"{words or 'x'}-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}"


def name(text: str) -> Html:
    """A name that comes from data (column, file, value), set apart from the sentence around it."""
    return tag("code", tag("bdi", text or "(empty)"))


def names(items: Iterable[str], most: int = 12) -> Html:
    """Several names from data, the rest counted."""
    listed = list(items)
    shown = join((name(item) for item in listed[:most]), ", ")
    more = len(listed) - most
    return Html(f"{shown} and {more} more") if more > 0 else shown


def paragraph(*content: Content) -> Html:
    """A paragraph."""
    return tag("p", *content)


def lead(*content: Content) -> Html:
    """The sentence that sums a section up."""
    return tag("p", *content, class_="lead")


def heading(level: int, *content: Content) -> Html:
    """A heading of the given level; a badge may stand in it."""
    return tag(f"h{level}", *content)


def badge(kind: str, text: str | None = None) -> Html:
    """A verdict as shape, word and colour: pass, warn, unknown, fail, info."""
    css, mark, word = _BADGES[kind]
    icon = Html(
        f'<svg class="icon" viewBox="0 0 12 12" aria-hidden="true"><path d="{mark}"/></svg>'
    )
    return tag("span", icon, text or word, class_=f"badge {css}")


def note(kind: str, *content: Content) -> Html:
    """A remark that stands out; ``kind`` as in :func:`badge`."""
    return tag("div", badge(kind), tag("div", *content), class_=f"note {_BADGES[kind][0]}")


def bullets(items: Iterable[Content], css: str | None = None) -> Html:
    """An unordered list; nothing when there are no items."""
    written = [tag("li", item) for item in items]
    return tag("ul", *written, class_=css) if written else Html("")


def facts(pairs: Sequence[tuple[str, Content]]) -> Html:
    """Key figures side by side: a small label over a large value."""
    cells = [tag("div", tag("dt", label), tag("dd", value)) for label, value in pairs]
    return tag("dl", *cells, class_="facts")


def definitions(pairs: Sequence[tuple[Content, Content]]) -> Html:
    """Terms with their explanations; terms without one are left out."""
    cells = [
        tag("div", tag("dt", term), tag("dd", text))
        for term, text in pairs
        if text not in ("", None)
    ]
    return tag("dl", *cells, class_="defs") if cells else Html("")


def folded(
    summary: Content, *content: Content, css: str | None = None, shown: bool = False
) -> Html:
    """A part that opens on demand, without scripts."""
    return tag("details", tag("summary", summary), *content, class_=css, open=shown)


def table(
    columns: Heads,
    rows: Iterable[Sequence[Content]],
    *,
    caption: str,
    most: int = MAX_ROWS,
    quiet: bool = False,
) -> Html:
    """A table that scrolls sideways on its own when the page is too narrow.

    Args:
        columns: Headings; a plain string heads a column of words.
        rows: Cells; the first of each row names it.
        caption: What the table shows; seen, unless ``quiet``.
        most: Rows shown; the rest is counted below.
        quiet: The caption is only read aloud.
    """
    heads = [Column(column) if isinstance(column, str) else column for column in columns]
    listed = list(rows)
    head = tag("tr", *(tag("th", c.title, scope="col", class_=_css(c)) for c in heads))
    body = [tag("tr", *_cells(heads, row)) for row in listed[:most]]
    written = tag(
        "table",
        tag("caption", caption, class_="quiet" if quiet else None),
        tag("thead", head),
        tag("tbody", *body),
    )
    more = len(listed) - most
    rest = tag("p", f"… and {more:,} more rows.", class_="more") if more > 0 else None
    return join(
        [
            tag("div", written, class_="scroll", role="region", aria_label=caption, tabindex="0"),
            rest,
        ]
    )


def _css(column: Column) -> str | None:
    return "n" if column.numeric else "w" if column.wide else None


def _cells(heads: Sequence[Column], row: Sequence[Content]) -> list[Html]:
    cells = []
    for index, (column, content) in enumerate(zip(heads, row, strict=True)):
        shown = UNKNOWN if content is None else content
        if index == 0 and not column.numeric:
            cells.append(tag("th", shown, scope="row", class_=_css(column)))
        else:
            cells.append(tag("td", shown, class_=_css(column)))
    return cells


def figure(chart: Chart) -> Html:
    """A chart with its title and finding as caption and its numbers folded below."""
    caption = tag(
        "figcaption",
        tag("strong", chart.title),
        tag("span", chart.finding),
    )
    numeric = [Column(chart.columns[0]) if chart.columns else Column("")]
    numeric += [Column(title, numeric=True) for title in chart.columns[1:]]
    numbers = folded(
        "Numbers",
        table(numeric, chart.rows, caption=f"Numbers of: {chart.title}", most=120, quiet=True),
        css="numbers",
    )
    drawing: Html = chart.svg
    if chart.wide:
        drawing = tag(
            "div", drawing, class_="scroll", role="region", aria_label=chart.title, tabindex="0"
        )
    return tag("figure", caption, drawing, numbers, class_="wide" if chart.wide else None)


def figures(*charts: Chart | None) -> Html:
    """Charts side by side where there is room; missing ones are left out."""
    drawn = [figure(chart) for chart in charts if chart is not None]
    return tag("div", *drawn, class_="figures") if drawn else Html("")


def absent(step: str) -> Html:
    """What stands in the section of a step that has not run."""
    return tag(
        "p",
        "The step ",
        name(step),
        " has not run, or its result was not handed to this report.",
        class_="absent",
    )


def sentence(text: str) -> Html:
    """Text that ends like a sentence; what stands in backticks is set as a name."""
    stripped = text.strip()
    ended = stripped if not stripped or stripped[-1] in ".!?…" else stripped + "."
    pieces = ended.split("`")
    if len(pieces) % 2 == 0:
        return escape(ended)
    return join(name(piece) if index % 2 else piece for index, piece in enumerate(pieces))
