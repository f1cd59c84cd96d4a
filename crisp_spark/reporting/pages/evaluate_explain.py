"""What the model listens to, and what happens when its inputs get worse."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, Curve, horizontal_bars, intervals, lines
from crisp_spark.reporting.html import Html, join
from crisp_spark.reporting.kit import figures, heading, note
from crisp_spark.reporting.numbers import alike, number, percent, plural
from crisp_spark.reporting.words import Measure, metric_title, plain_value
from crisp_spark.results.evaluate import Dependence, EvaluateResult
from crisp_spark.spec.evaluation import metric_info

_MOST = 15


def explanations(result: EvaluateResult, measure: Measure) -> Html | None:
    """Importance, dependence and robustness."""
    importance = _importance(result, measure)
    dependence = [_dependence(item) for item in result.partial_dependence]
    robust = _robustness(result, measure)
    failed = [
        note("warn", f"{point.damage} {percent(point.share)}: {point.error}")
        for point in result.robustness
        if point.error
    ]
    if not (importance or dependence or robust or failed):
        return None
    return join(
        [
            heading(4, "What the model listens to"),
            figures(importance, robust),
            *failed,
            heading(5, "Mean score when one column is set to a value") if dependence else None,
            figures(*dependence),
        ]
    )


def _importance(result: EvaluateResult, measure: Measure) -> Chart | None:
    report = result.importance
    if report is None or not report.items:
        return None
    shown = report.items[:_MOST]
    metric = report.metric
    info = metric_info(result.problem, metric)
    moves = "falls" if info is None or info.higher_is_better else "rises"
    return intervals(
        "Importance of the columns",
        f"Shuffling {shown[0].column} costs most: {metric_title(metric)} {moves} from "
        f"{measure.text(metric, report.base)} by {number(shown[0].drop)} "
        f"({plural(report.rows, 'row')}, {plural(report.repeats, 'repeat')}).",
        [item.column for item in shown],
        [(item.drop, item.low, item.high) for item in shown],
        value_label=f"loss of {metric_title(metric)}",
        fmt=alike(item.drop for item in shown),
        reference=0.0,
        reference_label="no use",
    )


def _dependence(item: Dependence) -> Chart | None:
    points = [point for point in item.points if point.value is not None]
    if not points:
        return None
    low, high = min(points, key=lambda p: p.mean), max(points, key=lambda p: p.mean)
    finding = (
        f"The mean runs from {number(low.mean)} at {plain_value(low.value)} to "
        f"{number(high.mean)} at {plain_value(high.value)}."
    )
    if item.kind == "number":
        across = [point for point in points if isinstance(point.value, int | float)]
        return lines(
            item.column,
            finding,
            [
                Curve(
                    "mean score",
                    [(float(point.value or 0), point.mean) for point in across],
                    band=[(point.low, point.high) for point in across],
                    dots=True,
                )
            ],
            x_label=item.column,
            y_label="mean score",
        )
    return intervals(
        item.column,
        finding,
        [plain_value(point.value) for point in points[:_MOST]],
        [(point.mean, point.low, point.high) for point in points[:_MOST]],
        value_label="mean score",
    )


def _robustness(result: EvaluateResult, measure: Measure) -> Chart | None:
    known = [point for point in result.robustness if point.value is not None]
    if not known:
        return None
    base, metric = known[0].base, known[0].metric
    words = {"missing": "blanked", "swapped": "swapped with another row's"}
    better = measure.higher_is_better(metric)
    worst = (min if better else max)(known, key=lambda point: point.value or 0.0)
    return horizontal_bars(
        f"{metric_title(metric)} when inputs get worse",
        f"With {percent(worst.share)} of the cells {words[worst.damage]} it changes from "
        f"{measure.text(metric, base)} to {measure.text(metric, worst.value)}.",
        [f"{percent(point.share)} of the cells {words[point.damage]}" for point in known],
        [point.value or 0.0 for point in known],
        value_label=metric_title(metric),
        fmt=lambda value: measure.text(metric, value),
        limit=base,
        limit_label="untouched",
    )
