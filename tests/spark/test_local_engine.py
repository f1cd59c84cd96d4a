"""The local engine against Spark, the reference: the same verdicts, counts and observations."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from crisp_spark.errors import SpecError
from crisp_spark.results.base import Verdict
from crisp_spark.spec.quality import KINDS, RuleSpec, bind_rules
from crisp_spark.understanding.local import evaluate_locally, judge_files
from crisp_spark.understanding.local.engine import table_of
from crisp_spark.understanding.quality import evaluate_rules

pytestmark = pytest.mark.slow

RULE = TypeAdapter(RuleSpec)
NOW = datetime(2024, 3, 1, tzinfo=UTC)
NAN, INF = float("nan"), float("inf")
SCHEMA = (
    "`näme.x y` string, dbl double, flt float, num int, big bigint, tiny tinyint, dec decimal(8,2),"
    ' day date, at timestamp, ok boolean, raw binary, tags array<string>, `a"b` int'
)
TEXTS = ["UA", "ua", "B6", "", " ", "ä👍", "a\nb", "ab\n", "x'y", None, "1.5", "ÄÖ", "UA"]
DOUBLES = [1.0, -0.0, 0.0, NAN, NAN, INF, -INF, None, 1.5, 100.25, 1e300, 2.5, 1.5]


def rows():
    for at in range(130):
        text, number = TEXTS[at % 13], DOUBLES[(at * 7) % 13]
        small = None if at % 11 == 0 else at % 7
        yield (
            text, number, number if number is None or abs(number) < 1e30 or not math.isfinite(number) else 7.0,
            None if at % 10 == 3 else at // 2, 9_000_000_000_000_000_000 + at % 3, small,
            None if at % 9 == 0 else Decimal(at * 3).scaleb(-2), None if at % 8 == 0 else date(2024, 1, 1 + at % 28),
            None if at % 6 == 0 else datetime(2024, 1, 1 + at % 28, at % 24, 30, 0, at * 1000, UTC), [True, False, None][at % 3],
            bytes([at % 4]), [text or ""], at,
        )  # fmt: skip


COLUMNS = {
    "näme.x y": [
        "not_null", "unique", {"not_null": {"where": "num > 3", "mostly": 0.5}},
        {"accepted_values": ["UA", "B6", "", "x'y"]}, {"rejected_values": ["ab\n"]},
        {"between": {"min": "A", "max": "Z", "strict_min": True}}, {"length_between": {"min": 1, "max": 2}},
        {"matches": "^[A-Z]+$"}, {"matches": "b$"}, {"matches": {"pattern": "\\s|\\d\\.\\d", "negate": True}},
        {"matches": "a.b"}, {"matches": "^.{2,3}$"}, {"matches": "(?i)ua"},
        {"relationships": {"to": "others", "field": "code"}}, {"distinct_count_between": {"min": 12}},
        {"min_between": {"min": "A"}}, {"max_between": {"max": "z"}}, {"null_fraction_between": {"max": 0.05}},
    ],
    "dbl": [
        "not_null", "unique", {"between": {"min": 0}}, {"between": {"max": 1.5, "strict_max": True}},
        {"accepted_values": [1, 1.5, 0]}, {"rejected_values": [0]}, {"mean_between": {"min": 1}},
        {"mean_between": {"min": 1, "where": "dbl < 1000 AND dbl >= 0", "name": "finite_mean"}},
        {"sum_between": {"max": 5, "where": "dbl < 100", "name": "finite_sum"}},
        {"stddev_between": {"max": 99, "where": "dbl < 1000 AND dbl > -1000", "name": "finite_std"}},
        {"stddev_between": {"max": 99}}, {"min_between": {"min": 0}}, {"max_between": {"max": 5}},
        {"quantile_between": {"quantile": 0.5, "max": 1.5}}, {"quantile_between": {"quantile": 0.07, "max": 1}},
        {"quantile_between": {"quantile": 0, "max": 1}}, {"quantile_between": {"quantile": 1, "max": 1, "exact": False}},
        {"distinct_count_between": {"max": 9}},
    ],
    "flt": [{"between": {"min": 0, "max": 2.5}}, {"mean_between": {"min": 0, "where": "num < 3"}}, {"max_between": {"max": 1}}],
    "num": [
        "unique", {"between": {"min": 3, "max": 60.5}}, {"accepted_values": [1, 2, 3.0]}, {"mean_between": {"min": 31}},
        {"sum_between": {"min": 100}}, {"stddev_between": {"max": 20}}, {"quantile_between": {"quantile": 0.25, "min": 20}},
        {"relationships": {"to": "others", "field": "id", "mostly": 0.1, "where": "num IS NOT NULL"}},
        {"max_between": {"max": 64}}, {"min_between": {"min": 0, "strict_min": True}},
    ],
    "big": [{"sum_between": {"min": 5}}, {"distinct_count_between": {"max": 2}}, {"between": {"max": 9_000_000_000_000_000_001}}],
    "tiny": [{"between": {"min": 1}}, {"mean_between": {"max": 3}}],
    "dec": [
        {"between": {"min": 0.5, "max": 2}}, {"accepted_values": [0.03, 3]}, {"mean_between": {"max": 1.9}},
        {"sum_between": {"max": 200}}, {"stddev_between": {"max": 1}}, {"min_between": {"min": 0}}, {"unique": {"where": "dec < 1"}},
    ],
    "day": [
        {"between": {"min": "2024-01-05", "max": "2024-01-20"}}, {"between": {"min": "2024-01-05T12:00:00"}},
        {"freshness": {"max_age_days": 33}}, {"min_between": {"min": "2024-01-02"}}, {"accepted_values": ["2024-01-02"]},
    ],
    "at": [
        {"between": {"max": "2024-01-15T10:30:00+01:00"}}, {"freshness": {"max_age_days": 40, "as_of": "2024-02-01"}},
        {"max_between": {"max": "2024-01-30"}}, "unique",
    ],
    "ok": [{"accepted_values": [True]}, "not_null", {"distinct_count_between": {"min": 2}}],
    "raw": ["unique", "not_null"],
    "tags": ["not_null", "unique"],
    'a"b': ["unique", {"row_count": {"min": 1}}][:1],
}  # fmt: skip
TABLE = [
    {"row_count": {"min": 1, "max": 100}},
    {"unique": ["num", "näme.x y"]},
    {"unique": {"columns": ["dbl", "ok"], "where": "num BETWEEN 5 AND 40"}},
    {"expression": "num >= tiny"},
    {"expression": "dbl > flt OR NOT ok"},
    {"expression": "num * 2 + 1 <> 7 AND coalesce(`näme.x y`, 'x') IN ('x', 'UA')"},
    {"expression": {"sql": "length(`näme.x y`) < 3 AND `näme.x y` <> 'it''s'", "where": "ok"}},
    {"expression": "upper(`näme.x y`) = 'UA'"},
    {"expression": "day < current_date()"},
    {"schema": ["dbl", "num"]},
    {"schema": {"columns": {"num": "bigint", "nope": ""}, "exact": True}},
]
LEFT_TO_SPARK = {
    "matches_näme.x y_6",
    "expression_4",
    "expression_5",
    "expression_6",
    "unique_tags",
}


@pytest.fixture(scope="module")
def bound():
    return bind_rules(
        "t",
        {name: [RULE.validate_python(rule) for rule in own] for name, own in COLUMNS.items()},
        [RULE.validate_python(rule) for rule in TABLE],
    )


@pytest.fixture(scope="module", params=["full", "empty", "nulls"])
def frames(request, spark_session, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    content = {"full": list(rows()), "empty": [], "nulls": [(None,) * 13] * 3}[request.param]
    spark_session.createDataFrame(content, SCHEMA).repartition(3).write.parquet(f"{folder}/t")
    others = [("UA", 1), ("ä👍", 2), (None, None), ("UA", 5)]
    spark_session.createDataFrame(others, "code string, id long").write.parquet(f"{folder}/o")
    read = spark_session.read.parquet
    return read(f"{folder}/t"), {"others": read(f"{folder}/o")}


def told(rule):
    counts = (rule.verdict, rule.rows, rule.missing, rule.evaluated, rule.failed)
    observed = rule.observed
    if isinstance(observed, float):
        observed = pytest.approx(observed, rel=1e-12)
    values = {str(one.value) for one in rule.samples} if len(rule.samples) < 20 else set()
    return (*counts, observed, values)


def test_every_kind_of_rule_gives_what_spark_gives(frames, bound):
    df, parents = frames
    assert {rule.rule.kind for rule in bound} == set(KINDS) - {"as_usual"}
    wanted = evaluate_rules(df, bound, parents=parents, now=NOW)
    tables = {name: table_of(frame) for name, frame in parents.items()}
    found = judge_files(table_of(df), bound, parents=tables, now=NOW)
    assert found.rows == wanted.rows
    assert set(found.left_out) == LEFT_TO_SPARK
    for rule in wanted.rules:
        if rule.name not in LEFT_TO_SPARK:
            assert (rule.name, told(found.results[rule.name])) == (rule.name, told(rule))


def test_what_is_left_to_spark_and_the_split_fit_in(frames, bound):
    df, _ = frames
    dropping = [
        RULE.validate_python({**rule.rule.model_dump(), "severity": "drop"})
        for rule in bound
        if rule.rule.kind in {"between", "unique", "matches"} and rule.column == "näme.x y"
    ]
    rules = bind_rules("t", {"näme.x y": dropping})
    wanted = evaluate_rules(df, rules, now=NOW)
    found = evaluate_locally(df, rules, engine="local", now=NOW)
    assert [told(rule) for rule in found.rules] == [told(rule) for rule in wanted.rules]
    assert [part.count() for part in found.split("r")] == [
        part.count() for part in wanted.split("r")
    ]


def test_examples_of_personal_data_are_masked(frames, bound):
    df, _ = frames
    rules = [rule for rule in bound if rule.name == "rejected_values_näme.x y"]
    found = judge_files(table_of(df), rules, private=["näme.x y"])
    assert all("b" not in str(one.value) for one in found.results[rules[0].name].samples)


def test_auto_takes_spark_for_tables_that_are_not_files(spark, bound):
    df = spark.createDataFrame([(1,)], "num int")
    rules = bind_rules("t", {"num": [RULE.validate_python("not_null")]})
    assert evaluate_locally(df, rules, engine="auto").verdict is Verdict.PASS
    with pytest.raises(SpecError, match=r"data\.engine: local"):
        evaluate_locally(df, rules, engine="local")


def test_a_key_that_holds_a_unique_column_takes_no_query(spark, tmp_path):
    spark.range(40).selectExpr("id", "id % 3 AS c", "id div 20 AS d").write.parquet(f"{tmp_path}/t")
    table = table_of(spark.read.parquet(f"{tmp_path}/t"))
    keys = [["c", "id"], {"columns": ["id", "d"], "where": "c = 1"}, ["c", "d"]]
    rules = bind_rules(
        "t",
        {"id": [RULE.validate_python("unique")]},
        [RULE.validate_python({"unique": key}) for key in keys],
    )
    found = judge_files(table, rules[::-1])
    assert [found.results[rule.name].failed for rule in rules] == [0, 0, 0, 40]
    # Counts, one column, a pair that repeats, examples of it.
    assert found.passes == 4
    # Under a condition a column is unique for the rows of that condition only.
    some = RULE.validate_python({"unique": {"where": "id IN (0, 20)"}})
    rules = bind_rules("t", {"d": [some]}, [RULE.validate_python({"unique": ["c", "d"]})])
    found = judge_files(table, rules)
    assert [found.results[rule.name].failed for rule in rules] == [0, 40]
