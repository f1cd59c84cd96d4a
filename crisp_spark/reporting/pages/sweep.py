"""Section of the step ``sweep``: what was tried, what won, and what the model is made of."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, horizontal_bars, intervals
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    bullets,
    definitions,
    facts,
    figures,
    heading,
    lead,
    name,
    note,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import alike, count, duration, number, percent, plural
from crisp_spark.reporting.pages.sweep_features import design, excluded, lineage
from crisp_spark.reporting.pages.sweep_findings import findings
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, metric_title, settings
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import BaselineResult, SweepResult, TrialResult

TITLE = "Models tried"
_MOST_TRIALS = 12


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(SweepResult)
    if result is None:
        return None
    evaluated = results.get(EvaluateResult)
    measure = Measure(result.problem, evaluated.currency if evaluated else "")
    failed = any(trial.status == "failed" for trial in result.trials)
    body = join(
        [
            _lead(result, measure),
            _facts(result, measure),
            *(note("warn", sentence(text)) for text in result.warnings),
            _winner(result, measure),
            figures(_leaders(result, measure), _families(result, measure)),
            findings(result, measure),
            _leaderboard(result, measure),
            _weights(result),
            lineage(result),
            excluded(result),
            design(result),
        ]
    )
    return Section("sweep", TITLE, body, badge="warn" if failed or result.warnings else "")


def _ranked(result: SweepResult) -> list[TrialResult]:
    """Finished trials, best first, then those cut short, then the failed ones."""
    sign = -1.0 if result.higher_is_better else 1.0
    finished = [trial for trial in result.trials if trial.metric is not None]
    finished.sort(
        key=lambda t: (-t.share, sign * (t.metric or 0.0), t.complexity, t.name),
    )
    return finished + [trial for trial in result.trials if trial.metric is None]


def best_baseline(result: SweepResult) -> BaselineResult | None:
    """The baseline that is hardest to beat."""
    known = [b for b in result.baselines if b.metrics.get(result.metric) is not None]
    pick = max if result.higher_is_better else min
    return pick(known, key=lambda b: b.metrics[result.metric] or 0.0) if known else None


def _lead(result: SweepResult, measure: Measure) -> Html:
    winner, baseline = result.winner, best_baseline(result)
    against = ""
    if baseline is not None:
        value = measure.text(result.metric, baseline.metrics[result.metric])
        against = f", the best baseline ({baseline.name}) {value}"
    return lead(
        f"{capital(winner.title)} won with a mean {metric_title(result.metric)} of "
        f"{measure.text(result.metric, winner.metric)} over "
        f"{plural(len(result.folds), 'validation fold')}{against}."
    )


def _facts(result: SweepResult, measure: Measure) -> Html:
    failed = sum(trial.status == "failed" for trial in result.trials)
    spread = f"± {number(result.winner.std, 2)} over folds" if result.winner.std is not None else ""
    value = measure.text(result.metric, result.winner.metric)
    title = capital(metric_title(result.metric))
    return facts(
        [
            (f"{title}, mean of folds", join([value, tag("small", spread)])),
            ("Trials", join([count(len(result.trials)), tag("small", f"{failed} failed")])),
            ("Learners", count(len(result.families))),
            *([("Features", count(len(result.features)))] if result.features else []),
            ("Training rows", count(result.train_rows)),
            ("Time", duration(result.seconds)),
        ]
    )


def _winner(result: SweepResult, measure: Measure) -> Html:
    winner = result.winner
    return join(
        [
            heading(4, "The model chosen"),
            paragraph(sentence(capital(winner.reason))),
            definitions(
                [
                    ("Learner", winner.title),
                    ("Settings", settings(winner.params)),
                    (
                        capital(metric_title(result.metric)),
                        measure.explained(result.metric, winner.metric),
                    ),
                    ("Fitted on", f"{plural(winner.rows, 'row')} in {duration(winner.seconds)}"),
                    (
                        "Scores",
                        "probabilities" if winner.score_is_probability else "an order of rows only",
                    )
                    if result.problem == "binary"
                    else ("", ""),
                ]
            ),
            bullets(winner.facts),
        ]
    )


def _leaders(result: SweepResult, measure: Measure) -> Chart | None:
    full = [t for t in _ranked(result) if t.metric is not None and t.share >= 1]
    shown = full[:_MOST_TRIALS]
    if not shown:
        return None
    baseline = best_baseline(result)
    spread = [_fold_range(trial) for trial in shown]
    return intervals(
        f"Best trials by {metric_title(result.metric)}",
        f"Dots are means, lines run from the worst to the best fold; {shown[0].name} leads.",
        [trial.name for trial in shown],
        [
            (trial.metric or 0.0, low, high)
            for trial, (low, high) in zip(shown, spread, strict=True)
        ],
        value_label=metric_title(result.metric),
        fmt=lambda value: measure.text(result.metric, value),
        reference=baseline.metrics[result.metric] if baseline else None,
        reference_label=f"baseline {baseline.name}" if baseline else "",
        highlight=[trial.name == result.winner.trial for trial in shown],
        notes=["winner" if trial.name == result.winner.trial else "" for trial in shown],
    )


def _fold_range(trial: TrialResult) -> tuple[float | None, float | None]:
    known = [value for value in trial.fold_metrics if value is not None]
    return (min(known), max(known)) if known else (None, None)


def _families(result: SweepResult, measure: Measure) -> Chart | None:
    shown = [family for family in result.families if family.best_metric is not None]
    if not shown:
        return None
    shown.sort(key=lambda f: f.best_metric or 0.0, reverse=result.higher_is_better)
    slowest = max(shown, key=lambda f: f.seconds)
    return horizontal_bars(
        "Time spent by learner",
        f"{capital(slowest.title)} took longest ({duration(slowest.seconds)}); "
        "learners stand in the order of their best trial.",
        [family.title for family in shown],
        [family.seconds for family in shown],
        value_label="time",
        fmt=duration,
        notes=[f"(best {measure.text(result.metric, family.best_metric)})" for family in shown],
    )


def _leaderboard(result: SweepResult, measure: Measure) -> Html:
    heads: Heads = [
        "Trial",
        prose("Settings"),
        num(metric_title(result.metric)),
        num("± over folds"),
        num("Time"),
        "Status",
    ]
    rows = [_trial_row(trial, result, measure) for trial in _ranked(result)]
    rows += [
        [
            name(baseline.name),
            baseline.doc,
            measure.text(result.metric, baseline.metrics.get(result.metric)),
            "",
            "",
            "baseline",
        ]
        for baseline in result.baselines
    ]
    caption = "All trials, best first" + (", then the baselines" if result.baselines else "")
    return join(
        [
            heading(4, "Leaderboard"),
            table(heads, rows, caption=caption, most=100),
        ]
    )


def _trial_row(trial: TrialResult, result: SweepResult, measure: Measure) -> list[Content]:
    status: Content = "finished"
    if trial.name == result.winner.trial:
        status = badge("pass", "winner")
    elif trial.status == "failed":
        status = join([badge("fail", "failed"), " ", trial.error])
    elif trial.share < 1:
        status = f"{percent(trial.share, 0)} of the {_resource(result)}"
    elif trial.resumed:
        status = "finished before"
    notes = tag("small", "; ".join(trial.notes)) if trial.notes else None
    return [
        name(trial.name),
        join([settings(trial.params), tag("br") if notes else None, notes]),
        measure.text(result.metric, trial.metric),
        number(trial.std, 2),
        duration(trial.seconds),
        status,
    ]


def _resource(result: SweepResult) -> str:
    return result.plan.rungs[0].resource if result.plan.rungs else "work"


def _weights(result: SweepResult) -> Html | None:
    weights = result.winner.weights[:15]
    if not weights:
        return None
    kind = result.winner.weight_kind or "weight"
    chart = horizontal_bars(
        f"What the model itself weighs: {kind}",
        f"{weights[0].slot} has the largest {kind}: how the model works, not what causes what.",
        [weight.slot for weight in weights],
        [weight.value for weight in weights],
        value_label=kind,
        fmt=alike(weight.value for weight in weights),
    )
    return figures(chart)
