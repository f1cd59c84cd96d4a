"""Plans of machines and their price on the command line."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crisp_spark.aws import lifetimes
from crisp_spark.aws.lifetimes import ClusterLife, Life
from crisp_spark.cli import billing
from crisp_spark.cli import main as cli
from crisp_spark.engine.commits import Commit
from crisp_spark.errors import EX_SPEC, EX_USAGE
from crisp_spark.run import tracked
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from crisp_spark.tracking.memory import MemoryTracker

PROJECT = """\
version: 1
project: {name: demo}
business:
  max_cost_usd: 50
  objectives: [{id: O1, statement: Sell more}]
  criteria: [{id: C1, objective: O1, metric: r2, target: 0.5}]
  mining_goal: {problem: regression, target: y, target_source: sales, key: [id]}
data:
  sources:
    sales: {kind: csv, path: data/*.csv}
targets:
  dev: {default: true}
  prod:
    compute: &prod
      kind: emr
      region: eu-central-1
      artifacts: s3://bucket/crisp
      subnets: [subnet-0a1, subnet-0b2]
  mixed:
    compute: {<<: *prod, task: {instance_types: [m5.xlarge]}}
  far:
    compute: {<<: *prod, region: ap-south-2}
  serverless:
    compute:
      kind: emr-serverless
      region: us-east-1
      artifacts: s3://bucket/crisp
      execution_role: arn:aws:iam::111122223333:role/crisp
"""


@pytest.fixture
def crisp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("crisp.yml").write_text(PROJECT)
    Path("data").mkdir()
    Path("data/a.csv").write_text("id,y\n1,22\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    logging.getLogger().handlers.clear()


def test_a_plan_of_machines_says_what_each_choice_means_and_its_price(crisp):
    code, out, _ = crisp("plan", "--machines", "--target", "prod")
    assert code == 0
    for said in ("YARN labels", "total without spot", "supported until 2029-09-07", "crisp submit"):
        assert said in out


def test_a_plan_as_json_holds_the_request(crisp):
    code, out, _ = crisp("plan", "--machines", "--target", "prod", "--json")
    machines = json.loads(out)["machines"]
    assert code == 0
    assert machines["request"]["ReleaseLabel"] == "emr-spark-8.1.0"
    assert machines["cost"]["total"]["high"] > 0


def test_a_plan_with_a_fault_in_the_machines_ends_with_78(crisp):
    code, out, err = crisp("plan", "--machines", "--target", "mixed")
    assert code == EX_SPEC
    assert "only 1 in the list" in out
    assert "two processor types" in err


def test_a_region_without_bundled_prices_still_has_a_plan(crisp):
    code, out, _ = crisp("plan", "--machines", "--target", "far")
    assert code == 0
    assert "no Region ap-south-2" in out


def test_a_local_target_has_no_machines_and_costs_nothing(crisp):
    assert crisp("plan", "--machines")[0] == EX_USAGE
    code, _, err = crisp("cost", "estimate")
    assert code == EX_USAGE
    assert "local and costs nothing" in err


def test_run_refuses_a_target_on_aws_and_names_submit(crisp):
    code, _, err = crisp("run", "--target", "prod")
    assert code == EX_USAGE
    assert "crisp submit --target prod" in err


def test_an_estimate_above_the_cap_ends_with_78(crisp):
    assert crisp("cost", "estimate", "--target", "prod")[0] == 0
    code, out, err = crisp(
        "cost", "estimate", "--target", "prod", "--set", "business.max_cost_usd=0.5"
    )
    assert code == EX_SPEC
    assert "likely" in out
    assert "business.max_cost_usd: the run would cost about" in err


def test_an_estimate_of_serverless_has_one_part(crisp):
    _, out, _ = crisp("cost", "estimate", "--target", "serverless", "--json")
    found = json.loads(out)
    assert list(found["parts"]) == ["serverless"]
    assert found["saved_by_spot"] == 0


def commit(step: str, run_id: str, seconds: float, created: datetime, **result) -> Commit:
    return Commit(
        step=step,
        stage_key=f"{step}-{run_id}",
        run_id=run_id,
        created=created,
        seconds=seconds,
        result=result,
    )


def test_an_estimate_rests_on_earlier_runs_over_as_much_data(crisp):
    workspace = Workspace(load_project("crisp.yml", environ={}))
    now = datetime(2026, 11, 1, tzinfo=UTC)
    half = Path("data/a.csv").stat().st_size // 2
    for number, step in enumerate(("ingest", "sweep")):
        workspace.commits.publish(
            commit(step, "r1", 60.0, now + timedelta(hours=number), sources={"a": {"bytes": half}})
        )
    workspace.put("runs/r1/run.json", {"compute": "emr"})
    _, out, _ = crisp("cost", "estimate", "--target", "prod", "--json")
    found = json.loads(out)
    assert found["basis"] == "2 steps as they ran on emr, 12 steps without a record"
    # Two steps of a minute over half the data stand for fourteen.
    assert found["minutes"]["middle"] == pytest.approx(2 * 2 * 7 + 8 + 2)


def test_a_bill_is_printed_kept_and_made_a_page(crisp, monkeypatch):
    workspace = Workspace(load_project("crisp.yml", environ={}))
    begun = datetime(2026, 11, 1, 12, tzinfo=UTC)
    workspace.commits.publish(commit("sweep", "r1", 1800.0, begun + timedelta(hours=1)))
    record = {"run_id": "r1", "kind": "emr", "place": "j-1", "submitted": "2026-11-01"}
    workspace.put("submissions/r1.json", record)
    ended = begun + timedelta(hours=2)
    machines = (
        Life("i-1", "m6g.xlarge", "core", "ON_DEMAND", begun, ended),
        Life("i-2", "m6g.xlarge", "task", "SPOT", begun, ended, interrupted=True),
    )
    life = ClusterLife("j-1", "eu-central-1", "eu-central-1a", machines, 120.0)
    monkeypatch.setattr(lifetimes, "read_cluster", lambda _aws, _id: life)
    monkeypatch.setattr(lifetimes, "spot_history", lambda *_: {"m6g.xlarge": [(begun, 0.0624)]})
    code, out, _ = crisp("cost", "report", "--target", "prod", "--no-track", "--json")
    bill = json.loads(out)
    assert code == 0
    lines = {(one["phase"], one["market"]): one for one in bill["report"]["lines"]}
    assert lines["modeling", "SPOT"]["ec2"] == pytest.approx(0.0312)
    assert lines["modeling", "SPOT"]["saved"] == pytest.approx(0.5 * 0.154 * 1.2 - 0.0312)
    assert bill["promised"] == ["nothing yet: the run has made no decision"]
    kept = json.loads(workspace.objects.read(bill["kept_at"]))
    assert kept["total"] == pytest.approx(sum(map(total_of, lines.values())))
    page = workspace.objects.read(bill["page"].split("/workspace/")[1]).decode()
    assert page.count("on demand") >= 2
    tracker = MemoryTracker()
    monkeypatch.setattr(tracked, "open_tracker", lambda *_: tracker)
    _, out, _ = crisp("cost", "report", "--target", "prod")
    recorded = tracker.steps["cost"]
    assert recorded.recorded_metrics["cost_usd"] == pytest.approx(kept["total"])
    assert recorded.recorded_metrics["spot_interruptions"] == 1
    assert "1 machines lost; 2.0 minutes of failed" in out


def total_of(line: dict) -> float:
    return line["ec2"] + line["emr_fee"] + line["ebs"]


def test_a_bill_finds_its_cluster_in_the_newest_submission(crisp):
    workspace = Workspace(load_project("crisp.yml", environ={}))
    for number in (1, 2):
        record = {"run_id": f"r{number}", "kind": "emr", "place": f"j-{number}"}
        workspace.put(f"submissions/r{number}.json", {**record, "submitted": f"2026-11-0{number}"})
    newest, first = (
        billing._place_of(workspace, "eu-central-1", run, None) for run in (None, "r1")
    )
    assert (newest.run_id, newest.cluster_id) == ("r2", "j-2")
    assert (first.run_id, first.cluster_id) == ("r1", "j-1")
    assert billing._place_of(workspace, "eu-central-1", "r9", "j-9").cluster_id == "j-9"
    shutil.rmtree("workspace")
    code, _, err = crisp("cost", "report", "--target", "prod")
    assert code == EX_USAGE
    assert "nothing was submitted" in err
