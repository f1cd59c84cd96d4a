"""``crisp submit`` on the loop-back EMR, with a spark-submit that only pretends."""

from __future__ import annotations

import dataclasses
import json
import stat

import pytest
import yaml

from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.objects import S3Objects
from crisp_spark.cli.main import main
from emr.loopback import SparkHere
from tests import tiny_project
from tests.aws.loopback_fixtures import BUCKET, QUICK, request, serving
from tests.aws.test_remote_cli import TARGETS
from tests.aws_fixtures import point_at

PRETENDER = """#!/bin/bash
steps=${@: -1}
echo "$steps of $*"
[ -e "$0.fails" ] && [[ "$steps" == $(cat "$0.fails")* ]] && exit 65
exit 0
"""
QUICK_WORDS = ("--package", "none", "--poll", "0.05")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("spark")
    script = home / "bin" / "spark-submit"
    script.parent.mkdir()
    script.write_text(PRETENDER)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return home


@pytest.fixture(scope="module")
def server(home):
    with serving(dataclasses.replace(QUICK, spark=SparkHere(home=home))) as started:
        yield started


@pytest.fixture
def run(server, home, monkeypatch, capsys, tmp_path):
    point_at(monkeypatch, server.endpoint)
    server.end_clusters()
    places = {
        "visits": {"path": f"s3://{BUCKET}/data/visits/*.csv"},
        "shops": {"path": f"s3://{BUCKET}/data/shops.csv"},
    }
    prod = {**TARGETS["prod"], "overrides": {"project": {"workspace": f"s3://{BUCKET}/ws"}}}
    prod["overrides"]["data"] = {"sources": places}
    targets = {**TARGETS, "prod": prod}
    spec = yaml.safe_dump({"targets": targets}, sort_keys=False)
    project = tiny_project.write(tmp_path / "project", spec=tiny_project.SPEC + spec)

    def run(*words: str, target: str = "prod") -> tuple[int, str, str]:
        code = main(["submit", *words, "-p", str(project), "--target", target])
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    server.end_clusters()
    (home / "bin" / "spark-submit.fails").unlink(missing_ok=True)
    S3Objects(f"s3://{BUCKET}/ws").delete_tree("")


def test_the_whole_flow_is_submitted_by_stages_and_only_once(run, server):
    code, out, err = run(*QUICK_WORDS, "--json")
    told = json.loads(out)
    assert code == 0, err
    assert [step["stage"] for step in told["steps"]] == ["prepare", "sweep", "decide", "deploy"]
    cluster = server.clusters[told["place"]]
    words = cluster.steps[0].args
    assert words[0] == "spark-submit"
    assert words[-6:-1] == [
        *("--project", f"s3://{BUCKET}/crisp/projects/tiny/{told['run_id']}/crisp.json"),
        *("--run-id", told["run_id"], "--steps"),
    ]
    entry = S3Objects(f"s3://{BUCKET}/crisp")
    job = next(word for word in words if word.endswith("/run.py"))
    assert b"run_job(None)" in entry.read(job.removeprefix(f"s3://{BUCKET}/crisp/"))
    assert cluster.tags["crisp:run-id"] == told["run_id"]
    # the same work again is the same run, which is done
    code, out, _ = run(*QUICK_WORDS, "--json")
    assert (code, json.loads(out)["run_id"]) == (0, told["run_id"])
    assert len(server.clusters) == 1
    code, out, _ = run(*QUICK_WORDS, "--json", "--again", "--to", "clean")
    assert json.loads(out)["run_id"] != told["run_id"]
    assert [step["stage"] for step in json.loads(out)["steps"]] == ["prepare"]


def test_a_failed_run_is_told_and_the_next_submit_is_a_new_run(run, server, home):
    (home / "bin" / "spark-submit.fails").write_text("sweep")
    code, _, err = run(*QUICK_WORDS)
    assert code == 65
    assert "failed in sweep (data)" in err
    assert "sweep | sweep of" in err
    (home / "bin" / "spark-submit.fails").unlink()
    code, out, _ = run(*QUICK_WORDS)
    assert code == 0
    assert "COMPLETED" in out
    assert len(server.clusters) == 2


def test_a_detached_submit_says_where_the_run_is(run, server):
    code, out, _ = run(*QUICK_WORDS, "--detach", "--run-id", "nightly-1")
    (cluster_id,) = server.clusters
    assert (code, out.strip()) == (0, f"run       nightly-1 on {cluster_id}")
    code, _, err = run(*QUICK_WORDS, "--run-id", "nightly-1")
    assert code == 0
    assert "was submitted at" in err
    code, _, err = run(*QUICK_WORDS, "--run-id", "nightly-1", "--to", "merge")
    assert (code, "with another project, code or steps" in err) == (64, True)


def test_an_existing_cluster_is_used_and_kept(run, server):
    emr = server.client("emr")
    cluster_id = emr.run_job_flow(**request(keep=True))["JobFlowId"]
    code, out, err = run(*QUICK_WORDS, "--cluster", cluster_id, "--json")
    assert code == 0, err
    assert json.loads(out)["place"] == cluster_id
    (step,) = server.clusters[cluster_id].steps
    assert step.args[-1].startswith("charter,ingest")
    assert step.args[-1].endswith("report")
    assert server.clusters[cluster_id].active
    assert Submissions(S3Objects(f"s3://{BUCKET}/ws")).get().own_place is False


def test_nothing_is_submitted_that_cannot_run(run, server):
    code, _, err = run(target="folder")
    assert (code, "machines at AWS cannot reach" in err) == (64, True)
    code, _, err = run(target="here")
    assert (code, "its compute is local" in err) == (64, True)
    code, _, err = run(*QUICK_WORDS, "--set", "targets.prod.compute.release=emr-7.0.0")
    assert code in {64, 78}
    assert not server.clusters
