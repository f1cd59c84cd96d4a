"""Wiring of the report: results and facts of the run in, self-contained files out."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from hashlib import sha256

import crisp_spark
from crisp_spark.flow import FLOW
from crisp_spark.reporting.facts import RunFacts, StepFact
from crisp_spark.results.base import StepResult
from crisp_spark.results.registry import result_type
from crisp_spark.results.report import ReportFile, ReportResult, ReportSection
from crisp_spark.run.steprun import Note, Outcome, StepRun
from crisp_spark.spec.base import digest

_LARGEST_BYTES = 5_000_000
"""A report beyond this is slow to open and to mail."""


def report(run: StepRun) -> Outcome:
    """Write the report, the model card and a summary for programs."""
    from crisp_spark.business.review import review_project
    from crisp_spark.reporting.model_card import card_fields, card_json, open_fields
    from crisp_spark.reporting.model_card_page import render_model_card
    from crisp_spark.reporting.report import render_report, sections_of
    from crisp_spark.reporting.summary_file import summary_json
    from crisp_spark.results.decide import DecideResult

    results, facts, card = _results(run), _facts(run), run.spec.review.card
    review = review_project(run.spec, results, reporting=True)
    written = {
        "report.html": (
            render_report(results, facts=facts, review=review),
            "the whole run, phase by phase, the verdict first",
        ),
        "model_card.html": (
            render_model_card(results, facts=facts, card=card),
            "what the model is, what it is for, how good it is",
        ),
        "model_card.json": (
            _json(card_json(results, facts=facts, card=card)),
            "the model card in the schema of Amazon SageMaker",
        ),
        "summary.json": (
            _json(summary_json(results, facts=facts)),
            "decision, criteria and main numbers for programs",
        ),
    }
    files = [_keep(run, name, text, about) for name, (text, about) in written.items()]
    decided = run.result_or_none(DecideResult)
    result = ReportResult(
        title=f"{facts.project}: report of the project",
        decision=decided.decision if decided else "",
        files=files,
        sections=[
            ReportSection(step=step, title=title, present=present)
            for step, title, present in sections_of(results)
        ],
        open_fields=open_fields(card_fields(results, facts=facts, card=card)),
    )
    return Outcome(result, notes=_notes(result), metrics={"report_bytes": float(files[0].bytes)})


def _results(run: StepRun) -> dict[str, StepResult]:
    shown = next(step for step in FLOW if step.name == ReportResult.step).results
    found = {name: run.result_or_none(result_type(name)) for name in shown}
    return {name: result for name, result in found.items() if result is not None}


def _facts(run: StepRun) -> RunFacts:
    """Facts of the run; of every step the commit that the report reads, by its stage key."""
    steps = []
    for name, stage_key in _in_flow_order(run.lineage()):
        commit = next((c for c in run.commits(name) if c["stage_key"] == stage_key), None)
        if commit is None:
            steps.append(StepFact(name, stage_key=stage_key))
            continue
        steps.append(
            StepFact(
                name,
                finished=commit["created"],
                seconds=commit.get("seconds"),
                stage_key=stage_key,
                run_id=commit["run_id"],
                versions=commit.get("versions", {}),
            )
        )
    project = run.spec.project
    return RunFacts(
        project=project.name,
        owner=project.owner,
        description=project.description,
        run_id=run.run_id,
        rendered=run.started,
        seed=project.seed,
        project_hash=digest(run.spec),
        versions={"crisp_spark": crisp_spark.__version__, "Python": platform.python_version()},
        steps=tuple(steps),
        tracking_run_id=run.tracker.run_id,
    )


def _in_flow_order(lineage: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(step.name, lineage[step.name]) for step in FLOW if step.name in lineage]


def _json(content: object) -> str:
    written = json.dumps(_finite(content), indent=2, ensure_ascii=False, sort_keys=True)
    return written + "\n"


def _finite(content: object) -> object:
    """JSON has no infinity: a number that is not finite is unknown."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _keep(run: StepRun, name: str, text: str, about: str) -> ReportFile:
    content = text.encode("utf-8")
    run.write_file(name, content)
    return ReportFile(
        name=name, bytes=len(content), sha256=sha256(content).hexdigest(), description=about
    )


def _notes(result: ReportResult) -> list[Note]:
    page = result.files[0]
    notes = [Note(f"{page.name}: {page.bytes / 1e6:.2f} MB, readable without network or scripts")]
    if page.bytes > _LARGEST_BYTES:
        notes.append(Note("the report is larger than 5 MB", level="warning"))
    if result.open_fields:
        fields = ", ".join(result.open_fields)
        notes.append(Note(f"model card: still to be written by a person: {fields}"))
    return notes
