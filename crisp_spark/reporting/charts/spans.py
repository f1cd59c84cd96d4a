"""Estimates with their intervals: one against a target (bullet), or many side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.reporting.charts.canvas import HALF, Canvas, Chart, shorten, text_width
from crisp_spark.reporting.charts.scale import Format, Scale
from crisp_spark.reporting.charts.scale import reference as compared
from crisp_spark.reporting.html import Html
from crisp_spark.reporting.numbers import UNKNOWN, number

_ROW = 30.0


@dataclass(frozen=True)
class Criterion:
    """What a bullet chart shows.

    Attributes:
        name: Metric in words.
        value: Estimate, None when unknown.
        target: Value to reach.
        at_least: Whether more is better.
        low: Lower end of the interval.
        high: Upper end of the interval.
        current: Value today.
    """

    name: str
    value: float | None
    target: float
    at_least: bool = True
    low: float | None = None
    high: float | None = None
    current: float | None = None


def bullet(criterion: Criterion, fmt: Format = number) -> Html:
    """Draw an estimate with its interval on a track whose good side is shaded.

    The target is a tall stroke labelled below, today's value an open triangle above.
    """
    canvas = Canvas(HALF, 46)
    x = _bullet_scale(criterion, canvas.width)
    target = x(criterion.target)
    good = (target, x.end - target) if criterion.at_least else (x.start, target - x.start)
    canvas.rect(x.start, 16, x.end - x.start, 12, "tr")
    canvas.rect(good[0], 16, good[1], 12, "good")
    if criterion.current is not None:
        at = x(criterion.current)
        canvas.path([(at - 4.5, 7), (at + 4.5, 7), (at, 14)], "open", closed=True)
    canvas.line(target, 11, target, 33, "target")
    if criterion.low is not None and criterion.high is not None:
        low, high = x(criterion.low), x(criterion.high)
        canvas.line(low, 22, high, 22, "span")
        canvas.line(low, 18, low, 26, "cap")
        canvas.line(high, 18, high, 26, "cap")
    if criterion.value is not None:
        canvas.circle(x(criterion.value), 22, 4.5, "dot")
    _bullet_labels(canvas, x, criterion, fmt)
    title = f"{criterion.name} against its target"
    return canvas.svg(title, _bullet_finding(criterion, fmt), "bullet")


def _bullet_scale(criterion: Criterion, width: float) -> Scale:
    known = [
        value
        for value in (
            criterion.value,
            criterion.target,
            criterion.low,
            criterion.high,
            criterion.current,
        )
        if value is not None
    ]
    low, high = min(known), max(known)
    pad = (high - low) * 0.15 or abs(high) * 0.2 or 1.0
    floor = 0.0 if low >= 0 and low - pad < 0 else low - pad
    # Most metrics end at 1, and a track beyond it would promise more than there is.
    ceiling = 1.0 if floor >= 0 and high <= 1.0 < high + pad else high + pad
    return Scale(floor, ceiling, 6, width - 6)


def _bullet_labels(canvas: Canvas, x: Scale, criterion: Criterion, fmt: Format) -> None:
    """Label the target; the ends of the track only where they do not touch it."""
    label = f"target {fmt(criterion.target)}"
    half = text_width(label) / 2
    middle = min(max(x(criterion.target), half), canvas.width - half)
    canvas.text(middle, 44, label, "tx", anchor="middle")
    left, right = fmt(x.low), fmt(x.high)
    if text_width(left) + 8 < middle - half:
        canvas.text(0, 44, left, "tm")
    if middle + half < canvas.width - text_width(right) - 8:
        canvas.text(canvas.width, 44, right, "tm", anchor="end")


def _bullet_finding(criterion: Criterion, fmt: Format) -> str:
    aim = f"the target is {'at least' if criterion.at_least else 'at most'} {fmt(criterion.target)}"
    if criterion.value is None:
        return f"The value is not known; {aim}."
    span = ""
    if criterion.low is not None and criterion.high is not None:
        span = f" with an interval from {fmt(criterion.low)} to {fmt(criterion.high)}"
    today = f", today it is {fmt(criterion.current)}" if criterion.current is not None else ""
    return f"The value is {fmt(criterion.value)}{span}; {aim}{today}."


def intervals(
    title: str,
    finding: str,
    labels: Sequence[str],
    estimates: Sequence[tuple[float, float | None, float | None]],
    *,
    value_label: str = "value",
    fmt: Format = number,
    reference: float | None = None,
    reference_label: str = "",
    highlight: Sequence[bool] = (),
    notes: Sequence[str] = (),
) -> Chart:
    """Draw an estimate with its interval per row, the row's label above it.

    Args:
        title: What is shown.
        finding: What it says.
        labels: One label per row.
        estimates: Value, lower and upper end per row; ends may be unknown.
        value_label: What is measured.
        fmt: How values are written.
        reference: Value for comparison (the best baseline, all rows), a dashed line.
        reference_label: Name of that value.
        highlight: Rows to pick out.
        notes: Text behind the value (support, share).
    """
    top = 16.0 if reference is not None else 2.0
    canvas = Canvas(HALF, top + _ROW * max(len(labels), 1) + 2)
    ends = [end for row in estimates for end in row if end is not None]
    ends += [reference] if reference is not None else []
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    pad = (high - low) * 0.04 or 0.5
    x = Scale(low - pad, high + pad, 4, canvas.width - 4)
    for index, (label, row) in enumerate(zip(labels, estimates, strict=True)):
        picked = index < len(highlight) and highlight[index]
        note = notes[index] if index < len(notes) else ""
        shown = f"{fmt(row[0])} {note}".strip()
        _interval(canvas, x, top + index * _ROW, label, row, shown=shown, picked=picked)
    if reference is not None:
        tops = [top + index * _ROW + 16 for index in range(len(labels))]
        compared(canvas, x(reference), reference_label, tops)
    head = ("", value_label, "interval", *(("note",) if notes else ()))
    rows = tuple(
        (label, fmt(row[0]), _span(row, fmt), *((notes[index],) if notes else ()))
        for index, (label, row) in enumerate(zip(labels, estimates, strict=True))
    )
    return Chart(title, finding, canvas.svg(title, finding), head, rows)


def _span(row: tuple[float, float | None, float | None], fmt: Format) -> str:
    return (
        f"{fmt(row[1])} to {fmt(row[2])}" if row[1] is not None and row[2] is not None else UNKNOWN
    )


def _interval(
    canvas: Canvas,
    x: Scale,
    y: float,
    label: str,
    row: tuple[float, float | None, float | None],
    *,
    shown: str,
    picked: bool,
) -> None:
    room = canvas.width - text_width(shown) - 10
    canvas.text(0, y + 11, shorten(label, room), "tx halo")
    canvas.text(canvas.width, y + 11, shown, "tx halo", anchor="end")
    canvas.line(x.start, y + 21, x.end, y + 21, "gr")
    value, low, high = row
    if low is not None and high is not None:
        canvas.line(x(low), y + 21, x(high), y + 21, "span2" if picked else "span")
    canvas.circle(x(value), y + 21, 4, "dot2" if picked else "dot")
