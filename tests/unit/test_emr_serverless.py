"""The requests that a run on EMR Serverless would send, and the hazards it names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crisp_spark.aws.emr.serverless import plan_serverless, serverless_rate
from crisp_spark.aws.emr.validate import validate_request
from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import EmrServerlessCompute
from tests.unit.test_emr_plan import FakePackage

BASE = {
    "kind": "emr-serverless",
    "region": "us-east-1",
    "artifacts": "s3://bucket/crisp",
    "execution_role": "arn:aws:iam::111122223333:role/crisp",
    "max_executors": 2,
}


def plan(package=None, **values):
    compute = EmrServerlessCompute.model_validate(BASE | values)
    return plan_serverless(compute, project="demo", package=package or FakePackage())


def test_both_requests_satisfy_the_service_model():
    planned = plan(kms_key="arn:aws:kms:us-east-1:111122223333:key/1")
    assert validate_request("CreateApplication", planned.create_application()) == []
    request = planned.start_job_run("s3://b/run.py", ["--run-id", "r1"], run_id="r1")
    assert validate_request("StartJobRun", request) == []
    assert [hazard.id for hazard in planned.hazards()] == []


def test_a_repeated_start_carries_the_same_token():
    first, second = (plan().start_job_run("s3://b/run.py", run_id="r1") for _ in range(2))
    assert first["clientToken"] == second["clientToken"] == "r1"
    assert first["tags"]["crisp:run-id"] == "r1"


def test_the_ceiling_is_what_driver_and_executors_need():
    request = plan(executor={"vcpu": 8, "memory_gb": 32, "disk_gb": 300}).create_application()
    assert request["maximumCapacity"] == {"cpu": "20 vCPU", "memory": "80 GB", "disk": "620 GB"}
    assert request["architecture"] == "ARM64"


def test_settings_use_the_packed_environment_and_stay_in_the_worker():
    settings = plan(conf={"spark.task.maxFailures": 2}, executor={"disk_gb": 300}).settings()
    assert settings["spark.archives"].endswith("environment.tar.gz#environment")
    assert settings["spark.pyspark.python"] == "./environment/bin/python"
    assert settings["spark.executor.memory"] == "13g"
    assert settings["spark.task.maxFailures"] == "2"
    assert settings["spark.emr-serverless.executor.disk.type"] == "shuffle_optimized"
    assert not [key for key in settings if ".yarn." in key]


def test_the_overlay_is_laid_over_the_job_run():
    changed = plan(overlay={"executionTimeoutMinutes": 9}).start_job_run("s3://b/run.py")
    assert changed["executionTimeoutMinutes"] == 9
    with pytest.raises(SpecError, match="StartJobRun has no field 'name_'"):
        plan(overlay={"name_": "x"})


@pytest.mark.parametrize(
    ("values", "package", "hazard"),
    [
        ({"subnets": ("subnet-0a1",)}, FakePackage(), "security_groups"),
        ({}, replace(FakePackage(), environment_uri=None), "no_environment"),
        ({}, replace(FakePackage(), architecture="x86_64"), "package_architecture"),
        ({"max_executors": 16}, FakePackage(), "quota"),
        ({"release": "emr-7.13.0"}, FakePackage(), "untested_release"),
        ({"overlay": {"mode": "FAST"}}, FakePackage(), "request"),
    ],
)
def test_hazards_are_found(values, package, hazard):
    assert hazard in {found.id for found in plan(package, **values).hazards()}


def test_the_rate_counts_vcpu_memory_and_disk_beyond_the_free_part():
    compute = plan(architecture="x86_64", executor={"disk_gb": 120}).compute
    worker = 4 * 0.052624 + 16 * 0.0057785
    rate = serverless_rate(compute)
    assert rate.low == pytest.approx(worker)
    assert rate.high == pytest.approx(worker + 2 * (worker + 100 * 0.000111))
    assert "stops after 15 idle minutes" in plan().explain()[0].meaning
