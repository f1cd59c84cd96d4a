from __future__ import annotations

import numpy as np
import pytest

from crisp_spark.evaluation.cuts import cut_by
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.readings import money_text, read_out, wording_of
from crisp_spark.evaluation.rows import MISSING, ScoredRows, SliceColumn
from crisp_spark.evaluation.slices import confusion_of, find_slices, target_groups
from crisp_spark.spec.business import MiningGoal, OutcomeValues
from crisp_spark.spec.evaluation import SliceSearchSpec

N = 8000
SPEC = SliceSearchSpec(min_support=50)
NO_CODES = np.empty(0, dtype=np.intp)


def text(name, values) -> SliceColumn:
    names = sorted({value for value in values if value is not None})
    codes = [-1 if value is None else names.index(value) for value in values]
    return SliceColumn(name, np.array(codes, dtype=np.intp), tuple(names))


def number(name, values) -> SliceColumn:
    return SliceColumn(name, NO_CODES, (), np.asarray(values, dtype=float))


@pytest.fixture(scope="module")
def rows() -> ScoredRows:
    """Decisions are wrong for one tenth of rows, but for half of those from Köln on ship B."""
    random = np.random.default_rng(11)
    city = random.choice(["Aachen", "Bonn", "Köln"], N)
    ship, age = random.choice(["A", "B"], N), random.normal(40, 10, N)
    label = (random.random(N) < 0.4).astype(float)
    wrong = random.random(N) < np.where((city == "Köln") & (ship == "B"), 0.5, 0.1)
    score = np.where(wrong, 1 - label, label) * 0.8 + 0.1
    columns = {
        "city": text("city", list(city)),
        "ship": text("ship", list(ship)),
        "age": number("age", age),
        "noise.1": text("noise.1", list(random.choice(list("pqrst"), N))),
        "id": text("id", [str(i) for i in range(N)]),
        "one": text("one", ["x"] * N),
    }
    return ScoredRows("test", N, N, label, score, score, columns=columns)


JUDGE = Judge("binary")


@pytest.fixture(scope="module")
def report(rows):
    return find_slices(
        rows,
        JUDGE,
        declared=["city"],
        searched=["age", "ship", "noise.1", "id", "one", "gone"],
        spec=SPEC,
    )


def test_the_planted_weak_slice_is_found_first(report):
    worst = report.slices[0]
    assert worst.name == "city=Köln & ship=B"
    assert worst.weak
    assert worst.loss == pytest.approx(0.5, abs=0.05)
    assert worst.low < 0.4 < worst.high + 0.05


def test_slices_without_a_fault_are_not_called_weak(report):
    weak = {item.name for item in report.slices if item.weak}
    assert weak == {"city=Köln", "ship=B", "city=Köln & ship=B"}


def test_slices_are_ranked_by_harm(report):
    harms = [item.harm for item in report.slices]
    assert harms == sorted(harms, reverse=True)
    assert sum(item.harm for item in report.slices if item.columns == ["city"]) == pytest.approx(0)


def test_declared_slices_are_always_reported(report):
    assert {"city=Aachen", "city=Bonn", "city=Köln"} <= {item.name for item in report.slices}


def test_columns_that_cannot_be_cut_are_named_with_a_reason(report):
    assert report.skipped == {
        "id": "8000 values: more like an identifier",
        "one": "one value",
        "gone": "neither text nor number",
    }


def test_intervals_widen_with_the_number_of_slices_looked_at(rows):
    def excess(searched):
        found = find_slices(rows, JUDGE, declared=["city"], searched=searched, spec=SPEC)
        item = next(item for item in found.slices if item.name == "city=Bonn")
        return item.high - item.low, found.tested

    narrow, few = excess([])
    wide, many = excess(["age", "ship", "noise.1"])
    assert (few, many > 30, wide > 1.2 * narrow) == (3, True, True)


def test_a_slice_below_minimum_support_is_not_judged(rows):
    spec = SliceSearchSpec(min_support=N // 2, pairs=False)
    found = find_slices(rows, JUDGE, declared=["city"], searched=[], spec=spec)
    assert found.tested == 0
    assert [(item.judged, item.weak) for item in found.slices] == [(False, False)] * 3


def test_an_undeclared_slice_below_minimum_support_is_not_even_shown(rows):
    spec = SliceSearchSpec(min_support=N // 2 + N // 4)
    found = find_slices(rows, JUDGE, declared=[], searched=["city", "ship"], spec=spec)
    assert (found.slices, found.tested) == ([], 0)


def test_regret_is_the_money_lost_against_a_perfect_decision(rows):
    values = OutcomeValues(tp=10, fp=-4, fn=-6, tn=1, currency="EUR")
    judge = Judge("binary", values=values)
    found = find_slices(rows, judge, declared=["city"], searched=[], spec=SPEC)
    counts = confusion_of(rows, judge)
    assert found.loss == "regret in EUR"
    assert found.overall == pytest.approx((16 * counts.fn + 5 * counts.fp) / N)


def test_the_search_can_be_switched_off(rows):
    spec = SliceSearchSpec(enabled=False)
    found = find_slices(rows, JUDGE, declared=["city"], searched=["ship"], spec=spec)
    assert {column for item in found.slices for column in item.columns} == {"city"}


def test_no_rows_have_no_slices(rows):
    empty = rows.where(np.zeros(N, dtype=bool))
    assert find_slices(empty, JUDGE, declared=["city"], searched=[], spec=SPEC) is None
    assert target_groups(empty, JUDGE, declared=[], searched=[], spec=SPEC) == []


@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_other_problems_have_slices_too(rows, problem):
    judge = Judge(problem)
    found = find_slices(rows, judge, declared=["city"], searched=["ship"], spec=SPEC)
    assert len(found.slices) >= 3
    assert found.loss == {"multiclass": "wrong classes", "regression": "absolute error"}[problem]


def test_missing_values_are_a_slice():
    found = cut_by(text("c", ["a", None, "a", None]), SPEC, declared=True)
    assert dict(zip(found.names, found.sizes(), strict=True)) == {f"c={MISSING}": 2, "c=a": 2}
    numbers = cut_by(number("n", [1, 2, np.nan, 1]), SPEC, declared=True)
    assert dict(zip(numbers.names, numbers.sizes(), strict=True)) == {
        "n=1": 2,
        "n=2": 1,
        f"n={MISSING}": 1,
    }


def test_many_numbers_are_cut_into_quartiles_that_hold_every_row():
    found = cut_by(number("n", np.arange(400)), SPEC, declared=True)
    assert found.names[:2] == ("n < 99.75", "99.75 <= n < 199.5")
    assert list(found.sizes()) == [100, 100, 100, 100, 0]


def test_of_many_texts_the_commonest_are_kept():
    values = [f"v{i:03d}" for i in range(100)] * 2 + ["often"] * 50
    found = cut_by(text("c", values), SliceSearchSpec(max_values=3), declared=True)
    assert "c=often" in found.names
    assert len(found.names) == 3
    assert (found.codes == -1).sum() == 196


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (text("c", ["a", "b", None]), "a", [True, False, False]),
        (text("c", ["a", "b", None]), MISSING, [False, False, True]),
        (text("c", ["a", "b", None]), "z", [False, False, False]),
        (number("n", [1, 2, np.nan]), "2", [False, True, False]),
        (number("n", [1, 2, np.nan]), "two", [False, False, False]),
    ],
)
def test_a_slice_of_a_criterion_finds_its_rows(column, value, expected):
    assert column.matches(value).tolist() == expected


def test_groups_with_the_most_positives_come_first():
    random = np.random.default_rng(2)
    group = random.choice(["few", "many"], 4000)
    label = (random.random(4000) < np.where(group == "many", 0.6, 0.1)).astype(float)
    rows = ScoredRows(
        "test", 4000, 4000, label, label, label, columns={"g": text("g", list(group))}
    )
    found = target_groups(rows, JUDGE, declared=["g"], searched=[], spec=SPEC)
    assert [item.name for item in found] == ["g=many"]
    assert found[0].rate == pytest.approx(0.6, abs=0.05)
    assert found[0].precision == 1.0


GOAL = MiningGoal(
    problem="binary", target="late", positive=True, unit_of_prediction="one flight", key=("id",)
)


def read(label, score, values=None, slices=(), **columns):
    rows = ScoredRows(
        "test",
        len(label),
        len(label),
        np.asarray(label, float),
        np.asarray(score, float),
        np.asarray(score, float),
        columns={name: text(name, values) for name, values in columns.items()},
    )
    judge = Judge("binary", values=values)
    return read_out([rows], judge, wording_of(GOAL), slices=list(slices))


def test_outcomes_are_read_out_in_words_and_money():
    values = OutcomeValues(tp=50.5, fp=-4, currency="EUR")
    found = {
        item.outcome: item for item in read([1, 1, 0, 0, 0], [0.9, 0.1, 0.9, 0.1, 0.2], values)
    }
    assert found["fp"].text == (
        "False positives: 1 flights got an alert and were not late (33.3% of the 3 that were not "
        "late; 50.0% of all 2 alerts). At 4 EUR each they cost 4 EUR."
    )
    assert found["tn"].text == (
        "True negatives: 2 flights were rightly left alone (66.7% of the 3 that were not late). "
        "That costs and earns nothing."
    )
    assert found["tp"].text.endswith("At 50.50 EUR each they earn 50.50 EUR.")
    assert (found["fp"].money, found["tn"].money, found["all"].money) == (-4, 0, 46.5)
    assert "46.50 EUR, 9.30 EUR each." in found["all"].text


def test_readings_without_values_speak_of_no_money():
    found = read([1, 0], [0.9, 0.1])
    assert all(item.money is None for item in found)
    assert not any("EUR" in item.text or "cost" in item.text for item in found)


def test_slices_are_read_out_with_false_positives_and_true_negatives():
    found = read([1, 0, 0], [0.9, 0.9, 0.1], slices=["port", "nowhere"], port=["JFK", "JFK", "EWR"])
    sliced = [(item.slice, item.outcome, item.rows) for item in found if item.slice != "all"]
    assert sliced == [
        ("port=JFK", "fp", 1),
        ("port=JFK", "tn", 0),
        ("port=EWR", "fp", 0),
        ("port=EWR", "tn", 1),
    ]
    assert found[-1].text.startswith("Where port=EWR: True negatives: 1 flights")


def test_outcomes_that_cannot_occur_have_no_share():
    found = {item.outcome: item for item in read([1, 1], [0.9, 0.9])}
    assert found["fp"].share is None
    assert "none of the 0 that were not late" in found["fp"].text


@pytest.mark.parametrize(
    ("unit", "many"),
    [
        ("one flight", "flights"),
        ("a city", "cities"),
        ("an address", "addresses"),
        ("", "rows"),
        ("one day of a shop", "rows"),
        ("each boy", "boys"),
    ],
)
def test_the_unit_of_prediction_becomes_a_plural(unit, many):
    goal = GOAL.model_copy(update={"unit_of_prediction": unit})
    assert wording_of(goal).many == many


def test_other_positive_values_are_written_out():
    words = wording_of(GOAL.model_copy(update={"positive": "yes"}))
    assert (words.positive, words.negative) == ("late=yes", "not late=yes")


def test_money_is_short():
    assert money_text(1234567.4, "EUR") == "1,234,567 EUR"
    assert money_text(-0.5, "") == "-0.50"
