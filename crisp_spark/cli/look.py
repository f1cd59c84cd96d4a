"""A look at a user's own files, for `crisp init`: columns, types, keys, targets.

Reads the first rows only, with the csv, json and pyarrow modules; starts no Spark.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crisp_spark.cli.look_columns import SourceLook, measure
from crisp_spark.errors import DataError, UsageError

MOST_ROWS = 20_000
_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".psv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".orc": "orc",
}


def find_sources(patterns: Sequence[str], base: Path) -> list[SourceLook]:
    """Look at the files that globs, files or folders name; one source per pattern or folder.

    Args:
        patterns: Globs, files or folders, relative to ``base``.
        base: Folder of the project file.

    Raises:
        UsageError: A pattern matches nothing that can be read.
        DataError: A file cannot be read.
    """
    found = []
    for pattern in patterns:
        groups = _groups(pattern, base)
        if not groups:
            raise UsageError(
                f"init: no data files at {pattern!r}",
                hint=f"files ending in {', '.join(_KINDS)} (or .gz) are looked at",
            )
        found += [_look(path, files) for path, files in groups]
    names = Counter[str]()
    for source in found:
        names[source.name] += 1
        if names[source.name] > 1:
            source.name = f"{source.name}_{names[source.name]}"
    return found


def _groups(pattern: str, base: Path) -> list[tuple[str, list[Path]]]:
    """Return path and files of each source below a pattern."""
    folder = Path(os.path.normpath(base.absolute() / pattern))  # the base may not exist yet
    if not folder.is_dir():
        names = sorted(glob.glob(str(folder), recursive=True))  # noqa: PTH207  # may hold ** and ..
        files = [Path(name) for name in names]
        kept = [file for file in files if file.is_file() and _kind(file)]
        return [(pattern, kept)] if kept else []
    prefix = "" if pattern in {".", "./"} else pattern.rstrip("/") + "/"
    groups: list[tuple[str, list[Path]]] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_file() and _kind(entry):
            groups.append((f"{prefix}{entry.name}", [entry]))
        elif entry.is_dir():
            inside = sorted(file for file in entry.iterdir() if file.is_file() and _kind(file))
            if inside:
                ending = _ending(inside[0])
                same = [file for file in inside if file.name.endswith(ending)]
                groups.append((f"{prefix}{entry.name}/*{ending}", same))
    return groups


def _ending(file: Path) -> str:
    return "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix


def _kind(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _KINDS.get(suffixes[-1]) if suffixes else None


def _look(path: str, files: Sequence[Path]) -> SourceLook:
    first = files[0]
    kind = str(_kind(first))
    name = first.parent.name if "*" in path else first.name.split(".")[0]
    name = re.sub(r"\W+", "_", name).strip("_").lower() or "table"
    name = name if not name[0].isdigit() else f"t_{name}"
    source = SourceLook(name, kind, path, len(files), 0, complete=True, columns=[])
    try:
        _READERS[kind](source, files)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"init: {first}: cannot be read ({error})") from error
    source.complete = source.complete and len(files) == 1
    return source


def _look_at_csv(source: SourceLook, files: Sequence[Path]) -> None:
    source.encoding = _encoding(files[0])
    with _text(files[0], source.encoding) as lines:
        head = lines.readline()
        source.separator = _separator(head)
        rows = csv.reader([head], delimiter=source.separator)
        names = next(rows, [])
        rest = csv.reader(lines, delimiter=source.separator)
        seen = [row for row in islice(rest, MOST_ROWS) if len(row) == len(names)]
        source.complete = next(rest, None) is None
    measure(source, names, seen, from_text=True)


def _look_at_json(source: SourceLook, files: Sequence[Path]) -> None:
    with _text(files[0], "utf-8") as lines:
        records = [json.loads(line) for line in islice(lines, MOST_ROWS) if line.strip()]
        source.complete = not lines.readline()
    names = list(dict.fromkeys(key for record in records for key in record))
    measure(source, names, [[record.get(name) for name in names] for record in records])


def _look_at_arrow(source: SourceLook, files: Sequence[Path]) -> None:
    import pyarrow as pa
    from pyarrow import dataset

    data = dataset.dataset(str(files[0]), format=source.kind)
    table = data.head(MOST_ROWS)
    source.complete = data.count_rows() <= MOST_ROWS
    types = {field.name: _arrow_type(field.type, pa) for field in data.schema}
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    measure(source, list(types), list(rows))
    for column in source.columns:
        column.type = types[column.name]


_READERS: dict[str, Callable[[SourceLook, Sequence[Path]], None]] = {
    "csv": _look_at_csv,
    "json": _look_at_json,
    "parquet": _look_at_arrow,
    "orc": _look_at_arrow,
}


def _arrow_type(kind: Any, pa: Any) -> str:
    types = pa.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "bigint" if kind.bit_width > 32 else "int"  # noqa: PLR2004
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_floating(kind):
        return "double"
    if types.is_date(kind):
        return "date"
    return "timestamp" if types.is_timestamp(kind) else "string"


def _encoding(file: Path) -> str:
    with _bytes(file) as content:
        start = content.read(1 << 20)
    try:
        start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not just a character cut off at the end
            return "latin-1"
    return "utf-8"


def _bytes(file: Path) -> Any:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _text(file: Path, encoding: str) -> io.TextIOWrapper:
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(_bytes(file), encoding=codec, errors="replace", newline="")


def _separator(head: str) -> str:
    return max((",", ";", "\t", "|"), key=head.count)
