"""The report, the model card and their step: complete, safe, readable anywhere, repeatable."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from crisp_spark.flow import FLOW
from crisp_spark.reporting.flow_picture import flow_picture
from crisp_spark.reporting.model_card import card_fields, card_json, open_fields
from crisp_spark.reporting.model_card_page import render_model_card
from crisp_spark.reporting.report import PAGES, render_report, sections_of
from crisp_spark.reporting.summary_file import summary_json
from crisp_spark.results.profile import ProfileResult
from crisp_spark.results.report import ReportResult
from crisp_spark.run.steps import reporting as wiring
from crisp_spark.spec.modelcard import ModelCardSpec
from tests import fixtures_results as made

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
EVIL = "<script>alert('x')</script>"
RIGHT_TO_LEFT = "تأخير الوصول"


class Outline(HTMLParser):
    """What a reader's program makes of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.ids, self.links, self.headings = [], [], [], []
        self.tags, self.fetched, self.errors, self.words = Counter(), [], [], []
        self.feed(text)
        self.close()
        self.errors += [f"<{name}> is not closed" for name in self.stack]

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags[tag] += 1
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for key in ("src", "href", "data", "poster", "action", "srcset"):
            if tag != "a" and key in values:
                self.fetched.append(values[key])
        self.errors += [f"{key} on <{tag}>" for key in values if key.startswith("on")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.errors.append(f"</{tag}> closes <{self.stack[-1] if self.stack else None}>")
        else:
            self.stack.pop()

    def handle_data(self, data):
        self.words.append(data)


def binary():
    return render_report(made.binary_results(), facts=made.run_facts(), review=made.review())


def pages():
    return {
        "binary": binary(),
        "overridden": render_report(
            made.binary_results() | {"decide": made.decide("deploy")}, facts=made.run_facts()
        ),
        "regression": render_report(made.regression_results(), facts=made.run_facts()),
        "clustering": render_report(made.clustering_results(), facts=made.run_facts()),
        "multiclass": render_report(
            {"evaluate": made.evaluate_multiclass()}, facts=made.run_facts(steps=())
        ),
        "nothing": render_report({}, facts=made.run_facts(steps=())),
        "card": render_model_card(made.binary_results(), facts=made.run_facts()),
        "card of nothing": render_model_card({}, facts=made.run_facts()),
    }


PAGE = pages()
KINDS = sorted(PAGE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_well_formed(kind):
    outline = Outline(PAGE[kind])
    assert outline.errors == []
    twice = [name for name, times in Counter(outline.ids).items() if times > 1]
    assert twice == []


@pytest.mark.parametrize("kind", KINDS)
def test_headings_descend_one_level_at_a_time(kind):
    headings = Outline(PAGE[kind]).headings
    assert headings[0] == 1
    assert headings.count(1) == 1
    steps = [b - a for a, b in pairwise(headings)]
    assert max(steps) <= 1, headings


@pytest.mark.parametrize("kind", KINDS)
def test_every_link_leads_somewhere_in_the_page(kind):
    outline = Outline(PAGE[kind])
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert all(link.startswith("#") for link in outline.links)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_needs_no_network_and_no_script(kind):
    outline = Outline(PAGE[kind])
    assert outline.tags["script"] == outline.tags["iframe"] == outline.tags["img"] == 0
    assert outline.fetched == ["data:,"]
    assert "default-src 'none'" in PAGE[kind]
    assert not re.search(r"url\(|@import", PAGE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_landmarks_language_and_a_way_past_them(kind):
    page = PAGE[kind]
    assert '<html lang="en">' in page
    assert '<a class="skip" href="#main">' in page
    assert page.count("<main") == 1
    assert 'name="viewport"' in page


@pytest.mark.parametrize("kind", KINDS)
def test_no_python_shows_through(kind):
    text = " ".join(Outline(PAGE[kind]).words)
    assert not re.search(r"\bNone\b|\bnan\b|<bound|Verdict\.|\{[a-z_]+\}|object at 0x", text)


def test_every_step_but_the_report_has_a_page():
    assert list(PAGES) == [step.name for step in FLOW if step.name != "report"]


def test_the_verdict_comes_first_with_its_reasons_and_criteria():
    page = PAGE["binary"]
    order = [page.index(f'id="{anchor}"') for anchor in ("verdict", "criteria", "short", "charter")]
    assert order == sorted(order)
    assert "M2 is missed: the ROC AUC of the later period is 0.688" in page
    listed = page[page.index('class="criteria"') : page.index('id="short"')]
    assert listed.count("bullet") == 6
    assert listed.count("badge ok") == 4
    assert listed.count("badge bad") == 1
    assert listed.count("badge unknown") == 1


def test_an_override_stays_visible():
    page = PAGE["overridden"]
    banner = page[page.index('id="verdict"') : page.index('id="criteria"')]
    assert "Deploy" in banner
    assert "Override." in banner
    assert "M. Ortega decided to deploy against the verdict" in banner


def test_a_run_without_a_decision_says_so():
    page = PAGE["regression"]
    assert "No decision yet" in page
    assert "there is no verdict" in page


def test_a_step_that_has_not_run_has_a_section_that_says_so():
    text = " ".join(Outline(PAGE["nothing"]).words)
    assert text.count("has not run, or its result was not handed to this report.") == len(PAGES)
    for step in PAGES:
        assert f'id="{step}"' in PAGE["nothing"]
    assert sections_of(made.clustering_results())[-1] == ("monitor", "Monitoring", False)


def test_results_of_every_step_are_told():
    text = re.sub(r"\s+", " ", " ".join(Outline(PAGE["binary"]).words)).replace("\u00a0", " ")
    for said in (
        "Version 2 of the charter",
        "367,687 records came in from 5 sources. 367,659 were kept and 28 rejected",
        "dep_delay may leak the outcome",
        "2 of 5 rules hold. 5 rows went to quarantine",
        "5 operations changed 2,515 cells and dropped 8,263 rows",
        "They introduced 55,359 nulls; after the second cleaning 53,794 are left.",
        "3 columns were derived",
        "327,310 rows were divided by a hash of the key",
        "Gradient-boosted trees won with a mean PR AUC of 0.472",
        "reaches a PR AUC of 0.469 (95 % interval 0.462 to 0.476)",
        "Of 19,852 positives 11,058 got an alert (55.7 %); of 25,836 alerts 11,058 were right",
        "carrier=EV costs most in sum",
        "M. Ortega decided to deploy against the verdict",
        "temp has moved: PSI 1.41, limit 0.2",
        "Of 3 outputs in 2 tasks of CRISP-DM: 1 done, 1 drafted and 1 missing.",
        "The steps shown here took 4 min 32 s of machine time.",
    ):
        assert said.replace("\u00a0", " ") in text, said


def test_other_problem_types_have_their_own_charts():
    assert "Prediction minus target, test set" in PAGE["regression"]
    assert "Mean absolute error by decile" in PAGE["regression"]
    assert "Rows by cluster" in PAGE["clustering"]
    assert "“versicolor” is taken for “virginica” (6 rows)" in PAGE["multiclass"]
    for kind in ("regression", "clustering", "multiclass"):
        assert "Calibration" not in PAGE[kind]


def test_charts_of_a_binary_model_are_all_there():
    titles = set(re.findall(r'role="img"[^>]*aria-label="([^"]+)"', PAGE["binary"]))
    assert {
        "ROC",
        "Precision and recall",
        "Calibration",
        "Gain",
        "Net value by threshold",
        "Precision, recall and alerts by threshold",
        "Test set at the threshold 0.271",
        "Later period at the threshold 0.271",
        "Importance of the columns",
        "Associations in flights",
        "Missing values in flights",
        "Predictive power of single columns",
        "Project plan",
        "Time by step",
    } <= titles


@pytest.mark.parametrize("kind", KINDS)
def test_every_drawing_is_sound_and_described(kind):
    drawings = re.findall(r"<svg class=\"chart.*?</svg>", PAGE[kind], flags=re.DOTALL)
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("role") == "img"
        assert root.find("title").text
        assert root.find("desc").text
        assert not re.search(r"nan|inf\b", re.sub(r"<(title|desc|text)[^>]*>[^<]*", "", drawing))


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_small(kind):
    assert len(PAGE[kind].encode()) < 1_000_000


def test_rendering_twice_gives_the_same_bytes():
    assert binary() == PAGE["binary"]


def _poisoned(value, poison):
    """Every text of a result that may come from data, with something nasty added."""
    if isinstance(value, dict):
        return {key: _poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_poisoned(item, poison) for item in value]
    return value + poison if isinstance(value, str) else value


def _poison(result, poison):
    """A copy whose every free text carries ``poison``; validated fields are left alone."""
    poisoned = _poisoned(result.model_dump(mode="json"), poison)

    def build(model, clean, dirty):
        changes = {}
        for name in type(model).model_fields:
            old, new = getattr(model, name), dirty[name]
            changes[name] = merge(old, clean[name], new)
        return model.model_copy(update=changes)

    def merge(old, clean, new):
        if hasattr(type(old), "model_fields"):
            return build(old, clean, new)
        if isinstance(old, list | tuple):
            return type(old)(merge(o, c, n) for o, c, n in zip(old, clean, new, strict=True))
        if isinstance(old, dict):
            return {
                k + poison if _free(k) else k: merge(v, clean[k], new[k]) for k, v in old.items()
            }
        return new if type(old) is str and _free(old) else old

    return build(result, result.model_dump(mode="json"), poisoned)


FIXED = {
    *(step.name for step in FLOW),
    *[
        "train",
        "test",
        "validation",
        "later",
        "binary",
        "deploy",
        "iterate",
        "stop",
        "deployed",
        "refused",
        "finished",
        "failed",
    ],
    *[
        "program",
        "person",
        "none",
        "all",
        "agreed",
        "draft",
        "waived",
        "tp",
        "fp",
        "fn",
        "tn",
        "at_least",
        "at_most",
    ],
    *["number", "category", "input", "score", "missing", "swapped", "outcome_values", "importance"],
    *[
        "low",
        "medium",
        "high",
        "hash",
        "stratified",
        "group",
        "time",
        "pass",
        "warn",
        "unknown",
        "fail",
        "info",
    ],
    *[
        "estimate",
        "lower_bound",
        "upper_bound",
        "feature",
        "target",
        "excluded",
        "model",
        "key",
        "fallback",
    ],
    *[
        "business",
        "mining",
        "economic",
        "outcome",
        "prediction",
        "requirement",
        "assumption",
        "constraint",
    ],
    *["0.05", "0.25", "0.5", "0.75", "0.95", "psi", "ks", "js", "performance"],
}


def _free(text):
    return text not in FIXED and not re.fullmatch(r"[0-9T:.+-]+", text)


@pytest.mark.parametrize(
    "poison", [EVIL, '"><img src=x onerror=alert(1)>', "</title></style></svg>"]
)
def test_nothing_that_comes_from_data_becomes_markup(poison):
    results = {step: _poison(result, poison) for step, result in made.binary_results().items()}
    page = render_report(
        results, facts=made.run_facts(project="p" + poison, owner=poison, description=poison)
    )
    outline = Outline(page)
    assert page.count("alert") + page.count("&lt;/title") > 200
    assert outline.errors == []
    assert outline.tags["script"] == outline.tags["img"] == 0
    assert poison not in page
    card = Outline(
        render_model_card(
            results, facts=made.run_facts(project=poison), card=ModelCardSpec(caveats=poison)
        )
    )
    assert card.errors == []
    assert card.tags["script"] == card.tags["img"] == 0


def test_other_scripts_keep_their_letters_and_cannot_turn_the_line():
    results = made.binary_results()
    poison = f" {RIGHT_TO_LEFT} 列名 \u202egpj"
    results["profile"] = _poison(results["profile"], poison)
    page = render_report(results, facts=made.run_facts())
    assert RIGHT_TO_LEFT in page
    assert "列名" in page
    assert "\u202e" not in page
    assert "&lt;U+202E&gt;gpj" in page
    page.encode("utf-8")


def test_a_very_wide_project_still_makes_a_readable_file():
    narrow = made.profile()
    source = narrow.sources[0]
    wide = [
        column.model_copy(update={"name": f"{column.name}_{i}"})
        for i in range(150)
        for column in source.columns
    ]
    sources = tuple(
        source.model_copy(update={"name": f"flights_{i}", "columns": tuple(wide)}) for i in range(6)
    )
    results = made.binary_results() | {"profile": ProfileResult(sources=sources)}
    page = render_report(results, facts=made.run_facts())
    assert len(page.encode()) < 5_000_000
    assert "further column" in page


# --- model card, summary, picture ---------------------------------------------------------------


def _card(results, **written):
    return card_json(results, facts=made.run_facts(), card=ModelCardSpec(**written))


def test_the_model_card_has_the_sections_that_sagemaker_takes():
    card = _card(made.binary_results())
    assert set(card) == {
        "model_overview",
        "business_details",
        "intended_uses",
        "training_details",
        "evaluation_details",
        "additional_information",
    }
    assert card["model_overview"]["model_version"] == 3
    assert card["intended_uses"]["risk_rating"] == "Unknown"
    assert card["training_details"]["objective_function"]["function"] == {
        "function": "Maximize",
        "facet": "AUC",
    }
    metrics = card["evaluation_details"][2]["metric_groups"][0]["metric_data"]
    assert {
        "name": "recall",
        "type": "number",
        "value": 0.557,
        "notes": "0.549 to 0.565",
    } in metrics
    custom = card["additional_information"]["custom_details"]
    assert all(isinstance(value, str) for value in custom.values())
    json.dumps(card, allow_nan=False)


def test_fields_that_only_a_person_can_fill_stay_open_until_somebody_does():
    facts = made.run_facts()
    fields = card_fields(made.binary_results(), facts=facts, card=ModelCardSpec())
    assert "ethical_considerations" in open_fields(fields)
    assert "ethical_considerations" not in _card(made.binary_results())["additional_information"]
    assert "open: to be written by a person" in PAGE["card"]
    card = ModelCardSpec(
        intended_uses="announcements at the gate",
        out_of_scope_uses="crew planning",
        factors="weather",
        risk_rating="low",
        risk_explanation="nobody is harmed by an announcement",
        ethical_considerations="no data about people",
        caveats="one year of data",
        line_of_business="operations",
    )
    fields = card_fields(made.binary_results(), facts=facts, card=card)
    assert open_fields(fields) == []
    page = render_model_card(made.binary_results(), facts=facts, card=card)
    assert "Every field is filled." in page
    assert _card(made.binary_results(), risk_rating="low")["intended_uses"]["risk_rating"] == "Low"


def test_a_model_that_is_not_registered_has_no_version():
    card = _card(made.regression_results())
    assert "model_version" not in card["model_overview"]
    assert card["training_details"]["objective_function"]["function"]["facet"] == "RMSE"


def test_long_texts_are_cut_to_what_sagemaker_takes():
    card = _card(made.binary_results(), caveats="x" * 5000)
    assert len(card["additional_information"]["caveats_and_recommendations"]) == 1024


def test_the_summary_is_for_programs():
    summary = summary_json(made.binary_results(), facts=made.run_facts())
    assert summary["decision"] == "iterate"
    assert summary["criteria_met"] == 4
    assert summary["metrics"]["test"]["recall"] == 0.557
    assert summary["winner"]["trial"] == "gbt-1"
    assert summary_json({}, facts=made.run_facts())["decision"] is None


def test_the_picture_of_the_flow_is_the_one_in_the_documents():
    file = Path(__file__).parents[2] / "docs" / "flow.svg"
    again = "python -m crisp_spark.reporting.flow_picture docs/flow.svg"
    assert file.read_text(encoding="utf-8") == flow_picture(), f"write it anew: {again}"


def test_the_picture_of_the_flow_shows_every_step():
    root = ET.fromstring(flow_picture())
    texts = [mark.text for mark in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in {step.name for step in FLOW}] == [
        step.name for step in FLOW
    ]


# --- the step -----------------------------------------------------------------------------------


class Run:
    """The world of the step, in memory."""

    def __init__(self, results):
        self.results, self.files = results, {}
        self.run_id, self.started = "run-2", made.STARTED
        self.tracker = SimpleNamespace(run_id="mlflow-1")
        project = SimpleNamespace(name="flights", owner="Ops", description="Late?", seed=7)
        self.spec = _Spec(project)

    def result_or_none(self, kind):
        return self.results.get(kind.step)

    def lineage(self):
        return {step: f"key-{step}" for step in self.results}

    def commits(self, step):
        old = {"stage_key": "key-before", "created": made.STARTED, "run_id": "run-0", "result": {}}
        new = old | {"stage_key": f"key-{step}", "run_id": "run-1", "seconds": 4.5}
        return [] if step == "monitor" else [old, new]

    def write_file(self, name, content):
        self.files[name] = content


class _Spec(SimpleNamespace):
    def __init__(self, project):
        super().__init__(project=project, review=SimpleNamespace(card=ModelCardSpec()))


@pytest.fixture
def world(monkeypatch):
    """Makes runs over given results; the review of the process has tests of its own."""
    monkeypatch.setattr(wiring, "digest", lambda spec: "digest")
    monkeypatch.setattr(
        "crisp_spark.business.review.review_project",
        lambda spec, results, *, reporting: made.review(),
    )
    return Run


@pytest.fixture
def run(world):
    return world(made.binary_results())


def test_the_step_keeps_report_card_and_summary(run):
    outcome = wiring.report(run)
    assert list(run.files) == ["report.html", "model_card.html", "model_card.json", "summary.json"]
    result = outcome.result
    assert isinstance(result, ReportResult)
    assert ReportResult.model_validate_json(result.model_dump_json()) == result
    assert [file.bytes for file in result.files] == [len(run.files[f.name]) for f in result.files]
    assert result.decision == "iterate"
    assert all(section.present for section in result.sections)
    assert "ethical_considerations" in result.open_fields
    assert "readable without network" in outcome.notes[0].text
    assert json.loads(run.files["summary.json"])["seconds"]["sweep"] == 4.5


def test_the_report_shows_the_commits_that_it_was_made_from(run):
    wiring.report(run)
    page = run.files["report.html"].decode()
    assert "key-sweep" in page
    assert "run-1" in page
    assert "key-before" not in page
    assert "mlflow-1" in page
    assert "The gate trial should have started earlier." in page


def test_a_report_of_half_a_flow_is_made_all_the_same(world):
    run = world({"charter": made.charter()})
    result = wiring.report(run).result
    assert result.decision == ""
    assert [section.step for section in result.sections if section.present] == ["charter"]


def test_numbers_without_end_are_unknown_in_json():
    assert json.loads(wiring._json({"a": [float("inf"), 1.5]})) == {"a": [None, 1.5]}
