"""Curves over one or two axes: ROC, precision-recall, calibration, gain, value by threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.reporting.charts.canvas import FULL, HALF, Canvas, Chart, text_width
from crisp_spark.reporting.charts.scale import Format, Scale, axis_room, nice_ticks, x_axis, y_axis
from crisp_spark.reporting.charts.scale import marks as pointed_out
from crisp_spark.reporting.numbers import UNKNOWN, number, short

MAX_CURVES = 6
"""Curves that can be told apart: each has its colour, its dashes and its name in the legend."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: Name in the legend.
        points: Pairs of x and y, in drawing order.
        band: Lower and upper y per point, where there is an interval.
        dots: Whether the points are drawn.
        guide: A reference line (chance, perfect calibration), drawn thin and grey.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()
    dots: bool = False
    guide: bool = False


def lines(
    title: str,
    finding: str,
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    x_fmt: Format = short,
    y_fmt: Format = short,
    marks: Sequence[tuple[float, str]] = (),
    shade: tuple[float, float, str] | None = None,
    wide: bool = False,
) -> Chart:
    """Draw curves with a legend.

    Args:
        title: What is shown.
        finding: What it says.
        curves: The lines, at most six beside the guides.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        x_range: Fixed ends of the horizontal axis.
        y_range: Fixed ends of the vertical axis.
        x_fmt: How values of the horizontal axis are written.
        y_fmt: How values of the vertical axis are written.
        marks: Values of x with a dashed line and a label.
        shade: From, to and label of a range of x that is not allowed.
        wide: Whether the chart takes the whole row.
    """
    canvas = Canvas(FULL if wide else HALF, 240)
    alone = len(curves) == 1  # its name says no more than the title
    top = 18.0 if alone else _legend(canvas, curves, 24) + 12
    low, high = y_range or _reach(curves, axis=1)
    y_ticks = nice_ticks(low, high, 4)
    if y_range:
        y_ticks = [tick for tick in y_ticks if low <= tick <= high]
    y = Scale(y_ticks[0], y_ticks[-1], canvas.height - 32, top + (14 if marks or shade else 0))
    y_axis(canvas, y, y_ticks, canvas.width - 6, y_fmt)
    canvas.text(0, 10, y_label, "tm")
    start, end = x_range or _reach(curves, axis=0)
    x = Scale(start, end, axis_room(y_ticks, y_fmt), canvas.width - 8)
    if shade:
        _shade(canvas, x, y, shade)
    ticks = [tick for tick in nice_ticks(start, end, 5) if start <= tick <= end]
    x_axis(canvas, x, canvas.height - 32, ticks, x_fmt)
    canvas.text((x.start + x.end) / 2, canvas.height - 2, x_label, "tm", anchor="middle")
    _curves(canvas, curves, x, y)
    pointed_out(canvas, x, marks, (y.end - 14, y.start))
    svg = canvas.svg(title, finding, "wide" if wide else "")
    return Chart(title, finding, svg, *_table(curves, x_label, y_label), wide=wide)


def _reach(curves: Sequence[Curve], *, axis: int) -> tuple[float, float]:
    values = [point[axis] for curve in curves for point in curve.points]
    if axis == 1:
        values += [end for curve in curves for pair in curve.band for end in pair]
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _styles(curves: Sequence[Curve]) -> list[str]:
    styles, taken = [], 0
    for curve in curves:
        taken += not curve.guide
        styles.append("g" if curve.guide else str((taken - 1) % MAX_CURVES + 1))
    return styles


def _legend(canvas: Canvas, curves: Sequence[Curve], y: float) -> float:
    """Write the names of the curves in rows from ``y`` on; returns where the last row ends."""
    x = 0.0
    for curve, style in zip(curves, _styles(curves), strict=True):
        wide = text_width(curve.name) + 34
        if x and x + wide > canvas.width:
            x, y = 0.0, y + 15
        canvas.line(x, y - 4, x + 20, y - 4, f"s{style}")
        canvas.text(x + 25, y, curve.name, "tx")
        x += wide + 4
    return y


def _curves(canvas: Canvas, curves: Sequence[Curve], x: Scale, y: Scale) -> None:
    for curve, style in zip(curves, _styles(curves), strict=True):
        places = [(x.clamped(a), y.clamped(b)) for a, b in curve.points]
        if curve.band:
            across = [x.clamped(a) for a, _ in curve.points]
            lower = [(a, y.clamped(pair[0])) for a, pair in zip(across, curve.band, strict=True)]
            upper = [(a, y.clamped(pair[1])) for a, pair in zip(across, curve.band, strict=True)]
            canvas.path([*lower, *reversed(upper)], f"b{style}", closed=True)
        canvas.path(places, f"s{style}")
        if curve.dots:
            for place in places:
                canvas.circle(*place, 2.6, f"d{style}")


def _shade(canvas: Canvas, x: Scale, y: Scale, shade: tuple[float, float, str]) -> None:
    low, high, label = shade
    start, end = x.clamped(low), x.clamped(high)
    if end - start < 1:
        return
    canvas.rect(start, y.end, end - start, y.start - y.end, "shade")
    if text_width(label) < end - start - 8:
        canvas.text((start + end) / 2, y.start - 6, label, "tm", anchor="middle")


def _table(
    curves: Sequence[Curve], x_label: str, y_label: str
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """One row per point of each curve that is not a guide; at most 40 points per curve."""
    banded = any(curve.band for curve in curves)
    rows = []
    for curve in (curve for curve in curves if not curve.guide):
        for index in _some(len(curve.points), 40):
            across, up = curve.points[index]
            row = [curve.name, number(across), number(up)]
            if banded:
                pair = curve.band[index] if curve.band else (None, None)
                row.append(" to ".join(number(end) for end in pair) if curve.band else UNKNOWN)
            rows.append(tuple(row))
    heading = ("curve", x_label, y_label, "interval") if banded else ("curve", x_label, y_label)
    return heading, tuple(rows)


def _some(length: int, most: int) -> list[int]:
    """Indices of at most ``most`` points, evenly spread, always with the first and the last."""
    if length <= most:
        return list(range(length))
    return sorted({round(index * (length - 1) / (most - 1)) for index in range(most)})
