"""A small set of charts: pure functions from numbers to SVG, the same bytes every time.

Every chart carries a title, a one-sentence finding and its numbers as a table, so that it can be
read without seeing it. Colours come from the page's style sheet (light, dark and print), never
from the chart, and never carry a meaning alone.
"""

from crisp_spark.reporting.charts.bars import columns, histogram, horizontal_bars
from crisp_spark.reporting.charts.canvas import Chart
from crisp_spark.reporting.charts.grids import confusion_matrix, heat_map
from crisp_spark.reporting.charts.lines import Curve, lines
from crisp_spark.reporting.charts.points import Axis, Point, parallel, scatter
from crisp_spark.reporting.charts.spans import Criterion, bullet, intervals
from crisp_spark.reporting.charts.times import Bar, timeline, waterfall

__all__ = [
    "Axis",
    "Bar",
    "Chart",
    "Criterion",
    "Curve",
    "Point",
    "bullet",
    "columns",
    "confusion_matrix",
    "heat_map",
    "histogram",
    "horizontal_bars",
    "intervals",
    "lines",
    "parallel",
    "scatter",
    "timeline",
    "waterfall",
]
