"""A report is made whatever a step could not find out: empty lists, unknown values, odd shapes."""

from __future__ import annotations

from datetime import date, timedelta
from types import UnionType
from typing import Union, get_args, get_origin

import pytest

from crisp_spark.reporting.charts import confusion_matrix, heat_map, timeline
from crisp_spark.reporting.charts.times import Bar
from crisp_spark.reporting.facts import RunFacts, StepFact
from crisp_spark.reporting.model_card_page import render_model_card
from crisp_spark.reporting.numbers import alike
from crisp_spark.reporting.pages.profile_charts import coverage
from crisp_spark.reporting.report import render_report
from crisp_spark.reporting.words import Measure
from crisp_spark.results.base import ResultPart, Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.evaluate import Reading
from tests import fixtures_results as made
from tests.unit.test_reporting import Outline

SETS = {
    "binary": made.binary_results(),
    "regression": made.regression_results(),
    "clustering": made.clustering_results(),
    "multiclass": {"evaluate": made.evaluate_multiclass()},
}


def _may_be_none(annotation) -> bool:
    return get_origin(annotation) in (Union, UnionType) and type(None) in get_args(annotation)


def without_the_optional(value):
    """A copy in which every value that may be unknown is unknown."""
    if isinstance(value, list | tuple):
        return type(value)(without_the_optional(item) for item in value)
    if isinstance(value, dict):
        return {key: without_the_optional(item) for key, item in value.items()}
    if not isinstance(value, ResultPart):
        return value
    return value.model_copy(
        update={
            name: None
            if _may_be_none(field.annotation)
            else without_the_optional(getattr(value, name))
            for name, field in type(value).model_fields.items()
        }
    )


def emptied(value):
    """The same field with nothing in it, or None where that cannot be."""
    return type(value)() if type(value) in (list, tuple, dict) else None


def checked(results, facts=None):
    page = render_report(results, facts=facts or made.run_facts())
    assert Outline(page).errors == []
    assert Outline(render_model_card(results, facts=made.run_facts())).errors == []
    return page


@pytest.mark.parametrize("kind", sorted(SETS))
def test_every_unknown_value_is_shown_as_unknown(kind):
    checked({step: without_the_optional(result) for step, result in SETS[kind].items()})


def _fields():
    for kind, results in SETS.items():
        for step, result in results.items():
            for name, field in type(result).model_fields.items():
                value = getattr(result, name)
                may_lack = emptied(value) is not None or _may_be_none(field.annotation)
                if value and may_lack and (kind == "binary" or step == "evaluate"):
                    yield pytest.param(kind, step, name, id=f"{kind}-{step}.{name}")


@pytest.mark.parametrize(("kind", "step", "field"), list(_fields()))
def test_a_result_may_lack_any_part(kind, step, field):
    result = SETS[kind][step]
    sparse = result.model_copy(update={field: emptied(getattr(result, field))})
    checked(SETS[kind] | {step: sparse})


@pytest.mark.parametrize("step", sorted(SETS["binary"]))
def test_a_step_alone_makes_a_report(step):
    checked({step: SETS["binary"][step]}, facts=RunFacts("alone"))


@pytest.mark.parametrize("step", sorted(SETS["binary"]))
def test_any_step_may_be_absent(step):
    results = dict(SETS["binary"])
    del results[step]
    checked(results)


def test_a_merge_below_its_least_match_fails_in_words():
    merge = made.merge()
    low = merge.steps[1].model_copy(update={"min_match": 0.9, "expect": "one_to_one"})
    page = checked({"merge": merge.model_copy(update={"steps": [low]})})
    assert "at least 90\u00a0% were expected" in page
    assert "at most one to one expected" in page


def test_an_account_that_does_not_close_is_named():
    ingest, clean = made.ingest(), made.clean()
    flights = ingest.sources["flights"].model_copy(update={"kept": 1})
    source = clean.sources[0].model_copy(update={"rows_kept": 1})
    page = checked(
        {
            "ingest": ingest.model_copy(update={"sources": {"flights": flights}}),
            "clean": clean.model_copy(update={"sources": [source]}),
        }
    )
    assert "the account does not close" in page
    assert "Rows in differ from rows kept and dropped." in page


def test_a_numeric_target_is_described():
    derive = made.derive()
    target = derive.target.model_copy(
        update={"classes": None, "mean": 6.9, "std": 44.6, "min": -86.0, "max": 1272.0}
    )
    split = made.split()
    parts = [part.model_copy(update={"classes": None, "target_mean": 6.9}) for part in split.parts]
    page = checked(
        {
            "derive": derive.model_copy(update={"target": target}),
            "split": split.model_copy(update={"parts": parts, "folds": []}),
        }
    )
    assert "6.9 ± 44.6" in page
    assert "Target mean" in page


def test_cost_per_unit_of_error_is_shown():
    plain = made.charter("regression").model_dump(mode="json")
    plain["outcome_values"] = {"cost_per_unit_error": 2.5, "currency": "EUR"}
    plain["costs"]["currency"] = "EUR"
    page = checked({"charter": CharterResult.model_validate(plain)})
    assert "Cost per unit of error" in page
    assert "€2.50" in page


def test_many_risks_are_drawn_by_likelihood_and_impact():
    charter = made.charter()
    page = checked({"charter": charter.model_copy(update={"risks": charter.risks * 2})})
    assert "4 risks in all, 2 of them high." in page


def test_a_rule_that_failed_and_a_clean_profile_are_told():
    quality, profile = made.quality(), made.profile()
    source = quality.sources[0]
    rules = tuple(rule.model_copy(update={"verdict": Verdict.PASS}) for rule in source.rules)
    flights = profile.sources[0].model_copy(update={"suspects": ()})
    page = checked(
        {
            "quality": quality.model_copy(
                update={"sources": (source.model_copy(update={"rules": rules}),)}
            ),
            "profile": profile.model_copy(update={"sources": (flights,)}),
        }
    )
    assert "All 5 rules hold." in page
    assert "No column looks as if it leaked the outcome." in page
    assert "Alone, dep_delay tells most" in page


def test_outcomes_without_words_are_read_out_from_their_numbers():
    result = made.evaluate_binary()
    reading = Reading(outcome="fp", split="later", rows=12, share=0.1, money=-36.0, text="")
    page = checked({"evaluate": result.model_copy(update={"readings": [reading]})})
    assert "12 false positives, worth \u2212$36." in page


def test_an_alarm_says_what_to_do_and_who_is_told():
    monitor = made.monitor()
    (first, *_) = monitor.alarms
    alarm = first.model_copy(update={"text": "temp moved", "action": "look", "owner": "Ops & Co"})
    page = checked({"monitor": monitor.model_copy(update={"alarms": [alarm]})})
    assert "temp moved. What to do: look. Told: Ops &amp; Co." in page
    silent = alarm.model_copy(update={"action": "", "owner": ""})
    page = checked({"monitor": monitor.model_copy(update={"alarms": [silent]})})
    assert "temp moved.</div>" in page


def test_nothing_drifted_and_no_alarm_is_good_news():
    monitor = made.monitor()
    columns = [c.model_copy(update={"verdict": Verdict.PASS}) for c in monitor.columns]
    update = {"columns": columns, "alarms": [], "stale_after": None}
    page = checked({"monitor": monitor.model_copy(update=update)})
    assert "No limit was passed." in page
    assert "No column has moved beyond a limit since training." in page


def test_a_model_that_was_not_deployed_says_why():
    deploy = made.deploy().model_copy(
        update={"status": "refused", "model": None, "reason": "the decision is iterate"}
    )
    page = checked({"deploy": deploy})
    assert "Nothing was deployed. the decision is iterate." in page


def test_a_plan_without_known_steps_or_times_is_shown():
    charter = made.charter()
    facts = RunFacts("flights", steps=(StepFact("ingest", seconds=3.0), StepFact("profile")))
    page = checked({"charter": charter}, facts=facts)
    assert "1 of 1" not in page
    assert "no step named" in page


def test_dates_beyond_the_calendar_do_not_stop_a_report():
    profile = made.profile()
    flights = profile.sources[0]
    dated = flights.columns[-1]
    far = [bin_.model_copy(update={"low": 1e20, "high": 2e20}) for bin_ in dated.histogram]
    wrong = dated.model_copy(update={"histogram": tuple(far)})
    checked(
        {
            "profile": profile.model_copy(
                update={"sources": (flights.model_copy(update={"columns": (wrong,)}),)}
            )
        }
    )


def test_charts_of_many_classes_leave_out_what_does_not_fit():
    names = [f"class {i}" for i in range(25)]
    grid = [[1000 * (i == j) + i for i in range(25)] for j in range(25)]
    assert "class 24" in confusion_matrix("t", "f.", names, grid).rows[-1][0]
    heat_map("t", "f.", names, names, [[v / 2000 for v in row] for row in grid])
    bars = [Bar(f"row {i}", i, i + 1, kind=1 + i % 2) for i in range(40)]
    assert len(timeline("t", "f.", bars, unit="days").rows) == 40


def test_the_day_of_training_is_written_as_a_date():
    assert date(2026, 3, 2).isoformat() in checked({"monitor": made.monitor()})


def _covered(starts, unit):
    profile = made.profile()
    flights = profile.sources[0]
    plain = flights.time[0].model_dump()
    plain |= {"unit": unit, "periods": [{"start": s, "rows": i + 1} for i, s in enumerate(starts)]}
    time = type(flights.time[0]).model_validate(plain)
    return coverage(flights, time)


@pytest.mark.parametrize(
    ("unit", "starts", "filled"),
    [
        (
            "day",
            ["2026-02-27", "2026-03-02"],
            ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"],
        ),
        ("month", ["2025-11", "2026-02"], ["2025-11", "2025-12", "2026-01", "2026-02"]),
        ("year", ["2023", "2026"], ["2023", "2024", "2025", "2026"]),
        (
            "hour",
            ["2026-01-01 22:00", "2026-01-02 00:00"],
            ["2026-01-01 22:00", "2026-01-01 23:00", "2026-01-02 00:00"],
        ),
        ("day", ["no", "date"], ["no", "date"]),
    ],
)
def test_periods_without_rows_keep_their_place(unit, starts, filled):
    rows = _covered(starts, unit).rows
    assert [start for start, _ in rows] == filled
    assert rows[0][1] == "1"
    assert rows[-1][1] == "2"


def test_many_periods_are_drawn_together_without_losing_a_row():
    days = [(date(2024, 1, 1) + timedelta(days=day)).isoformat() for day in range(500)]
    chart = _covered(days, "day")
    assert chart.title == "Rows of flights by 5 days of time_hour"
    assert len(chart.rows) == 100
    assert sum(int(rows.replace(",", "")) for _, rows in chart.rows) == sum(range(1, 501))


def test_differences_of_shares_are_told_in_points():
    measure = Measure("binary", "EUR")
    assert measure.difference("recall", 0.244) == "+24.4\u00a0points"
    assert measure.text("recall_gain", -0.053) == "\u22125.3\u00a0points"
    assert measure.difference("net_value", -22.0) == "\u2212€22"
    assert measure.apart("recall", None, 0.1) == "–"
    assert measure.difference("recall", None) == "–"


def test_numbers_of_one_chart_have_the_same_decimals():
    write = alike([0.325, 0.0000649, -0.013, None])
    assert [write(value) for value in (0.325, 0.0000649, -0.013)] == [
        "0.325",
        "0.000",
        "\u22120.013",
    ]
    assert alike([])(3.5) == "3.5"
    assert alike([1234.5])(1234.5) == "1,234"


def test_metrics_that_nobody_asked_for_are_folded_away():
    result = made.evaluate_binary()
    other = result.comparisons[0].model_copy(update={"metric": "specificity"})
    row = result.stability[0].model_copy(update={"metric": "specificity"})
    page = checked(
        {
            "evaluate": result.model_copy(
                update={
                    "comparisons": [*result.comparisons, other],
                    "stability": [*result.stability, row],
                }
            )
        }
    )
    assert page.count("By the other metrics") == 2
