"""Wiring of ingest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from crisp_spark.results.ingest import IngestResult, SourceReceipt
from crisp_spark.run.steprun import Note, Outcome, StepRun

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def ingest(run: StepRun) -> Outcome:
    """Read every source; write ``raw.<source>`` and ``rejects.<source>``."""
    from crisp_spark.understanding.ingest import IngestContext, ingest_source
    from crisp_spark.understanding.ingest_receipts import count_kept, measure_receipt

    earlier = run.result_or_none(IngestResult)
    known = earlier.sources if earlier else {}
    sources = run.spec.data.sources
    receipts: dict[str, SourceReceipt] = {}
    tables: dict[str, DataFrame] = {}
    # SQL sources read the others, so they come last.
    for name in sorted(sources, key=lambda name: sources[name].kind == "sql"):
        started = time.monotonic()
        context = IngestContext(run.project_dir, tables)
        ingested = ingest_source(run.spark, name, sources[name], context, earlier=known.get(name))
        try:
            written = run.write(f"raw.{name}", ingested.kept)
            tables[name] = run.reread(f"raw.{name}")
            kept = count_kept(ingested.draft, tables[name], written.rows)
            rejects = run.write(f"rejects.{name}", ingested.rejects_beside(kept))
        finally:
            ingested.release()
        receipts[name] = measure_receipt(
            ingested.draft,
            kept,
            run.reread(f"rejects.{name}") if rejects.rows else None,
            seconds=time.monotonic() - started,
        )
    result = IngestResult(sources={name: receipts[name] for name in sources})
    return Outcome(result, notes=_notes(result), metrics=_metrics(result))


def _notes(result: IngestResult) -> list[Note]:
    notes = []
    for receipt in result.sources.values():
        text = f"{receipt.source}: {receipt.kept:,} rows kept, {receipt.rejected:,} rejected"
        notes.append(Note(text, "warn" if receipt.rejected else "info"))
        notes += [
            Note(f"{receipt.source}: {problem.message}", problem.level)
            for problem in receipt.problems
            if problem.level == "warn"
        ][:5]
    return notes


def _metrics(result: IngestResult) -> dict[str, float]:
    receipts = result.sources.values()
    return {
        "rows_in": float(sum(receipt.rows_in for receipt in receipts)),
        "rows_kept": float(sum(receipt.kept for receipt in receipts)),
        "rows_rejected": float(sum(receipt.rejected for receipt in receipts)),
        "bytes": float(sum(receipt.bytes for receipt in receipts)),
    }
