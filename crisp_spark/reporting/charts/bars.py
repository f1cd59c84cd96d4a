"""Bars: columns over categories, histograms and horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence

from crisp_spark.reporting.charts.canvas import FULL, HALF, Canvas, Chart, shorten, text_width
from crisp_spark.reporting.charts.scale import (
    Format,
    Scale,
    axis_room,
    nice_ticks,
    reference,
    x_axis,
    y_axis,
)
from crisp_spark.reporting.charts.scale import marks as pointed_out
from crisp_spark.reporting.numbers import count, number, short

_ROW = 30.0


def _frame(
    canvas: Canvas, values: Sequence[float], label: str, *, bottom: float, fmt: Format
) -> tuple[Scale, float]:
    """Draw the vertical axis from zero; returns its scale and the left edge of the plot."""
    ticks = nice_ticks(min(0.0, *values), max(values), 4) if values else [0.0, 1.0]
    scale = Scale(ticks[0], ticks[-1], canvas.height - bottom, 20)
    y_axis(canvas, scale, ticks, canvas.width - 4, fmt)
    canvas.text(0, 10, label, "tm")
    return scale, axis_room(ticks, fmt)


def histogram(
    title: str,
    finding: str,
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    x_label: str = "",
    y_label: str = "rows",
    marks: Sequence[tuple[float, str]] = (),
    fmt: Format = number,
) -> Chart:
    """Draw how often values fall between ``edges`` (one more than ``counts``).

    ``marks`` are values pointed out by a dashed line with a label. Bars of unequal width show
    counts, not densities: read them by height.
    """
    canvas = Canvas(HALF, 190)
    y, left = _frame(canvas, list(counts), y_label, bottom=32, fmt=short)
    low, high = (edges[0], edges[-1]) if edges else (0.0, 1.0)
    x = Scale(low, high, left, canvas.width - 8)
    for amount, start, end in zip(counts, edges, edges[1:], strict=False):
        gap = 0.5 if x(end) - x(start) > 3 else 0  # noqa: PLR2004 - a hairline between wide bars
        canvas.rect(
            x(start) + gap, y(0), max(x(end) - x(start) - 2 * gap, 0.5), y(amount) - y(0), "f1"
        )
    x_axis(canvas, x, y(y.low), _inside(nice_ticks(low, high, 5), low, high), fmt)
    canvas.text((left + canvas.width) / 2, canvas.height - 3, x_label, "tm", anchor="middle")
    pointed_out(canvas, x, marks, (18, y(y.low)))
    rows = [
        (f"{fmt(start)} to {fmt(end)}", count(amount))
        for amount, start, end in zip(counts, edges, edges[1:], strict=False)
    ]
    headings = (x_label or "value", y_label)
    return Chart(title, finding, canvas.svg(title, finding), headings, tuple(rows))


def _inside(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low <= tick <= high] or [low, high]


def columns(
    title: str,
    finding: str,
    labels: Sequence[str],
    values: Sequence[float],
    *,
    x_label: str = "",
    y_label: str = "rows",
    fmt: Format = count,
    axis_fmt: Format = short,
    highlight: Sequence[bool] = (),
    wide: bool = False,
) -> Chart:
    """Draw one column per label, left to right: months, deciles, clusters.

    ``highlight`` picks columns out by colour; say in ``finding`` what it means.
    """
    canvas = Canvas(FULL if wide else HALF, 190)
    y, left = _frame(canvas, list(values), y_label, bottom=32, fmt=axis_fmt)
    slot = (canvas.width - left - 8) / max(len(values), 1)
    base, taken = y(max(y.low, 0)), -1.0
    canvas.line(left, base, canvas.width - 4, base, "ax")
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        picked = index < len(highlight) and highlight[index]
        start = left + index * slot
        canvas.rect(
            start + slot * 0.12, base, slot * 0.76, y(value) - base, "f2" if picked else "f1"
        )
        half = text_width(label) / 2
        middle = min(max(start + slot / 2, half), canvas.width - half)
        if middle - half > taken + 4:
            canvas.text(middle, canvas.height - 18, label, "tm", anchor="middle")
            taken = middle + half
    canvas.text((left + canvas.width) / 2, canvas.height - 3, x_label, "tm", anchor="middle")
    rows = tuple((label, fmt(value)) for label, value in zip(labels, values, strict=True))
    svg = canvas.svg(title, finding)
    return Chart(title, finding, svg, (x_label or "group", y_label), rows, wide=wide)


def horizontal_bars(
    title: str,
    finding: str,
    labels: Sequence[str],
    values: Sequence[float],
    *,
    value_label: str = "value",
    fmt: Format = number,
    notes: Sequence[str] = (),
    highlight: Sequence[bool] = (),
    limit: float | None = None,
    limit_label: str = "",
) -> Chart:
    """Draw one bar per row, its label above it, so that long names keep their room.

    Values may be negative. ``notes`` stand behind the value; ``limit`` draws a dashed line with
    ``limit_label``.
    """
    top = 16.0 if limit is not None else 2.0
    canvas = Canvas(HALF, top + _ROW * max(len(values), 1) + 4)
    reach = [0.0, *values, *([limit] if limit is not None else [])]
    x = Scale(min(reach), max(reach) or 1.0, 1, canvas.width - 1)
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = top + index * _ROW
        note = notes[index] if index < len(notes) else ""
        shown = f"{fmt(value)} {note}".strip()
        room = canvas.width - text_width(shown) - 10
        canvas.text(0, y + 11, shorten(label, room), "tx")
        canvas.text(canvas.width, y + 11, shown, "tx", anchor="end")
        picked = index < len(highlight) and highlight[index]
        canvas.rect(x(x.low), y + 17, x(x.high) - x(x.low), 6, "tr")
        canvas.rect(x(0), y + 17, x(value) - x(0), 6, "f2" if picked else "f1")
    if limit is not None:
        tops = [top + index * _ROW + 15 for index in range(len(values))]
        reference(canvas, x(limit), limit_label, tops)
    head = ("", value_label, "note") if notes else ("", value_label)
    rows = tuple(
        (label, fmt(value), *((notes[index],) if notes else ()))
        for index, (label, value) in enumerate(zip(labels, values, strict=True))
    )
    return Chart(title, finding, canvas.svg(title, finding), head, rows)
