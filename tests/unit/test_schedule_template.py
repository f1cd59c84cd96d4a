from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint
from jsonata.jsonata import Jsonata
from statelint.linter import Linter

from crisp_spark.aws.emr.validate import validate_service_request
from crisp_spark.aws.schedule.roles import WILDCARDS
from crisp_spark.aws.schedule.stack import PARAMETERS, plan_stack
from crisp_spark.aws.schedule.storage import STORAGE
from crisp_spark.aws.schedule.template import schedule_files, storage_template, template
from crisp_spark.aws.schedule.triggers import ABNORMAL_ENDS
from crisp_spark.errors import UsageError
from crisp_spark.spec.load import load_project

FOLDER = Path(__file__).parents[2] / "emr" / "schedule"
ROLE = "arn:aws:iam::111122223333:role/orders-data"


def planned(*settings: str):
    project = load_project(FOLDER / "crisp.yml", overrides=settings, environ={})
    return plan_stack(project.spec, project.target, project.resolved)


@pytest.fixture(scope="module")
def stack() -> dict:
    return template(planned())


@pytest.fixture(scope="module")
def resources(stack) -> dict:
    return stack["Resources"]


def of(resources: dict, kind: str) -> dict[str, dict]:
    return {
        name: one["Properties"] for name, one in resources.items() if one["Type"] == f"AWS::{kind}"
    }


def definition(resources: dict, machine: str) -> dict:
    return json.loads(resources[machine]["Properties"]["DefinitionString"]["Fn::Sub"][0])


def statements(part) -> list[dict]:
    """Every statement of every policy in the template."""
    if isinstance(part, dict):
        own = [part] if "Effect" in part else []
        return own + [one for value in part.values() for one in statements(value)]
    if isinstance(part, list):
        return [one for value in part for one in statements(value)]
    return []


def linted(stack: dict) -> list[str]:
    found = lint(json.dumps(stack), config=ManualArgs(regions=["eu-central-1"]))
    return [f"{match.rule.id} {match.message}" for match in found]


@pytest.mark.parametrize("name", ["template.json", "state-machine.asl.json", "cleanup.asl.json"])
def test_example_is_what_is_generated(name):
    """Renew it: crisp schedule --project emr/schedule/crisp.yml --out emr/schedule."""
    assert (FOLDER / name).read_text(encoding="utf-8") == schedule_files(planned())[name]


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (
            f"targets.prod.compute.runtime_role={ROLE}",
            "targets.prod.compute.kms_key=arn:aws:kms:eu-central-1:111122223333:key/orders",
            'targets.prod.compute.log_group=""',
            "targets.prod.schedule.create_bucket=false",
            "targets.prod.schedule.create_shared=false",
            "targets.prod.schedule.audit=false",
            "targets.prod.schedule.notify_success=true",
            "targets.prod.schedule.window_minutes=15",
            "deployment.monitoring.owner=ops@example.com",
            "deployment.monitoring.wasserstein_limit=0.25",
        ),
    ],
)
def test_cfn_lint_finds_nothing(settings):
    assert linted(template(planned(*settings))) == []


def test_cfn_lint_would_find_a_misspelt_action(stack):
    broken = copy.deepcopy(stack)
    policy = broken["Resources"]["CleanupRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"][0]["Action"] = ["elasticmapreduce:ListClustres"]
    assert any("listclustres" in message for message in linted(broken))


@pytest.mark.parametrize("name", ["state-machine.asl.json", "cleanup.asl.json"])
def test_statelint_finds_nothing(name):
    machine = json.loads(schedule_files(planned())[name])
    assert Linter.validate(machine) == []
    assert Linter.validate(machine | {"StartAt": "Nowhere"})


def expressions(value):
    if isinstance(value, dict):
        return [one for item in value.values() for one in expressions(item)]
    if isinstance(value, list):
        return [one for item in value for one in expressions(item)]
    return [value] if isinstance(value, str) and "{%" in value else []


@pytest.mark.parametrize("name", ["state-machine.asl.json", "cleanup.asl.json"])
def test_every_expression_is_jsonata(name):
    found = expressions(json.loads(schedule_files(planned())[name]))
    assert len(found) > 10
    for one in found:
        assert one.startswith("{% ")
        assert one.endswith(" %}")
        Jsonata(one[2:-2])


def test_only_named_statements_have_a_bare_star(stack):
    stars = {
        one["Sid"]
        for one in statements(stack)
        if one["Effect"] == "Allow" and "*" in one["Resource" if "Resource" in one else "Action"]
    }
    assert stars == set(WILDCARDS)


def test_no_statement_allows_every_action_but_the_key_to_its_owner(stack):
    wide = [
        one["Sid"]
        for one in statements(stack)
        if one["Effect"] == "Allow"
        and any(action == "*" or action.endswith(":*") for action in one["Action"])
    ]
    assert wide == ["OwnersByTheirOwnPolicies"]


def test_nobody_outside_the_account_is_let_in(stack):
    for one in statements(stack):
        if one["Effect"] == "Allow" and "Principal" in one:
            assert "*" not in json.dumps(one["Principal"])


def test_roles_are_passed_to_one_service_each(stack):
    passing = [one for one in statements(stack) if "iam:PassRole" in one["Action"]]
    assert len(passing) == 3
    for one in passing:
        assert set(one["Condition"]["StringEquals"]) == {"iam:PassedToService"}
        assert "*" not in json.dumps(one["Resource"])


def test_starting_and_ending_clusters_is_bound_to_the_project(stack):
    found = {}
    for one in statements(stack):
        for action in one["Action"] if isinstance(one["Action"], list) else ():
            found.setdefault(action, []).append(one)
    for one in found["elasticmapreduce:TerminateJobFlows"]:
        equal = one["Condition"]["StringEquals"]
        assert equal == {"aws:ResourceTag/crisp:project": "orders"}
    (start,) = found["elasticmapreduce:RunJobFlow"]
    assert start["Condition"]["StringEquals"] == {"aws:RequestTag/crisp:project": "orders"}


def test_machine_role_covers_every_call_of_the_machine(resources):
    services = {"emr": "elasticmapreduce"}
    needed = {
        "runJobFlow": {"RunJobFlow", "AddTags", "PutManagedScalingPolicy"},
        "addStep.sync": {"AddJobFlowSteps", "DescribeStep", "CancelSteps"},
        "terminateCluster.sync": {"TerminateJobFlows", "DescribeCluster"},
        "publish": {"Publish"},
    }
    for machine, role in (("Machine", "MachineRole"), ("CleanupMachine", "CleanupRole")):
        policy = resources[role]["Properties"]["Policies"][0]["PolicyDocument"]
        allowed = {action for one in policy["Statement"] for action in one["Action"]}
        states = definition(resources, machine)["States"].values()
        for resource in {one["Resource"] for one in states if one["Type"] == "Task"}:
            *_, service, action = resource.split(":")
            own = {action[0].upper() + action[1:]}
            for name in needed.get(action, own):
                assert f"{services.get(service, service)}:{name}" in allowed, resource


def test_step_role_is_the_only_one_that_can_be_used(stack):
    with_role = template(planned(f"targets.prod.compute.runtime_role={ROLE}"))
    adding = [
        one for one in statements(with_role) if "elasticmapreduce:AddJobFlowSteps" in one["Action"]
    ]
    assert adding[0]["Condition"]["StringEquals"]["elasticmapreduce:ExecutionRoleArn"] == ROLE
    nodes = with_role["Resources"]["NodeRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    sids = {one["Sid"] for one in nodes["Statement"]}
    assert "TakeUpStepRole" in sids
    assert not sids & {"Workspace", "Sources"}


def test_nodes_read_the_sources_and_nothing_beside_them(resources):
    policy = resources["NodeRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    by_sid = {one["Sid"]: one for one in policy["Statement"]}
    assert by_sid["Sources"]["Resource"] == [
        {"Fn::Sub": "arn:${AWS::Partition}:s3:::shop-data/orders/*"}
    ]
    assert by_sid["Sources"]["Action"] == ["s3:GetObject"]


def test_buckets_are_encrypted_versioned_closed_and_kept(resources):
    buckets = of(resources, "S3::Bucket")
    assert set(buckets) == {"Bucket", "AuditBucket"}
    for name, bucket in buckets.items():
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
        policy = resources[f"{name}Policy"]["Properties"]["PolicyDocument"]
        (deny,) = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert deny["Action"] == "s3:*"


def test_topic_queue_and_logs_are_encrypted(resources):
    assert all(one["KmsMasterKeyId"] for one in of(resources, "SNS::Topic").values())
    assert all(one["SqsManagedSseEnabled"] for one in of(resources, "SQS::Queue").values())
    groups = of(resources, "Logs::LogGroup")
    assert len(groups) == 3
    assert all(one["KmsKeyId"] and one["RetentionInDays"] == 90 for one in groups.values())
    assert resources["Key"]["Properties"]["EnableKeyRotation"] is True


def test_trail_records_objects_of_the_bucket(resources):
    trail = resources["Trail"]["Properties"]
    assert trail["IsLogging"] is trail["EnableLogFileValidation"] is True
    (selector,) = trail["AdvancedEventSelectors"]
    fields = {one["Field"]: one for one in selector["FieldSelectors"]}
    assert fields["eventCategory"]["Equals"] == ["Data"]
    assert "shop-crisp/orders/" in json.dumps(fields["resources.ARN"])


def test_every_alarm_tells_and_every_end_has_one(resources):
    alarms = of(resources, "CloudWatch::Alarm")
    assert all(one["AlarmActions"] == [{"Ref": "Topic"}] for one in alarms.values())
    seen = {
        one["MetricName"]
        for one in alarms.values()
        if {"Ref": "Machine"} in [dimension["Value"] for dimension in one["Dimensions"]]
    }
    assert seen == {"ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut"}


def test_schedule_has_time_zone_retries_queue_and_the_due_time(resources):
    schedule = resources["Schedule"]["Properties"]
    assert schedule["ScheduleExpression"] == "cron(30 5 ? * MON *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    target = schedule["Target"]
    assert json.loads(target["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert target["RetryPolicy"] == {
        "MaximumRetryAttempts": 5,
        "MaximumEventAgeInSeconds": 3600,
    }
    request = {
        **{key: value for key, value in schedule.items() if key != "GroupName"},
        "Target": target
        | {
            "Arn": "arn:aws:states",
            "RoleArn": "arn:aws:iam::1:role/x",
            "DeadLetterConfig": {"Arn": "arn:aws:sqs"},
        },
    }
    assert validate_service_request("scheduler", "CreateSchedule", request) == []


def test_rule_follows_every_abnormal_end_with_name_and_status(resources):
    rule = resources["AbortRule"]["Properties"]
    assert rule["EventPattern"]["detail"]["stateMachineArn"] == [{"Ref": "Machine"}]
    assert set(rule["EventPattern"]["detail"]["status"]) == {"ABORTED", "FAILED", "TIMED_OUT"}
    assert set(ABNORMAL_ENDS) == {"ABORTED", "FAILED", "TIMED_OUT"}
    (target,) = rule["Targets"]
    filled = target["InputTransformer"]["InputTemplate"]
    for name in target["InputTransformer"]["InputPathsMap"]:
        filled = filled.replace(f"<{name}>", '"x"')
    assert json.loads(filled) == {"name": "x", "status": "x"}
    assert target["DeadLetterConfig"]


def rendered(value, tokens):
    """Expressions and tokens become plain values of the type that AWS wants there."""
    if isinstance(value, dict):
        return {key: rendered(item, tokens) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, tokens) for item in value]
    return re.sub(r"\$\{(\w+)\}", "x", value) if isinstance(value, str) else value


def test_request_for_a_cluster_keeps_what_must_hold(resources):
    states = definition(resources, "Machine")["States"]
    request = rendered(states["CreateCluster"]["Arguments"], PARAMETERS)
    assert validate_service_request("emr", "RunJobFlow", request) == []
    fleets = {one["InstanceFleetType"]: one for one in request["Instances"]["InstanceFleets"]}
    for kind in ("MASTER", "CORE"):
        assert fleets[kind]["TargetOnDemandCapacity"] > 0
        assert not fleets[kind].get("TargetSpotCapacity")
    assert len(fleets["TASK"]["InstanceTypeConfigs"]) >= 10
    spot = fleets["TASK"]["LaunchSpecifications"]["SpotSpecification"]
    assert spot["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"
    assert request["Instances"]["KeepJobFlowAliveWhenNoSteps"] is True
    assert request["Instances"]["TerminationProtected"] is False
    assert request["AutoTerminationPolicy"]["IdleTimeout"] <= 3600
    assert request["LogUri"].startswith("s3://shop-crisp/")
    assert "Steps" not in request
    assert {"crisp:project", "crisp:run-id", "crisp:execution"} <= {
        tag["Key"] for tag in request["Tags"]
    }


def test_every_token_of_a_machine_is_filled_in(resources):
    for name in ("Machine", "CleanupMachine"):
        text, values = resources[name]["Properties"]["DefinitionString"]["Fn::Sub"]
        tokens = set(re.findall(r"\$\{([^}]+)\}", text))
        assert tokens == set(values)


def test_template_does_not_change_with_the_version_of_the_code(stack):
    from crisp_spark import __version__

    assert __version__ not in json.dumps(stack)
    assert set(stack["Parameters"]) == set(PARAMETERS)


def test_bucket_can_be_made_before_the_rest(resources):
    first = storage_template(planned())
    assert set(first["Resources"]) == set(STORAGE)
    assert all(first["Resources"][name] == resources[name] for name in STORAGE)
    assert len(json.dumps(first)) < 51_200
    assert storage_template(planned("targets.prod.schedule.create_bucket=false")) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("targets.prod.schedule=null",), "has no schedule"),
        ((f"project.name={'x' * 49}",), "takes 48 characters"),
        (("targets.prod.compute.cluster_id=j-ABC",), "makes a cluster for each run"),
        (("project.workspace=workspace",), "set project.workspace to s3://shop-crisp/orders/"),
    ],
)
def test_target_that_cannot_be_scheduled_is_refused_with_the_way_out(settings, told):
    with pytest.raises(UsageError, match=told):
        planned(*settings)
