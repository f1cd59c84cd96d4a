"""Which function carries out which step."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from crisp_spark.flow import Step
from crisp_spark.run.steprun import Outcome, StepRun

WIRING: dict[str, str] = {
    "charter": "business:charter",
    "ingest": "understanding_ingest:ingest",
    "profile": "understanding:profile",
    "quality": "understanding:quality",
    "clean": "preparation:clean",
    "merge": "preparation:merge",
    "derive": "deriving:derive",
    "split": "splitting:split",
    "sweep": "modeling:sweep",
    "evaluate": "evaluation:evaluate",
    "decide": "deciding:decide",
    "deploy": "deployment:deploy",
    "monitor": "monitoring:monitor",
    "report": "reporting:report",
}
"""Step name to ``module:function`` below :mod:`crisp_spark.run.steps`."""


def wiring_of(step: Step) -> Callable[[StepRun], Outcome]:
    """Import and return the step's wiring function."""
    module, function = WIRING[step.name].split(":")
    wired: Callable[[StepRun], Outcome] = getattr(
        import_module(f"crisp_spark.run.steps.{module}"), function
    )
    return wired


def wiring_file(step: Step) -> str:
    """Return the path, inside the package, of the module that wires the step."""
    return f"run/steps/{WIRING[step.name].split(':')[0]}.py"
