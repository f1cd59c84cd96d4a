from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.tracking.objects_tracker import ObjectsTracker
from crisp_spark.tracking.tracker import Registered, Trial


class FakeModel:
    saved: list[str] = []

    def write(self):
        return SimpleNamespace(save=self.saved.append)


def test_records_of_a_step_are_kept_with_the_workspace(tmp_path):
    objects = LocalObjects(tmp_path)
    tracker = ObjectsTracker(objects, "r1", tags={"crisp.project": "größe"})
    with tracker.step("sweep", tags={"crisp.stage_key": "k"}) as step:
        step.params({"seed": 7})
        step.metrics({"auc": 0.8, "nothing": float("nan")})
        step.tags({"winner": "t1"})
        step.text("sweep.json", "{}")
        step.trial(Trial("t1", {"depth": 3}, {"auc": 0.8}))
    tracker.finish(failed=False)
    kept = json.loads(objects.read(f"{step.run_id}/step.json"))
    assert kept["status"] == "FINISHED"
    assert kept["params"] == {"seed": 7}
    assert kept["metrics"] == {"auc": 0.8}
    assert kept["tags"] == {"crisp.project": "größe", "crisp.stage_key": "k", "winner": "t1"}
    assert [trial["name"] for trial in kept["trials"]] == ["t1"]
    assert objects.read(f"{step.run_id}/artifacts/sweep.json") == b"{}"


def test_a_step_that_breaks_is_recorded_as_failed(tmp_path):
    objects = LocalObjects(tmp_path)
    tracker = ObjectsTracker(objects, "r1", tags={})
    with pytest.raises(ValueError, match="broken"), tracker.step("clean", tags={}) as step:
        raise ValueError("broken")
    kept = json.loads(objects.read(f"{step.run_id}/step.json"))
    assert (kept["status"], kept["error"]) == ("FAILED", "broken")


def test_versions_of_a_model_count_up(tmp_path):
    objects = LocalObjects(tmp_path)
    example = SimpleNamespace(columns=["a", "b"])
    with ObjectsTracker(objects, "r1", tags={}).step("deploy", tags={}) as step:
        made = [
            step.register(
                name, FakeModel(), example=example, alias="live", tags={}, description="d"
            )
            for name in ("churn", "churn", "other")
        ]
    assert [(one.name, one.version) for one in made] == [
        ("churn", "1"),
        ("churn", "2"),
        ("other", "1"),
    ]
    assert FakeModel.saved == [one.uri for one in made]
    kept = json.loads(objects.read("registry/churn/000002.json"))
    assert (kept["uri"], kept["alias"], kept["columns"]) == (made[1].uri, "live", ["a", "b"])


def test_a_file_is_kept_beside_a_version_with_its_tags(tmp_path):
    objects = LocalObjects(tmp_path)
    model = Registered("churn", "2", "uri", "live", "r1")
    with ObjectsTracker(objects, "r1", tags={}).step("deploy", tags={}) as step:
        places = {step.attach(model, "m.zip", b"content", tags={"sha256": "x"}) for _ in range(2)}
        places.add(step.attach(model, "m.zip", b"other", tags={"sha256": "y"}))
    keys = [item.key for item in objects.stat("registered/churn")]
    assert sorted(key.rsplit("/", 1)[1] for key in keys) == [
        "m.zip",
        "m.zip",
        "tags.json",
        "tags.json",
    ]
    assert {objects.uri(key) for key in keys if key.endswith(".zip")} == places
    assert {objects.read(key) for key in keys if key.endswith(".zip")} == {b"content", b"other"}
    found = [json.loads(objects.read(key)) for key in keys if key.endswith(".json")]
    assert sorted(one["sha256"] for one in found) == ["x", "y"]
