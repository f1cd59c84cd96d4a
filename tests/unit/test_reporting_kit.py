"""Numbers, escaping, the pieces of a page, and the colours they are set in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import resources

import pytest

from crisp_spark.reporting.charts.grids import LEVELS
from crisp_spark.reporting.html import Html, escape, join, tag, visible
from crisp_spark.reporting.kit import (
    badge,
    definitions,
    facts,
    figure,
    folded,
    names,
    num,
    sentence,
    slug,
    table,
)
from crisp_spark.reporting.numbers import (
    UNKNOWN,
    count,
    duration,
    fixed,
    interval,
    moment,
    money,
    number,
    percent,
    plural,
    short,
    size,
)
from crisp_spark.reporting.words import (
    Measure,
    capital,
    listed,
    metric_title,
    plain_value,
    settings,
)
from tests.unit.test_charts import CHARTS

CSS = (resources.files("crisp_spark.reporting") / "templates" / "page.css").read_text("utf-8")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (count(336_776), "336,776"),
        (count(-5), "\u22125"),
        (count(None), UNKNOWN),
        (number(0.123456), "0.123"),
        (number(12.639), "12.6"),
        (number(1234.5), "1,234"),
        (number(1234567), "1,234,567"),
        (number(0.0), "0"),
        (number(0.000012), "0.000012"),
        (number(1.5e-9), "1.50e\u22129"),
        (number(float("nan")), UNKNOWN),
        (number(float("inf")), UNKNOWN),
        (number(2e18), "2.00e18"),
        (fixed(0.5), "0.500"),
        (percent(0.1234), "12.3\u00a0%"),
        (percent(0.3), "30\u00a0%"),
        (percent(0.0048), "0.48\u00a0%"),
        (percent(0), "0\u00a0%"),
        (percent(1.0), "100\u00a0%"),
        (percent(0.99999), "> 99.99\u00a0%"),
        (percent(0.00001), "< 0.01\u00a0%"),
        (percent(None), UNKNOWN),
        (money(1234.5, "USD"), "$1,234"),
        (money(-1234, "USD"), "\u2212$1,234"),
        (money(0.063, "EUR"), "€0.06"),
        (money(-0.001, "USD"), "$0.00"),
        (money(1200, "CHF"), "1,200\u00a0CHF"),
        (money(12), "12"),
        (size(999), "999\u00a0B"),
        (size(29_299_512), "29.3\u00a0MB"),
        (duration(0.42), "0.42\u00a0s"),
        (duration(98.4), "1\u00a0min 38\u00a0s"),
        (duration(3 * 3600 + 1200), "3\u00a0h 20\u00a0min"),
        (duration(3 * 86400 + 7200), "3 days 2\u00a0h"),
        (duration(None), UNKNOWN),
        (interval(0.61, 0.64), "0.61 to 0.64"),
        (interval(None, 1), UNKNOWN),
        (short(12_345), "12.3k"),
        (short(3e6), "3M"),
        (plural(1, "row"), "1 row"),
        (plural(2, "criterion", "criteria"), "2 criteria"),
        (moment(datetime(2026, 3, 2, 9, 30, tzinfo=UTC)), "2026-03-02 09:30 UTC"),
        (moment("2026-03-02T10:30:00+01:00"), "2026-03-02 09:30 UTC"),
        (moment("some day"), "some day"),
    ],
)
def test_numbers_are_written_for_people(written, expected):
    assert written == expected


def test_a_metric_is_written_in_its_unit():
    binary = Measure("binary", "USD")
    assert binary.text("recall", 0.557) == "55.7\u00a0%"
    assert binary.text("roc_auc", 0.7391) == "0.739"
    assert binary.text("value_per_row", 0.2249) == "$0.22"
    assert binary.text("pr_auc_gain", 0.168) == "+0.168"
    assert binary.text("recall", None) == UNKNOWN
    assert binary.span("roc_auc", 0.7, None) == UNKNOWN
    assert not binary.higher_is_better("alert_rate")
    assert binary.higher_is_better("something new")
    assert Measure("regression", unit="min").text("rmse", 33.42) == "33.4 min"
    assert Measure("").text("anything", 0.5) == "0.5"
    assert metric_title("pr_auc_gain") == "PR AUC gain over the best baseline"


def test_words_of_values():
    assert plain_value(True) == "true"
    assert plain_value(None) == UNKNOWN
    assert plain_value([1, "a"]) == "1, a"
    assert plain_value(2013) == "2013"
    assert settings({}) == "defaults"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg"), 3) == "a, b, c and 4 more"
    assert capital("roc") == "Roc"


def test_text_is_escaped_and_markup_stays():
    assert escape('<b title="x">') == "&lt;b title=&quot;x&quot;&gt;"
    assert escape(Html("<b>")) == "<b>"
    assert tag("p", "<i>", Html("<i>"), class_="a", hidden=True, title=None) == (
        '<p class="a" hidden>&lt;i&gt;<i></p>'
    )
    assert tag("br") == "<br>"
    assert join(["a", Html("<br>"), None, "<"]) == "a<br>&lt;"


def test_characters_that_hide_or_turn_text_are_shown():
    assert visible("a\u202eb") == "a<U+202E>b"
    assert visible("a\x00b") == "a\u2400b"
    assert visible("a\ud800b") == "a<U+D800>b"
    assert visible("line\nline\tعربي") == "line\nline\tعربي"


def test_a_table_names_its_rows_and_columns():
    html = table(["Column", num("Rows")], [["<a>", "12"], [None, None]], caption="What & why")
    assert "<caption>What &amp; why</caption>" in html
    assert '<th scope="col" class="n">Rows</th>' in html
    assert '<th scope="row">&lt;a&gt;</th>' in html
    assert html.count(UNKNOWN) == 2
    assert 'tabindex="0"' in html


def test_a_long_table_says_how_much_is_missing():
    html = table(["a"], [[str(i)] for i in range(1200)], caption="c", most=100)
    assert html.count("<tr>") == 101
    assert "1,100 more rows" in html


def test_a_table_with_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["only one"]], caption="c")


def test_pieces():
    assert slug("Größe (cm)").startswith("groe-cm-")
    assert slug("a b") != slug("a-b")
    assert sentence("use `how: left`") == "use <code><bdi>how: left</bdi></code>."
    assert sentence("done!") == "done!"
    assert sentence("one ` alone") == "one ` alone."
    assert names(["a", "b", "c"], most=2).endswith("</code> and 1 more")
    assert "<dd>" not in definitions([("a", ""), ("b", None)])
    assert "<details open>" in folded("s", "t", shown=True)
    assert facts([("Rows", "12")]).count("<dt>") == 1
    assert ">pass<" in badge("pass").replace("</svg>pass</span>", "</svg>>pass<")


def test_a_figure_carries_finding_and_numbers():
    html = figure(CHARTS["columns"])
    assert "February is short." in html
    assert "<summary>Numbers</summary>" in html
    assert "<td" in html
    assert 'class="scroll" role="region"' in figure(CHARTS["timeline"])


# --- colours ------------------------------------------------------------------------------------


def _variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"(--[a-z0-9-]+):\s*(#[0-9a-f]{6})", text))


LIGHT = _variables(CSS[: CSS.index("@media")])
DARK = LIGHT | _variables(
    CSS[CSS.index("prefers-color-scheme: dark") : CSS.index("* { box-sizing")]
)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TEXTS = [
    *[(ink, ground) for ink in ("ink", "soft", "link") for ground in ("bg", "card", "sunk")],
    *[(tone, f"{tone}-bg") for tone in ("ok", "bad", "warn", "unknown", "info")],
    *[(tone, ground) for tone in ("ok", "bad", "warn", "unknown") for ground in ("card", "sunk")],
    ("ink", "ok-bg"),
    ("ink", "shade"),
    ("soft", "shade"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_has_enough_contrast(scheme, text, ground):
    colours = LIGHT if scheme == "light" else DARK
    assert _contrast(colours[f"--{text}"], colours[f"--{ground}"]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", ["c1", "c2", "c3", "c4", "c5", "c6", "axis", "ink"])
def test_marks_have_enough_contrast(scheme, colour):
    colours = LIGHT if scheme == "light" else DARK
    assert _contrast(colours[f"--{colour}"], colours["--bg"]) >= 3.0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("step", range(LEVELS))
def test_values_in_coloured_cells_can_be_read(scheme, step):
    colours = LIGHT if scheme == "light" else DARK
    rule = re.search(rf"\.qt{step}(?:, [^{{]*)? {{ fill: var\((--\w+)\)", CSS)
    assert rule, f"no text colour for step {step}"
    assert _contrast(colours[rule.group(1)], colours[f"--q{step}"]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_scale_runs_one_way(scheme):
    colours = LIGHT if scheme == "light" else DARK
    steps = [_luminance(colours[f"--q{step}"]) for step in range(LEVELS)]
    assert steps == sorted(steps, reverse=scheme == "light")


def test_nothing_moves_and_nothing_is_fetched():
    assert not re.search(r"animation|transition|@import|url\(|https?:", CSS)


def test_every_class_of_a_chart_has_a_style():
    used = {
        css
        for chart in CHARTS.values()
        for group in re.findall(r'class="([^"]+)"', chart.svg)
        for css in group.split()
    }
    styled = set(re.findall(r"\.([a-z][a-z0-9]*)", CSS))
    assert used - styled <= {"tx", "chart"}
