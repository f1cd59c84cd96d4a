"""The whole flow on the small project: once undisturbed, then everything that may happen to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from crisp_spark.engine.tables import read_table
from crisp_spark.flow import FLOW, STEP_NAMES
from crisp_spark.run.challenger import compare_logged, read_comparisons
from crisp_spark.run.deployed import deployed_bundle
from crisp_spark.run.job import run_job
from crisp_spark.run.runner import run_flow
from crisp_spark.run.status import report_file, result_of, status_of
from crisp_spark.run.workspace import Workspace
from crisp_spark.serving import load_bundle
from crisp_spark.serving.endpoint.holding import FixedModel
from crisp_spark.serving.endpoint.loading import BundleModel
from crisp_spark.serving.endpoint.service import Endpoint, Request
from crisp_spark.serving.endpoint.shadow import Shadow
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.load import load_project
from crisp_spark.spec.signals import watched_metrics
from tests import tiny_project
from tests.embedded_metrics import extracted

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden.json")


def run(project_file: Path, steps=FLOW, **options):
    project = load_project(project_file, overrides=options.pop("overrides", ()))
    return project, run_flow(project, steps, **options)


def states(summary) -> dict[str, str]:
    return {event.step: event.state for event in summary.events}


def facts(project) -> dict:
    """What must not depend on layout, on the Spark line, or on having been killed."""
    workspace = Workspace(project)
    commits = {name: c for name in STEP_NAMES if (c := workspace.commits.current(name))}
    rows = {name: table.rows for c in commits.values() for name, table in c.tables.items()}
    evaluation = commits["evaluate"].result
    metrics = {
        f"{split}.{name}": metric["value"]
        for split, judged in evaluation["splits"].items()
        for name, metric in judged["metrics"].items()
    }
    return {
        "rows": dict(sorted(rows.items())),
        "winner": commits["sweep"].result["winner"]["trial"],
        "metrics": dict(sorted(metrics.items())),
        "threshold": evaluation["threshold"]["value"],
        "decision": commits["decide"].result["decision"],
    }


def assert_same(found: dict, expected: dict) -> None:
    assert found["rows"] == expected["rows"]
    assert found["winner"] == expected["winner"]
    assert found["decision"] == expected["decision"]
    assert found["threshold"] == pytest.approx(expected["threshold"], abs=1e-6)
    assert found["metrics"] == pytest.approx(expected["metrics"], abs=1e-6)


@pytest.fixture(scope="module")
def first(spark_session, tmp_path_factory):
    """The undisturbed run."""
    folder = tmp_path_factory.mktemp("tiny")
    return run(tiny_project.write(folder), run_id="first")


def test_every_step_runs_and_publishes(first):
    project, summary = first
    assert states(summary) == dict.fromkeys(STEP_NAMES, "done")
    assert {status.state for status in status_of(project)} == {"current"}


def test_rows_balance_at_every_step(first):
    rows = facts(first[0])["rows"]
    assert (rows["raw.visits"], rows["rejects.visits"]) == (tiny_project.ROWS + 2, 2)
    assert rows["checked.visits"] + rows["quarantine.visits"] == rows["raw.visits"]
    assert rows["quarantine.visits"] == 2
    assert rows["clean.visits"] + rows["dropped.visits"] == rows["checked.visits"]
    assert rows["merged"] == rows["clean.visits"]
    assert rows["derived"] == rows["merged"]
    assert rows["train"] + rows["test"] + rows["later"] == rows["derived"]
    assert rows["predictions"] == rows["test"] + rows["later"]
    assert rows["validation"] == rows["train"]


def test_facts_equal_those_of_every_supported_spark(first):
    """One golden file for both Spark lines: rows, winner, metrics and decision."""
    found = facts(first[0])
    if os.environ.get("CRISP_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert_same(found, json.loads(GOLDEN.read_text()))


def test_report_is_whole_and_self_contained(first):
    page = report_file(first[0]).read_text(encoding="utf-8")
    assert len(page) < 5_000_000
    assert "größe (m²)" in page
    for step in FLOW[:-1]:
        assert f'id="{step.name}"' in page
    for outside in ("http://", "https://", "<script", "@import", "url("):
        assert outside not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_mlflow_holds_the_run_its_steps_and_its_trials(first):
    import mlflow

    project, _ = first
    client = mlflow.MlflowClient(f"sqlite:///{Workspace(project).folder}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    level = {r.info.run_id: r.data.tags["crisp.level"] for r in runs}
    parent = {r.info.run_id: r.data.tags.get("mlflow.parentRunId") for r in runs}
    steps = {r.data.tags["crisp.step"]: r for r in runs if level[r.info.run_id] == "step"}
    assert set(steps) == set(STEP_NAMES)
    assert {level[parent[r.info.run_id]] for r in steps.values()} == {"flow"}
    trials = [r for r in runs if level[r.info.run_id] == "trial"]
    assert len(trials) == 3
    assert {parent[r.info.run_id] for r in trials} == {steps["sweep"].info.run_id}
    assert all("roc_auc" in " ".join(r.data.metrics) for r in trials)
    assert {r.info.status for r in runs} == {"FINISHED"}


def test_the_bundle_is_an_artifact_of_the_registered_version(first, tmp_path):
    import mlflow

    project, _ = first
    uri = f"sqlite:///{Workspace(project).folder}/mlflow.db"
    client = mlflow.MlflowClient(uri, uri)
    deployed = result_of(project, "deploy")
    version = client.get_model_version_by_alias("tiny", "champion")
    artifact = f"runs:/{version.run_id}/portable/model.crisp.zip"
    assert deployed.portable.artifact == artifact
    file = client.download_artifacts(version.run_id, "portable/model.crisp.zip", str(tmp_path))
    content = Path(file).read_bytes()
    assert version.tags["crisp.portable.sha256"] == hashlib.sha256(content).hexdigest()
    assert version.tags["crisp.portable.bytes"] == str(len(content))
    assert content == deployed_bundle(project)[0]
    assert (load_bundle(content).name, load_bundle(content).version) == (
        "tiny",
        str(version.version),
    )


def test_the_job_that_monitors_tells_its_signals(first, capfd):
    project, _ = first
    assert run_job("monitor", ["--project", str(project.path)]) == 0
    line, summary = capfd.readouterr().out.splitlines()
    assert json.loads(summary)["steps"]["monitor"]["state"] == "skipped"
    found = extracted(line)
    assert {where for _, _, where in found} == {frozenset({("Project", "tiny"), ("Model", "tiny")})}
    result = result_of(project, "monitor")
    limits = {m.name: (m.signal, x) for m, x in watched_metrics(project.spec.deployment.monitoring)}
    above = {
        limits[name][0]
        for (_, name, _), value in found.items()
        if name in limits and name != "ModelAgeDays" and value > limits[name][1]
    }
    assert above == {alarm.signal for alarm in result.alarms if alarm.signal != "stale"}


class NeverAlerts(BundleModel):
    """The champion's bundle with the decisions of a model that has learned nothing."""

    def answers(self, columns, rows):
        return [replace(one, decision=False) for one in super().answers(columns, rows)]


def test_champion_and_challenger_are_held_against_outcomes(first, spark_session, tmp_path):
    project, _ = first
    workspace = Workspace(project)
    bundle = load_bundle(deployed_bundle(project)[0])
    log: list[str] = []
    shadow = Shadow(lambda: FixedModel(NeverAlerts(bundle)), log=log.append)
    endpoint = Endpoint(FixedModel(BundleModel(bundle)), log=log.append, shadow=shadow)
    split = workspace.commits.current("split")
    names = [one.name for one in endpoint._holder.current().fields]
    for table in ("test", "later"):
        frame = read_table(workspace.objects, spark_session, split.tables[table])
        records = [json.loads(row) for row in frame.select(*map(quoted, names)).toJSON().collect()]
        body = {"dataframe_records": [dict.fromkeys(names) | record for record in records]}
        request = Request("POST", "/invocations", json.dumps(body).encode())
        assert endpoint.handle(request).status == 200
    shadow.wait()
    file = tmp_path / "endpoint.log"
    file.write_text("\n".join(log))
    (found,) = compare_logged(project, read_comparisons([file]))

    predictions = workspace.commits.current("evaluate").tables["predictions"]
    judged = read_table(workspace.objects, spark_session, predictions).select(
        F.expr("_crisp_label = 1") == F.col("_crisp_decision"),
        F.expr("_crisp_label = 0"),
        F.col("_crisp_decision"),
    ).where("_crisp_label IS NOT NULL").collect()  # fmt: skip
    assert found.outcomes.rows == len(judged) == found.keyed_rows > 100
    assert found.outcomes.champion == pytest.approx(sum(row[0] for row in judged) / len(judged))
    assert found.outcomes.challenger == pytest.approx(sum(row[1] for row in judged) / len(judged))
    assert found.difference.class_changes == sum(row[2] for row in judged) > 0
    assert found.outcomes.p_value < 0.01


def test_the_deployed_model_is_exported_as_onnx_without_spark(first, tmp_path):
    pytest.importorskip("onnxruntime")
    project, _ = first
    call = ["export", "onnx", "-o", str(tmp_path / "m.onnx"), "--project", str(project.path)]
    code = (
        "import sys; from crisp_spark.cli.main import main; "
        f"assert main({[*call, '--json']!r}) == 0; "
        "assert 'pyspark' not in sys.modules and 'mlflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    deployed = result_of(project, "deploy")
    held = Workspace(project).commits.current("split").tables["test"]
    assert told["model"] == deployed.model_label
    assert told["outputs"] == ["prediction", "score", "decision"]
    assert told["parity"]["rows"] == min(held.rows, 1000) > 100
    assert told["parity"]["max_abs_difference"] <= 1e-9


def test_again_skips_everything_and_starts_no_spark(first):
    code = (
        "import sys; from crisp_spark.run.runner import run_flow; "
        "from crisp_spark.spec.load import load_project; "
        f"s = run_flow(load_project({str(first[0].path)!r})); "
        "assert {e.state for e in s.events} == {'skipped'}, s; "
        "assert 'pyspark' not in sys.modules and 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_changed_derived_column_runs_only_what_depends_on_it(first):
    project, _ = first
    text = project.path.read_text()
    try:
        project.path.write_text(
            text.replace('"pages / nullif(rating, 0D)"', '"pages / nullif(rating, 0D) + 1"')
        )
        _, summary = run(project.path)
    finally:
        project.path.write_text(text)
    upstream = STEP_NAMES[: STEP_NAMES.index("derive")]
    assert {step for step, state in states(summary).items() if state == "skipped"} == set(upstream)


@pytest.mark.slow
def test_an_added_rule_leaves_everything_behind_quality_alone(first):
    """The kept rows come out equal, so what reads them is not run again."""
    project, _ = first
    text = project.path.read_text()
    try:
        project.path.write_text(
            text.replace("pages: {type: int}", "pages: {type: int, rules: [not_null]}")
        )
        _, summary = run(project.path)
    finally:
        project.path.write_text(text)
    done = {step for step, state in states(summary).items() if state == "done"}
    assert "quality" in done
    assert not done & {"ingest", "clean", "merge", "derive", "split", "sweep", "evaluate"}


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [2, 16])
def test_layout_does_not_change_the_results(first, tmp_path, spark_session, partitions):
    previous = spark_session.conf.get("spark.sql.shuffle.partitions")
    split = spark_session.conf.get("spark.sql.files.maxPartitionBytes")
    try:
        spark_session.conf.set("spark.sql.shuffle.partitions", str(partitions))
        spark_session.conf.set(
            "spark.sql.files.maxPartitionBytes", "4kb" if partitions > 2 else "1g"
        )
        spark_session.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
        project, _ = run(tiny_project.write(tmp_path), FLOW[: STEP_NAMES.index("decide") + 1])
        assert_same(facts(project), facts(first[0]))
    finally:
        spark_session.conf.set("spark.sql.shuffle.partitions", previous)
        spark_session.conf.set("spark.sql.files.maxPartitionBytes", split)
        spark_session.conf.unset("spark.sql.adaptive.coalescePartitions.enabled")


KILLED = """
import os, signal, sys, threading
from crisp_spark.run.runner import run_flow
from crisp_spark.spec.load import load_project

def watch(event):
    if event.state == "started" and event.step == {step!r}:
        threading.Timer({delay}, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

run_flow(load_project({project!r}), on_event=watch)
"""


@pytest.mark.slow
def test_killed_in_every_heavy_step_it_resumes_to_the_same_results(first, tmp_path):
    project_file = tiny_project.write(tmp_path)
    for step, delay in (
        ("ingest", 4.0),
        ("clean", 0.7),
        ("split", 0.5),
        ("sweep", 4.0),
        ("evaluate", 2.0),
    ):
        code = KILLED.format(step=step, delay=delay, project=str(project_file))
        killed = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, cwd=ROOT
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    project, summary = run(project_file)
    assert "skipped" in states(summary).values()
    assert_same(facts(project), facts(first[0]))
    assert result_of(project, "sweep").winner.trial == result_of(first[0], "sweep").winner.trial
