"""The crisp command: options, output, exit codes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from ruamel.yaml import YAML

from crisp_spark import __version__
from crisp_spark.cli import main as cli
from crisp_spark.cli import using
from crisp_spark.errors import DataError, TrackingError
from crisp_spark.flow import STEP_NAMES
from crisp_spark.run import garbage, runner, score, status, tracked
from crisp_spark.run.runner import RunSummary, StepEvent
from crisp_spark.run.status import StepStatus
from crisp_spark.run.steprun import Note
from crisp_spark.spec.schema import editor_schema, packaged_schema, schema_text

HEAVY = ("pyspark", "pandas", "numpy", "mlflow", "boto3", "great_expectations", "pyarrow")
EXAMPLES = Path(cli.__file__).parent / "examples"
PROJECT = """\
version: 1
project: {name: demo, owner: '${var.who}'}
variables: {who: ann}
business:
  objectives: [{id: O1, statement: Sell more}]
  criteria:
    - {id: C1, objective: O1, metric: r2, target: 0.5}
  mining_goal: {problem: regression, target: y, target_source: sales, key: [id]}
data:
  sources:
    sales: {kind: csv, path: sales.csv}
targets:
  dev: {default: true}
  prod: {overrides: {project: {seed: 3}}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("crisp.yml").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def crisp(folder, capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    logging.getLogger().handlers.clear()


COMMANDS = [
    ["init"],
    ["example"],
    ["validate"],
    ["plan"],
    ["run"],
    ["status"],
    ["show"],
    ["report"],
    ["review"],
    ["config", "schema"],
    ["config", "show"],
    ["score"],
    ["ui"],
    ["suggest", "rules"],
    ["gc"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_knows_json(crisp, command):
    code, out, _ = crisp(*command, "--help")
    assert code == 0
    assert "--json" in out
    assert "--debug" in out


def test_help_lists_every_command(crisp):
    out = crisp("--help")[1]
    assert all(command[0] in out for command in COMMANDS)
    assert crisp("--version")[1] == f"crisp-spark {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["validate", "--nonsense"], ["show"], ["score", "x"]]
)
def test_a_wrong_call_is_a_usage_error(crisp, arguments):
    code, out, err = crisp(*arguments)
    assert (code, out) == (64, "")
    assert "Usage: crisp" in err


@pytest.mark.parametrize("arguments", ["['--help']", "['validate']", "['config', 'schema']"])
def test_commands_that_need_no_spark_import_nothing_heavy(folder, arguments):
    code = (
        f"import sys\nfrom crisp_spark.cli.main import main\ncode = main({arguments})\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


def test_the_installed_command_works_without_an_activated_environment(folder):
    script = Path(sys.executable).with_name("crisp")
    done = subprocess.run(
        [str(script), "validate"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        "crisp.yml: valid (demo: 1 source, 1 criterion, target dev)\n",
    )


class TestValidate:
    def test_says_what_it_found(self, crisp):
        assert crisp("validate") == (
            0,
            "crisp.yml: valid (demo: 1 source, 1 criterion, target dev)\n",
            "",
        )

    def test_json(self, crisp):
        found = json.loads(crisp("validate", "--json", "--every-target")[1])
        assert found == {
            "valid": True,
            "file": "crisp.yml",
            "project": "demo",
            "targets": ["dev", "prod"],
            "sources": ["sales"],
            "criteria": ["C1"],
        }

    def test_faults_go_to_stderr_with_exit_code_78(self, crisp):
        code, out, err = crisp("validate", "--set", "project.sed=1")
        assert (code, out) == (78, "")
        assert err == (
            "crisp: crisp.yml: 1 fault\n"
            "  - --set project.sed: project.sed: unknown key 'sed'; did you mean 'seed'? valid: "
            "name, owner, description, workspace, tracking_uri, seed, layout_partitions\n"
        )

    def test_faults_as_json(self, crisp):
        Path("crisp.yml").write_text(PROJECT.replace("target: 0.5", "target: 1.5"))
        code, out, _ = crisp("validate", "--json")
        error = json.loads(out)["error"]
        assert code == error["exit_code"] == 78
        assert error["details"] == [
            {
                "file": "crisp.yml",
                "line": 7,
                "place": "business.criteria[0].target",
                "what": "cannot be met: r2 at least 1.5",
                "hint": "r2 lies between -inf and 1",
            }
        ]

    def test_a_missing_file(self, crisp):
        code, out, err = crisp("validate", "-p", "no.yml")
        assert (code, out) == (64, "")
        assert err.startswith("crisp: no.yml: no such file\n  hint: ")

    def test_every_target_is_tried(self, crisp):
        Path("crisp.yml").write_text(PROJECT.replace("seed: 3", "sed: 3"))
        assert crisp("validate")[0] == 0
        assert crisp("validate", "--every-target")[0] == 78

    @pytest.mark.parametrize("option", ["who", "=x"])
    def test_a_malformed_variable(self, crisp, option):
        code, _, err = crisp("validate", "--var", option)
        assert code == 64
        assert "--var: expected NAME=VALUE" in err


class TestPlan:
    @pytest.fixture
    def planned(self, monkeypatch):
        from crisp_spark.run import plan

        report = plan.PlanReport(tables={"merged": [("id", "bigint"), ("größe (m²)", "double")]})
        monkeypatch.setattr(plan, "plan_project", lambda _project: report)
        return report

    def test_shows_the_tables(self, crisp, planned):
        planned.warnings.append("data.sources.sales: its columns are not declared")
        code, out, _ = crisp("plan")
        assert code == 0
        assert "merged (2 columns)" in out
        assert "größe (m²)" in out
        assert "warning: crisp.yml:11: data.sources.sales: its columns are not declared" in out
        assert json.loads(crisp("plan", "--json")[1])["tables"]["merged"][0] == ["id", "bigint"]

    @pytest.mark.parametrize(
        ("fault", "line"),
        [
            ("data.sources.sales.path: no files", "crisp.yml:11: "),
            ("business.criteria 'C1' slice: no such column", "crisp.yml:7: "),
            ("business.criteria[0] 'C1' slice: no such column", "crisp.yml:7: "),
            ("business.mining_goal.target: no such column", "crisp.yml:8: "),
            ("evaluation.slices: no such column", ""),
            ("something else", ""),
        ],
    )
    def test_faults_name_their_line(self, crisp, planned, fault, line):
        planned.faults.append(fault)
        code, _, err = crisp("plan")
        assert code == 78
        assert err == f"crisp: plan of crisp.yml: 1 fault\n  - {line}{fault}\n"


class TestConfig:
    def test_show_prints_every_value(self, crisp):
        out = crisp("config", "show")[1]
        lines = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in out.splitlines()}
        assert lines["project.owner"] == '"ann"'
        assert lines["evaluation.confidence"] == "0.95"

    def test_origin_says_where_each_value_was_set(self, crisp, monkeypatch):
        monkeypatch.setenv("CRISP_VAR_WHO", "bea")
        out = crisp("config", "show", "project", "--origin", "--target", "prod")[1]
        assert [line.split() for line in out.splitlines()][:2] == [
            ["project.name", "=", '"demo"', "#", "crisp.yml:2"],
            ["project.owner", "=", '"bea"', "#", "crisp.yml:2", "(who", "from", "CRISP_VAR_WHO)"],
        ]
        assert "project.seed              = 3  # crisp.yml:14" in out
        assert 'project.workspace         = "workspace"  # default' in out

    def test_declared_leaves_defaults_out(self, crisp):
        out = crisp("config", "show", "project", "--declared", "--json")[1]
        assert json.loads(out) == {"project.name": "demo", "project.owner": "ann"}

    def test_a_place_that_is_not_there(self, crisp):
        code, _, err = crisp("config", "show", "projct")
        assert code == 64
        assert "config: nothing at 'projct'\n  hint: did you mean 'project'?" in err

    def test_secrets_stay_references(self, crisp, monkeypatch):
        monkeypatch.setenv("DB", "hunter2")
        source = "\n    db: {kind: jdbc, url: 'jdbc:x', table: t, password: '${env:DB}'}\ntargets"
        Path("crisp.yml").write_text(PROJECT.replace("\ntargets", source))
        out = crisp("config", "show", "data.sources.db")[1]
        assert '"${env:DB}"' in out
        assert "hunter2" not in out

    def test_schema_is_printed_or_written(self, crisp, folder):
        assert crisp("config", "schema")[1] == packaged_schema()
        crisp("config", "schema", "--out", ".crisp/schema.json")
        assert Path(".crisp/schema.json").read_text() == packaged_schema()


class TestSchema:
    def test_the_shipped_schema_is_that_of_the_models(self):
        assert packaged_schema() == schema_text(), (
            "run `python -m crisp_spark.spec.schema` after a change of the spec"
        )

    def test_it_is_draft_7_without_what_editors_do_not_know(self):
        schema = editor_schema()
        jsonschema.Draft7Validator.check_schema(schema)
        text = json.dumps(schema)
        for keyword in ("prefixItems", "$defs", '"discriminator"', "dependentRequired"):
            assert keyword not in text

    @pytest.mark.parametrize(
        "name", sorted(path.parent.name for path in EXAMPLES.glob("*/crisp.yml"))
    )
    def test_it_accepts_the_examples(self, name):
        plain = YAML(typ="safe", pure=True).load((EXAMPLES / name / "crisp.yml").read_text())
        faults = list(jsonschema.Draft7Validator(editor_schema()).iter_errors(_jsonable(plain)))
        assert not faults

    def test_variables_may_stand_for_numbers_and_wrong_keys_may_not_stand(self):
        plain = YAML(typ="safe", pure=True).load(PROJECT)
        validator = jsonschema.Draft7Validator(editor_schema())
        plain["project"]["seed"] = "${var.seed}"
        assert not list(validator.iter_errors(plain))
        plain["project"]["sed"] = 1
        assert [fault.message for fault in validator.iter_errors(plain)] == [
            "Additional properties are not allowed ('sed' was unexpected)"
        ]

    def test_every_field_is_described(self):
        bare = [
            f"{name}.{field}"
            for name, model in editor_schema()["definitions"].items()
            for field, shape in model.get("properties", {}).items()
            if "description" not in shape and field not in {"kind", "op"} and len(model) > 2
        ]
        assert not bare


def _jsonable(value):
    return json.loads(json.dumps(value, default=str))


NOTES = [Note("12 rows kept, 1 rejected"), Note("one file is odd", "warning")]
DECISION = {
    "decision": "deploy",
    "verdict": "deploy",
    "summary": "Good enough.",
    "reasons": ["C1 holds: 0.7 at least 0.5"],
    "criteria": [
        {
            "id": "C1",
            "level": "mining",
            "metric": "r2",
            "on": "test",
            "required": True,
            "verdict": "pass",
            "value": 0.7,
            "low": 0.65,
            "high": 0.75,
            "compare": "estimate",
            "direction": "at_least",
            "target": 0.5,
            "sentence": "r2 is 0.7",
        }
    ],
    "changes": [{"kind": "rows", "sentence": "More rows."}],
    "evidence": {
        "hash": "h",
        "charter_version": 1,
        "charter_hash": "c",
        "criteria_hash": "d",
        "amendments": 0,
    },
}


@pytest.fixture
def flow(monkeypatch):
    """Stands in for the runner and for what it publishes; notes what it was asked."""
    from crisp_spark.results.decide import DecideResult

    seen = SimpleNamespace(steps=[], error=None, options={})

    def run_flow(project, steps, *, run_id, force, on_event):
        seen.steps = [step.name for step in steps]
        seen.options = {"run_id": run_id, "force": force, "name": project.spec.project.name}
        events = []
        for step in steps:
            on_event(StepEvent(step.name, "started"))
            if seen.error and step.name == "ingest":
                on_event(StepEvent(step.name, "failed", 0.1))
                raise seen.error
            state = "skipped" if step.name == "charter" else "done"
            events.append(StepEvent(step.name, state, 1.5, NOTES if step.name == "ingest" else ()))
            on_event(events[-1])
        return RunSummary(run_id or "run-1", tuple(events))

    monkeypatch.setattr(runner, "run_flow", run_flow)
    decision = DecideResult.model_validate(DECISION)
    monkeypatch.setattr(status, "result_of", lambda _project, _step: decision)
    monkeypatch.setattr(status, "report_file", lambda _project: Path("/w/report.html"))
    return seen


class TestRun:
    def test_progress_goes_to_stderr_and_the_summary_to_stdout(self, crisp, flow):
        code, out, err = crisp("run", "-p", str(Path("crisp.yml").absolute()))
        assert code == 0
        assert err.splitlines()[:4] == [
            "- charter   business       unchanged",
            "✓ ingest    understanding     1.5 s",
            "    12 rows kept, 1 rejected",
            "    one file is odd",
        ]
        assert out.splitlines() == [
            "",
            "run run-1: 13 done, 1 unchanged, 21 s",
            "decision  DEPLOY",
            "          C1 holds: 0.7 at least 0.5",
            "report    /w/report.html",
            f"MLflow    crisp ui --project {Path('crisp.yml').absolute()}",
        ]

    def test_json(self, crisp, flow):
        code, out, err = crisp("run", "--json", "--run-id", "mine", "--force")
        found = json.loads(out)
        assert (code, err) == (0, "")
        assert flow.options == {"run_id": "mine", "force": True, "name": "demo"}
        assert found["run_id"] == "mine"
        assert found["decision"]["decision"] == "deploy"
        assert found["report"] == "/w/report.html"
        assert found["steps"][1]["notes"][0] == {"text": NOTES[0].text, "level": "info"}

    @pytest.mark.parametrize(
        ("options", "steps"),
        [
            ([], list(STEP_NAMES)),
            (["--from", "evaluate", "--to", "deploy"], ["evaluate", "decide", "deploy"]),
            (["--only", "sweep", "--only", "ingest"], ["ingest", "sweep"]),
            (["--only", "sweep,ingest"], ["ingest", "sweep"]),
        ],
    )
    def test_a_part_of_the_flow(self, crisp, flow, options, steps):
        assert crisp("run", *options)[0] == 0
        assert flow.steps == steps

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--from", "sweep"], "split: stale"),
            (["--only", "report"], "split, sweep: stale"),
            (["--only", "ingest"], ""),
            (["--from", "sweep", "--run-id", "r1"], ""),
            ([], ""),
        ],
    )
    def test_a_part_that_builds_on_stale_steps_says_so(
        self, crisp, flow, monkeypatch, options, told
    ):
        state = {"split": "stale", "sweep": "stale"}
        found = [StepStatus(name, "p", state.get(name, "current")) for name in STEP_NAMES]
        monkeypatch.setattr(status, "status_of", lambda _project: found)
        code, _, err = crisp("run", *options)
        assert code == 0
        warned = [line for line in err.splitlines() if line.startswith("warning: ")]
        assert [line.partition(" (")[0] for line in warned] == (
            [f"warning: {told}"] if told else []
        )
        assert all("`crisp run` renews it" in line for line in warned)

    def test_a_part_without_decide_says_nothing_of_a_decision(self, crisp, flow):
        assert "decision" not in crisp("run", "--to", "ingest")[1]

    @pytest.mark.parametrize(
        "options", [["--only", "ingets"], ["--to", "charter", "--from", "merge"]]
    )
    def test_steps_that_are_none(self, crisp, flow, options):
        assert crisp("run", *options)[0] == 64

    @pytest.mark.parametrize(("error", "code"), [(DataError, 65), (TrackingError, 75)])
    def test_a_failure_has_its_exit_code_and_says_how_to_go_on(self, crisp, flow, error, code):
        flow.error = error("flights: no rows", hint="look at the path")
        found, out, err = crisp("run")
        assert (found, out) == (code, "")
        assert err.splitlines()[-4:] == [
            "✗ ingest    understanding     0.1 s",
            "finished steps are kept: `crisp run` goes on from there",
            "crisp: flights: no rows",
            "  hint: look at the path",
        ]
        assert "Traceback" not in err

    def test_a_failure_as_json(self, crisp, flow):
        flow.error = DataError("flights: no rows")
        out = crisp("run", "--json")[1]
        assert json.loads(out)["error"] == {
            "kind": "DataError",
            "message": "flights: no rows",
            "hint": "",
            "exit_code": 65,
            "retryable": False,
        }

    def test_the_unexpected_is_called_a_bug(self, crisp, flow):
        flow.error = ZeroDivisionError("division by zero")
        code, out, err = crisp("run", "--json")
        assert code == 70
        assert json.loads(out)["error"]["kind"] == "bug"
        assert "Traceback" not in err
        assert err.endswith(
            "crisp: unexpected ZeroDivisionError: division by zero\n"
            "  hint: this is a bug; --debug shows where\n"
        )

    @pytest.mark.parametrize("error", [DataError("no"), ZeroDivisionError("no")])
    def test_debug_shows_the_traceback(self, crisp, flow, error):
        flow.error = error
        assert "Traceback (most recent call last)" in crisp("run", "--debug")[2]

    def test_ctrl_c_is_clean(self, crisp, flow):
        flow.error = KeyboardInterrupt()
        code, out, err = crisp("run")
        assert (code, out) == (130, "")
        assert err.endswith("\ninterrupted; what was finished is kept\n")
        assert "Traceback" not in err

    def test_logs_go_to_stderr_when_asked_for(self, crisp, flow):
        log = logging.getLogger("crisp_spark.test")
        crisp("run", "--json", "-v")
        assert log.isEnabledFor(logging.INFO)
        assert not log.isEnabledFor(logging.DEBUG)
        crisp("run", "--json")
        assert not log.isEnabledFor(logging.INFO)


class TestLooking:
    def test_status(self, crisp, monkeypatch):
        moment = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
        found = [
            status.StepStatus("charter", "business", "current", moment, 0.25, "run-1", "key"),
            status.StepStatus("ingest", "understanding", "missing"),
        ]
        monkeypatch.setattr(status, "status_of", lambda _project: found)
        lines = crisp("status")[1].splitlines()
        assert lines[1].split() == [
            "charter",
            "business",
            "current",
            "2026-11-24",
            "01:02:03",
            "0.2",
            "run-1",
        ]
        assert lines[2].split() == ["ingest", "understanding", "missing", "-", "-", "-"]
        rows = json.loads(crisp("status", "--json")[1])
        assert rows[0]["finished_at"] == "2026-11-24T01:02:03+00:00"

    def test_show_decide_goes_criterion_by_criterion(self, crisp, flow):
        out = crisp("show", "decide")[1]
        assert "decision  DEPLOY" in out
        assert "0.7 (0.65 to 0.75)" in out
        assert "what would change it\n  More rows." in out

    def test_show_prints_a_part(self, crisp, flow):
        assert "r2 is 0.7" in crisp("show", "decide", "criteria[0]")[1]
        assert json.loads(crisp("show", "decide", "evidence.hash", "--json")[1]) == "h"
        assert (
            crisp("show", "decide", "reasons")[1] == "decide reasons: C1 holds: 0.7 at least 0.5\n"
        )

    def test_show_of_what_is_not_there(self, crisp, flow):
        assert "did you mean 'criteria'?" in crisp("show", "decide", "criterai")[2]
        code, _, err = crisp("show", "decied")
        assert code == 64
        assert "did you mean 'decide'?" in err

    def test_report_says_where_it_lies(self, crisp, flow, monkeypatch):
        assert crisp("report")[1] == "/w/report.html\n"
        monkeypatch.setattr(status, "report_file", lambda _project: None)
        code, _, err = crisp("report")
        assert code == 65
        assert "report: there is none yet\n  hint: run `crisp run`" in err

    def test_report_can_be_opened(self, crisp, flow, monkeypatch):
        opened = []
        monkeypatch.setattr("typer.launch", opened.append)
        crisp("report", "--open")
        assert opened == ["file:///w/report.html"]

    def test_review_of_a_fresh_project(self, crisp, monkeypatch):
        monkeypatch.setattr(status, "results_of", lambda _project: {})
        out = crisp("review")[1]
        assert out.splitlines()[-1].startswith("24 tasks, 42 outputs: ")
        assert "missing" in out
        assert len(json.loads(crisp("review", "--json")[1])["tasks"]) == 24

    def test_review_can_be_narrowed(self, crisp, monkeypatch):
        monkeypatch.setattr(status, "results_of", lambda _project: {})
        missing = crisp("review", "--state", "missing")[1]
        assert " drafted " not in missing.rsplit("\n\n", 1)[0]
        assert crisp("review", "--state", "gone")[0] == 64

    def test_gc(self, crisp, monkeypatch):
        asked = {}

        def collect(_project, **options):
            asked.update(options)
            return garbage.Garbage(("data/a/b/c",), 3 * 1024 * 1024)

        monkeypatch.setattr(garbage, "collect_garbage", collect)
        assert crisp("gc", "--dry-run", "--older-than-hours", "2")[1] == (
            "would remove 1 attempts, 3 MiB\n"
        )
        assert asked == {"older_than_hours": 2.0, "dry_run": True}


class TestScore:
    @pytest.fixture
    def asked(self, monkeypatch):
        asked = {}

        def score_batch(_project, **options):
            asked.update(options)
            return score.ScoreSummary(
                10, 8, 2, 1, "/out", "demo version 3", ("x",), {"age: not a number": 2}
            )

        monkeypatch.setattr(score, "score_batch", score_batch)
        return asked

    @pytest.mark.parametrize(
        ("batch", "kind"),
        [
            ("a.csv", "csv"),
            ("a/*.csv.gz", "csv"),
            ("a.jsonl", "json"),
            ("a.orc", "orc"),
            ("folder", "parquet"),
        ],
    )
    def test_the_ending_tells_the_kind(self, crisp, asked, batch, kind):
        assert crisp("score", batch, "--output", "out")[0] == 0
        assert asked == {
            "input_path": batch,
            "output_path": "out",
            "kind": kind,
            "model": "decided",
        }

    def test_rows_are_accounted_for(self, crisp, asked):
        out = crisp("score", "a", "-o", "out", "--kind", "csv", "--model", "candidate")[1]
        assert out.splitlines() == [
            "model     demo version 3",
            "rows      10 in = 8 scored + 2 rejected (1 answered by the fallback)",
            "          2 age: not a number",
            "ignored   x",
            "output    /out",
        ]
        assert asked["model"] == "candidate"


class TestUi:
    @pytest.fixture
    def served(self, monkeypatch):
        served = []
        monkeypatch.setattr(using, "_serve", lambda *arguments: served.append(arguments))
        return served

    def test_nothing_recorded_yet(self, crisp, served):
        code, _, err = crisp("ui")
        assert (code, served) == (65, [])
        assert "ui: nothing is recorded yet\n  hint: run `crisp run`" in err

    def test_the_first_free_port_is_taken(self, crisp, served, monkeypatch, folder):
        store = folder / "m.db"
        store.touch()
        monkeypatch.setattr(tracked, "tracking_uri", lambda _workspace: f"sqlite:///{store}")
        out = crisp("ui")[1]
        ((uri, port),) = served
        assert uri == f"sqlite:///{store}"
        assert out == f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)\n"

    def test_a_port_that_is_taken(self, crisp, served, monkeypatch, folder):
        import socket

        store = folder / "m.db"
        store.touch()
        monkeypatch.setattr(tracked, "tracking_uri", lambda _workspace: f"sqlite:///{store}")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            code, _, err = crisp("ui", "--port", str(taken.getsockname()[1]))
        assert code == 64
        assert "is taken" in err

    def test_a_server_elsewhere_is_named(self, crisp, served):
        out = crisp("ui", "--set", "project.tracking_uri=https://mlflow.example")[1]
        assert out == "the records are kept by https://mlflow.example\n"
        assert served == []


class TestSuggest:
    @pytest.fixture
    def profiled(self, monkeypatch):
        from crisp_spark.results.profile import ProfileResult
        from crisp_spark.spec.quality import NotNull
        from crisp_spark.understanding import suggest

        asked = []

        def suggest_rules(table, declared):
            asked.append((table.name, declared))
            rule = "not_null"
            return [suggest.Suggestion(table.name, "id", NotNull(), "none is missing", rule)]

        tables = tuple(SimpleNamespace(name=name) for name in ("sales", "gone"))
        result = ProfileResult.model_construct(sources=tables[:1])
        monkeypatch.setattr(status, "result_of", lambda _project, _step: result)
        monkeypatch.setattr(suggest, "suggest_rules", suggest_rules)
        return asked

    def test_rules_are_printed_as_they_stand_in_the_file(self, crisp, profiled):
        text = PROJECT.replace(
            "path: sales.csv",
            "path: sales.csv, columns: {id: {rules: [unique]}}, rules: [row_count: {min: 1}]",
        )
        Path("crisp.yml").write_text(text)
        code, out, _ = crisp("suggest", "rules")
        assert code == 0
        assert profiled == [("sales", [("id", "unique"), ("", "row_count")])]
        assert out.splitlines() == [
            "# below data.sources of the project file; each rule only warns as it stands",
            "sales:",
            "  columns:",
            '    "id":',
            "      rules:",
            "        - not_null  # none is missing",
            "",
        ]

    def test_json(self, crisp, profiled):
        found = json.loads(crisp("suggest", "rules", "--json", "--source", "sales")[1])
        assert found[0]["rule"]["kind"] == "not_null"
        assert found[0]["evidence"] == "none is missing"

    def test_an_unknown_source(self, crisp, profiled):
        code, _, err = crisp("suggest", "rules", "--source", "sale")
        assert code == 64
        assert "--source: no source 'sale'\n  hint: did you mean 'sales'?" in err


class TestOutline:
    @pytest.fixture
    def printed(self, capsys):
        from crisp_spark.cli.outline import print_result
        from crisp_spark.cli.output import Output

        def run(plain, place=None):
            result = SimpleNamespace(step="demo", model_dump=lambda **_: plain)
            print_result(Output(), result, place)
            return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]

        return run

    def test_values_come_first_then_tables_then_what_is_below(self, printed):
        lines = printed(
            {
                "rows": 12345,
                "year": 2013,
                "share": 0.25,
                "none": None,
                "ok": True,
                "part": {"x": 1},
                "items": [{"id": "a", "n": 1, "more": [{"y": 2}]}, {"id": "b", "n": None}],
            }
        )
        assert lines == [
            " demo",
            " rows   12,345",
            " year   2013",
            " share  0.25",
            " none   -",
            " ok     yes",
            " part",
            " x     1",
            "items (2)",
            " id  n",
            " a   1",
            " b   -",
            "  deeper: items[0].more",
        ]

    def test_long_tables_and_cells_are_cut(self, printed):
        lines = printed({"items": [{"text": "x" * 80} for _ in range(30)]})
        assert lines[0] == "items (30, 5 more with --json)"
        assert lines[2].strip() == "x" * 59 + "…"
        assert len(lines) == 27

    def test_lists_and_single_values(self, printed):
        assert printed({"a": [1, 2.5], "b": []}, "a") == ["demo a: 1, 2.5"]
        assert printed({"b": []}, "b") == ["demo b: none"]
        assert printed({"b": {"c": 1e6}}, "b.c") == ["demo b.c: 1,000,000"]


def test_a_reader_who_has_seen_enough_is_no_fault(crisp, monkeypatch):
    class Closed:
        def write(self, _text):
            raise BrokenPipeError

        def flush(self):
            pass

        def isatty(self):
            return False

    monkeypatch.setattr(sys, "stdout", Closed())
    assert cli.main(["config", "show", "--json"]) == 0


def test_square_brackets_and_wide_values_are_printed_as_they_are(crisp):
    Path("crisp.yml").write_text(
        PROJECT.replace("name: demo", f"name: demo, description: '[red]{'x' * 300}'")
    )
    assert f'"[red]{"x" * 300}"' in crisp("config", "show", "project.description")[1]
