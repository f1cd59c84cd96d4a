from __future__ import annotations

import gzip

import pytest

from crisp_spark.errors import DataError

ROWS = b"a,b\n" + b"1,x\n" * 9999
FILES = {
    "cut.csv.gz": gzip.compress(ROWS)[:-20],
    "fake.csv.bz2": b"a,b\n1,x\n",
    "fake.csv.gz": b"a,b\n1,x\n",
    "void.csv.gz": gzip.compress(b""),
    "empty.csv": b"",
    "blank.csv": b"\n  \n\n",
    "endless.csv": b"x" * 300_000,
    "header.csv": b"a,b\n",
    "twice.csv": b"a,A\n1,2\n",
    "other.csv": b"c,d\n1,2\n3,4\n",
    "good.csv.gz": gzip.compress(b"a,b\n1,x\n2,y\n"),
    "good.csv": b"a,b\n3,z\n",
}
COLUMNS = {"a": "int", "b": "string"}
FAULTS = {
    "cut.csv.gz": "cut short",
    "fake.csv.bz2": "not packed as its name says",
    "fake.csv.gz": "not packed as its name says",
    "void.csv.gz": "the packed file is empty (0 bytes)",
    "empty.csv": "0 bytes",
    "blank.csv": "only blank lines",
    "endless.csv": "no line ends",
}


def test_bad_files_are_refused_by_name_all_at_once(take):
    with pytest.raises(DataError) as error:
        take(FILES, columns=COLUMNS)
    for name, fault in FAULTS.items():
        assert any(name in line and fault in line for line in str(error.value).splitlines()), name
    assert "good" not in str(error.value)
    assert "on_bad_file: reject" in str(error.value)


def test_bad_files_are_left_out_as_a_whole_where_asked(take):
    got = take(FILES, columns=COLUMNS, on_bad_file="reject", infer=False)
    assert got.values("a", "b") == [(1, "x"), (2, "y"), (3, "z")]
    whole = {row["_crisp_file"]: row["reasons"][0] for row in got.rejected if row["text"] is None}
    assert set(whole) == set(FAULTS)
    assert all(FAULTS[name] in reason for name, reason in whole.items())
    assert got.receipt.files_left_out == len(FAULTS)
    assert {name for kind, name, _ in got.problems if kind == "damaged_file"} == {
        "cut.csv.gz",
        "fake.csv.bz2",
        "fake.csv.gz",
        "void.csv.gz",
        "blank.csv",
        "endless.csv",
    }
    assert ("empty_file", "empty.csv", "") in got.problems
    assert ("no_rows", "header.csv", "") in got.problems


def test_header_that_cannot_be_used_rejects_every_row_of_its_file(take):
    files = {name: FILES[name] for name in ("twice.csv", "other.csv", "good.csv")}
    got = take(files, columns=COLUMNS, on_bad_file="reject", infer=False)
    assert got.values("a") == [(3,)]
    assert sorted((row["_crisp_file"], *row["reasons"]) for row in got.rejected) == [
        ("other.csv", "the header names none of the columns"),
        ("other.csv", "the header names none of the columns"),
        ("twice.csv", "the header names column 'A' twice"),
    ]
    assert (got.receipt.rows_in, got.receipt.kept, got.receipt.rejected) == (4, 1, 3)


def test_source_of_bad_files_only_gives_an_empty_table(take):
    got = take({"empty.csv": b""}, columns=COLUMNS, on_bad_file="reject")
    assert (got.kept, len(got.rejected)) == ([], 1)
    assert (got.receipt.rows_in, got.receipt.reject_fraction) == (0, 0.0)
    assert got.found.kept.columns == ["a", "b", "_crisp_file", "_crisp_row"]


def test_damaged_columnar_files_are_named(spark, take, tmp_path):
    folder = tmp_path / "in"
    spark.sql("SELECT 1 AS a").coalesce(1).write.parquet(str(folder))
    good = next(folder.glob("*.parquet"))
    (folder / "cut.parquet").write_bytes(good.read_bytes()[:-30])
    (folder / "empty.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)2 of 3 files.*cut\.parquet: not a readable parquet"):
        take(kind="parquet")
    got = take(kind="parquet", on_bad_file="reject")
    assert got.values("a") == [(1,)]
    assert {row["_crisp_file"] for row in got.rejected} == {"cut.parquet", "empty.parquet"}
