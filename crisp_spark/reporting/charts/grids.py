"""Grids of coloured cells with their value written in them: heat map and confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

from crisp_spark.reporting.charts.canvas import (
    FULL,
    HALF,
    TEXT,
    Canvas,
    Chart,
    shorten,
    text_width,
)
from crisp_spark.reporting.charts.scale import Format
from crisp_spark.reporting.numbers import count, fixed, percent

LEVELS = 10
"""Steps of the colour scale; the style sheet gives each a colour and a readable text colour."""

_LEANING = 0.64
_SMALLEST_CELL_WITH_TEXT = 27.0


def level(share: float) -> int:
    """Step of the colour scale for a share between 0 and 1."""
    return min(LEVELS - 1, max(0, int(share * LEVELS)))


def heat_map(
    title: str,
    finding: str,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    high: float = 1.0,
    fmt: Format = lambda value: fixed(value, 2),
    wide: bool = True,
) -> Chart:
    """Draw a grid of values from 0 to ``high``; a negative value is coloured by its size.

    Unknown cells are hatched. Column labels lean so that long names fit.
    """
    width = FULL if wide else HALF
    left = min(max((text_width(name) for name in row_labels), default=0) + 8, width * 0.3)
    cell = (width - left - 46) / max(len(column_labels), 1)
    cell = min(cell, 52.0)
    height = min(cell, 30.0) if cell >= _SMALLEST_CELL_WITH_TEXT else max(cell, 14.0)
    top = min(max((text_width(n) for n in column_labels), default=0) * _LEANING + 16, 96.0)
    canvas = Canvas(width, top + height * len(row_labels) + 6)
    for index, name in enumerate(column_labels):
        x = left + (index + 0.5) * cell
        canvas.leaning(x, top - 6, shorten(name, (top - 12) / _LEANING))
    for row, (name, cells) in enumerate(zip(row_labels, values, strict=True)):
        y = top + row * height
        label = shorten(name, left - 8)
        canvas.text(left - 6, y + height / 2 + 4, label, "tx", anchor="end")
        for column, value in enumerate(cells):
            _cell(canvas, (left + column * cell, y, cell, height), value, high, fmt)
    rows = tuple(
        (name, *(fmt(value) for value in cells))
        for name, cells in zip(row_labels, values, strict=True)
    )
    svg = canvas.svg(title, finding, "wide" if wide else "")
    return Chart(title, finding, svg, ("", *column_labels), rows, wide=wide)


def _cell(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    value: float | None,
    high: float,
    fmt: Format,
) -> None:
    x, y, width, height = box
    if value is None:
        canvas.rect(x + 0.5, y + 0.5, width - 1, height - 1, "none")
        canvas.line(x + 3, y + height - 3, x + width - 3, y + 3, "gr")
        return
    step = level(abs(value) / high if high else 0.0)
    canvas.rect(x + 0.5, y + 0.5, width - 1, height - 1, f"q{step}")
    text = fmt(value)
    if text_width(text, TEXT - 1) <= width - 2 and height >= TEXT + 2:
        canvas.text(x + width / 2, y + height / 2 + 3.5, text, f"qt{step} sm", anchor="middle")


def confusion_matrix(
    title: str,
    finding: str,
    labels: Sequence[str],
    counts: Sequence[Sequence[int]],
) -> Chart:
    """Draw actual classes (rows) against predicted ones (columns).

    A cell shows its count and its share of the actual class; the colour is that share, and the
    right predictions on the diagonal carry a frame.
    """
    size = len(labels)
    left = min(max((text_width(name) for name in labels), default=0) + 26, 110.0)
    cell = min((HALF - left) / max(size, 1), 118.0)
    height = max(min(cell, 56.0), 20.0)
    top = 36.0
    canvas = Canvas(HALF, top + size * height + 6)
    canvas.text(left + size * cell / 2, 12, "predicted", "tm", anchor="middle")
    canvas.upright(10, top + size * height / 2, "actual")
    for index, name in enumerate(labels):
        label = shorten(name, cell - 4)
        canvas.text(left + (index + 0.5) * cell, 29, label, "tx", anchor="middle")
        y = top + (index + 0.5) * height + 4
        canvas.text(left - 6, y, shorten(name, left - 24), "tx", anchor="end")
    for actual, row in enumerate(counts):
        total = sum(row)
        for predicted, amount in enumerate(row):
            share = amount / total if total else 0.0
            box = (left + predicted * cell, top + actual * height, cell, height)
            _count(canvas, box, amount, share, right=actual == predicted)
    svg = canvas.svg(title, finding)
    return Chart(title, finding, svg, *_confusion_table(labels, counts))


def _count(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    amount: int,
    share: float,
    *,
    right: bool,
) -> None:
    x, y, width, height = box
    step = level(share)
    canvas.rect(x + 1, y + 1, width - 2, height - 2, f"q{step}")
    if right:
        canvas.rect(x + 2, y + 2, width - 4, height - 4, "frame")
    middle, text = x + width / 2, count(amount)
    two_lines = height >= 36  # noqa: PLR2004 - room for the share under the count
    if text_width(text) <= width - 6:
        lift = -1 if two_lines else 4
        canvas.text(middle, y + height / 2 + lift, text, f"qt{step} st", anchor="middle")
    if two_lines and text_width(percent(share)) <= width - 6:
        canvas.text(middle, y + height / 2 + 14, percent(share), f"qt{step} sm", anchor="middle")


def _confusion_table(
    labels: Sequence[str], counts: Sequence[Sequence[int]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    heading = ("actual", *(f"predicted {name}" for name in labels), "total")
    rows = tuple(
        (name, *(count(amount) for amount in row), count(sum(row)))
        for name, row in zip(labels, counts, strict=True)
    )
    return heading, rows
