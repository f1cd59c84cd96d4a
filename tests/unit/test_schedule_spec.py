from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from crisp_spark.spec.schedule import ScheduleSpec, run_id_of
from crisp_spark.spec.target import TargetSpec

EMR = {"kind": "emr", "region": "eu-central-1", "artifacts": "s3://bucket/crisp"}


@pytest.mark.parametrize(
    "cron",
    [
        "30 5 ? * MON *",
        "0 6 * * ? *",
        "0/15 8-17 ? * MON-FRI *",
        "0 0 L * ? *",
        "0 0 LW * ? 2026-2028",
        "0 0 15W * ? *",
        "0 0 ? * 6L *",
        "0 0 ? * FRI#2 *",
        "0,30 * 1,15 JAN,JUL ? *",
    ],
)
def test_cron_of_aws_is_taken(cron):
    assert ScheduleSpec(cron=cron).cron == cron


def test_cron_is_brought_into_one_form():
    assert ScheduleSpec(cron=" cron(0  6 ? * mon *)").cron == "0 6 ? * MON *"


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("0 6 * * ?", "six fields"),
        ("0 6 * * * *", "exactly one"),
        ("0 6 ? * ? *", "exactly one"),
        ("60 6 * * ? *", "minutes"),
        ("0 24 * * ? *", "hours"),
        ("0 6 32 * ? *", "day of month"),
        ("0 6 ? * MUN *", "day of week"),
        ("0 6 ? * 8 *", "day of week"),
        ("0 6 * 13 ? *", "month"),
        ("0 6 * * ? 1969", "year"),
        ("9-3 6 * * ? *", "minutes"),
        ("*/0 6 * * ? *", "minutes"),
        ("? 6 * * ? *", "minutes"),
        ("1-2-3 6 * * ? *", "minutes"),
    ],
)
def test_other_cron_is_refused_by_field(cron, told):
    with pytest.raises(ValidationError, match=told):
        ScheduleSpec(cron=cron)


def test_time_zone_must_exist_and_the_nearest_is_named():
    with pytest.raises(ValidationError, match="did you mean 'Europe/Berlin'"):
        ScheduleSpec(cron="0 6 * * ? *", time_zone="Europe/Berlim")


def test_schedule_without_a_cluster_is_refused():
    schedule = {"cron": "0 6 * * ? *"}
    with pytest.raises(ValidationError, match="kind emr, got local"):
        TargetSpec.model_validate({"schedule": schedule})
    assert TargetSpec.model_validate({"compute": EMR, "schedule": schedule}).schedule


def test_run_id_depends_on_the_due_time_alone():
    due = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
    assert run_id_of(due) == "20261124T053000-scheduled"
    assert run_id_of(due.astimezone(timezone(timedelta(hours=9)))) == run_id_of(due)
