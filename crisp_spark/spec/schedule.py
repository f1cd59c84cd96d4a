"""When a target runs by itself, how long each part may take, and who is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from crisp_spark.errors import suggest
from crisp_spark.spec.base import SpecModel

Email = Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+|\$\{.*\})$")]
LogDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653]
"""Retention times that CloudWatch Logs offers."""

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_CRON_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minutes", 0, 59, []),
    ("hours", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _DAYS),
    ("year", 1970, 2199, []),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


class ScheduleLimits(SpecModel):
    """Longest times, in minutes, after which a part of a scheduled run is given up.

    The whole run is limited by ``timeout_minutes`` of the target's compute.
    """

    cluster: int = Field(default=45, ge=5, le=1440)
    """Until the cluster is ready: capacity found, bootstrap done."""
    prepare: int = Field(default=240, ge=5, le=20160)
    """Charter, ingest, profile, quality, clean, merge, derive and split, in one application."""
    sweep: int = Field(default=480, ge=5, le=20160)
    """The sweep; a second attempt has this time again."""
    decide: int = Field(default=180, ge=5, le=20160)
    """Evaluation and decision, in one application."""
    deploy: int = Field(default=120, ge=5, le=20160)
    """Deployment, monitoring and report, or the report alone where nothing is deployed."""


class ScheduleSpec(SpecModel):
    """A run that starts by itself on AWS: ``crisp schedule`` makes all that it needs."""

    cron: str
    """Six fields as EventBridge Scheduler reads them: minutes, hours, day of month, month, day of
    week, year. Of the two days one is ``?``. ``30 5 ? * MON *``: each Monday at 5:30."""
    time_zone: str = "UTC"
    """Name of the time zone that ``cron`` is meant in, such as ``Europe/Berlin``."""
    enabled: bool = True
    """Whether the schedule fires; everything else is made all the same."""
    window_minutes: int = Field(default=0, ge=0, le=1440)
    """Minutes that a start may be put off, for AWS to spread the load; 0: on time."""
    start_retries: int = Field(default=5, ge=0, le=185)
    """How often a start that AWS refused is tried again; what remains goes to a queue."""
    start_within_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes after which a start that did not succeed is given up."""
    attempts: int = Field(default=2, ge=1, le=5)
    """How often a step is tried that was lost together with its machine; a step that failed by
    itself is never tried again."""
    limits: ScheduleLimits = ScheduleLimits()
    """Longest times of the parts of a run."""
    notify: tuple[Email, ...] = ()
    """Mail addresses that are told of failures, of runs that were aborted and of clusters that
    could not be ended; each must agree once, by the mail that AWS sends."""
    notify_success: bool = False
    """Whether they are told of finished runs and decisions as well."""
    create_bucket: bool = True
    """Whether the stack makes the bucket of ``artifacts`` (encrypted, versioned, closed to the
    public); false where it exists already."""
    create_shared: bool = True
    """Whether the stack makes what the projects of an account may share: EMR's two roles and the
    log group of the machines; false where another stack made them."""
    audit: bool = True
    """Whether CloudTrail records who read and wrote objects of the bucket."""
    log_days: LogDays = 90
    """Days that logs are kept in CloudWatch."""

    @field_validator("cron")
    @classmethod
    def _cron_is_readable(cls, cron: str) -> str:
        return cron if cron.startswith("${") else checked_cron(cron)

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        zones = available_timezones()
        if zone in zones or zone.startswith("${"):
            return zone
        near = suggest(zone, zones)
        raise PydanticCustomError(
            "time_zone",
            "no time zone {zone}" + (", did you mean {near}?" if near else ""),
            {"zone": repr(zone), "near": repr(near)},
        )


def run_id_of(scheduled: datetime) -> str:
    """Return the id of the run that is due at ``scheduled``; the state machine does the same.

    Two triggers of one due time ask for the same run, so the second has nothing to do.
    """
    return f"{scheduled.astimezone(UTC):%Y%m%dT%H%M%S}-scheduled"


def checked_cron(cron: str) -> str:
    """Return ``cron`` with single spaces.

    Raises:
        PydanticCustomError: It is not what EventBridge Scheduler takes.
    """
    fields = cron.strip().removeprefix("cron(").removesuffix(")").upper().split()
    if len(fields) != len(_CRON_FIELDS):
        raise _bad_cron(f"six fields are needed, got {len(fields)} in {cron!r}")
    for text, (name, low, high, words) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_field(part, name, (low, high), words) for part in text.split(",")):
            names = f" or {words[0]}-{words[-1]}" if words else ""
            raise _bad_cron(f"{name}: {low} to {high}{names} is possible, got {text!r}")
    if [fields[_DAY_OF_MONTH], fields[_DAY_OF_WEEK]].count("?") != 1:
        raise _bad_cron(
            f"exactly one of day of month and day of week must be ?, got "
            f"{fields[_DAY_OF_MONTH]!r} and {fields[_DAY_OF_WEEK]!r}"
        )
    return " ".join(fields)


def _is_field(text: str, name: str, limits: tuple[int, int], words: list[str]) -> bool:
    if text == "?":
        return name.startswith("day")
    if name == "day of month" and re.fullmatch(r"L|LW|\d{1,2}W", text):
        return True
    if name == "day of week":
        if text == "L":
            return True
        text = re.sub(r"(?<=.)(L|#[1-5])$", "", text)
    base, slash, step = text.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if base == "*":
        return True
    ends = [_number(end, words, limits[0]) for end in base.split("-", 1)]
    known = [end for end in ends if end is not None]
    inside = all(limits[0] <= end <= limits[1] for end in known)
    return len(known) == len(ends) and inside and known == sorted(known)


def _number(text: str, words: list[str], first: int) -> int | None:
    if text in words:
        return words.index(text) + first
    return int(text) if text.isdecimal() else None


def _bad_cron(what: str) -> PydanticCustomError:
    return PydanticCustomError("cron", "cron: {what}", {"what": what})
