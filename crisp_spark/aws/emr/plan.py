"""The plan of a cluster: everything that follows from a target's compute, before anything is paid.

A plan is plain data: it makes the request for ``RunJobFlow``, the line for ``spark-submit``, the
security configuration, and says what each choice means. It talks to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from crisp_spark.aws.emr.delivery import Package, PackageRefs
from crisp_spark.aws.emr.explaining import Choice, explained
from crisp_spark.aws.emr.fleets import instance_fleets, managed_scaling
from crisp_spark.aws.emr.hazards import Hazard, cluster_hazards
from crisp_spark.aws.emr.merging import check_fields, overlaid
from crisp_spark.aws.emr.rates import cluster_rate
from crisp_spark.aws.emr.releases import release_of
from crisp_spark.aws.emr.security import monitoring, security_content
from crisp_spark.aws.emr.settings import (
    ARCHIVE_PYTHON,
    configurations,
    interpreter_settings,
    spark_defaults,
)
from crisp_spark.aws.pricing import Range, bundled
from crisp_spark.errors import SpecError, UsageError
from crisp_spark.spec.base import digest
from crisp_spark.spec.compute import EmrCompute

LONGEST_STEP = 10_240
"""Most characters that EMR takes in all arguments of one step together."""

_ROOT_GIB = 32

ActionOnFailure = Literal["TERMINATE_CLUSTER", "CANCEL_AND_WAIT", "CONTINUE"]


class EmrPlan(BaseModel):
    """A cluster as it would be asked for.

    Attributes:
        compute: What the target declares.
        project: Name of the project.
        package: Published code; None plans without it.
        usd_per_hour: What an hour of the cluster may cost, by the bundled prices; None in Regions
            that the bundled table lacks.
    """

    model_config = ConfigDict(frozen=True)

    compute: EmrCompute
    project: str
    package: PackageRefs | None = None
    usd_per_hour: float | None = None

    @property
    def own_cluster(self) -> bool:
        """Whether a cluster is made for the run, or an existing one is used."""
        return not self.compute.cluster_id

    def run_job_flow(
        self,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        steps: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Return the request for boto3's ``run_job_flow``.

        Args:
            name: Name of the cluster; ``crisp-<project>`` when empty.
            tags: Tags of this run, besides those declared.
            steps: Steps of :meth:`step`. With steps the cluster ends after the last one; without,
                it waits for steps and ends when idle.

        Raises:
            SpecError: The overlay names a field that does not exist.
        """
        base = self._base(name or f"crisp-{self.project}", dict(tags or {}), steps)
        overlay = self.compute.overlay
        check_fields(overlay, {**base, **_OPTIONAL_FIELDS}, "RunJobFlow")
        return overlaid(base, overlay)

    def step(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        on_failure: ActionOnFailure = "TERMINATE_CLUSTER",
    ) -> dict[str, Any]:
        """Return a step as boto3 takes it.

        Args:
            name: Name of the step.
            arguments: Line of :meth:`spark_submit`.
            on_failure: What a failure does to the cluster.

        Raises:
            UsageError: The arguments are longer than EMR allows.
        """
        length = sum(map(len, arguments))
        if length > LONGEST_STEP:
            raise UsageError(
                f"step {name!r}: {length} characters of arguments, EMR takes {LONGEST_STEP}",
                hint="hand long values over in the project file, which is read from S3",
            )
        return {
            "Name": name,
            "ActionOnFailure": on_failure if self.own_cluster else "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(arguments)},
        }

    def spark_submit(
        self, job_uri: str, args: Sequence[str] = (), *, conf: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the arguments of a step that runs a job.

        On a cluster made by this plan the settings are in its configurations, and only ``conf``
        stands on the line. Elsewhere the packed environment and all settings travel along.

        Args:
            job_uri: S3 URI of the entry point.
            args: Its arguments.
            conf: Further Spark settings.

        Raises:
            UsageError: An existing cluster is used in client mode, where archives do not work.
        """
        settings = self._foreign_settings() if not self.own_cluster else {}
        settings |= dict(conf or {})
        line = ["spark-submit", "--deploy-mode", self.compute.deploy_mode]
        for key, value in sorted(settings.items()):
            line += ["--conf", f"{key}={value}"]
        return [*line, job_uri, *args]

    @cached_property
    def security_configuration_name(self) -> str:
        """Name of the security configuration: the declared one, else one that tells its content.

        Security configurations cannot be changed, so another content needs another name.
        """
        declared = self.compute.security_configuration
        return declared or f"crisp-{digest(security_content(self.compute))[:12]}"

    def security_configuration(self) -> dict[str, Any] | None:
        """Return the request for ``create_security_configuration``; None where one is declared.

        Its name tells its content: if one of that name exists, it is the right one.
        """
        if self.compute.security_configuration:
            return None
        return {
            "Name": self.security_configuration_name,
            "SecurityConfiguration": json.dumps(security_content(self.compute), sort_keys=True),
        }

    def hazards(self) -> tuple[Hazard, ...]:
        """Return what is wrong or risky about the plan, the overlay included."""
        return cluster_hazards(self.compute, self.run_job_flow(), self.package)

    def explain(self) -> tuple[Choice, ...]:
        """Return what was chosen, and what each choice means."""
        return explained(self.compute, self.usd_per_hour)

    def _base(
        self, name: str, tags: dict[str, str], steps: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        compute = self.compute
        request: dict[str, Any] = {
            "Name": name,
            "LogUri": compute.log_uri,
            "ReleaseLabel": compute.release,
            "Applications": [
                {"Name": application} for application in release_of(compute.release).applications
            ],
            "Instances": self._instances(keep_alive=not steps),
            "Steps": [dict(step) for step in steps],
            "Configurations": configurations(
                compute,
                interpreter=self.package.interpreter if self.package else None,
                usd_per_hour=self.usd_per_hour,
            ),
            "BootstrapActions": self._bootstrap(),
            "JobFlowRole": compute.instance_profile,
            "ServiceRole": compute.service_role,
            "SecurityConfiguration": self.security_configuration_name,
            "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
            "EbsRootVolumeSize": _ROOT_GIB,
            "StepConcurrencyLevel": 1,
            **_scaled(compute),
            "AutoTerminationPolicy": {"IdleTimeout": compute.idle_minutes * 60},
            "Tags": _tags(self._own_tags() | compute.tags | tags),
        }
        if steps and compute.runtime_role:
            request["StepExecutionRoleArn"] = compute.runtime_role
        if compute.kms_key:
            request["LogEncryptionKmsKeyId"] = compute.kms_key
        if compute.log_group:
            request["MonitoringConfiguration"] = monitoring(compute, self.project)
        return request

    def _instances(self, *, keep_alive: bool) -> dict[str, Any]:
        compute = self.compute
        optional = {
            "Ec2SubnetIds": list(compute.subnets),
            "EmrManagedMasterSecurityGroup": compute.primary_security_group,
            "EmrManagedSlaveSecurityGroup": compute.worker_security_group,
            "ServiceAccessSecurityGroup": compute.service_security_group,
        }
        return {
            "InstanceFleets": instance_fleets(compute),
            "KeepJobFlowAliveWhenNoSteps": keep_alive,
            "TerminationProtected": False,
            "UnhealthyNodeReplacement": True,
            **{key: value for key, value in optional.items() if value},
        }

    def _bootstrap(self) -> list[dict[str, Any]]:
        if self.package is None:
            return []
        script = {"Path": self.package.bootstrap_uri, "Args": [self.package.manifest_uri]}
        return [{"Name": "crisp environment", "ScriptBootstrapAction": script}]

    def _own_tags(self) -> dict[str, str]:
        tags = {
            "crisp:project": self.project,
            # EMR's own policies let the service start machines only where this tag is.
            "for-use-with-amazon-emr-managed-policies": "true",
        }
        return tags | ({"crisp:code": self.package.code_digest[:16]} if self.package else {})

    def _foreign_settings(self) -> dict[str, str]:
        if self.compute.deploy_mode == "client":
            raise UsageError(
                "compute.deploy_mode: client mode unpacks no archive for the driver",
                hint="use deploy_mode: cluster on an existing cluster",
            )
        archive = self.package.environment_uri if self.package else None
        python = interpreter_settings(ARCHIVE_PYTHON) if archive else {}
        return {
            **spark_defaults(self.compute, None, self.usd_per_hour),
            **({"spark.archives": f"{archive}#environment"} if archive else {}),
            **python,
        }


_OPTIONAL_FIELDS = dict.fromkeys(
    (
        "AdditionalInfo",
        "AutoScalingRole",
        "ManagedScalingPolicy",
        "CustomAmiId",
        "EbsRootVolumeIops",
        "EbsRootVolumeThroughput",
        "ExtendedSupport",
        "KerberosAttributes",
        "LogEncryptionKmsKeyId",
        "MonitoringConfiguration",
        "OSReleaseLabel",
        "PlacementGroupConfigs",
        "RepoUpgradeOnBoot",
        "SessionEnabled",
        "StepExecutionRoleArn",
        "VisibleToAllUsers",
    )
)


def plan_cluster(compute: EmrCompute, *, project: str, package: Package | None) -> EmrPlan:
    """Work out the plan of a cluster.

    Args:
        compute: What the target declares.
        project: Name of the project.
        package: Published code; None plans without it, for looking only.

    Raises:
        SpecError: An instance type is not one, or the overlay names an unknown field.
    """
    refs = None if package is None else PackageRefs.model_validate(package)
    plan = EmrPlan(compute=compute, project=project, package=refs, usd_per_hour=_hourly(compute))
    plan.run_job_flow()
    return plan


def _hourly(compute: EmrCompute) -> float | None:
    try:
        rate: Range = cluster_rate(compute, bundled(compute.region)).total
    except SpecError:
        return None  # the Region or a type is not in the bundled table; `--live` may know it
    return round(rate.high, 4)


def _scaled(compute: EmrCompute) -> dict[str, Any]:
    """Return managed scaling, where there is a fleet that may change."""
    return {"ManagedScalingPolicy": managed_scaling(compute)} if compute.task.max_vcpu else {}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
