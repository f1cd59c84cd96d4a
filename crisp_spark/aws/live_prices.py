"""Current prices, asked of AWS: on demand and EMR's fee from the price list, spot from EC2."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.pricing import Prices, Range
from crisp_spark.errors import SpecError

PRICE_LIST_REGION = "us-east-1"
"""Region that answers for the prices of all."""

_LINUX = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]
_DAY = timedelta(days=1)
_MOST_GB_MONTH = 1.0  # dearer entries of the list are throughput and IOPS, not capacity


def live_prices(aws: Clients, instance_types: Sequence[str]) -> Prices:
    """Ask AWS for the current prices of some instance types in a Region.

    Needs ``pricing:GetProducts`` and ``ec2:DescribeSpotPriceHistory``. A spot range is the lowest,
    mean and highest price of the last day over all availability zones.

    Args:
        aws: Clients of the Region.
        instance_types: Types.

    Raises:
        CrispError: AWS did not answer or refused, or lists no price for any of the types.
    """
    on_demand, fees = {}, {}
    for name in dict.fromkeys(instance_types):
        price = _listed(aws, "AmazonEC2", _machine(name))
        if price is not None:
            on_demand[name] = price
        fee = _listed(aws, "ElasticMapReduce", {"instanceType": name, "softwareType": "EMR"})
        if fee is not None:
            fees[name] = fee
    if not on_demand:
        raise SpecError(
            f"live prices: AWS lists none for {', '.join(instance_types)} in {aws.region}"
        )
    disk = _listed(aws, "AmazonEC2", {"productFamily": "Storage", "volumeApiName": "gp3"})
    if disk is None or disk > _MOST_GB_MONTH:
        raise SpecError(f"live prices: AWS lists no price of gp3 disks in {aws.region}")
    return Prices(
        region=aws.region,
        source="live",
        as_of=datetime.now(UTC).date(),
        ebs_gb_month=disk,
        on_demand=on_demand,
        fees=fees,
        spot=_spot(aws, sorted(on_demand)),
    )


def _machine(instance_type: str) -> dict[str, str]:
    return {
        "instanceType": instance_type,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "preInstalledSw": "NA",
    }


def _listed(aws: Clients, service: str, wanted: Mapping[str, str]) -> float | None:
    """Return the lowest listed price above nothing, or None."""
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in {**wanted, "regionCode": aws.region}.items()
    ]
    with translated(f"prices of {service}"):
        client = aws.get("pricing", region=PRICE_LIST_REGION)
        pages = client.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters)
        entries = [json.loads(text) for page in pages for text in page["PriceList"]]
    found = [price for entry in entries for price in _usd(entry) if price > 0]
    return min(found) if found else None


def _usd(entry: Mapping[str, Any]) -> list[float]:
    return [
        float(dimension["pricePerUnit"]["USD"])
        for term in entry.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term.get("priceDimensions", {}).values()
        if "USD" in dimension.get("pricePerUnit", {})
    ]


def _spot(aws: Clients, instance_types: Sequence[str]) -> dict[str, Range]:
    found: dict[str, list[float]] = {}
    with translated("spot prices"):
        pages = (
            aws.get("ec2")
            .get_paginator("describe_spot_price_history")
            .paginate(
                InstanceTypes=list(instance_types),
                ProductDescriptions=_LINUX,
                StartTime=datetime.now(UTC) - _DAY,
            )
        )
        for page in pages:
            for entry in page["SpotPriceHistory"]:
                found.setdefault(entry["InstanceType"], []).append(float(entry["SpotPrice"]))
    return {
        name: Range(min(prices), sum(prices) / len(prices), max(prices))
        for name, prices in found.items()
    }
