from __future__ import annotations

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from crisp_spark.results.profile import (
    ColumnProfile,
    KeyCheck,
    Missingness,
    Numbers,
    SemanticType,
    TableProfile,
    Texts,
    ValueCount,
)
from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.suggest import suggest_rules, suggestions_yaml

RULE = TypeAdapter(RuleSpec)


def column(name, semantic, **facts):
    defaults = {
        "type": "string",
        "missing": 0,
        "missing_share": 0.0,
        "distinct": 2,
        "distinct_exact": True,
    }
    return ColumnProfile(name=name, semantic=semantic, **(defaults | facts))


def texts(patterns=(), non_ascii=0):
    return Texts(
        min_length=2,
        max_length=6,
        mean_length=4.0,
        blank=0,
        padded=0,
        non_ascii=non_ascii,
        non_ascii_share=0.0,
        patterns=patterns,
    )


def value(text, rows=500):
    return ValueCount(value=text, rows=rows, share=rows / 1000)


NUMBERS = Numbers(
    mean=1,
    std=1,
    skewness=0,
    kurtosis=0,
    sum=1,
    zeros=0,
    negatives=0,
    nans=0,
    positive_infinities=0,
    negative_infinities=0,
)


def profile(*columns, rows=1000, keys=()):
    return TableProfile(
        name="s",
        rows=rows,
        columns=columns,
        duplicated_rows=0,
        keys=keys,
        missingness=Missingness(complete_rows=rows),
        sample_rows=rows,
        scans=3,
    )


def rules_of(found):
    return {(one.column, one.yaml) for one in found}


def test_each_suggestion_says_what_was_seen():
    key = KeyCheck(
        columns=("id",),
        declared=True,
        rows=1000,
        distinct=1000,
        duplicated_rows=0,
        missing_rows=0,
        unique=True,
    )
    found = suggest_rules(
        profile(
            column(
                "city",
                SemanticType.CATEGORY,
                texts=texts(),
                top_values=(value("Brno"), value("Žďár: #1")),
            ),
            column(
                "plate",
                SemanticType.CODE,
                texts=texts((value("A999.AA", 1000),)),
                missing=5,
                missing_share=0.005,
                distinct=700,
            ),
            column(
                "seats",
                SemanticType.NUMERIC,
                type="int",
                numbers=NUMBERS,
                min=10,
                max=110,
                missing=200,
                missing_share=0.2,
            ),
            column("mail", SemanticType.EMAIL, texts=texts(), pii=True, top_values=(value("***"),)),
            column("void", SemanticType.EMPTY, missing=1000, missing_share=1.0),
            keys=(key,),
        )
    )
    assert rules_of(found) == {
        ("city", "not_null"),
        ("city", 'accepted_values: {values: ["Brno", "Žďár: #1"]}'),
        ("plate", "not_null: {mostly: 0.99}"),
        ("plate", 'matches: {pattern: "^([A-Z][0-9]{3}\\\\.[A-Z]{2})$"}'),
        ("seats", "between: {min: 0, max: 120}"),
        ("mail", "not_null"),
        ("mail", 'matches: {pattern: "^[^@\\\\s]+@[^@\\\\s]+\\\\.[^@\\\\s.]{2,}$", mostly: 0.95}'),
        ("", 'unique: {columns: ["id"]}'),
        ("", "row_count: {min: 500, max: 2000}"),
    }
    assert all(one.evidence for one in found)


def test_suggestions_are_a_piece_of_the_project_file():
    found = suggest_rules(
        profile(
            column(
                "a: b", SemanticType.CATEGORY, texts=texts(), top_values=(value("x"), value("y"))
            )
        )
    )
    read = YAML(typ="safe").load(suggestions_yaml(found))["s"]
    bound = bind_rules(
        "s",
        {
            name: [RULE.validate_python(rule) for rule in own["rules"]]
            for name, own in read["columns"].items()
        },
        [RULE.validate_python(rule) for rule in read["rules"]],
    )
    assert [rule.rule for rule in bound] == [one.rule for one in found]


def test_what_is_declared_is_not_suggested_again_and_little_data_suggests_nothing():
    city = column("city", SemanticType.CATEGORY, texts=texts(), top_values=(value("a"), value("b")))
    left = suggest_rules(profile(city), declared=[("city", "not_null"), ("", "row_count")])
    assert rules_of(left) == {("city", 'accepted_values: {values: ["a", "b"]}')}
    assert suggest_rules(profile(city, rows=99)) == []


def test_shapes_with_foreign_letters_fall_back_to_lengths():
    found = suggest_rules(
        profile(
            column(
                "c",
                SemanticType.CODE,
                texts=texts((value("Aaaa", 1000),), non_ascii=3),
                distinct=500,
            )
        )
    )
    assert ("c", "length_between: {min: 2, max: 6}") in rules_of(found)
