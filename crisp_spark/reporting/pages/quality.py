"""Section of the step ``quality``: every rule with its share, samples and a remedy."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    facts,
    folded,
    heading,
    lead,
    name,
    names,
    note,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import plain_value
from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import QualityResult, RuleResult, SourceQuality

TITLE = "Data quality"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(QualityResult)
    if result is None:
        return None
    rules = [rule for source in result.sources for rule in source.rules]
    body = join([_lead(result, rules), _facts(result, rules), *map(_source, result.sources)])
    return Section("quality", TITLE, body, badge=result.verdict.value)


def _lead(result: QualityResult, rules: list[RuleResult]) -> Html:
    early = [rule for rule in rules if rule.note]
    broken = [rule for rule in rules if not rule.holds and not rule.note]
    if not rules:
        return lead("No rules were declared.")
    waiting = f" {plural(len(early), 'rule')} wait for more earlier runs." if early else ""
    if not broken:
        judged = len(rules) - len(early)
        return lead(f"All {plural(judged, 'rule')} hold.{waiting}" if judged else waiting.strip())
    quarantined = sum(source.quarantined for source in result.sources)
    set_aside = (
        f" {plural(quarantined, 'row')} went to quarantine, each with every rule that it breaks."
        if quarantined
        else " No row was set aside."
    )
    held = len(rules) - len(broken) - len(early)
    return lead(f"{held} of {plural(len(rules), 'rule')} hold.{set_aside}{waiting}")


def _facts(result: QualityResult, rules: list[RuleResult]) -> Html:
    verdicts = [rule.verdict for rule in rules]
    return facts(
        [
            ("Rules", count(len(rules))),
            ("Hold", count(verdicts.count(Verdict.PASS))),
            ("Warnings", count(verdicts.count(Verdict.WARN))),
            ("Failed", count(verdicts.count(Verdict.FAIL))),
            ("Not judged", count(verdicts.count(Verdict.UNKNOWN))),
            ("Rows in quarantine", count(sum(source.quarantined for source in result.sources))),
        ]
    )


def _source(source: SourceQuality) -> Html:
    rules = sorted(source.rules, key=lambda rule: rule.holds)
    title = heading(4, name(source.source), " ", badge(source.verdict.value))
    account = paragraph(
        f"{plural(source.rows, 'row')} checked: {count(source.kept)} kept, "
        f"{count(source.quarantined)} in quarantine."
    )
    if not rules:
        return join([title, account, paragraph("No rules are declared for this source.")])
    heads: Heads = [
        prose("Rule"),
        "Verdict",
        "Severity",
        num("Judged"),
        num("Broken"),
        num("Share"),
        "Observed",
    ]
    written = table(heads, map(_row, rules), caption=f"Rules of {source.source}", quiet=True)
    broken = [rule for rule in rules if not rule.holds]
    return join(
        [
            title,
            account,
            written,
            _histories(rules),
            heading(5, "Findings and remedies") if broken else None,
            *map(_finding, broken[:25]),
        ]
    )


def _row(rule: RuleResult) -> list[Content]:
    described = join([rule.expected, tag("br"), tag("small", name(rule.name))])
    observed = "" if rule.observed is None else plain_value(rule.observed)
    return [
        described,
        badge(rule.verdict.value),
        rule.severity,
        count(rule.evaluated) if rule.evaluated is not None else "",
        count(rule.failed) if rule.failed is not None else "",
        percent(rule.failed_share) if rule.failed_share is not None else "",
        observed + (" (approximate)" if rule.approximate else ""),
    ]


def _histories(rules: list[RuleResult]) -> Html | None:
    """What the rules about history compared: a line per rule."""
    compared = [(rule, rule.history) for rule in rules if rule.history is not None]
    if not compared:
        return None
    heads: Heads = [
        prose("Rule"),
        num("This run"),
        num("Median before"),
        num("As usual from"),
        num("to"),
        "Runs before, oldest first",
    ]
    rows: list[list[Content]] = [
        [
            name(rule.name),
            number(rule.observed) if isinstance(rule.observed, int | float) else None,
            number(history.median),
            number(history.low),
            number(history.high),
            ", ".join(number(past.value) for past in history.values) or "none",
        ]
        for rule, history in compared
    ]
    return join([heading(5, "Compared with earlier runs"), table(heads, rows, caption="History")])


def _finding(rule: RuleResult) -> Html:
    says: list[Content] = [tag("strong", sentence(rule.expected)), " "]
    if rule.failed:
        says.append(f"{plural(rule.failed, 'row')} ({percent(rule.failed_share)}) break it. ")
    if rule.observed is not None:
        says.append(f"Observed: {plain_value(rule.observed)}. ")
    if rule.note:
        says.append(sentence(f"There is too little history: {rule.note}"))
    if rule.error:
        says.append(sentence(f"It could not be judged: {rule.error}"))
    if rule.samples:
        values = names((plain_value(sample.value) for sample in rule.samples), most=6)
        says += ["For example ", values, ". "]
    if rule.remedy:
        says += [tag("br"), tag("strong", "Remedy: "), sentence(rule.remedy.text)]
        if rule.remedy.yaml:
            says.append(folded("As a line of the project file", tag("pre", rule.remedy.yaml)))
    return note(rule.verdict.value, *says)
