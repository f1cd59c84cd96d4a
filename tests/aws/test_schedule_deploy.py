from __future__ import annotations

import copy
import json
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from crisp_spark.aws.clients import Clients
from crisp_spark.aws.schedule.deploy import LARGEST_INLINE_TEMPLATE, Deployer
from crisp_spark.aws.schedule.stack import PARAMETERS, plan_stack
from crisp_spark.aws.schedule.template import storage_template, template
from crisp_spark.errors import UsageError
from crisp_spark.spec.load import load_project

FILE = Path(__file__).parents[2] / "emr" / "schedule" / "crisp.yml"
VALUES = dict.fromkeys(PARAMETERS, "s3://shop-crisp/orders/x")


def planned(*settings):
    project = load_project(FILE, overrides=settings, environ={})
    return plan_stack(project.spec, project.target, project.resolved)


@pytest.fixture
def deployer(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    with mock_aws():
        yield Deployer(Clients("eu-central-1"), planned(), pause=lambda _seconds: None)


def deployed(deployer, content):
    told = []
    outputs = deployer.carry_out(deployer.propose(content, VALUES), told.append)
    return outputs, told


def test_bucket_is_made_before_anything_is_in_it(deployer):
    _, told = deployed(deployer, storage_template(deployer.plan))
    assert told == ["CREATE_COMPLETE"]
    buckets = boto3.client("s3").list_buckets()["Buckets"]
    assert [one["Name"] for one in buckets] == ["shop-crisp"]


def test_whole_is_proposed_from_a_template_in_the_bucket(deployer):
    """moto cannot carry the whole out: it resolves roles that refer to each other only in part."""
    deployed(deployer, storage_template(deployer.plan))
    whole = template(deployer.plan)
    assert len(json.dumps(whole, separators=(",", ":"))) > LARGEST_INLINE_TEMPLATE
    proposal = deployer.propose(whole, VALUES)
    assert not proposal.new
    added = {one.resource for one in proposal.changes if one.action == "Add"}
    assert {"Machine", "CleanupMachine", "Schedule", "MachineRole", "AbortRule"} <= added
    assert "Bucket" not in added
    (stored,) = boto3.client("s3").list_objects_v2(
        Bucket="shop-crisp", Prefix="orders/schedule/template-"
    )["Contents"]
    body = boto3.client("s3").get_object(Bucket="shop-crisp", Key=stored["Key"])["Body"].read()
    assert json.loads(body) == whole


def test_proposal_says_what_would_change_and_changes_nothing(deployer):
    proposal = deployer.propose(storage_template(deployer.plan), {})
    assert proposal.new
    assert {(one.action, one.resource) for one in proposal.changes} >= {("Add", "Bucket")}
    deployer.withdraw(proposal)
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    assert not deployer.exists()


def test_change_to_a_deployed_stack_is_named(deployer):
    deployed(deployer, storage_template(deployer.plan))
    changed = copy.deepcopy(storage_template(deployer.plan))
    changed["Resources"]["Bucket"]["Properties"]["Tags"] = [{"Key": "team", "Value": "data"}]
    proposal = deployer.propose(changed, {})
    assert not proposal.new
    assert ("Modify", "Bucket") in {(one.action, one.resource) for one in proposal.changes}


def test_stack_that_was_rolled_back_tells_the_first_reason(deployer, monkeypatch):
    proposal = deployer.propose(storage_template(deployer.plan), {})
    cloudformation = deployer.clients.get("cloudformation")
    states = iter(["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"])
    monkeypatch.setattr(
        cloudformation,
        "describe_stacks",
        lambda **_: {"Stacks": [{"StackStatus": next(states)}]},
    )
    events = [
        {
            "LogicalResourceId": "Topic",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "Resource creation cancelled",
        },
        {
            "LogicalResourceId": "Bucket",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "shop-crisp already exists",
        },
    ]
    monkeypatch.setattr(
        cloudformation, "describe_stack_events", lambda **_: {"StackEvents": events}
    )
    with pytest.raises(UsageError, match="ROLLBACK_COMPLETE: Bucket: shop-crisp already exists"):
        deployer.carry_out(proposal, lambda _: None)


def test_template_that_changes_nothing_is_no_error(deployer, monkeypatch):
    deployed(deployer, storage_template(deployer.plan))
    answer = {
        "Status": "FAILED",
        "StatusReason": "The submitted information didn't contain changes.",
    }
    cloudformation = deployer.clients.get("cloudformation")
    monkeypatch.setattr(cloudformation, "describe_change_set", lambda **_: answer)
    proposal = deployer.propose(storage_template(deployer.plan), {})
    assert (proposal.change_set, proposal.changes) == ("", ())
    assert deployer.carry_out(proposal, lambda _: None) == {}


def test_refused_template_is_told(deployer, monkeypatch):
    answer = {"Status": "FAILED", "StatusReason": "Transform is not supported"}
    cloudformation = deployer.clients.get("cloudformation")
    monkeypatch.setattr(cloudformation, "describe_change_set", lambda **_: answer)
    with pytest.raises(UsageError, match="Transform is not supported"):
        deployer.propose(storage_template(deployer.plan), {})
