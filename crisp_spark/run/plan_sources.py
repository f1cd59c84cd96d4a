"""Columns and types of the sources before anything is read: declared, known from before, or seen.

No Spark job: types come from the project file, else from the last ingest, else from the header and
the first rows of a local file.
"""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_spark.errors import CrispError
from crisp_spark.results.ingest import IngestResult
from crisp_spark.spec.data import (
    CsvSource,
    FileSource,
    OrcSource,
    ParquetSource,
    Source,
    TextSource,
)

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

_logger = logging.getLogger(__name__)
_SEEN_BYTES = 256 << 10
_SEEN_ROWS = 500
_SHAPES: Sequence[tuple[str, str]] = (
    ("bigint", r"-?(0|[1-9]\d{0,17})"),
    ("double", r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?"),
    ("boolean", r"true|false|True|False|TRUE|FALSE"),
    ("date", r"\d{4}-\d{1,2}-\d{1,2}"),
    ("timestamp", r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}.*)?)?"),
)


@dataclass(frozen=True)
class KnownColumns:
    """What is known of a source's columns.

    Attributes:
        types: Column to Spark type.
        complete: False where the source may have columns that are not in ``types``.
        note: Where the knowledge comes from, if it may be wrong.
    """

    types: Mapping[str, str]
    complete: bool = True
    note: str = ""


def known_columns(project: LoadedProject) -> dict[str, KnownColumns]:
    """Find out the columns of every source that is no SQL; SQL sources follow from the others."""
    earlier = _earlier(project)
    return {
        name: _columns_of(source, earlier.get(name, {}), project.project_dir)
        for name, source in project.spec.data.sources.items()
    }


def _earlier(project: LoadedProject) -> dict[str, dict[str, str]]:
    """Columns that the last ingest found."""
    from crisp_spark.run.status import result_of

    try:
        result = result_of(project, "ingest")
    except CrispError:
        return {}
    assert isinstance(result, IngestResult)
    return {
        name: {column.name: column.type for column in receipt.columns}
        for name, receipt in result.sources.items()
    }


def _columns_of(source: Source, earlier: Mapping[str, str], folder: Path) -> KnownColumns:
    declared = {name: column.type for name, column in source.columns.items()}
    sure = {name: kind for name, kind in declared.items() if kind is not None}
    if isinstance(source, TextSource):
        return KnownColumns({"value": "string", **sure})
    if not source.infer:
        return KnownColumns(sure)
    if earlier:
        return KnownColumns({**earlier, **sure}, note="types as the last ingest found them")
    seen = _seen(source, folder)
    if seen is None:
        text = "only declared columns are known before the data is read"
        return KnownColumns(sure, complete=False, note=text)
    guessed = sorted(set(seen) - set(sure))
    note = f"types guessed from the first rows: {', '.join(guessed)}" if guessed else ""
    return KnownColumns({**seen, **sure}, note=note)


def _seen(source: Source, folder: Path) -> dict[str, str] | None:
    """Columns of the first local file, or None where it cannot be looked at."""
    if not isinstance(source, FileSource):
        return None
    file = next(_local_files(source, folder), None)
    if file is None:
        return None
    try:
        if isinstance(source, CsvSource):
            found = _csv_columns(source, file)
        elif isinstance(source, ParquetSource | OrcSource):
            found = _footer_columns(source, file)
        else:
            return None
    except (OSError, EOFError, ValueError, csv.Error) as error:
        _logger.info("plan: %s cannot be looked at (%s)", file.name, type(error).__name__)
        return None
    if source.path_columns:
        folders = [part.partition("=") for part in file.parts[:-1] if "=" in part]
        found |= {name: "string" for name, _, _ in folders if name not in found}
    return found


def _local_files(source: FileSource, folder: Path) -> Iterator[Path]:
    for pattern in source.path:
        if "://" in pattern and not pattern.startswith("file://"):
            continue
        place = str(folder / pattern.removeprefix("file://"))
        for match in sorted(glob(place, recursive=True)):  # noqa: PTH207 - absolute patterns
            path = Path(match)
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (
                file
                for file in inside
                if file.is_file() and file.stat().st_size and not file.name.startswith((".", "_"))
            )


def _csv_columns(source: CsvSource, file: Path) -> dict[str, str]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        text = stream.read(_SEEN_BYTES).decode(source.encoding, errors="replace")
    lines = text.removeprefix("\ufeff").splitlines()
    if len(text) >= _SEEN_BYTES:
        lines = lines[:-1]  # the last line may be cut
    reader = csv.reader(
        io.StringIO("\n".join(lines[: _SEEN_ROWS + 1])),
        delimiter=source.separator[:1],
        quotechar=source.quote,
    )
    rows = list(reader)
    if not rows:
        return {}
    names = _names(source, rows[0])
    values = rows[1:] if source.header else rows
    missing = set(source.null_values) | {""}
    return {
        name: _shape([row[n] for row in values if n < len(row) and row[n] not in missing])
        for n, name in enumerate(names)
    }


def _names(source: CsvSource, header: Sequence[str]) -> list[str]:
    if not source.header:
        declared = list(source.columns)
        return [declared[n] if n < len(declared) else f"_c{n}" for n in range(len(header))]
    canonical = {
        known.lower(): name
        for name, column in source.columns.items()
        for known in (name, *column.aliases)
    }
    return [canonical.get(field.strip().lower(), field) for field in header]


def _shape(values: Sequence[str]) -> str:
    for kind, pattern in _SHAPES:
        if values and all(re.fullmatch(pattern, value.strip()) for value in values):
            return kind
    return "string"


def _footer_columns(source: Source, file: Path) -> dict[str, str]:
    from pyarrow import orc, parquet
    from pyspark.sql.pandas.types import from_arrow_schema

    if isinstance(source, ParquetSource):
        schema = parquet.read_schema(file)
    else:
        schema = orc.ORCFile(str(file)).schema
    return {field.name: field.dataType.simpleString() for field in from_arrow_schema(schema)}
