"""The commands that look after runs at AWS, on the loop-back EMR."""

from __future__ import annotations

import json

import pytest
import yaml

from crisp_spark.aws.clients import clients
from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.emr.submit import submit
from crisp_spark.aws.objects import S3Objects
from crisp_spark.cli.main import main
from tests import tiny_project
from tests.aws.loopback_fixtures import BUCKET, serving, until
from tests.aws.submit_fixtures import QUICK_PATIENCE, work
from tests.aws_fixtures import point_at

TARGETS = {
    "prod": {
        "compute": {
            "kind": "emr",
            "region": "us-east-1",
            "artifacts": f"s3://{BUCKET}/crisp",
            "log_group": "",
        },
        "overrides": {"project": {"workspace": f"s3://{BUCKET}/ws"}},
    },
    "here": {},
    "folder": {
        "compute": {"kind": "emr", "region": "us-east-1", "artifacts": f"s3://{BUCKET}/crisp"}
    },
}


@pytest.fixture(scope="module")
def server():
    with serving() as started:
        yield started


@pytest.fixture
def aws(server, monkeypatch):
    point_at(monkeypatch, server.endpoint)
    server.end_clusters()
    yield clients("us-east-1")
    server.end_clusters()
    S3Objects(f"s3://{BUCKET}/ws").delete_tree("")


@pytest.fixture
def project(tmp_path):
    spec = yaml.safe_dump({"targets": TARGETS}, sort_keys=False)
    return tiny_project.write(tmp_path / "project", spec=tiny_project.SPEC + spec)


@pytest.fixture
def run(project, capsys):
    def run(*words: str, target: str = "prod") -> tuple[int, str, str]:
        code = main([*words, "--project", str(project), "--target", target])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def records() -> Submissions:
    return Submissions(S3Objects(f"s3://{BUCKET}/ws"))


def submitted(aws, run_id: str = "r1", **plan):
    return submit(aws, records(), work(run_id, **plan), patience=QUICK_PATIENCE)


def test_status_follows_a_run_to_its_end_with_plain_lines(aws, run):
    submitted(aws, scripts={"sweep": "echo '26/11/24 04:00:00 INFO Talk: x'; echo best 0.8"})
    code, out, err = run("status", "--follow", "--poll", "0.05")
    assert code == 0
    assert "sweep | best 0.8" in err
    assert "INFO Talk" not in err
    assert "prepare COMPLETED" in err
    assert "sweep" in out


def test_status_shows_steps_and_runs(aws, run):
    submission = submitted(aws, scripts={"charter": "sleep 30"})
    until(lambda: server_state(aws, submission) == "RUNNING")
    code, out, _ = run("status", "--json")
    told = json.loads(out)
    assert code == 0
    assert {step["state"] for step in told["steps"]} == {"missing"}
    (one,) = told["runs"]
    assert (one["run_id"], one["state"], one["ended"]) == ("r1", "RUNNING", False)
    assert [step["state"] for step in one["steps"]] == ["RUNNING", "PENDING"]


def server_state(aws, submission) -> str:
    found = aws.emr.describe_cluster(ClusterId=submission.place)
    return found["Cluster"]["Status"]["State"]


def test_a_failure_is_told_with_its_cause_its_last_lines_and_its_exit_code(aws, run):
    submitted(aws, scripts={"charter": "echo 'User application exited with status 65' >&2; exit 1"})
    code, _, err = run("status", "--follow", "--poll", "0.05")
    assert code == 65
    assert "failed in prepare (data)" in err
    assert "  User application exited with status 65" in err
    code, out, _ = run("status", "--follow", "--poll", "0.05", "--json")
    told = json.loads(out)["error"]
    assert (code, told["exit_code"], told["failure"]["kind"]) == (65, 65, "data")


def test_logs_are_shown_by_stage(aws, run):
    submitted(aws, scripts={"charter": "seq 5", "sweep": "echo swept"})
    assert run("status", "--follow", "--poll", "0.05")[0] == 0
    code, out, _ = run("logs", "--lines", "2")
    assert code == 0
    assert out.splitlines() == ["== prepare stdout", "4", "5", "== sweep stdout", "swept"]
    code, out, _ = run("logs", "--stage", "sweep", "--log", "controller", "--json")
    assert "exitCode 0" in "".join(json.loads(out)["stages"]["sweep"])
    code, _, err = run("logs", "--stage", "nothing")
    assert (code, "stages: prepare, sweep" in err) == (64, True)


def test_a_run_is_cancelled_and_its_cluster_ended(aws, run, server):
    submission = submitted(aws, scripts={"charter": "sleep 30"})
    until(lambda: server_state(aws, submission) == "RUNNING")
    code, out, _ = run("cancel", "--terminate")
    assert code == 0
    assert "prepare: submitted" in out
    assert f"{submission.place}: is being ended" in out
    until(lambda: server_state(aws, submission) == "TERMINATED")
    code, _, err = run("status", "--follow", "--poll", "0.05")
    assert code == 130
    assert "cancelled" in err
    assert "nothing was left to cancel" in run("cancel")[1]


def test_leaked_clusters_are_listed_and_ended(aws, run):
    submission = submitted(aws, scripts={"charter": "sleep 30"})
    assert run("clusters", "--leaked")[:2] == (0, "no leaked cluster of crisp in us-east-1\n")
    lost = work("r1", scripts={"charter": "sleep 30"})
    asked = lost.plan.run_job_flow(name="lost", tags={"crisp:run-id": "r1"}, steps=lost.steps())
    cluster_id = aws.emr.run_job_flow(**asked)["JobFlowId"]
    code, out, _ = run("clusters", "--json")
    assert {one["id"] for one in json.loads(out)["clusters"]} == {submission.place, cluster_id}
    code, out, _ = run("clusters", "--leaked")
    assert code == 75
    assert "its run is on another cluster" in out
    code, out, _ = run("clusters", "--leaked", "--terminate", "--json")
    assert (code, json.loads(out)["ended"]) == (0, [cluster_id])
    assert server_state(aws, submission) in {"STARTING", "BOOTSTRAPPING", "RUNNING"}


class Keys:
    """A person at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [("l", "RUNNING", 130), ("c", "CANCELLED", 130), ("t", "CANCELLED", 130)],
)
def test_ctrl_c_asks_what_to_do(aws, run, monkeypatch, answer, state, code):
    import typer

    from crisp_spark.cli.watching import RunWatch

    submission = submitted(aws, scripts={"charter": "sleep 30"})
    interrupted: list[int] = []
    shown = RunWatch.on_view

    def interrupt(watch, view):
        shown(watch, view)
        if view.running and not interrupted:
            interrupted.append(1)
            raise KeyboardInterrupt

    monkeypatch.setattr(RunWatch, "on_view", interrupt)
    monkeypatch.setattr("sys.stdin", Keys())
    monkeypatch.setattr(typer, "prompt", lambda *_args, **_more: answer)
    got, _, err = run("status", "--follow", "--poll", "0.05")
    assert got == code
    assert len(interrupted) == 1
    steps = aws.emr.list_steps(ClusterId=submission.place)["Steps"]
    assert steps[-1]["Status"]["State"] == state
    if answer == "l":
        assert "--target prod --run-id r1 --follow` follows it" in err


def test_credentials_that_run_out_end_the_watching_and_not_the_run(aws, run, monkeypatch):
    from crisp_spark.aws.emr.view import ClusterRun
    from crisp_spark.errors import AccessError

    submission = submitted(aws, scripts={"charter": "sleep 30"})

    def refused(_run):
        raise AccessError("cluster: AWS refused the credentials (ExpiredToken)")

    monkeypatch.setattr(ClusterRun, "look", refused)
    code, _, err = run("status", "--follow", "--poll", "0.05")
    assert code == 64
    assert "run r1 goes on" in err
    assert server_state(aws, submission) in {"STARTING", "BOOTSTRAPPING", "RUNNING"}


def test_what_cannot_be_submitted_is_refused_before_anything_is_made(run, aws, server):
    code, _, err = run("status", "--follow", target="here")
    assert (code, "its compute is local" in err) == (64, True)
    code, _, err = run("cancel", target="folder")
    assert (code, "machines at AWS cannot reach" in err) == (64, True)
    code, _, err = run("cancel")
    assert (code, "no run was submitted" in err) == (64, True)
    assert not server.clusters
