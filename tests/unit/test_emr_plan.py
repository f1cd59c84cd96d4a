"""The request that a plan would send, checked by the service model, and the hazards it names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pytest

from crisp_spark.aws.emr.hazards import cluster_hazards
from crisp_spark.aws.emr.instances import (
    architecture_of,
    memory_gib_of,
    steady_types,
    task_types,
    vcpu_of,
)
from crisp_spark.aws.emr.plan import plan_cluster
from crisp_spark.aws.emr.validate import validate_request
from crisp_spark.aws.manifest import PublishedPackage
from crisp_spark.errors import SpecError, UsageError
from crisp_spark.spec.compute import EmrCompute

GOLDEN = Path(__file__).with_name("golden_emr_plan.json")
SUBNETS = ("subnet-0a1", "subnet-0b2")


@dataclass(frozen=True)
class FakePackage:
    manifest_uri: str = "s3://bucket/crisp/packages/1/manifest.json"
    bootstrap_uri: str = "s3://bucket/crisp/packages/1/node.sh"
    environment_uri: str | None = "s3://bucket/crisp/packages/1/environment.tar.gz"
    code_digest: str = "0123456789abcdef0123"
    architecture: str = "aarch64"
    python: str = "3.11"


def compute(**values) -> EmrCompute:
    base = {
        "kind": "emr",
        "region": "eu-central-1",
        "artifacts": "s3://bucket/crisp",
        "subnets": SUBNETS,
    }
    return EmrCompute.model_validate(base | values)


def plan(**values):
    return plan_cluster(compute(**values), project="demo", package=FakePackage())


def ids(planned) -> set[str]:
    return {hazard.id for hazard in planned.hazards()}


def faults(planned) -> list[str]:
    return [hazard.id for hazard in planned.hazards() if hazard.severity == "fault"]


def test_the_request_is_the_one_that_was_reviewed():
    """Written anew with ``python -m tests.unit.test_emr_plan`` when a change is meant."""
    assert golden_request() == json.loads(GOLDEN.read_text())


def golden_request() -> dict:
    planned = plan()
    step = planned.step("charter", planned.spark_submit("s3://bucket/crisp/jobs/10_charter.py"))
    return planned.run_job_flow(name="crisp-demo-1", tags={"crisp:run": "r1"}, steps=[step])


def test_the_default_request_satisfies_the_service_model_and_our_rules():
    assert validate_request("RunJobFlow", golden_request()) == []
    assert validate_request("CreateSecurityConfiguration", plan().security_configuration()) == []
    assert faults(plan()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Instancez": {}}, "Instancez"),
        ({"EbsRootVolumeSize": "32"}, "EbsRootVolumeSize"),
        ({"ScaleDownBehavior": "WHENEVER"}, "none of TERMINATE_AT_INSTANCE_HOUR"),
        ({"EbsRootVolumeSize": 5}, "not between 15 and 100"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 1}}, "not between 60 and 604800"),
        ({"LogUri": "/tmp/logs"}, "no S3 URI"),
        ({"AmiVersion": "3.1"}, "exclude each other"),
        ({"StepConcurrencyLevel": 5}, "can only CONTINUE"),
        (
            {
                "ManagedScalingPolicy": {
                    "ComputeLimits": {
                        "UnitType": "VCPU",
                        "MinimumCapacityUnits": 9,
                        "MaximumCapacityUnits": 8,
                    }
                }
            },
            "minimum <= maximum",
        ),
    ],
)
def test_a_wrong_request_is_told_before_it_is_sent(change, said):
    found = validate_request("RunJobFlow", golden_request() | change)
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (0, {"InstanceFleetType": "BOSS"}, "none of MASTER, CORE, TASK"),
        (0, {"TargetOnDemandCapacity": 2}, "add up to 1"),
        (2, {"InstanceFleetType": "CORE"}, "2 fleets of type CORE"),
        (2, {"InstanceTypeConfigs": []}, "no instance type"),
        (
            2,
            {"InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}] * 2},
            "m5.xlarge is named twice",
        ),
        (
            2,
            {
                "LaunchSpecifications": {
                    "SpotSpecification": {
                        "TimeoutDurationMinutes": 2,
                        "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                    }
                }
            },
            "not between 5 and 1440",
        ),
        (
            2,
            {
                "LaunchSpecifications": {
                    "SpotSpecification": {
                        "TimeoutDurationMinutes": 5,
                        "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                        "AllocationStrategy": "bogus",
                    }
                }
            },
            "'bogus' is none of",
        ),
    ],
)
def test_a_wrong_fleet_is_told(number, change, said):
    request = golden_request()
    request["Instances"]["InstanceFleets"][number] |= change
    found = validate_request("RunJobFlow", request)
    assert any(said in line for line in found), found


def test_core_and_task_count_in_vcpu_and_the_core_never_scales():
    limits = plan(core={"nodes": 3}, task={"min_vcpu": 8, "max_vcpu": 100}).run_job_flow()[
        "ManagedScalingPolicy"
    ]["ComputeLimits"]
    assert limits == {
        "UnitType": "InstanceFleetUnits",
        "MinimumCapacityUnits": 20,
        "MaximumCapacityUnits": 112,
        "MaximumOnDemandCapacityUnits": 12,
        "MaximumCoreCapacityUnits": 12,
    }


def test_without_task_machines_there_is_no_task_fleet():
    request = plan(task={"max_vcpu": 0}).run_job_flow()
    kinds = [fleet["InstanceFleetType"] for fleet in request["Instances"]["InstanceFleets"]]
    assert kinds == ["MASTER", "CORE"]
    assert "ManagedScalingPolicy" not in request
    assert validate_request("RunJobFlow", request) == []


def test_a_cluster_with_steps_ends_after_them_and_one_without_waits():
    assert golden_request()["Instances"]["KeepJobFlowAliveWhenNoSteps"] is False
    assert plan().run_job_flow()["Instances"]["KeepJobFlowAliveWhenNoSteps"] is True


def test_settings_of_the_project_file_win_and_secrets_stay_out():
    conf = {"spark.task.maxFailures": 3, "spark.x": True, "spark.my.token": "${env:TOKEN}"}
    request = plan(conf=conf).run_job_flow()
    defaults = {one["Classification"]: one["Properties"] for one in request["Configurations"]}[
        "spark-defaults"
    ]
    assert (defaults["spark.task.maxFailures"], defaults["spark.x"]) == ("3", "true")
    assert "spark.my.token" not in defaults
    assert "TOKEN" not in json.dumps(request)


def test_every_part_of_an_application_uses_the_built_interpreter():
    text = json.dumps(plan().run_job_flow()["Configurations"])
    assert text.count("/opt/crisp/0123456789abcdef0123/bin/python") == 4


def test_a_published_package_fits_a_plan():
    published = PublishedPackage(
        **asdict(FakePackage()),
        wheel_uri="s3://b/w.whl",
        code_zip_uri="s3://b/c.zip",
        jobs_uri="s3://b/jobs",
    )
    planned = plan_cluster(compute(), project="demo", package=published)
    assert planned == plan()
    (action,) = planned.run_job_flow()["BootstrapActions"]
    assert action["ScriptBootstrapAction"]["Args"] == [published.manifest_uri]
    assert planned.package.interpreter in json.dumps(planned.run_job_flow())


def test_an_overlay_merges_last_and_is_checked_again():
    changed = plan(overlay={"Instances": {"TerminationProtected": True}, "LogUri": None})
    request = changed.run_job_flow()
    assert request["Instances"]["InstanceFleets"]
    assert "LogUri" not in request
    assert {"protected", "no_logs"} <= set(faults(changed))


def test_an_overlay_merges_configurations_by_classification():
    more = [{"Classification": "yarn-site", "Properties": {"yarn.x": "1"}}]
    request = plan(overlay={"Configurations": more}).run_job_flow()
    yarn = next(c for c in request["Configurations"] if c["Classification"] == "yarn-site")
    assert yarn["Properties"]["yarn.x"] == "1"
    assert yarn["Properties"]["yarn.node-labels.enabled"] == "true"
    assert len(request["Configurations"]) > 3


def test_an_overlay_with_an_unknown_field_is_refused():
    with pytest.raises(SpecError, match="did you mean 'Instances'"):
        plan(overlay={"Instance": {}})


def test_spot_core_in_an_overlay_is_a_fault():
    fleets = golden_request()["Instances"]["InstanceFleets"]
    fleets[1] |= {"TargetSpotCapacity": 8, "TargetOnDemandCapacity": 0}
    assert "spot_core" in faults(plan(overlay={"Instances": {"InstanceFleets": fleets}}))


@pytest.mark.parametrize(
    ("values", "hazard"),
    [
        ({"task": {"instance_types": ["m5.xlarge", "m6g.xlarge"]}}, "mixed_architectures"),
        ({"architecture": "x86_64"}, "package_architecture"),
        ({"task": {"instance_types": ["m6g.xlarge", "m7g.xlarge"]}}, "few_types"),
        ({"task": {"instance_types": ["c7g.xlarge"]}}, "executor_size"),
        ({"core": {"instance_types": ["m7g.xlarge", "m7g.2xlarge"]}}, "uneven_core"),
        ({"core": {"nodes": 1}}, "one_core"),
        ({"release": "emr-7.12.0"}, "untested_release"),
        ({"overlay": {"Applications": [{"Name": "Hadoop"}]}}, "applications"),
        ({"overlay": {"Configurations": [{"Classification": "emrfs-site"}]}}, "emrfs"),
        ({"overlay": {"Tags": []}}, "missing_tag"),
        ({"overlay": {"AutoTerminationPolicy": None}}, "no_idle_end"),
        ({"overlay": {"Instances": {"Ec2KeyName": "me"}}}, "ssh_key"),
        ({"driver_memory_gib": 12}, "driver_size"),
        (
            {
                "overlay": {
                    "Configurations": [
                        {
                            "Classification": "yarn-site",
                            "Properties": {"yarn.node-labels.enabled": "false"},
                        }
                    ]
                }
            },
            "am_on_spot",
        ),
        (
            {
                "overlay": {
                    "ManagedScalingPolicy": {"ComputeLimits": {"MaximumCoreCapacityUnits": 20}}
                }
            },
            "core_scales",
        ),
        ({"subnets": ()}, "no_subnet"),
        ({"subnets": ("subnet-0a1",)}, "one_subnet"),
    ],
)
def test_hazards_are_found(values, hazard):
    assert hazard not in ids(plan())
    assert hazard in ids(plan(**values))


def test_a_low_bid_is_a_hazard():
    fleets = golden_request()["Instances"]["InstanceFleets"]
    fleets[2]["InstanceTypeConfigs"][0]["BidPriceAsPercentageOfOnDemandPrice"] = 40.0
    assert "low_bid" in ids(plan(overlay={"Instances": {"InstanceFleets": fleets}}))


def test_a_release_past_its_support_is_a_fault():
    planned = plan(release="emr-spark-8.0.0")
    request = planned.run_job_flow()

    def on(day: date) -> set[str]:
        found = cluster_hazards(planned.compute, request, planned.package, today=day)
        return {hazard.id for hazard in found}

    assert "unsupported_release" in on(date(2027, 6, 1))
    assert "support_ends" in on(date(2027, 4, 1))
    assert not {"unsupported_release", "support_ends"} & on(date(2026, 11, 24))


def test_an_older_line_gets_hadoop_by_name():
    names = [one["Name"] for one in plan(release="emr-7.14.0").run_job_flow()["Applications"]]
    assert names == ["Hadoop", "Spark", "AmazonCloudWatchAgent"]
    assert faults(plan(release="emr-7.14.0")) == []


def test_a_line_that_is_too_long_for_a_step_is_refused():
    with pytest.raises(UsageError, match="10240"):
        plan().step("long", plan().spark_submit("s3://b/j.py", ["x" * 10_240]))


def test_on_our_cluster_only_the_jobs_own_settings_are_on_the_line():
    line = plan().spark_submit("s3://b/j.py", ["--run-id", "r1"], conf={"spark.y": "1"})
    assert line == [
        *("spark-submit", "--deploy-mode", "cluster", "--conf", "spark.y=1"),
        *("s3://b/j.py", "--run-id", "r1"),
    ]


def test_on_another_cluster_the_environment_travels_along():
    planned = plan(cluster_id="j-ABC123")
    line = planned.spark_submit("s3://b/j.py")
    assert f"spark.archives={FakePackage().environment_uri}#environment" in line
    assert "spark.pyspark.python=./environment/bin/python" in line
    assert "spark.stage.maxConsecutiveAttempts=12" in line
    assert planned.step("s", line)["ActionOnFailure"] == "CONTINUE"
    with pytest.raises(UsageError, match="client mode"):
        plan(cluster_id="j-ABC123", deploy_mode="client").spark_submit("s3://b/j.py")


def test_a_security_configuration_is_named_after_its_content():
    role = "arn:aws:iam::111122223333:role/data"
    key = "arn:aws:kms:eu-central-1:111122223333:key/1"
    plain, other = plan().security_configuration(), plan(runtime_role=role, kms_key=key)
    assert plain["Name"] == plan().run_job_flow()["SecurityConfiguration"]
    assert plain["Name"] != other.security_configuration()["Name"]
    content = json.loads(other.security_configuration()["SecurityConfiguration"])
    assert content["AuthorizationConfiguration"]["IAMConfiguration"][
        "EnableApplicationScopedIAMRole"
    ]
    assert (
        content["InstanceMetadataServiceConfiguration"]["MinimumInstanceMetadataServiceVersion"]
        == 2
    )
    assert plan(security_configuration="mine").security_configuration() is None


def test_a_plan_explains_itself():
    said = {choice.what: choice for choice in plan().explain()}
    assert "YARN labels" in said["application master"].value
    assert said["task"].value == "16 vCPU at first, 0 to 64, spot"
    assert said["an hour at most"].value.endswith("USD")


def test_what_names_say_of_types():
    assert [vcpu_of(f"m5.{size}") for size in ("large", "xlarge", "12xlarge")] == [2, 4, 48]
    kinds = {"m6g.xlarge": "aarch64", "g4dn.xlarge": "x86_64", "c7gn.xlarge": "aarch64"}
    assert {name: architecture_of(name) for name in kinds} == kinds
    assert (memory_gib_of("r7g.2xlarge"), memory_gib_of("i4i.xlarge")) == (64, None)
    with pytest.raises(SpecError, match="metal"):
        vcpu_of("m5.metal")
    for kind in ("aarch64", "x86_64"):
        assert len(task_types(kind)) >= 10
        assert {architecture_of(name) for name in steady_types(kind) + task_types(kind)} == {kind}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden_request(), indent=1) + "\n")
