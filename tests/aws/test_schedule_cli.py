"""crisp schedule --deploy and --diff, crisp publish, on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from crisp_spark.aws.schedule.deploy import Change, Proposal
from crisp_spark.aws.schedule.stack import PARAMETERS
from crisp_spark.cli import main as cli
from crisp_spark.cli import scheduling, shipping
from crisp_spark.engine.commits import Commit, DataFile, TableCommit
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project

FILE = Path(__file__).parents[2] / "emr" / "schedule" / "crisp.yml"
SCHEMA = {
    "type": "struct",
    "fields": [{"name": "Größe", "type": "double", "nullable": True, "metadata": {}}],
}


@pytest.fixture
def crisp(monkeypatch, capsys):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")

    def run(*arguments):
        code = cli.main([*arguments, "--project", str(FILE)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    with mock_aws():
        place = {"LocationConstraint": "eu-central-1"}
        boto3.client("s3", region_name="eu-central-1").create_bucket(
            Bucket="shop-crisp", CreateBucketConfiguration=place
        )
        yield run


class Recorder:
    """A deployer that writes down what it is asked for."""

    def __init__(self, *, there: bool = False) -> None:
        self.there, self.asked, self.done = there, [], []

    def exists(self):
        return self.there

    def values(self):
        return {"CodeDigest": "old"} if self.there else {}

    def propose(self, template, parameters):
        self.asked.append((set(template["Resources"]), dict(parameters)))
        return Proposal("crisp-orders", "cs", not self.there, (Change("Add", "X", "T"),))

    def withdraw(self, proposal):
        self.done.append("withdrawn")

    def carry_out(self, proposal, told):
        told("CREATE_COMPLETE")
        self.there = True
        self.done.append("carried out")
        return {"MachineArn": "arn:machine"}


@pytest.fixture
def recorder(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(scheduling, "_deployer", lambda _plan: found)
    package = SimpleNamespace(manifest_uri="s3://m", bootstrap_uri="s3://b", code_digest="new")
    shipped = shipping.Shipped(package, "s3://j/run.py", "new")
    monkeypatch.setattr(shipping, "ship_package", lambda *_, **__: shipped)
    monkeypatch.setattr(shipping, "ship_project", lambda _project, name: f"s3://p/{name}")
    return found


def test_deploy_makes_the_bucket_then_the_whole_with_code_and_project(crisp, recorder):
    code, out, err = crisp("schedule", "--deploy", "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["outputs"] == {"MachineArn": "arn:machine"}
    (first, none), (whole, values) = recorder.asked
    assert (first, none) == ({"Bucket", "BucketPolicy"}, {})
    assert "Machine" in whole
    assert set(values) == set(PARAMETERS)
    assert values["ProjectUri"].startswith("s3://p/scheduled-")
    assert values["CodeDigest"] == "new"


def test_deploy_changes_nothing_without_agreement(crisp, recorder):
    code, out, err = crisp("schedule", "--deploy")
    assert code == 64
    assert "--yes changes without asking" in err
    assert "Add" in out
    assert recorder.done == ["withdrawn"]


def test_deploy_above_the_cap_of_the_charter_is_refused(crisp, recorder):
    code, _, err = crisp("schedule", "--deploy", "--yes", "--set", "business.max_cost_usd=0.01")
    assert code == 78
    assert "max_cost_usd" in err
    assert recorder.asked == []


def test_diff_of_a_new_stack_lists_everything_and_asks_for_nothing(crisp, recorder):
    code, out, _ = crisp("schedule", "--diff", "--json")
    assert code == 0
    changes = {one["resource"]: one["action"] for one in json.loads(out)["changes"]}
    assert changes["Machine"] == changes["Bucket"] == "Add"
    assert recorder.asked == []


def test_diff_of_a_deployed_stack_keeps_its_code_and_is_withdrawn(crisp, recorder):
    recorder.there = True
    code, _, _ = crisp("schedule", "--diff")
    assert code == 0
    ((_, values),) = recorder.asked
    assert values["CodeDigest"] == "old"
    assert recorder.done == ["withdrawn"]


def publish_by_hand(key: str) -> None:
    workspace = Workspace(load_project(FILE, environ={}))
    file = f"data/derived/{key}/a1/part-0.parquet"
    workspace.objects.put_if_absent(file, b"rows")
    table = TableCommit(
        name="derived",
        rows=4,
        spark_schema=json.dumps(SCHEMA),
        files=(DataFile(key=file, bytes=4, sha256="0", rows=4),),
    )
    common = {"stage_key": key, "run_id": "r1", "created": datetime.now(UTC), "seconds": 1.0}
    workspace.commits.publish(Commit(step="derive", result={}, tables={"derived": table}, **common))
    verdict = {"id": "M1", "metric": "roc_auc", "verdict": "pass", "value": 0.8}
    workspace.commits.publish(Commit(step="decide", result={"criteria": [verdict]}, **common))


def test_publish_registers_switches_and_writes_for_quicksight(crisp, tmp_path):
    publish_by_hand("k1")
    code, out, err = crisp("publish", "--quicksight", str(tmp_path), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert [(one["table"], one["action"]) for one in told["tables"]] == [("derived", "created")]
    assert (tmp_path / "derived.dataset.json").is_file()
    publish_by_hand("k2")
    assert json.loads(crisp("publish", "--json")[1])["tables"][0]["action"] == "switched"
    assert json.loads(crisp("publish", "--json")[1])["tables"][0]["action"] == "unchanged"
    glue = boto3.client("glue", region_name="eu-central-1")
    table = glue.get_table(DatabaseName="orders", Name="derived")["Table"]
    where = "s3://shop-crisp/orders/workspace/data/derived/k2/a1"
    assert table["StorageDescriptor"]["Location"] == where


def test_verdicts_are_kept_as_csv_with_a_manifest(crisp):
    publish_by_hand("k1")
    uri = json.loads(crisp("publish", "--json")[1])["manifest"]
    s3 = boto3.client("s3", region_name="eu-central-1")

    def read(place: str) -> str:
        bucket, key = place.split("://", 1)[1].split("/", 1)
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    ((rows,),) = [one["URIs"] for one in json.loads(read(uri))["fileLocations"]]
    assert read(rows).splitlines()[1].startswith("M1,,roc_auc,,,pass,0.8")


def test_unknown_table_is_refused_with_the_nearest(crisp):
    publish_by_hand("k1")
    code, _, err = crisp("publish", "--table", "derivd")
    assert code == 64
    assert "derived" in err


def test_sql_of_a_target_at_aws_asks_athena(crisp):
    publish_by_hand("k1")
    code, out, err = crisp("sql", "--ready", "sizes", "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == []  # moto answers every query with nothing
    assert "MB read in" in err
    athena = boto3.client("athena", region_name="eu-central-1")
    (asked,) = athena.list_query_executions()["QueryExecutionIds"]
    query = athena.get_query_execution(QueryExecutionId=asked)["QueryExecution"]
    assert query["Query"].startswith("SELECT 'derived' AS name, count(*) AS n FROM derived")
    assert query["QueryExecutionContext"]["Database"] == "orders"
