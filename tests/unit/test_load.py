"""Layers, variables, origins and secrets of the project file."""

from __future__ import annotations

from pathlib import Path

import pytest

from crisp_spark.errors import EX_SPEC, EX_USAGE, SpecError, UsageError
from crisp_spark.spec.compute import LocalCompute
from crisp_spark.spec.load import load_project
from crisp_spark.spec.secrets import SecretReference, reveal

BASE = """\
version: 1
project: {name: demo}
business:
  objectives:
    - {id: O1, statement: Sell more}
    - {id: O2, statement: Waste less}
  criteria:
    - {id: C1, objective: O1, metric: rmse, target: 3, direction: at_most}
  mining_goal: {problem: regression, target: y, target_source: sales, key: [id]}
data:
  sources:
    sales: {kind: csv, path: sales.csv}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files into an empty folder, which is the current one, and loads crisp.yml."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, files: dict[str, str] | None = None, **options):
        Path("crisp.yml").write_text(text, encoding="utf-8")
        for name, content in (files or {}).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content, encoding="utf-8")
        options.setdefault("environ", {})
        return load_project("crisp.yml", **options)

    return load


def test_a_minimal_project_needs_name_goal_and_data(project):
    loaded = project(BASE)
    assert loaded.spec.project.name == "demo"
    assert loaded.spec.preparation.split.test == 0.3
    assert loaded.target is None
    assert loaded.compute == LocalCompute()


def test_relative_paths_start_at_the_folder_of_the_file(project, tmp_path):
    assert project(BASE).project_dir == tmp_path
    assert load_project(str(tmp_path / "crisp.yml"), environ={}).path == tmp_path / "crisp.yml"


def test_yaml_1_2_keeps_words_dates_and_times_as_texts(project):
    text = BASE + "deployment: {description: no, users: 12:30:45, schedule: 2013-11-01}\n"
    deployment = project(text).spec.deployment
    assert (deployment.description, deployment.users, deployment.schedule) == (
        "no",
        "12:30:45",
        "2013-11-01",
    )


def test_numbers_are_read_by_the_core_schema(project):
    text = BASE + "evaluation: {confidence: 9e-1, bootstrap: 0x64, top_k: 0o17}\n"
    evaluation = project(text).spec.evaluation
    assert (evaluation.confidence, evaluation.bootstrap, evaluation.top_k) == (0.9, 100, 15)


def test_a_byte_order_mark_is_no_fault(project):
    assert project("\ufeff" + BASE).spec.project.name == "demo"


def test_anchors_and_merge_keys_are_filled_in(project):
    text = BASE + (
        "    a: &csv {kind: csv, path: a.csv, separator: ';'}\n    b: {<<: *csv, path: b.csv}\n"
    )
    sources = project(text).spec.data.sources
    assert sources["b"].separator == ";"
    assert sources["b"].path == ("b.csv",)


def test_keys_are_texts_as_they_are_written(project):
    text = BASE + "modeling: {class_weights: none}\npreparation: {exclude: {2013: a, 1.50: b}}\n"
    assert project(text).spec.preparation.exclude == {"2013": "a", "1.50": "b"}


class TestLayers:
    def test_includes_lie_over_the_file_in_the_order_of_their_names(self, project):
        files = {
            "docs/a.yml": "project: {owner: a, description: a}\n",
            "docs/b.yml": "project: {owner: b}\n",
        }
        info = project("include: [docs/*.yml]\n" + BASE, files).spec.project
        assert (info.name, info.owner, info.description) == ("demo", "b", "a")

    def test_lists_of_items_with_id_merge_by_id(self, project):
        files = {
            "more.yml": "business: {objectives: [{id: O2, owner: ann}, {id: O3, statement: New}]}"
        }
        objectives = project("include: [more.yml]\n" + BASE, files).spec.business.objectives
        assert [(one.id, one.statement, one.owner) for one in objectives] == [
            ("O1", "Sell more", ""),
            ("O2", "Waste less", "ann"),
            ("O3", "New", ""),
        ]

    def test_other_lists_replace(self, project):
        files = {"more.yml": "business: {mining_goal: {key: [a, b]}}"}
        assert project("include: [more.yml]\n" + BASE, files).spec.business.mining_goal.key == (
            "a",
            "b",
        )

    def test_replace_takes_the_place_of_a_map(self, project):
        files = {"more.yml": "data: {sources: {sales: {$replace: true, kind: parquet, path: s}}}"}
        text = "include: [more.yml]\n" + BASE.replace("sales.csv", "sales.csv, separator: ';'")
        assert project(text, files).spec.data.sources["sales"].kind == "parquet"

    def test_replace_takes_the_place_of_a_list_with_ids(self, project):
        files = {"more.yml": "business: {objectives: [{$replace: true}, {id: O1, statement: X}]}"}
        objectives = project("include: [more.yml]\n" + BASE, files).spec.business.objectives
        assert [one.statement for one in objectives] == ["X"]

    def test_includes_may_use_variables_of_the_target(self, project):
        text = (
            "include: ['${var.where}/*.yml']\n"
            + BASE
            + ("variables: {where: a}\ntargets: {prod: {variables: {where: b}}}\n")
        )
        files = {"a/x.yml": "project: {owner: a}", "b/x.yml": "project: {owner: b}"}
        assert project(text, files).spec.project.owner == "a"
        assert project(text, files, target="prod").spec.project.owner == "b"
        assert project(text, files, variables={"where": "b"}).spec.project.owner == "b"

    def test_variables_of_an_include_are_known_everywhere(self, project):
        files = {"vars.yml": "variables: {who: ann}"}
        text = "include: [vars.yml]\n" + BASE.replace(
            "name: demo", "name: demo, owner: '${var.who}'"
        )
        assert project(text, files).spec.project.owner == "ann"

    def test_a_glob_without_matches_is_no_fault(self, project):
        assert project("include: [none/*.yml]\n" + BASE).spec.include == ("none/*.yml",)

    def test_the_default_target_is_used_unless_another_is_asked_for(self, project):
        text = BASE + (
            "targets:\n"
            "  dev: {default: true, compute: {master: 'local[1]'}}\n"
            "  big: {compute: {conf: {spark.executor.cores: 4, spark.x: true}},"
            " overrides: {project: {seed: 1}}}\n"
        )
        dev, big = project(text), project(text, target="big")
        assert (dev.target, dev.compute.master, dev.spec.project.seed) == ("dev", "local[1]", 42)
        assert (big.target, big.spec.project.seed) == ("big", 1)
        assert big.compute.settings() == {"spark.executor.cores": "4", "spark.x": "true"}

    def test_later_layers_win(self, project):
        text = (
            "include: [more.yml]\n"
            + BASE
            + (
                "variables: {owner: default}\n"
                "targets: {t: {overrides: {project: {owner: '${var.owner}', seed: 3}}}}\n"
            )
        )
        files = {"more.yml": "project: {owner: include, description: include, seed: 2}"}

        def info(**options):
            return project(text, files, **options).spec.project

        assert info().owner == "include"
        assert info(target="t").owner == "default"
        assert info(target="t", environ={"CRISP_VAR_owner": "env"}).owner == "env"
        assert info(target="t", environ={"CRISP_VAR_OWNER": "upper"}).owner == "upper"
        given = {"environ": {"CRISP_VAR_owner": "env"}, "variables": {"owner": "var"}}
        assert info(target="t", **given).owner == "var"
        last = info(target="t", **given, overrides=["project.owner=set"])
        assert (last.owner, last.seed, last.description) == ("set", 3, "include")


class TestSet:
    @pytest.mark.parametrize(
        ("setting", "read"),
        [
            ("project.seed=7", lambda spec: spec.project.seed == 7),
            ("project.owner=7", lambda spec: spec.project.owner == "7"),
            ("business.criteria[0].target=4.5", lambda s: s.business.criteria[0].target == 4.5),
            ("business.criteria[C1].target=5", lambda s: s.business.criteria[0].target == 5),
            ("business.criteria.0.target=6", lambda s: s.business.criteria[0].target == 6),
            ("business.mining_goal.key=[a, b]", lambda s: s.business.mining_goal.key == ("a", "b")),
            ('data.sources.sales.columns."a.b".type=int', lambda s: "a.b" in _columns(s)),
            ("data.sources.sales.columns={c: int}", lambda s: "c" in _columns(s)),
            ("project.description=a=b", lambda spec: spec.project.description == "a=b"),
            (
                "deployment.monitoring.psi_limit=1e-1",
                lambda s: s.deployment.monitoring.psi_limit == 0.1,
            ),
        ],
    )
    def test_a_value_is_read_as_yaml_and_lies_over_all(self, project, setting, read):
        text = BASE
        if "owner=7" in setting:
            setting = "project.owner='7'"
        assert read(project(text, overrides=[setting]).spec)

    def test_variables_are_filled_in(self, project):
        loaded = project(BASE + "variables: {n: 5}\n", overrides=["project.seed=${var.n}"])
        assert loaded.spec.project.seed == 5

    @pytest.mark.parametrize("setting", ["project.seed", "=1", "a..b=1", "a[=1"])
    def test_a_malformed_setting_is_a_usage_error(self, project, setting):
        with pytest.raises(UsageError, match=r"--set: expected PATH=VALUE") as error:
            project(BASE, overrides=[setting])
        assert error.value.exit_code == EX_USAGE

    def test_variables_are_not_set_with_it(self, project):
        with pytest.raises(UsageError, match="variables are set with --var"):
            project(BASE, overrides=["variables.a.default=1"])


def _columns(spec):
    return spec.data.sources["sales"].columns


class TestVariables:
    def test_a_lone_reference_keeps_type_and_a_part_becomes_text(self, project):
        text = BASE.replace("sales.csv", "'${var.dir}/y=${var.year}/*.csv'").replace(
            "name: demo", "name: demo, seed: '${var.year}'"
        )
        spec = project(text + "variables: {dir: data, year: {default: 2013}}\n").spec
        assert spec.project.seed == 2013
        assert spec.data.sources["sales"].path == ("data/y=2013/*.csv",)

    def test_variables_may_use_each_other_and_hold_lists(self, project):
        text = BASE.replace("[id]", "'${var.key}'").replace("sales.csv", "'${var.raw}/s.csv'")
        text += "variables: {key: [a, b], raw: '${var.root}/raw', root: /data}\n"
        spec = project(text).spec
        assert spec.business.mining_goal.key == ("a", "b")
        assert spec.data.sources["sales"].path == ("/data/raw/s.csv",)

    def test_a_doubled_dollar_is_a_plain_one(self, project):
        text = BASE.replace("sales.csv", "'$${x}-$5'")
        assert project(text).spec.data.sources["sales"].path == ("${x}-$5",)

    def test_values_from_outside_take_the_type_of_the_default(self, project):
        text = BASE.replace("[id]", "'${var.key}'").replace(
            "name: demo", "name: demo, owner: '${var.who}'"
        )
        text += "variables: {key: [a], who: someone}\n"
        loaded = project(text, variables={"key": "[b, c]", "who": "[b, c]"})
        assert loaded.spec.business.mining_goal.key == ("b", "c")
        assert loaded.spec.project.owner == "[b, c]"

    def test_an_unknown_variable_on_the_command_line_is_a_usage_error(self, project):
        with pytest.raises(UsageError, match=r"--var: no variable 'rwa'") as error:
            project(BASE + "variables: {raw: x}\n", variables={"rwa": "y"})
        assert error.value.hint == "did you mean 'raw'? variables: raw"

    def test_an_unknown_variable_in_the_environment_belongs_to_somebody_else(self, project):
        assert project(BASE, environ={"CRISP_VAR_other": "1"}).spec.project.name == "demo"

    def test_other_targets_need_no_values(self, project):
        text = BASE + (
            "variables: {bucket: {description: where}}\n"
            "targets: {dev: {}, prod: {overrides: {project: {workspace: '${var.bucket}'}}}}\n"
        )
        assert project(text, target="dev").spec.project.workspace == "workspace"
        with pytest.raises(SpecError, match="variable 'bucket' has no value"):
            project(text, target="prod")
        loaded = project(text, target="prod", variables={"bucket": "s3://b"})
        assert loaded.spec.project.workspace == "s3://b"


class TestOrigins:
    def test_each_value_tells_where_it_was_set(self, project):
        text = BASE + (
            "variables: {dir: data}\n"
            "include: [more.yml]\n"
            "targets: {dev: {default: true, overrides: {evaluation: {bootstrap: 50}}}}\n"
        )
        text = text.replace("sales.csv", "'${var.dir}/s.csv'")
        files = {"more.yml": "\nproject: {owner: ann}\n"}
        origins = project(
            text, files, overrides=["project.seed=1"], variables={"dir": "other"}
        ).origins
        assert origins["project.name"] == "crisp.yml:2"
        assert origins["project.owner"] == "more.yml:2"
        assert origins["project.seed"] == "--set project.seed"
        assert origins["project.workspace"] == "default"
        assert origins["evaluation.bootstrap"] == "crisp.yml:15"
        assert origins["evaluation.confidence"] == "default"
        assert origins["data.sources.sales.path[0]"] == "crisp.yml:12 (dir from --var dir)"
        assert origins["business.objectives[1].id"] == "crisp.yml:6"
        assert origins["business.criteria[0].compare"] == "default"

    def test_what_a_shorthand_expands_to_has_its_origin(self, project):
        text = BASE.replace(
            "path: sales.csv}",
            "path: sales.csv, columns: {a.b: int, c: {type: int, rules: [not_null,\n"
            "      {between: {min: 0}}]}}}",
        )
        origins = project(text).origins
        prefix = "data.sources.sales.columns"
        assert origins[f'{prefix}."a.b".type'] == "crisp.yml:12"
        assert origins[f"{prefix}.c.rules[0].kind"] == "crisp.yml:12"
        assert origins[f"{prefix}.c.rules[1].min"] == "crisp.yml:13"
        assert origins[f"{prefix}.c.rules[1].max"] == "default"

    def test_every_resolved_value_has_an_origin(self, project):
        from crisp_spark.cli.configuring import leaves

        loaded = project(BASE)
        assert {place for place, _ in leaves(loaded.resolved)} == set(loaded.origins)

    def test_the_resolved_project_can_be_loaded_again(self, project):
        import json

        first = project(BASE + "targets: {dev: {default: true}}\n")
        again = project(json.dumps(dict(first.resolved)))
        assert again.spec == first.spec


class TestSecrets:
    JDBC = "    db: {kind: jdbc, url: 'jdbc:x:y', table: t, user: '${env:U}', password: %s}\n"

    @pytest.mark.parametrize(
        "reference", ["${env:DB_PASSWORD}", "${secret:aws/prod/db#password}", "${secret:aws/db}"]
    )
    def test_a_reference_is_taken_and_kept_as_it_stands(self, project, reference):
        loaded = project(BASE + self.JDBC % f"'{reference}'", environ={"DB_PASSWORD": "hunter2"})
        password = loaded.spec.data.sources["db"].password
        assert isinstance(password, SecretReference)
        assert loaded.resolved["data"]["sources"]["db"]["password"] == reference
        assert "hunter2" not in repr(loaded) + str(loaded.resolved) + repr(loaded.spec)

    @pytest.mark.parametrize("literal", ["hunter2", "'pre-${env:X}'", "12345", "[hunter2]"])
    def test_a_literal_is_refused_and_never_repeated(self, project, literal):
        with pytest.raises(SpecError) as error:
            project(BASE + self.JDBC % literal)
        assert error.value.faults == (
            (
                "crisp.yml:13: data.sources.db.password: a secret must be a reference "
                "(${env:NAME} or ${secret:aws/name#field}), got a literal (not shown)"
            ),
        )
        assert "hunter2" not in str(error.value)

    def test_a_literal_from_a_variable_is_refused(self, project):
        text = BASE + self.JDBC % "'${var.pw}'" + "variables: {pw: x}\n"
        with pytest.raises(SpecError) as error:
            project(text, variables={"pw": "hunter2"})
        assert "hunter2" not in str(error.value)
        loaded = project(text, variables={"pw": "${env:DB}"})
        assert loaded.spec.data.sources["db"].password == "${env:DB}"

    def test_a_reference_in_a_plain_field_is_refused(self, project):
        with pytest.raises(SpecError) as error:
            project(BASE.replace("name: demo", "name: demo, owner: 'x ${env:USER}'"))
        assert error.value.faults == (
            (
                "crisp.yml:2: project.owner: a reference to a secret in a field that is not secret; "
                "declare a variable, use ${var.NAME}, and set it with --var or CRISP_VAR_NAME"
            ),
        )

    def test_a_spark_setting_named_like_a_secret_takes_a_reference(self, project, monkeypatch):
        text = BASE + "targets: {t: {default: true, compute: {conf: {fs.s3a.secret.key: %s}}}}\n"
        monkeypatch.setenv("KEY", "hunter2")
        compute = project(text % "'${env:KEY}'").compute
        assert compute.settings() == {"fs.s3a.secret.key": "hunter2"}
        assert "hunter2" not in repr(compute)
        with pytest.raises(SpecError) as error:
            project(text % "hunter2")
        assert "got a literal (not shown)" in str(error.value)
        assert "hunter2" not in str(error.value)

    def test_a_password_in_an_address_is_refused(self, project):
        with pytest.raises(SpecError) as error:
            project(BASE.replace("name: demo", "name: demo, tracking_uri: 'https://a:hunter2@h/'"))
        assert "project.tracking_uri: holds user and password (not shown)" in str(error.value)
        assert "hunter2" not in str(error.value)

    def test_revealed_values_print_as_stars(self):
        found = reveal("${env:A}", environ={"A": "hunter2"})
        assert "hunter2" not in repr(found) + str(found)
        assert found.get_secret_value() == "hunter2"

    def test_a_provider_is_asked_for_name_and_field(self):
        asked = []

        def fetch(*what):
            asked.append(what)
            return "v"

        reveal("${secret:aws/prod/db#password}", fetch=fetch)
        reveal("${secret:aws/db}", fetch=fetch)
        assert asked == [("aws", "prod/db", "password"), ("aws", "db", None)]

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("${env:NOPE}", "environment variable NOPE is not set"),
            ("${secret:aws/x}", "nothing here can look up"),
            ("plain", "not a reference"),
        ],
    )
    def test_what_cannot_be_revealed_says_why(self, reference, message):
        with pytest.raises(Exception, match=message) as error:
            reveal(reference, environ={})
        assert error.value.exit_code == EX_USAGE


def test_a_fault_has_the_exit_code_of_the_project_file(project):
    with pytest.raises(SpecError) as error:
        project("version: 1\n")
    assert error.value.exit_code == EX_SPEC
