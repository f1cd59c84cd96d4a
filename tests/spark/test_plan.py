from __future__ import annotations

import pytest

from crisp_spark.run.plan import plan_project
from crisp_spark.spec.load import load_project
from tests.tiny_project import SPEC, write


@pytest.fixture
def plan(tmp_path, spark, no_jobs):
    """Plan the small project with pieces of its file replaced: ``plan((old, new), ...)``."""

    def run(*changes, overrides=()):
        text = SPEC
        for old, new in changes:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        project = load_project(
            write(tmp_path / str(len(list(tmp_path.iterdir()))), spec=text), overrides=overrides
        )
        with no_jobs():
            return plan_project(project, spark)

    return run


def test_a_sound_project_has_no_faults_and_shows_its_tables(plan):
    report = plan()
    assert report.faults == []
    assert report.warnings == []
    assert ("größe (m²)", "double") in report.tables["raw.visits"]
    assert list(report.tables) == [
        "raw.visits", "raw.shops", "clean.visits", "clean.shops", "merged", "derived",
    ]  # fmt: skip
    assert report.tables["derived"][-3:] == [
        ("weekend", "int"),
        ("pages per rating", "double"),
        ("bought", "boolean"),
    ]


MISSPELLED = (
    'name: weekend, expression: "CAST(weekday(day)',
    'name: weekend, expression: "CAST(weekday(dax)',
)
LEAK = (
    "  exclude:",
    (
        '    - {name: spender, expression: "sqrt(amount)"}\n'
        '    - {name: big spender, expression: "spender > 7"}\n  exclude:'
    ),
)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            MISSPELLED,
            "preparation.derive[0] 'weekend': no such column 'dax'; did you mean 'day' for 'dax'?",
        ),
        (
            ("{op: trim, columns: [shop]", "{op: trim, columns: [shops]"),
            "preparation.clean.visits[0] trim: no such column 'shops'; did you mean 'shop' for 'shops'?",
        ),
        (
            ("{op: trim, columns: [shop]", "{op: trim, columns: [pages]"),
            "preparation.clean.visits[0] trim: text is needed, got column 'pages' of type int",
        ),
        (
            ("amount: {type: double", "amount: {type: string"),
            "business.mining_goal.target_expression: wrong type: column 'amount' is a text, used as",
        ),
        (
            ("pages: {type: int}", "pages: {type: date}"),
            "preparation.derive[1] 'pages per rating': wrong type",
        ),
        (
            ("positive: true", "positive: yes please"),
            "business.mining_goal.positive: wrong type: 'bought' is boolean, got 'yes please'",
        ),
        (
            ("keys: [shop], expect", "keys: [shopp], expect"),
            "preparation.merge.steps[0] 'all', left 'visits': no such column 'shopp'",
        ),
        (
            ("columns: [rating, pages]", "columns: [ratin, pages]"),
            "preparation.features[0] impute: no such column 'ratin'; did you mean 'rating'?",
        ),
        (
            ("columns: [rating, pages]", "columns: [rating, amount]"),
            ("preparation.features[0] impute: leaking column: 'amount' cannot be a feature: "
            "visits.amount is known only with the outcome"),
        ),
        (
            ("slices: [city]", "slices: [town]"),
            "evaluation.slices: no such column 'town'",
        ),
        (
            ('from: "2026-03-01", time: day', 'from: "2026-03-01", time: shop'),
            "preparation.split: a date or time is needed, got column 'shop' of type string",
        ),
        (
            ("  metric: roc_auc\n  families", "  metric: roc_auc\n  baselines: [{name: cheat, rule: amount > 60}]\n  families"),
            "modeling.baselines[0] 'cheat': leaking column: the rule uses 'amount'",
        ),
        (
            ("key: [shop]\n", "key: [shopp]\n"),
            "data.sources.shops.key: no such column 'shopp'; did you mean 'shop'?",
        ),
        (
            ("  split:", '  population: {expression: "pages + 1", reason: all}\n  split:'),
            "preparation.population.expression: wrong type: a condition is needed",
        ),
        (
            ("rating: {type: double}}", "rating: {type: double, rules: [{expression: ratin > 0}]}}"),
            "no such column 'ratin'",
        ),
    ],
)  # fmt: skip
def test_faults_are_exact(plan, change, fault):
    report = plan(change)
    assert any(fault in found for found in report.faults), report.faults
    assert len(report.faults) == 1, report.faults


def test_leaks_are_followed_through_other_columns(plan):
    report = plan(LEAK)
    assert report.faults == [
        (
            "preparation.derive[2] 'spender': leaking column: it uses 'amount': visits.amount is known "
            "only with the outcome; take it out, or list 'spender' under preparation.exclude with a reason"
        ),
        (
            "preparation.derive[3] 'big spender': leaking column: it uses 'spender': it uses amount; "
            "take it out, or list 'big spender' under preparation.exclude with a reason"
        ),
    ]


def test_a_leaking_column_may_stay_when_it_is_excluded(plan):
    names = ("exclude: {day:", "exclude: {spender: for the report, big spender: same, day:")
    assert plan(LEAK, names).faults == []


def test_windows_over_an_outcome_must_say_when_it_is_known(plan):
    window = (
        "    - {op: window, name: past, function: mean, column: amount, partition_by: [shop], "
        "order_by: day%s}\n"
    )
    bare = plan(("  exclude:", window % "" + "  exclude:"))
    assert len(bare.faults) == 1
    assert "'past': leaking column: it uses 'amount'" in bare.faults[0]
    assert "or say known_after" in bare.faults[0]
    assert plan(("  exclude:", window % ", known_after: 2 days" + "  exclude:")).faults == []


def test_all_faults_come_at_once(plan):
    report = plan(MISSPELLED, LEAK, ("slices: [city]", "slices: [town]"))
    assert len(report.faults) == 4


def test_undeclared_columns_are_looked_up_in_the_first_file(plan):
    report = plan(
        ('"größe (m²)": {type: double, rules', '"größe (m²)": {rules'),
        (
            "columns: {shop: {type: string}, city: {type: string}, rating: {type: double}}",
            "columns: {shop: {type: string}}",
        ),
    )
    assert report.faults == []
    assert ("größe (m²)", "double") in report.tables["raw.visits"]
    assert dict(report.tables["raw.shops"]) == {
        "shop": "string",
        "city": "string",
        "rating": "double",
    }
    assert report.warnings == [
        "data.sources.visits: types guessed from the first rows: größe (m²)",
        "data.sources.shops: types guessed from the first rows: city, rating",
    ]


def test_sources_nobody_can_see_stop_the_rehearsal_with_a_word(plan):
    report = plan(("path: shops.csv", "path: s3://bucket/shops.csv"))
    assert report.faults == []
    assert "shops: not every column is known yet" in report.warnings[-1]
    assert "merged" not in report.tables


def test_sql_sources_are_made_of_the_others(plan):
    report = plan(
        (
            (
                "    shops:\n      kind: csv\n      path: shops.csv\n      key: [shop]\n"
                "      columns: {shop: {type: string}, city: {type: string}, rating: {type: double}}\n"
            ),
            "    shops:\n      kind: sql\n      query: SELECT DISTINCT shop, 'x' AS city, 1D AS rating FROM visits\n",
        )
    )
    assert report.faults == []
    assert report.tables["raw.shops"] == [
        ("shop", "string"),
        ("city", "string"),
        ("rating", "double"),
    ]
