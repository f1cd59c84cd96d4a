"""Bodies of requests: MLflow's and SageMaker's JSON, and CSV, read into columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.serving.endpoint.faults import RequestError, refused

JSON, CSV = "application/json", "text/csv"
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""Keys of a JSON body; one of them holds the rows."""

ABSENT = object()
"""Stands in a column where a record does not speak of it."""

_UNSUPPORTED, _BAD = 415, 400


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        bytes: Largest body; 6 MB is also what Lambda takes.
        rows: Most rows.
        explained_rows: Most rows of an explanation, each of which is scored many times.
        seconds: Longest time of scoring.
    """

    bytes: int = 6_000_000
    rows: int = 10_000
    explained_rows: int = 100
    seconds: float = 25.0


@dataclass
class Rows:
    """Rows as columns, values as they came.

    Attributes:
        count: Number of rows.
        columns: Name to values; ``ABSENT`` where a row does not speak of a column.
        text: Whether values are text, as in CSV, and still have to be read as their types.
        named: Whether the columns are named once for all rows, also where there are none.
    """

    count: int
    columns: dict[str, list[Any]] = field(default_factory=dict)
    text: bool = False
    named: bool = True


def read_rows(body: bytes, content_type: str, limits: Limits) -> Rows:
    """Read a body.

    Args:
        body: The body.
        content_type: ``application/json`` or ``text/csv``, in UTF-8; JSON where it is empty.
        limits: What is too much.

    Raises:
        RequestError: It is too large, of another kind, or no such body.
    """
    if len(body) > limits.bytes:
        raise too_large(limits)
    kind = _kind(content_type)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(
            _BAD, "MALFORMED_BODY", f"the body is not UTF-8 from byte {error.start} on"
        ) from None
    rows = _read_csv(text) if kind == CSV else _read_json(text)
    if rows.count > limits.rows:
        raise refused(
            413, "TOO_MANY_ROWS", f"{rows.count} rows, at most {limits.rows} are taken at once"
        )
    return rows


def too_large(limits: Limits) -> RequestError:
    """Return the error of a body that is too large."""
    return refused(413, "TOO_LARGE", f"the body is larger than {limits.bytes} bytes")


def _kind(content_type: str) -> str:
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((p[8:].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise refused(_UNSUPPORTED, "UNSUPPORTED_MEDIA_TYPE", "only UTF-8 is read")
    if name in {"", JSON}:
        return JSON
    if name == CSV:
        return CSV
    raise refused(_UNSUPPORTED, "UNSUPPORTED_MEDIA_TYPE", f"only {JSON} and {CSV} are read")


def _read_json(text: str) -> Rows:
    try:
        content = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise refused(_BAD, "MALFORMED_JSON", f"no JSON: {error.msg} at {where}") from None
    except (RecursionError, ValueError):
        # Nested too deeply, or a number of thousands of digits.
        raise refused(_BAD, "MALFORMED_JSON", "JSON that is too deep or too long") from None
    return read_content(content)


def read_content(content: Any) -> Rows:
    """Read a decoded JSON body.

    Raises:
        RequestError: It is no such body.
    """
    if not isinstance(content, dict):
        raise refused(_BAD, "MALFORMED_BODY", f"an object is needed with one of {_listed(FORMS)}")
    given = [name for name in content if name in FORMS]
    foreign = [name for name in content if name not in FORMS]
    if len(given) != 1 or foreign:
        raise refused(
            _BAD,
            "MALFORMED_BODY",
            f"exactly one of {_listed(FORMS)} and nothing else is needed, got {len(content)} keys",
        )
    value = content[given[0]]
    if given[0] == "dataframe_split":
        return _split(value)
    if given[0] == "inputs" and isinstance(value, dict):
        return _by_column(value)
    return _records(value, given[0])


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refused(_BAD, "DUPLICATE_NAME", "an object has a name twice")
    return found


def _no_constant(name: str) -> Any:
    raise refused(_BAD, "MALFORMED_JSON", f"{name} is no JSON; write null for a missing value")


def _split(value: Any) -> Rows:
    if not isinstance(value, dict) or not {"columns", "data"} <= set(value) <= {
        "columns",
        "data",
        "index",
    }:
        raise refused(
            _BAD, "MALFORMED_BODY", "dataframe_split is an object of columns and data (and index)"
        )
    names, data = value["columns"], value["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refused(_BAD, "MALFORMED_BODY", "dataframe_split.columns is a list of names")
    _once(names)
    if not isinstance(data, list):
        raise refused(_BAD, "MALFORMED_BODY", "dataframe_split.data is a list of rows")
    index = value.get("index", data)
    if not isinstance(index, list) or len(index) != len(data):
        raise refused(
            _BAD, "MALFORMED_BODY", "dataframe_split.index is a list of one label for each row"
        )
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            raise refused(
                _BAD,
                "WRONG_LENGTH",
                f"a row is a list of {len(names)} values, as there are columns",
                row=number,
            )
    return Rows(len(data), _turned(names, data))


def _records(value: Any, form: str) -> Rows:
    if not isinstance(value, list):
        raise refused(_BAD, "MALFORMED_BODY", f"{form} is a list of objects")
    names: dict[str, None] = {}
    for number, row in enumerate(value):
        if not isinstance(row, dict):
            raise refused(
                _BAD, "MALFORMED_BODY", f"a row of {form} is an object by column name", row=number
            )
        names.update(dict.fromkeys(row))
    columns = {name: [row.get(name, ABSENT) for row in value] for name in names}
    return Rows(len(value), columns, named=False)


def _by_column(value: Mapping[str, Any]) -> Rows:
    if not all(isinstance(column, list) for column in value.values()):
        raise refused(_BAD, "MALFORMED_BODY", "inputs holds a list of values for each column")
    lengths = {len(column) for column in value.values()}
    if len(lengths) > 1:
        raise refused(_BAD, "WRONG_LENGTH", "the columns of inputs differ in length")
    return Rows(next(iter(lengths), 0), dict(value), named=bool(value))


def _read_csv(text: str) -> Rows:
    lines = _csv_lines(text)
    names = next(lines, None)
    if not names:
        raise refused(_BAD, "MALFORMED_CSV", "a header with the names of the columns is needed")
    _once(names)
    data: list[list[str | None]] = []
    for cells in lines:
        if not cells and len(names) > 1:
            continue  # an empty line
        if len(cells) != len(names) and cells:
            raise refused(
                _BAD,
                "WRONG_LENGTH",
                f"a row has {len(names)} cells, as the header has",
                row=len(data),
            )
        data.append([cell or None for cell in cells or [""]])
    return Rows(len(data), _turned(names, data), text=True)


def _csv_lines(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise refused(_BAD, "MALFORMED_CSV", f"no CSV: {error}") from None


def _once(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise refused(_BAD, "DUPLICATE_NAME", "a column is named twice")


def _turned(names: Sequence[str], data: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in data] for place, name in enumerate(names)}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
