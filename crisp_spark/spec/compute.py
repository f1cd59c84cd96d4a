"""What a target computes on: this machine, an Amazon EMR cluster, or EMR Serverless.

Only what a person decides stands here; everything that follows from it is worked out by
:mod:`crisp_spark.aws.emr`, and an ``overlay`` of raw request fields is laid over the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.secrets import checked_reference, is_reference, looks_secret, reveal

ConfValue = str | int | float | bool
"""What a Spark setting may be written as."""

Architecture = Literal["x86_64", "aarch64"]
"""Processor type of all machines of one target."""

HOURLY_RATE = "spark.crisp.usdPerHour"
"""Spark setting that tells a run what an hour of its machines costs, in US dollars. Plans set it;
with ``business.max_cost_usd`` it stops a sweep."""

S3Prefix = Annotated[str, Field(pattern=r"^s3://[^/]+(/.*)?$")]
SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")]
GroupId = Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")]
Arn = Annotated[str, Field(pattern=r"^arn:[^:\s]+:[^\s]+$")]
InstanceType = Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]

SpotStrategy = Literal[
    "price-capacity-optimized",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "lowest-price",
    "diversified",
]

_START_VCPU = 16
_WORKER_MEMORY_GB = {1: (2, 8), 2: (4, 16), 4: (8, 30), 8: (16, 60), 16: (32, 120)}


class Compute(SpecModel):
    """What all kinds of compute have in common."""

    conf: dict[str, ConfValue] = Field(default_factory=dict)
    """Spark settings. Those that keep results equal everywhere cannot be changed; those named like
    a secret take a reference (``${env:NAME}``) only."""

    @field_validator("conf")
    @classmethod
    def _secrets_are_references(cls, conf: dict[str, ConfValue]) -> dict[str, ConfValue]:
        return {
            key: checked_reference(value)
            if isinstance(value, str) and (looks_secret(key) or is_reference(value))
            else value
            for key, value in conf.items()
        }

    @property
    def session_master(self) -> str | None:
        """Spark master of sessions that ``spark-submit`` did not start; None leaves it open."""
        return None

    def settings(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return ``conf`` as Spark takes it: texts, with ``true`` and ``false``, secrets revealed.

        Args:
            environ: Environment that secrets are read from; the process's own by default.

        Raises:
            EnvironmentFaultError: A secret that is referred to is not there.
        """
        return {key: _text(value, environ) for key, value in self.conf.items()}


def _text(value: ConfValue, environ: Mapping[str, str] | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and is_reference(value):
        return reveal(value, environ=environ).get_secret_value()
    return str(value)


class LocalCompute(Compute):
    """Spark inside this process, or whatever ``spark-submit`` started."""

    kind: Literal["local"] = "local"
    """``local``: no machine is started and nothing is paid for."""
    master: str | None = None
    """Spark master of sessions that ``spark-submit`` did not start; all local cores by default."""

    @property
    def session_master(self) -> str | None:
        """The declared master."""
        return self.master


class AwsCompute(Compute):
    """What EMR clusters and EMR Serverless have in common."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    """AWS Region, such as ``eu-central-1``."""
    artifacts: S3Prefix
    """S3 prefix for packages, project files and logs, such as ``s3://my-bucket/crisp``."""
    release: str = Field(default="emr-spark-8.1.0", pattern=r"^emr-(spark-)?\d+\.\d+\.\d+$")
    """EMR release label. ``emr-spark-8.1.0`` (Spark 4.1.1, supported until 2029-09-07) and
    ``emr-7.14.0`` (Spark 3.5.8) are tested."""
    architecture: Architecture = "aarch64"
    """Processor type of every machine; packages hold compiled code for one type only.
    ``aarch64`` (Graviton) costs about a fifth less."""
    kms_key: str = ""
    """ARN of the KMS key for logs, results and disks; AWS's own keys when empty."""
    log_group: str = "/crisp-spark"
    """CloudWatch log group of driver and executor logs; empty: no CloudWatch logs."""
    subnets: tuple[SubnetId, ...] = ()
    """Private subnets to choose from, one per availability zone; the more, the more spot
    capacity there is to choose from."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of everything that is started, besides those that crisp sets itself."""
    idle_minutes: int = Field(default=15, ge=1, le=10080)
    """Minutes without work after which the machines are ended."""
    timeout_minutes: int = Field(default=720, ge=5, le=20160)
    """Longest time a whole run may take, in minutes, before it is ended."""
    overlay: dict[str, Any] = Field(default_factory=dict)
    """Fields of the raw request to AWS (``RunJobFlow``, or ``StartJobRun`` of EMR Serverless), laid
    over the request last: maps merge, everything else is replaced. What must hold (no spot core
    node, one processor type, an end when idle, ...) is checked again afterwards."""

    @property
    def log_uri(self) -> str:
        """S3 prefix of logs, with a slash at its end."""
        return f"{self.artifacts.rstrip('/')}/logs/"


class PrimaryFleet(SpecModel):
    """The one on-demand machine that runs the resource manager."""

    instance_types: tuple[InstanceType, ...] = Field(default=(), max_length=30)
    """Instance types to choose from, best first; when empty, six common types of four virtual
    CPUs and 16 GiB."""
    disk_gib: int = Field(default=64, ge=32, le=16384)
    """GiB of its EBS disk (gp3)."""


class CoreFleet(SpecModel):
    """On-demand machines that hold HDFS, the application master and the driver."""

    instance_types: tuple[InstanceType, ...] = Field(default=(), max_length=30)
    """Instance types to choose from, best first, all with equally many virtual CPUs; when empty,
    six common types of four virtual CPUs and 16 GiB."""
    nodes: int = Field(default=2, ge=1, le=100)
    """Number of machines; it never changes during a run. HDFS keeps two copies, so two or more."""
    disk_gib: int = Field(default=128, ge=32, le=16384)
    """GiB of the EBS disk (gp3) of each machine."""


class TaskFleet(SpecModel):
    """Spot machines that run executors and hold nothing that cannot be made again."""

    instance_types: tuple[InstanceType, ...] = Field(default=(), max_length=30)
    """Instance types to choose from; when empty, twelve common types of one architecture. Fewer
    than ten are reported as a hazard."""
    start_vcpu: int | None = Field(default=None, ge=0, le=10000)
    """Virtual CPUs asked for at the start; when not given, 16 within the two limits below."""
    min_vcpu: int = Field(default=0, ge=0, le=10000)
    """Fewest virtual CPUs that managed scaling keeps."""
    max_vcpu: int = Field(default=64, ge=0, le=10000)
    """Most virtual CPUs that managed scaling goes up to; 0: no task machines."""
    on_demand_vcpu: int = Field(default=0, ge=0, le=10000)
    """Of these, virtual CPUs that are bought on demand instead of spot."""
    strategy: SpotStrategy = "price-capacity-optimized"
    """How spot capacity pools are chosen."""
    provisioning_minutes: int = Field(default=10, ge=5, le=1440)
    """Minutes to wait for spot capacity at the start."""
    without_spot: Literal["SWITCH_TO_ON_DEMAND", "TERMINATE_CLUSTER"] = "SWITCH_TO_ON_DEMAND"
    """What happens when the start found no spot capacity in that time."""
    resize_minutes: int = Field(default=10, ge=5, le=10080)
    """Minutes that a later enlargement waits for spot capacity; then it stops trying."""
    disk_gib_per_vcpu: int = Field(default=16, ge=4, le=1024)
    """GiB of EBS disk (gp3) per virtual CPU, for shuffle data. A node above 90 % is taken out of
    service by EMR."""

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> Self:
        if not self.min_vcpu <= self.initial_vcpu <= self.max_vcpu:
            raise PydanticCustomError(
                "vcpu_order",
                "min_vcpu <= start_vcpu <= max_vcpu must hold, got {low}, {start}, {high}",
                {"low": self.min_vcpu, "start": self.initial_vcpu, "high": self.max_vcpu},
            )
        if self.on_demand_vcpu > self.initial_vcpu:
            raise PydanticCustomError(
                "vcpu_on_demand",
                "on_demand_vcpu is a part of start_vcpu, got {part} of {start}",
                {"part": self.on_demand_vcpu, "start": self.initial_vcpu},
            )
        return self

    @property
    def initial_vcpu(self) -> int:
        """Virtual CPUs asked for at the start."""
        if self.start_vcpu is not None:
            return self.start_vcpu
        return max(self.min_vcpu, min(_START_VCPU, self.max_vcpu))


class EmrCompute(AwsCompute):
    """An Amazon EMR cluster on EC2 whose task machines are spot instances."""

    kind: Literal["emr"]
    """``emr``: a cluster that is made for the run and ended after it."""
    cluster_id: str = Field(default="", pattern=r"^(j-[A-Z0-9]+)?$")
    """Cluster to use instead of making one; it is never ended by crisp."""
    service_role: str = "crisp-emr-service"
    """IAM role of the EMR service, by name or ARN. ``crisp schedule`` makes one of this name."""
    instance_profile: str = "crisp-emr-node"
    """IAM instance profile of the machines, by name or ARN. ``crisp schedule`` makes one of this
    name."""
    runtime_role: Arn | Literal[""] = ""
    """ARN of the role that the steps run as (access to the data); empty: the machines' role."""
    security_configuration: str = ""
    """Name of an EMR security configuration; empty: one is made with encrypted disks, encrypted
    S3 objects, IMDSv2 only, and the runtime role if there is one."""
    primary_security_group: GroupId | Literal[""] = ""
    """Security group of the primary machine; EMR's own when empty."""
    worker_security_group: GroupId | Literal[""] = ""
    """Security group of core and task machines; EMR's own when empty."""
    service_security_group: GroupId | Literal[""] = ""
    """Security group for EMR's access to machines in private subnets; EMR's own when empty."""
    primary: PrimaryFleet = PrimaryFleet()
    """The primary machine."""
    core: CoreFleet = CoreFleet()
    """The on-demand machines with HDFS and the driver."""
    task: TaskFleet = TaskFleet()
    """The spot machines with the executors."""
    executor_vcpu: int = Field(default=4, ge=1, le=64)
    """Virtual CPUs of one executor; instance types of every fleet should be multiples of it."""
    executor_memory_gib: int = Field(default=9, ge=1, le=512)
    """Java heap of one executor in GiB; a fifth comes on top, at least, for Python and buffers."""
    driver_vcpu: int = Field(default=2, ge=1, le=64)
    """Virtual CPUs of the driver, which runs on a core machine."""
    driver_memory_gib: int = Field(default=6, ge=1, le=512)
    """Java heap of the driver in GiB; a fifth comes on top."""
    deploy_mode: Literal["cluster", "client"] = "cluster"
    """Where the driver runs: ``cluster``, on a core machine, or ``client``, on the primary one."""


class ServerlessWorker(SpecModel):
    """Size of a driver or an executor of EMR Serverless."""

    vcpu: Literal[1, 2, 4, 8, 16] = 4
    """Virtual CPUs."""
    memory_gb: int = Field(default=16, ge=2, le=120)
    """Memory in GB, the part beside the Java heap included. Possible with 1, 2, 4, 8 and 16
    virtual CPUs: 2-8, 4-16, 8-30, 16-60 and 32-120."""
    disk_gb: int = Field(default=20, ge=20, le=2000)
    """Disk in GB, for shuffle data. 20 GB cost nothing; above 200 a disk optimised for shuffle
    is asked for."""

    @model_validator(mode="after")
    def _memory_fits(self) -> Self:
        low, high = _WORKER_MEMORY_GB[self.vcpu]
        if not low <= self.memory_gb <= high:
            raise PydanticCustomError(
                "worker_memory",
                "a worker of {vcpu} vCPU has {low} to {high} GB of memory, got {got}",
                {"vcpu": self.vcpu, "low": low, "high": high, "got": self.memory_gb},
            )
        return self


class EmrServerlessCompute(AwsCompute):
    """Amazon EMR Serverless: no cluster, billed by what the workers use."""

    kind: Literal["emr-serverless"]
    """``emr-serverless``: an application that starts with a job and stops when idle."""
    application_id: str = ""
    """Application to use; when empty, one named after the project is made and kept."""
    execution_role: Arn
    """ARN of the role that jobs run as."""
    security_groups: tuple[GroupId, ...] = ()
    """Security groups of the workers; needed together with ``subnets``."""
    driver: ServerlessWorker = ServerlessWorker()
    """Size of the driver."""
    executor: ServerlessWorker = ServerlessWorker()
    """Size of one executor."""
    min_executors: int = Field(default=0, ge=0, le=10000)
    """Fewest executors while a job runs."""
    max_executors: int = Field(default=16, ge=1, le=10000)
    """Most executors while a job runs; with the driver, this also is the application's ceiling."""
    flex: bool = False
    """Whether jobs may wait for, and run on, spare capacity (``FLEX``)."""


AnyCompute = LocalCompute | EmrCompute | EmrServerlessCompute


def _local_by_default(value: Any) -> Any:
    """Project files from before there were kinds say nothing and mean ``local``."""
    if isinstance(value, Mapping) and "kind" not in value:
        return {"kind": "local", **value}
    return value


ComputeSpec = Annotated[
    Annotated[AnyCompute, Field(discriminator="kind")], BeforeValidator(_local_by_default)
]
"""Any compute; ``kind`` tells which, ``local`` when it is missing."""
