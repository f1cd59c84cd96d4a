"""The ordered steps of a project: the only place that knows order, phase, inputs and outputs.

The jobs, the command line, the state machine and the picture in the README follow from
:data:`FLOW` or are tested against it. A table name ending in ``.*`` stands for one table per
source. A name in ``optional`` may be absent (a project without a later period, say).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from crisp_spark.errors import UsageError, suggest


class Phase(StrEnum):
    """The six phases of CRISP-DM."""

    BUSINESS = "business"
    UNDERSTANDING = "understanding"
    PREPARATION = "preparation"
    MODELING = "modeling"
    EVALUATION = "evaluation"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True)
class Step:
    """One step of the flow.

    Attributes:
        name: Name on the command line, of the result and of the job.
        phase: CRISP-DM phase it belongs to.
        number: Two digits in front of the job's file name; the first is the phase.
        reads: Tables read.
        results: Steps whose result is read.
        writes: Tables written.
        spec: Dotted pieces of the project file that the step depends on.
        optional: Tables or results that may be absent.
        pieces: Dotted pieces of results, for results of which the step reads only these: a change
            elsewhere in them does not make it run again.
    """

    name: str
    phase: Phase
    number: int
    reads: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    spec: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()

    @property
    def job(self) -> str:
        """File name of the step's ``spark-submit`` entry point."""
        return f"{self.number}_{self.name}.py"


_GOAL = "business.mining_goal.substance"

FLOW: tuple[Step, ...] = (
    Step(
        "charter",
        Phase.BUSINESS,
        10,
        spec=("business", "project.name", "modeling.families"),
    ),
    Step(
        "ingest",
        Phase.UNDERSTANDING,
        20,
        writes=("raw.*", "rejects.*"),
        spec=("data",),
    ),
    Step(
        "profile",
        Phase.UNDERSTANDING,
        21,
        reads=("raw.*",),
        writes=(),
        spec=("data", _GOAL),
    ),
    Step(
        "quality",
        Phase.UNDERSTANDING,
        22,
        reads=("raw.*",),
        writes=("checked.*", "quarantine.*"),
        spec=("data",),
    ),
    Step(
        "clean",
        Phase.PREPARATION,
        30,
        reads=("checked.*",),
        writes=("clean.*", "dropped.*"),
        spec=("preparation.clean",),
    ),
    Step(
        "merge",
        Phase.PREPARATION,
        31,
        reads=("clean.*",),
        writes=("merged",),
        spec=("preparation.merge",),
    ),
    Step(
        "derive",
        Phase.PREPARATION,
        32,
        reads=("merged",),
        writes=("derived",),
        spec=(
            "preparation.derive",
            "preparation.population",
            "preparation.exclude",
            "preparation.clean",
            "preparation.merge",
            "data",
            _GOAL,
        ),
    ),
    Step(
        "split",
        Phase.PREPARATION,
        33,
        reads=("derived",),
        writes=("train", "test", "later"),
        spec=("preparation.split", "project.seed", "project.layout_partitions", _GOAL),
        optional=("later",),
    ),
    Step(
        "sweep",
        Phase.MODELING,
        40,
        reads=("train",),
        writes=("validation",),
        spec=(
            "preparation",
            "data",
            "modeling",
            "project.seed",
            "project.layout_partitions",
            "business.current_rule",
            "business.outcome_values",
            _GOAL,
        ),
    ),
    Step(
        "evaluate",
        Phase.EVALUATION,
        50,
        reads=("train", "validation", "test", "later"),
        results=("charter", "sweep"),
        writes=("predictions",),
        spec=("evaluation.measuring", "business.criteria_hash", "business.version", "project.seed"),
        optional=("later",),
        pieces=("charter.criteria_hash", "charter.version"),
    ),
    Step(
        "decide",
        Phase.EVALUATION,
        51,
        results=("charter", "quality", "split", "sweep", "evaluate"),
        spec=("evaluation.override",),
        pieces=("charter.grounds",),
    ),
    Step(
        "deploy",
        Phase.DEPLOYMENT,
        60,
        reads=("train", "test"),
        results=("charter", "sweep", "evaluate", "decide"),
        spec=("deployment", "project.name"),
    ),
    Step(
        "monitor",
        Phase.DEPLOYMENT,
        61,
        reads=("train", "validation", "predictions", "test", "later"),
        results=("sweep", "evaluate", "decide"),
        spec=("deployment", "data"),
        optional=("later",),
    ),
    Step(
        "report",
        Phase.DEPLOYMENT,
        62,
        results=(
            "charter",
            "ingest",
            "profile",
            "quality",
            "clean",
            "merge",
            "derive",
            "split",
            "sweep",
            "evaluate",
            "decide",
            "deploy",
            "monitor",
        ),
        spec=("project", "business", "review"),
        optional=("deploy", "monitor"),
    ),
)

STEP_NAMES: tuple[str, ...] = tuple(step.name for step in FLOW)


def step(name: str) -> Step:
    """Return the step called ``name``.

    Raises:
        UsageError: No step has that name.
    """
    for candidate in FLOW:
        if candidate.name == name:
            return candidate
    near = suggest(name, STEP_NAMES)
    raise UsageError(
        f"flow: no step {name!r}",
        hint=(f"did you mean {near!r}? " if near else "") + f"steps: {', '.join(STEP_NAMES)}",
    )


def select_steps(
    *, first: str | None = None, last: str | None = None, only: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Return the steps from ``first`` to ``last``, or just those in ``only``, in flow order.

    Raises:
        UsageError: An unknown name, ``only`` together with a range, or an empty range.
    """
    if only and (first or last):
        raise UsageError("flow: --only cannot be combined with --from or --to")
    if only:
        names = {step(name).name for name in only}
        return tuple(candidate for candidate in FLOW if candidate.name in names)
    start = STEP_NAMES.index(step(first).name) if first else 0
    end = STEP_NAMES.index(step(last).name) if last else len(FLOW) - 1
    if start > end:
        raise UsageError(f"flow: {first!r} comes after {last!r}", hint=" -> ".join(STEP_NAMES))
    return FLOW[start : end + 1]


def producer_of(table: str) -> Step:
    """Return the step that writes ``table`` (``raw.flights`` is written by ``ingest``).

    Raises:
        UsageError: No step writes it.
    """
    for candidate in FLOW:
        for written in candidate.writes:
            if written == table or (written.endswith(".*") and table.startswith(written[:-1])):
                return candidate
    raise UsageError(f"flow: no step writes a table {table!r}")
