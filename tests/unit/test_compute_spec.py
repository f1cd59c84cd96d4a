"""What a target may compute on, and what old project files mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import (
    AwsCompute,
    ComputeSpec,
    EmrCompute,
    EmrServerlessCompute,
    LocalCompute,
)
from crisp_spark.spec.load import load_project

EMR = {"kind": "emr", "region": "eu-central-1", "artifacts": "s3://bucket/crisp"}
PROJECT = """\
version: 1
project: {name: demo}
business:
  objectives: [{id: O1, statement: Sell more}]
  criteria: [{id: C1, objective: O1, metric: rmse, target: 3, direction: at_most}]
  mining_goal: {problem: regression, target: y, target_source: sales, key: [id]}
data:
  sources:
    sales: {kind: csv, path: sales.csv}
variables:
  idle: {default: 20}
targets:
  dev: {default: true, compute: {master: "local[1]"}}
  prod:
    compute:
      kind: emr
      region: eu-central-1
      artifacts: s3://bucket/crisp
      idle_minutes: ${var.idle}
"""


def parsed(**values):
    return TypeAdapter(ComputeSpec).validate_python(values)


def test_compute_without_a_kind_is_local():
    assert parsed(master="local[2]", conf={"spark.x": True}) == LocalCompute(
        master="local[2]", conf={"spark.x": True}
    )
    assert parsed(master="local[2]").session_master == "local[2]"


def test_a_cluster_leaves_the_master_to_spark_submit():
    compute = parsed(**EMR)
    assert isinstance(compute, EmrCompute)
    assert compute.session_master is None
    assert compute.log_uri == "s3://bucket/crisp/logs/"


def test_serverless_needs_a_role():
    with pytest.raises(ValidationError, match="execution_role"):
        parsed(**EMR | {"kind": "emr-serverless"})
    role = "arn:aws:iam::111122223333:role/crisp"
    made = parsed(**EMR | {"kind": "emr-serverless", "execution_role": role})
    assert isinstance(made, EmrServerlessCompute)


@pytest.mark.parametrize(
    ("task", "start"),
    [({}, 16), ({"max_vcpu": 8}, 8), ({"min_vcpu": 32}, 32), ({"start_vcpu": 4}, 4)],
)
def test_the_start_size_stays_within_the_limits(task, start):
    compute = parsed(**EMR, task=task)
    assert compute.task.initial_vcpu == start


@pytest.mark.parametrize(
    "task",
    [
        {"start_vcpu": 80},
        {"min_vcpu": 20, "start_vcpu": 10},
        {"on_demand_vcpu": 17},
    ],
)
def test_sizes_out_of_order_are_refused(task):
    with pytest.raises(ValidationError, match="vcpu"):
        parsed(**EMR, task=task)


def test_a_worker_has_the_memory_that_its_processors_allow():
    role = "arn:aws:iam::111122223333:role/crisp"
    with pytest.raises(ValidationError, match="8 to 30 GB"):
        parsed(
            **EMR | {"kind": "emr-serverless"},
            execution_role=role,
            executor={"vcpu": 4, "memory_gb": 32},
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "Frankfurt"},
        {"artifacts": "bucket/crisp"},
        {"release": "emr-8"},
        {"subnets": ["vpc-1"]},
        {"idle_minutes": 0},
        {"primary": {"disk_gib": 8}},
    ],
)
def test_values_that_aws_would_refuse_are_refused_first(wrong):
    with pytest.raises(ValidationError):
        parsed(**EMR | wrong)


def test_variables_in_the_compute_of_a_target_are_for_that_target(tmp_path: Path):
    file = tmp_path / "crisp.yml"
    file.write_text(PROJECT)
    assert load_project(file, environ={}).compute == LocalCompute(master="local[1]")
    prod = load_project(file, target="prod", environ={}).compute
    assert isinstance(prod, AwsCompute)
    assert prod.idle_minutes == 20


def test_an_unknown_kind_is_answered_with_the_known_ones(tmp_path: Path):
    file = tmp_path / "crisp.yml"
    file.write_text(PROJECT.replace("kind: emr", "kind: emrr"))
    with pytest.raises(SpecError, match=r"unknown kind 'emrr'; did you mean 'emr'\?"):
        load_project(file, target="prod", environ={})
