from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.errors import ModelError, StorageError, UsageError
from crisp_spark.run.models import Models
from crisp_spark.serving.endpoint.aliases import FolderStore, fetch_bundle, newest_move


@pytest.fixture
def models(tmp_path) -> Models:
    return Models(LocalObjects(tmp_path), "late")


def publish(models, version, **more):
    return models.publish(
        f"bundle {version}".encode(), version, "champion", **({"by": "Ada", "reason": "new"} | more)
    )


def versions(models):
    return [(move.version, move.kind) for move in models.history("champion")]


def test_what_is_published_is_what_an_endpoint_finds(models, tmp_path):
    publish(models, "1")
    publish(models, "2", reason="more data")
    _, move = newest_move(FolderStore(tmp_path), "champion")
    assert (move.version, move.by, move.reason, move.number) == ("2", "Ada", "more data", 2)
    folder = fetch_bundle(FolderStore(tmp_path), move, tmp_path / "cache")
    assert [file.read_bytes() for file in folder.iterdir()] == [b"bundle 2"]


def test_publishing_the_same_again_moves_nothing(models):
    assert publish(models, "1") == publish(models, "1")
    assert versions(models) == [("1", "deploy")]


def test_a_rollback_is_one_more_move_and_a_second_one_goes_on(models):
    for version in "123":
        publish(models, version)
    back = models.roll_back("champion", to=None, by="Bo", reason="complaints")
    assert (back.version, back.by, back.reason, back.kind) == ("2", "Bo", "complaints", "rollback")
    assert models.roll_back("champion", to=None, by="Bo", reason="still").version == "1"
    assert models.roll_back("champion", to="3", by="Bo", reason="mended").version == "3"
    assert versions(models)[3:] == [("2", "rollback"), ("1", "rollback"), ("3", "rollback")]


@pytest.mark.parametrize(
    ("to", "reason", "words"),
    [
        (None, "x", "no earlier version"),
        ("7", "x", "no version 7"),
        ("1", "x", "already"),
        (None, " ", "a reason is needed"),
    ],
)
def test_a_rollback_that_cannot_be_is_refused(models, to, reason, words):
    publish(models, "1")
    with pytest.raises(UsageError, match=words):
        models.roll_back("champion", to=to, by="Bo", reason=reason)
    assert versions(models) == [("1", "deploy")]


def test_nothing_can_be_rolled_back_before_anything_was_published(models):
    with pytest.raises(UsageError, match="points at nothing"):
        models.roll_back("champion", to=None, by="Bo", reason="x")


def test_no_alias_is_moved_to_a_damaged_bundle(models, tmp_path):
    publish(models, "1")
    publish(models, "2")
    first = models.history("champion")[0]
    damaged = Path(tmp_path, "bundles", first.digest, "model.crisp.zip")
    damaged.write_bytes(b"torn")
    with pytest.raises(ModelError, match="damaged"):
        models.roll_back("champion", to=None, by="Bo", reason="x")
    with pytest.raises(StorageError, match="damaged"):
        publish(models, "1")


def test_of_many_that_move_at_once_each_gets_its_number(models):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: publish(models, str(version)), range(4)))
    moves = models.history("champion")
    assert [move.number for move in moves] == [1, 2, 3, 4]
    assert {move.version for move in moves} == {"0", "1", "2", "3"}
