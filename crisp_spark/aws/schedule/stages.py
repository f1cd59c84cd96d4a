"""How the steps of the flow are put into Spark applications, and those into a state machine.

Step Functions asks EMR for the state of a step each minute, and only every five minutes once a
step is older than ten. Steps of one phase therefore share one application (``jobs/run.py``); only
the sweep, which is long, has one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crisp_spark import flow
from crisp_spark.flow import Phase

RUN_ID = "{% $runId %}"
"""The run id, as an expression of the state machine."""

_STAGE_OF = {
    Phase.BUSINESS: "prepare",
    Phase.UNDERSTANDING: "prepare",
    Phase.PREPARATION: "prepare",
    Phase.MODELING: "sweep",
    Phase.EVALUATION: "decide",
    Phase.DEPLOYMENT: "deploy",
}


@dataclass(frozen=True)
class Stage:
    """Steps that run in one Spark application.

    Attributes:
        name: Name of the stage; its state has it with a capital letter.
        steps: Steps of the flow, in order.
    """

    name: str
    steps: tuple[str, ...]

    @property
    def state(self) -> str:
        """Name of the state that runs it."""
        return self.name.capitalize()


def _stages() -> tuple[Stage, ...]:
    names = list(dict.fromkeys(_STAGE_OF.values()))
    return tuple(
        Stage(name, tuple(step.name for step in flow.FLOW if _STAGE_OF[step.phase] == name))
        for name in names
    )


STAGES: tuple[Stage, ...] = _stages()
"""Stages in order; together they are the whole flow."""

REPORT = Stage("report", (flow.FLOW[-1].name,))
"""What is left to do where the decision is not to deploy: the report says why."""


class StepCommand(Protocol):
    """What a plan of a cluster knows about submitting (``EmrPlan`` does)."""

    def spark_submit(
        self, job_uri: str, args: Sequence[str], *, conf: dict[str, str]
    ) -> Sequence[str]:
        """Return the arguments of ``command-runner.jar``."""
        ...


def job_arguments(stage: Stage, *, project_uri: str) -> list[str]:
    """Return the command line of ``jobs/run.py`` for a stage of a scheduled run."""
    outcome = f"{{% '{stage.name}-' & $string($attempt) %}}"
    return [
        "--project",
        project_uri,
        "--run-id",
        RUN_ID,
        "--steps",
        ",".join(stage.steps),
        "--outcome",
        outcome,
    ]
