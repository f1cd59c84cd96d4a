"""Where the model is weak, and which groups are worth acting on."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, intervals
from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    badge,
    bullets,
    figures,
    folded,
    heading,
    name,
    num,
    paragraph,
    table,
)
from crisp_spark.reporting.numbers import alike, count, money, number, percent, plural
from crisp_spark.reporting.words import Measure, metric_title, split_title
from crisp_spark.results.evaluate import EvaluateResult, SliceReport, SliceResult

_MOST_IN_CHART = 12


def slices_part(result: EvaluateResult, measure: Measure) -> Html | None:
    """The weakest slices, readings by declared slice, and the groups to target."""
    parts: list[Content] = []
    if result.slices is not None and result.slices.slices:
        parts += [
            heading(4, "Where the model is weak"),
            _words(result.slices),
            figures(_chart(result.slices)),
            _table(result.slices, measure),
        ]
    parts += [_readings(result), _groups(result, measure)]
    return join(parts)


def _words(report: SliceReport) -> Html:
    weak = [found for found in report.slices if found.weak]
    said = (
        f"{plural(report.tested, 'slice')} of the {split_title(report.split)} with at least "
        f"{plural(report.min_support, 'row')} were compared with all other rows by {report.loss}. "
    )
    if weak:
        verdict = f"In {count(len(weak))} of those shown the model does worse than chance explains."
    else:
        verdict = "In none of them does the model do worse than chance explains."
    return paragraph(
        said,
        verdict,
        f" Intervals hold together with {percent(report.confidence, 0)} confidence.",
    )


def _chart(report: SliceReport) -> Chart | None:
    shown = report.slices[:_MOST_IN_CHART]
    worst = shown[0]
    return intervals(
        f"Excess loss by slice: {report.loss}",
        f"{worst.name} costs most in sum: {number(worst.harm)} beyond the overall mean.",
        [found.name for found in shown],
        [(found.excess, found.low, found.high) for found in shown],
        value_label="excess loss per row",
        fmt=alike(found.excess for found in shown),
        reference=0.0,
        reference_label="as all other rows",
        highlight=[found.weak for found in shown],
        notes=["weak" if found.weak else "" for found in shown],
    )


def _table(report: SliceReport, measure: Measure) -> Html:
    metrics = list(dict.fromkeys(m for found in report.slices for m in found.metrics))[:4]
    valued = any(found.net_value is not None for found in report.slices)
    heads: Heads = [
        "Slice",
        "Origin",
        num("Rows"),
        num("Excess per row"),
        num("Interval"),
        num("Harm in sum"),
        *(num(metric_title(metric)) for metric in metrics),
        *([num("Net value")] if valued else []),
        "Verdict",
    ]
    rows = [_row(found, metrics, measure, valued=valued) for found in report.slices]
    written = table(heads, rows, caption="Slices, greatest harm first", most=40)
    skipped = [f"{column}: {why}" for column, why in report.skipped.items()]
    return folded(
        "All slices in numbers",
        written,
        heading(5, "Columns not looked at") if skipped else None,
        bullets(skipped),
        css="card",
    )


def _row(
    found: SliceResult, metrics: list[str], measure: Measure, *, valued: bool
) -> list[Content]:
    return [
        name(found.name),
        "declared" if found.declared else "found",
        count(found.rows),
        number(found.excess),
        f"{number(found.low)} to {number(found.high)}",
        number(found.harm),
        *(measure.text(metric, found.metrics.get(metric)) for metric in metrics),
        *([money(found.net_value, measure.currency)] if valued else []),
        badge("warn", "weak") if found.weak else badge("unknown", "not told apart"),
    ]


def _readings(result: EvaluateResult) -> Html | None:
    sliced = [reading for reading in result.readings if reading.slice != "all" and reading.text]
    if not sliced:
        return None
    return folded(
        f"{plural(len(sliced), 'outcome')} read out by slice",
        bullets(reading.text for reading in sliced[:60]),
        css="card",
    )


def _groups(result: EvaluateResult, measure: Measure) -> Html | None:
    if not result.target_groups:
        return None
    valued = any(group.value_per_row is not None for group in result.target_groups)
    heads: Heads = [
        "Group",
        num("Rows"),
        num("Observed rate"),
        num("Alerts"),
        num("Precision"),
        *([num("Value per row")] if valued else []),
    ]
    rows: list[list[Content]] = [
        [
            name(group.name),
            count(group.rows),
            percent(group.rate),
            percent(group.alert_rate),
            percent(group.precision),
            *([money(group.value_per_row, measure.currency)] if valued else []),
        ]
        for group in result.target_groups
    ]
    return join(
        [
            heading(4, "Groups to act on"),
            table(heads, rows, caption="Groups in which acting pays most", quiet=True),
        ]
    )
