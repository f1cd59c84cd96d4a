"""Section of the step ``monitor``: drift of inputs and scores, quality, alarms."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, horizontal_bars
from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    badge,
    bullets,
    definitions,
    facts,
    figures,
    folded,
    heading,
    lead,
    name,
    note,
    num,
    paragraph,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, fixed, number, percent, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, metric_title
from crisp_spark.results.base import Verdict
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.monitor import ColumnDrift, MonitorResult

TITLE = "Monitoring"
MOVED = (Verdict.FAIL, Verdict.WARN)
"""Verdicts on columns that have moved; with too few rows a column's verdict is unknown."""
_MOST_BARS = 15


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(MonitorResult)
    if result is None:
        return None
    evaluated = results.get(EvaluateResult)
    measure = Measure(
        evaluated.problem if evaluated else "", evaluated.currency if evaluated else ""
    )
    body = join(
        [
            _lead(result),
            facts(
                [
                    ("Reference rows", count(result.reference_rows)),
                    ("Current rows", count(result.current_rows)),
                    ("Labels known", count(result.labels_known_rows)),
                    ("Trained on", result.trained_on.isoformat()),
                    (
                        "Stale after",
                        result.stale_after.isoformat() if result.stale_after else "never",
                    ),
                ]
            ),
            *(note("info", sentence(text)) for text in result.notes),
            _alarms(result),
            _retrain(result),
            figures(_psi(result)),
            _drift(result),
            _quality(result, measure),
            _methods(result),
        ]
    )
    return Section("monitor", TITLE, body, badge=result.verdict.value)


def _lead(result: MonitorResult) -> Html:
    drifted = [column for column in result.columns if column.verdict in MOVED]
    unknown = [column for column in result.columns if column.verdict is Verdict.UNKNOWN]
    unjudged = f", {len(unknown)} cannot be judged on so few rows" if unknown else ""
    alarms = plural(len(result.alarms), "alarm") if result.alarms else "no alarm"
    there = "there is" if len(result.alarms) < 2 else "there are"  # noqa: PLR2004 - singular
    return lead(
        f"Of {plural(len(result.columns), 'column')} compared between {result.reference} and "
        f"{result.current}, {len(drifted)} moved beyond a limit{unjudged}; {there} {alarms}."
    )


def _alarms(result: MonitorResult) -> Html | None:
    if not result.alarms:
        known = result.verdict is not Verdict.UNKNOWN
        return note("pass", "No limit was passed.") if known else None
    said = [
        note(
            alarm.severity.value,
            sentence(alarm.text),
            *((" ", sentence(f"What to do: {alarm.action}")) if alarm.action else ()),
            *((" ", sentence(f"Told: {alarm.owner}")) if alarm.owner else ()),
        )
        for alarm in result.alarms
    ]
    return join([heading(4, "Alarms"), *said])


def _retrain(result: MonitorResult) -> Html | None:
    asked = result.retrain
    if asked is None:
        return None
    return note("warn", sentence(f"A new model is asked for: {asked.reason}"))


def _psi(result: MonitorResult) -> Chart | None:
    known = [column for column in result.columns if column.psi is not None]
    if not known:
        return None
    known.sort(key=lambda column: -(column.psi or 0.0))
    top = known[0]
    limit = result.limits.get("psi_limit", result.limits.get("psi"))
    shown = known[:_MOST_BARS]
    far = limit is not None and limit <= 4 * (top.psi or 0.0)
    return horizontal_bars(
        "How far columns have moved (PSI)",
        f"{_called(top)} moved most: {fixed(top.psi)}"
        + (f" against a limit of {number(limit)}." if limit is not None else "."),
        [_called(column) for column in shown],
        [column.psi or 0.0 for column in shown],
        value_label="PSI",
        fmt=lambda value: fixed(value, 3),
        highlight=[column.verdict in MOVED for column in shown],
        notes=[_mark(column) for column in shown],
        limit=float(limit) if limit is not None and far else None,
        limit_label=f"limit {number(limit)}",
    )


def _called(column: ColumnDrift) -> str:
    return "the score" if column.role == "score" else column.column


def _mark(column: ColumnDrift) -> str:
    if column.verdict is Verdict.UNKNOWN:
        return "too few rows"
    return "over the limit" if column.verdict in MOVED else ""


def _drift(result: MonitorResult) -> Html:
    heads: Heads = [
        "Column",
        "Verdict",
        num("PSI"),
        num("by chance"),
        num("JS"),
        num("KS"),
        num("Moved by (std)"),
        num("Missing before"),
        num("Missing now"),
        num("Unseen values"),
    ]
    rows: list[list[Content]] = [
        [
            _called(column) if column.role == "score" else name(column.column),
            badge(column.verdict.value),
            fixed(column.psi),
            fixed(column.psi_noise),
            fixed(column.js),
            fixed(column.ks),
            fixed(column.wasserstein),
            percent(column.missing_reference),
            percent(column.missing_current),
            count(column.unseen_count),
        ]
        for column in sorted(result.columns, key=lambda c: -(c.psi or 0.0))
    ]
    compared = paragraph(
        "Inputs are compared with ",
        name(result.reference),
        ", scores with ",
        name(result.score_reference),
        ". “by chance” is the PSI that two samples of this size reach in 1 case of 20; "
        "“moved by” is the mean way of a row (Wasserstein) in standard deviations.",
    )
    return join(
        [
            heading(4, "Drift by column"),
            compared,
            table(heads, rows, caption="Drift", quiet=True, most=150),
        ]
    )


def _quality(result: MonitorResult, measure: Measure) -> Html | None:
    if not result.quality:
        return None
    heads: Heads = [
        "Metric",
        num("When accepted"),
        num("Now"),
        num("Drop"),
        num("Interval of the drop"),
        num("Rows"),
        "Verdict",
    ]
    rows: list[list[Content]] = [
        [
            capital(metric_title(item.metric)),
            measure.text(item.metric, item.reference),
            measure.text(item.metric, item.current),
            measure.difference(item.metric, item.drop),
            measure.apart(item.metric, item.low, item.high),
            count(item.support),
            join([badge(item.verdict.value), " ", item.reason]),
        ]
        for item in result.quality
    ]
    return join(
        [heading(4, "Quality with known labels"), table(heads, rows, caption="Quality", quiet=True)]
    )


def _methods(result: MonitorResult) -> Html:
    limits = definitions(
        [
            (key.replace("_", " "), number(value) if value is not None else "none")
            for key, value in result.limits.items()
        ]
    )
    methods = bullets(f"{title}: {text}" for title, text in result.methods.items())
    return folded("Limits and methods", limits, methods)
