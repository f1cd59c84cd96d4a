"""Which result class belongs to which step."""

from __future__ import annotations

from importlib import import_module

from crisp_spark.errors import UsageError
from crisp_spark.results.base import StepResult


def result_type(step: str) -> type[StepResult]:
    """Return the result class of a step; its module is imported on first use.

    Raises:
        UsageError: No such step.
    """
    try:
        module = import_module(f"crisp_spark.results.{step}")
    except ModuleNotFoundError as error:
        raise UsageError(f"results: no step {step!r}") from error
    found: type[StepResult] = getattr(module, f"{step.capitalize()}Result")
    return found
