"""Small clusters for tests: one on-demand machine, two spot machines, steps that are commands."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from emr.loopback import LoopbackEmr, Options

BUCKET = "logs"
LOG_URI = f"s3://{BUCKET}/emr/"
QUICK = Options(provisioning=0.02, ending=0.01, log_upload=0.2, idle_scale=0.01, grace=3.0)


@contextmanager
def serving(options: Options = QUICK) -> Iterator[LoopbackEmr]:
    with LoopbackEmr(options) as loopback:
        loopback.client("s3").create_bucket(Bucket=BUCKET)
        yield loopback


def step(*args: str, name: str = "a step", action: str = "CONTINUE") -> dict[str, Any]:
    return {
        "Name": name,
        "ActionOnFailure": action,
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(args)},
    }


def shell(script: str, **more: str) -> dict[str, Any]:
    return step("bash", "-c", script, **more)


def request(*steps: dict[str, Any], keep: bool = False, **more: Any) -> dict[str, Any]:
    fleets = [
        {
            "Name": "primary",
            "InstanceFleetType": "MASTER",
            "TargetOnDemandCapacity": 1,
            "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}],
        },
        {
            "Name": "task",
            "InstanceFleetType": "TASK",
            "TargetSpotCapacity": 8,
            "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": 4}],
            "LaunchSpecifications": {
                "SpotSpecification": {
                    "TimeoutDurationMinutes": 10,
                    "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                    "AllocationStrategy": "price-capacity-optimized",
                }
            },
        },
    ]
    return {
        "Name": "test",
        "ReleaseLabel": "emr-spark-8.1.0",
        "LogUri": LOG_URI,
        "Applications": [{"Name": "Spark"}],
        "Instances": {"InstanceFleets": fleets, "KeepJobFlowAliveWhenNoSteps": keep},
        "JobFlowRole": "node",
        "ServiceRole": "service",
        "Steps": list(steps),
        **more,
    }


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the first value that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {true}")


class Watched:
    """One cluster, as boto3 tells it."""

    def __init__(self, loopback: LoopbackEmr, asked: dict[str, Any]) -> None:
        self.emr = loopback.client("emr")
        self.s3 = loopback.client("s3")
        self.id = self.emr.run_job_flow(**asked)["JobFlowId"]

    @property
    def status(self) -> dict[str, Any]:
        return self.emr.describe_cluster(ClusterId=self.id)["Cluster"]["Status"]

    @property
    def steps(self) -> list[dict[str, Any]]:
        pages = self.emr.get_paginator("list_steps").paginate(ClusterId=self.id)
        return [one for page in pages for one in page["Steps"]][::-1]

    @property
    def states(self) -> list[str]:
        return [one["Status"]["State"] for one in self.steps]

    def wait(self, *states: str) -> dict[str, Any]:
        return until(lambda: self.status["State"] in states and self.status)

    def end(self) -> dict[str, Any]:
        return self.wait("TERMINATED", "TERMINATED_WITH_ERRORS")

    def wait_steps(self, *states: str) -> None:
        until(lambda: self.states == list(states))

    def log(self, below: str) -> str:
        found = self.s3.get_object(Bucket=BUCKET, Key=f"emr/{self.id}/{below}.gz")
        return gzip.decompress(found["Body"].read()).decode()

    def step_log(self, number: int, name: str) -> str:
        return self.log(f"steps/{self.steps[number]['Id']}/{name}")
