from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel, ValidationError

from crisp_spark.errors import SpecError
from crisp_spark.spec.quality import (
    KINDS,
    AcceptedValues,
    Between,
    Expression,
    Matches,
    NotNull,
    RuleSpec,
    SchemaIs,
    Severity,
    StatisticBetween,
    Unique,
    bind_rules,
)


class Holder(BaseModel):
    rules: tuple[RuleSpec, ...] = ()


def parse(*rules):
    return Holder(rules=rules).rules


def fault(rule):
    with pytest.raises(ValidationError) as error:
        parse(rule)
    (found,) = error.value.errors()
    return found["loc"], found["msg"]


def test_a_rule_is_a_name_or_a_name_with_details():
    rules = parse("not_null", {"between": {"min": 0, "max": 9, "severity": "drop"}})
    assert rules == (NotNull(), Between(min=0, max=9, severity=Severity.DROP))


@pytest.mark.parametrize(
    ("short", "rule"),
    [
        ({"accepted_values": ["a", 1]}, AcceptedValues(values=("a", 1))),
        ({"matches": "^A"}, Matches(pattern="^A")),
        ({"expression": "a >= b"}, Expression(sql="a >= b")),
        ({"unique": ["a", "b"]}, Unique(columns=("a", "b"))),
        ({"unique": None}, Unique()),
        ({"schema": {"a": "int"}}, SchemaIs(columns={"a": "int"})),
        ({"schema": ["a", "b"]}, SchemaIs(columns={"a": "", "b": ""})),
        ({"schema": {"columns": ["a"], "exact": True}}, SchemaIs(columns={"a": ""}, exact=True)),
        (
            {"mean_between": {"column": "x", "min": 1}},
            StatisticBetween(kind="mean_between", column="x", min=1),
        ),
    ],
)
def test_the_main_detail_may_stand_alone(short, rule):
    assert parse(short) == (rule,)


def test_a_date_of_yaml_is_kept_as_its_text():
    (rule,) = parse({"between": {"min": date(2013, 1, 1)}})
    assert rule.min == "2013-01-01"


def test_rules_survive_json():
    before = Holder(
        rules=[
            "not_null",
            {"between": {"min": 0.5}},
            {"schema": ["a"]},
            {"accepted_values": [True, 1, "x"]},
        ]
    )
    after = Holder.model_validate_json(before.model_dump_json())
    assert after == before
    assert [type(value) for value in after.rules[3].values] == [bool, int, str]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nut_null", "did you mean 'not_null'"),
        ({"between": {"min": 5, "max": 1}}, "min 5 is above max 1"),
        ({"between": {}}, "give min, max or both"),
        ({"between": {"min": "a", "max": 1}}, "one type"),
        ({"between": {"min": float("inf")}}, "not a finite number"),
        ({"between": {"min": True}}, "a bound is a number"),
        ({"between": {"min": [1]}}, "not a number"),
        ({"between": 3}, "the details of between are a map"),
        ({"row_count": {"min": 1, "severity": "drop"}}, "needs a rule about rows"),
        ({"row_count": {"min": 3, "max": 2}}, "min 3 is above max 2"),
        ({"length_between": {}}, "give min, max or both"),
        ({"accepted_values": []}, "at least 1 item"),
        ({"not_null": {"mostly": 0}}, "greater than 0"),
        (3, "a rule is a name or one name with details"),
        ({"a": 1, "b": 2}, "one name with details, got a, b"),
    ],
)
def test_a_fault_is_told_once_and_in_words(rule, message):
    assert message in fault(rule)[1]


def test_the_place_of_a_fault_is_its_path_in_the_file():
    assert fault({"between": {"min": 0, "maxx": 1}})[0] == ("rules", 0, "between", "maxx")


def test_json_schema_offers_the_short_forms():
    schema = Holder.model_json_schema()["properties"]["rules"]["items"]["anyOf"]
    assert "not_null" in schema[0]["enum"]
    assert set(schema[1]["properties"]) == set(KINDS)


def test_binding_gives_columns_names_and_places():
    bound = bind_rules(
        "flights",
        {"a.b": parse("not_null", {"between": {"min": 0}}, {"between": {"max": 9}})},
        parse(
            {"unique": ["x", "y"]},
            {"expression": {"sql": "x > y", "name": "order"}},
            {"row_count": {"min": 1}},
        ),
    )
    assert [rule.name for rule in bound] == [
        "not_null_a.b",
        "between_a.b",
        "between_a.b_2",
        "unique_x_y",
        "order",
        "row_count",
    ]
    assert bound[0].place == "data.sources.flights.columns.a.b.rules[0]"
    assert bound[3].columns == ("x", "y")
    assert bound[3].column is None
    assert bound[0].column == "a.b"


@pytest.mark.parametrize(
    ("columns", "rules", "message"),
    [
        ({}, ["not_null"], "not_null names no column"),
        (
            {"a": [{"between": {"min": 1, "column": "b"}}]},
            [],
            "stands under 'a' but names column 'b'",
        ),
        ({"a": [{"row_count": {"min": 1}}]}, [], "belongs to the rules of the source"),
        (
            {"a": [{"not_null": {"name": "n"}}], "b": [{"not_null": {"name": "n"}}]},
            [],
            "2 rules are named 'n'",
        ),
    ],
)
def test_binding_refuses_rules_in_the_wrong_place(columns, rules, message):
    with pytest.raises(SpecError, match="rules cannot be used") as error:
        bind_rules("s", {name: parse(*own) for name, own in columns.items()}, parse(*rules))
    assert message in str(error.value)
