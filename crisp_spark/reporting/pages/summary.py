"""The project in short: key figures, what was found, what to do next."""

from __future__ import annotations

from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import bullets, heading, name, names, sentence
from crisp_spark.reporting.kit import facts as tiles
from crisp_spark.reporting.numbers import count, duration, money, number, percent, plural
from crisp_spark.reporting.pages.evaluate import evidence
from crisp_spark.reporting.pages.monitor import MOVED
from crisp_spark.reporting.pages.sweep import best_baseline
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, metric_title, split_title
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.evaluate import EvaluateResult, MetricValue
from crisp_spark.results.ingest import IngestResult
from crisp_spark.results.merge import MergeResult
from crisp_spark.results.monitor import MonitorResult
from crisp_spark.results.profile import ProfileResult
from crisp_spark.results.quality import QualityResult
from crisp_spark.results.sweep import SweepResult


def in_short(results: Results, facts: RunFacts) -> Html:
    """Key figures and findings, each from the step that found it."""
    findings = [finding for finding in _findings(results) if finding is not None]
    actions = _next_steps(results)
    return join(
        [
            _figures(results, facts),
            heading(3, "What was found") if findings else None,
            bullets(findings),
            heading(3, "What to do next") if actions else None,
            bullets(actions),
        ]
    )


def _figures(results: Results, facts: RunFacts) -> Html:
    cells: list[tuple[str, Content]] = []
    ingest, sweep = results.get(IngestResult), results.get(SweepResult)
    evaluated = results.get(EvaluateResult)
    if ingest is not None:
        rows = sum(source.kept for source in ingest.sources.values())
        cells.append(("Records kept", _two(count(rows), plural(len(ingest.sources), "source"))))
    if sweep is not None:
        tried = f"best of {plural(len(sweep.trials), 'trial')}"
        cells.append(("Model", _two(capital(sweep.winner.title), tried)))
        if sweep.features:  # a recommender has none
            cells.append(("Features", count(len(sweep.features))))
    if evaluated is not None:
        cells += _judged(evaluated)
    seconds = [fact.seconds for fact in facts.steps if fact.seconds is not None]
    if seconds:
        cells.append(("Machine time", duration(sum(seconds))))
    return tiles(cells) if cells else Html("")


def _two(value: str, below: str) -> Html:
    return join([value, tag("small", below)])


def _judged(result: EvaluateResult) -> list[tuple[str, Content]]:
    split = evidence(result)
    if not split:
        return []
    measure = Measure(result.problem, result.currency)
    cells: list[tuple[str, Content]] = []
    for metric in dict.fromkeys((result.main_metric, "value_per_row")):
        value: MetricValue | None = result.splits[split].metrics.get(metric)
        if value is None or value.value is None:
            continue
        span = measure.span(metric, value.low, value.high) if value.low is not None else ""
        below = f"{span}, {split_title(split)}".strip(", ")
        title = f"{capital(metric_title(metric))}"
        cells.append((title, _two(measure.text(metric, value.value), below)))
    return cells


def _findings(results: Results) -> list[Html | None]:
    return [
        _data(results),
        _suspects(results),
        _merged(results),
        _model(results),
        _money(results),
        _weak(results),
        _groups(results),
        _drift(results),
        _risks(results),
    ]


def _at(step: str, *content: Content) -> Html:
    return join([*content, " ", tag("a", f"({step})", href=f"#{step}")])


def _data(results: Results) -> Html | None:
    result = results.get(QualityResult)
    if result is None:
        return None
    rules = [rule for source in result.sources for rule in source.rules]
    held = sum(rule.holds for rule in rules)
    aside = sum(source.quarantined for source in result.sources)
    if not rules:
        return None
    said = f"{held} of {plural(len(rules), 'quality rule')} hold"
    return _at("quality", f"{said}; {plural(aside, 'row')} in quarantine.")


def _suspects(results: Results) -> Html | None:
    result = results.get(ProfileResult)
    found = (
        [s.column for t in result.sources for s in t.suspects if not s.declared] if result else []
    )
    if not found:
        return None
    return _at("profile", "May leak the outcome: ", names(found), ".")


def _merged(results: Results) -> Html | None:
    result = results.get(MergeResult)
    nulls = [item for step in result.steps for item in step.nulls] if result else []
    introduced = sum(item.introduced for item in nulls)
    if not introduced:
        return None
    left = sum(item.left_after_cleaning for item in nulls)
    said = f"Merging left {plural(introduced, 'null')} where rows found no partner"
    return _at("merge", f"{said}; {count(left)} remain.")


def _model(results: Results) -> Html | None:
    result = results.get(SweepResult)
    if result is None:
        return None
    measure = Measure(result.problem)
    baseline = best_baseline(result)
    said = f"{capital(result.winner.title)}: {result.winner.reason.rstrip('.')}."
    if baseline is not None:
        value = measure.text(result.metric, baseline.metrics[result.metric])
        said += f" The best baseline, {baseline.name}, reaches {value}."
    return _at("sweep", said)


def _money(results: Results) -> Html | None:
    result = results.get(EvaluateResult)
    if result is None or result.threshold is None:
        return None
    return _at("evaluate", sentence(result.threshold.explanation))


def _weak(results: Results) -> Html | None:
    result = results.get(EvaluateResult)
    weak = [s for s in result.slices.slices if s.weak] if result and result.slices else []
    if not weak or result is None or result.slices is None:
        return None
    worst = weak[0]
    said = (
        f": {result.slices.loss} is {number(worst.excess)} per row above the others "
        f"({plural(worst.rows, 'row')})."
    )
    return _at("evaluate", "The model is weakest for ", name(worst.name), said)


def _groups(results: Results) -> Html | None:
    result = results.get(EvaluateResult)
    groups = result.target_groups if result else []
    if not groups or result is None:
        return None
    best = groups[0]
    worth = (
        f", worth {money(best.value_per_row, result.currency)} per row"
        if best.value_per_row is not None
        else ""
    )
    said = f": {percent(best.rate)} of its {plural(best.rows, 'row')} are positive{worth}."
    return _at("evaluate", "Acting pays most in ", name(best.name), said)


def _drift(results: Results) -> Html | None:
    result = results.get(MonitorResult)
    if result is None:
        return None
    moved = [
        "score" if column.role == "score" else column.column
        for column in result.columns
        if column.verdict in MOVED
    ]
    if {column.verdict for column in result.columns} == {Verdict.UNKNOWN}:
        return _at("monitor", "Too few rows to tell whether columns have moved since training.")
    if not moved:
        return _at("monitor", "No column has moved beyond a limit since training.")
    return _at("monitor", "Moved beyond a limit since training: ", names(moved, most=6), ".")


def _risks(results: Results) -> Html | None:
    charter = results.get(CharterResult)
    high = [risk for risk in charter.risks if risk.band == "high"] if charter else []
    if not high:
        return None
    said = "; ".join(f"{risk.id}, {risk.statement.rstrip('.')}" for risk in high[:3])
    return _at("charter", f"{plural(len(high), 'high risk')} on the list: {said}.")


def _next_steps(results: Results) -> list[Html]:
    result = results.get(DecideResult)
    actions = [action for action in result.actions if action.recommended] if result else []
    return [
        join([tag("strong", action.title), ": ", sentence(action.reason)]) for action in actions
    ]
