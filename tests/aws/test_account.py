"""What is read of an account: subnets, releases, prices, the lives of machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from crisp_spark.aws.bill import report
from crisp_spark.aws.clients import Clients
from crisp_spark.aws.emr.plan import plan_cluster
from crisp_spark.aws.emr.preflight import account_hazards
from crisp_spark.aws.emr.releases import TESTED
from crisp_spark.aws.lifetimes import cluster_of_run, read_cluster, spot_history
from crisp_spark.aws.live_prices import PRICE_LIST_REGION, live_prices
from crisp_spark.aws.pricing import Range, bundled
from crisp_spark.errors import AccessError, SpecError
from crisp_spark.spec.compute import EmrCompute

REGION = "us-east-1"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE = datetime(2026, 11, 24, 13, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def compute(**values) -> EmrCompute:
    base = {"kind": "emr", "region": REGION, "artifacts": "s3://bucket/crisp"}
    return EmrCompute.model_validate(base | values)


def hazards(**values) -> set[str]:
    return {found.id for found in account_hazards(compute(**values), Clients(REGION))}


@mock_aws
def test_default_types_are_offered_by_both_tested_releases():
    for architecture in ("aarch64", "x86_64"):
        for release in TESTED:
            assert hazards(release=release, architecture=architecture) == set()
    assert hazards(release="emr-7.99.0") == {"release_absent"}
    odd = {"instance_types": ["m99z.xlarge"]}
    assert hazards(release="emr-7.14.0", primary=odd) == {"type_absent"}


@mock_aws
def test_subnets_are_looked_at():
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/28")["Subnet"]["SubnetId"]
    found = hazards(release="emr-7.14.0", subnets=[subnet])
    assert found == {"few_addresses", "subnet_tag"}
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    ec2.create_route(
        RouteTableId=table["RouteTables"][0]["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway,
    )
    tag = {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}
    ec2.create_tags(Resources=[subnet], Tags=[tag])
    found = hazards(release="emr-7.14.0", subnets=[subnet], task={"max_vcpu": 4})
    assert found == {"public_subnet"}


@mock_aws
def test_a_named_security_configuration_is_looked_into():
    emr = boto3.client("emr", region_name=REGION)
    emr.create_security_configuration(Name="weak", SecurityConfiguration="{}")
    found = hazards(release="emr-7.14.0", security_configuration="weak")
    assert found == {"metadata_v1", "unencrypted"}
    ours = plan_cluster(compute(), project="demo", package=None).security_configuration()
    emr.create_security_configuration(**ours)
    assert hazards(release="emr-7.14.0", security_configuration=ours["Name"]) == set()


@pytest.fixture
def stubs():
    """Clients whose answers are checked against the service models."""
    made = {}
    for service, region in (("emr", REGION), ("ec2", REGION), ("pricing", PRICE_LIST_REGION)):
        client = boto3.client(service, region_name=region)
        made[service, region] = Stubber(client)
        made[service, region].activate()
    aws = Clients(REGION, {key: stub.client for key, stub in made.items()})
    return aws, {service: stub for (service, _), stub in made.items()}


def instance(number: int, market: str, fleet: str, **status) -> dict:
    return {
        "Id": f"ci-{number}",
        "Ec2InstanceId": f"i-{number}",
        "InstanceType": "m5.xlarge",
        "Market": market,
        "InstanceFleetId": fleet,
        "Status": {
            "State": "TERMINATED",
            "Timeline": {"CreationDateTime": NOON, "EndDateTime": ONE},
            **status,
        },
    }


def test_a_bill_is_made_of_what_emr_and_ec2_tell(stubs):
    aws, answers = stubs
    emr = answers["emr"]
    emr.add_response(
        "describe_cluster",
        {
            "Cluster": {
                "Status": {"State": "TERMINATED_WITH_ERRORS"},
                "Ec2InstanceAttributes": {"Ec2AvailabilityZone": "us-east-1a"},
            }
        },
    )
    emr.add_response(
        "list_instance_fleets",
        {
            "InstanceFleets": [
                {"Id": "if-1", "InstanceFleetType": "MASTER"},
                {"Id": "if-2", "InstanceFleetType": "TASK"},
            ]
        },
    )
    lost = {"StateChangeReason": {"Code": "INSTANCE_FAILURE", "Message": "gone"}}
    machines = [instance(1, "ON_DEMAND", "if-1"), instance(2, "SPOT", "if-2", **lost)]
    emr.add_response("list_instances", {"Instances": machines})
    failed = {
        "State": "FAILED",
        "Timeline": {"StartDateTime": NOON, "EndDateTime": ONE},
    }
    emr.add_response("list_steps", {"Steps": [{"Status": failed}]})
    life = read_cluster(aws, "j-1")
    assert (life.zone, life.is_over, life.redone_seconds) == ("us-east-1a", True, 3600.0)
    assert [(one.role, one.market, one.interrupted) for one in life.lives] == [
        ("primary", "ON_DEMAND", False),
        ("task", "SPOT", True),
    ]
    price = {"InstanceType": "m5.xlarge", "SpotPrice": "0.08", "Timestamp": NOON}
    answers["ec2"].add_response(
        "describe_spot_price_history",
        {"SpotPriceHistory": [price]},
        {
            "InstanceTypes": ["m5.xlarge"],
            "ProductDescriptions": ANY,
            "StartTime": NOON,
            "EndTime": ONE,
            "AvailabilityZone": "us-east-1a",
        },
    )
    history = spot_history(aws, life.lives, life.zone)
    assert history == {"m5.xlarge": [(NOON, 0.08)]}
    found = report(life, bundled(REGION), history=history)
    assert found.total == pytest.approx(0.192 + 0.08 + 2 * 0.048)
    assert found.saved_by_spot == pytest.approx(0.112)


def test_the_cluster_of_a_scheduled_run_is_found_by_its_tag(stubs):
    aws, answers = stubs
    emr = answers["emr"]
    emr.add_response("list_clusters", {"Clusters": [{"Id": "j-3"}, {"Id": "j-2"}, {"Id": "j-1"}]})
    for tags in ([], [{"Key": "crisp:run-id", "Value": "r1"}]):
        emr.add_response("describe_cluster", {"Cluster": {"Tags": tags}})
    assert cluster_of_run(aws, "r1") == "j-2"
    emr.add_response("list_clusters", {"Clusters": []})
    assert cluster_of_run(aws, "r2") == ""


def test_without_permission_the_action_is_named(stubs):
    aws, answers = stubs
    answers["emr"].add_client_error("describe_cluster", "AccessDeniedException", "not you")
    with pytest.raises(AccessError, match="DescribeCluster"):
        read_cluster(aws, "j-1")


def listed(usd: str) -> dict:
    dimensions = {"d": {"pricePerUnit": {"USD": usd}}}
    return {
        "PriceList": [json.dumps({"terms": {"OnDemand": {"t": {"priceDimensions": dimensions}}}})]
    }


def test_live_prices_come_from_the_price_list_and_spot_from_the_last_day(stubs):
    aws, answers = stubs
    for usd in ("0.2", "0.05", "0.08"):
        answers["pricing"].add_response("get_products", listed(usd))
    answers["ec2"].add_response(
        "describe_spot_price_history",
        {
            "SpotPriceHistory": [
                {"InstanceType": "m5.xlarge", "SpotPrice": text} for text in ("0.06", "0.10")
            ]
        },
    )
    prices = live_prices(aws, ["m5.xlarge"])
    assert prices.on_demand_usd("m5.xlarge") == 0.2
    assert prices.fee_usd("m5.xlarge") == 0.05
    assert prices.spot_usd("m5.xlarge") == Range(0.06, 0.08, 0.10)
    assert prices.disk_usd(730) == pytest.approx(0.08)
    assert prices.source == "live"


def test_types_without_a_live_price_are_refused(stubs):
    aws, answers = stubs
    for _ in range(2):
        answers["pricing"].add_response("get_products", {"PriceList": []})
    with pytest.raises(SpecError, match=r"lists none for m5\.xlarge"):
        live_prices(aws, ["m5.xlarge"])
