"""Many points at once: quality against cost, and settings as lines across parallel axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.reporting.charts.canvas import FULL, HALF, Canvas, Chart, shorten, text_width
from crisp_spark.reporting.charts.scale import Format, Scale, axis_room, nice_ticks, x_axis, y_axis
from crisp_spark.reporting.numbers import UNKNOWN, number, short

_LINE = 12
"""Height of a line of text."""


@dataclass(frozen=True)
class Point:
    """A point of a scatter.

    Attributes:
        name: Name in the table.
        x: Place across.
        y: Place up.
        label: Text beside it; empty for none.
        picked: Whether it stands out.
    """

    name: str
    x: float
    y: float
    label: str = ""
    picked: bool = False


def scatter(
    title: str,
    finding: str,
    points: Sequence[Point],
    *,
    x_label: str,
    y_label: str,
    steps: Sequence[tuple[float, float]] = (),
    x_fmt: Format = short,
    y_fmt: Format = short,
) -> Chart:
    """Draw points, and a line through some of them (a frontier).

    Args:
        title: What is shown.
        finding: What it says.
        points: The points; picked ones are drawn last.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        steps: Places that a line joins, in order.
        x_fmt: How values of the horizontal axis are written.
        y_fmt: How values of the vertical axis are written.
    """
    canvas = Canvas(HALF, 240)
    y_ticks = nice_ticks(min(p.y for p in points), max(p.y for p in points), 4)
    y = Scale(y_ticks[0], y_ticks[-1], canvas.height - 32, 24)
    y_axis(canvas, y, y_ticks, canvas.width - 6, y_fmt)
    canvas.text(0, 10, y_label, "tm")
    x_ticks = nice_ticks(0.0, max(p.x for p in points) or 1.0, 5)
    x = Scale(0.0, x_ticks[-1], axis_room(y_ticks, y_fmt), canvas.width - 10)
    x_axis(canvas, x, canvas.height - 32, x_ticks, x_fmt)
    canvas.text((x.start + x.end) / 2, canvas.height - 2, x_label, "tm", anchor="middle")
    canvas.path([(x(a), y(b)) for a, b in steps], "sg")
    for point in sorted(points, key=lambda p: p.picked):
        canvas.circle(x(point.x), y(point.y), 4, "dot2" if point.picked else "dot")
    _label(canvas, points, x, y)
    rows = tuple((point.name, x_fmt(point.x), y_fmt(point.y)) for point in points)
    return Chart(title, finding, canvas.svg(title, finding), ("", x_label, y_label), rows)


def _label(canvas: Canvas, points: Sequence[Point], x: Scale, y: Scale) -> None:
    """Write the labels of points beside them; one that would touch another is left out."""
    taken: list[tuple[float, float, float]] = []
    for point in points:
        if not point.label:
            continue
        text = shorten(point.label, 150)
        wide = text_width(text)
        start = x(point.x) + 8 if x(point.x) + 8 + wide < canvas.width else x(point.x) - 8 - wide
        height = min(max(y(point.y) + 4, 22), canvas.height - 38)
        free = all(
            abs(height - other) > _LINE or start > end + 4 or start + wide + 4 < begin
            for begin, end, other in taken
        )
        if free and start >= x.start:
            canvas.text(start, height, text, "tx halo")
            taken.append((start, start + wide, height))


@dataclass(frozen=True)
class Axis:
    """One of several parallel axes.

    Attributes:
        name: Its name.
        values: One value per line; None where the line has none there.
        order: Texts from bottom to top, where values are no numbers; else empty.
        logarithmic: Whether equal ratios take equal room.
    """

    name: str
    values: Sequence[float | str | None]
    order: tuple[str, ...] = ()
    logarithmic: bool = False


def parallel(
    title: str,
    finding: str,
    axes: Sequence[Axis],
    names: Sequence[str],
    *,
    picked: Sequence[bool] = (),
) -> Chart:
    """Draw each line of settings across parallel axes; picked ones on top and in colour.

    A line skips the axes where it has no value.
    """
    canvas = Canvas(FULL, 236)
    room = (canvas.width - 110) / max(len(axes) - 1, 1)
    places = [_places(axis) for axis in axes]
    across = [50 + at * room for at in range(len(axes))]
    for line in sorted(range(len(names)), key=lambda at: bool(picked and picked[at])):
        path = [(across[at], y[line]) for at, y in enumerate(places)]
        known = [(a, b) for a, b in path if b is not None]
        strong = bool(picked and picked[line])
        canvas.path(known, "s1" if strong else "sg")
    for at, axis in enumerate(axes):
        canvas.line(across[at], 30, across[at], 206, "ax")
        heading = shorten(axis.name, room - 8)
        half = text_width(heading) / 2
        middle = min(max(across[at], half), canvas.width - half)
        canvas.text(middle, 12, heading, "tx", anchor="middle")
        _ends(canvas, axis, across[at], room)
    rows = tuple(
        (names[line], *(_written(axis.values[line]) for axis in axes)) for line in range(len(names))
    )
    columns = ("", *(axis.name for axis in axes))
    return Chart(title, finding, canvas.svg(title, finding, "wide"), columns, rows, wide=True)


def _places(axis: Axis) -> list[float | None]:
    """Heights of an axis's values."""
    if axis.order:
        scale = Scale(0, max(len(axis.order) - 1, 1), 202, 34)
        at = {text: index for index, text in enumerate(axis.order)}
        return [None if v is None else scale(at[str(v)]) for v in axis.values]
    shown = [_across(axis, v) for v in axis.values]
    known = [v for v in shown if v is not None]
    scale = Scale(min(known, default=0.0), max(known, default=1.0), 202, 34)
    return [None if v is None else scale(v) for v in shown]


def _across(axis: Axis, value: float | str | None) -> float | None:
    from math import log10

    if value is None or isinstance(value, str):
        return None
    return log10(value) if axis.logarithmic else float(value)


def _ends(canvas: Canvas, axis: Axis, x: float, room: float) -> None:
    if axis.order:
        scale = Scale(0, max(len(axis.order) - 1, 1), 202, 34)
        for index, text in enumerate(axis.order):
            canvas.text(x + 5, scale(index) + 4, shorten(text, min(room - 10, 104)), "tm halo")
        return
    known = [v for v in axis.values if isinstance(v, int | float)]
    for value, y in ((min(known, default=0), 220.0), (max(known, default=1), 27.0)):
        text = number(value, 3)
        half = text_width(text) / 2
        middle = min(max(x, half), canvas.width - half)
        canvas.text(middle, y, text, "tm", anchor="middle")


def _written(value: float | str | None) -> str:
    if value is None:
        return UNKNOWN
    return value if isinstance(value, str) else number(value, 4)
