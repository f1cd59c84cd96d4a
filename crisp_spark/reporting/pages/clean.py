"""Section of the step ``clean``: what every operation changed and dropped."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, waterfall
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
    prose,
    table,
)
from crisp_spark.reporting.numbers import count, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.clean import CleanedSource, CleanOperationReport, CleanResult

TITLE = "Data cleaned"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(CleanResult)
    if result is None:
        return None
    body = join([_lead(result), _facts(result), *map(_source, result.sources)])
    return Section("clean", TITLE, body)


def _lead(result: CleanResult) -> Html:
    operations = [op for source in result.sources for op in source.operations]
    dropped = sum(source.rows_dropped for source in result.sources)
    cells = sum(op.cells_changed for op in operations)
    fate = f"{plural(dropped, 'row')}; each kept aside with its reason" if dropped else "no row"
    return lead(
        f"{plural(len(operations), 'operation')} changed {plural(cells, 'cell')} "
        f"and dropped {fate}."
    )


def _facts(result: CleanResult) -> Html:
    sources = result.sources
    return facts(
        [
            ("Rows in", count(sum(source.rows_in for source in sources))),
            ("Rows kept", count(sum(source.rows_kept for source in sources))),
            ("Rows dropped", count(sum(source.rows_dropped for source in sources))),
            ("Cells changed", count(sum(op.cells_changed for s in sources for op in s.operations))),
            ("Columns left out", count(sum(len(source.excluded) for source in sources))),
            ("Failed casts", count(sum(source.cast_failures for source in sources))),
        ]
    )


def _source(source: CleanedSource) -> Html:
    title = heading(4, "Source ", name(source.source))
    account = f"{plural(source.rows_in, 'row')} in, {count(source.rows_kept)} kept"
    account += (
        f", {count(source.rows_dropped)} dropped." if source.rows_dropped else ", none dropped."
    )
    if not source.operations:
        return join([title, paragraph(account, " No operation is declared: it passed unchanged.")])
    closes = source.rows_in == source.rows_kept + source.rows_dropped
    return join(
        [
            title,
            paragraph(account),
            None if closes else note("fail", "Rows in differ from rows kept and dropped."),
            _operations(source),
            figures(_fall(source)),
            _changes(source),
            _casts(source),
            _excluded(source),
        ]
    )


def _operations(source: CleanedSource) -> Html:
    heads: Heads = [
        prose("Operation"),
        prose("Reason"),
        num("Cells changed"),
        num("Rows dropped"),
        num("Rows after"),
    ]
    rows: list[list[Content]] = [
        [
            op.summary,
            op.reason,
            count(op.cells_changed) if op.cells_changed else "0",
            count(op.rows_dropped),
            count(op.rows_after),
        ]
        for op in source.operations
    ]
    return table(heads, rows, caption=f"Operations on {source.source}, in order", quiet=True)


def _fall(source: CleanedSource) -> Chart | None:
    dropping = [op for op in source.operations if op.rows_dropped]
    if not dropping:
        return None
    most = max(dropping, key=lambda op: op.rows_dropped)
    finding = (
        f"{percent(source.rows_kept / source.rows_in if source.rows_in else None)} of the rows are "
        f"left; “{most.summary}” dropped most ({count(most.rows_dropped)})."
    )
    return waterfall(
        f"Rows of {source.source}",
        finding,
        ("before", source.rows_in),
        [(op.summary, -op.rows_dropped) for op in dropping],
        "after",
    )


def _changes(source: CleanedSource) -> Html | None:
    heads: Heads = [
        "Operation",
        "Column",
        num("Changed"),
        num("Filled"),
        num("Made null"),
        num("Nulls before"),
        num("Nulls after"),
    ]
    rows = [row for op in source.operations for row in _change_rows(op)]
    if not rows:
        return None
    caption = f"Cells changed in {source.source}"
    return folded("Before and after, by column", table(heads, rows, caption=caption), css="card")


def _change_rows(op: CleanOperationReport) -> list[list[Content]]:
    return [
        [
            f"{op.number + 1}. {op.op}",
            name(change.column),
            count(change.changed),
            count(change.filled),
            count(change.nulled),
            count(change.nulls_before),
            count(change.nulls_after),
        ]
        for change in op.columns
        if change.changed
    ]


def _casts(source: CleanedSource) -> Html | None:
    if not source.cast_failures:
        return None
    rows: list[list[Content]] = [
        [name(sample.column), name(sample.text), count(sample.cells)]
        for sample in source.failure_samples
    ]
    said = f"{plural(source.cast_failures, 'cell')} could not be cast; the original text is kept."
    heads: Heads = ["Column", "Text", num("Cells")]
    written = table(heads, rows, caption="Most frequent texts that could not be cast", most=20)
    return note("warn", said, folded("Which texts", written) if rows else None)


def _excluded(source: CleanedSource) -> Html | None:
    if not source.excluded:
        return None
    by_reason: dict[str, list[str]] = {}
    for column, reason in source.excluded.items():
        by_reason.setdefault(reason, []).append(column)
    rows: list[list[Content]] = [
        [names(columns, most=30), reason or "no reason given"]
        for reason, columns in by_reason.items()
    ]
    heads: Heads = [prose("Columns left out"), prose("Reason")]
    return table(heads, rows, caption=f"Columns of {source.source} left out", quiet=True)
