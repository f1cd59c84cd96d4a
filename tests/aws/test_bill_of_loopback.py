"""The plan's own request on the loop-back EMR, and the bill of what it did there."""

from __future__ import annotations

from crisp_spark.aws.bill import report
from crisp_spark.aws.clients import Clients
from crisp_spark.aws.emr.plan import plan_cluster
from crisp_spark.aws.lifetimes import read_cluster
from crisp_spark.aws.pricing import bundled
from crisp_spark.spec.compute import EmrCompute
from tests.aws.loopback_fixtures import BUCKET, serving, shell, until

REGION = "us-east-1"


def test_a_planned_cluster_runs_and_its_bill_names_markets_and_losses():
    compute = EmrCompute.model_validate(
        {
            "kind": "emr",
            "region": REGION,
            "artifacts": f"s3://{BUCKET}/crisp",
            "task": {"start_vcpu": 8},
        }
    )
    plan = plan_cluster(compute, project="demo", package=None)
    step = shell("sleep 30", action="TERMINATE_CLUSTER")
    with serving() as loopback:
        emr = loopback.client("emr")
        request = plan.run_job_flow(name="planned", steps=[step])
        cluster = emr.run_job_flow(**request)["JobFlowId"]

        def state() -> str:
            steps = emr.list_steps(ClusterId=cluster)["Steps"]
            return steps[0]["Status"]["State"] if steps else ""

        until(lambda: state() == "RUNNING")
        first = emr.list_steps(ClusterId=cluster)["Steps"][0]["Id"]
        emr.add_tags(ResourceId=cluster, Tags=[{"Key": "loopback:lose", "Value": first}])
        until(
            lambda: emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"][
                "State"
            ].startswith("TERMINATED"),
            30,
        )
        life = read_cluster(Clients(REGION, {("emr", REGION): emr}), cluster)
    assert {one.role for one in life.lives} == {"primary", "core", "task"}
    found = report(life, bundled(REGION), history={}, compute=compute)
    assert {line.market for line in found.lines} == {"ON_DEMAND", "SPOT"}
    assert found.machines["ON_DEMAND"] == 3
    assert found.interruptions == 2
    assert found.redone_seconds > 0
    # Everything lived for seconds and is paid for a minute.
    assert 0 < found.total < 0.1
