"""Trials on their way to MLflow: a real store, a real server that goes away."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import mlflow
import pytest

from crisp_spark.engine.objects import LocalObjects
from crisp_spark.errors import TrackingError
from crisp_spark.tracking import trial_writer
from crisp_spark.tracking.mlflow_tracker import MlflowTracker
from crisp_spark.tracking.tracker import Registered, Trial


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


def tracker_of(uri, folder, run_id="r1"):
    artifacts = (folder / "artifacts").as_uri()
    return MlflowTracker(
        uri,
        f"größe {folder.name}",
        run_id=run_id,
        artifacts=artifacts,
        tags={},
        spool=LocalObjects(folder),
    )


def trial(at, **fields):
    metrics = {"auc": at / 100, "undefined": float("nan")}
    params = {"depth": at, "hidden": [1, 2]}
    return Trial(f"t{at:03d}", params, metrics, ended_ms=1000 + at, main="auc", **fields)


def test_every_trial_is_in_the_table_and_the_best_have_runs(store, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_writer, "MOST_RUNS", 3)
    tracker = tracker_of(store, tmp_path)
    with tracker.step("sweep", tags={}) as step:
        for at in range(8):
            step.trial(trial(at, failed=at == 1, tags={"crisp.error": "boom"} if at == 1 else {}))
            step.live({"trials_done": at + 1.0}, at + 1)
        step.trial(trial(7), own_run=True)
        step.trial(trial(0), own_run=True)
    tracker.finish(failed=False)
    client = mlflow.MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(f"größe {tmp_path.name}").experiment_id
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{step.run_id}'")
    assert sorted(run.info.run_name for run in children) == ["t000", "t001", "t002", "t007"]
    failed = next(run for run in children if run.info.run_name == "t001")
    assert (failed.info.status, failed.data.tags["crisp.error"]) == ("FAILED", "boom")
    assert failed.data.params == {"depth": "1", "hidden": "[1, 2]"}
    history = client.get_metric_history(step.run_id, "trial.auc")
    assert [(m.step, m.value) for m in history] == [(at, at / 100) for at in range(8)]
    done = client.get_metric_history(step.run_id, "trials_done")
    assert [m.value for m in done] == [at + 1.0 for at in range(8)]
    file = client.download_artifacts(step.run_id, "trials.json", str(tmp_path))
    table = json.loads(Path(file).read_text(encoding="utf-8"))
    assert table["columns"][:2] == ["trial", "depth"]
    assert [row[0] for row in table["data"]] == [f"t{at:03d}" for at in range(8)]
    assert client.get_run(step.run_id).info.status == "FINISHED"


def registered(client, run_id) -> Registered:
    """A version in the registry, as a step has left it."""
    client.create_registered_model("late")
    version = client.create_model_version("late", f"runs:/{run_id}/model", run_id=run_id)
    return Registered("late", str(version.version), "models:/late/1", "champion", run_id)


def test_a_file_is_kept_with_the_run_and_its_checksum_with_the_version(tmp_path):
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    with tracker_of(uri, tmp_path).step("deploy", tags={}) as step:
        model = registered(client, step.run_id)
    content = b"PK" + bytes(range(256))
    digest = hashlib.sha256(content).hexdigest()
    # An attempt that died left a version behind: the next one, a run of its own, goes on with it.
    with tracker_of(uri, tmp_path, "r2").step("deploy", tags={}) as again:
        for _ in range(2):
            place = again.attach(model, "model.crisp.zip", content, tags={"sha256": digest})
    assert place == f"runs:/{model.run_id}/portable/model.crisp.zip"
    mlflow.set_tracking_uri(uri)
    file = mlflow.artifacts.download_artifacts(place, dst_path=str(tmp_path / "back"))
    mlflow.set_tracking_uri(None)
    assert Path(file).read_bytes() == content
    version = client.get_model_version("late", "1")
    assert version.tags == {"sha256": digest}
    assert version.run_id == model.run_id != again.run_id
    assert [one.path for one in client.list_artifacts(model.run_id)] == ["portable"]


def test_a_file_that_cannot_be_kept_is_an_error_and_leaves_no_checksum(tmp_path):
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    (tmp_path / "artifacts").write_text("a file where a folder should be")
    with tracker_of(uri, tmp_path).step("deploy", tags={}) as step:
        model = registered(client, step.run_id)
        with pytest.raises(TrackingError, match=r"cannot keep model\.crisp\.zip with late 1"):
            step.attach(model, "model.crisp.zip", b"content", tags={"sha256": "x"})
    assert client.get_model_version("late", "1").tags == {}


def test_a_store_that_goes_away_loses_nothing(store, tmp_path, caplog, monkeypatch):
    tracker = tracker_of(store, tmp_path)
    with caplog.at_level(logging.WARNING), tracker.step("sweep", tags={"a": "b"}) as step:
        step.trial(trial(0))

        def gone(*_args, **_fields):
            raise mlflow.exceptions.MlflowException("connection refused")

        for name in ("log_batch", "create_run", "set_terminated", "log_text", "log_table"):
            monkeypatch.setattr(tracker._client, name, gone)
        step.trial(trial(1))
        step.live({"trials_done": 2.0}, 2)
        step.params({"winner": "t001"})
        step.metrics({"auc": 0.5})
        step.text("sweep.json", "{}")
    tracker.finish(failed=False)
    objects = LocalObjects(tmp_path)
    (record,) = [o.key for o in objects.stat("tracking") if o.key.endswith("step.json")]
    kept = json.loads(objects.read(record))
    assert [one["name"] for one in kept["trials"]] == ["t000", "t001"]
    assert kept["status"] == "FINISHED"
    assert kept["params"] == {"winner": "t001"}
    assert kept["metrics"] == {"auc": 0.5}
    assert kept["tags"]["a"] == "b"
    assert sum("records of sweep are kept in the workspace" in m for m in caplog.messages) == 1


def test_what_broke_the_step_is_not_hidden_by_a_store_that_went_away(store, tmp_path, monkeypatch):
    tracker = tracker_of(store, tmp_path)

    def gone(*_args, **_fields):
        raise mlflow.exceptions.MlflowException("connection refused")

    def broken():
        with tracker.step("clean", tags={}):
            for name in ("log_batch", "set_terminated"):
                monkeypatch.setattr(tracker._client, name, gone)
            raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        broken()


def test_a_server_that_is_not_there_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match="cannot open experiment"):
        tracker_of("http://127.0.0.1:9", tmp_path)
