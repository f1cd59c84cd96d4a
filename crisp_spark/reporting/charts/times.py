"""Charts along a way: gains and losses that add up, and bars along a line of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from crisp_spark.reporting.charts.canvas import FULL, HALF, Canvas, Chart, shorten, text_width
from crisp_spark.reporting.charts.scale import Format, Scale, nice_ticks
from crisp_spark.reporting.numbers import count, number

_ROW = 30.0
_THIN_ROW = 24.0


def waterfall(
    title: str,
    finding: str,
    start: tuple[str, float],
    changes: Sequence[tuple[str, float]],
    end_label: str,
    *,
    value_label: str = "rows",
    fmt: Format = count,
) -> Chart:
    """Draw how ``start`` becomes the end through ``changes``, one row each.

    Gains and losses differ by colour and by their sign.
    """
    levels = list(accumulate([start[1], *(change for _, change in changes)]))
    canvas = Canvas(HALF, _ROW * (len(changes) + 2) + 2)
    x = Scale(min(0.0, *levels), max(0.0, *levels) or 1.0, 1, canvas.width - 1)
    _fall(canvas, x, 0, (start[0], fmt(start[1])), (0.0, start[1]), "f1")
    for index, ((label, change), before) in enumerate(zip(changes, levels, strict=False)):
        sign = "+" if change > 0 else ""
        css = "f3" if change > 0 else "f2"
        shown = (label, f"{sign}{fmt(change)}")
        _fall(canvas, x, index + 1, shown, (before, before + change), css)
    last = (end_label, fmt(levels[-1]))
    _fall(canvas, x, len(changes) + 1, last, (0.0, levels[-1]), "f1")
    rows = (
        (start[0], fmt(start[1])),
        *((label, fmt(change)) for label, change in changes),
        (end_label, fmt(levels[-1])),
    )
    return Chart(title, finding, canvas.svg(title, finding), ("", value_label), rows)


def _fall(
    canvas: Canvas,
    x: Scale,
    row: int,
    texts: tuple[str, str],
    ends: tuple[float, float],
    css: str,
) -> None:
    y = row * _ROW
    canvas.text(0, y + 11, shorten(texts[0], canvas.width - text_width(texts[1]) - 10), "tx")
    canvas.text(canvas.width, y + 11, texts[1], "tx", anchor="end")
    canvas.rect(x.start, y + 17, x.end - x.start, 6, "tr")
    low, high = sorted((x(ends[0]), x(ends[1])))
    canvas.rect(low, y + 17, max(high - low, 1.0), 6, css)


@dataclass(frozen=True)
class Bar:
    """A stretch of time on a line.

    Attributes:
        row: Name of the line it lies on.
        start: Where it begins.
        end: Where it ends.
        label: Text behind it.
        kind: 1 for what was planned, 2 for what happened (or any two kinds).
    """

    row: str
    start: float
    end: float
    label: str = ""
    kind: int = 1


def timeline(
    title: str,
    finding: str,
    bars: Sequence[Bar],
    *,
    unit: str,
    kinds: Sequence[str] = (),
    fmt: Format = number,
) -> Chart:
    """Draw bars along one axis, a line per row; bars of one row lie below each other.

    ``kinds`` names the kinds of bar for the legend.
    """
    names = list(dict.fromkeys(bar.row for bar in bars))
    lanes = {name: sorted({bar.kind for bar in bars if bar.row == name}) for name in names}
    left = min(max((text_width(name) for name in names), default=0) + 10, 170.0)
    top = 26.0 if kinds else 8.0
    heights = [max(_THIN_ROW, 13.0 * len(lanes[name]) + 10) for name in names]
    canvas = Canvas(FULL, top + sum(heights) + 32)
    low = min((bar.start for bar in bars), default=0.0)
    high = max((bar.end for bar in bars), default=1.0)
    longest = max((text_width(bar.label) for bar in bars), default=0)
    ticks = nice_ticks(low, high, 6)
    x = Scale(low, high, left, canvas.width - longest - 12)
    for tick in (tick for tick in ticks if low <= tick <= high):
        canvas.line(x(tick), top, x(tick), canvas.height - 30, "gr")
        canvas.text(x(tick), canvas.height - 18, fmt(tick), "tm", anchor="middle")
    canvas.text((x.start + x.end) / 2, canvas.height - 3, unit, "tm", anchor="middle")
    _kinds(canvas, kinds)
    y = top
    for name, height in zip(names, heights, strict=True):
        canvas.text(left - 8, y + height / 2 + 4, shorten(name, left - 10), "tx", anchor="end")
        _lanes(canvas, x, y, height, [bar for bar in bars if bar.row == name], lanes[name])
        y += height
    rows = tuple(
        (
            bar.row,
            *((kinds[bar.kind - 1],) if kinds else ()),
            fmt(bar.start),
            fmt(bar.end),
            bar.label,
        )
        for bar in bars
    )
    head = ("", *(("kind",) if kinds else ()), f"from ({unit})", f"to ({unit})", "note")
    return Chart(title, finding, canvas.svg(title, finding, "wide"), head, rows, wide=True)


def _kinds(canvas: Canvas, kinds: Sequence[str]) -> None:
    at = 0.0
    for index, kind in enumerate(kinds):
        canvas.rect(at, 6, 14, 9, f"f{index + 1}")
        canvas.text(at + 19, 14, kind, "tx")
        at += text_width(kind) + 36


def _lanes(
    canvas: Canvas, x: Scale, y: float, height: float, bars: Sequence[Bar], kinds: Sequence[int]
) -> None:
    first = y + (height - 13.0 * len(kinds)) / 2
    for bar in bars:
        at = first + kinds.index(bar.kind) * 13.0
        canvas.rect(x(bar.start), at + 1.5, max(x(bar.end) - x(bar.start), 1.5), 10, f"f{bar.kind}")
        canvas.text(x(bar.end) + 5, at + 10, bar.label, "tm halo")
