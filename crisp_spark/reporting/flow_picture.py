"""The picture of the flow for the README, drawn from :data:`crisp_spark.flow.FLOW`.

``python -m crisp_spark.reporting.flow_picture docs/flow.svg`` writes it anew.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from crisp_spark.flow import FLOW, Phase, Step
from crisp_spark.reporting.charts.canvas import Canvas, shorten
from crisp_spark.reporting.html import Html
from crisp_spark.reporting.pages.project import PHASES

_WIDTH, _LANE, _LEFT, _BOX, _GAP, _HEIGHT = 880.0, 84.0, 192.0, 146.0, 26.0, 52.0
_STYLE = """
text { font: 13px "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1b2126; }
.ph { font-weight: 600; } .nm { font-weight: 600; font-size: 14px; }
.tm { font-size: 10.5px; fill: #545e67; }
.bg { fill: #fdfdfc; } .lane { fill: #f1f4f6; }
.box { fill: #ffffff; stroke: #0072b2; stroke-width: 1.5; }
.ar { fill: none; stroke: #545e67; stroke-width: 1.4; } .hd { fill: #545e67; }
@media (prefers-color-scheme: dark) {
  text { fill: #e7eaec; } .tm { fill: #a9b3bb; } .bg { fill: #14181c; } .lane { fill: #20262c; }
  .box { fill: #14181c; stroke: #56b4e9; } .ar { stroke: #a9b3bb; } .hd { fill: #a9b3bb; }
}
"""


def flow_picture() -> str:
    """Draw every step in the lane of its phase, with the tables it writes.

    Returns:
        A whole SVG file that follows the reader's light or dark scheme.
    """
    phases = list(Phase)
    canvas = Canvas(_WIDTH, _LANE * len(phases) + 12)
    canvas.rect(0, 0, canvas.width, canvas.height, "bg")
    places = _places(phases)
    for index, phase in enumerate(phases):
        top = 6 + index * _LANE
        canvas.rect(6, top + 3, _WIDTH - 12, _LANE - 6, "lane")
        canvas.text(20, top + _LANE / 2 + 4, PHASES[phase.value], "ph")
    for before, after in pairwise(FLOW):
        _arrow(canvas, places[before.name], places[after.name])
    for step in FLOW:
        _box(canvas, step, places[step.name])
    finding = " then ".join(step.name for step in FLOW)
    drawn = canvas.svg("The flow of crisp_spark", f"The steps in order: {finding}.")
    sized = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:g}" height="{canvas.height:g}"'
    return (
        Html(
            drawn.replace("<svg", sized, 1).replace("<title>", f"<style>{_STYLE}</style><title>", 1)
        )
        + "\n"
    )


def _places(phases: list[Phase]) -> dict[str, tuple[float, float]]:
    """Upper left corner of each step's box."""
    places, seen = {}, dict.fromkeys(phases, 0)
    for step in FLOW:
        x = _LEFT + seen[step.phase] * (_BOX + _GAP)
        y = 6 + phases.index(step.phase) * _LANE + (_LANE - _HEIGHT) / 2
        places[step.name] = (x, y)
        seen[step.phase] += 1
    return places


def _box(canvas: Canvas, step: Step, place: tuple[float, float]) -> None:
    x, y = place
    canvas.rect(x, y, _BOX, _HEIGHT, "box")
    canvas.text(x + 10, y + 22, step.name, "nm")
    written = ", ".join(step.writes) or "result only"
    canvas.text(x + 10, y + 40, shorten(written, _BOX - 14, 10.5), "tm")


def _arrow(canvas: Canvas, start: tuple[float, float], end: tuple[float, float]) -> None:
    """To the right within a lane; round the end of the lane to the next one."""
    x1, y1 = start[0] + _BOX, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    if start[1] == end[1]:
        canvas.path([(x1, y1), (x2 - 6, y2)], "ar")
        canvas.path([(x2 - 7, y2 - 4), (x2, y2), (x2 - 7, y2 + 4)], "hd", closed=True)
        return
    down, across = x1 - _BOX / 2, start[1] + _HEIGHT + (_LANE - _HEIGHT) / 2
    over = end[0] + _BOX / 2
    canvas.path(
        [(down, start[1] + _HEIGHT), (down, across), (over, across), (over, end[1] - 6)], "ar"
    )
    canvas.path([(over - 4, end[1] - 7), (over, end[1]), (over + 4, end[1] - 7)], "hd", closed=True)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(flow_picture(), encoding="utf-8")
