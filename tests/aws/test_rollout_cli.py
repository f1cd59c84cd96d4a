"""crisp deploy --to, rollback, aliases and serve, on the command line, with a real bundle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from datetime import UTC, datetime

import pytest
import yaml

from crisp_spark.aws.rollout import zips
from crisp_spark.cli import main as cli
from crisp_spark.cli import rollout
from crisp_spark.engine.commits import Commit, DataFile
from crisp_spark.run.workspace import Workspace
from crisp_spark.serving.files import pack
from crisp_spark.spec.load import load_project
from tests import tiny_project
from tests.aws.test_schedule_cli import Recorder
from tests.unit.test_challenger import line
from tests.unit.test_serving import ARRAYS, PASSED, description

REGISTERED = {"name": "tiny", "uri": "models:/tiny/1", "alias": "champion", "run_id": "r"}


@pytest.fixture
def project(aws, bucket, tmp_path):
    """A project whose endpoint's things go to a bucket of a real S3-compatible server."""
    endpoint = {"artifacts": f"s3://{bucket}/crisp", "region": "us-east-1"}
    extra = yaml.safe_dump({"deployment": {"endpoint": endpoint}})
    return tiny_project.write(tmp_path / "p", spec=tiny_project.SPEC + extra)


@pytest.fixture
def deployed(project):
    """Publish a deployment of a version, as the step does."""

    def publish(version: str, **portable):
        workspace = Workspace(load_project(project))
        content = pack(description(version=version), ARRAYS, PASSED)
        key = f"data/bundle-{version}.zip"
        workspace.objects.put_if_absent(key, content)
        digest = hashlib.sha256(content).hexdigest()
        portable = {"written": True, "file": "bundle", "sha256": digest, **portable}
        result = {
            "status": "deployed",
            "reason": "all criteria hold",
            "decision": "deploy",
            "problem": "binary",
            "model": {**REGISTERED, "version": version},
            "portable": portable,
        }
        commit = Commit(
            step="deploy",
            stage_key=f"d{version}",
            run_id="r",
            created=datetime.now(UTC),
            seconds=0,
            result=result,
            files={"bundle": DataFile(key=key, bytes=len(content), sha256=digest)},
        )
        workspace.commits.publish(commit)
        return content

    return publish


@pytest.fixture
def crisp(project, capsys):
    def run(*words):
        code = cli.main([*words, "--project", str(project)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def wheels(monkeypatch, tmp_path):
    """A wheel in the place of NumPy's, whose download is tested elsewhere."""
    file = tmp_path / "numpy-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("numpy/__init__.py", "")
    monkeypatch.setattr(zips, "function_wheels", lambda *_, **__: [file])


@pytest.fixture
def recorder(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(rollout, "_deployer", lambda _plan: found)
    return found


@pytest.mark.parametrize("kind", ["lambda", "ecs", "ec2", "pipeline"])
def test_without_options_it_says_what_would_be_made(crisp, kind):
    code, out, err = crisp("deploy", "--to", kind, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["stack"] == f"crisp-tiny-{kind}"
    assert found["resources"]
    code, out, _ = crisp("deploy", "--to", kind)
    assert f"resources  {len(found['resources'])};" in out


def test_a_function_is_written_with_its_model_inside(crisp, deployed, wheels, tmp_path):
    content = deployed("1")
    code, _, err = crisp("deploy", "--to", "lambda", "--out", str(tmp_path / "out"))
    assert code == 0, err
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"template.json", "parameters.json", "function.zip"}
    with zipfile.ZipFile(tmp_path / "out" / "function.zip") as packed:
        inside = {one.filename: packed.read(one) for one in packed.infolist()}
    assert content in inside.values()
    assert any(name.startswith("crisp_spark/serving/") for name in inside)
    values = json.loads((tmp_path / "out" / "parameters.json").read_text())["Parameters"]
    template = json.loads((tmp_path / "out" / "template.json").read_text())
    assert set(values) <= set(template["Parameters"])


@pytest.mark.parametrize(("kind", "file"), [("ecs", "image/Dockerfile"), ("ec2", "revision.zip")])
def test_containers_and_machines_get_their_files(
    crisp, deployed, monkeypatch, tmp_path, kind, file
):
    code = {"code/crisp_spark/serving/__init__.py": b"", "Dockerfile": b"FROM x"}
    monkeypatch.setattr(zips, "image_folder", lambda *_, **__: code)
    deployed("1")
    done, _, err = crisp("deploy", "--to", kind, "--out", str(tmp_path / "out"))
    assert done == 0, err
    assert (tmp_path / "out" / file).stat().st_size


def test_applying_uploads_moves_the_alias_and_changes_the_stack(
    crisp, deployed, wheels, recorder, aws, bucket
):
    deployed("1")
    words = ("deploy", "--to", "lambda", "--apply", "--yes", "--by", "Ada", "--reason", "October")
    code, out, err = crisp(*words)
    assert code == 0, err
    assert "alias      champion -> 1 (move 1, Ada)" in out
    assert recorder.done == ["carried out"]
    _, values = recorder.asked[-1]
    stored = aws.s3.get_object(Bucket=bucket, Key=values["CodeKey"])["Body"].read()
    assert zipfile.is_zipfile(io.BytesIO(stored))
    keys = {one["Key"] for one in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert any(key.startswith("crisp/models/tiny/aliases/champion/") for key in keys)


def test_nothing_changes_without_agreement_or_by_asking(crisp, deployed, wheels, recorder):
    deployed("1")
    code, _, err = crisp("deploy", "--to", "lambda", "--apply")
    assert code == 64
    assert "nothing was changed" in err
    assert recorder.done == ["withdrawn"]
    recorder.done = []
    code, out, _ = crisp("deploy", "--to", "lambda", "--diff", "--json")
    assert code == 0
    assert {one["action"] for one in json.loads(out)["changes"]} == {"Add"}
    assert recorder.done == []


def test_a_parameter_that_is_missing_is_asked_for(crisp, deployed, monkeypatch, recorder):
    monkeypatch.setattr(zips, "image_folder", lambda *_, **__: {"Dockerfile": b"FROM x"})
    deployed("1")
    code, _, err = crisp("deploy", "--to", "ecs", "--apply", "--yes")
    assert code == 64
    assert "the template needs" in err
    assert recorder.asked == []


def test_the_alias_goes_back_and_every_move_is_told(crisp, deployed, wheels):
    for version in "12":
        deployed(version)
        code, _, err = crisp("deploy", "--to", "lambda", "--upload", "--by", "Ada")
        assert code == 0, err
    code, out, _ = crisp("rollback", "--reason", "complaints", "--by", "Bo")
    assert (code, out.strip()) == (0, "champion -> 1 (move 3, by Bo: complaints)")
    code, out, _ = crisp("aliases", "--json")
    told = [(one["version"], one["kind"], one["by"]) for one in json.loads(out)]
    assert told == [("1", "deploy", "Ada"), ("2", "deploy", "Ada"), ("1", "rollback", "Bo")]
    code, _, err = crisp("rollback", "--to", "9", "--reason", "x")
    assert code != 0
    assert "no version 9" in err


def test_a_challenger_is_published_beside_and_promoted(crisp, deployed, wheels, aws, bucket):
    shadow = ("--set", "deployment.endpoint.shadow=challenger")
    upload = ("deploy", "--to", "ecs", "--upload", "--by", "Ada")
    deployed("1")
    assert crisp(*upload)[0] == 0
    deployed("2")
    code, out, err = crisp(*upload, "--alias", "challenger", *shadow)
    assert code == 0, err
    assert "challenger -> 2" in out
    told = json.loads(crisp("aliases", "--json")[1])
    assert [one["version"] for one in told] == ["1"]
    (move,) = json.loads(crisp("aliases", "--alias", "challenger", "--json")[1])
    listed = aws.s3.list_objects_v2(Bucket=bucket, Prefix="crisp/models/tiny/bundles")["Contents"]
    assert any(move["digest"] in one["Key"] for one in listed)
    code, out, err = crisp("promote", "--reason", "more often right", "--by", "Bo", *shadow)
    assert (code, out.strip()) == (0, "champion -> 2 (move 2, by Bo: more often right)"), err
    kinds = [one["kind"] for one in json.loads(crisp("aliases", "--json")[1])]
    assert kinds == ["deploy", "promote"]
    assert "champion -> 1" in crisp("rollback", "--reason", "complaints", "--by", "Bo")[1]


def test_logs_of_an_endpoint_are_compared_on_the_command_line(crisp, tmp_path):
    log = tmp_path / "endpoint.log"
    outcomes = [["k1", "true", True, 0.9, "false", False, 0.2]]
    log.write_text(f"{line(outcomes=outcomes)}\nsomething else\n")
    code, out, err = crisp("challenger", str(log), "--no-labels", "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert (found["champion"], found["challenger"]) == ("late 1", "late 2")
    assert found["difference"]["class_changes"] == 1
    assert (found["keyed_rows"], found["outcomes"]) == (1, None)
    code, out, _ = crisp("challenger", str(log))
    assert code == 0
    assert "1 (50.00%)" in out
    log.write_text("nothing\n")
    assert "CRISP_SHADOW" in crisp("challenger", str(log))[1]


def test_an_alias_without_moves_says_what_to_do(crisp):
    code, out, _ = crisp("aliases")
    assert code == 0
    assert "points at nothing yet" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("deploy", "--to", "moon"), "unknown target 'moon'"),
        (("deploy", "--to", "lambda", "--diff", "--apply"), "exclude each other"),
        (("deploy", "--to", "lambda", "--out", "x", "--parameter", "A"), "NAME=VALUE"),
        (("deploy", "--to", "lambda", "--out", "x"), "no model was deployed"),
        (("serve",), "no model was deployed"),
        (("promote", "--reason", "x"), "names no alias"),
        (("promote", "--reason", "x", "--to", "challenger"), "points at nothing"),
        (("challenger", "nowhere.log"), "cannot read nowhere.log"),
        (("deploy", "--to", "ecs", "--alias", "a", "--apply"), "goes with --upload alone"),
        (("deploy", "--to", "ecs", "--alias", "a"), "goes with --upload alone"),
    ],
)
def test_a_wrong_call_is_explained(crisp, words, message):
    code, _, err = crisp(*words)
    assert code not in {0, 70}
    assert message in err


def test_a_model_without_a_portable_form_names_the_reason(crisp, deployed):
    deployed("1", written=False, reason="stage 3 (LDAModel)")
    code, _, err = crisp("deploy", "--to", "lambda", "--upload")
    assert code == 65
    assert "stage 3 (LDAModel)" in err


def test_a_damaged_bundle_is_not_published(crisp, deployed, project):
    deployed("1", sha256="0" * 64)
    code, _, err = crisp("deploy", "--to", "lambda", "--upload")
    assert code not in {0, 70}
    assert "is damaged" in err


def test_the_deployed_model_answers_on_this_machine(deployed, project, tmp_path):
    deployed("1")
    challenger = tmp_path / "challenger.zip"
    challenger.write_bytes(pack(description(version="2"), ARRAYS, PASSED))
    call = [sys.executable, "-m", "crisp_spark", "serve", "--port", "0", "--project", str(project)]
    call += ["--shadow", str(challenger)]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        try:
            said = server.stderr.readline()
            address = said.split(" answers at ")[1].split(";")[0]
            assert address.startswith("http://127.0.0.1:")
            row = {"x": 3.0, "city": "b", "id": 1, "hour": 18}
            request = urllib.request.Request(
                address,
                json.dumps({"dataframe_records": [row]}).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as reply:
                (answer,) = json.load(reply)["predictions"]
            assert (answer["prediction"], answer["score"]) == ("no", 0.5)
            metrics, until = address.replace("invocations", "metrics"), time.monotonic() + 60
            told = ""
            while "crisp_shadow_rows_total 1\n" not in told:
                assert time.monotonic() < until, told
                with urllib.request.urlopen(metrics, timeout=30) as reply:
                    told = reply.read().decode()
            assert "crisp_shadow_score_difference_max 0.0\n" in told
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
