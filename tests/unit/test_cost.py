"""What a run will cost and did cost, worked out by hand beside the program."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from crisp_spark.aws.bill import (
    BETWEEN,
    PhaseTime,
    clipped,
    integrated,
    report,
    serverless_report,
)
from crisp_spark.aws.cost import (
    STARTUP_MINUTES,
    Duration,
    PastStep,
    estimate,
    expected_duration,
    refuse_above_cap,
)
from crisp_spark.aws.emr.plan import plan_cluster
from crisp_spark.aws.emr.rates import cluster_rate
from crisp_spark.aws.lifetimes import ClusterLife, Life, life_of
from crisp_spark.aws.pricing import Prices, Range, bundled, serverless
from crisp_spark.errors import EX_SPEC, SpecError
from crisp_spark.reporting.cost_page import CostPage, CostRow, render_cost
from crisp_spark.spec.compute import EmrCompute

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def compute(**values) -> EmrCompute:
    base = {"kind": "emr", "region": "us-east-1", "artifacts": "s3://bucket/crisp"}
    return EmrCompute.model_validate(base | values)


def one_type(**values) -> EmrCompute:
    steady = {"instance_types": ["m5.xlarge"]}
    return compute(
        architecture="x86_64",
        primary=steady,
        core=steady,
        task={"instance_types": ["m5.xlarge"], "start_vcpu": 8, "max_vcpu": 16, "min_vcpu": 4},
        **values,
    )


def prices(**values) -> Prices:
    given = {
        "region": "us-east-1",
        "source": "live",
        "as_of": date(2026, 11, 24),
        "ebs_gb_month": 73.0,  # ten cents an hour
        "on_demand": {"m5.xlarge": 1.0},
        "fees": {"m5.xlarge": 0.25},
        "spot": {"m5.xlarge": Range(0.2, 0.4, 0.6)},
    }
    return Prices(**given | values)


def test_bundled_prices_are_those_of_the_sources():
    east, frankfurt = bundled("us-east-1"), bundled("eu-central-1")
    assert east.on_demand_usd("m5.4xlarge") == pytest.approx(0.768)
    assert east.fee_usd("m5.4xlarge") == pytest.approx(0.192)
    assert east.on_demand_usd("m6g.4xlarge") + east.fee_usd("m6g.4xlarge") == pytest.approx(0.77)
    # Public prices of the Region, held against the table's rule of thumb.
    for name, public in {"m5.xlarge": 0.230, "m6g.xlarge": 0.184, "r5.xlarge": 0.304}.items():
        assert frankfurt.on_demand_usd(name) == pytest.approx(public, rel=0.01)
    assert east.spot_usd("m5.xlarge").low < east.spot_usd("m5.xlarge").high < 0.192


def test_what_the_table_lacks_is_said():
    with pytest.raises(SpecError, match="no Region ap-south-2"):
        bundled("ap-south-2")
    with pytest.raises(SpecError, match="--live"):
        bundled("us-east-1").on_demand_usd("x2gd.xlarge")


def test_the_rate_adds_up():
    rate = cluster_rate(one_type(), prices())
    # Primary and two core machines; 4 to 16 vCPU of spot at 0.05 to 0.15 USD each.
    assert rate.on_demand == Range(3.0, 3.0, 3.0)
    assert rate.spot.low == pytest.approx(4 * 0.05)
    assert rate.spot.middle == pytest.approx(12 * 0.1)
    assert rate.spot.high == pytest.approx(16 * 0.15)
    assert rate.spot_on_demand.high == pytest.approx(4.0)
    assert rate.emr_fee.high == pytest.approx(3 * 0.25 + 4 * 0.25)
    disks = 64 + 32 + 2 * (128 + 32)
    assert rate.disks.low == pytest.approx((disks + 4 * (16 + 8)) * 0.1)


def test_a_declared_on_demand_part_of_the_task_fleet_is_paid_in_full():
    task = {"instance_types": ["m5.xlarge"], "start_vcpu": 8, "max_vcpu": 8, "on_demand_vcpu": 8}
    rate = cluster_rate(one_type().model_copy(update={"task": compute(task=task).task}), prices())
    assert rate.on_demand.middle == pytest.approx(5.0)
    assert rate.spot.high == 0.0


def test_an_estimate_is_rate_times_time_with_start_and_end():
    plan = plan_cluster(one_type(), project="demo", package=None)
    found = estimate(plan, Duration(Range(60, 60, 60), "known"), prices())
    assert found.minutes.middle == 60 + STARTUP_MINUTES.middle + 2
    rate = cluster_rate(one_type(), prices()).total
    assert found.total.middle == pytest.approx(rate.middle * found.minutes.middle / 60)
    assert sum(part.middle for part in found.parts.values()) == pytest.approx(found.total.middle)
    assert 0 < found.saved_by_spot < 1
    assert found.total.low < found.total.middle < found.total.high


def test_without_history_the_duration_is_a_guess_that_grows_with_the_data():
    small = expected_duration([], steps=["ingest"], input_bytes=0, place="emr")
    large = expected_duration([], steps=["ingest"], input_bytes=10 * 2**30, place="emr")
    assert "guess" in small.basis
    assert large.minutes.middle == small.minutes.middle + 30


def test_history_of_the_same_place_counts_most_and_grows_with_the_data():
    past = [
        PastStep("ingest", 600, 100, "local"),
        PastStep("ingest", 60, 100, "emr"),
        PastStep("sweep", 120, 100, "local"),
    ]
    found = expected_duration(past, steps=["ingest", "sweep"], input_bytes=200, place="emr")
    assert found.minutes.middle == pytest.approx((60 * 2 + 120 * 2) / 60)
    assert found.basis == "1 steps as they ran on emr, 1 steps as they ran elsewhere"
    assert found.minutes.high / found.minutes.middle > 1.6
    half = expected_duration(past[1:2], steps=["ingest", "split"], input_bytes=100, place="emr")
    assert half.minutes.middle == pytest.approx(2.0)
    assert "1 steps without a record" in half.basis


def test_the_cap_refuses_what_is_likely_above_and_warns_of_what_may_be():
    plan = plan_cluster(one_type(), project="demo", package=None)
    found = estimate(plan, Duration(Range(30, 60, 120), "known"), prices())
    assert refuse_above_cap(found, None) == ""
    assert refuse_above_cap(found, found.total.high + 1) == ""
    assert "sweep stops" in refuse_above_cap(found, found.total.middle + 0.01)
    with pytest.raises(SpecError, match=r"business\.max_cost_usd") as caught:
        refuse_above_cap(found, found.total.middle - 0.01)
    assert caught.value.exit_code == EX_SPEC


def test_a_price_that_changes_is_integrated_as_steps():
    points = [(at(0), 0.1), (at(30), 0.3), (at(90), 0.5)]
    assert integrated(points, at(0), at(60)) == pytest.approx(0.05 + 0.15)
    assert integrated(points, at(60), at(120)) == pytest.approx(0.15 + 0.25)
    assert integrated(points, at(-60), at(0)) == pytest.approx(0.1)
    assert integrated(points, at(100), at(100)) == 0.0


def lives() -> tuple[Life, ...]:
    return (
        Life("i-1", "m5.xlarge", "primary", "ON_DEMAND", at(0), at(120)),
        Life("i-2", "m5.xlarge", "task", "SPOT", at(30), at(90), interrupted=True),
    )


def cluster(**values) -> ClusterLife:
    return ClusterLife("j-1", "us-east-1", "us-east-1a", lives(), **values)


def test_a_bill_splits_by_phase_and_market_and_adds_up():
    phases = [
        PhaseTime("modeling", at(60), at(110)),
        PhaseTime("preparation", at(10), at(60)),
    ]
    history = {"m5.xlarge": [(at(0), 0.2), (at(60), 0.4)]}
    found = report(cluster(redone_seconds=90.0), prices(), history=history, phases=phases)
    lines = {(line.phase, line.market): line for line in found.lines}
    assert {key: line.hours * 60 for key, line in lines.items()} == pytest.approx(
        {
            (BETWEEN, "ON_DEMAND"): 20,
            ("preparation", "ON_DEMAND"): 50,
            ("preparation", "SPOT"): 30,
            ("modeling", "ON_DEMAND"): 50,
            ("modeling", "SPOT"): 30,
        }
    )
    assert lines["preparation", "SPOT"].ec2 == pytest.approx(0.1)
    assert lines["modeling", "SPOT"].ec2 == pytest.approx(0.2)
    assert found.saved_by_spot == pytest.approx(1.0 - 0.3)
    assert found.total == pytest.approx(2.0 + 0.3 + 3 * 0.25)
    assert (found.interruptions, found.machines) == (1, {"ON_DEMAND": 1, "SPOT": 1})
    assert found.metrics()["cost_usd"] == pytest.approx(found.total)
    assert found.metrics()["redone_seconds"] == 90.0


def test_a_bill_counts_disks_of_the_plan_and_says_what_it_guesses():
    found = report(cluster(is_over=False), prices(), history={}, compute=one_type())
    primary, task = (64 + 32) * 2, 16 * 4 + 32
    assert sum(line.ebs for line in found.lines) == pytest.approx((primary + task) * 0.1)
    spot = next(line for line in found.lines if line.market == "SPOT")
    assert spot.ec2 == pytest.approx(0.4)
    text = " ".join(found.notes)
    assert "no spot history of m5.xlarge" in text
    assert "still runs" in text


def test_serverless_is_what_aws_says_it_billed_divided_by_time():
    billed = {"vCPUHour": 10.0, "memoryGBHour": 40.0, "storageGBHour": 100.0}
    phases = [PhaseTime("preparation", at(0), at(10)), PhaseTime("modeling", at(10), at(40))]
    found = serverless_report("00f", billed, serverless("us-east-1", "x86_64"), phases=phases)
    whole = 10 * 0.052624 + 40 * 0.0057785 + 100 * 0.000111
    assert found.total == pytest.approx(whole)
    assert found.lines[1].total == pytest.approx(whole * 0.75)
    alone = serverless_report("00f", billed, serverless("us-east-1", "x86_64"))
    assert [line.phase for line in alone.lines] == [BETWEEN]


def test_of_a_cluster_that_others_use_only_the_runs_time_counts():
    cut = clipped(cluster(), at(60), at(100))
    assert [(life.started, life.ended) for life in cut.lives] == [
        (at(60), at(100)),
        (at(60), at(90)),
    ]
    assert clipped(cluster(), at(200), at(300)).lives == ()


def test_the_page_shows_where_the_money_went_beside_the_promise():
    rows = (
        CostRow("modeling", "SPOT", 3.0, 1.0, 0.25, 0.05, 2.0),
        CostRow("modeling", "ON_DEMAND", 1.0, 1.0, 0.25, 0.05, 0.0),
    )
    shown = render_cost(
        CostPage(
            project="démo",
            run_id="r1",
            place="j-1",
            rows=rows,
            interruptions=2,
            redone_seconds=90,
            prices="bundled, 2026-07-20",
            notes=("a minute or two too much",),
            promised=("B1: net value 12 EUR & more",),
            expected_per_run=3.0,
            currency="EUR",
            cap_usd=2.0,
        )
    )
    for said in ("2.60", "on demand", "more than the charter", "12 EUR &amp; more", "démo"):
        assert said in shown
    cheap = render_cost(CostPage("d", "r", "j", rows, 0, 0, "live", cap_usd=3.0))
    assert "more than the charter" not in cheap


def test_a_machine_is_paid_for_a_minute_at_least():
    short = Life("i-1", "m5.xlarge", "task", "ON_DEMAND", at(0), at(0.1))
    found = report(ClusterLife("j", "us-east-1", "", (short,)), prices(), history={})
    assert found.lines[0].hours == pytest.approx(1 / 60)


def test_a_machine_that_never_started_costs_nothing_and_a_lost_one_is_marked():
    status = {"Timeline": {"CreationDateTime": at(0)}}
    assert life_of({"Status": status, "InstanceType": "m5.xlarge"}, {}, NOON) is None
    lost = {
        "Ec2InstanceId": "i-1",
        "InstanceType": "m5.xlarge",
        "Market": "SPOT",
        "InstanceFleetId": "f-1",
        "Status": {**status, "StateChangeReason": {"Code": "INSTANCE_FAILURE"}},
    }
    life = life_of(lost, {"f-1": "task"}, at(5))
    assert life == Life("i-1", "m5.xlarge", "task", "SPOT", at(0), at(5), interrupted=True)
    ended = {**lost, "Status": {**status, "StateChangeReason": {"Code": "CLUSTER_TERMINATED"}}}
    assert not life_of(ended, {}, NOON).interrupted
