"""How the model is put to use and watched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.business import Authored

Signal = Literal[
    "psi", "js", "ks", "wasserstein", "missing", "unseen", "performance", "stale", "labels"
]


class SignalPlan(SpecModel):
    """Who does what when one signal is raised; what is left out is as for all signals."""

    owner: str = ""
    """Who is told: a name, a mail address, or the ARN of an SNS topic."""
    action: str = ""
    """What is done."""


class MonitoringSpec(SpecModel):
    """Limits that are watched once the model is in use."""

    psi_limit: float = Field(default=0.2, gt=0)
    """Population stability index of a column or of the score above which it counts as drifted."""
    js_limit: float = Field(default=0.1, gt=0, le=1)
    """Jensen-Shannon divergence (base 2, 0 to 1) above which a column counts as drifted."""
    ks_limit: float = Field(default=0.1, gt=0, le=1)
    """Kolmogorov-Smirnov distance (0 to 1) above which a number counts as drifted."""
    wasserstein_limit: float | None = Field(default=None, gt=0)
    """Mean way that a number's rows have moved, in standard deviations of the reference, above
    which it counts as drifted; none: it is measured, but never alarmed."""
    missing_limit: float = Field(default=0.05, gt=0, le=1)
    """Rise of the missing fraction (0 to 1) above which a column counts as damaged."""
    performance_drop_limit: float = Field(default=0.05, gt=0)
    """Drop of the metric against the test set above which the model counts as worn out."""
    min_rows: int = Field(default=100, ge=1)
    """Rows needed before drift is judged."""
    stale_after_days: int | None = Field(default=90, ge=1)
    """Age of the model, in days, after which it counts as stale; none: never."""
    silent_after_days: int | None = Field(default=None, ge=1, le=7)
    """Days without any monitoring after which CloudWatch tells so; none: never. CloudWatch looks
    back at most seven days, so this is for what is monitored daily or weekly."""
    label_lag_days: int = Field(default=0, ge=0)
    """Days until the true outcome of a prediction is known."""
    owner: str = ""
    """Who is told when a limit is passed: a name, a mail address, or the ARN of an SNS topic."""
    action: str = "look at the drifted columns, then run the flow again on recent data"
    """What is done when a limit is passed."""
    signals: dict[Signal, SignalPlan] = Field(default={})
    """Owner and action of single signals."""
    cloudwatch: bool = True
    """Whether a job that monitors writes its signals as metrics for CloudWatch on standard output,
    and the stacks of schedule and endpoint have alarms on them. An alarm tells an ``owner`` that is
    a mail address or the ARN of a topic, else the addresses of ``notify``."""

    def owner_of(self, signal: str) -> str:
        """Return who is told when a signal is raised."""
        plan = self._plan(signal)
        return (plan.owner if plan else "") or self.owner

    def action_of(self, signal: str) -> str:
        """Return what is done when a signal is raised."""
        plan = self._plan(signal)
        return (plan.action if plan else "") or self.action

    def _plan(self, signal: str) -> SignalPlan | None:
        plans: dict[str, SignalPlan] = dict(self.signals.items())
        return plans.get(signal)


class ScoreSpec(SpecModel):
    """How batches are scored."""

    keep: Literal["all", "key"] = "all"
    """Input columns that are written beside the score."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Threshold that replaces the evaluated one; the output names it as such."""
    fallback: bool = True
    """Whether the charter's fallback rule answers for rows that the model cannot take."""
    required: tuple[str, ...] = ()
    """Columns that must not be null; the key of the mining goal is always one of them."""


class RolloutStep(Authored):
    """A step of the deployment plan."""

    step: str = Field(min_length=1)
    """What is done."""
    check: str = ""
    """How it is seen to have worked."""


class EndpointSpec(SpecModel):
    """How the model answers requests on AWS."""

    artifacts: str = Field(default="", pattern=r"^(s3a?://[^/]+(/.*)?)?$")
    """Place in S3 for code and bundles; that of the target's compute unless given."""
    region: str | None = None
    """Region; that of the target's compute unless given."""
    runtime: Literal["python3.12", "python3.13"] = "python3.13"
    """Python of the function; older ones lie on a system that NumPy no longer runs on."""
    architecture: Literal["arm64", "x86_64"] = "arm64"
    """Processor."""
    memory_mb: int = Field(default=512, ge=128, le=10_240)
    """Memory of the function in MB; processor time grows with it."""
    timeout_s: int = Field(default=29, ge=1, le=900)
    """Seconds after which a call is ended."""
    concurrency: int | None = Field(default=None, ge=1)
    """Most calls at once; none: as many as the account has."""
    most_rows: int = Field(default=10_000, ge=1)
    """Most rows of one request."""
    follow: bool = False
    """Whether a function takes its model from S3 and follows the alias; else the package has it."""
    refresh_seconds: float = Field(default=60.0, gt=0)
    """Seconds between two looks at the alias."""
    shadow: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    """Alias of a second model that scores the same requests beside the one that answers; what it
    would have said is compared and logged, never sent. A function needs ``follow`` for it."""
    strategy: Literal["canary", "linear", "all_at_once"] = "canary"
    """How traffic goes over to a new version."""
    step_percent: int = Field(default=10, ge=1, le=99)
    """Percent of the traffic that the first step (canary) or each step (linear) moves."""
    step_minutes: int = Field(default=10, ge=1, le=1440)
    """Minutes between two steps, and in which alarms still take a new version back."""
    fault_share_limit: float = Field(default=0.01, ge=0, le=1)
    """Share of requests without an answer (0 to 1) above which a new version is taken back."""
    fallback_share_limit: float = Field(default=0.2, ge=0, le=1)
    """Share of rows answered by the fallback rule above which a new version is taken back."""
    latency_limit_ms: float = Field(default=1000.0, gt=0)
    """99th percentile of an answer's time in ms above which a new version is taken back."""
    callers: tuple[str, ...] = ()
    """ARNs of roles and users, or account numbers, that may call the function."""
    inbox: str = Field(default="", pattern=r"^(s3a?://[^/]+(/.*)?)?$")
    """Place in S3 whose new files are scored; its bucket must send events to EventBridge."""
    outbox: str = Field(default="", pattern=r"^(s3a?://[^/]+(/.*)?)?$")
    """Place in S3 for the scores of such files; not below the inbox."""
    notify: tuple[str, ...] = ()
    """Mail addresses that alarms are sent to."""
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 90
    """Days that logs are kept."""
    least_tasks: int = Field(default=2, ge=1)
    """Fewest containers or machines."""
    most_tasks: int = Field(default=6, ge=1)
    """Most containers or machines."""
    task_cpu: Literal[256, 512, 1024, 2048, 4096] = 512
    """Processor of a container, in 1024ths."""
    task_memory_mb: int = Field(default=1024, ge=512, le=30_720)
    """Memory of a container in MB."""

    @property
    def inbox_place(self) -> tuple[str, str] | None:
        """Bucket and prefix of the inbox."""
        return _place(self.inbox)

    @property
    def outbox_place(self) -> tuple[str, str] | None:
        """Bucket and prefix of the outbox."""
        return _place(self.outbox)

    @model_validator(mode="after")
    def _files(self) -> EndpointSpec:
        if bool(self.inbox) != bool(self.outbox):
            raise ValueError("inbox and outbox belong together")
        if self.inbox and f"{self.outbox.rstrip('/')}/".startswith(f"{self.inbox.rstrip('/')}/"):
            raise ValueError("outbox lies below inbox: scores would be scored again")
        if self.least_tasks > self.most_tasks:
            raise ValueError("least_tasks is above most_tasks")
        return self


def _place(uri: str) -> tuple[str, str] | None:
    if not uri:
        return None
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    return bucket, prefix.strip("/")


class DeploymentSpec(SpecModel):
    """How the model is put to use and watched."""

    model_name: str | None = Field(default=None, pattern=r"^[^/:]+$")
    """Name in the model registry; the project's name unless given."""
    alias: str = Field(default="champion", pattern=r"^[A-Za-z0-9_-]+$")
    """Alias that points at the version in use."""
    description: str = ""
    """Text beside the registered version."""
    users: str = ""
    """Who works with the scores."""
    schedule: str = ""
    """When batches are scored, in words."""
    rollout: tuple[RolloutStep, ...] = ()
    """Steps by which the model is put to use."""
    rollback: str = "move the alias back to the version before"
    """How the model is taken out of use."""
    portable: Literal["auto", "required", "off"] = "auto"
    """Whether the model is also written as one small file that scores without Spark: ``auto`` where
    the whole pipeline can be carried, ``required`` refuses to deploy where it cannot."""
    score: ScoreSpec = ScoreSpec()
    """How batches are scored."""
    monitoring: MonitoringSpec = MonitoringSpec()
    """What is watched."""
    endpoint: EndpointSpec = EndpointSpec()
    """How the model answers requests on AWS."""

    @model_validator(mode="after")
    def _two_aliases(self) -> DeploymentSpec:
        if self.endpoint.shadow == self.alias:
            raise ValueError("endpoint.shadow is the alias that answers: name another one")
        return self
