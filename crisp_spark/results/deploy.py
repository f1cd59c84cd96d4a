"""Result of the step ``deploy``: the registered model, and how it is used and watched."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult


class ModelInput(ResultPart):
    """A column that a batch brings along."""

    name: str
    type: str
    """Spark type in simple form (``double``, ``decimal(10,2)``)."""
    use: Literal["model", "key", "fallback"] = "model"
    """Read by the model; part of the key only; or read by the fallback rule only, and optional."""
    required: bool = False
    """Whether rows without a value are rejected."""


class RegisteredModel(ResultPart):
    """A version in the model registry."""

    name: str
    version: str
    uri: str
    alias: str
    run_id: str
    """Run of the tracker that holds the model."""
    tags: dict[str, str] = Field(default={})
    """Links to data, code and decision."""


class PortableModel(ResultPart):
    """The model as one file that scores without Spark."""

    written: bool
    """Whether there is one."""
    reason: str = ""
    """Why there is none."""
    file: str = ""
    """Name among the files of the step."""
    sha256: str = ""
    """Digest of the file."""
    bytes: int = 0
    """Size of the file."""
    artifact: str = ""
    """Where the tracker keeps the same file with the registered version, such as ``runs:/...``."""
    rows_compared: int = 0
    """Rows that Spark and the portable model both answered before it was written."""
    prediction_mismatches: int = 0
    """Rows whose prediction, decision or refusal differed."""
    max_abs_difference: float = 0.0
    """Largest difference of a score or probability."""


class PlanLine(ResultPart):
    """A line of the deployment plan."""

    topic: str
    text: str
    written_by: Literal["person", "program"] = "program"
    owner: str = ""


class WatchedSignal(ResultPart):
    """A line of the monitoring plan."""

    signal: str
    limit: str
    meaning: str
    action: str
    owner: str = ""


class DeployResult(StepResult):
    """Result of the step ``deploy``."""

    step: ClassVar[str] = "deploy"

    status: Literal["deployed", "refused"]
    reason: str
    """Why it was deployed or refused."""
    decision: str
    """Decision that it rests on."""
    overridden: bool = False
    """Whether that decision is a person's, against the verdict."""
    model: RegisteredModel | None = None
    portable: PortableModel | None = None
    """The same model for use without Spark; none where nothing is deployed or none is wanted."""
    inputs: list[ModelInput] = Field(default=[])
    """Columns of a batch: what the model, the key and the fallback rule read."""
    problem: str
    classes: list[str] = Field(default=[])
    """Class names in the order of their labels."""
    positive: str | None = None
    """Name of the positive class (binary)."""
    threshold: float | None = None
    """A row scored at least this high gets an alert (binary)."""
    key: list[str] = Field(default=[])
    """Columns that name one unit of prediction."""
    fallback: str | None = None
    """Spark SQL of the rule that answers when the model cannot."""
    deployment_plan: list[PlanLine] = Field(default=[])
    monitoring_plan: list[WatchedSignal] = Field(default=[])

    @property
    def model_label(self) -> str:
        """Name and version that scored rows carry."""
        return f"{self.model.name} {self.model.version}" if self.model else "not deployed"
