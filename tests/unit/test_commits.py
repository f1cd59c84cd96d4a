from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crisp_spark.engine.commits import Commit, Commits, DataFile, TableCommit
from crisp_spark.engine.objects import LocalObjects
from crisp_spark.errors import StorageError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def commit(key: str, *, age_hours: int = 0, files: tuple[DataFile, ...] = ()) -> Commit:
    table = TableCommit(name="t", rows=0, spark_schema="{}", files=files)
    return Commit(
        step="clean",
        stage_key=key,
        run_id="r",
        created=NOW - timedelta(hours=age_hours),
        seconds=1.5,
        result={"rows": 3},
        tables={"t": table},
    )


@pytest.fixture
def objects(tmp_path):
    return LocalObjects(tmp_path)


@pytest.fixture
def commits(objects):
    return Commits(objects)


def test_publish_then_read_back(commits):
    published = commits.publish(commit("k1"))
    assert published == commit("k1")
    assert commits.current("clean") == commit("k1")
    assert commits.find("clean", "k1") == commit("k1")
    assert commits.find("clean", "k2") is None
    assert commits.current("merge") is None


def test_first_commit_of_the_same_work_wins(commits):
    first = commits.publish(commit("k1", age_hours=2))
    assert commits.publish(commit("k1")) == first


def test_pointing_back_is_a_new_pointer_and_repeating_it_is_none(commits, objects):
    first = commits.publish(commit("k1"))
    commits.publish(commit("k2"))
    commits.point_to(first)
    commits.point_to(first)
    assert commits.current("clean") == first
    assert [item.key for item in objects.stat("current")] == [
        "current/clean/000000001.json",
        "current/clean/000000002.json",
        "current/clean/000000003.json",
    ]


def test_more_than_nine_pointers_keep_their_order(commits):
    for number in range(12):
        commits.publish(commit(f"k{number}"))
    assert commits.current("clean").stage_key == "k11"


def test_a_changed_commit_is_refused(commits, objects):
    commits.publish(commit("k1"))
    path = objects.path("commits/clean/k1.json")
    path.write_text(path.read_text().replace('"rows":3', '"rows":4'))
    with pytest.raises(StorageError, match="checksum differs"):
        commits.current("clean")


def test_a_commit_of_another_shape_is_refused(commits, objects):
    objects.put_if_absent("commits/clean/k9.json", b'{"step": "clean"}')
    with pytest.raises(StorageError, match="not a commit this version can read"):
        commits.find("clean", "k9")


def test_all_is_oldest_first(commits):
    commits.publish(commit("a", age_hours=1))
    commits.publish(commit("b", age_hours=5))
    assert [found.stage_key for found in commits.all("clean")] == ["b", "a"]


def test_intact_sees_missing_and_short_files(commits, objects):
    objects.put_if_absent("data/t/k1/x/part", b"12345")
    good = commit("k1", files=(DataFile(key="data/t/k1/x/part", bytes=5, sha256=""),))
    short = commit("k1", files=(DataFile(key="data/t/k1/x/part", bytes=6, sha256=""),))
    gone = commit("k1", files=(DataFile(key="data/t/k1/x/other", bytes=5, sha256=""),))
    assert [commits.intact(found) for found in (good, short, gone)] == [True, False, False]


def test_journal_keeps_the_first_entry_of_a_key(commits):
    commits.record("sweep", "k", "trial 1", {"metric": 1})
    commits.record("sweep", "k", "trial 1", {"metric": 2})
    commits.record("sweep", "k", "Versuch ü/2", {"metric": 3})
    assert commits.journal("sweep", "k") == {"trial 1": {"metric": 1}, "Versuch ü/2": {"metric": 3}}
    assert commits.journal("sweep", "other") == {}
