from __future__ import annotations

import copy
import io
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from cfnlint.api import ManualArgs, lint

from crisp_spark.aws.package import constraints_text
from crisp_spark.aws.rollout.ec2_stack import ec2_template, revision_files
from crisp_spark.aws.rollout.ecs_stack import ecs_template
from crisp_spark.aws.rollout.lambda_stack import lambda_template
from crisp_spark.aws.rollout.pipeline_stack import PACKAGE, pipeline_template
from crisp_spark.aws.rollout.plan import plan_rollout
from crisp_spark.aws.rollout.zips import dockerfile, function_zip, image_folder, packed_files
from crisp_spark.errors import SpecError, UsageError
from crisp_spark.spec.load import load_project

FOLDER = Path(__file__).parents[2] / "emr" / "schedule"
PLACE = "deployment.endpoint.artifacts=s3://orders-models/crisp"
MAKE = {
    "lambda": lambda plan: lambda_template(plan, digest="ab" * 32),
    "ecs": ecs_template,
    "ec2": ec2_template,
    "pipeline": pipeline_template,
}
VARIANTS = (
    (PLACE,),
    (
        PLACE,
        "deployment.endpoint.follow=true",
        "deployment.endpoint.shadow=challenger",
        "deployment.endpoint.strategy=linear",
        "deployment.endpoint.architecture=x86_64",
        "deployment.endpoint.concurrency=20",
        'deployment.endpoint.notify=["a@example.com"]',
        'deployment.endpoint.callers=["arn:aws:iam::111122223333:role/app"]',
        "deployment.endpoint.inbox=s3://orders-data/in",
        "deployment.endpoint.outbox=s3://orders-data/scored",
        "deployment.monitoring.owner=ops@example.com",
        "deployment.monitoring.wasserstein_limit=0.25",
    ),
    (PLACE, "deployment.endpoint.strategy=all_at_once"),
)


def planned(kind: str, *settings: str):
    return plan_rollout(load_project(FOLDER / "crisp.yml", overrides=settings, environ={}), kind)


def made(kind: str, *settings: str) -> dict:
    return MAKE[kind](planned(kind, *settings))


def linted(template: dict) -> list[str]:
    found = lint(json.dumps(template), config=ManualArgs(regions=["eu-central-1"]))
    return [f"{match.rule.id} {match.message} {match.path}" for match in found]


def statements(part) -> list[dict]:
    if isinstance(part, dict):
        own = [part] if "Effect" in part else []
        return own + [one for value in part.values() for one in statements(value)]
    if isinstance(part, list):
        return [one for value in part for one in statements(value)]
    return []


@pytest.mark.parametrize("kind", MAKE)
def test_cfn_lint_finds_nothing(kind):
    for settings in VARIANTS:
        assert linted(made(kind, *settings)) == []


@pytest.mark.parametrize("kind", MAKE)
def test_no_right_is_wider_than_it_needs_to_be(kind):
    for statement in statements(made(kind, *VARIANTS[1])["Resources"]):
        if statement["Effect"] == "Deny" or "Principal" in statement:
            continue
        assert not [action for action in statement["Action"] if "*" in action], statement["Sid"]
        for resource in statement["Resource"]:
            assert resource != "*", statement["Sid"]


def test_a_new_package_is_a_new_version_that_codedeploy_moves_to():
    first, second = (
        lambda_template(planned("lambda", PLACE), digest=digit * 64)["Resources"] for digit in "ab"
    )
    versions = [
        {name for name, one in found.items() if one["Type"] == "AWS::Lambda::Version"}
        for found in (first, second)
    ]
    assert versions[0] != versions[1]
    alias = first["Alias"]
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]
    group = first["Group"]["Properties"]
    alarms = {one["Name"]["Ref"] for one in group["AlarmConfiguration"]["Alarms"]}
    own = {name for name, one in first.items() if one["Type"].endswith("::Alarm")}
    # Drift is no fault of a version.
    assert alarms == {name for name in own if not name.startswith("Monitor")}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    routing = first["Config"]["Properties"]["TrafficRoutingConfig"]
    assert routing["TimeBasedCanary"] == {"CanaryPercentage": 10, "CanaryInterval": 10}


def test_the_address_takes_signed_requests_of_named_callers_only():
    resources = made("lambda", *VARIANTS[1])["Resources"]
    assert resources["Url"]["Properties"]["AuthType"] == "AWS_IAM"
    callers = {
        one["Properties"]["Principal"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::Permission"
    }
    assert callers == {"arn:aws:iam::111122223333:role/app", "events.amazonaws.com"}
    assert "Caller1" not in made("lambda", PLACE)["Resources"]


def test_every_roll_out_of_a_service_goes_back_on_an_alarm():
    for settings, strategy in zip(VARIANTS, ("CANARY", "LINEAR", "BLUE_GREEN"), strict=True):
        service = made("ecs", *settings)["Resources"]["Service"]["Properties"]
        moves = service["DeploymentConfiguration"]
        assert moves["Strategy"] == strategy
        assert moves["Alarms"]["Rollback"] is True
        assert len(moves["Alarms"]["AlarmNames"]) == 4


def test_cfn_lint_would_find_a_misspelt_property():
    broken = copy.deepcopy(made("ecs", PLACE))
    moves = broken["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]
    moves["Strategy"] = "CANARI"
    assert linted(broken)


def test_files_of_codedeploy_agree_with_each_other():
    files = revision_files(planned("ec2", PLACE))
    spec = yaml.safe_load(files["appspec.yml"])
    hooks = {one["location"] for steps in spec["hooks"].values() for one in steps}
    assert hooks == {name for name in files if name.startswith("hooks/")}
    assert {one["source"] for one in spec["files"]} - {"code"} <= set(files)
    assert "CRISP_MODEL=s3://orders-models/crisp/models/" in files["endpoint.env"]


def test_a_pipeline_tests_before_it_deploys_and_asks_a_person():
    stages = made("pipeline", PLACE)["Resources"]["Pipeline"]["Properties"]["Stages"]
    assert [stage["Name"] for stage in stages] == ["Source", "Test", "Package", "Deploy"]
    assert [one["Name"] for one in stages[3]["Actions"]] == ["Propose", "Agree", "RollOut"]
    assert any("--to lambda --upload" in line for line in PACKAGE["phases"]["build"]["commands"])


def test_the_shadow_is_named_to_every_endpoint_that_has_one():
    names = {
        kind: json.dumps(made(kind, *VARIANTS[1])) + "".join(files)
        for kind, files in {
            "lambda": (),
            "ecs": (),
            "ec2": revision_files(planned("ec2", *VARIANTS[1])).values(),
        }.items()
    }
    assert '"CRISP_SHADOW": "challenger"' in names["lambda"]
    assert '{"Name": "CRISP_SHADOW", "Value": "challenger"}' in names["ecs"]
    assert "CRISP_SHADOW=challenger" in names["ec2"]
    assert "CRISP_SHADOW" not in json.dumps(made("ecs", PLACE))


def test_a_function_that_carries_its_model_has_no_shadow():
    with pytest.raises(UsageError, match="finds no second one"):
        planned("lambda", PLACE, "deployment.endpoint.shadow=challenger")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("deployment.endpoint.inbox=s3://a/in",), "belong together"),
        (
            ("deployment.endpoint.inbox=s3://a/in", "deployment.endpoint.outbox=s3://a/in/x"),
            "lies below inbox",
        ),
        (("deployment.endpoint.least_tasks=9",), "above most_tasks"),
        (("deployment.endpoint.shadow=champion",), "name another one"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(SpecError, match=words):
        planned("lambda", *settings)


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(UsageError, match="beanstalk") as caught:
        planned("beanstalk", PLACE)
    assert "lambda" in caught.value.hint


def test_a_package_depends_on_its_content_alone(tmp_path):
    wheel = tmp_path / "numpy-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("numpy/__init__.py", "")
        archive.writestr("numpy/tests/test_x.py", "")
        archive.writestr("numpy/__init__.pyi", "")
    first, second = (function_zip([wheel], b"bundle") for _ in range(2))
    assert first.digest == second.digest
    assert function_zip([wheel], b"other").digest != first.digest
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        names = set(archive.namelist())
        assert archive.read("model.crisp.zip") == b"bundle"
    assert {"app.py", "numpy/__init__.py", "crisp_spark/errors.py"} <= names
    assert "crisp_spark/serving/endpoint/on_lambda.py" in names
    assert not [name for name in names if "tests" in name or name.endswith(".pyi")]
    assert not [name for name in names if name.startswith(("crisp_spark/aws", "crisp_spark/cli"))]


def test_a_package_that_lambda_would_refuse_is_refused_first(monkeypatch):
    monkeypatch.setattr("crisp_spark.aws.rollout.zips.LARGEST_UNPACKED", 1000)
    with pytest.raises(UsageError, match="Lambda takes"):
        function_zip([], b"x" * 2000)


def test_an_image_is_built_from_pinned_parts():
    files = image_folder(constraints_text(), architecture="arm64", bundle=b"bundle")
    requirements = files["code/requirements.txt"].decode()
    assert "fastapi==" in requirements
    assert requirements.count("--hash=sha256:") > requirements.count("==")
    text = dockerfile("arm64", with_model=True)
    for line in text.splitlines():
        if line.startswith("COPY"):
            source = line.split()[1]
            assert any(name == source or name.startswith(f"{source}/") for name in files), line
    assert "USER 10001" in text
    assert "/opt/ml/model" not in dockerfile("x86_64", with_model=False)
    assert packed_files(files).unpacked_bytes > 100_000
