from __future__ import annotations

import json
from pathlib import Path

import pytest

from crisp_spark.aws.package import read_published
from crisp_spark.cli.main import main
from tests import tiny_project
from tests.package_fixtures import tiny_wheels

TARGETS = """
targets:
  laptop: {default: true}
  prod:
    compute: {kind: emr, region: eu-central-1, artifacts: "s3://BUCKET/crisp", release: emr-7.14.0, architecture: x86_64}
    overrides: {project: {workspace: "s3://BUCKET/workspace"}}
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    return tiny_wheels(tmp_path_factory.mktemp("tiny") / "wheels")


@pytest.fixture
def project(tmp_path, bucket) -> Path:
    return tiny_project.write(
        tmp_path / "project", spec=tiny_project.SPEC + TARGETS.replace("BUCKET", bucket)
    )


def test_the_package_of_a_target_is_built_and_published(
    project, wheels, tmp_path, aws, bucket, capsys
):
    line = ["package", "--project", str(project), "--target", "prod", "--wheels", str(wheels)]
    code = main([*line, "--out", str(tmp_path / "out"), "--upload", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (said["package"]["architecture"], said["package"]["spark"]) == ("x86_64", "3.5")
    assert Path(said["manifest"]).is_file()
    published = read_published(said["published"]["manifest_uri"], aws)
    assert published.manifest_uri.startswith(f"s3://{bucket}/crisp/packages/")
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert published.code_digest in shown
    assert "wheelhouse-x86_64.tar" in shown


def test_a_local_target_does_not_say_what_the_cluster_is(project, wheels, tmp_path, capsys):
    line = ["package", "--project", str(project), "--wheels", str(wheels), "--out", str(tmp_path)]
    assert main(line) == 64
    assert "give --architecture and --spark" in capsys.readouterr().err
    assert main([*line, "--upload", "--architecture", "x86_64", "--spark", "4.1"]) == 64
    assert "no `artifacts` to upload to" in capsys.readouterr().err
    assert main([*line, "--architecture", "riscv", "--spark", "4.1"]) == 64
    assert "expected x86_64 or aarch64, got 'riscv'" in capsys.readouterr().err
    assert main([*line, "--architecture", "x86_64", "--spark", "4.1"]) == 0
