"""Receipts: what was written is counted, compared with what came in, and signed off."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import (
    FileReceipt,
    IngestProblem,
    RejectExample,
    RejectReason,
    SourceReceipt,
)
from crisp_spark.understanding.ingest_records import FILE, ROW
from crisp_spark.understanding.sourcefiles import for_each, sha256_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.understanding.ingest import ReceiptDraft

_MAX_FILES = 500
_MAX_REASONS = 100
_MAX_EXAMPLES = 10
_MAX_PROBLEMS = 200
_TEXT_LENGTH = 200


def count_kept(draft: ReceiptDraft, kept: DataFrame, rows: int) -> dict[str, int]:
    """Count the rows kept of each file.

    Args:
        draft: What is known from reading.
        kept: ``raw.<source>``, read back.
        rows: Rows of ``kept``, from the footers of its files.

    Rows: one per file · Adds: counts · Drops: everything else · Jobs: 1; none for a single file
    """
    read = [file.name for file in draft.files if file.name not in draft.left_out]
    if not draft.files:
        read = [draft.location]
    if len(read) == 1:
        return {read[0]: rows}
    return _by_file(kept) if rows else {}


def measure_receipt(
    draft: ReceiptDraft, kept: Mapping[str, int], rejected: DataFrame | None, *, seconds: float
) -> SourceReceipt:
    """Count what was written and make the receipt.

    Args:
        draft: What is known from reading.
        kept: Rows of ``raw.<source>`` by file, from :func:`count_kept`.
        rejected: ``rejects.<source>``, read back; None where it is empty.
        seconds: Time from the start of reading to the end of writing.

    Raises:
        DataError: Rows in are not rows kept plus rows rejected, or too many were rejected.

    Rows: none · Adds: nothing · Drops: everything · Jobs: 3 where there are rejects, else none
    """
    rejected_by_file = {} if rejected is None else _by_file(rejected)
    kept_rows, rejected_rows = sum(kept.values()), sum(rejected_by_file.values())
    reasons = () if rejected is None else _reasons(rejected)
    examples = () if rejected is None else _examples(rejected, hidden=draft.hidden)
    files = _file_receipts(draft, kept, rejected_by_file)
    problems = (*_left_out(draft), *draft.problems, *_count_problems(draft))
    records = kept_rows + rejected_rows - len(draft.left_out)
    lines = draft.lines
    receipt = SourceReceipt(
        source=draft.source,
        kind=draft.kind,
        location=draft.location,
        rows_in=records if draft.rows is None else sum(draft.rows.values()),
        kept=kept_rows,
        rejected=rejected_rows,
        files_left_out=len(draft.left_out),
        lines=None if lines is None else sum(count.lines for count in lines.values()),
        headers=None if lines is None else sum(count.headers for count in lines.values()),
        blanks=None if lines is None else sum(count.blanks for count in lines.values()),
        files=len(draft.files),
        bytes=sum(file.bytes for file in draft.files),
        digest=_digest(draft, files),
        seconds=round(seconds, 3),
        columns=draft.columns,
        file_receipts=files[:_MAX_FILES],
        reasons=reasons,
        examples=examples,
        problems=problems[:_MAX_PROBLEMS],
        problems_in_all=len(problems),
    )
    _check(draft, receipt, kept, rejected_by_file)
    return receipt


def _by_file(frame: DataFrame) -> dict[str, int]:
    return {row[0]: row[1] for row in frame.groupBy(FILE).agg(F.count("*")).collect()}


def _reasons(rejected: DataFrame) -> tuple[RejectReason, ...]:
    rows = (
        rejected.select(F.explode("reasons").alias("reason"))
        .groupBy("reason")
        .agg(F.count("*").alias("rows"))
        .orderBy(F.desc("rows"), "reason")
        .limit(_MAX_REASONS)
        .collect()
    )
    return tuple(RejectReason(reason=row[0], rows=row[1]) for row in rows)


def _examples(rejected: DataFrame, *, hidden: bool) -> tuple[RejectExample, ...]:
    rows = (
        rejected.select(FILE, F.substring("text", 1, _TEXT_LENGTH), "reasons", ROW)
        .orderBy(FILE, ROW)
        .limit(_MAX_EXAMPLES)
        .collect()
    )
    return tuple(
        RejectExample(file=row[0], text="" if hidden else row[1] or "", reasons=tuple(row[2]))
        for row in rows
    )


def _file_receipts(
    draft: ReceiptDraft, kept: Mapping[str, int], rejected: Mapping[str, int]
) -> tuple[FileReceipt, ...]:
    hashes = for_each(draft.files, sha256_of)
    receipts = []
    for file, sha256 in zip(draft.files, hashes, strict=True):
        count = None if draft.lines is None else draft.lines.get(file.name)
        receipts.append(
            FileReceipt(
                file=file.name,
                bytes=file.bytes,
                sha256=sha256,
                lines=count.lines if count else None,
                headers=count.headers if count else None,
                blanks=count.blanks if count else None,
                kept=kept.get(file.name, 0),
                rejected=rejected.get(file.name, 0),
                left_out=file.name in draft.left_out,
            )
        )
    return tuple(receipts)


def _digest(draft: ReceiptDraft, files: tuple[FileReceipt, ...]) -> str:
    """Hash over names and contents; elsewhere than on local disk over sizes and times."""
    if not files:
        return ""
    content = hashlib.sha256()
    for file, receipt in zip(draft.files, files, strict=True):
        mark = receipt.sha256 or f"{file.bytes}@{file.modified_ms}"
        content.update(f"{file.name}\0{mark}\n".encode())
    return content.hexdigest()


def _left_out(draft: ReceiptDraft) -> list[IngestProblem]:
    sizes = {file.name: file.bytes for file in draft.files}
    return [
        IngestProblem(
            kind="damaged_file" if sizes[name] else "empty_file",
            level="warn",
            message=f"{name}: left out, {fault}",
            file=name,
            suggestion="ask for the file again",
        )
        for name, fault in draft.left_out.items()
    ]


def _count_problems(draft: ReceiptDraft) -> list[IngestProblem]:
    problems = []
    for name, rows in sorted((draft.rows or {}).items()):
        if rows == 0:
            problems.append(
                IngestProblem(kind="no_rows", level="info", message=f"{name}: no rows", file=name)
            )
    for name, count in sorted((draft.lines or {}).items()):
        if count.headers > 1:
            problems.append(
                IngestProblem(
                    kind="repeated_header",
                    level="warn",
                    message=f"{name}: the header stands there {count.headers} times; all dropped",
                    file=name,
                )
            )
    return problems


def _check(
    draft: ReceiptDraft,
    receipt: SourceReceipt,
    kept: Mapping[str, int],
    rejected: Mapping[str, int],
) -> None:
    place = f"data.sources.{draft.source}"
    for name, rows in (draft.rows or {}).items():
        written = kept.get(name, 0) + rejected.get(name, 0)
        if written != rows:
            raise DataError(
                f"{place}: {name} has {rows} rows but {written} were written "
                f"({kept.get(name, 0)} kept, {rejected.get(name, 0)} rejected)",
                hint="the file changed while it was read; run the step again",
            )
    if receipt.reject_fraction <= draft.max_reject_fraction:
        return
    count = receipt.rejected - receipt.files_left_out
    reasons = "\n".join(f"  - {reason.rows} x {reason.reason}" for reason in receipt.reasons[:10])
    examples = "\n".join(
        f"  - {example.file}: {example.text!r} ({'; '.join(example.reasons)})"
        for example in receipt.examples[:5]
    )
    raise DataError(
        f"{place}: {count} of {receipt.rows_in} rows would be rejected "
        f"({receipt.reject_fraction:.1%}), at most {draft.max_reject_fraction:.1%} are allowed\n"
        f"  reasons:\n{reasons}\n  examples:\n{examples}",
        hint="correct the declared columns or the files, or raise max_reject_fraction",
    )
