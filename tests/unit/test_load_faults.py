"""Every kind of fault in a project file, with the exact words a user sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from crisp_spark.errors import SpecError, UsageError
from crisp_spark.spec.load import load_project

HEAD = """\
version: 1
project: {name: demo}
"""
BUSINESS = """\
business:
  objectives: [{id: O1, statement: Sell more}]
  criteria:
    - {id: C1, objective: O1, metric: roc_auc, target: 0.7}
  mining_goal: {problem: binary, target: y, target_source: sales, positive: true, key: [id]}
"""
DATA = """\
data:
  sources:
    sales: {kind: csv, path: sales.csv}
"""
BASE = HEAD + BUSINESS + DATA


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Loads a text, or bytes, as crisp.yml and returns the lines of its faults."""
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes, files: dict[str, str] | None = None, **options) -> list[str]:
        content = text if isinstance(text, bytes) else text.encode()
        Path("crisp.yml").write_bytes(content)
        for name, other in (files or {}).items():
            Path(name).write_text(other)
        with pytest.raises(SpecError) as error:
            load_project("crisp.yml", environ={}, **options)
        count = len(error.value.faults)
        assert error.value.message == f"crisp.yml: {count} fault{'s' if count > 1 else ''}"
        return list(error.value.faults)

    return load


STARTS = (
    "a project file starts with `version: 1` and `project: {name: ...}`; `crisp init` writes one"
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", f"crisp.yml:1: the file is empty; {STARTS}"),
        ("# just a comment\n", f"crisp.yml:1: the file is empty; {STARTS}"),
        ("---\n{}\n", f"crisp.yml:2: the file is empty; {STARTS}"),
        ("- a\n- b\n", f"crisp.yml:1: expected a map of keys, got a list; {STARTS}"),
        ("hello\n", f"crisp.yml:1: expected a map of keys, got a single value, 'hello'; {STARTS}"),
        (
            b"version: 1\nname: \xe9\n",
            "crisp.yml:2: not UTF-8, got byte 0xe9; save the file as UTF-8",
        ),
        ("a: 1".encode("utf-16"), "crisp.yml:1: not UTF-8, got UTF-16; save the file as UTF-8"),
        (
            "version: 1\nproject:\n\tname: a\n",
            "crisp.yml:3: not YAML: a tab used for indentation; YAML is indented with spaces",
        ),
        (
            "version: 1\nname: a: b\n",
            (
                "crisp.yml:2: not YAML: mapping values are not allowed here; put a text that contains "
                "`: ` in quotes, or check the indentation"
            ),
        ),
        (
            "version: 1\na: *b\n",
            (
                "crisp.yml:2: not YAML: found undefined alias 'b'; write a text that starts with * or & "
                "in quotes"
            ),
        ),
        (
            "version: 1\n---\nversion: 1\n",
            "crisp.yml:3: a second YAML document starts here; keep one document per file",
        ),
        ("a: x\x07y\n", "crisp.yml:1: a character YAML does not allow, got '\\x07'; remove it"),
        (
            "version: 1\na: [1, 2\nb: 3\n",
            "crisp.yml:3: not YAML: expected ',' or ']', but got ':'; while parsing a flow sequence",
        ),
    ],
)
def test_what_is_no_project_file_at_all(faults, content, fault):
    assert faults(content) == [fault]


def test_a_missing_file_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^crisp.yml: no such file\n  hint: name it") as error:
        load_project("crisp.yml")
    assert error.value.exit_code == 64


def test_a_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="a folder, not a file"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        (
            "evaluation: {bootstrap: 50, bootstrap: 60}\n",
            (
                "crisp.yml:11: evaluation.bootstrap: key 'bootstrap' stands here twice, first on line "
                "11; remove one of them"
            ),
        ),
        (
            "evaluation: {top_k: 08}\n",
            (
                "crisp.yml:11: evaluation.top_k: a number with a leading zero, got 08; write '08' for "
                "a text, 8 for a number"
            ),
        ),
        (
            "evaluation: {relevant_from: .inf}\n",
            (
                "crisp.yml:11: evaluation.relevant_from: expected a finite number, got .inf; leave out "
                "a bound that does not bind"
            ),
        ),
        (
            "deployment: {description: !!python/name:os.system x}\n",
            (
                "crisp.yml:11: deployment.description: tag tag:yaml.org,2002:python/name:os.system is "
                "not allowed; remove it"
            ),
        ),
        ("? [a, b]\n: 1\n", "crisp.yml:11: a key must be a single text"),
        (
            "deployment: &x {description: *x}\n",
            (
                "crisp.yml:11: deployment.description: an alias of a value that contains it; write the "
                "values out"
            ),
        ),
        ("deployment: {<<: 3}\n", "crisp.yml:11: deployment: `<<` needs a map, got 3"),
    ],
)
def test_faults_of_the_yaml_come_with_their_line(faults, extra, fault):
    assert fault in faults(BASE + extra)


def test_aliases_that_multiply_are_stopped(faults):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for name, before in ("ba", "cb", "dc", "ed", "fe", "gf"):
        bomb += f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    assert any("too many values through aliases" in fault for fault in faults(BASE + bomb))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            BASE.replace("version: 1\n", ""),
            ["crisp.yml:1: version: missing, but required; Version of the file format"],
        ),
        (
            BASE.replace("version: 1", "version: 2"),
            [
                (
                    "crisp.yml:1: version: unknown version of the file format, got 2; write "
                    "`version: 1`, or upgrade crisp-spark"
                )
            ],
        ),
        (
            BASE.replace("version: 1", "version: one"),
            [
                (
                    "crisp.yml:1: version: unknown version of the file format, got 'one'; write "
                    "`version: 1`"
                )
            ],
        ),
        (
            BASE.replace("name: demo", "nmae: demo"),
            [
                (
                    "crisp.yml:2: project.name: missing, but required; Name of the project: letters, "
                    "digits, ``-`` and ``_``"
                ),
                (
                    "crisp.yml:2: project.nmae: unknown key 'nmae'; did you mean 'name'? valid: name, "
                    "owner, description, workspace, tracking_uri, seed, layout_partitions"
                ),
            ],
        ),
        (
            BASE.replace("name: demo", "name: 1st demo"),
            [
                (
                    "crisp.yml:2: project.name: not well formed, got '1st demo'; Name of the project: "
                    "letters, digits, ``-`` and ``_``"
                )
            ],
        ),
        (
            BASE.replace("name: demo", "name: demo, seed: many"),
            ["crisp.yml:2: project.seed: expected a whole number, got 'many'"],
        ),
        (
            BASE.replace("name: demo", "name: demo, seed: 1.5"),
            ["crisp.yml:2: project.seed: expected a whole number, got 1.5"],
        ),
        (
            BASE.replace("name: demo", "name: demo, owner: {a: 1}"),
            ["crisp.yml:2: project.owner: expected a text, got a map"],
        ),
        (
            BASE.replace("name: demo", "name: demo, layout_partitions: 0"),
            ["crisp.yml:2: project.layout_partitions: must be at least 1, got 0"],
        ),
        (
            BASE.replace("project: {name: demo}", "project: demo"),
            ["crisp.yml:2: project: expected a map, got 'demo'"],
        ),
        (
            BASE + "evaluation: {confidence: 0.5}\n",
            ["crisp.yml:11: evaluation.confidence: must be greater than 0.5, got 0.5"],
        ),
        (
            BASE + "evaluation: {slices: carrier}\n",
            ["crisp.yml:11: evaluation.slices: expected a list, got 'carrier'"],
        ),
        (
            BASE + "evaluation: {importance: {enabled: maybe}}\n",
            ["crisp.yml:11: evaluation.importance.enabled: expected true or false, got 'maybe'"],
        ),
        (
            BASE + "evaluation: {override: {decision: go, name: '', reason: x, date: soon}}\n",
            [
                "crisp.yml:11: evaluation.override.date: expected a date like 2013-11-01, got 'soon'",
                (
                    "crisp.yml:11: evaluation.override.decision: no valid choice, got 'go'; valid: "
                    "deploy, iterate, stop"
                ),
                "crisp.yml:11: evaluation.override.name: must not be empty",
            ],
        ),
        (
            BASE + "modelling: {}\n",
            [
                (
                    "crisp.yml:11: modelling: unknown key 'modelling'; did you mean 'modeling'? valid: "
                    "version, project, business, data, preparation, modeling, evaluation, deployment, "
                    "review, include, variables, targets"
                )
            ],
        ),
        (
            BASE.replace("problem: binary", "problem: binray"),
            [
                (
                    "crisp.yml:7: business.mining_goal.problem: no valid choice, got 'binray'; did you "
                    "mean 'binary'? valid: binary, multiclass, regression, clustering, recommendation"
                )
            ],
        ),
        (
            BASE.replace("kind: csv", "kind: cvs"),
            [
                (
                    "crisp.yml:10: data.sources.sales.kind: unknown kind 'cvs'; did you mean 'csv'? "
                    "valid: csv, json, parquet, orc, text, jdbc, catalog, sql"
                )
            ],
        ),
        (
            BASE.replace("kind: csv, ", ""),
            [
                (
                    "crisp.yml:10: data.sources.sales: 'kind' is missing; valid: csv, json, parquet, "
                    "orc, text, jdbc, catalog, sql"
                )
            ],
        ),
        (
            BASE.replace("{kind: csv, path: sales.csv}", "sales.csv"),
            ["crisp.yml:10: data.sources.sales: expected a map, got 'sales.csv'"],
        ),
    ],
)
def test_faults_of_shape(faults, text, found):
    assert faults(text) == found


def test_all_faults_come_at_once_in_the_order_of_the_file(faults):
    text = BASE.replace("name: demo", "name: demo, sede: 1").replace("target: 0.7", "target: high")
    text += "evaluation: {top_k: 0}\nevaluation: {}\npreparation: {split: {test: 2}}\n"
    assert [fault.split(": ")[:2] for fault in faults(text)] == [
        ["crisp.yml:2", "project.sede"],
        ["crisp.yml:6", "business.criteria[0].target"],
        ["crisp.yml:11", "evaluation.top_k"],
        ["crisp.yml:12", "evaluation"],
        ["crisp.yml:13", "preparation.split.test"],
    ]


def test_details_hold_the_faults_as_values(tmp_path):
    file = tmp_path / "crisp.yml"
    file.write_text(BASE.replace("name: demo", "name: demo, sede: 1"))
    with pytest.raises(SpecError) as error:
        load_project(file, environ={})
    (fault,) = error.value.details
    assert (fault.place, fault.origin.line, fault.what) == (
        ("project", "sede"),
        2,
        "unknown key 'sede'",
    )


COLUMNS = """\
data:
  sources:
    sales:
      kind: csv
      path: sales.csv
      infer: false
      columns:
        id: int
        y: boolean
        n: {type: int, rules: [%s]}
"""


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (
            "betwen: {min: 1}",
            (
                "crisp.yml:17: data.sources.sales.columns.n.rules[0]: no rule 'betwen', did you mean "
                "'between'?; rules: not_null, unique, accepted_values,"
            ),
        ),
        (
            "between: {min: 1, mx: 3}",
            (
                "crisp.yml:17: data.sources.sales.columns.n.rules[0].between.mx: unknown key 'mx'; did "
                "you mean 'max'? valid: severity, name, description, column, mostly, where, min, max,"
            ),
        ),
        (
            "between: {min: 3, max: 1}",
            "crisp.yml:17: data.sources.sales.columns.n.rules[0].between: min 3 is above max 1",
        ),
        (
            "relationships: {to: slaes, field: id}",
            (
                "crisp.yml:17: data.sources.sales.columns.n.rules[0]: no source 'slaes'; did you mean "
                "'sales'?"
            ),
        ),
        (
            "unique: [n, idd]",
            (
                "crisp.yml:17: data.sources.sales.columns.n.rules[0]: no column 'idd'; did you mean "
                "'id'? columns: id, y, n"
            ),
        ),
    ],
)
def test_faults_of_rules_are_found_at_the_rule(faults, rule, fault):
    rule = f"{{{rule}}}"
    found = faults(HEAD + BUSINESS + COLUMNS % rule)
    assert len(found) == 1
    assert found[0].startswith(fault)


class TestUnions:
    @pytest.mark.parametrize(
        ("block", "fault"),
        [
            (
                "preparation: {clean: {sales: [{op: trimm, columns: [a], reason: r}]}}\n",
                (
                    "crisp.yml:11: preparation.clean.sales[0].op: unknown op 'trimm'; did you mean "
                    "'trim'? valid: select, filter, cast,"
                ),
            ),
            (
                "preparation: {clean: {sales: [{op: clip, columns: [a], reason: r, mn: 1}]}}\n",
                (
                    "crisp.yml:11: preparation.clean.sales[0].mn: unknown key 'mn'; did you mean 'min'? "
                    "valid: "
                ),
            ),
            (
                "preparation: {clean: {sales: [{columns: [a]}]}}\n",
                "crisp.yml:11: preparation.clean.sales[0]: 'op' is missing; valid: select, filter,",
            ),
            (
                "preparation: {features: [{op: scale, columns: [a], method: std}]}\n",
                "crisp.yml:11: preparation.features[0].method: no valid choice, got 'std'; ",
            ),
            (
                (
                    "preparation: {merge: {steps: [{id: m, left: sales, right: sales, keys: [a], "
                    "expect: one_to_onee}]}}\n"
                ),
                (
                    "crisp.yml:11: preparation.merge.steps[0].expect: no valid choice, got "
                    "'one_to_onee'; did you mean 'one_to_one'? valid: one_to_one, many_to_one, "
                    "one_to_many, many_to_many, any"
                ),
            ),
            (
                "modeling: {families: [{kind: random_forest, params: {numTrees: [[a]]}}]}\n",
                "crisp.yml:11: modeling.families[0].params.numTrees[0]",
            ),
            (
                "modeling: {class_weights: {a: x}}\n",
                "crisp.yml:11: modeling.class_weights.a: expected a number, got 'x'",
            ),
            (
                "modeling: {class_weights: 3}\n",
                (
                    "crisp.yml:11: modeling.class_weights: no valid choice, got 3; valid: none, "
                    "balanced, outcome_values, or a map"
                ),
            ),
            (
                "deployment: {score: {keep: 3}}\n",
                "crisp.yml:11: deployment.score.keep: ",
            ),
        ],
    )
    def test_one_fault_in_terms_of_the_form_that_was_meant(self, faults, block, fault):
        found = faults(BASE + block)
        assert len(found) == 1, found
        assert found[0].startswith(fault)


class TestReferences:
    def test_unknown_variable(self, faults):
        text = BASE.replace("sales.csv", "'${var.rwa}/x'") + "variables: {raw: a}\n"
        assert faults(text) == [
            (
                "crisp.yml:10: data.sources.sales.path: no variable 'rwa'; did you mean 'raw'? "
                "variables: raw"
            )
        ]

    def test_variable_without_value(self, faults):
        text = BASE.replace("sales.csv", "'${var.raw}'") + "variables: {raw: {description: d}}\n"
        assert (
            "crisp.yml:10: data.sources.sales.path: variable 'raw' has no value; give it a default, "
            "or set it with --var raw=... or CRISP_VAR_raw"
        ) in faults(text)

    def test_what_a_missing_variable_would_have_filled_is_no_second_fault(self, faults):
        assert faults(BASE + "evaluation: {bootstrap: '${var.n}'}\n") == [
            "crisp.yml:11: evaluation.bootstrap: no variable 'n'; variables: none"
        ]

    def test_variables_in_a_circle(self, faults):
        text = BASE.replace("sales.csv", "'${var.a}'")
        text += "variables: {a: '${var.b}', b: 'x${var.a}'}\n"
        assert (
            "crisp.yml:11: variables.b: variable 'a' needs its own value (a -> b -> a)"
        ) in faults(text)

    def test_a_list_inside_a_text(self, faults):
        text = BASE.replace("sales.csv", "'x/${var.a}'") + "variables: {a: [1]}\n"
        assert (
            "crisp.yml:10: data.sources.sales.path: ${var.a} stands inside a text, got a list; only "
            "a single value can be part of a text"
        ) in faults(text)

    def test_unknown_form(self, faults):
        text = BASE.replace("sales.csv", "'${raw}/x'") + "variables: {raw: a}\n"
        (fault,) = faults(text)
        assert fault == (
            "crisp.yml:10: data.sources.sales.path: unknown reference ${raw}; valid: ${var.NAME}, "
            "and for secrets ${env:NAME} or ${secret:aws/name#field}; write $${ for a plain ${; did "
            "you mean 'raw'? variables: raw"
        )

    def test_malformed_name(self, faults):
        assert faults(BASE + "variables: {a-b: 1}\n") == [
            (
                "crisp.yml:11: variables.a-b: not a name for a variable, got 'a-b'; letters, digits and "
                "_, not starting with a digit"
            )
        ]

    def test_variable_of_a_target_that_is_not_declared(self, faults):
        text = BASE + "variables: {raw: a}\ntargets: {t: {default: true, variables: {rw: b}}}\n"
        assert faults(text) == [
            "crisp.yml:12: targets.t.variables.rw: no variable 'rw'; did you mean 'raw'? variables: raw"
        ]


class TestLayers:
    def test_missing_include(self, faults):
        assert faults("include: [mor.yml]\n" + BASE, {"more.yml": "project: {owner: a}"}) == [
            (
                "crisp.yml:1: include[0]: no such file, got 'mor.yml'; did you mean 'more.yml'? valid: "
                "crisp.yml, more.yml"
            )
        ]

    def test_a_fault_of_an_included_file_names_that_file(self, faults):
        files = {"more.yml": "\nproject:\n  ownr: a\n"}
        assert faults("include: [more.yml]\n" + BASE, files)[0].startswith(
            "more.yml:3: project.ownr: unknown key 'ownr'; did you mean 'owner'?"
        )

    def test_an_include_may_not_include(self, faults):
        files = {"more.yml": "include: [x.yml]\n"}
        assert faults("include: [more.yml]\n" + BASE, files) == [
            "more.yml:1: include: allowed only in the main file; move it to crisp.yml"
        ]

    def test_an_included_file_must_be_a_map(self, faults):
        found = faults("include: [more.yml]\n" + BASE, {"more.yml": "- a\n"})
        assert found[0].startswith("more.yml:1: expected a map of keys, got a list")

    def test_an_include_must_be_a_path(self, faults):
        assert "crisp.yml:1: include[0]: expected a path or glob, got 3" in faults(
            "include: [3]\n" + BASE
        )

    def test_unknown_target(self, tmp_path):
        file = tmp_path / "crisp.yml"
        file.write_text(BASE + "targets: {dev: {}, prod: {}}\n")
        with pytest.raises(UsageError) as error:
            load_project(file, target="prd", environ={})
        assert str(error.value) == (
            "--target: no target 'prd'\n  hint: did you mean 'prod'? targets: dev, prod"
        )

    def test_target_where_there_are_none(self, tmp_path):
        file = tmp_path / "crisp.yml"
        file.write_text(BASE)
        with pytest.raises(UsageError, match="the file declares none"):
            load_project(file, target="prd", environ={})

    def test_two_default_targets(self, faults):
        text = BASE + "targets:\n  a: {default: true}\n  b: {default: true}\n"
        assert faults(text) == [
            (
                "crisp.yml:13: targets.b.default: a second default target, the first is 'a'; keep one "
                "default"
            )
        ]

    def test_a_target_overrides_blocks_only(self, faults):
        text = BASE + "targets:\n  a: {default: true, overrides: {targets: {}, projct: {}}}\n"
        assert faults(text) == [
            (
                "crisp.yml:12: targets.a.overrides.projct: unknown key 'projct'; did you mean "
                "'project'? valid: project, business, data, preparation, modeling, evaluation, "
                "deployment, review"
            ),
            (
                "crisp.yml:12: targets.a.overrides.targets: unknown key 'targets'; valid: project, "
                "business, data, preparation, modeling, evaluation, deployment, review"
            ),
        ]

    def test_a_fault_of_a_setting_names_the_option(self, faults):
        assert faults(BASE, overrides=["project.seed=x", "evaluation.top=3"]) == [
            (
                "--set evaluation.top: evaluation.top: unknown key 'top'; did you mean 'top_k'? valid: "
                "confidence, bootstrap, threshold, slices, slice_search, importance, "
                "partial_dependence, partial_dependence_points, robustness, top_k, relevant_from, "
                "curve_points, max_rows, override"
            ),
            "--set project.seed: project.seed: expected a whole number, got 'x'",
        ]

    def test_a_setting_below_a_single_value(self, faults):
        assert faults(BASE, overrides=["project.name.x=1"]) == [
            (
                "--set project.name.x: project.name.x: project.name holds 'demo', nothing can be set "
                "below it"
            )
        ]

    @pytest.mark.parametrize(
        ("setting", "fault"),
        [
            (
                "business.criteria[C2].target=1",
                (
                    "--set business.criteria[C2].target: business.criteria.C2: no item 'C2' in a list "
                    "of 1; ids: C1"
                ),
            ),
            (
                "business.criteria[4].target=1",
                (
                    "--set business.criteria[4].target: business.criteria[4]: no item 4 in a list of 1; "
                    "ids: C1"
                ),
            ),
        ],
    )
    def test_a_setting_of_an_item_that_is_not_there(self, faults, setting, fault):
        assert faults(BASE, overrides=[setting]) == [fault]

    def test_a_setting_that_is_no_yaml(self, faults):
        assert faults(BASE, overrides=["project.owner={a"])[0].startswith(
            "--set project.owner: not YAML"
        )


class TestAcrossBlocks:
    @pytest.mark.parametrize(
        ("criterion", "fault"),
        [
            (
                "{id: C1, metric: roc_auc, target: 1.2}",
                (
                    "crisp.yml:6: business.criteria[0].target: cannot be met: roc_auc at least 1.2; "
                    "roc_auc lies between 0 and 1"
                ),
            ),
            (
                "{id: C1, metric: log_loss, direction: at_most, target: -1}",
                (
                    "crisp.yml:6: business.criteria[0].target: cannot be met: log_loss at most -1; "
                    "log_loss lies between 0 and inf"
                ),
            ),
            (
                "{id: C1, metric: accuracy_gain, target: 1.5}",
                (
                    "crisp.yml:6: business.criteria[0].target: cannot be met: accuracy_gain at least "
                    "1.5; accuracy_gain lies between -1 and 1"
                ),
            ),
            (
                "{id: C1, metric: rmse, target: 3}",
                (
                    "crisp.yml:6: business.criteria[0].metric: no metric of binary problems, got "
                    "'rmse'; valid: accuracy, precision, recall, f1, specificity, "
                    "false_positive_rate, alert_rate, roc_auc, pr_auc, log_loss, brier, net_value, "
                    "value_per_row, accuracy_gain, precision_gain, recall_gain, f1_gain, "
                    "specificity_gain, false_positive_rate_gain, alert_rate_gain, roc_auc_gain, "
                    "pr_auc_gain, log_loss_gain, brier_gain, net_value_gain, value_per_row_gain; or "
                    "measured_by: person"
                ),
            ),
            (
                "{id: C1, metric: brier, target: 0.2}",
                (
                    "crisp.yml:6: business.criteria[0].direction: brier is better when it is smaller, "
                    "got at_least; write direction: at_most"
                ),
            ),
            (
                "{id: C1, metric: net_value, target: 10}",
                (
                    "crisp.yml:6: business.criteria[0].metric: net_value needs business.outcome_values, "
                    "which is missing; add outcome_values with tp, fp, fn and tn"
                ),
            ),
            (
                "{id: C1, metric: f1, target: 0.5, on: later}",
                (
                    "crisp.yml:6: business.criteria[0].on: measured on the later period, but the split "
                    "keeps none; add preparation.split.later, or measure on: test"
                ),
            ),
            (
                "{id: C1, objective: O2, metric: f1, target: 0.5}",
                "crisp.yml:6: business.criteria[0]: no objective 'O2', there are O1",
            ),
        ],
    )
    def test_criteria(self, faults, criterion, fault):
        text = BASE.replace("{id: C1, objective: O1, metric: roc_auc, target: 0.7}", criterion)
        assert faults(text) == [fault]

    def test_value_per_row_cannot_beat_the_best_outcome(self, faults):
        text = BASE.replace("roc_auc, target: 0.7", "value_per_row, target: 11").replace(
            "  mining_goal", "  outcome_values: {tp: 10, fp: -2}\n  mining_goal"
        )
        assert faults(text) == [
            (
                "crisp.yml:6: business.criteria[0].target: cannot be met: value_per_row at least 11; "
                "value_per_row lies between -2 and 10"
            )
        ]

    def test_what_a_person_measures_may_be_anything(self, tmp_path):
        file = tmp_path / "crisp.yml"
        file.write_text(BASE.replace("roc_auc", "calls, measured_by: person"))
        assert load_project(file, environ={}).spec.business.criteria[0].metric == "calls"

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            (
                "target_source: sales",
                "target_source: sale",
                (
                    "crisp.yml:7: business.mining_goal.target_source: no source 'sale'; did you mean "
                    "'sales'? sources: sales"
                ),
            ),
            (
                "    sales: {kind: csv, path: sales.csv}",
                "    {}",
                "crisp.yml:9: data.sources: no source is declared; name at least one",
            ),
            (
                "data:\n",
                "preparation: {clean: {salse: []}}\ndata:\n",
                (
                    "crisp.yml:8: preparation.clean.salse: no source 'salse'; did you mean 'sales'? "
                    "sources: sales"
                ),
            ),
            (
                "data:\n",
                (
                    "preparation:\n  merge: {steps: [{id: m, left: sales, right: shop, keys: [a]}]}\n"
                    "data:\n"
                ),
                (
                    "crisp.yml:9: preparation.merge.steps[0].right: no source or earlier step 'shop'; "
                    "sources and earlier steps: sales"
                ),
            ),
            (
                "data:\n",
                "preparation: {merge: {output_of: sals}}\ndata:\n",
                "crisp.yml:8: preparation.merge.output_of: no source or step 'sals'",
            ),
            (
                "data:\n",
                "preparation: {split: {later: {from: '2020-01-01'}}}\ndata:\n",
                (
                    "crisp.yml:8: preparation.split.later: no time column is known; give time here, or "
                    "on the target's source"
                ),
            ),
            (
                "data:\n",
                "modeling: {metric: rmse}\ndata:\n",
                (
                    "crisp.yml:8: modeling.metric: 'rmse' is no metric of binary trials; valid: pr_auc, "
                    "roc_auc, log_loss, brier, f1, accuracy, precision, recall, value_per_row"
                ),
            ),
            (
                "data:\n",
                "evaluation: {threshold: {by: outcome_values}}\ndata:\n",
                (
                    "crisp.yml:8: evaluation.threshold.by: outcome_values is asked for, but the "
                    "business declares none; add business.outcome_values, or use by: metric"
                ),
            ),
            (
                "  mining_goal",
                "  outcome_values: {cost_per_unit_error: 3}\n  mining_goal",
                (
                    "crisp.yml:7: business.outcome_values: these values do not fit a binary problem; "
                    "give tp, fp, fn and tn"
                ),
            ),
            (
                "  mining_goal",
                "  assumptions: [{id: A1, statement: s, rule: not_null_x}]\n  mining_goal",
                "crisp.yml:7: business.assumptions[0].rule: no rule 'not_null_x'; rules: none",
            ),
        ],
    )
    def test_names_that_must_exist(self, faults, old, new, fault):
        assert faults(BASE.replace(old, new, 1)) == [fault]

    def test_a_merge_step_may_not_be_called_like_a_source(self, faults):
        text = BASE + (
            "    shops: {kind: csv, path: s.csv}\n"
            "    towns: {kind: csv, path: t.csv}\n"
            "preparation:\n"
            "  merge: {steps: [{id: shops, left: sales, right: towns, keys: [a]}]}\n"
        )
        assert faults(text) == [
            (
                "crisp.yml:14: preparation.merge.steps[0].id: 'shops' is a source already; give the "
                "step another id"
            )
        ]

    def test_several_sources_need_a_merge(self, faults):
        text = BASE.replace("target_source: sales, ", "") + "    b: {kind: csv, path: b.csv}\n"
        assert faults(text) == [
            "crisp.yml:1: preparation.merge: several sources and no merge steps: say output_of"
        ]

    def test_the_target_may_not_be_derived_twice(self, faults):
        text = BASE.replace("target: y,", "target: y, target_expression: 'a > 1',") + (
            "preparation:\n  derive: [{name: y, expression: b, doc: d}]\n"
        )
        assert faults(text) == [
            (
                "crisp.yml:12: preparation.derive: 'y' is derived twice: by preparation.derive and by "
                "business.mining_goal.target_expression"
            )
        ]

    def test_split_and_goal_name_declared_columns(self, faults):
        text = (
            HEAD
            + BUSINESS.replace("[id]", "[idd]")
            + COLUMNS % "not_null"
            + ("preparation: {split: {kind: group, group: nn}}\n")
        )
        assert faults(text) == [
            (
                "crisp.yml:7: business.mining_goal.key: no column 'idd'; did you mean 'id'? columns: "
                "id, n, y"
            ),
            (
                "crisp.yml:18: preparation.split.group: no column 'nn'; did you mean 'n'? columns: id, "
                "n, y"
            ),
        ]

    def test_columns_that_may_be_inferred_are_left_to_the_plan(self, tmp_path):
        file = tmp_path / "crisp.yml"
        file.write_text(BASE + "preparation: {split: {key: [anything]}}\n")
        assert load_project(file, environ={}).spec.preparation.split.key == ["anything"]

    def test_stratified_needs_classes(self, faults):
        text = BASE.replace("binary, target: y", "regression, target: y").replace(
            "roc_auc, target: 0.7", "r2, target: 0.7"
        )
        text += "preparation: {split: {kind: stratified}}\n"
        assert faults(text) == [
            (
                "crisp.yml:11: preparation.split.kind: stratified needs classes, got a regression goal; "
                "name columns under stratify_by, or use kind: hash"
            )
        ]

    def test_sound_blocks_are_checked_even_where_another_is_not(self, faults):
        text = BASE.replace("target: 0.7", "target: 1.7") + "evaluation: {top_k: 0}\n"
        assert [fault.split(": ")[1] for fault in faults(text)] == [
            "business.criteria[0].target",
            "evaluation.top_k",
        ]
