from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from crisp_spark.cli.examples.flights_dirty import write
from crisp_spark.errors import UsageError


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    return write(tmp_path_factory.mktemp("dirty"), months=[1, 2, 3])


@pytest.fixture
def ledger(dirty):
    return json.loads(dirty.read_text(encoding="utf-8"))


def test_every_kind_of_fault_is_injected(ledger):
    kinds = Counter(fault["kind"] for fault in ledger["faults"])
    files = {"renamed_column", "truncated_gz", "header_only"}
    assert {kind: count for kind, count in kinds.items() if kind in files} == dict.fromkeys(
        files, 1
    )
    assert set(kinds.values()) == {1, 6}
    assert len(kinds) == 15


def test_ledger_names_the_very_lines(dirty, ledger):
    for fault in ledger["faults"]:
        if not fault["line"]:
            continue
        lines = (dirty.parent / "flights" / fault["file"]).read_bytes().splitlines()
        line = lines[fault["line"] - 1]
        if fault["column"]:
            header = lines[0].decode().replace("tail_number", "tailnum").split(",")
            cell = line.split(b",")[header.index(fault["column"])]
            assert cell.decode(errors="replace") == fault["value"]
        elif fault["kind"] == "duplicate":
            assert lines.count(line) == 2
        else:
            assert line.decode() == fault["value"]


def test_no_line_is_spoilt_twice(ledger):
    places = [(fault["file"], fault["line"]) for fault in ledger["faults"] if fault["line"]]
    assert len(places) == len(set(places))


def test_faults_of_files_are_as_the_ledger_says(dirty, ledger):
    found = {fault["kind"]: fault["file"] for fault in ledger["faults"] if not fault["line"]}
    folder = dirty.parent / "flights"
    with pytest.raises(EOFError), gzip.open(folder / found["truncated_gz"]) as cut:
        cut.read()
    assert len((folder / found["header_only"]).read_bytes().splitlines()) == 1
    assert b"tail_number" in (folder / found["renamed_column"]).read_bytes().splitlines()[0]


def test_same_seed_gives_the_same_files_and_another_seed_others(dirty, tmp_path):
    again = write(tmp_path / "again", months=[1, 2, 3])
    other = write(tmp_path / "other", months=[1, 2, 3], seed=8)
    assert again.read_bytes() == dirty.read_bytes()
    assert other.read_bytes() != dirty.read_bytes()
    for file in (dirty.parent / "flights").iterdir():
        assert (again.parent / "flights" / file.name).read_bytes() == file.read_bytes()


def test_project_file_leaves_the_bad_file_out(dirty):
    project = (dirty.parent / "crisp.yml").read_text(encoding="utf-8")
    assert "on_bad_file: reject" in project
    assert "/flights/*.csv" not in project


def test_one_month_is_not_enough(tmp_path):
    with pytest.raises(UsageError, match="two months"):
        write(tmp_path, months=[1])
