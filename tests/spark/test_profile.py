from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from crisp_spark.errors import SpecError
from crisp_spark.results.profile import ProfileResult, SemanticType
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding import profile_values
from crisp_spark.understanding.profile import profile_table

NAN, INF = float("nan"), float("inf")
ROWS = 3000


def source(**options):
    return CsvSource(path="x.csv", **options)


@pytest.fixture(scope="module")
def visits():
    """Three thousand visits with everything that a column can be."""
    rng = np.random.default_rng(11)
    signal = rng.normal(size=ROWS)
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "a.b c": np.round(rng.gamma(2.0, 10.0, ROWS)),
            "wide": rng.normal(size=ROWS) * 1e6 + 5e6,
            "město": rng.choice(["Brno", "Praha", "Žďár"], ROWS),
            "plate": [f"N{n % 700:03d}AB" for n in range(ROWS)],
            "note": [f"visit number {n} of the week" for n in range(ROWS)],
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(ROWS) % 60, "D"),
            "signal": signal,
            "late": signal + rng.normal(size=ROWS) * 0.05,
            "mail": [f"u{n % 900}@mail.cz" for n in range(ROWS)],
        }
    )
    # A fortnight without visits, values that are missing together, and missing by the target.
    frame["day"] = frame["day"].where(
        frame["day"] < "2024-02-10", frame["day"] + pd.Timedelta(14, "D")
    )
    frame.loc[::10, ["a.b c", "wide"]] = np.nan
    frame.loc[5:9, "wide"] = [NAN, INF, -INF, 0.0, -1.0]
    return frame


@pytest.fixture(scope="module")
def profile(spark_session, visits):
    rows = visits.astype(object).where(visits.notna(), None)
    # As objects: pandas would turn None into NaN.
    wide = [None if at % 10 == 0 else value for at, value in enumerate(visits["wide"])]
    rows["wide"] = pd.Series(wide, dtype=object)
    schema = (
        "id long, `a.b c` double, wide double, `město` string, plate string, note string,"
        " day timestamp, signal double, late double, mail string"
    )
    data = [
        tuple(v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in row)
        for row in rows.itertuples(index=False)
    ]
    df = spark_session.createDataFrame(data, schema).repartition(3)
    goal = MiningGoal(
        problem="binary",
        target="is_late",
        target_expression="late > 1",
        target_source="visits",
        positive=True,
    )
    declared = source(
        key="id",
        time="day",
        columns={"signal": {"type": "double", "unit": "points"}, "late": {"known_at": "outcome"}},
    )
    return profile_table(df, "visits", declared, goal)


def test_shape_of_the_table(profile):
    assert (profile.rows, len(profile.columns), profile.duplicated_rows) == (ROWS, 10, 0)
    assert profile.sample_rows == ROWS
    assert profile.sample_note == "all 3,000 rows"
    assert profile.scans <= 6
    (key, *more) = profile.keys
    assert (key.columns, key.declared, key.unique, key.distinct) == (("id",), True, True, ROWS)
    assert [one.columns for one in more] == [("note",)]


def test_numbers_are_exact_where_all_values_were_counted(profile, visits):
    found = profile.column("a.b c")
    values = visits["a.b c"].dropna()
    assert (found.missing, found.missing_share) == (300, 0.1)
    assert (found.distinct, found.distinct_exact) == (values.nunique(), True)
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.numbers.mean == pytest.approx(values.mean())
    assert found.numbers.std == pytest.approx(values.std())
    assert found.numbers.skewness == pytest.approx(values.skew(), abs=0.01)
    assert found.numbers.quantile_error == 0
    for name, value in found.numbers.quantiles.items():
        assert value == np.quantile(values, float(name), method="inverted_cdf")
    most = values.value_counts()
    assert found.top_values[0].rows == most.iloc[0]
    assert sum(one.rows for one in found.histogram) == len(values)


def test_rows_with_the_wide_number(profile, visits):
    found = profile.column("wide")
    values = pd.Series([v for at, v in enumerate(visits["wide"]) if at % 10 and np.isfinite(v)])
    assert (
        found.numbers.nans,
        found.numbers.positive_infinities,
        found.numbers.negative_infinities,
    ) == (1, 1, 1)
    assert found.missing == 300
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.numbers.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.numbers.std == pytest.approx(values.std(), rel=1e-12)
    assert "3 values are NaN or infinite" in found.notes


def test_semantic_types(profile):
    assert {column.name: column.semantic.value for column in profile.columns} == {
        "id": "id",
        "a.b c": "numeric",
        "wide": "numeric",
        "město": "category",
        "plate": "code",
        "note": "id",
        "day": "date",
        "signal": "numeric",
        "late": "numeric",
        "mail": "email",
    }


def test_texts(profile, visits):
    city = profile.column("město")
    counts = visits["město"].value_counts()
    assert {one.value: one.rows for one in city.top_values} == counts.to_dict()
    assert city.texts.non_ascii == counts["Žďár"]
    assert city.texts.non_ascii_share == pytest.approx(counts["Žďár"] / ROWS)
    assert [(one.value, one.rows) for one in profile.column("plate").texts.patterns] == [
        ("A999AA", ROWS)
    ]


def test_personal_data_is_masked_though_nobody_declared_it(profile):
    mail = profile.column("mail")
    assert mail.pii
    assert "looks like personal data (email) but is not declared pii" in mail.notes
    assert "@" not in mail.model_dump_json()
    assert mail.top_values[0].value.startswith("*** (")
    assert mail.min.startswith("***")


def test_target_power_and_suspects(profile, visits):
    late = visits["late"] > 1
    assert {one.value: one.rows for one in profile.target.classes} == {
        "true": late.sum(),
        "false": (~late).sum(),
    }
    assert (profile.target.known, profile.target.missing) == (ROWS, 0)
    strongest = profile.power[:2]
    assert {one.column for one in strongest} == {"late", "signal"}
    assert profile.power[0].value > 0.99
    suspects = {one.column: one for one in profile.suspects}
    assert set(suspects) == {"late", "signal"}
    assert not suspects["signal"].declared
    assert suspects["late"].declared
    assert suspects["late"].reasons[0] == "the target is computed from it"


def test_associations_are_strongest_first(profile, visits):
    first = profile.associations[0]
    assert {first.left, first.right} == {"signal", "late"}
    pearson = next(
        one
        for one in profile.associations
        if one.measure == "pearson" and {one.left, one.right} == {"signal", "late"}
    )
    assert pearson.value == pytest.approx(visits["signal"].corr(visits["late"]), abs=1e-6)
    assert {one.measure for one in profile.associations} == {
        "pearson",
        "spearman",
        "correlation_ratio",
        "cramers_v",
    }


def test_missing_values_come_together(profile):
    found = profile.missingness
    assert found.exact
    assert found.complete_rows == ROWS - 300
    assert [(set(one.columns), one.rows) for one in found.patterns] == [
        (set(), 2700),
        ({"a.b c", "wide"}, 300),
    ]
    by_target = {one.column: one for one in found.by_target}
    assert by_target["wide"].missing_rows == 300
    assert 0 < by_target["wide"].target_where_missing < 0.4


def test_time_coverage_shows_gaps(profile, visits):
    (time,) = profile.time
    per_day = visits["day"].dt.strftime("%Y-%m-%d").value_counts()
    assert (time.column, time.unit) == ("day", "day")
    assert {one.start: one.rows for one in time.periods} == per_day.to_dict()
    (gap,) = time.gaps
    assert (gap.first, gap.last, gap.periods) == ("2024-02-10", "2024-02-23", 14)
    assert "day: 14 days without rows" in profile.notes


def test_result_is_small_json_and_survives_it(profile):
    result = ProfileResult(sources=(profile,))
    text = result.model_dump_json()
    assert len(text) < 200_000
    json.loads(text, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert ProfileResult.model_validate_json(text) == result


def test_many_values_are_measured_without_counting_each(spark, monkeypatch):
    monkeypatch.setattr(profile_values, "_MOST", 50)
    monkeypatch.setattr(profile_values, "_BUDGET", 0)
    monkeypatch.setattr(profile_values, "_FEWEST", 50)
    values = np.concatenate(
        [np.random.default_rng(12).normal(100, 15, 1994), [NAN, INF, -INF, 0.0, -3.0, 1e9]]
    )
    texts = [f" w{n % 777}" if n % 2 else "heavy hitter" for n in range(2000)]
    moments = [datetime(2024, 1, 1, n % 24, n % 60, tzinfo=UTC) for n in range(2000)]
    df = spark.createDataFrame(
        list(zip(values.tolist(), texts, moments, strict=True)), "v double, t string, m timestamp"
    )
    found = profile_table(df, "s")
    finite = pd.Series(values[np.isfinite(values)])
    column = found.column("v")
    assert not column.distinct_exact
    assert column.distinct == pytest.approx(2000, rel=3 * column.distinct_error)
    assert column.numbers.mean == pytest.approx(finite.mean(), rel=1e-9)
    assert column.numbers.std == pytest.approx(finite.std(), rel=1e-9)
    assert column.numbers.skewness == pytest.approx(finite.skew(), rel=0.01)
    assert (column.numbers.nans, column.numbers.zeros, column.numbers.negatives) == (1, 1, 2)
    for name, value in column.numbers.quantiles.items():
        rank = (finite <= value).mean()
        assert rank == pytest.approx(float(name), abs=column.numbers.quantile_error + 1 / 2000)
    assert sum(one.rows for one in column.histogram) == len(finite)
    assert column.histogram[-1].high == 1e9
    text = found.column("t")
    assert (text.top_values[0].value, text.top_values[0].rows) == ("heavy hitter", 1000)
    assert not text.top_values_complete
    assert (text.texts.min_length, text.texts.max_length, text.texts.padded) == (3, 12, 1000)
    moment = found.column("m")
    assert sum(one.rows for one in moment.histogram) == 2000
    assert (moment.min, moment.max) == ("2024-01-01 00:00:00", "2024-01-01 23:59:00")
    assert found.time[0].unit == "hour"


def test_sample_is_the_same_for_every_layout(spark):
    rows = [(n, float(n % 97), f"t{n % 13}", None if n % 5 else 1.0) for n in range(4000)]
    df = spark.createDataFrame(rows, "_crisp_row long, x double, t string, y double")
    goal = MiningGoal(problem="regression", target="x", target_source="s")
    found = [profile_table(df.repartition(n), "s", goal=goal, sample_rows=1000) for n in (1, 5)]
    assert found[0] == found[1]
    assert found[0].sample_rows == 1000
    assert found[0].sample_note == "1,000 rows, chosen by a hash of their content"
    assert found[0].target.mean == pytest.approx(np.mean([n % 97 for n in range(4000)]))
    assert [one.name for one in found[0].columns] == ["x", "t", "y"]


def test_duplicates_and_broken_keys(spark):
    rows = [(1, "a"), (1, "a"), (1, "b"), (2, None), (None, "c"), (None, "c")]
    found = profile_table(
        spark.createDataFrame(rows, "k int, v string"), "s", source(key=("k", "v"))
    )
    assert found.duplicated_rows == 4
    (key,) = found.keys
    assert (key.rows, key.distinct, key.duplicated_rows, key.missing_rows, key.unique) == (
        3,
        2,
        2,
        3,
        False,
    )
    assert "the declared key k, v is not unique: 2 rows repeat, 3 miss a part" in found.notes
    absent = profile_table(spark.createDataFrame(rows, "k int, v string"), "s", source(key="z"))
    assert "the declared key z is not among the columns" in absent.notes


def test_null_and_value_swapped_between_columns_are_not_duplicates(spark):
    df = spark.createDataFrame([(None, 1), (1, None)], "a int, b int")
    assert profile_table(df, "s").duplicated_rows == 0


def test_empty_table_and_columns_without_values(spark):
    empty = profile_table(spark.createDataFrame([], "a int, t string, d date, x array<int>"), "s")
    assert (empty.rows, empty.sample_rows, empty.duplicated_rows) == (0, 0, 0)
    assert {column.semantic for column in empty.columns} == {SemanticType.EMPTY}
    assert empty.missingness.complete_rows == 0
    nothing = profile_table(
        spark.createDataFrame([(None, None, 1), (None, None, 1)], "a double, t string, one int"),
        "s",
    )
    assert [column.semantic.value for column in nothing.columns] == ["empty", "empty", "constant"]
    assert nothing.column("a").numbers.mean is None
    assert nothing.missingness.complete_rows == 0
    assert nothing.column("t").distinct == 0
    no_columns = profile_table(spark.range(3).drop("id"), "s")
    assert (no_columns.rows, no_columns.columns) == (3, ())


def test_nested_binary_decimal_and_boolean_columns(spark):
    rows = [
        ([1, 2], {"k": 1}, (1, "x"), b"ab", Decimal("1.50"), True, date(2024, 1, 1), 3),
        ([1, 2], {"k": 2}, None, b"ab", Decimal("2.25"), False, date(2024, 1, 3), 4),
        (None, None, (2, "y"), None, None, None, None, None),
    ]
    schema = (
        "tags array<int>, m map<string,int>, s struct<i: int, t: string>, b binary,"
        " p decimal(10,2), ok boolean, d date, y tinyint"
    )
    found = {
        one.name: one for one in profile_table(spark.createDataFrame(rows, schema), "s").columns
    }
    assert {name: one.semantic.value for name, one in found.items()} == {
        "tags": "nested",
        "m": "nested",
        "s": "nested",
        "b": "binary",
        "p": "numeric",
        "ok": "boolean",
        "d": "date",
        "y": "numeric",
    }
    assert {name: one.distinct for name, one in found.items()} == {
        "tags": 1,
        "m": None,
        "s": 2,
        "b": 1,
        "p": 2,
        "ok": 2,
        "d": 2,
        "y": 2,
    }
    assert all(one.missing == 1 for one in found.values())
    assert (found["p"].min, found["p"].max, found["p"].numbers.mean) == (1.5, 2.25, 1.875)
    assert (found["ok"].min, found["ok"].max) == (False, True)
    assert (found["d"].min, found["d"].max) == ("2024-01-01", "2024-01-03")
    assert [one.value for one in found["ok"].top_values] == [False, True]


def test_declared_personal_numbers_lose_their_values(spark):
    df = spark.createDataFrame([(n + 1000,) for n in range(50)], "salary int")
    (column,) = profile_table(df, "s", source(columns={"salary": {"pii": True}})).columns
    assert (column.min, column.max, column.histogram) == ("***", "***", ())
    assert column.numbers.quantiles == {}
    assert {one.value for one in column.top_values} == {"***"}


def test_multiclass_target(spark):
    rows = [(["l", "m", "h"][n % 3], float(n % 3), n % 7) for n in range(600)]
    df = spark.createDataFrame([*rows, (None, 1.0, 1)], "level string, copy double, noise int")
    goal = MiningGoal(problem="multiclass", target="level", target_source="s")
    found = profile_table(df, "s", goal=goal)
    assert [(one.value, one.rows) for one in found.target.classes] == [
        ("h", 200),
        ("l", 200),
        ("m", 200),
    ]
    assert found.target.missing == 1
    power = {one.column: one for one in found.power}
    assert power["copy"].measure == "macro_roc_auc"
    assert power["copy"].power > 0.99
    assert power["noise"].power < 0.2
    # A target that is a column of its own tells nothing about itself.
    assert {one.column for one in found.suspects} == {"copy"}
    assert "level" not in power


def test_target_that_does_not_fit_is_told_before_any_job(spark, no_jobs):
    df = spark.createDataFrame([(1.0,)], "x double")
    goal = MiningGoal(
        problem="binary", target="y", target_expression="xx > 1", target_source="s", positive=True
    )
    with no_jobs(), pytest.raises(SpecError, match="target_expression: does not fit source 's'"):
        profile_table(df, "s", goal=goal)
    assert profile_table(df, "other", goal=goal).target is None


@pytest.mark.slow
def test_wide_table_takes_no_more_passes(spark):
    names = [f"c {n}.x" for n in range(150)]
    quoted = [f"id % {n + 2} + (id * {n} % 7) AS `{name}`" for n, name in enumerate(names)]
    df = spark.range(400).selectExpr(*quoted)
    found = profile_table(df, "s")
    assert len(found.columns) == 150
    assert found.scans <= 6
    assert found.columns[5].distinct == len({n % 7 + n * 5 % 7 for n in range(400)})
    assert len(found.model_dump_json()) < 2_000_000
    assert len(found.associations) + found.associations_left_out <= 2 * 150 * 149 / 2
