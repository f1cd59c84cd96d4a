"""Charts: well formed, byte-stable, nothing clipped, readable without seeing them."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from crisp_spark.reporting.charts import (
    Axis,
    Bar,
    Criterion,
    Curve,
    Point,
    bullet,
    columns,
    confusion_matrix,
    heat_map,
    histogram,
    horizontal_bars,
    intervals,
    lines,
    parallel,
    scatter,
    timeline,
    waterfall,
)
from crisp_spark.reporting.charts.canvas import Canvas, coordinate, shorten, text_width
from crisp_spark.reporting.charts.scale import Scale, nice_ticks
from crisp_spark.reporting.numbers import percent

GOLDEN = Path(__file__).parent / "golden_charts"
"""Drawings as they were agreed; ``CRISP_GOLDEN=write`` writes them anew, to be looked at."""

LONG = "a column name that is so very long that nobody would believe it was ever used anywhere"


def _charts():
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
    rising = [(i / 10, (i / 10) ** 0.5) for i in range(11)]
    return {
        "histogram": histogram(
            "Delay",
            "Most are on time.",
            [-20, 0, 20, 40, 60],
            [120, 900, 310, 44],
            x_label="minutes",
            marks=[(-2, "median"), (3, "mean"), (15, "late from here")],
        ),
        "columns": columns(
            "By month",
            "February is short.",
            months,
            [27.0, 24.9, -3.2, 28.3, 28.7, 28.2],
            y_label="flights",
            highlight=[False, True],
        ),
        "bars": horizontal_bars(
            "Power",
            "dep_delay leaks.",
            ["dep_delay", LONG, "<script>alert(1)</script>", "تأخير"],
            [0.97, 0.4, -0.2, 0.0],
            notes=["suspect", "", "", ""],
            highlight=[True],
            limit=0.9,
            limit_label="nearly certain",
        ),
        "heat_map": heat_map(
            "Associations",
            "a and b go together.",
            ["a", LONG],
            ["a", LONG],
            [[1.0, -0.42], [None, 1.0]],
        ),
        "confusion": confusion_matrix("Confusion", "6,100 found.", ["no", "yes"], [[9, 1], [3, 0]]),
        "lines": lines(
            "ROC",
            "Better than chance.",
            [
                Curve(
                    "test set", rising, band=[(y - 0.05, y + 0.05) for _, y in rising], dots=True
                ),
                Curve("later period", [(x, x**0.7) for x, _ in rising]),
                Curve("chance", [(0, 0), (1, 1)], guide=True),
            ],
            x_label="false positive rate",
            y_label="recall",
            x_range=(0, 1),
            y_range=(0, 1),
            marks=[(0.97, "chosen 0.97")],
            shade=(0.0, 0.4, "over capacity"),
        ),
        "intervals": intervals(
            "Over the splits",
            "The later period is lower.",
            ["train", LONG],
            [(0.72, 0.71, 0.73), (0.66, None, None)],
            reference=0.58,
            reference_label="best baseline",
            notes=["(190,802 rows)", ""],
            fmt=percent,
        ),
        "waterfall": waterfall(
            "Rows", "Few are lost.", ("raw", 1000), [("twice", -120), ("union", 30)], "clean"
        ),
        "scatter": scatter(
            "Quality against cost",
            "More time buys little.",
            [
                Point("a", 3, 0.7, "a"),
                Point(LONG, 90, 0.79, LONG, picked=True),
                Point("c", 88, 0.788, "c"),
                Point("d", 50, 0.6),
            ],
            x_label="seconds",
            y_label="PR AUC",
            steps=[(3, 0.7), (90, 0.79)],
        ),
        "parallel": parallel(
            "Settings",
            "Small steps are best.",
            [
                Axis("stepSize", [0.01, 0.1, 1.0], logarithmic=True),
                Axis(LONG, ["a", None, "<b>"], order=("<b>", "a")),
                Axis("maxDepth", [3, 5, 5]),
                Axis("PR AUC", [0.7, 0.8, 0.75]),
            ],
            ["t1", "t2", "t3"],
            picked=[False, True, False],
        ),
        "timeline": timeline(
            "Plan",
            "On time.",
            [Bar("data", 0, 2, "2 days"), Bar("data", 0, 3, "3 days, late", 2), Bar(LONG, 2, 5)],
            unit="days",
            kinds=("planned", "actual"),
        ),
    }


CHARTS = _charts()


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_a_chart_is_drawn_as_it_was_agreed(name):
    drawn, file = CHARTS[name].svg, GOLDEN / f"{name}.svg"
    if os.environ.get("CRISP_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(drawn + "\n", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == drawn + "\n"


def test_drawing_twice_gives_the_same_bytes():
    assert {name: chart.svg for name, chart in _charts().items()} == {
        name: chart.svg for name, chart in CHARTS.items()
    }


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_a_chart_can_be_read_without_seeing_it(name):
    chart = CHARTS[name]
    root = ET.fromstring(chart.svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == chart.title
    assert root.find("title").text == chart.title
    assert root.find("desc").text == chart.finding
    assert chart.finding.endswith(".")
    assert chart.rows
    assert all(len(row) == len(chart.columns) for row in chart.rows)


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_no_mark_and_no_text_leaves_the_sheet(name):
    root = ET.fromstring(CHARTS[name].svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    for mark in root.iter():
        for key in ("x", "x1", "x2", "cx"):
            if mark.get(key):
                assert -0.1 <= float(mark.get(key)) <= width + 0.1, ET.tostring(mark)
        for key in ("y", "y1", "y2", "cy"):
            if mark.get(key):
                assert -0.1 <= float(mark.get(key)) <= height + 0.1, ET.tostring(mark)
        if mark.tag == "text" and mark.get("x"):
            wide, x = text_width(mark.text or ""), float(mark.get("x"))
            start = {"end": x - wide, "middle": x - wide / 2}.get(mark.get("text-anchor"), x)
            assert start >= -4, mark.text
            assert start + wide <= width + 4, mark.text


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_texts_on_one_line_do_not_touch(name):
    root = ET.fromstring(CHARTS[name].svg)
    lines_ = {}
    for mark in root.iter("text"):
        if not mark.get("x"):
            continue
        wide, x = text_width(mark.text or ""), float(mark.get("x"))
        start = {"end": x - wide, "middle": x - wide / 2}.get(mark.get("text-anchor"), x)
        lines_.setdefault(mark.get("y"), []).append((start, start + wide, mark.text))
    for spans in lines_.values():
        spans.sort()
        for (_, end, left), (start, _, right) in pairwise(spans):
            assert end <= start + 1, f"{left!r} runs into {right!r}"


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_colours_come_from_the_style_sheet_alone(name):
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb\(|style=|fill=|stroke=", CHARTS[name].svg)


def test_markup_in_a_label_is_text():
    assert "<script>" not in CHARTS["bars"].svg
    assert "&lt;script&gt;" in CHARTS["bars"].svg


def test_empty_charts_are_drawn():
    for chart in (
        histogram("t", "f.", [], []),
        columns("t", "f.", [], []),
        horizontal_bars("t", "f.", [], []),
        heat_map("t", "f.", [], [], []),
        confusion_matrix("t", "f.", [], []),
        lines("t", "f.", [], x_label="x", y_label="y"),
        intervals("t", "f.", [], []),
        timeline("t", "f.", [], unit="days"),
        waterfall("t", "f.", ("a", 0), [], "b"),
    ):
        ET.fromstring(chart.svg)
        assert "nan" not in chart.svg


def test_constant_values_are_drawn():
    for chart in (
        histogram("t", "f.", [5, 5], [3]),
        columns("t", "f.", ["a"], [0.0]),
        horizontal_bars("t", "f.", ["a"], [0.0]),
        lines("t", "f.", [Curve("c", [(1, 1), (1, 1)])], x_label="x", y_label="y"),
        intervals("t", "f.", ["a"], [(0.0, 0.0, 0.0)]),
    ):
        ET.fromstring(chart.svg)
        assert "nan" not in chart.svg
        assert "inf" not in chart.svg.replace("f.", "")


def test_a_bar_is_as_long_as_its_value():
    root = ET.fromstring(horizontal_bars("t", "f.", ["a", "b"], [10.0, 5.0]).svg)
    bars = [float(mark.get("width")) for mark in root.iter("rect") if mark.get("class") == "f1"]
    assert bars[0] == pytest.approx(2 * bars[1], rel=0.01)


def test_columns_start_at_zero():
    root = ET.fromstring(columns("t", "f.", ["a", "b"], [101.0, 100.0]).svg)
    bars = [float(mark.get("height")) for mark in root.iter("rect")]
    assert bars[1] / bars[0] == pytest.approx(100 / 101, rel=0.01)


def test_a_bullet_shades_the_side_where_the_target_is_met():
    def good(at_least):
        svg = bullet(Criterion("recall", 0.55, 0.5, at_least, 0.5, 0.6))
        marks = {mark.get("class"): mark for mark in ET.fromstring(svg).iter()}
        return float(marks["good"].get("x")), float(marks["target"].get("x1"))

    start, target = good(at_least=True)
    assert start == target
    start, target = good(at_least=False)
    assert start < target


def test_a_bullet_says_what_is_not_known():
    svg = bullet(Criterion("recall", None, 0.5, current=0.3))
    assert "The value is not known; the target is at least 0.5." in svg
    assert 'class="dot"' not in svg


def test_a_bullet_reads_out_value_interval_target_and_today():
    svg = bullet(
        Criterion("alert rate", 0.24, 0.25, at_least=False, low=0.2, high=0.28, current=0.1)
    )
    said = "The value is 0.24 with an interval from 0.2 to 0.28; the target is at most 0.25, "
    assert said + "today it is 0.1." in svg


def test_a_waterfall_ends_where_the_changes_lead():
    chart = waterfall("Rows", "f.", ("raw", 1000), [("a", -120), ("b", 30)], "clean")
    assert chart.rows[-1] == ("clean", "910")


def test_a_confusion_matrix_states_shares_of_the_actual_class():
    svg = confusion_matrix("t", "f.", ["no", "yes"], [[90, 10], [3, 1]]).svg
    assert "90\u00a0%" in svg
    assert "75\u00a0%" in svg


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 97, [0, 20, 40, 60, 80, 100]),
        (-3, 4, [-4, -2, 0, 2, 4]),
        (5, 5, [4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low, high, expected):
    assert nice_ticks(low, high) == expected


def test_ticks_survive_what_is_not_finite():
    assert nice_ticks(float("nan"), float("inf")) == [0.0, 1.0]


def test_a_scale_clamps_to_its_ends():
    scale = Scale(0, 10, 100, 200)
    assert (scale(5), scale.clamped(-5), scale.clamped(15)) == (150, 100, 200)


def test_text_is_cut_to_fit():
    cut = shorten(LONG, 100)
    assert cut.endswith("…")
    assert text_width(cut) <= 100
    assert shorten("short", 100) == "short"


def test_wide_letters_count_as_wide():
    assert text_width("列名列名") > text_width("abcd")
    assert text_width("e\u0301") == text_width("e")


def test_coordinates_are_short_and_have_no_negative_zero():
    assert [coordinate(value) for value in (1.0, 1.25, -0.01, 0)] == ["1", "1.2", "0", "0"]


def test_a_path_without_points_draws_nothing():
    canvas = Canvas(10, 10)
    canvas.path([], "s1")
    assert "<path" not in canvas.svg("t", "f.")
