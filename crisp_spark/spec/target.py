"""Where a project runs: compute, and what differs there from the project file."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.compute import ComputeSpec, LocalCompute
from crisp_spark.spec.schedule import ScheduleSpec
from crisp_spark.spec.variables import VariableValue


class TargetSpec(SpecModel):
    """One place to run: ``crisp --target NAME``."""

    default: bool = False
    """Whether this target is used when none is asked for; one target at most."""
    description: str = ""
    """What the target is for."""
    compute: ComputeSpec = LocalCompute()
    """The Spark that is used, and the machines it runs on."""
    variables: dict[str, VariableValue] = Field(default_factory=dict)
    """Values of declared variables here."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """A piece of project file that is laid over the rest: maps merge, lists of items with ``id``
    merge by id, everything else is replaced."""
    schedule: ScheduleSpec | None = None
    """When the project runs here by itself; only for targets of kind ``emr``."""

    @model_validator(mode="after")
    def _schedule_has_a_cluster(self) -> Self:
        if self.schedule is not None and self.compute.kind != "emr":
            raise PydanticCustomError(
                "schedule_compute",
                "a schedule needs compute of kind emr, got {kind}",
                {"kind": self.compute.kind},
            )
        return self
