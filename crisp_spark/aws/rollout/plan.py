"""What the templates of an endpoint are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crisp_spark.aws.schedule.signals import SignalWatch
from crisp_spark.aws.schedule.stack import LONGEST_NAME, Place, place_of
from crisp_spark.errors import UsageError
from crisp_spark.spec.compute import AwsCompute
from crisp_spark.spec.deployment import EndpointSpec, MonitoringSpec
from crisp_spark.spec.load import LoadedProject

NAMESPACE = "crisp_spark/serving"
"""Namespace of the metrics that an endpoint writes."""

KINDS = ("lambda", "ecs", "ec2", "pipeline")


@dataclass(frozen=True)
class RolloutPlan:
    """An endpoint, as its templates are made from it.

    Attributes:
        project: Name of the project.
        kind: lambda, ecs, ec2 or pipeline.
        model: Name of the model.
        alias: Alias that answers.
        endpoint: How it is set up.
        artifacts: Where code, bundles and templates lie.
        region: Region.
        monitoring: Limits and owners of what is watched about the model.
    """

    project: str
    kind: str
    model: str
    alias: str
    endpoint: EndpointSpec
    artifacts: Place
    region: str
    monitoring: MonitoringSpec

    @property
    def name(self) -> str:
        """Name of the stack and of what it makes."""
        return f"crisp-{self.project.lower().replace('_', '-')}-{self.kind}"

    @property
    def models(self) -> Place:
        """Where the model's bundles and aliases lie."""
        parts = (self.artifacts.prefix, "models", self.model)
        return Place(self.artifacts.bucket, "/".join(part for part in parts if part))

    @property
    def models_uri(self) -> str:
        """The same as a URI."""
        return f"s3://{self.models.bucket}/{self.models.prefix}"

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags of everything that can have some."""
        return [{"Key": "crisp:project", "Value": self.project}]

    @property
    def signals(self) -> SignalWatch:
        """What is watched about the model by its monitoring."""
        tags = {"Tags": self.tags}
        return SignalWatch(self.name, self.project, self.model, self.monitoring, tags)

    @property
    def dimensions(self) -> list[dict[str, str]]:
        """What the endpoint's own metrics are split by, whatever the version."""
        stage = "lambda" if self.kind == "lambda" else "container"
        return [{"Name": "Model", "Value": self.model}, {"Name": "Stage", "Value": stage}]


def plan_rollout(project: LoadedProject, kind: str) -> RolloutPlan:
    """Work out what an endpoint needs.

    Raises:
        UsageError: An unknown kind, no place for artifacts, or a name that AWS would refuse.
    """
    if kind not in KINDS:
        raise UsageError(f"deploy: unknown target {kind!r}", hint=f"targets: {', '.join(KINDS)}")
    spec = project.spec
    endpoint, name = spec.deployment.endpoint, spec.project.name
    if len(name) > LONGEST_NAME:
        raise UsageError(f"project.name: an endpoint takes {LONGEST_NAME} characters, got {name!r}")
    if kind == "lambda" and endpoint.shadow and not endpoint.follow:
        raise UsageError(
            "deployment.endpoint.shadow: a function that carries its model finds no second one",
            hint="deployment.endpoint.follow: true takes both from S3",
        )
    compute = project.compute
    uri = endpoint.artifacts or (compute.artifacts if isinstance(compute, AwsCompute) else "")
    place = place_of(uri)
    if place is None:
        raise UsageError(
            f"deployment.endpoint.artifacts: a place in S3 is needed, got {uri!r}",
            hint="artifacts: s3://bucket/folder",
        )
    region = endpoint.region or getattr(compute, "region", None) or "us-east-1"
    return RolloutPlan(
        project=name,
        kind=kind,
        model=spec.deployment.model_name or name,
        alias=spec.deployment.alias,
        endpoint=endpoint,
        artifacts=place,
        region=region,
        monitoring=spec.deployment.monitoring,
    )


def stack(
    plan: RolloutPlan,
    what: str,
    resources: Mapping[str, Any],
    parameters: Mapping[str, Any],
    outputs: Mapping[str, tuple[str, Any]],
) -> dict[str, Any]:
    """Return a template with its parts in order."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"crisp_spark: {what} of {plan.project}",
        "Parameters": dict(parameters),
        "Resources": dict(sorted(resources.items())),
        "Outputs": {
            name: {"Description": text, "Value": value} for name, (text, value) in outputs.items()
        },
    }
