"""Rules from and for dbt, DQDL and Great Expectations; no JVM."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter

from crisp_spark.cli.main import main
from crisp_spark.errors import SpecError
from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.exchange import export_dbt, export_dqdl, import_dbt, import_dqdl

RULE = TypeAdapter(RuleSpec)
COLUMN = "näme.x"
BOTH_SAY = [
    "not_null",
    "unique",
    {"not_null": {"mostly": 0.9, "where": "a > 1"}},
    {"accepted_values": ["a", 'b"', "NULL"]},
    {"rejected_values": ["x"]},
    {"between": {"min": 0, "max": 5}},
    {"between": {"min": 0, "max": 5, "strict_min": True, "strict_max": True}},
    {"between": {"min": "2024-01-01"}},
    {"matches": "^a\\d$"},
    {"matches": {"pattern": "x", "negate": True}},
    {"length_between": {"min": 1, "max": 3}},
    {"relationships": {"to": "others", "field": "id"}},
    {"freshness": {"max_age_days": 2.0}},
    {"mean_between": {"min": 1}},
    {"sum_between": {"max": 7.5}},
    {"stddev_between": {"max": 5}},
    {"max_between": {"max": 7}},
    {"null_fraction_between": {"min": 0.1, "max": 0.5}},
    {"distinct_count_between": {"min": 1, "max": 4}},
]
TABLE_SAY = [{"row_count": {"min": 1, "max": 9}}, {"expression": "a > b"}, {"schema": ["a", "b"]}]
ONLY_DQDL = [
    {"accepted_values": {"values": [1, 2], "mostly": 0.5, "where": "z = 1"}},
    {"as_usual": {"metric": "mean", "within": 0.2}},
]


def bound(columns, rules=()):
    return bind_rules(
        "flights",
        {name: [RULE.validate_python(rule) for rule in own] for name, own in columns.items()},
        [RULE.validate_python(rule) for rule in rules],
    )


def said(rules):
    """Rules as they were declared, without what is there by default."""
    found = [RULE.validate_python(rule) for rule in rules]
    return [{"kind": rule.kind, **rule.model_dump(exclude_defaults=True)} for rule in found]


def test_rules_come_back_from_dqdl_as_they_went():
    out = export_dqdl(bound({COLUMN: BOTH_SAY + ONLY_DQDL}, [*TABLE_SAY, {"unique": ["a", "b c"]}]))
    back = import_dqdl(out.text, "flights").source("flights")
    assert out.left_out == ()
    assert said(back.columns[COLUMN]) == said(BOTH_SAY + ONLY_DQDL)
    assert said(back.rules) == said([*TABLE_SAY, {"unique": ["a", "b c"]}])


def test_rules_come_back_from_dbt_as_they_went():
    out = export_dbt({"flights": bound({COLUMN: BOTH_SAY}, TABLE_SAY)})
    back = import_dbt(out.text)
    assert (out.left_out, back.left_out) == ((), [])
    own = back.source("flights")
    moved = [rule for rule in own.columns[COLUMN] if rule["kind"] != "freshness"]
    assert said(moved) == [
        {**rule, "where": "(a > 1)"} if rule.get("where") else rule
        for rule in said(BOTH_SAY)
        if rule["kind"] != "freshness"
    ]
    assert said(own.rules) == said(TABLE_SAY)


def test_what_the_other_tool_cannot_say_is_named():
    rules = bound(
        {
            "a": [
                {"accepted_values": {"values": [1], "mostly": 0.5}},
                {"quantile_between": {"quantile": 0.5, "min": 1}},
                {"accepted_values": {"values": [True], "name": "truth"}},
                {"as_usual": {"metric": "null_fraction", "max_rise": 0.1}},
                {"unique": {"severity": "drop"}},
            ]
        }
    )
    dqdl, dbt = export_dqdl(rules), export_dbt({"flights": rules})
    assert [line.split(":")[0] for line in dqdl.left_out] == [
        "quantile_between_a",
        "truth",
        "as_usual_null_fraction_a",
        "unique_a",
    ]
    assert [line.split(":")[0] for line in dbt.left_out] == [
        "flights.accepted_values_a",
        "flights.as_usual_null_fraction_a",
        "flights.unique_a",
    ]
    assert all(f"# left out: {line}" in dqdl.text for line in dqdl.left_out)


DQDL_CASES = [
    ('IsComplete "x"', ["not_null"]),
    ('IsPrimaryKey "x"', ["not_null", "unique"]),
    ('Completeness "x" >= 0.9', [{"not_null": {"mostly": 0.9}}]),
    ('Completeness "x" > 0.9', [{"not_null": {"mostly": 0.9000000000000001}}]),
    ('Completeness "x" < 0.9', [{"null_fraction_between": {"min": 0.1, "strict_min": True}}]),
    ('Uniqueness "x" >= 0.5 where "y = 1"', [{"unique": {"mostly": 0.5, "where": "y = 1"}}]),
    # Missing values fail in DQDL, but under != and not in.
    ('ColumnValues "x" = 3', ["not_null", {"accepted_values": [3]}]),
    ('ColumnValues "x" != 3', [{"rejected_values": [3]}]),
    ('ColumnValues "x" in [1, NULL]', [{"accepted_values": [1]}]),
    ('ColumnValues "x" in ["NULL"]', ["not_null", {"accepted_values": ["NULL"]}]),
    ('ColumnValues "x" not in [1, NULL]', ["not_null", {"rejected_values": [1]}]),
    ('ColumnValues "x" != NULL', ["not_null"]),
    ('ColumnValues "x" = NULL', [{"expression": "`x` IS NULL"}]),
    # DQDL's between leaves out its ends.
    (
        'ColumnValues "x" between 1 and 5',
        ["not_null", {"between": {"min": 1, "max": 5, "strict_min": True, "strict_max": True}}],
    ),
    (
        'ColumnValues "x" matches "a\\d" with threshold >= 0.8',
        [{"expression": {"sql": "coalesce(`x` RLIKE 'a\\\\d', false)", "mostly": 0.8}}],
    ),
    ('ColumnLength "x" between 3 and 7', ["not_null", {"length_between": {"min": 4, "max": 6}}]),
    ('ColumnLength "x" < 4', [{"length_between": {"max": 3}}]),
    ('DistinctValuesCount "x" > 2.5', [{"distinct_count_between": {"min": 3}}]),
    ('Sum "x" = 10', [{"sum_between": {"min": 10, "max": 10}}]),
    (
        'CustomSql "SELECT avg(x) FROM primary" > 1',
        [{"mean_between": {"min": 1, "strict_min": True}}],
    ),
]


@pytest.mark.parametrize(("text", "expected"), DQDL_CASES)
def test_dqdl_says_what_glue_documents(text, expected):
    found = import_dqdl(f"Rules = [ {text} ]", "t")
    assert found.left_out == []
    assert said(found.source("t").columns["x"]) == said(expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Entropy "x" > 2', "no rule says this"),
        ('(IsComplete "x") or (IsUnique "x")', "joined by or"),
        ("RowCount > avg(last(5))", "earlier runs"),
        ('RowCount > 3 where "x = 1"', "takes no where"),
        ('ColumnValues "x" in [1] with threshold < 0.5', "a share that is <"),
        ('ReferentialIntegrity "a,b" "r.{c,d}" = 1.0', "several columns"),
        ('CustomSql "SELECT a FROM b JOIN c" = 1', "its query is more"),
        ('ColumnValues "x" > ""', ""),
    ],
)
def test_dqdl_that_no_rule_says_is_named_with_the_reason(text, reason):
    found = import_dqdl(f'Rules = [ {text}, IsUnique "y" ]', "t")
    assert said(found.source("t").columns["y"]) == said(["unique"])
    if reason:
        assert len(found.left_out) == 1
        assert reason in found.left_out[0]


@pytest.mark.parametrize(
    "text",
    ["", "Rules", "Rules = [", 'Rules = [ IsComplete "x" IsUnique "y" ]', "Rules = [ §§ ]", "A = 1",
     'Rules = [ (IsComplete "a") and (IsUnique "b") or (IsUnique "c") ]', "Rules = [ RowCount > now( ]"],
)  # fmt: skip
def test_broken_rulesets_are_refused_with_their_line(text):
    with pytest.raises(SpecError, match="dqdl: "):
        import_dqdl(text, "t")


DBT = """
version: 2
models:
  - name: orders
    tests:
      - dbt_utils.unique_combination_of_columns: {combination_of_columns: [a, b]}
      - dbt_utils.expression_is_true: {expression: "a >= b", config: {where: "c = 1", severity: warn}}
      - dbt_utils.equal_rowcount: {compare_model: ref('x')}
    columns:
      - name: status
        description: what
        tests:
          - not_null
          - unique: {severity: warn, name: one_status}
          - accepted_values: {values: [new, done], error_if: ">10"}
          - relationships: {to: ref('people'), field: id}
          - relationships: {to: "{{ ref('people') }}", field: id}
      - name: price
        data_tests:
          - dbt_utils.accepted_range: {arguments: {min_value: 0, inclusive: false}}
          - dbt_utils.accepted_range: {min_value: "(select 1)"}
          - dbt_expectations.expect_column_values_to_be_between: {min_value: 1, max_value: 9, row_condition: "b = 2", strictly: true}
          - dbt_expectations.expect_column_mean_to_be_between: {min_value: 1}
          - dbt_expectations.expect_column_values_to_be_of_type: {column_type: double}
          - my_own_test
          - not_null: {config: {where: "d > {{ var('x') }}"}}
sources:
  - name: raw
    tables:
      - name: people
        columns: [{name: id, tests: [not_null]}]
"""


def test_dbt_tests_become_rules_and_the_rest_is_named():
    found = import_dbt(DBT)
    orders = found.source("orders")
    assert said(orders.rules) == said(
        [
            {"unique": {"columns": ["a", "b"], "severity": "fail"}},
            {"expression": {"sql": "a >= b", "where": "c = 1"}},
            {"schema": {"columns": {"price": "double"}, "severity": "fail"}},
        ]
    )
    assert said(orders.columns["status"]) == said(
        [
            {"not_null": {"severity": "fail"}},
            {"unique": {"name": "one_status"}},
            {"accepted_values": {"values": ["new", "done"], "severity": "fail"}},
            {"relationships": {"to": "people", "field": "id", "severity": "fail"}},
        ]
    )
    ends = {"min": 1, "max": 9, "strict_min": True, "strict_max": True}
    assert said(orders.columns["price"]) == said(
        [
            {"between": {"min": 0, "strict_min": True, "severity": "fail"}},
            {"between": {**ends, "where": "b = 2", "severity": "fail"}},
            {"mean_between": {"min": 1, "severity": "fail"}},
        ]
    )
    assert said(found.source("people").columns["id"]) == said([{"not_null": {"severity": "fail"}}])
    assert [line.split(" ", 1)[1] for line in found.left_out] == [
        "dbt_utils.equal_rowcount: no rule says this",
        "dbt_utils.accepted_range: its bound '(select 1)' is SQL, not a value",
        "my_own_test: no rule says this",
        "not_null: it holds Jinja",
    ]
    assert any("error_if is not kept" in line for line in found.differences)


@pytest.mark.parametrize("text", ["a: [", "[]", "x: 1", ""])
def test_files_that_are_not_dbts_are_refused(text):
    with pytest.raises(SpecError, match="dbt: "):
        import_dbt(text)


PROJECT = """
version: 1
project: {name: p, workspace: work}
business: {mining_goal: {problem: clustering}}
data:
  sources:
    flights:
      kind: csv
      path: x.csv
      columns:
        a: {type: int, rules: [not_null, {between: {min: 0}}, {as_usual: {metric: mean, within: 0.1}}]}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crisp.yml").write_text(PROJECT)
    return tmp_path


@pytest.mark.parametrize("kind", ["dbt", "dqdl", "gx"])
def test_commands_take_rules_out_and_bring_them_in_again(project, kind, capsys):
    ending = {"dbt": "yml", "dqdl": "dqdl", "gx": "json"}[kind]
    out = project / f"out.{ending}"
    assert main(["rules", "export", "--format", kind, "--output", str(out)]) == 0
    assert ("as_usual_mean_a" in capsys.readouterr().err) == (kind != "dqdl")
    assert main(["rules", "import", str(out), "--source", "flights", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["sources"]["flights"]["columns"]["a"]
    assert said(found)[:2] == said(["not_null", {"between": {"min": 0}}])
    assert main(["rules", "export", "--format", kind, "--output", str(out)]) == 64
    assert main(["rules", "import", str(out), "--format", "xyz"]) == 64


def test_long_lines_of_imported_rules_are_not_wrapped(project, capsys):
    values = [f"value {number}" for number in range(100)]
    (project / "t.dqdl").write_text(f'Rules = [ ColumnValues "x" in {json.dumps(values)} ]')
    assert main(["rules", "import", "t.dqdl"]) == 0
    assert json.dumps(values[-3:])[1:-1] in capsys.readouterr().out
