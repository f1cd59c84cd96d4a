"""A sheet of SVG to draw on, and the finished chart."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.reporting.html import Html, escape, tag, visible

HALF = 360.0
"""Width of a chart that shares a row; its text is readable on a phone without scaling."""
FULL = 720.0
"""Width of a chart that takes the whole row; it scrolls sideways on a phone."""
TEXT = 11.0
"""Size of the text in charts, in the chart's own units."""

_NARROW = frozenset("ijl.,:;|!'`tfrI()[]{}/ -\u00a0")
_BROAD = frozenset("mwMW@%—…")


@dataclass(frozen=True)
class Chart:
    """A drawn chart with everything needed to read it.

    Attributes:
        title: What is shown.
        finding: What it says, in one sentence.
        svg: The drawing.
        columns: Headings of the table of numbers.
        rows: The numbers behind the drawing, written for people.
        wide: Whether it takes the whole row.
    """

    title: str
    finding: str
    svg: Html
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: bool = False


def text_width(text: str, size: float = TEXT) -> float:
    """Estimate the width of ``text`` in a sans-serif font; errs on the wide side."""
    return size * sum(_advance(character) for character in visible(text))


def _advance(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if character in _NARROW:
        return 0.34
    if character in _BROAD:
        return 0.95
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return 0.72 if character.isupper() else 0.58


def shorten(text: str, width: float, size: float = TEXT) -> str:
    """Cut ``text`` so that it fits into ``width``, with an ellipsis where it was cut."""
    if text_width(text, size) <= width:
        return text
    room = width - size * _advance("…")
    used, kept = 0.0, 0
    for character in text:
        used += text_width(character, size)
        if used > room:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def coordinate(value: float) -> str:
    """A coordinate with one decimal, without trailing zeros and without a negative zero."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Canvas:
    """Collects marks in drawing order.

    Args:
        width: Width in the chart's units.
        height: Height in the chart's units.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._marks: list[Html] = []

    def rect(self, x: float, y: float, width: float, height: float, css: str) -> None:
        """Draw a rectangle; a negative size is drawn the other way round."""
        left, top = min(x, x + width), min(y, y + height)
        self._mark("rect", css, x=left, y=top, width=abs(width), height=abs(height))

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """Draw a straight line."""
        self._mark("line", css, x1=x1, y1=y1, x2=x2, y2=y2)

    def circle(self, x: float, y: float, radius: float, css: str) -> None:
        """Draw a dot."""
        self._mark("circle", css, cx=x, cy=y, r=radius)

    def path(
        self, points: Sequence[tuple[float, float]], css: str, *, closed: bool = False
    ) -> None:
        """Draw a line through ``points``, or the area inside when closed."""
        if not points:
            return
        steps = "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
        self._marks.append(tag("path", class_=css, d=f"M{steps}{'Z' if closed else ''}"))

    def text(
        self, x: float, y: float, content: str, css: str = "tx", *, anchor: str = "start"
    ) -> None:
        """Write ``content`` with its base line at ``y``."""
        self._marks.append(
            tag(
                "text",
                content,
                class_=css,
                x=coordinate(x),
                y=coordinate(y),
                text_anchor=None if anchor == "start" else anchor,
            )
        )

    def leaning(self, x: float, y: float, content: str) -> None:
        """Write ``content`` rising to the right from a point, as the label of a narrow column."""
        at = f"translate({coordinate(x)} {coordinate(y)}) rotate(-40)"
        self._marks.append(tag("text", content, class_="tx", transform=at))

    def upright(self, x: float, y: float, content: str) -> None:
        """Write ``content`` upwards, centred on a point, as the label of an axis."""
        at = f"translate({coordinate(x)} {coordinate(y)}) rotate(-90)"
        self._marks.append(tag("text", content, class_="tm", transform=at, text_anchor="middle"))

    def _mark(self, name: str, css: str, **numbers: float) -> None:
        written = {key: coordinate(value) for key, value in numbers.items()}
        self._marks.append(tag(name, class_=css, **written))

    def svg(self, title: str, finding: str, css: str = "") -> Html:
        """Close the sheet: one image to assistive technology, with title and finding."""
        view = f"0 0 {coordinate(self.width)} {coordinate(self.height)}"
        head = (
            f'<svg class="{escape(("chart " + css).strip())}" role="img" viewBox="{view}" '
            f'aria-label="{escape(title)}">'
        )
        named = Html(f"<title>{escape(title)}</title><desc>{escape(finding)}</desc>")
        return Html(head + named + "".join(self._marks) + "</svg>")
