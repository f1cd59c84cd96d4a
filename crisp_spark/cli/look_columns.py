"""What can be told of a column from its first values: type, missing values, keys."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import combinations
from typing import Any

_MOST_DISTINCT = 1_000
_MOST_MISFITS = 0.01
_NULL_TEXTS = ("", "NA", "N/A", "NULL", "null", "None", "nan", "NaN", "?", "-", "\\N")
_INTEGER = re.compile(r"^[-+]?(0|[1-9][0-9]{0,17})$")
_DECIMAL = re.compile(r"^[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_MOMENT = re.compile(r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$")
_TRUTH = {"true", "false"}
_KEY_NAME = re.compile(r"(^|_)(id|key|no|nr|number|code|uuid)$|Id$|ID$")


@dataclass
class ColumnLook:
    """What was seen of a column.

    Attributes:
        name: Its name.
        type: Spark type that its values have.
        nulls: Missing values seen.
        values: Distinct values seen, as texts, with their counts; incomplete when ``many``.
        many: More distinct values than are kept.
        null_texts: Texts that stand for a missing value.
        misfits: Values that are not of the type.
    """

    name: str
    type: str
    nulls: int = 0
    values: Counter[str] = field(default_factory=Counter)
    many: bool = False
    null_texts: tuple[str, ...] = ()
    misfits: int = 0


@dataclass
class SourceLook:
    """What was seen of a source.

    Attributes:
        name: Name for the project file.
        kind: ``csv``, ``json``, ``parquet`` or ``orc``.
        path: Path or glob, relative to the project file.
        files: Number of files.
        rows: Rows looked at.
        complete: Whether these are all rows.
        columns: Its columns.
        separator: Between fields (csv).
        encoding: Of the text.
        keys: Candidates for the key, best first.
    """

    name: str
    kind: str
    path: str
    files: int
    rows: int
    complete: bool
    columns: list[ColumnLook]
    separator: str = ","
    encoding: str = "utf-8"
    keys: list[tuple[str, ...]] = field(default_factory=list)

    def column(self, name: str) -> ColumnLook | None:
        """Return the column called ``name``."""
        return next((column for column in self.columns if column.name == name), None)


def measure(
    source: SourceLook,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    from_text: bool = False,
) -> None:
    """Fill in columns and key candidates from rows.

    Args:
        source: What is filled in.
        names: Names of the columns.
        rows: Their values, row by row.
        from_text: Whether the values come from a text file, where everything is a text.
    """
    source.rows = len(rows)
    for position, name in enumerate(names):
        values = [row[position] for row in rows]
        texts = [None if value is None else _as_text(value) for value in values]
        source.columns.append(_column(name, texts, from_text=from_text))
    source.keys = list(_keys(source, names, rows))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _column(name: str, texts: Iterable[str | None], *, from_text: bool) -> ColumnLook:
    values = Counter(texts)
    nulls = values.pop(None, 0)
    found: Counter[str] = Counter({text: n for text, n in values.items() if text is not None})
    kind, missing, misfits = _type_of(found, from_text=from_text)
    nulls += sum(found.pop(text) for text in missing if text in found)
    many = len(found) > _MOST_DISTINCT
    kept = Counter(dict(found.most_common(_MOST_DISTINCT)))
    null_texts = tuple(text for text in missing if text)
    return ColumnLook(name, kind, nulls, kept, many, null_texts, misfits)


def _type_of(values: Counter[str], *, from_text: bool) -> tuple[str, list[str], int]:
    """Return the type, the texts that then stand for nothing, and how many values do not fit."""
    missing = [text for text in _NULL_TEXTS if text in values] if from_text else []
    counts = {text: rows for text, rows in values.items() if text not in missing}
    tests: list[tuple[str, Callable[[str], Any]]] = [
        ("bigint", _INTEGER.match),
        ("double", _DECIMAL.match),
        ("boolean", lambda text: text.lower() in _TRUTH),
        ("date", _DATE.match),
        ("timestamp", _MOMENT.match),
    ]
    most = sum(counts.values()) * _MOST_MISFITS if from_text else 0
    for kind, test in tests if counts else ():
        misfits = sum(rows for text, rows in counts.items() if not test(text))
        if misfits <= most:
            return kind, missing, misfits
    return "string", [text for text in missing if text == ""], 0


def _keys(
    source: SourceLook, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, ...]]:
    """Yield the columns, or else pairs and triples, that no two of the rows share."""
    usable = [
        position
        for position, column in enumerate(source.columns)
        if not column.nulls and column.type not in {"double", "boolean"} and rows
    ]
    single = [one for one in usable if len({row[one] for row in rows}) == len(rows)]
    yield from (
        (names[one],) for one in sorted(single, key=lambda one: not _KEY_NAME.search(names[one]))
    )
    if single:
        return
    usable = sorted(usable, key=lambda one: not _KEY_NAME.search(names[one]))[:8]
    for size in (2, 3):
        several = [
            group
            for group in combinations(usable, size)
            if len({tuple(row[one] for one in group) for row in rows}) == len(rows)
        ]
        if several:
            yield from (tuple(names[one] for one in group) for group in several[:3])
            return
