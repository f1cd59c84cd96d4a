"""Wiring of profile and quality."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from crisp_spark.errors import DataError
from crisp_spark.results.base import Verdict, worst
from crisp_spark.results.profile import ProfileResult, TableProfile
from crisp_spark.results.quality import QualityResult, SourceQuality
from crisp_spark.run.steprun import Note, Outcome, StepRun

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule
    from crisp_spark.understanding.quality import Evaluation

_AT_A_TIME = 4
"""Sources that are profiled at the same time; each holds a sample on the driver."""
_DOCS = "data_docs"


def profile(run: StepRun) -> Outcome:
    """Profile ``raw.<source>`` of every source."""
    from crisp_spark.understanding.patterns import find_patterns

    tables = _tables(run)
    patterns = [
        find_patterns(run.read(f"raw.{name}"), name, asked)
        for name, source in run.spec.data.sources.items()
        for asked in source.patterns
    ]
    result = ProfileResult(sources=tuple(tables), patterns=tuple(patterns))
    notes = [note for table in tables for note in _profile_notes(table)]
    notes += [
        Note(
            f"{found.source}: {found.found_rules:,} rules and {found.found_sets:,} frequent sets "
            f"of {found.item} in {found.baskets:,} baskets"
        )
        for found in patterns
    ]
    return Outcome(
        result,
        notes=notes,
        metrics={
            "columns": float(sum(len(table.columns) for table in tables)),
            "rows": float(sum(table.rows for table in tables)),
            "leakage_suspects": float(sum(len(table.suspects) for table in tables)),
        },
    )


def _tables(run: StepRun) -> list[TableProfile]:
    """Profile every source: several at a time, so that small ones fill the waits of large ones."""
    from crisp_spark.modeling.limits import in_job_group
    from crisp_spark.run.incremental import profile_by_parts
    from crisp_spark.understanding.profile import profile_table

    sources = run.spec.data.sources
    whole = [name for name, source in sources.items() if source.profile != "incremental"]
    calls = [
        partial(
            profile_table,
            run.read(f"raw.{name}"),
            name,
            sources[name],
            run.spec.business.mining_goal,
            seed=run.spec.project.seed,
            rows=run.rows(f"raw.{name}"),
        )
        for name in whole
    ]
    context = run.spark.sparkContext
    found = dict(
        zip(whole, in_job_group(context, "profile", calls, parallelism=_AT_A_TIME), strict=True)
    )
    return [
        found.get(name) or profile_by_parts(run, name, source) for name, source in sources.items()
    ]


def _profile_notes(table: TableProfile) -> list[Note]:
    notes = [Note(f"{table.name}: {table.rows:,} rows, {len(table.columns)} columns")]
    notes += [
        Note(f"{table.name}.{suspect.column} may leak the outcome: {suspect.reasons[0]}", "warn")
        for suspect in table.suspects
        if not suspect.declared
    ]
    return notes + [Note(f"{table.name}: {note}", "warn") for note in table.notes]


def quality(run: StepRun) -> Outcome:
    """Judge every source; write ``checked.<source>`` and ``quarantine.<source>``.

    Raises:
        QualityGateError: A rule of severity ``fail`` is broken; the pages are in the tracker.
    """
    from crisp_spark.understanding.quality_gate import raise_for_failures

    judged = []
    pages: dict[str, str] = {}
    for name in run.spec.data.sources:
        rules, evaluation = _judge(run, name)
        summary = _publish(run, name, evaluation)
        if rules:
            summary, page = _document(run, summary, rules)
            pages[name] = page
        judged.append(summary)
    result = QualityResult(
        verdict=_worst(judged), sources=tuple(judged), docs_file=_index(run, judged, pages)
    )
    if any(source.verdict is Verdict.FAIL for source in judged):
        # Nothing of a stopped step is published: what was found is kept with its record.
        run.tracker.text("quality.json", result.model_dump_json(indent=2))
        for name, page in pages.items():
            run.tracker.text(f"{_DOCS}/{name}.html", page)
    raise_for_failures(judged, result)
    return Outcome(result, notes=_quality_notes(judged), metrics=_quality_metrics(judged))


def _worst(judged: list[SourceQuality]) -> Verdict:
    return worst([source.verdict for source in judged])


def _judge(run: StepRun, name: str) -> tuple[tuple[BoundRule, ...], Evaluation]:
    from crisp_spark.run.past import past_values
    from crisp_spark.spec.quality import Relationships, bind_rules
    from crisp_spark.understanding.local import evaluate_locally
    from crisp_spark.understanding.usual import judge_usual, measurable

    source = run.spec.data.sources[name]
    rules = bind_rules(
        name, {column: spec.rules for column, spec in source.columns.items()}, source.rules
    )
    others = {bound.rule.to for bound in rules if isinstance(bound.rule, Relationships)}
    evaluation = evaluate_locally(
        run.read(f"raw.{name}"),
        measurable(rules),
        source=name,
        parents={other: run.read(f"raw.{other}") for other in sorted(others)},
        engine=run.spec.data.engine,
        now=run.started,
        private=[column for column, spec in source.columns.items() if spec.pii],
    )
    judged = judge_usual(rules, evaluation.rules, past_values(run, name, rules))
    return rules, replace(evaluation, rules=judged)


def _publish(run: StepRun, name: str, evaluation: Evaluation) -> SourceQuality:
    kept, quarantined = evaluation.split(run.run_id)
    stayed = run.write(f"checked.{name}", kept).rows
    left = run.write(f"quarantine.{name}", quarantined).rows
    rows = run.rows(f"raw.{name}")
    if stayed + left != rows:
        raise DataError(
            f"quality: {name}: {rows:,} rows were read,"
            f" but {stayed:,} kept and {left:,} quarantined"
        )
    return evaluation.summary(kept=stayed, quarantined=left)


def _document(
    run: StepRun, summary: SourceQuality, rules: tuple[BoundRule, ...]
) -> tuple[SourceQuality, str]:
    """Keep suite, validation result and page of a source; return where they are."""
    from crisp_spark.understanding.expectations import docs_page, export_suite, validation_result
    from crisp_spark.understanding.usual import as_static

    name = summary.source
    static = as_static(rules, summary.rules)
    told = {rule.name for rule in static}
    shown = summary.model_copy(
        update={"rules": tuple(one for one in summary.rules if one.name in told)}
    )
    suite = export_suite(name, static, as_of=run.started)
    validation = validation_result(shown, static, run_id=run.run_id, started=run.started)
    page = docs_page(validation)
    files = {
        "suite_file": (f"expectations/{name}.json", json.dumps(suite, indent=2)),
        "validation_file": (
            f"validations/{name}.json",
            json.dumps(validation.to_json_dict(), indent=2),
        ),
        "page_file": (f"{_DOCS}/{name}.html", page),
    }
    for path, content in files.values():
        run.write_file(path, content.encode())
    update = {field: path for field, (path, _) in files.items()}
    return summary.model_copy(update=update), page


def _index(run: StepRun, judged: list[SourceQuality], pages: dict[str, str]) -> str:
    if not pages:
        return ""
    from crisp_spark.understanding.expectations import docs_index

    held = {source.source: source.verdict is Verdict.PASS for source in judged}
    page = docs_index({name: (f"{name}.html", held[name]) for name in pages})
    run.write_file(f"{_DOCS}/index.html", page.encode())
    return f"{_DOCS}/index.html"


def _quality_notes(judged: list[SourceQuality]) -> list[Note]:
    notes = []
    for source in judged:
        broken = [rule for rule in source.rules if not rule.holds and not rule.note]
        text = f"{source.source}: {len(source.rules)} rules, {len(broken)} broken"
        text += f", {source.quarantined:,} rows quarantined" if source.quarantined else ""
        notes.append(Note(text, "warn" if broken else "info"))
        notes += [
            Note(f"{source.source}.{rule.name} could not be judged: {rule.error}", "warn")
            for rule in broken
            if rule.error
        ]
        notes += [
            Note(f"{source.source}.{rule.name} is not judged yet: {rule.note}")
            for rule in source.rules
            if rule.note
        ]
    return notes


def _quality_metrics(judged: list[SourceQuality]) -> dict[str, float]:
    return {
        "rules": float(sum(len(source.rules) for source in judged)),
        "rules_broken": float(
            sum(not rule.holds and not rule.note for source in judged for rule in source.rules)
        ),
        "rows_quarantined": float(sum(source.quarantined for source in judged)),
    }
