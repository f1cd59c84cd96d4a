"""The plan of a run on EMR Serverless: the application, the job run, what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from crisp_spark.aws.emr.delivery import Package, PackageRefs
from crisp_spark.aws.emr.explaining import Choice
from crisp_spark.aws.emr.hazards import Hazard
from crisp_spark.aws.emr.merging import check_fields, overlaid
from crisp_spark.aws.emr.releases import TESTED, release_of
from crisp_spark.aws.emr.security import MONITORED_STREAMS
from crisp_spark.aws.emr.settings import (
    ARCHIVE_PYTHON,
    SURVIVAL,
    declared_settings,
    interpreter_settings,
)
from crisp_spark.aws.emr.validate import validate_request
from crisp_spark.aws.pricing import Range, serverless
from crisp_spark.errors import SpecError
from crisp_spark.spec.compute import HOURLY_RATE, EmrServerlessCompute, ServerlessWorker

_ARCHITECTURE = {"x86_64": "X86_64", "aarch64": "ARM64"}
_OVERHEAD = 1.2
_FREE_DISK_GB = 20
_SHUFFLE_DISK_FROM_GB = 200
_PLACEHOLDER = "application-to-be-made"


class ServerlessPlan(BaseModel):
    """A run on EMR Serverless as it would be asked for.

    Attributes:
        compute: What the target declares.
        project: Name of the project.
        package: Published code; None plans without it.
        usd_per_hour: What an hour may cost with all executors, by the bundled prices; None in
            Regions that the bundled table lacks.
    """

    model_config = ConfigDict(frozen=True)

    compute: EmrServerlessCompute
    project: str
    package: PackageRefs | None = None
    usd_per_hour: float | None = None

    @property
    def application_name(self) -> str:
        """Name of the application that is made where none is declared."""
        return f"crisp-{self.project}"[:64]

    def create_application(self, *, token: str = "") -> dict[str, Any]:
        """Return the request for ``create_application``.

        Args:
            token: Token that makes a repeated call do nothing; the name when empty.
        """
        compute = self.compute
        request: dict[str, Any] = {
            "name": self.application_name,
            "releaseLabel": compute.release,
            "type": "SPARK",
            "clientToken": token or self.application_name,
            "architecture": _ARCHITECTURE[compute.architecture],
            "maximumCapacity": _ceiling(compute),
            "autoStartConfiguration": {"enabled": True},
            "autoStopConfiguration": {
                "enabled": True,
                "idleTimeoutMinutes": compute.idle_minutes,
            },
            "tags": {"crisp:project": self.project} | compute.tags,
        }
        if compute.subnets:
            request["networkConfiguration"] = {
                "subnetIds": list(compute.subnets),
                "securityGroupIds": list(compute.security_groups),
            }
        return request

    def start_job_run(
        self,
        job_uri: str,
        args: Sequence[str] = (),
        *,
        run_id: str = "plan",
        application_id: str = "",
        conf: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the request for ``start_job_run``.

        Args:
            job_uri: S3 URI of the entry point.
            args: Its arguments.
            run_id: Id of the run: name, tag and client token, so that a repeated call does nothing.
            application_id: Application that was made; the declared one when empty.
            conf: Further Spark settings.

        Raises:
            SpecError: The overlay names a field that does not exist.
        """
        compute = self.compute
        settings = self.settings() | dict(conf or {})
        request: dict[str, Any] = {
            "applicationId": application_id or compute.application_id or _PLACEHOLDER,
            "clientToken": run_id[:64],
            "executionRoleArn": compute.execution_role,
            "name": f"{self.project} {run_id}"[:256],
            "jobDriver": {
                "sparkSubmit": {"entryPoint": job_uri, "entryPointArguments": list(args)}
            },
            "configurationOverrides": {
                "applicationConfiguration": [
                    {"classification": "spark-defaults", "properties": settings}
                ],
                "monitoringConfiguration": self._monitoring(),
            },
            "executionTimeoutMinutes": compute.timeout_minutes,
            "retryPolicy": {"maxAttempts": 1},
            "flexExecution": {"enabled": compute.flex},
            "tags": {"crisp:project": self.project, "crisp:run-id": run_id} | compute.tags,
        }
        check_fields(compute.overlay, {**request, **_OPTIONAL_FIELDS}, "StartJobRun")
        return overlaid(request, compute.overlay)

    def settings(self) -> dict[str, str]:
        """Return the Spark settings of a run; those of the project file win."""
        compute = self.compute
        archive = self.package.environment_uri if self.package else None
        found = {
            **_worker("driver", compute.driver),
            **_worker("executor", compute.executor),
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.minExecutors": str(compute.min_executors),
            "spark.dynamicAllocation.maxExecutors": str(compute.max_executors),
            **{key: value for key, value in SURVIVAL.items() if ".yarn." not in key},
        }
        if archive:
            found |= {
                "spark.archives": f"{archive}#environment",
                "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": ARCHIVE_PYTHON,
                "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": ARCHIVE_PYTHON,
                **{
                    key: value
                    for key, value in interpreter_settings(ARCHIVE_PYTHON).items()
                    if ".yarn." not in key
                },
            }
        if self.usd_per_hour is not None:
            found[HOURLY_RATE] = f"{self.usd_per_hour:.4f}"
        return found | declared_settings(compute)

    def hazards(self) -> tuple[Hazard, ...]:
        """Return what is wrong or risky about the plan, the overlay included."""
        return tuple(_hazards(self))

    def explain(self) -> tuple[Choice, ...]:
        """Return what was chosen, and what each choice means."""
        compute = self.compute
        rate = "unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.2f} USD"
        release = release_of(compute.release)
        executor = compute.executor
        return (
            Choice(
                "application",
                compute.application_id or f"{self.application_name}, made once",
                f"starts with a job, stops after {compute.idle_minutes} idle minutes; idle time "
                "without workers costs nothing",
            ),
            Choice("release", compute.release, f"Spark {release.spark}, {compute.architecture}"),
            Choice(
                "executors",
                f"{compute.min_executors} to {compute.max_executors} of {executor.vcpu} vCPU, "
                f"{executor.memory_gb} GB",
                "as many as there is work for; billed by the second, a minute at least",
            ),
            Choice(
                "capacity",
                "spare (flex)" if compute.flex else "on demand",
                "EMR Serverless has no spot; nothing is taken away in the middle of a run"
                if not compute.flex
                else "cheaper where offered, may wait for capacity",
            ),
            Choice("ends", f"after {compute.timeout_minutes} min", "a run cannot go on for ever"),
            Choice("an hour at most", rate, "all executors all the time; bundled prices"),
        )

    def _monitoring(self) -> dict[str, Any]:
        compute = self.compute
        found: dict[str, Any] = {"s3MonitoringConfiguration": {"logUri": compute.log_uri}}
        if compute.log_group:
            found["cloudWatchLoggingConfiguration"] = {
                "enabled": True,
                "logGroupName": compute.log_group,
                "logStreamNamePrefix": self.project,
                "logTypes": {
                    "SPARK_DRIVER": list(MONITORED_STREAMS),
                    "SPARK_EXECUTOR": ["STDERR"],
                },
            }
        if compute.kms_key:
            for part in found.values():
                part["encryptionKeyArn"] = compute.kms_key
        return found


_OPTIONAL_FIELDS = {"executionIamPolicy": None, "mode": None}


def plan_serverless(
    compute: EmrServerlessCompute, *, project: str, package: Package | None
) -> ServerlessPlan:
    """Work out the plan of a run on EMR Serverless.

    Args:
        compute: What the target declares.
        project: Name of the project.
        package: Published code; None plans without it, for looking only.

    Raises:
        SpecError: The overlay names an unknown field.
    """
    refs = None if package is None else PackageRefs.model_validate(package)
    try:
        rate = round(serverless_rate(compute).high, 4)
    except SpecError:
        rate = None  # the Region is not in the bundled table
    plan = ServerlessPlan(compute=compute, project=project, package=refs, usd_per_hour=rate)
    plan.start_job_run("s3://bucket/job.py")
    return plan


def serverless_rate(compute: EmrServerlessCompute) -> Range:
    """Return USD per hour: driver alone, with half the executors, with all of them.

    Raises:
        SpecError: The bundled table does not hold the Region.
    """
    prices = serverless(compute.region, compute.architecture)

    def hour(worker: ServerlessWorker) -> float:
        disk = max(worker.disk_gb - _FREE_DISK_GB, 0)
        return (
            worker.vcpu * prices.vcpu_hour
            + worker.memory_gb * prices.gb_hour
            + disk * prices.disk_gb_hour
        )

    driver, executor = hour(compute.driver), hour(compute.executor)
    middle = (compute.min_executors + compute.max_executors) / 2
    return Range(
        driver + compute.min_executors * executor,
        driver + middle * executor,
        driver + compute.max_executors * executor,
    )


def _ceiling(compute: EmrServerlessCompute) -> dict[str, str]:
    count = compute.max_executors
    driver, executor = compute.driver, compute.executor
    return {
        "cpu": f"{driver.vcpu + count * executor.vcpu} vCPU",
        "memory": f"{driver.memory_gb + count * executor.memory_gb} GB",
        "disk": f"{driver.disk_gb + count * executor.disk_gb} GB",
    }


def _worker(role: str, worker: ServerlessWorker) -> dict[str, str]:
    prefix = f"spark.emr-serverless.{role}.disk"
    found = {
        f"spark.{role}.cores": str(worker.vcpu),
        f"spark.{role}.memory": f"{int(worker.memory_gb / _OVERHEAD)}g",
        f"spark.{role}.memoryOverheadFactor": f"{_OVERHEAD - 1:.1f}",
        prefix: f"{worker.disk_gb}g",
    }
    if worker.disk_gb > _SHUFFLE_DISK_FROM_GB:
        found[f"{prefix}.type"] = "shuffle_optimized"
    return found


def _hazards(plan: ServerlessPlan) -> Iterator[Hazard]:
    compute = plan.compute
    for line in (
        *validate_request("CreateApplication", plan.create_application()),
        *validate_request("StartJobRun", plan.start_job_run("s3://bucket/job.py")),
    ):
        yield Hazard("request", "fault", line)
    if compute.subnets and not compute.security_groups:
        yield Hazard("security_groups", "fault", "subnets need security_groups as well")
    if plan.package is not None and plan.package.environment_uri is None:
        yield Hazard(
            "no_environment",
            "fault",
            "EMR Serverless needs the packed environment, which the package lacks",
            "crisp package --environment",
        )
    if plan.package is not None and plan.package.architecture != compute.architecture:
        yield Hazard(
            "package_architecture",
            "fault",
            f"the package is for {plan.package.architecture}, compute.architecture is "
            f"{compute.architecture}",
        )
    if compute.release not in TESTED:
        yield Hazard("untested_release", "warning", f"{compute.release} is not tested")
    vcpu = compute.driver.vcpu + compute.max_executors * compute.executor.vcpu
    if vcpu > 16:  # noqa: PLR2004
        yield Hazard(
            "quota",
            "warning",
            f"up to {vcpu} vCPU: new accounts may use 16 on EMR Serverless at once",
            "ask for a higher quota (Max concurrent vCPUs per account)",
        )
