"""Closing sections: the course of the project, the review, how to reproduce it, the glossary."""

from __future__ import annotations

from collections import Counter

from crisp_spark.flow import FLOW
from crisp_spark.reporting.charts import Chart, horizontal_bars
from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    bullets,
    definitions,
    figures,
    folded,
    heading,
    lead,
    name,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import duration, moment, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import listed
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.ingest import IngestResult
from crisp_spark.results.review import ReviewOutput, ReviewReport, ReviewTask, State

_STATES: dict[State, str] = {
    "done": "pass",
    "drafted": "info",
    "waived": "unknown",
    "missing": "warn",
}

PHASES = {
    "business": "Business understanding",
    "understanding": "Data understanding",
    "preparation": "Data preparation",
    "modeling": "Modelling",
    "evaluation": "Evaluation",
    "deployment": "Deployment",
}
"""Names of the phases by their key in the flow."""

METHOD_TERMS: dict[str, str] = {
    "baseline": "a simple rule that the model has to beat; without it no number is good or bad",
    "calibration": "whether scores are probabilities: of the rows scored 0.3, 30 % come true",
    "champion": "the model version in use",
    "confidence interval": "the range that holds the true value in, say, 95 of 100 repetitions",
    "drift": "a change of the data after training, which wears a model out",
    "fold": "a part of the training rows that is held back in turn to judge what the others taught",
    "later period": "rows from after all training and test rows, as the model will meet them",
    "leakage": "knowledge of the outcome that would not be there when a prediction is made",
    "PSI": "population stability index, a distance between two distributions; 0 is the same, from "
    "0.2 on it is usually called drift",
    "quarantine": "the place of rows that broke a rule; nothing is thrown away without trace",
    "slice": "a part of the rows that share a value, such as one carrier",
    "threshold": "the score from which on a row gets an alert",
}


def course(results: Results, facts: RunFacts) -> Section:
    """Time per step and, where there is a plan, planned days beside it."""
    charter = results.get(CharterResult)
    timed = [fact for fact in facts.steps if fact.seconds is not None]
    if not timed:
        body = paragraph("No durations were handed to this report.")
        return Section("course", "Plan and course", body, present=False)
    total = sum(fact.seconds or 0.0 for fact in timed)
    body = join(
        [
            lead(f"The steps shown here took {duration(total)} of machine time."),
            figures(_durations(facts, total)),
            _planned(charter, facts) if charter and charter.plan else None,
        ]
    )
    return Section("course", "Plan and course", body)


def _durations(facts: RunFacts, total: float) -> Chart:
    timed = [fact for fact in facts.steps if fact.seconds is not None]
    longest = max(timed, key=lambda fact: fact.seconds or 0.0)
    share = (longest.seconds or 0.0) / total if total else 0.0
    return horizontal_bars(
        "Time by step",
        f"{longest.step} took longest: {duration(longest.seconds)}, {percent(share)} of the time.",
        [fact.step for fact in timed],
        [fact.seconds or 0.0 for fact in timed],
        value_label="time",
        fmt=duration,
        notes=["(taken over)" if _reused(fact.run_id, facts) else "" for fact in timed],
        highlight=[_reused(fact.run_id, facts) for fact in timed],
    )


def _reused(run_id: str, facts: RunFacts) -> bool:
    return bool(run_id and facts.run_id and run_id != facts.run_id)


def _planned(charter: CharterResult, facts: RunFacts) -> Html:
    rows: list[list[Content]] = []
    for stage in charter.plan:
        done = [fact for step in stage.steps if (fact := facts.of(step)) is not None]
        times = [fact.finished for fact in done if fact.finished is not None]
        rows.append(
            [
                stage.stage,
                number(stage.days),
                ", ".join(stage.steps) or "no step named",
                f"{len(done)} of {len(stage.steps)}" if stage.steps else "",
                duration(sum(fact.seconds or 0.0 for fact in done)) if done else "",
                moment(max(times)) if times else "",
            ]
        )
    heads: Heads = [
        "Stage",
        num("Planned days"),
        "Steps",
        "Finished",
        num("Machine time"),
        "Last finished",
    ]
    return join(
        [
            heading(4, "Plan against course"),
            paragraph(
                "The plan counts working days of people, the course machine time of the steps that "
                "show a stage's progress."
            ),
            table(heads, rows, caption="Stages of the plan and what came of them", quiet=True),
        ]
    )


def review_section(review: ReviewReport | None) -> Section:
    """The 24 tasks and 42 outputs of CRISP-DM with state and evidence."""
    title = "Review of the process"
    if review is None:
        body = paragraph(
            "No review was handed to this report; ", name("crisp review"), " shows it."
        )
        return Section("review", title, body, present=False)
    states = Counter(output.state for output in review.outputs)
    told = listed([f"{states[state]} {state}" for state in _STATES if states[state]])
    phases = {
        phase: [task for task in review.tasks if task.phase == phase]
        for phase in dict.fromkeys(task.phase for task in review.tasks)
    }
    written = [
        (heading(4, title_), paragraph(sentence(text)))
        for title_, text in (("On the process", review.process), ("Conclusion", review.conclusion))
        if text
    ]
    body = join(
        [
            lead(
                f"Of {plural(len(review.outputs), 'output')} in "
                f"{plural(len(review.tasks), 'task')} of CRISP-DM: {told}."
            ),
            *(part for pair in written for part in pair),
            heading(4, "Lessons") if review.lessons else None,
            bullets(review.lessons),
            *(_phase(PHASES.get(phase, phase), tasks) for phase, tasks in phases.items()),
        ]
    )
    missing = states["missing"] > 0
    return Section("review", title, body, badge="warn" if missing else "pass")


def _phase(title: str, tasks: list[ReviewTask]) -> Html:
    """One phase: its tasks with their outputs, folded under how many are in which state."""
    rows: list[list[Content]] = [
        [
            f"{output.number} {output.name}",
            task.name if output is task.outputs[0] else "",
            badge(_STATES[output.state], output.state),
            _evidence(output),
            output.owner or output.written_by,
        ]
        for task in tasks
        for output in task.outputs
    ]
    states = Counter(output.state for task in tasks for output in task.outputs)
    tally = [
        badge(_STATES[state], f"{states[state]} {state}") for state in _STATES if states[state]
    ]
    summary = join([tag("span", title), *tally], " ")
    heads: Heads = ["Output", "Task", "State", prose("Evidence"), "By"]
    return folded(
        summary, table(heads, rows, caption=f"Outputs of {title}", quiet=True), css="card"
    )


def _evidence(output: ReviewOutput) -> Html:
    known = {step.name for step in FLOW}
    link = None
    if output.step in known - {"report"} and output.state != "missing":
        link = tag("a", f"see {output.step}", href=f"#{output.step}")
    return join([part for part in (output.evidence, output.note, link) if part], " ")


def reproduction(results: Results, facts: RunFacts) -> Section:
    """Everything that names this very result: versions, hashes, commits."""
    charter, ingest = results.get(CharterResult), results.get(IngestResult)
    pairs: list[tuple[Content, Content]] = [
        ("Project", name(facts.project)),
        ("Run", name(facts.run_id) if facts.run_id else ""),
        ("Run of the tracker", name(facts.tracking_run_id) if facts.tracking_run_id else ""),
        ("Report made", moment(facts.rendered) if facts.rendered else ""),
        ("Seed", str(facts.seed) if facts.seed is not None else ""),
        ("Project file, SHA-256", name(facts.project_hash) if facts.project_hash else ""),
    ]
    if charter is not None:
        pairs += [
            ("Charter, SHA-256", name(charter.charter_hash)),
            ("Criteria, SHA-256", name(charter.criteria_hash)),
        ]
    pairs += [(title, version) for title, version in sorted(facts.versions.items())]
    rows: list[list[Content]] = [
        [
            fact.step,
            name(fact.stage_key) if fact.stage_key else "",
            moment(fact.finished) if fact.finished else "",
            "this run" if fact.run_id in ("", facts.run_id) else name(fact.run_id),
            ", ".join(f"{key} {value}" for key, value in sorted(fact.versions.items())),
        ]
        for fact in facts.steps
    ]
    heads: Heads = ["Step", "Commit", "Finished", "Made by", "Versions"]
    digests: list[list[Content]] = (
        [[name(s.source), name(s.digest)] for s in ingest.sources.values()] if ingest else []
    )
    body = join(
        [
            lead("The same project file, data and versions give the same numbers."),
            definitions(pairs),
            table(heads, rows, caption="Commits that this report was made from") if rows else None,
            table(["Source", "Digest of its files"], digests, caption="Data") if digests else None,
        ]
    )
    return Section("reproduction", "How to get this result again", body)


def glossary(results: Results) -> Section:
    """Words of the business, then words of the method."""
    charter = results.get(CharterResult)
    terms: list[tuple[Content, Content]] = []
    own: set[str] = set()
    for term in charter.glossary if charter else ():
        own.add(term.term.lower())
        column: list[Content] = [" (column ", name(term.column), ")"] if term.column else []
        terms.append((term.term, join([sentence(term.meaning), *column])))
    method: list[tuple[Content, Content]] = [
        (term, sentence(meaning))
        for term, meaning in METHOD_TERMS.items()
        if term.lower() not in own
    ]
    body = join(
        [
            heading(4, "Of the business") if terms else None,
            definitions(terms),
            heading(4, "Of the method"),
            definitions(method),
        ]
    )
    return Section("glossary", "Glossary", body)
