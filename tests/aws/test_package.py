from __future__ import annotations

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from crisp_spark.aws import package as module
from crisp_spark.aws.clients import Clients
from crisp_spark.aws.manifest import PackageManifest, spark_line
from crisp_spark.aws.package import build_package, publish_package, read_published
from crisp_spark.aws.wheelhouse import fetch_wheels, needed_packages, pinned
from crisp_spark.errors import EnvironmentFaultError, StorageError, UnavailableError
from tests.package_fixtures import ROOT, sha256, tiny_checkout, tiny_wheels, write_wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return tiny_checkout(tmp_path_factory.mktemp("tiny") / "checkout")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    return tiny_wheels(tmp_path_factory.mktemp("tiny") / "wheels")


def build(checkout: Path, wheels: Path, out: Path, **more) -> PackageManifest:
    return build_package(checkout, architecture="x86_64", out=out, wheels=wheels, **more)


def test_equal_code_gives_an_equal_package(checkout, wheels, tmp_path):
    first = build(checkout, wheels, tmp_path / "a", environment=True)
    second = build(checkout, wheels, tmp_path / "b", environment=True)
    assert first.model_dump() == second.model_dump()
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")}
    assert files == {Path(one.key) for one in first.files} | {Path(first.key)}
    for one in first.files:
        assert sha256(tmp_path / "a" / one.key) == one.sha256
    wheel, code = first.file("wheel"), first.file("code")
    assert wheel.sha256 == code.sha256
    assert (wheel.key[-4:], code.key[-4:]) == (".whl", ".zip")
    kept = PackageManifest.model_validate_json((tmp_path / "a" / first.key).read_text())
    assert kept.model_dump() == first.model_dump()


def test_any_change_gives_another_package(checkout, wheels, tmp_path):
    digests = {build(checkout, wheels, tmp_path / "a").code_digest}
    digests.add(build(checkout, wheels, tmp_path / "b", spark="3.5").code_digest)
    digests.add(build(checkout, wheels, tmp_path / "c", environment=True).code_digest)
    other = tiny_wheels(tmp_path / "wheels")
    write_wheel(other, "tiny_dep", "1.2", {"tiny_dep/__init__.py": b"answer = 0\n"}, "py3-none-any")
    digests.add(build(checkout, other, tmp_path / "d").code_digest)
    assert len(digests) == 4


def test_the_wheel_is_the_running_code(checkout, wheels, tmp_path):
    manifest = build(checkout, wheels, tmp_path)
    with zipfile.ZipFile(tmp_path / manifest.file("wheel").key) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        code = {name: archive.read(name) for name in names if name.startswith("crisp_spark/")}
    assert "Requires-Dist: tiny-dep>=1" in metadata
    package = ROOT / "crisp_spark"
    assert code["crisp_spark/flow.py"] == (package / "flow.py").read_bytes()
    assert "crisp_spark/engine/log4j2.properties" in code
    assert not [name for name in names if "__pycache__" in name or "_shipped" in name]


def test_the_wheelhouse_names_its_wheels_by_checksum(checkout, wheels, tmp_path):
    manifest = build(checkout, wheels, tmp_path)
    with tarfile.open(tmp_path / manifest.file("wheelhouse").key) as archive:
        names = archive.getnames()
        lines = archive.extractfile("requirements.txt").read().decode()
    assert names == ["requirements.txt", *(f"wheels/{name}" for name in sorted(manifest.wheels))]
    dependency = wheels / "tiny_dep-1.2-py3-none-any.whl"
    assert lines == f"tiny-dep==1.2 --hash=sha256:{sha256(dependency)}\n"
    assert manifest.wheels[dependency.name] == sha256(dependency)


def test_the_packed_environment_runs_from_any_folder(checkout, wheels, tmp_path):
    manifest = build(checkout, wheels, tmp_path / "out", environment=True)
    place = tmp_path / "some where" / "environment"
    with tarfile.open(tmp_path / "out" / manifest.file("environment").key) as archive:
        archive.extractall(place, filter="data")
    asked = "import tiny_dep, tiny_more, crisp_spark; print(tiny_dep.answer, crisp_spark.__file__)"
    done = subprocess.run(
        ["environment/bin/python", "-c", asked],
        cwd=place.parent,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere", "PYTHONPATH": "/from/spark"},  # as a YARN container may have it
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"42 {place}/lib/python3.11/site-packages/crisp_spark/")
    assert (place / "share" / "tiny.txt").read_text() == "data\n"


def test_wheels_for_another_machine_are_refused(wheels, tmp_path, checkout):
    with pytest.raises(StorageError, match="for aarch64: for other machines: uv-"):
        build_package(checkout, architecture="aarch64", out=tmp_path, wheels=wheels)
    with pytest.raises(StorageError, match="it needs the wheel of uv"):
        build_package(checkout, architecture="x86_64", out=tmp_path, wheels=tmp_path)


def count_writes(aws: Clients) -> list[str]:
    written: list[str] = []
    aws.s3.meta.events.register(
        "before-call.s3.*",
        lambda model, **_: (
            written.append(model.name)
            if model.name in {"PutObject", "CreateMultipartUpload"}
            else None
        ),
    )
    return written


def test_an_upload_skips_what_is_there(checkout, wheels, tmp_path, aws, bucket):
    manifest = build(checkout, wheels, tmp_path / "out")
    prefix = f"s3://{bucket}/crisp"
    published = publish_package(manifest, prefix, aws)
    assert published.manifest_uri == f"{prefix}/{manifest.key}"
    assert published.jobs_uri == f"{prefix}/packages/{manifest.code_digest}/jobs"
    assert (published.environment_uri, published.python) == (None, "3.11")
    for uri in (published.wheel_uri, published.code_zip_uri, published.bootstrap_uri):
        assert sha256_of(aws, uri) in uri
    jobs = aws.s3.list_objects_v2(Bucket=bucket, Prefix=published.jobs_uri.split("/", 3)[3])
    assert len(jobs["Contents"]) == len(list((ROOT / "jobs").glob("*.py")))
    written = count_writes(aws)
    assert publish_package(manifest, prefix, aws) == published
    assert written == ["PutObject"]  # the manifest, refused because it is there
    assert read_published(published.manifest_uri, aws) == published


def sha256_of(aws: Clients, uri: str) -> str:
    import hashlib

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return hashlib.sha256(aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()


def test_a_cut_upload_is_done_again(checkout, wheels, tmp_path, aws, bucket):
    manifest = build(checkout, wheels, tmp_path / "out")
    wheel = manifest.file("wheel")
    aws.s3.put_object(Bucket=bucket, Key=wheel.key, Body=b"half")
    published = publish_package(manifest, f"s3://{bucket}", aws)
    assert sha256_of(aws, published.wheel_uri) == wheel.sha256


def test_a_manifest_that_is_none_is_refused(aws, bucket):
    aws.s3.put_object(Bucket=bucket, Key="packages/x/manifest.json", Body=b'{"format": 2}')
    with pytest.raises(StorageError, match="not a package manifest that this version can read"):
        read_published(f"s3://{bucket}/packages/x/manifest.json", aws)
    with pytest.raises(StorageError, match="no such object"):
        read_published(f"s3://{bucket}/packages/y/manifest.json", aws)


def test_what_is_needed_follows_requirements_extras_and_markers():
    installed = {
        "web": ["core", "fast>=1; extra == 'speed'", "old; python_version < '3.8'"],
        "core": ["arm-only; platform_machine == 'aarch64'", "pyspark>=3", "web"],
        "fast": [],
        "arm-only": [],
    }
    found = needed_packages(["web"], architecture="x86_64", requires=installed.__getitem__)
    assert found == ["core", "web"]
    found = needed_packages(["Web[speed]"], architecture="aarch64", requires=installed.__getitem__)
    assert found == ["arm-only", "core", "fast", "web"]


def test_every_requirement_of_the_real_project_is_pinned_for_both_lines():
    for line in ("35", "41"):
        constraints = (ROOT / f"bootstrap/constraints-spark{line}.txt").read_text()
        names = needed_packages(module.root_requirements(ROOT), architecture="aarch64")
        pins = pinned(constraints, [*names, "uv"])
        assert {"mlflow", "numpy", "pyarrow", "boto3", "uv"} <= set(pins)
        assert not {"pyspark", "py4j", "pytest", "moto"} & set(pins)
        assert all("--hash=sha256:" in block for block in pins.values())
    with pytest.raises(EnvironmentFaultError, match="not in the pinned constraints: nothing"):
        pinned(constraints, ["nothing"])


def test_wheels_come_from_the_cache_only_where_they_are_whole(wheels, tmp_path, monkeypatch):
    dependency = next(wheels.glob("tiny*"))
    pins = {"tiny-dep": f"tiny-dep==1.2 \\\n    --hash=sha256:{sha256(dependency)}"}
    assert fetch_wheels(pins, architecture="x86_64", folder=wheels) == [dependency]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UnavailableError, match="wheels for x86_64 could not be fetched"):
        fetch_wheels(pins, architecture="x86_64", folder=tmp_path / "new")


@pytest.mark.parametrize(
    ("release", "line"),
    [("emr-spark-8.1.0", "4.1"), ("emr-7.14.0", "3.5"), ("emr-spark-9.0.0", "4.1")],
)
def test_releases_have_their_line_of_spark(release, line):
    assert spark_line(release) == line


def test_the_manifest_says_what_is_inside(checkout, wheels, tmp_path):
    manifest = build(checkout, wheels, tmp_path)
    document = json.loads((tmp_path / manifest.key).read_text())
    assert document["architecture"] == "x86_64"
    assert document["code_digest"] == manifest.key.split("/")[1]
    assert {one["role"] for one in document["files"]} == {
        "wheel",
        "code",
        "wheelhouse",
        "bootstrap",
        "job",
    }
    assert "folder" not in document
