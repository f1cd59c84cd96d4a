from __future__ import annotations

import json

import pytest

from crisp_spark.aws.objects import S3Objects
from crisp_spark.aws.projects import publish_project
from crisp_spark.errors import SpecError, StorageError, UsageError
from crisp_spark.run.places import is_s3, local_project, s3_prints
from crisp_spark.spec.load import load_project
from tests import tiny_project

TARGETS = """
variables: {home: {default: here}}
targets:
  laptop: {default: true}
  prod:
    variables: {home: "s3://BUCKET/größe"}
    compute:
      kind: emr
      region: eu-central-1
      artifacts: s3://BUCKET/crisp
      conf: {spark.sql.shuffle.partitions: 9, my.password: "${env:PASSWORD}"}
    overrides:
      project: {workspace: "${var.home}/workspace"}
      data:
        sources:
          visits: {path: "${var.home}/visits/*.csv"}
          shops: {path: "${var.home}/shops.csv"}
      preparation:
        clean:
          visits: [{op: python, python: "hooks.tidy:tidy", reason: habit}]
"""


@pytest.fixture
def project(tmp_path, bucket):
    file = tiny_project.write(tmp_path, spec=tiny_project.SPEC + TARGETS.replace("BUCKET", bucket))
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "tidy.py").write_text("def tidy(frame):\n    return frame\n")
    return file


def test_a_published_project_is_whole_and_needs_no_target(project, aws, bucket):
    resolved = load_project(project, target="prod")
    uri = publish_project(resolved, "r1", f"s3://{bucket}/crisp/", aws)
    assert uri == f"s3://{bucket}/crisp/projects/tiny/r1/crisp.json"
    file = local_project(uri)
    assert (file.parent / "hooks" / "tidy.py").read_text().startswith("def tidy")
    loaded = load_project(file)
    for block in ("project", "business", "data", "preparation", "modeling", "evaluation"):
        assert getattr(loaded.spec, block) == getattr(resolved.spec, block)
    assert loaded.target == "prod"
    assert loaded.compute == resolved.compute
    content = json.loads(file.read_text())
    assert content["targets"]["prod"]["compute"]["conf"]["my.password"] == "${env:PASSWORD}"
    assert list(content["targets"]) == ["prod"]


def test_publishing_again_changes_nothing_and_another_content_is_refused(project, aws, bucket):
    first = load_project(project, target="prod")
    prefix = f"s3://{bucket}/crisp"
    assert publish_project(first, "r1", prefix, aws) == publish_project(first, "r1", prefix, aws)
    changed = load_project(project, target="prod", overrides=["project.seed=8"])
    with pytest.raises(UsageError, match=r"run r1: crisp\.json was published with another content"):
        publish_project(changed, "r1", prefix, aws)


def test_places_of_this_machine_are_refused(project, bucket):
    with pytest.raises(SpecError) as caught:
        publish_project(load_project(project), "r1", f"s3://{bucket}")
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "project.workspace",
        "data.sources.visits.path",
        "data.sources.shops.path",
    ]


def test_a_project_file_in_s3_comes_with_what_lies_beside_it(aws, bucket):
    objects = S3Objects(f"s3://{bucket}/a b", aws)
    for key in ("crisp.yml", "parts/goal.yml", "hooks/tidy.py", "data/big.csv"):
        objects.put_if_absent(key, key.encode())
    file = local_project(f"s3://{bucket}/a b/crisp.yml")
    found = {path.relative_to(file.parent).as_posix() for path in file.parent.rglob("*.*")}
    assert found == {"crisp.yml", "parts/goal.yml", "hooks/tidy.py"}
    with pytest.raises(StorageError, match=r"cannot read nope\.yml"):
        local_project(f"s3://{bucket}/a b/nope.yml")
    with pytest.raises(UsageError, match="scheme 'https' is not supported"):
        local_project("https://example.com/crisp.yml")


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("data/*.csv", ["data/a.csv", "data/größe (m²).csv"]),
        ("data", ["data/a.csv", "data/day=1/b.csv", "data/größe (m²).csv"]),
        ("data/", ["data/a.csv", "data/day=1/b.csv", "data/größe (m²).csv"]),
        ("data/day=*/", ["data/day=1/b.csv"]),
        ("data/day=[0-9]/?.csv", ["data/day=1/b.csv"]),
        ("data/{a,x}.csv", ["data/a.csv", "data/größe (m²).csv"]),
        ("data/größe (m²).csv", ["data/größe (m²).csv"]),
        ("*/a.csv", ["data/a.csv"]),
        ("data2/a.csv", []),
    ],
)
def test_objects_behind_a_path_or_glob_are_found(aws, bucket, pattern, named):
    objects = S3Objects(f"s3://{bucket}", aws)
    for key in ("data/a.csv", "data/größe (m²).csv", "data/day=1/b.csv", "database/x.csv"):
        objects.put_if_absent(key, key.encode())
    found = s3_prints(f"s3://{bucket}/{pattern}")
    assert [key for key, _, _ in found] == named
    assert is_s3(f"s3a://{bucket}/x")


def test_a_changed_object_has_another_print(aws, bucket):
    objects = S3Objects(f"s3://{bucket}", aws)
    objects.put_if_absent("a.csv", b"one")
    before = s3_prints(f"s3://{bucket}/a.csv")
    aws.s3.put_object(Bucket=bucket, Key="a.csv", Body=b"two")
    after = s3_prints(f"s3://{bucket}/a.csv")
    assert before[0][:2] == after[0][:2]
    assert before != after
