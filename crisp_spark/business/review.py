"""The review of the process: 24 tasks and 42 outputs, each with its state and its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from crisp_spark.business import review_charter as charter
from crisp_spark.business import review_data as data
from crisp_spark.business import review_model as model
from crisp_spark.business.evidence import Finding, Material
from crisp_spark.results.base import StepResult
from crisp_spark.results.report import ReportResult
from crisp_spark.results.review import ReviewOutput, ReviewReport, ReviewTask, State
from crisp_spark.spec.project import ProjectSpec
from crisp_spark.spec.review import OUTPUTS, TASKS, Lesson, OutputNote

Author = Literal["program", "person", "both"]

_PHASES: Final = {
    "1": "business",
    "2": "understanding",
    "3": "preparation",
    "4": "modeling",
    "5": "evaluation",
    "6": "deployment",
}
_WORST_FIRST: Final[tuple[State, ...]] = ("missing", "drafted", "waived", "done")
_KINDS: Final = {"keep": "Keep", "change": "Change", "pitfall": "Pitfall", "hint": "Hint"}


@dataclass(frozen=True)
class _Output:
    """How an output comes about: who writes it, which step shows it, where its evidence is."""

    author: Author
    step: str
    find: Callable[[Material], Finding | None]


_HOW: Final[Mapping[str, _Output]] = {
    "1.1.1": _Output("person", "charter", charter.background),
    "1.1.2": _Output("person", "charter", charter.objectives),
    "1.1.3": _Output("person", "charter", charter.business_criteria),
    "1.2.1": _Output("both", "charter", charter.resources),
    "1.2.2": _Output("person", "charter", charter.conditions),
    "1.2.3": _Output("person", "charter", charter.risks),
    "1.2.4": _Output("both", "charter", charter.terminology),
    "1.2.5": _Output("both", "charter", charter.costs),
    "1.3.1": _Output("person", "charter", charter.goal),
    "1.3.2": _Output("person", "charter", charter.mining_criteria),
    "1.4.1": _Output("person", "charter", charter.plan),
    "1.4.2": _Output("both", "charter", charter.techniques),
    "2.1.1": _Output("program", "ingest", data.collection),
    "2.2.1": _Output("program", "profile", data.description),
    "2.3.1": _Output("both", "profile", data.exploration),
    "2.4.1": _Output("program", "quality", data.quality),
    "3.0.1": _Output("program", "split", data.data_set),
    "3.0.2": _Output("program", "split", data.data_set_description),
    "3.1.1": _Output("both", "clean", data.selection),
    "3.2.1": _Output("program", "clean", data.cleaning),
    "3.3.1": _Output("program", "derive", data.derived_attributes),
    "3.3.2": _Output("program", "sweep", data.generated_records),
    "3.4.1": _Output("program", "merge", data.merged),
    "3.5.1": _Output("program", "sweep", data.formatted),
    "4.1.1": _Output("both", "sweep", model.technique),
    "4.1.2": _Output("both", "sweep", model.assumptions),
    "4.2.1": _Output("program", "split", model.design),
    "4.3.1": _Output("program", "sweep", model.parameters),
    "4.3.2": _Output("program", "sweep", model.models),
    "4.3.3": _Output("program", "sweep", model.model_descriptions),
    "4.4.1": _Output("both", "evaluate", model.assessment),
    "4.4.2": _Output("program", "sweep", model.revised_parameters),
    "5.1.1": _Output("both", "decide", model.results),
    "5.1.2": _Output("both", "deploy", model.approved_models),
    "5.2.1": _Output("both", "report", model.process),
    "5.3.1": _Output("both", "decide", model.actions),
    "5.3.2": _Output("both", "decide", model.decision),
    "6.1.1": _Output("both", "deploy", model.deployment_plan),
    "6.2.1": _Output("both", "deploy", model.monitoring_plan),
    "6.3.1": _Output("both", "report", model.final_report),
    "6.3.2": _Output("program", "report", model.presentation),
    "6.4.1": _Output("both", "report", model.experience),
}


def review_project(
    spec: ProjectSpec, results: Mapping[str, StepResult], *, reporting: bool = False
) -> ReviewReport:
    """Review a project.

    What the program writes is done once its step has run. What people write is done when they
    marked it as agreed. What the program drafts is done when a person agreed to it or noted down
    a reading of it under ``review.notes``. A waiver under ``review.waivers`` needs a reason and
    counts only for what does not exist.

    Args:
        spec: The project.
        results: Results at hand, by step.
        reporting: Whether the report is being written right now.
    """
    at_hand = dict(results)
    if reporting:
        at_hand.setdefault(ReportResult.step, ReportResult(title=spec.project.name))
    at = Material(spec, at_hand)
    outputs = {number: _output(number, at) for number in OUTPUTS}
    tasks = []
    for number, name in TASKS.items():
        own = [outputs[key] for key in OUTPUTS if _task_of(key) == number]
        tasks.append(
            ReviewTask(
                number=number,
                name=name,
                phase=_PHASES[number[0]],
                state=min((output.state for output in own), key=_WORST_FIRST.index),
                outputs=own,
            )
        )
    return ReviewReport(
        tasks=tasks,
        process=spec.review.process,
        conclusion=spec.review.conclusion,
        lessons=[*map(_lesson, spec.review.lessons), *model.observations(at)],
    )


def _task_of(output: str) -> str:
    """The data set is an output of the whole third phase; it is shown where it is finished."""
    task = output.rpartition(".")[0]
    return "3.5" if task == "3.0" else task


def _output(number: str, at: Material) -> ReviewOutput:
    how = _HOW[number]
    found = how.find(at)
    notes = [note for note in at.spec.review.notes if note.output == number]
    waiver = next((item for item in at.spec.review.waivers if item.output == number), None)
    state = _state(how.author, found, notes)
    note = " ".join(item.text for item in notes)
    owner = found.owner if found else ""
    if state == "missing" and waiver is not None:
        state, note, owner = "waived", waiver.reason, waiver.owner
    return ReviewOutput(
        number=number,
        name=OUTPUTS[number],
        state=state,
        written_by=how.author,
        evidence=found.text if found else "",
        step=how.step,
        owner=owner or ", ".join(dict.fromkeys(item.owner for item in notes if item.owner)),
        note=note,
    )


def _state(author: Author, found: Finding | None, notes: list[OutputNote]) -> State:
    read = any(note.status != "waived" for note in notes)
    if found is None:
        # A person may write down alone what the program would have drafted.
        return "drafted" if read else "missing"
    if found.waived:
        return "waived"
    if author == "program" or found.settled or (author == "both" and read):
        return "done"
    return "drafted"


def _lesson(item: Lesson) -> str:
    where = f" ({item.phase})" if item.phase else ""
    return f"{_KINDS[item.kind]}{where}: {item.text}"
