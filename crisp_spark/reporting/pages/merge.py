"""Section of the step ``merge``: joins against what was expected, and the nulls they made."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, horizontal_bars
from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    facts,
    figures,
    heading,
    lead,
    name,
    names,
    note,
    num,
    paragraph,
    table,
)
from crisp_spark.reporting.numbers import count, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.merge import KeyReport, MergeResult, MergeStepReport

TITLE = "Data merged"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(MergeResult)
    if result is None:
        return None
    if not result.steps:
        nothing = lead("There is one source and nothing to merge.")
        return Section("merge", TITLE, join([nothing, _facts(result)]))
    low = any(_low(step) for step in result.steps)
    body = join(
        [
            _lead(result),
            _facts(result),
            _joins(result),
            *(_low_match(step) for step in result.steps if _low(step)),
            figures(_matches(result)),
            _nulls(result),
            _keys(result),
        ]
    )
    return Section("merge", TITLE, body, badge="fail" if low else "pass")


def _low(step: MergeStepReport) -> bool:
    return step.match_rate is not None and step.match_rate < step.min_match


def _lead(result: MergeResult) -> Html:
    introduced = sum(item.introduced for step in result.steps for item in step.nulls)
    left = sum(item.left_after_cleaning for step in result.steps for item in step.nulls)
    who = "It" if len(result.steps) == 1 else "They"
    said = (
        f"{who} introduced {plural(introduced, 'null')}; after the second cleaning {count(left)} "
        f"{'is' if left == 1 else 'are'} left."
        if introduced
        else f"{who} introduced no nulls."
    )
    return lead(
        f"{plural(len(result.steps), 'merge')} made one table of {plural(result.rows_out, 'row')} "
        f"and {plural(len(result.columns), 'column')}. {said}"
    )


def _facts(result: MergeResult) -> Html:
    nulls = [item for step in result.steps for item in step.nulls]
    return facts(
        [
            ("Rows", count(result.rows_out)),
            ("Columns", count(len(result.columns))),
            ("Merges", count(len(result.steps))),
            ("Nulls introduced", count(sum(item.introduced for item in nulls))),
            ("Left after cleaning", count(sum(item.left_after_cleaning for item in nulls))),
        ]
    )


def _joins(result: MergeResult) -> Html:
    heads: Heads = [
        "Merge",
        "How",
        "Inputs",
        "Cardinality",
        num("Left rows"),
        num("Right rows"),
        num("Rows out"),
        num("Matched"),
        num("Fan-out"),
    ]
    return table(heads, map(_join_row, result.steps), caption="Merges, in order")


def _join_row(step: MergeStepReport) -> list[Content]:
    cardinality = step.found.replace("_", " ")
    if step.expect and step.expect != step.found:
        cardinality += f" (at most {step.expect.replace('_', ' ')} expected)"
    return [
        name(step.id),
        step.how,
        names(step.inputs),
        cardinality,
        count(step.rows_left),
        count(step.rows_right),
        count(step.rows_out),
        percent(step.match_rate),
        number(step.fan_out, 4),
    ]


def _low_match(step: MergeStepReport) -> Html:
    return note(
        "fail",
        name(step.id),
        f": {percent(step.match_rate)} of the left rows found a right row, "
        f"at least {percent(step.min_match)} were expected.",
    )


def _matches(result: MergeResult) -> Chart | None:
    steps = [step for step in result.steps if step.match_rate is not None]
    if not steps:
        return None
    worst = min(steps, key=lambda step: step.match_rate or 0.0)
    return horizontal_bars(
        "Left rows that found a right row",
        f"{worst.id} matches least: {percent(worst.match_rate)}.",
        [step.id for step in steps],
        [step.match_rate or 0.0 for step in steps],
        value_label="matched",
        fmt=percent,
        notes=[f"(at least {percent(step.min_match)})" if step.min_match else "" for step in steps],
        highlight=[_low(step) for step in steps],
        limit=1.0,
        limit_label="all",
    )


def _nulls(result: MergeResult) -> Html:
    rows: list[list[Content]] = [
        [
            name(item.column),
            name(step.id),
            count(item.introduced),
            percent(item.introduced / step.rows_out if step.rows_out else None),
            "; ".join(item.operations) if item.operations else "none declared",
            count(item.left_after_cleaning),
        ]
        for step in result.steps
        for item in step.nulls
        if item.introduced
    ]
    title = heading(4, "Nulls that the merges introduced")
    if not rows:
        return join([title, paragraph("Every row found its partner: no merge introduced a null.")])
    explained = paragraph(
        "A merge leaves a null where a row finds no partner. These cells went through cleaning "
        "once more where the project file says so; the last column is what that left."
    )
    heads: Heads = [
        "Column",
        "Merge",
        num("First pass: introduced"),
        num("Share"),
        "Second cleaning",
        num("Second pass: left"),
    ]
    return join([title, explained, table(heads, rows, caption="Nulls introduced", quiet=True)])


def _keys(result: MergeResult) -> Html:
    heads: Heads = [
        "Merge",
        "Side",
        "Key",
        "Unique",
        num("Rows"),
        num("Distinct keys"),
        num("Repeated keys"),
        num("Rows without key"),
        num("Most rows per key"),
        num("Share of top key"),
    ]
    rows = [
        _key_row(step, side, keys)
        for step in result.steps
        for side, keys in (("left", step.left_keys), ("right", step.right_keys))
        if keys is not None
    ]
    reasons = [paragraph(name(step.id), ": ", step.reason) for step in result.steps if step.reason]
    written = table(heads, rows, caption="Keys on both sides") if rows else None
    return join([heading(4, "Keys, fan-out and skew") if rows else None, written, *reasons])


def _key_row(step: MergeStepReport, side: str, keys: KeyReport) -> list[Content]:
    return [
        name(step.id),
        side,
        names(keys.columns),
        badge("pass", "yes") if keys.unique else badge("info", "no"),
        count(keys.rows),
        count(keys.distinct),
        count(keys.repeated_keys),
        count(keys.null_rows),
        count(keys.most_rows_per_key),
        percent(keys.top_key_share),
    ]
