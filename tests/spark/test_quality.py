from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from crisp_spark.errors import QualityGateError, SpecError
from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import SourceQuality
from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.quality import evaluate_rules
from crisp_spark.understanding.quality_gate import raise_for_failures

RULE = TypeAdapter(RuleSpec)
NOW = datetime(2024, 3, 1, tzinfo=UTC)
NAN, INF = float("nan"), float("inf")

FLIGHTS = "_crisp_row long, `näme.x` string, delay double, seats int, day date, price decimal(6,2), ok boolean, tags array<string>"


@pytest.fixture(scope="module")
def flights(spark_session):
    rows = [
        (1, "UA", 1.0, 10, date(2024, 1, 1), Decimal("1.50"), True, ["a"]),
        (2, "UA", -5.0, 20, date(2024, 1, 2), Decimal("2.50"), False, []),
        (3, "ZZ", NAN, 30, date(2024, 1, 3), None, None, None),
        (4, None, INF, None, None, Decimal("9.00"), True, ["a", "b"]),
        (5, "B6", None, 20, date(2024, 2, 28), Decimal("1.50"), True, ["c"]),
        (6, "x y", 100.0, 50, date(2024, 1, 1), Decimal("0.00"), False, None),
    ]
    return spark_session.createDataFrame(rows, FLIGHTS).repartition(3)


def bind(columns=None, rules=()):
    parsed = {
        name: [RULE.validate_python(rule) for rule in own] for name, own in (columns or {}).items()
    }
    return bind_rules("flights", parsed, [RULE.validate_python(rule) for rule in rules])


def judge(df, columns=None, rules=(), **options):
    return evaluate_rules(df, bind(columns, rules), now=NOW, **options)


def counts(result):
    return {rule.name: (rule.evaluated, rule.failed, rule.verdict.value) for rule in result.rules}


def test_rules_about_rows_count_exactly(flights):
    result = judge(
        flights,
        {
            "näme.x": [
                "not_null",
                {"accepted_values": ["UA", "B6"]},
                {"rejected_values": ["ZZ"]},
                {"matches": "^[A-Z0-9]{2}$"},
                {"matches": {"pattern": "Z", "negate": True, "name": "no_z"}},
                {"length_between": {"min": 2, "max": 2}},
            ],
            "delay": [
                {"between": {"min": -5, "max": 60}},
                {"between": {"min": 0, "name": "low_only"}},
            ],
            "seats": [
                {"between": {"min": 10, "max": 50, "strict_min": True, "strict_max": True}},
                {"between": {"min": 20, "where": "ok", "name": "conditional"}},
            ],
            "day": [{"between": {"min": "2024-01-01", "max": "2024-01-31"}}],
            "price": [{"between": {"min": 1, "max": 5}}],
            "ok": [{"accepted_values": [True]}],
        },
        [{"expression": {"sql": "delay >= seats", "name": "pair"}}],
    )
    assert result.rows == 6
    assert result.passes == 2
    assert counts(result) == {
        "not_null_näme.x": (6, 1, "warn"),
        "accepted_values_näme.x": (5, 2, "warn"),
        "rejected_values_näme.x": (5, 1, "warn"),
        "matches_näme.x": (5, 1, "warn"),
        "no_z": (5, 1, "warn"),
        "length_between_näme.x": (5, 1, "warn"),
        # NaN and infinity fail a range with an upper end; NaN fails any range.
        "between_delay": (5, 3, "warn"),
        "low_only": (5, 2, "warn"),
        "between_seats": (5, 2, "warn"),
        "conditional": (2, 1, "warn"),
        "between_day": (5, 1, "warn"),
        "between_price": (5, 2, "warn"),
        "accepted_values_ok": (5, 2, "warn"),
        # NaN is above every number in Spark's order; null outcomes are not judged.
        "pair": (4, 2, "warn"),
    }
    not_null = result.rules[0]
    assert (not_null.missing, not_null.samples, not_null.failed_share) == (1, (), 1 / 6)
    assert [(one.value, one.rows) for one in result.rules[1].samples] == [("ZZ", 1), ("x y", 1)]


def test_passing_rules_take_one_pass_and_no_samples(flights):
    result = judge(flights, {"seats": [{"between": {"min": 0}}, {"rejected_values": [7]}]})
    assert result.verdict is Verdict.PASS
    assert result.passes == 1
    assert [rule.samples for rule in result.rules] == [(), ()]


def test_mostly_decides_the_verdict_but_not_the_count(flights):
    result = judge(
        flights,
        {
            "seats": [
                {"not_null": {"mostly": 0.83}},
                {"not_null": {"mostly": 0.84, "name": "strict"}},
            ]
        },
    )
    assert counts(result) == {"not_null_seats": (6, 1, "pass"), "strict": (6, 1, "warn")}


def test_rules_about_the_table(flights):
    result = judge(
        flights,
        {
            "seats": [
                {"mean_between": {"min": 25, "max": 27}},
                {"sum_between": {"min": 130, "max": 130}},
                {"stddev_between": {"max": 15}},
                {"min_between": {"min": 11}},
                {"max_between": {"max": 50}},
                {"max_between": {"max": 50, "strict_max": True, "name": "strict"}},
                {"mean_between": {"min": 10, "max": 10, "where": "seats < 20", "name": "some"}},
                {"quantile_between": {"quantile": 0.5, "min": 20, "max": 20}},
                {"quantile_between": {"quantile": 0.9, "max": 20, "exact": False, "name": "q90"}},
                {"distinct_count_between": {"min": 4, "max": 4}},
            ],
            "delay": [{"mean_between": {"min": 0, "name": "poisoned"}}],
            "day": [
                {"freshness": {"max_age_days": 2}},
                {"freshness": {"max_age_days": 1, "as_of": "2024-02-29", "name": "asof"}},
                {"freshness": {"max_age_days": 1, "name": "stale"}},
                {"max_between": {"max": "2024-02-28", "name": "last_day"}},
            ],
        },
        [{"row_count": {"min": 7}}],
    )
    told = {rule.name: (rule.observed, rule.verdict is Verdict.PASS) for rule in result.rules}
    assert told.pop("stddev_between_seats")[0] == pytest.approx(15.1657508881031)
    assert told == {
        "mean_between_seats": (26.0, True),
        "sum_between_seats": (130.0, True),
        "min_between_seats": (10, False),
        "max_between_seats": (50, True),
        "strict": (50, False),
        "some": (10.0, True),
        "quantile_between_seats": (20.0, True),
        "q90": (50.0, False),
        "distinct_count_between_seats": (4, True),
        "poisoned": (None, False),
        "freshness_day": (2.0, True),
        "asof": (1.0, True),
        "stale": (2.0, False),
        "last_day": ("2024-02-28", True),
        "row_count": (6, False),
    }
    assert {rule.name for rule in result.rules if rule.approximate} == {"q90"}


def test_schema_rule_names_what_differs(flights):
    wanted = {
        "columns": {"delay": "double", "seats": "bigint", "gone": ""},
        "exact": True,
        "ordered": True,
    }
    result = judge(flights.select("_crisp_row", "seats", "delay", "ok"), rules=[{"schema": wanted}])
    assert result.rules[0].observed == (
        "no column 'gone'; 'seats' is int, not bigint; unexpected column 'ok';"
        " columns come as seats, delay"
    )
    fine = judge(flights, rules=[{"schema": {"columns": {"seats": "integer", "delay": ""}}}])
    assert fine.rules[0].verdict is Verdict.PASS


def test_unique_and_relationships(flights, spark):
    parents = {
        "carriers": spark.createDataFrame([("UA",), ("UA",), ("B6",), (None,)], "code string")
    }
    result = judge(
        flights,
        {"näme.x": ["unique", {"relationships": {"to": "carriers", "field": "code"}}]},
        [
            {"unique": ["seats", "price"]},
            {"unique": {"columns": ["näme.x"], "where": "seats > 10", "name": "some"}},
        ],
        parents=parents,
    )
    assert counts(result) == {
        "unique_näme.x": (5, 2, "warn"),
        "relationships_näme.x": (5, 2, "warn"),
        "unique_seats_price": (4, 0, "pass"),
        "some": (4, 0, "pass"),
    }
    assert [(one.value, one.rows) for one in result.rules[0].samples] == [("UA", 2)]
    assert [one.value for one in result.rules[1].samples] == ["ZZ", "x y"]


def rows_of(frame):
    return sorted(row["_crisp_row"] for row in frame.collect())


def test_dropped_rows_name_every_rule_they_fail(flights, spark):
    parents = {"carriers": spark.createDataFrame([("UA",), ("B6",)], "code string")}
    result = judge(
        flights,
        {
            "näme.x": [
                {"accepted_values": {"values": ["UA", "B6", "x y"], "severity": "drop"}},
                {"relationships": {"to": "carriers", "field": "code"}},
                "not_null",
            ],
            "delay": [{"between": {"max": 60, "severity": "warn"}}],
            "seats": [{"not_null": {"severity": "drop", "mostly": 0.5}}],
        },
        parents=parents,
    )
    kept, quarantined = result.split("run-7")
    assert kept.columns == flights.columns
    assert rows_of(kept) == [1, 2, 5, 6]
    found = {row["_crisp_row"]: row for row in quarantined.collect()}
    assert {key: row["_crisp_failed_rules"] for key, row in found.items()} == {
        3: ["accepted_values_näme.x", "between_delay", "relationships_näme.x"],
        4: ["not_null_näme.x", "between_delay", "not_null_seats"],
    }
    assert {row["_crisp_run"] for row in found.values()} == {"run-7"}
    assert quarantined.columns == [*flights.columns, "_crisp_failed_rules", "_crisp_run"]


def test_a_clean_source_is_kept_whole(flights, no_jobs):
    result = judge(flights, {"seats": [{"between": {"min": 0, "severity": "drop"}}, "not_null"]})
    with no_jobs():
        kept, quarantined = result.split("r")
    assert kept is flights
    assert quarantined.count() == 0
    assert dict(quarantined.dtypes)["_crisp_failed_rules"] == "array<string>"


def test_of_repeated_keys_the_best_row_survives(spark):
    rows = [
        (30, "f1", "k", 5, "a"),
        (10, "f1", "k", -1, "b"),  # the lowest hash, but another rule sends it away
        (20, "f2", "k", 5, "c"),
        (20, "f1", "k", 5, "d"),
        (40, "f1", "single", 5, "e"),
        (50, "f1", None, 5, "g"),
        (60, "f1", None, 5, "h"),
        (70, "f1", "same", 5, "i"),
        (70, "f1", "same", 5, "i"),
    ]
    df = spark.createDataFrame(
        rows, "_crisp_row long, _crisp_file string, k string, v int, t string"
    )
    result = judge(
        df.repartition(4, "t"),
        {"v": [{"between": {"min": 0, "severity": "drop"}}]},
        [{"unique": {"columns": ["k"], "severity": "drop"}}],
    )
    kept, quarantined = result.split("r")
    assert sorted(row["t"] for row in kept.collect()) == ["d", "e", "g", "h", "i"]
    assert sorted(row["t"] for row in quarantined.collect()) == ["a", "b", "c", "i"]
    assert counts(result)["unique_k"] == (7, 6, "warn")


def test_faults_of_rules_are_told_together_before_any_job(flights, no_jobs):
    rules = bind(
        {
            "delai": ["not_null"],
            "delay": [{"between": {"min": "low"}}],
            "näme.x": [{"matches": "(["}, {"between": {"max": 3}}, {"mean_between": {"min": 1}}],
            "seats": [
                {"matches": "x"},
                {"accepted_values": ["a"]},
                {"freshness": {"max_age_days": 1}},
            ],
            "day": [{"between": {"min": "yesterday"}}],
            "ok": [{"between": {"min": 0}}],
        },
        [
            {"expression": {"sql": "delay >"}},
            {"expression": {"sql": "delay + 1"}},
            {"expression": {"sql": "count(1) > 0"}},
            {"not_null": {"column": "day", "where": "nope = 1"}},
            {"relationships": {"column": "seats", "to": "planes", "field": "seats"}},
            {"relationships": {"column": "seats", "to": "other", "field": "sseats"}},
            {"relationships": {"column": "seats", "to": "other", "field": "näme.x"}},
        ],
    )
    with no_jobs(), pytest.raises(SpecError) as error:
        evaluate_rules(flights, rules, parents={"other": flights, "plains": flights}, now=NOW)
    faults = error.value.faults
    assert len(faults) == 17
    for place, text in [
        ("columns.delai.rules[0]", "no column 'delai'; did you mean 'delay'?"),
        ("columns.delay.rules[0]", "'low' does not fit 'delay' (double)"),
        ("columns.näme.x.rules[0]", "invalid pattern '(['"),
        ("columns.näme.x.rules[1]", "3 does not fit 'näme.x' (string)"),
        ("columns.näme.x.rules[2]", "needs a number"),
        ("columns.seats.rules[0]", "needs a text column"),
        ("columns.seats.rules[1]", "'a' does not fit 'seats' (int)"),
        ("columns.seats.rules[2]", "needs a date or timestamp"),
        ("columns.day.rules[0]", "'yesterday' is no ISO date"),
        ("columns.ok.rules[0]", "'ok' is boolean, which has no order"),
        ("rules[0]", "sql 'delay >' is not valid"),
        ("rules[1]", "gives double, not true or false"),
        ("rules[2]", "is not valid"),
        ("rules[3]", "where 'nope = 1' is not valid"),
        ("rules[4]", "no source 'planes'; did you mean 'plains'?"),
        ("rules[5]", "has no column 'sseats'; did you mean 'seats'?"),
        ("rules[6]", "'seats' is int, but 'näme.x' of 'other' is string"),
    ]:
        assert any(place in fault and text in fault for fault in faults), (place, text, faults)


def test_one_rule_that_breaks_does_not_stop_the_others(flights):
    result = judge(
        flights,
        {"seats": ["not_null"]},
        [{"expression": {"sql": "cast(`näme.x` as int) > 0", "name": "broken"}}],
    )
    told = {rule.name: rule for rule in result.rules}
    assert told["broken"].verdict is Verdict.UNKNOWN
    assert "CAST_INVALID_INPUT" in told["broken"].error
    assert (told["not_null_seats"].failed, result.rows) == (1, 6)
    kept, quarantined = result.split("r")
    assert (kept.count(), quarantined.count()) == (6, 0)


def test_empty_table_and_missing_values(spark):
    empty = spark.createDataFrame([], "a int, d date")
    rules = {
        "a": [
            "not_null",
            "unique",
            {"between": {"min": 0}},
            {"mean_between": {"min": 0}},
            {"quantile_between": {"quantile": 0.5, "min": 0}},
        ],
        "d": [{"freshness": {"max_age_days": 1}}],
    }
    verdicts = {rule.name: rule.verdict.value for rule in judge(empty, rules).rules}
    # Nothing to judge passes; a statistic of nothing holds no bound.
    assert verdicts == {
        "not_null_a": "pass",
        "unique_a": "pass",
        "between_a": "pass",
        "mean_between_a": "warn",
        "quantile_between_a": "warn",
        "freshness_d": "warn",
    }
    nothing = spark.createDataFrame([(None, None), (None, None)], "a int, d date")
    result = judge(nothing, rules)
    assert counts(result)["not_null_a"] == (2, 2, "warn")
    assert counts(result)["between_a"] == (0, 0, "pass")


def test_nested_columns(spark):
    df = spark.createDataFrame(
        [(["a"], {"k": 1}, (1, "x")), (["a"], {"k": 2}, None)],
        "tags array<string>, m map<string,int>, s struct<i: int, t: string>",
    )
    result = judge(
        df,
        {"tags": ["not_null", "unique"], "m": ["not_null"], "s": ["not_null"]},
        [{"expression": "s.i > 1"}],
    )
    assert counts(result)["unique_tags"] == (2, 2, "warn")
    assert result.rules[1].samples[0].value == '{"tags":["a"]}'
    assert counts(result)["expression"] == (1, 1, "warn")
    with pytest.raises(SpecError, match="cannot be compared"):
        judge(df, {"m": ["unique"]})


def test_values_of_personal_columns_are_masked(flights):
    result = judge(
        flights,
        {"näme.x": [{"accepted_values": ["UA"]}, "unique"]},
        [{"expression": "`näme.x` = 'UA'"}],
        private={"näme.x"},
    )
    for rule in result.rules:
        text = rule.model_dump_json(include={"samples", "remedy"})
        assert rule.samples
        assert "ZZ" not in text
        assert "UA" not in text or rule.kind == "expression"
        assert all(str(one.value).startswith("***") for one in rule.samples)


def test_samples_are_bounded_and_the_same_for_every_layout(spark):
    df = spark.range(500).selectExpr("cast(id % 50 as int) AS v", "id AS _crisp_row")
    found = [
        judge(df.repartition(n), {"v": [{"between": {"max": 9}}]}, sample_values=5).rules[0].samples
        for n in (1, 4)
    ]
    assert found[0] == found[1]
    assert [(one.value, one.rows) for one in found[0]] == [
        (10, 10),
        (11, 10),
        (12, 10),
        (13, 10),
        (14, 10),
    ]


def test_a_broken_fail_rule_stops_with_names_counts_and_examples(flights):
    result = judge(
        flights,
        {"seats": [{"between": {"max": 20, "severity": "fail"}}], "delay": ["not_null"]},
        [{"row_count": {"min": 10, "severity": "fail"}}],
    )
    summary: SourceQuality = result.summary(kept=6, quarantined=0)
    assert summary.verdict is Verdict.FAIL
    with pytest.raises(QualityGateError) as error:
        raise_for_failures([summary], result="kept")
    text = str(error.value)
    assert "2 rules of severity fail" in text
    assert "flights.between_seats: seats is at most 20: 2 of 5 rows fail, such as 30, 50" in text
    assert "flights.row_count: the number of rows of flights is at least 10, got 6" in text
    assert error.value.result == "kept"
    raise_for_failures([judge(flights, {"seats": ["not_null"]}).summary(kept=6, quarantined=0)])


def test_timestamps_compare_in_utc(spark):
    df = spark.sql(
        "SELECT timestamp'2024-01-01 23:30:00' AS t, timestamp_ntz'2024-01-01 23:30:00' AS n, date'2024-01-01' AS d"
    )
    rules = [
        {"between": {"max": "2024-01-01T23:30:00"}},
        {"between": {"max": "2024-01-01", "name": "{}"}},
    ]
    named = {
        column: [rules[0], {"between": {"max": "2024-01-01", "name": f"midnight_{column}"}}]
        for column in ("t", "n", "d")
    }
    named["t"].append({"between": {"max": "2024-01-02T00:30:00+01:00", "name": "zone"}})
    failed = {rule.name: rule.failed for rule in judge(df, named).rules}
    assert failed == {
        "between_t": 0,
        "midnight_t": 1,
        "zone": 0,
        "between_n": 0,
        "midnight_n": 1,
        "between_d": 0,
        "midnight_d": 0,
    }


def test_broken_rules_come_with_a_remedy_that_cleaning_takes(flights):
    from crisp_spark.spec.cleaning import CleanOp

    result = judge(
        flights,
        {
            "näme.x": [
                "not_null",
                "unique",
                {"accepted_values": ["UA", "B6"]},
                {"matches": "^[A-Z']+\\d$"},
                {"length_between": {"max": 2}},
            ],
            "seats": [{"between": {"min": 20}}, "not_null"],
            "tags": ["not_null"],
        },
        [{"expression": "seats > 20"}, {"row_count": {"min": 99}}],
    )
    from ruamel.yaml import YAML

    for rule in result.rules:
        assert rule.remedy is not None
        assert rule.remedy.text
        for op in YAML(typ="safe").load(rule.remedy.yaml) or []:
            TypeAdapter(CleanOp).validate_python(op)
    assert [rule.name for rule in result.rules if not rule.remedy.yaml] == ["row_count"]
