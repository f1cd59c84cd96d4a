"""Scores a file of rows without Spark: every row is answered or rejected with its reasons."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from crisp_spark.errors import DataError
from crisp_spark.serving.endpoint.faults import RequestError, refused
from crisp_spark.serving.endpoint.reading import Rows, read_content
from crisp_spark.serving.endpoint.rendering import encoded

_CHUNK = 1000
_LONGEST_TEXT = 2000

Answer = Callable[[Rows], list[dict[str, Any]]]
"""Answers rows, or raises a RequestError."""


@dataclass
class FileSummary:
    """What became of the rows of a file.

    Attributes:
        source: Where it lies.
        rows_in: Records of the file.
        rows_scored: Rows with an answer.
        rows_rejected: Rows without one.
        rows_by_rule: Scored rows that the fallback rule answered.
        reasons: Code of a fault to rows.
    """

    source: str
    rows_in: int = 0
    rows_scored: int = 0
    rows_rejected: int = 0
    rows_by_rule: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass
class ScoredFile:
    """A scored file: lines of JSON, and what became of the rows."""

    summary: FileSummary
    scored: list[bytes] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)

    def summary_bytes(self) -> bytes:
        """Return the summary as JSON."""
        return encoded(asdict(self.summary))


def score_file(
    content: bytes, source: str, answer: Answer, *, on_chunk: Callable[[], None]
) -> ScoredFile:
    """Score CSV with a header, or one JSON object a line.

    Args:
        content: The file, in UTF-8.
        source: Its name; ``.csv`` makes it CSV.
        answer: Answers rows.
        on_chunk: Called before each piece; may raise to end the work.

    Raises:
        DataError: The file is no text, has no header, or rows were lost.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"score: {source} is not UTF-8 from byte {error.start} on") from None
    read = _csv_chunks if source.lower().endswith(".csv") else _json_chunks
    done = ScoredFile(FileSummary(source))
    for first, records in read(text, source):
        on_chunk()
        _score_chunk(done, records, first, answer)
    summary = done.summary
    if summary.rows_in != summary.rows_scored + summary.rows_rejected:
        raise DataError(f"score: {source}: rows were lost")
    return done


def _score_chunk(done: ScoredFile, records: list[Any], first: int, answer: Answer) -> None:
    try:
        answered = answer(_rows(records))
    except RequestError as error:
        if len(records) == 1:
            _reject(done, records[0], first, error)
            return
        middle = len(records) // 2  # halves, until the bad rows stand alone
        _score_chunk(done, records[:middle], first, answer)
        _score_chunk(done, records[middle:], first + middle, answer)
        return
    summary = done.summary
    summary.rows_in += len(records)
    for number, one in enumerate(answered, start=first):
        if one["answered_by"] is None:
            _count_reject(done, {"row": number, **one}, "NO_ANSWER")
            continue
        summary.rows_scored += 1
        summary.rows_by_rule += one["answered_by"] == "fallback"
        done.scored.append(encoded({"row": number, **one}))


def _rows(records: list[Any]) -> Rows:
    if records and isinstance(records[0], _CsvRow):
        names = records[0].names
        if any(len(record.cells) != len(names) for record in records):
            raise _wrong_length(len(names))
        columns = {
            name: [record.cells[place] or None for record in records]
            for place, name in enumerate(names)
        }
        return Rows(len(records), columns, text=True)
    decoded = []
    for line in records:
        try:
            decoded.append(json.loads(line))
        except (ValueError, RecursionError):
            raise _malformed() from None
    return read_content({"dataframe_records": decoded})


def _reject(done: ScoredFile, record: Any, number: int, error: RequestError) -> None:
    done.summary.rows_in += 1
    text = record if isinstance(record, str) else json.dumps(record.cells)
    told = {
        "row": number,
        "text": text[:_LONGEST_TEXT],
        "reasons": [fault.message for fault in error.faults],
    }
    _count_reject(done, told, error.faults[0].code)


def _count_reject(done: ScoredFile, told: dict[str, Any], code: str) -> None:
    done.summary.rows_rejected += 1
    done.summary.reasons[code] = done.summary.reasons.get(code, 0) + 1
    done.rejected.append(encoded(told))


@dataclass(frozen=True)
class _CsvRow:
    names: list[str]
    cells: list[str]


def _csv_chunks(text: str, source: str) -> Iterator[tuple[int, list[Any]]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    names = next(rows, None)
    if not names or len(set(names)) != len(names):
        raise DataError(f"score: {source} needs a header that names each column once")
    first, chunk = 0, list[Any]()
    for cells in rows:
        if not cells:
            continue
        chunk.append(_CsvRow(names, cells))
        if len(chunk) == _CHUNK:
            yield first, chunk
            first, chunk = first + len(chunk), []
    if chunk:
        yield first, chunk


def _json_chunks(text: str, source: str) -> Iterator[tuple[int, list[Any]]]:
    del source
    lines = [line for line in text.split("\n") if line.strip()]
    for first in range(0, len(lines), _CHUNK):
        yield first, lines[first : first + _CHUNK]


def _wrong_length(cells: int) -> RequestError:
    return refused(400, "WRONG_LENGTH", f"a row has {cells} cells, as the header has")


def _malformed() -> RequestError:
    return refused(400, "MALFORMED_JSON", "the line is no JSON")
