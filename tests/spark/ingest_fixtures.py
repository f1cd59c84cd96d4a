"""One way for all ingest tests to take in a source: write files, read, judge, sign the receipt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from pyspark.sql import Row

from crisp_spark.results.ingest import SourceReceipt
from crisp_spark.spec.data import DataSpec
from crisp_spark.understanding.ingest import IngestContext, IngestedSource, ingest_source
from crisp_spark.understanding.ingest_receipts import count_kept, measure_receipt
from crisp_spark.understanding.ingest_records import REJECT_SCHEMA


@dataclass(frozen=True)
class Taken:
    """What became of a source; every row is in one of the two lists."""

    kept: list[Row]
    rejected: list[Row]
    receipt: SourceReceipt
    found: IngestedSource

    def values(self, *names):
        """Kept rows as sorted tuples; nulls first."""
        rows = [tuple(row[name] for name in names) for row in self.kept]
        return sorted(rows, key=lambda row: [(value is not None, value) for value in row])

    @property
    def reasons(self):
        """Text of each reject to its reasons."""
        return {row["text"]: row["reasons"] for row in self.rejected}

    @property
    def problems(self):
        """Problems as (kind, file, column)."""
        return [(one.kind, one.file, one.column) for one in self.receipt.problems]

    @property
    def types(self):
        """Columns and their types."""
        return {column.name: column.type for column in self.receipt.columns}


@pytest.fixture
def take(spark, tmp_path):
    """``take({name: bytes}, **source)`` writes the files to ``in/`` and ingests them."""

    def run(files=(), *, earlier=None, context=None, **given):
        for name, content in dict(files).items():
            target = tmp_path / "in" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        given = {"kind": "csv", "max_reject_fraction": 1.0, **given}
        if given["kind"] in {"csv", "json", "text", "parquet", "orc"}:
            given = {"path": "in", **given}
        source = DataSpec.model_validate({"sources": {"s": given}}).sources["s"]
        context = context or IngestContext(tmp_path)
        found = ingest_source(spark, "s", source, context, earlier=earlier)
        try:
            # No cache: Spark would take a second reading of changed files for the first one.
            rows = found.kept.collect()
            counts = count_kept(found.draft, found.kept, len(rows))
            assert Counter(counts) == Counter(row["_crisp_file"] for row in rows)
            rejected = found.rejects_beside(counts).collect()
            written = spark.createDataFrame(rejected, REJECT_SCHEMA) if rejected else None
            receipt = measure_receipt(found.draft, counts, written, seconds=0.0)
        finally:
            found.release()
        return Taken(rows, rejected, receipt, found)

    return run
