"""Section of the step ``ingest``: a receipt per source, and every rejected row accounted for."""

from __future__ import annotations

from crisp_spark.reporting.charts import horizontal_bars
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    facts,
    figures,
    folded,
    heading,
    lead,
    name,
    note,
    num,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, duration, percent, plural, size
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.ingest import IngestResult, SourceReceipt

TITLE = "Data collected"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(IngestResult)
    if result is None:
        return None
    sources = list(result.sources.values())
    rejected = sum(source.rejected for source in sources)
    body = join(
        [
            _lead(sources),
            _facts(sources),
            _receipts(sources),
            heading(4, "Rejected records") if rejected else None,
            *(_rejects(source) for source in sources if source.rejected),
            _problems(sources),
            heading(4, "Files and columns"),
            *(_details(source) for source in sources),
        ]
    )
    warned = any(p.level == "warn" for s in sources for p in s.problems) or rejected
    return Section("ingest", TITLE, body, badge="warn" if warned else "pass")


def _lead(sources: list[SourceReceipt]) -> Html:
    rows_in = sum(source.rows_in for source in sources)
    rejected = sum(source.rejected - source.files_left_out for source in sources)
    kept = sum(source.kept for source in sources)
    whole = (
        "Every record was kept."
        if not rejected
        else (
            f"{count(kept)} were kept and {count(rejected)} rejected "
            f"({percent(rejected / rows_in if rows_in else 0)}); none is unaccounted for."
        )
    )
    if rows_in != kept + rejected:
        whole = (
            f"{count(kept)} were kept and {count(rejected)} rejected: the account does not close."
        )
    return lead(
        f"{plural(rows_in, 'record')} came in from {plural(len(sources), 'source')}. {whole}"
    )


def _facts(sources: list[SourceReceipt]) -> Html:
    return facts(
        [
            ("Sources", count(len(sources))),
            ("Files", count(sum(source.files for source in sources))),
            ("Size", size(sum(source.bytes for source in sources))),
            ("Records in", count(sum(source.rows_in for source in sources))),
            ("Kept", count(sum(source.kept for source in sources))),
            ("Rejected", count(sum(source.rejected for source in sources))),
        ]
    )


def _receipts(sources: list[SourceReceipt]) -> Html:
    columns: Heads = [
        "Source",
        "Kind",
        num("Files"),
        num("Size"),
        num("Records in"),
        num("Kept"),
        num("Rejected"),
        num("Columns"),
        num("Time"),
    ]
    rows: list[list[Content]] = [
        [
            name(source.source),
            source.kind,
            count(source.files),
            size(source.bytes),
            count(source.rows_in),
            count(source.kept),
            count(source.rejected),
            count(len(source.columns)),
            duration(source.seconds),
        ]
        for source in sources
    ]
    return table(columns, rows, caption="Receipts: what came in and what was kept")


def _rejects(source: SourceReceipt) -> Html:
    reasons = source.reasons[:12]
    chart = None
    if reasons:
        top = reasons[0]
        chart = horizontal_bars(
            f"Why records of {source.source} were rejected",
            f"“{top.reason}” was given most often: for {plural(top.rows, 'record')}.",
            [reason.reason for reason in reasons],
            [reason.rows for reason in reasons],
            value_label="records",
            fmt=count,
        )
    examples = folded(
        f"Examples from {source.source}",
        table(
            ["File", prose("Original text"), prose("Reasons")],
            [
                [
                    name(example.file),
                    tag("code", tag("bdi", example.text)),
                    "; ".join(example.reasons),
                ]
                for example in source.examples
            ],
            caption=f"Rejected records of {source.source}",
            quiet=True,
        ),
    )
    return join([figures(chart), examples if source.examples else None])


def _problems(sources: list[SourceReceipt]) -> Html | None:
    found = [(source, problem) for source in sources for problem in source.problems]
    if not found:
        return None
    found.sort(key=lambda pair: pair[1].level != "warn")
    rows: list[list[Content]] = [
        [
            name(source.source),
            badge("warn" if problem.level == "warn" else "info"),
            sentence(problem.message),
            sentence(problem.suggestion),
        ]
        for source, problem in found
    ]
    unlisted = sum(source.problems_in_all - len(source.problems) for source in sources)
    more = (
        note("info", f"{plural(unlisted, 'further problem')} not listed.") if unlisted > 0 else None
    )
    heads: Heads = ["Source", "Level", prose("What was noticed"), prose("What to do")]
    return join(
        [
            heading(4, "Noticed while reading"),
            table(heads, rows, caption="Notices", quiet=True),
            more,
        ]
    )


def _details(source: SourceReceipt) -> Html:
    columns = table(
        ["Column", "Type", "Origin of the type"],
        [[name(column.name), column.type, column.origin] for column in source.columns],
        caption=f"Columns of {source.source}",
        most=200,
    )
    files = table(
        ["File", num("Size"), num("Lines"), num("Kept"), num("Rejected"), "SHA-256"],
        [
            [
                name(file.file),
                size(file.bytes),
                count(file.lines),
                count(file.kept),
                count(file.rejected),
                tag("code", file.sha256[:12]) if file.sha256 else None,
            ]
            for file in source.file_receipts
        ],
        caption=f"Files of {source.source}",
    )
    summary = join(
        [
            name(source.source),
            tag(
                "span",
                f"{plural(source.files, 'file')}, {plural(len(source.columns), 'column')}",
                class_="meta",
            ),
        ]
    )
    where = tag(
        "p", "Read from ", name(source.location), ", digest ", name(source.digest[:16]), "."
    )
    return folded(summary, where, columns, files if source.file_receipts else None, css="card")
