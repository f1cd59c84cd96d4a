"""What a person sees of a run at AWS."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from crisp_spark.aws.emr.logs import LogLine, is_telling
from crisp_spark.aws.emr.view import RunView, StepView
from crisp_spark.cli.watching import RunWatch, took

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = StepView("sweep", "s-1", "RUNNING", started=BEGUN, ended=BEGUN + timedelta(seconds=83))
VIEW = RunView("r1", "j-1", "RUNNING", steps=(STEP, StepView("decide")))


def watched(*, terminal: bool) -> str:
    watch = RunWatch()
    stream = io.StringIO()
    watch._console = Console(file=stream, force_terminal=terminal, width=100)
    with watch:
        watch.on_view(VIEW)
        watch.on_view(VIEW)
        watch.on_line(LogLine("sweep", "stderr", "trial 3: 0.81"))
        watch.on_line(LogLine("sweep", "stderr", "26/11/24 04:00:00 INFO Client: talk"))
        watch.on_trouble("throttled")
        watch.on_trouble("throttled")
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_each_change_is_one_line():
    lines = watched(terminal=False).splitlines()
    assert [line[9:] for line in lines if " | " not in line] == [
        "j-1 RUNNING",
        "sweep RUNNING",
        "throttled",
    ]
    assert [line for line in lines if " | " in line] == ["sweep | trial 3: 0.81"]


def test_on_a_terminal_a_live_table_shows_all_stages():
    shown = watched(terminal=True)
    assert "run r1" in shown
    assert "1:23" in shown
    assert "PENDING" in shown
    assert "trial 3: 0.81" in shown


def test_nothing_is_shown_when_the_result_is_json(capsys):
    watch = RunWatch(quiet=True)
    with watch:
        watch.on_view(VIEW)
        watch.on_line(LogLine("sweep", "stderr", "trial"))
        watch.on_trouble("throttled")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        ("26/11/24 04:00:00 INFO Client: Application report for application_1_1", False),
        ("\t client token: N/A", False),
        ("", False),
        ("26/11/24 04:00:00 WARN TaskSetManager: Lost task", True),
        ("2026-11-24 04:00:00,000 INFO crisp_spark.run.runner run r1 step sweep done", True),
        ("ValueError: x", True),
    ],
)
def test_everyday_talk_of_spark_is_told_from_the_rest(text, telling):
    assert is_telling(text) == telling


def test_a_step_that_has_not_begun_took_no_time():
    assert took(StepView("decide")) == ""
