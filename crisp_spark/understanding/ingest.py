"""Ingest: any source becomes rows kept and rows rejected, and nothing gets lost in between.

Text is read as text first and parsed afterwards, so a rejected row keeps what was written. Files
are looked at one by one before Spark reads them: their headers are compared by name, and empty or
damaged ones are known by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import ColumnReceipt, IngestProblem, SourceReceipt
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.data import CatalogSource, FileSource, JdbcSource, Source, SqlSource
from crisp_spark.spec.secrets import reveal
from crisp_spark.understanding.ingest_columnar import frame_records, from_place
from crisp_spark.understanding.ingest_files import FileJob, Read
from crisp_spark.understanding.ingest_infer import column_types
from crisp_spark.understanding.ingest_layout import Fields
from crisp_spark.understanding.ingest_lines import LineCount
from crisp_spark.understanding.ingest_plan import plan_ingest
from crisp_spark.understanding.ingest_records import (
    FILE,
    REJECT_SCHEMA,
    ROW,
    kept_rows,
    rejected_rows,
    union_all,
)
from crisp_spark.understanding.ingest_tables import Reveal, catalog_frame, jdbc_frame, sql_frame
from crisp_spark.understanding.sourcefiles import FileReader, SourceFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _revealed(reference: str) -> str:
    return reveal(reference).get_secret_value()


@dataclass(frozen=True)
class IngestContext:
    """What the sources of a project have in common.

    Attributes:
        project_dir: Folder that relative paths start from.
        tables: Sources read so far, for SQL sources.
        reveal: Looks up secrets.
    """

    project_dir: Path
    tables: Mapping[str, DataFrame] = field(default_factory=dict)
    reveal: Reveal = _revealed


@dataclass(frozen=True)
class ReceiptDraft:
    """All of a receipt that is known before anything is written.

    Attributes:
        source: Name of the source.
        kind: Its kind.
        location: Path, table or URL, without secrets.
        columns: Columns in order.
        files: Files found.
        left_out: Files that cannot be read, with the reason.
        rows: Records per file; None for tables, which can only be counted by reading them.
        lines: Physical lines per file, for text read line by line.
        problems: What was noticed.
        max_reject_fraction: Largest share of rejects.
        hidden: Whether the source holds personal data, so that examples show no text.
    """

    source: str
    kind: str
    location: str
    columns: tuple[ColumnReceipt, ...]
    files: tuple[SourceFile, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] | None = None
    lines: Mapping[str, LineCount] | None = None
    problems: tuple[IngestProblem, ...] = ()
    max_reject_fraction: float = 1.0
    hidden: bool = False


@dataclass(frozen=True)
class IngestedSource:
    """A source, read and judged, not yet written.

    Attributes:
        kept: Typed rows with ``_crisp_file`` and ``_crisp_row``.
        rejected: Rows that could not be used, as text with all reasons.
        left_out: Those of the rejects that stand for whole files.
        draft: The receipt so far.
        cached: Table that is kept on disk until both were written.
    """

    kept: DataFrame
    rejected: DataFrame
    left_out: DataFrame
    draft: ReceiptDraft
    cached: DataFrame | None = None

    def rejects_beside(self, kept: Mapping[str, int]) -> DataFrame:
        """Return the rejects, given how many rows of each file were kept.

        Where every record that was counted was kept, none is left to reject, and the files need
        not be read again to find that out.

        Rows: those with a fault, files left out · Adds: nothing · Drops: nothing · Jobs: none
        """
        rows = self.draft.rows
        if rows is not None and all(kept.get(name, 0) == count for name, count in rows.items()):
            return self.left_out
        return self.rejected

    def release(self) -> None:
        """Free what was kept on disk; call it after writing."""
        if self.cached is not None:
            self.cached.unpersist()


def ingest_source(
    spark: SparkSession,
    name: str,
    source: Source,
    context: IngestContext,
    *,
    earlier: SourceReceipt | None = None,
) -> IngestedSource:
    """Read one source and tell rows to keep from rows to reject.

    Args:
        spark: Session.
        name: Name of the source.
        source: What is declared.
        context: What the sources have in common.
        earlier: Receipt of an earlier run, whose inferred columns are kept.

    Raises:
        DataError: Nothing matches, a file is bad where that is fatal, or a type cannot be taken.

    Rows: all records, kept or rejected · Adds: _crisp_file, _crisp_row · Drops: headers, blanks ·
    Jobs: at most 3, before anything is written
    """
    place = f"data.sources.{name}"
    location = location_of(source)
    frozen = _frozen(source, location, earlier)
    files: tuple[SourceFile, ...] = ()
    table: DataFrame | None = None
    if isinstance(source, FileSource):
        reader = FileReader(spark)
        found = reader.list(place, source.path, context.project_dir)
        files = found.files
        read = FileJob(spark, place, source, reader, found, frozen).read()
    else:
        table = _open_table(spark, place, source, context)
        read = _read_table(table, place, source, location, frozen)
        if rejected_rows(read.records[0], read.plan.targets) is not None:
            # Kept and rejected rows must come from one reading: the table may change in between.
            table = table.persist(StorageLevel.DISK_ONLY)
            read = _read_table(table, place, source, location, frozen)
    left_out = _left_out(spark, read.left_out)
    kept, rejected = _split(spark, place, read)
    if read.left_out or rejected is None:
        rejected = left_out if rejected is None else rejected.unionByName(left_out)
    draft = ReceiptDraft(
        source=name,
        kind=_kind(source),
        location=location,
        columns=tuple(
            ColumnReceipt(name=target.name, type=target.spark_type, origin=target.origin)
            for target in read.plan.targets
        ),
        files=files,
        left_out=read.left_out,
        rows=read.rows if files else None,
        lines=read.lines,
        problems=(*read.plan.problems, *read.problems),
        max_reject_fraction=source.max_reject_fraction,
        hidden=any(column.pii for column in source.columns.values()),
    )
    return IngestedSource(kept, rejected, left_out, draft, table)


def location_of(source: Source) -> str:
    """Say where a source comes from: paths, table, or URL with table; never a secret."""
    if isinstance(source, FileSource):
        return ", ".join(source.path)
    if isinstance(source, JdbcSource):
        return f"{source.url}#{source.table or source.query}"
    if isinstance(source, CatalogSource):
        return source.table
    return "sql"


def _kind(source: Source) -> str:
    return str(source.model_dump(include={"kind"})["kind"])


def _frozen(
    source: Source, location: str, earlier: SourceReceipt | None
) -> tuple[ColumnReceipt, ...]:
    """Columns of the earlier run that still hold: same place, same kind, nothing to infer anew."""
    if earlier is None or not (source.infer and source.freeze):
        return ()
    same = (earlier.kind, earlier.location) == (_kind(source), location)
    return earlier.columns if same else ()


def _open_table(
    spark: SparkSession, place: str, source: Source, context: IngestContext
) -> DataFrame:
    if isinstance(source, JdbcSource):
        return jdbc_frame(spark, place, source, context.reveal)
    if isinstance(source, CatalogSource):
        return catalog_frame(spark, place, source)
    if isinstance(source, SqlSource):
        return sql_frame(spark, place, source, context.tables)
    raise DataError(f"{place}: no reader for {type(source).__name__}")


def _read_table(
    table: DataFrame,
    place: str,
    source: Source,
    location: str,
    frozen: Sequence[ColumnReceipt],
) -> Read:
    fields = Fields(tuple(table.columns), (SourceFile(location, location, 0, 0),))
    plan = plan_ingest(place, source, [fields], frozen=frozen)
    layout = plan.layouts[0]
    if layout.reject:
        raise DataError(f"{place}: {layout.reject}")
    types = column_types(table)
    plan = plan.with_types(
        {
            target.name: types.get(layout.places.get(target.name, ""), "string")
            for target in plan.targets
        }
    )
    records = frame_records(table, from_place(location), layout, plan.targets)
    return Read(plan, (records,), {})


def _split(spark: SparkSession, place: str, read: Read) -> tuple[DataFrame, DataFrame | None]:
    """Rows kept and rows rejected; None where no row can be rejected."""
    targets = read.plan.targets
    try:
        kept = [kept_rows(records, targets) for records in read.records]
        rejected = [rejected_rows(records, targets) for records in read.records]
    except AnalysisException as error:
        raise DataError(
            f"{place}: a column cannot be brought to its type ({str(error).splitlines()[0]})",
            hint="compare the declared types with those of the source",
        ) from error
    some = [frame for frame in rejected if frame is not None]
    empty = ", ".join(f"{quoted(target.name)} {target.spark_type}" for target in targets)
    return (
        union_all(kept)
        if kept
        else spark.createDataFrame([], f"{empty}, {FILE} string, {ROW} bigint"),
        union_all(some) if some else None,
    )


def _left_out(spark: SparkSession, files: Mapping[str, str]) -> DataFrame:
    """One line in the rejects for each file that cannot be read at all."""
    rows = [(name, None, None, None, [f"file left out: {fault}"]) for name, fault in files.items()]
    frame = spark.createDataFrame(rows, REJECT_SCHEMA).coalesce(1)
    return frame.withColumn(ROW, F.xxhash64(FILE))
