"""Section of the step ``derive``: what was made of the merged columns, and the target."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, horizontal_bars
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    definitions,
    figures,
    folded,
    heading,
    lead,
    name,
    names,
    num,
    paragraph,
    prose,
    table,
)
from crisp_spark.reporting.numbers import count, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import plain_value
from crisp_spark.results.derive import DerivedColumn, DeriveResult, PopulationReport, TargetReport

TITLE = "Data derived"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(DeriveResult)
    if result is None:
        return None
    body = join(
        [
            _lead(result),
            _population(result.population),
            _target(result.target),
            _columns(result),
            _excluded(result),
        ]
    )
    return Section("derive", TITLE, body)


def _lead(result: DeriveResult) -> Html:
    made = [column for column in result.columns if column.role != "target"]
    return lead(
        f"{plural(len(made), 'column')} {'was' if len(made) == 1 else 'were'} derived; the table "
        f"now has {plural(result.population.rows_kept, 'row')} and "
        f"{plural(len(result.types), 'column')}."
    )


def _population(population: PopulationReport) -> Html | None:
    if not population.expression:
        return None
    return join(
        [
            heading(4, "Rows that a prediction is made for"),
            paragraph(
                "Kept are rows where ",
                name(population.expression),
                f": {count(population.rows_kept)} of {plural(population.rows_in, 'row')}; "
                f"{count(population.rows_out)} are left out. {population.reason}",
            ),
        ]
    )


def _target(target: TargetReport | None) -> Html | None:
    if target is None:
        return None
    facts: list[tuple[Content, Content]] = [
        ("Column", name(target.name)),
        ("Definition", name(target.expression) if target.expression else "came with the data"),
        ("Type", target.type),
    ]
    if target.mean is not None and not target.classes:
        facts += [
            ("Mean ± standard deviation", f"{number(target.mean)} ± {number(target.std)}"),
            ("Range", f"{number(target.min)} to {number(target.max)}"),
        ]
    return join([heading(4, "The target"), definitions(facts), figures(_classes(target))])


def _classes(target: TargetReport) -> Chart | None:
    if not target.classes:
        return None
    total = sum(target.classes.values()) or 1
    first, rows = max(target.classes.items(), key=lambda item: item[1])
    shown = list(target.classes.items())[:15]
    return horizontal_bars(
        f"Classes of {target.name}",
        f"“{first}” is the most frequent class with {percent(rows / total)} of the rows.",
        [label for label, _ in shown],
        [amount for _, amount in shown],
        value_label="rows",
        fmt=count,
        notes=[f"({percent(amount / total)})" for _, amount in shown],
    )


def _columns(result: DeriveResult) -> Html | None:
    made = [column for column in result.columns if column.role != "target"]
    if not made:
        return None
    heads: Heads = ["Column", prose("Meaning"), prose("Made by"), "Type", num("Null"), "Range"]
    rows = [_row(column) for column in made]
    return join(
        [
            heading(4, "Derived columns"),
            table(heads, rows, caption="Derived columns, in the order they were made", most=150),
        ]
    )


def _row(column: DerivedColumn) -> list[Content]:
    span = ""
    if column.min is not None:
        span = f"{plain_value(column.min)} to {plain_value(column.max)}"
    doc: list[Content] = [column.doc]
    if column.uses:
        doc += [tag("br"), tag("small", "from ", names(column.uses))]
    return [
        name(column.name),
        join(doc),
        tag("code", column.expression),
        column.type,
        percent(column.null_share),
        span,
    ]


def _excluded(result: DeriveResult) -> Html | None:
    if not result.excluded:
        return None
    by_reason: dict[str, list[str]] = {}
    for column, reason in result.excluded.items():
        by_reason.setdefault(reason, []).append(column)
    rows: list[list[Content]] = [
        [names(columns, most=40), reason] for reason, columns in by_reason.items()
    ]
    heads: Heads = [prose("Columns"), prose("Why they must not be features")]
    return folded(
        f"{plural(len(result.excluded), 'column')} kept away from the model",
        table(heads, rows, caption="Columns kept away from the model", quiet=True),
        css="card",
        shown=True,
    )
