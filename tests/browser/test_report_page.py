"""The report in a real browser, offline: nothing runs over, nothing is fetched, dark and print."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from crisp_spark.reporting.flow_picture import flow_picture
from crisp_spark.reporting.model_card_page import render_model_card
from crisp_spark.reporting.report import render_report
from tests import fixtures_results as made

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (1280, 700, 400, 320)
LONG = "a_column_whose_name_is_so_long_that_it_would_run_over_every_edge_there_is_" * 2

PROBE = """
function texts(svg) {
  const frame = svg.getBoundingClientRect(), seen = [], found = [];
  for (const text of svg.querySelectorAll('text')) {
    const box = text.getBoundingClientRect(), said = text.textContent;
    if (!box.width) continue;
    if (box.left < frame.left - 2 || box.right > frame.right + 2 ||
        box.top < frame.top - 2 || box.bottom > frame.bottom + 3)
      found.push('outside: ' + said);
    if (text.hasAttribute('transform')) continue;
    for (const [other, words] of seen)
      if (box.left < other.right - 1.5 && box.right > other.left + 1.5 &&
          box.top < other.bottom - 3.5 && box.bottom > other.top + 3.5)
        found.push('overlap: ' + said + ' | ' + words);
    seen.push([box, said]);
  }
  return found;
}
function look(frame) {
  const doc = frame.contentDocument, win = frame.contentWindow;
  doc.querySelectorAll('details').forEach(part => { part.open = true; });
  const wide = [...doc.querySelectorAll('h1,h2,h3,h4,h5,p,li,dt,dd,summary,figcaption,.badge,.note')]
    .filter(part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0)
    .filter(part => !part.closest('.scroll,pre'))
    .map(part => part.tagName + ': ' + part.textContent.slice(0, 60));
  return {
    name: frame.name,
    width: win.innerWidth,
    page: doc.documentElement.scrollWidth,
    height: doc.documentElement.scrollHeight,
    fetched: win.performance.getEntriesByType('resource').map(entry => entry.name),
    charts: doc.querySelectorAll('svg.chart').length,
    drawings: [...doc.querySelectorAll('svg.chart')].flatMap(texts),
    wide: wide,
    nav: win.getComputedStyle(doc.querySelector('nav') || doc.body).position,
    ground: win.getComputedStyle(doc.body).backgroundColor,
    ink: win.getComputedStyle(doc.body).color,
    smallest: Math.min(...[...doc.querySelectorAll('svg.chart text')]
      .map(text => text.getBoundingClientRect().height).filter(Boolean)),
  };
}
window.onload = () => setTimeout(() => {
  const said = [...document.querySelectorAll('iframe')].map(look);
  document.body.innerHTML = '<pre></pre>';
  document.querySelector('pre').textContent = JSON.stringify(said);
}, 200);
"""


def browse(*arguments: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [BROWSER, *FLAGS, f"--user-data-dir={profile}", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    """What the browser wrote to its console: errors, refused loads, broken markup."""
    return [line for line in run.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    results, facts = made.binary_results(), made.run_facts()
    profile = results["profile"]
    first, *others = profile.sources
    renamed = first.columns[0].model_copy(update={"name": LONG, "description": LONG})
    long = first.model_copy(update={"name": LONG, "columns": (renamed, *first.columns[1:])})
    written = {
        "binary": render_report(results, facts=facts, review=made.review()),
        "regression": render_report(made.regression_results(), facts=facts),
        "clustering": render_report(made.clustering_results(), facts=facts),
        "long": render_report(
            {"profile": profile.model_copy(update={"sources": (long, *others)})},
            facts=made.run_facts(project=LONG, steps=()),
        ),
        "card": render_model_card(results, facts=facts),
    }
    for name, text in written.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in written}


def look(pages: dict[str, Path], *flags: str, widths: tuple[int, ...] = WIDTHS) -> list[dict]:
    """Open every page in frames of these widths and measure what is seen."""
    frames = "".join(
        f'<iframe name="{name} at {width}" src="{path.name}" width="{width}" height="900" '
        'style="border:0"></iframe>'
        for name, path in pages.items()
        for width in widths
    )
    folder = next(iter(pages.values())).parent
    probe = folder / "probe.html"
    probe.write_text(f"<!DOCTYPE html><body>{frames}<script>{PROBE}</script>", encoding="utf-8")
    run = browse("--virtual-time-budget=20000", *flags, "--dump-dom", probe.as_uri())
    assert complaints(run) == []
    found = re.search(r"<pre>(.*)</pre>", run.stdout, flags=re.DOTALL)
    assert found, run.stdout[-500:]
    return json.loads(html.unescape(found.group(1)))


@pytest.fixture(scope="module")
def seen(pages) -> list[dict]:
    return look(pages)


def test_the_probe_notices_faults(tmp_path):
    page = tmp_path / "faulty.html"
    page.write_text(
        '<!DOCTYPE html><body><img src="http://example.invalid/x.png"><p style="width:9px;overflow:hidden">wide</p>'
        '<svg class="chart" viewBox="0 0 100 40"><text x="5" y="20">one</text>'
        '<text x="10" y="20">two</text><text x="90" y="30">outside</text></svg>'
        '<div style="width:2000px">over</div>',
        encoding="utf-8",
    )
    entry = look({"faulty": page}, widths=(400,))[0]
    assert entry["page"] > entry["width"]
    assert entry["wide"] == ["P: wide"]
    assert entry["drawings"] == ["overlap: two | one", "outside: outside"]
    assert entry["fetched"] == ["http://example.invalid/x.png"]


def test_pages_load_without_a_complaint_and_fetch_nothing(seen):
    assert len(seen) == 5 * len(WIDTHS)
    assert [entry["fetched"] for entry in seen] == [[]] * len(seen)
    assert all(entry["charts"] > 0 for entry in seen)


def test_nothing_runs_over_the_edge_at_any_width(seen):
    assert [e["name"] for e in seen if e["page"] > e["width"]] == []
    assert {e["name"]: e["wide"] for e in seen if e["wide"]} == {}


def test_no_text_in_a_drawing_is_clipped_or_overlaps(seen):
    assert {e["name"]: e["drawings"] for e in seen if e["drawings"]} == {}


def test_text_in_drawings_stays_readable_on_a_phone(seen):
    narrow = [e for e in seen if e["width"] == 400]
    assert min(e["smallest"] for e in narrow) >= 9


def test_the_contents_stand_beside_a_wide_page_and_above_a_narrow_one(seen):
    at = {e["name"]: e["nav"] for e in seen}
    assert at["binary at 1280"] == "sticky"
    assert at["binary at 400"] == "static"


def _brightness(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_the_page_follows_a_dark_scheme(pages, seen):
    dark = look({"binary": pages["binary"]}, DARK, widths=(1280,))[0]
    light = next(e for e in seen if e["name"] == "binary at 1280")
    assert _brightness(light["ground"]) > 200
    assert _brightness(light["ink"]) < 60
    assert _brightness(dark["ground"]) < 60
    assert _brightness(dark["ink"]) > 200


def test_the_page_prints(pages, tmp_path):
    file = tmp_path / "report.pdf"
    run = browse(DARK, f"--print-to-pdf={file}", "--no-pdf-header-footer", pages["binary"].as_uri())
    content = file.read_bytes()
    assert complaints(run) == []
    assert content.startswith(b"%PDF")
    sheets = max(int(number) for number in re.findall(rb"/Count (\d+)", content))
    assert 10 <= sheets <= 60


def test_the_page_can_be_photographed(pages, tmp_path):
    file = tmp_path / "report.png"
    browse("--window-size=1280,2400", f"--screenshot={file}", pages["binary"].as_uri())
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 50_000


def test_the_picture_of_the_flow_is_drawn(tmp_path):
    (tmp_path / "flow.svg").write_text(flow_picture(), encoding="utf-8")
    file = tmp_path / "flow.png"
    run = browse("--window-size=900,540", f"--screenshot={file}", (tmp_path / "flow.svg").as_uri())
    assert complaints(run) == []
    assert file.stat().st_size > 10_000
