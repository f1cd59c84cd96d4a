"""Scales and axes shared by the charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crisp_spark.reporting.charts.canvas import Canvas, text_width

Format = Callable[[float | None], str]


@dataclass(frozen=True)
class Scale:
    """A straight line from values to coordinates.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Coordinate of ``low``.
        end: Coordinate of ``high``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Coordinate of ``value``."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def clamped(self, value: float) -> float:
        """Coordinate of ``value``, or of the nearer end when it lies outside."""
        return self(min(max(value, self.low), self.high))


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values that cover ``low`` to ``high`` in about ``wanted`` steps of 1, 2 or 5."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return [0.0, 1.0]
    if low == high:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step)) + 1)
    return [round(index * step, decimals) for index in range(first, last + 1)]


def y_axis(canvas: Canvas, scale: Scale, ticks: Sequence[float], right: float, fmt: Format) -> None:
    """Draw horizontal grid lines with their values left of ``canvas``'s plot area."""
    left = max((text_width(fmt(tick)) for tick in ticks), default=0) + 8
    for tick in ticks:
        y = scale(tick)
        canvas.line(left, y, right, y, "ax" if tick == scale.low else "gr")
        canvas.text(left - 5, y + 3.5, fmt(tick), "tm", anchor="end")


def axis_room(ticks: Sequence[float], fmt: Format) -> float:
    """Room that the labels of a vertical axis need."""
    return max((text_width(fmt(tick)) for tick in ticks), default=0) + 8


def x_axis(canvas: Canvas, scale: Scale, y: float, ticks: Sequence[float], fmt: Format) -> None:
    """Draw a horizontal axis at ``y``; labels that would touch are left out."""
    canvas.line(scale.start, y, scale.end, y, "ax")
    taken = -math.inf
    for tick in ticks:
        x, label = scale(tick), fmt(tick)
        half = text_width(label) / 2
        middle = min(max(x, half), canvas.width - half)
        canvas.line(x, y, x, y + 3, "ax")
        if middle - half > taken + 4:
            canvas.text(middle, y + 14, label, "tm", anchor="middle")
            taken = middle + half


def marks(
    canvas: Canvas, x: Scale, places: Sequence[tuple[float, str]], ends: tuple[float, float]
) -> None:
    """Point out values of ``x`` by dashed lines between two heights, with labels at the top.

    A label that would touch another one moves down a row.
    """
    top, bottom = ends
    shown = sorted((value, label) for value, label in places if x.low <= value <= x.high)
    for value, _ in shown:
        canvas.line(x(value), top, x(value), bottom, "mk")
    taken: list[float] = []
    for value, label in shown:
        wide = text_width(label)
        left = x(value) + wide + 6 > canvas.width
        begin = x(value) - wide - 4 if left else x(value) + 4
        row = next((index for index, end in enumerate(taken) if end < begin), len(taken))
        taken[row : row + 1] = [begin + wide + 6]
        canvas.text(begin, top + 9 + row * 13, label, "tx halo")


def reference(canvas: Canvas, x: float, label: str, tops: Sequence[float]) -> None:
    """Draw a dashed reference beside each bar of a list, from its top, and name it above all."""
    half = text_width(label) / 2
    canvas.text(min(max(x, half), canvas.width - half), 10, label, "tm", anchor="middle")
    for top in tops:
        canvas.line(x, top, x, top + 10, "mk")
