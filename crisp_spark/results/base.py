"""The frozen base of everything a step emits."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """Outcome of a check, from best to worst."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


_ORDER = list(Verdict)


def worst(verdicts: list[Verdict]) -> Verdict:
    """Roll several verdicts up into the worst one; no verdicts are a pass."""
    return max(verdicts, key=_ORDER.index, default=Verdict.PASS)


class ResultPart(BaseModel):
    """A piece of a result."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="strings"
    )


class StepResult(ResultPart):
    """The typed result of one step, kept as JSON inside the step's commit.

    ``step`` names the step of :mod:`crisp_spark.flow`; ``schema_version`` rises when the shape
    changes in a way that older readers cannot take.
    """

    step: ClassVar[str]
    schema_version: int = 1
