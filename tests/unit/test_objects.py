from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from crisp_spark.engine.objects import LocalObjects, open_objects
from crisp_spark.errors import StorageError


def test_second_put_changes_nothing(tmp_path):
    objects = LocalObjects(tmp_path)
    assert objects.put_if_absent("a/b.json", b"first")
    assert not objects.put_if_absent("a/b.json", b"second")
    assert objects.read("a/b.json") == b"first"
    assert [(item.key, item.bytes) for item in objects.stat("a")] == [("a/b.json", 5)]


def _put(root: Path, number: int, barrier) -> None:
    barrier.wait()
    won = LocalObjects(root).put_if_absent("race", f"writer {number} ".encode() * 10_000)
    os._exit(0 if won else 1)


def test_of_racing_writers_one_wins_and_its_content_is_whole(tmp_path):
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(6)
    writers = [fork.Process(target=_put, args=(tmp_path, n, barrier)) for n in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    winners = [n for n, writer in enumerate(writers) if writer.exitcode == 0]
    assert len(winners) == 1
    assert LocalObjects(tmp_path).read("race") == f"writer {winners[0]} ".encode() * 10_000
    assert [item.key for item in LocalObjects(tmp_path).stat("")] == ["race"]


def test_unfinished_files_are_not_listed(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".tmp-123").write_bytes(b"half")
    assert LocalObjects(tmp_path).stat("x") == []


def test_reading_what_is_not_there_says_so(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read nope below .*No such file"):
        LocalObjects(tmp_path).read("nope")


def test_locations(tmp_path):
    assert open_objects("out", base=tmp_path).root == str(tmp_path / "out")
    assert open_objects((tmp_path / "ü x").as_uri(), base=Path("/")).root == str(tmp_path / "ü x")
    with pytest.raises(StorageError, match="scheme 's3' is not supported"):
        open_objects("s3://bucket/x", base=tmp_path)
