"""The decision: the banner on top of the report, and the section with everything behind it."""

from __future__ import annotations

from crisp_spark.reporting.charts import Criterion, bullet
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    bullets,
    definitions,
    heading,
    lead,
    note,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import plural
from crisp_spark.reporting.pages.charter import criterion_value, currency_of
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, listed, metric_title, split_title
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import BaselineCheck, CriterionVerdict, DecideResult

TITLE = "Decision"

CHOICES = {
    "deploy": ("Deploy", "ok", "M3 8.5l3.2 3.2L13 4.5"),
    "iterate": ("Iterate", "warn", "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3"),
    "stop": ("Stop", "bad", "M4 4h8v8H4z"),
}
_KEY = (
    "How to read the bars: the dot is the value, the line through it its interval, the tall stroke "
    "the target, the shaded side is where the target is met; a triangle marks the value today."
)
_NO_CHOICE = ("No decision yet", "unknown", "M8 3.5v5M8 11.2v.8")


def banner(results: Results) -> Html:
    """Verdict first: the decision, its reasons, and every criterion against its target."""
    result = results.get(DecideResult)
    title, css, mark = CHOICES[result.decision] if result else _NO_CHOICE
    icon = Html(
        f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{mark}"/></svg>'
    )
    head = tag("h2", icon, title, id="verdict")
    if result is None:
        missing = tag("p", "The step decide has not run: there is no verdict.", class_="why")
        return tag("section", head, missing, class_=f"verdict {css}", aria_labelledby="verdict")
    overridden = None
    if result.override is not None:
        overridden = note("warn", tag("strong", "Override. "), sentence(result.override.sentence))
    return tag(
        "section",
        head,
        tag("p", sentence(result.summary), class_="why"),
        overridden,
        bullets(sentence(reason) for reason in result.reasons),
        paragraph(_tally(result)),
        class_=f"verdict {css}",
        aria_labelledby="verdict",
    )


def _tally(result: DecideResult) -> str:
    parts = []
    for verdict, word in (
        (Verdict.PASS, "met"),
        (Verdict.FAIL, "missed"),
        (Verdict.UNKNOWN, "open"),
    ):
        found = sum(item.verdict is verdict for item in result.criteria)
        if found:
            parts.append(f"{found} {word}")
    said = f"{plural(len(result.criteria), 'criterion', 'criteria')}"
    return f"Of {said}: {listed(parts)}." if parts else "The charter has no criteria."


def criteria_list(results: Results, level: int = 3) -> Html | None:
    """Each criterion with its verdict, its sentence and a bullet chart."""
    result = results.get(DecideResult)
    if result is None or not result.criteria:
        return None
    charter = results.get(CharterResult)
    measure = Measure(charter.goal.problem if charter else "", currency_of(charter))
    worded = {item.id: item.statement for item in charter.criteria} if charter else {}
    items = [_criterion(item, measure, worded.get(item.id, ""), level) for item in result.criteria]
    key = tag("p", _KEY, class_="key")
    return join([tag("ul", *items, class_="criteria"), key])


def _criterion(item: CriterionVerdict, measure: Measure, statement: str, level: int) -> Html:
    required = "required" if item.required else "not required"
    where = split_title(item.on) + (f", {item.slice}" if item.slice != "all" else "")
    words = tag(
        "div",
        tag(
            f"h{level}",
            f"{item.id} ",
            capital(metric_title(item.metric)),
            badge(item.verdict.value),
        ),
        paragraph(statement) if statement else None,
        paragraph(sentence(item.sentence)),
        paragraph(f"{capital(item.level)} criterion, {required}; {where}."),
    )
    drawn = Criterion(
        name=capital(metric_title(item.metric)),
        value=item.value,
        target=item.target,
        at_least=item.direction == "at_least",
        low=item.low,
        high=item.high,
        current=item.current,
    )
    chart = bullet(drawn, lambda value: criterion_value(item.metric, item.unit, value, measure))
    return tag("li", words, tag("div", chart))


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(DecideResult)
    if result is None:
        return None
    charter = results.get(CharterResult)
    measure = Measure(charter.goal.problem if charter else "", currency_of(charter))
    body = join(
        [
            lead(sentence(result.summary)),
            _override(result),
            *(note("fail", sentence(text)) for text in result.leakage),
            *(note("warn", sentence(text)) for text in result.caveats),
            _baselines(result, measure),
            _proofs(result),
            _changes(result),
            _actions(result),
            _evidence(result),
        ]
    )
    kinds = {"deploy": "pass", "iterate": "warn", "stop": "fail"}
    return Section("decide", TITLE, body, badge=kinds[result.decision])


def _override(result: DecideResult) -> Html | None:
    override = result.override
    if override is None:
        return None
    return definitions(
        [
            ("The verdict says", CHOICES[result.verdict][0]),
            ("A person says", CHOICES[override.decision][0]),
            ("Who", override.name),
            ("When", override.date),
            ("Why", override.reason),
            ("Counts", "yes" if override.applied else "no"),
        ]
    )


def _baselines(result: DecideResult, measure: Measure) -> Html | None:
    if not result.baselines:
        return None
    heads: Heads = [
        "Against",
        num("Model"),
        num("Other"),
        num("Advantage"),
        "Verdict",
        prose("In words"),
    ]
    rows = [_baseline_row(item, measure) for item in result.baselines]
    return join(
        [
            heading(4, "Against the alternatives"),
            table(
                heads, rows, caption="The model against baselines and the model in use", quiet=True
            ),
        ]
    )


def _baseline_row(item: BaselineCheck, measure: Measure) -> list[Content]:
    span = measure.apart(item.metric, item.low, item.high) if item.low is not None else ""
    return [
        item.other,
        measure.text(item.metric, item.model),
        measure.text(item.metric, item.other_value),
        join([measure.difference(item.metric, item.gain), tag("br"), tag("small", span)]),
        badge(item.verdict.value),
        item.sentence,
    ]


def _proofs(result: DecideResult) -> Html | None:
    if not result.proofs:
        return None
    rows: list[list[Content]] = [
        [capital(item.name.replace("_", " ")), item.sentence, badge(item.verdict.value)]
        for item in result.proofs
    ]
    heads: Heads = ["Check", prose("What was found"), "Verdict"]
    return join(
        [
            heading(4, "Is the evidence sound?"),
            table(heads, rows, caption="Test design", quiet=True),
        ]
    )


def _changes(result: DecideResult) -> Html | None:
    if not result.changes:
        return None
    said = [
        join([f"{c.criterion}: " if c.criterion else "", sentence(c.sentence)])
        for c in result.changes
    ]
    return join([heading(4, "What would change the verdict"), bullets(said)])


def _actions(result: DecideResult) -> Html | None:
    if not result.actions:
        return None
    said = [
        join(
            [
                tag("strong", action.title),
                " ",
                badge("pass", "recommended") if action.recommended else None,
                tag("br"),
                sentence(action.reason),
            ]
        )
        for action in result.actions
    ]
    return join([heading(4, "Possible next actions"), bullets(said)])


def _evidence(result: DecideResult) -> Html:
    evidence = result.evidence
    return join(
        [
            heading(4, "What the decision rests on"),
            definitions(
                [
                    ("Evidence", tag("code", evidence.hash[:16])),
                    ("Charter", f"version {evidence.charter_version}"),
                    ("Charter hash", tag("code", evidence.charter_hash[:16])),
                    ("Criteria hash", tag("code", evidence.criteria_hash[:16])),
                    ("Amendments", str(evidence.amendments)),
                ]
            ),
        ]
    )
