"""The node script, really run: in a clean root without network, and from S3."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from crisp_spark.aws.manifest import PackageManifest
from crisp_spark.aws.package import build_package, publish_package
from tests.package_fixtures import ROOT, CleanRoot, clean_root, tiny_checkout, tiny_wheels

NODE = ["/bin/bash", "/srv/node.sh"]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> PackageManifest:
    folder = tmp_path_factory.mktemp("tiny")
    manifest = build_package(
        tiny_checkout(folder / "checkout"),
        architecture="x86_64",
        out=folder / "package",
        wheels=tiny_wheels(folder / "wheels"),
    )
    shutil.copy(ROOT / "bootstrap" / "node.sh", manifest.folder)
    return manifest


@pytest.fixture
def root(tmp_path) -> CleanRoot:
    return clean_root(tmp_path / "root")


def test_builds_the_environment_without_index_and_only_once(package, root):
    environment = f"/opt/crisp/{package.code_digest}"
    first = root.run(package.folder, *NODE, f"/srv/{package.key}")
    assert first.returncode == 0, first.stderr
    assert f"built {environment} in" in first.stdout
    asked = "import sys, tiny_dep, crisp_spark; print(sys.prefix, tiny_dep.answer)"
    seen = root.run(package.folder, f"{environment}/bin/python", "-c", asked)
    assert seen.stdout == f"{environment} 42\n"
    marker = root.folder / environment[1:] / ".crisp-ready"
    assert marker.read_text().strip() == package.code_digest
    before = marker.stat().st_mtime_ns
    second = root.run(package.folder, *NODE, f"/srv/{package.key}")
    assert second.returncode == 0
    assert "is there already" in second.stdout
    assert marker.stat().st_mtime_ns == before
    left = {path.name for path in (root.folder / "opt/crisp").iterdir()}
    assert left == {".lock", package.code_digest}


def changed_copy(package: PackageManifest, folder: Path, **facts) -> Path:
    shutil.copytree(package.folder, folder)
    manifest = folder / package.key
    document = json.loads(manifest.read_text()) | facts
    manifest.write_text(json.dumps(document))
    return folder


def test_a_damaged_package_ends_loudly_and_leaves_no_marker(package, root, tmp_path):
    given = changed_copy(package, tmp_path / "given")
    house = given / package.file("wheelhouse").key
    house.write_bytes(house.read_bytes()[:-1] + b"x")
    done = root.run(given, *NODE, f"/srv/{package.key}")
    assert done.returncode == 1
    assert "has another checksum than the manifest says" in done.stderr
    assert f"FAILED while checking the package {package.code_digest}" in done.stderr
    assert not (root.folder / "opt/crisp" / package.code_digest).exists()
    # The half-built remains of an earlier try do no harm.
    (root.folder / "opt/crisp" / package.code_digest / "bin").mkdir(parents=True)
    again = root.run(package.folder, *NODE, f"/srv/{package.key}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"architecture": "aarch64"}, "the package is for aarch64, this machine is x86_64"),
        ({"python": "3.13"}, "the package is for Python 3.13"),
        ({"format": 2}, "unknown manifest format 2"),
        ({"code_digest": "../../etc"}, "bad digest"),
    ],
)
def test_a_package_for_another_machine_is_refused(package, root, tmp_path, facts, said):
    given = changed_copy(package, tmp_path / "given", **facts)
    done = root.run(given, *NODE, f"/srv/{package.key}")
    assert done.returncode == 1
    assert said in done.stderr
    assert "FAILED while reading the manifest" in done.stderr


def test_a_missing_manifest_ends_loudly(package, root):
    done = root.run(package.folder, *NODE, "/srv/packages/none/manifest.json")
    assert done.returncode != 0
    assert "FAILED while reading the manifest /srv/packages/none/manifest.json" in done.stderr


def test_fetches_from_s3(package, tmp_path, aws, aws_server, bucket):
    published = publish_package(package, f"s3://{bucket}/crisp", aws)
    tools = tmp_path / "bin"
    tools.mkdir()
    command = tools / "aws"
    command.write_text(
        f'#!/bin/sh\nexec {sys.executable} {ROOT}/emr/loopback/aws_command.py "$@"\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        ["bash", ROOT / "bootstrap/node.sh", published.manifest_uri],
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CRISP_ROOT": str(tmp_path / "crisp"),
            "CRISP_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    python = tmp_path / "crisp" / package.code_digest / "bin/python"
    asked = subprocess.run([python, "-c", "import tiny_dep"], check=False, env={})
    assert asked.returncode == 0
