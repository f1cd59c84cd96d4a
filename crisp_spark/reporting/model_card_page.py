"""The model card as a page: every field with its author, open ones in plain sight."""

from __future__ import annotations

from collections.abc import Mapping

from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import Heads, badge, figures, note, num, table
from crisp_spark.reporting.model_card import Field, card_fields, open_fields
from crisp_spark.reporting.numbers import moment, plural
from crisp_spark.reporting.pages.decide import banner
from crisp_spark.reporting.pages.evaluate import SPLIT_ORDER, main_metric_chart
from crisp_spark.reporting.report import Group, plain_page
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, metric_title, settings, split_title
from crisp_spark.results.base import StepResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.modelcard import ModelCardSpec

_SECTIONS = {
    "model_overview": "The model",
    "business_details": "The business",
    "intended_uses": "Intended use",
    "training_details": "Training",
    "additional_information": "Considerations",
}
_CUSTOM = {
    "question": "model_overview",
    "out_of_scope_uses": "intended_uses",
    "decision": "additional_information",
    "found_caveats": "additional_information",
}
_AUTHORS = {"program": ("info", "from the run"), "person": ("pass", "by a person")}


def render_model_card(
    results: Mapping[str, StepResult],
    *,
    facts: RunFacts,
    card: ModelCardSpec | None = None,
) -> str:
    """Render the model card as a self-contained page.

    Args:
        results: Result by step.
        facts: What is known about the run.
        card: What people wrote for the card.
    """
    fields = card_fields(results, facts=facts, card=card or ModelCardSpec())
    at_hand = Results(results)
    groups = []
    for section, title in _SECTIONS.items():
        parts = [f for f in fields if _CUSTOM.get(f.key, f.section) == section]
        body: list[Content] = [_fields(parts)]
        if section == "training_details":
            body.append(_settings(at_hand))
        groups.append(Group(section.replace("_", "-"), title, body=join(body)))
        if section == "training_details":
            groups.append(Group("evaluation", "Evaluation", body=_evaluation(at_hand)))
    made = moment(facts.rendered) if facts.rendered else ""
    eyebrow = " · ".join(
        word for word in (f"Run {facts.run_id}" if facts.run_id else "", made) if word
    )
    return plain_page(
        title=f"{facts.project}: model card",
        subtitle=facts.description,
        eyebrow=eyebrow,
        opening=join([_state(fields), banner(at_hand)]),
        groups=groups,
    )


def _state(fields: list[Field]) -> Html:
    missing = open_fields(fields)
    if not missing:
        return note("pass", "Every field is filled.")
    return note(
        "warn",
        f"{plural(len(missing), 'field')} that only a person can fill "
        f"{'is' if len(missing) == 1 else 'are'} open. They are filled under ",
        tag("code", "review.card"),
        " and in the charter of the project file.",
    )


def _fields(fields: list[Field]) -> Html:
    cells = []
    for field in fields:
        if field.author == "open":
            text: Content = badge("warn", "open: to be written by a person")
        elif not field.text:
            text = "none"
        else:
            kind, word = _AUTHORS[field.author]
            text = join([field.text, " ", badge(kind, word)])
        cells.append(tag("div", tag("dt", field.title), tag("dd", text)))
    return tag("dl", *cells, class_="defs")


def _settings(results: Results) -> Html | None:
    sweep = results.get(SweepResult)
    if sweep is None:
        return None
    said = f"Settings: {settings(sweep.winner.params)}. Seen columns: {len(sweep.model_columns)}."
    return tag("p", said)


def _evaluation(results: Results) -> Html:
    evaluated = results.get(EvaluateResult)
    if evaluated is None:
        return tag("p", "The step evaluate has not run.", class_="absent")
    measure = Measure(evaluated.problem, evaluated.currency)
    splits = [split for split in SPLIT_ORDER if split in evaluated.splits]
    names = dict.fromkeys(m for split in splits for m in evaluated.splits[split].metrics)
    rows: list[list[Content]] = []
    for metric in names:
        row: list[Content] = [capital(metric_title(metric))]
        for split in splits:
            value = evaluated.splits[split].metrics.get(metric)
            row.append(measure.text(metric, value.value) if value else None)
        rows.append(row)
    heads: Heads = ["Metric", *(num(capital(split_title(split))) for split in splits)]
    return join(
        [
            figures(main_metric_chart(evaluated, measure)),
            table(heads, rows, caption="Metrics"),
        ]
    )
