"""Section of the step ``profile``: what is in the data, and what to beware of."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    facts,
    figures,
    folded,
    heading,
    lead,
    name,
    names,
    note,
    num,
    paragraph,
    table,
)
from crisp_spark.reporting.numbers import count, percent, plural
from crisp_spark.reporting.pages.profile_charts import (
    association_map,
    coverage,
    missing_bars,
    power_ranking,
    target_chart,
)
from crisp_spark.reporting.pages.profile_columns import MOST_CARDS, column_cards
from crisp_spark.reporting.pages.profile_patterns import patterns
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import listed, plain_value
from crisp_spark.results.profile import ProfileResult, TableProfile

TITLE = "Data described and explored"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(ProfileResult)
    if result is None:
        return None
    undeclared = [s for t in result.sources for s in t.suspects if not s.declared]
    cards = max(10, MOST_CARDS // max(len(result.sources), 1))
    body = join(
        [
            _lead(result),
            _overview(result),
            _target(result),
            *(_source(source, cards) for source in result.sources),
            *(patterns(found) for found in result.patterns),
        ]
    )
    return Section("profile", TITLE, body, badge="warn" if undeclared else "")


def _lead(result: ProfileResult) -> Html:
    rows = sum(source.rows for source in result.sources)
    columns = sum(len(source.columns) for source in result.sources)
    return lead(
        f"{plural(len(result.sources), 'source')} with {plural(rows, 'row')} and "
        f"{plural(columns, 'column')} were measured in full; associations, predictive power and "
        "text shapes come from a fixed sample where a table is large."
    )


def _overview(result: ProfileResult) -> Html:
    heads: Heads = [
        "Source",
        num("Rows"),
        num("Columns"),
        num("Missing cells"),
        num("Complete rows"),
        num("Duplicated rows"),
        "Key",
    ]
    return table(heads, map(_overview_row, result.sources), caption="Overview")


def _overview_row(source: TableProfile) -> list[Content]:
    missing = sum(column.missing for column in source.columns)
    cells = source.rows * len(source.columns)
    keys = [key for key in source.keys if key.unique]
    keys.sort(key=lambda key: (not key.declared, len(key.columns)))
    complete = source.missingness.complete_rows
    return [
        name(source.name),
        count(source.rows),
        count(len(source.columns)),
        percent(missing / cells) if cells else None,
        percent(complete / source.rows) if complete is not None and source.rows else None,
        count(source.duplicated_rows),
        names(keys[0].columns) if keys else "none found",
    ]


def _target(result: ProfileResult) -> Html | None:
    source = next((table_ for table_ in result.sources if table_.target), None)
    if source is None or source.target is None:
        return None
    target = source.target
    known = target.known + target.missing
    about: list[Content] = [
        "The target ",
        name(target.name),
        " lives in ",
        name(source.name),
        f" and is known for {plural(target.known, 'row')} of {count(known)}.",
    ]
    if target.expression.strip("`") not in ("", target.name):
        about += [" It is defined as ", name(target.expression), "."]
    return join(
        [
            heading(4, "The target"),
            paragraph(*about),
            _suspects(source),
            figures(target_chart(source, target), power_ranking(source)),
        ]
    )


def _suspects(source: TableProfile) -> Html | None:
    open_ones = [suspect for suspect in source.suspects if not suspect.declared]
    declared = [suspect for suspect in source.suspects if suspect.declared]
    notes = [
        note("warn", name(s.column), " may leak the outcome: ", "; ".join(s.reasons), ".")
        for s in open_ones
    ]
    if declared:
        notes.append(
            note(
                "info",
                "Known only at the outcome, as declared, and kept away from the model: ",
                names(suspect.column for suspect in declared),
                ".",
            )
        )
    if not notes:
        return note("pass", "No column looks as if it leaked the outcome.")
    return join(notes)


def _source(source: TableProfile, cards: int) -> Html:
    title = heading(4, "Source ", name(source.name))
    remarks = join(note("info", text) for text in source.notes)
    shown = [
        facts(
            [
                ("Rows", count(source.rows)),
                ("Columns", count(len(source.columns))),
                ("Passes over the data", count(source.scans)),
                ("Rows in the sample", count(source.sample_rows)),
            ]
        ),
        remarks,
        _keys(source),
        figures(*(coverage(source, time) for time in source.time[:2]), missing_bars(source)),
        figures(association_map(source)),
        _patterns(source),
        heading(5, "Columns"),
        paragraph("Each column opens to its numbers, distribution and most frequent values."),
        column_cards(source, cards),
    ]
    return join([title, *shown])


def _keys(source: TableProfile) -> Html | None:
    if not source.keys:
        return None
    rows: list[list[Content]] = [
        [
            names(key.columns),
            "declared" if key.declared else "found",
            "yes" if key.unique else "no",
            count(key.distinct),
            count(key.duplicated_rows),
            count(key.missing_rows),
        ]
        for key in source.keys
    ]
    heads: Heads = [
        "Columns",
        "Origin",
        "Identifies a row",
        num("Distinct"),
        num("Duplicated rows"),
        num("Rows without key"),
    ]
    return table(heads, rows, caption="Keys")


def _patterns(source: TableProfile) -> Html | None:
    patterns = [pattern for pattern in source.missingness.patterns if pattern.columns]
    by_target = source.missingness.by_target
    if not patterns and not by_target:
        return None
    parts: list[Content] = []
    if patterns:
        top = patterns[0]
        parts.append(
            paragraph(
                f"The most frequent pattern of missing values is {listed(list(top.columns))}: "
                f"{plural(top.rows, 'row')} ({percent(top.share)})."
            )
        )
        rows: list[list[Content]] = [
            [names(p.columns), count(p.rows), percent(p.share)] for p in patterns
        ]
        heads: Heads = ["Missing together", num("Rows"), num("Share")]
        parts.append(table(heads, rows, caption="Patterns of missing values", most=15))
    if by_target:
        rows = [
            [
                name(item.column),
                count(item.missing_rows),
                plain_value(item.target_where_missing),
                plain_value(item.target_where_known),
            ]
            for item in by_target
        ]
        heads = [
            "Column",
            num("Missing in the sample"),
            num("Target where missing"),
            num("Target where known"),
        ]
        parts.append(table(heads, rows, caption="Is missing informative?", most=20))
    return folded("Missing values in detail", *parts, css="card")
