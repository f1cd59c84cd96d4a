"""Section of the step ``evaluate``: how good the model is, where, and how sure that is."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, intervals
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
    note,
    num,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, percent, plural
from crisp_spark.reporting.pages.evaluate_binary import binary_part
from crisp_spark.reporting.pages.evaluate_explain import explanations
from crisp_spark.reporting.pages.evaluate_others import other_parts
from crisp_spark.reporting.pages.evaluate_slices import slices_part
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, capital, metric_title, split_title
from crisp_spark.results.evaluate import Comparison, EvaluateResult, MetricValue, StabilityRow
from crisp_spark.spec.evaluation import GAIN_SUFFIX

TITLE = "Model judged"
_GAPS = {
    "train_test": "Training to test",
    "validation_test": "Validation to test",
    "test_later": "Test to later period",
}
SPLIT_ORDER = ("train", "validation", "test", "later")


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(EvaluateResult)
    if result is None:
        return None
    measure = Measure(result.problem, result.currency)
    body = join(
        [
            _lead(result, measure),
            *(note("info", sentence(text)) for text in result.notes),
            _metrics(result, measure),
            figures(main_metric_chart(result, measure)),
            binary_part(result, measure),
            other_parts(result, measure),
            _comparisons(result, measure),
            slices_part(result, measure),
            explanations(result, measure),
            _stability(result, measure),
            _methods(result),
        ]
    )
    return Section("evaluate", TITLE, body)


def evidence(result: EvaluateResult) -> str:
    """The split that the verdict rests on: test rows where there are some."""
    return next((s for s in ("test", "later", "validation", "train") if s in result.splits), "")


def _lead(result: EvaluateResult, measure: Measure) -> Html:
    split = evidence(result)
    metric = result.splits[split].metrics.get(result.main_metric) if split else None
    if metric is None or metric.value is None:
        return lead("The main metric could not be computed.")
    span = measure.span(result.main_metric, metric.low, metric.high)
    sure = f" ({percent(result.confidence, 0)} interval {span})" if metric.low is not None else ""
    return lead(
        f"On the {split_title(split)} ({plural(result.splits[split].labelled_rows, 'row')}) the "
        f"model reaches a {metric_title(result.main_metric)} of "
        f"{measure.text(result.main_metric, metric.value)}{sure}."
    )


def _splits(result: EvaluateResult) -> list[str]:
    return [split for split in SPLIT_ORDER if split in result.splits]


def _metrics(result: EvaluateResult, measure: Measure) -> Html:
    splits = _splits(result)
    listed: dict[str, None] = {result.main_metric: None}
    for split in splits:
        listed.update(dict.fromkeys(result.splits[split].metrics))
    rows: list[list[Content]] = [
        [
            capital(metric_title(metric)),
            *(_cell(result, split, metric, measure) for split in splits),
        ]
        for metric in listed
        if any(metric in result.splits[split].metrics for split in splits)
    ]
    counted = "Rows" if result.problem == "clustering" else "Rows with a label"
    rows.append([counted, *(count(result.splits[s].labelled_rows) for s in splits)])
    heads: Heads = ["Metric", *(num(capital(split_title(split))) for split in splits)]
    caption = f"Metrics with {percent(result.confidence, 0)} intervals"
    return join([table(heads, rows, caption=caption), _meanings(list(listed), measure)])


def _meanings(metrics: list[str], measure: Measure) -> Html:
    pairs: list[tuple[Content, Content]] = []
    for metric in filter(measure.meaning, metrics):
        better = "higher" if measure.higher_is_better(metric) else "lower"
        said = f"{capital(measure.meaning(metric))}; {better} is better."
        pairs.append((capital(metric_title(metric)), said))
    return folded("What the metrics mean", definitions(pairs)) if pairs else Html("")


def _cell(result: EvaluateResult, split: str, metric: str, measure: Measure) -> Content:
    value: MetricValue | None = result.splits[split].metrics.get(metric)
    if value is None:
        return None
    if value.value is None:
        return tag("small", value.reason or "unknown")
    text = measure.text(metric, value.value)
    if value.low is None:
        return text
    return join([text, tag("br"), tag("small", measure.span(metric, value.low, value.high))])


def main_metric_chart(result: EvaluateResult, measure: Measure) -> Chart | None:
    """The main metric over the splits, against the best baseline on the same rows."""
    metric = result.main_metric
    rows = []
    for split in _splits(result):
        value = result.splits[split].metrics.get(metric)
        if value is not None and value.value is not None:
            rows.append((split, value))
    if not rows:
        return None
    at = evidence(result)
    baseline = _baseline(result, at)
    known = {split: value.value for split, value in rows}
    finding = f"The interval tells how far chance alone could move {metric_title(metric)}."
    if "train" in known and at in known and at != "train":
        gap = (known[at] or 0.0) - (known["train"] or 0.0)
        changed = measure.difference(metric, gap)
        finding = f"From the training rows to the {split_title(at)} it changes by {changed}."
    return intervals(
        f"{capital(metric_title(metric))} over the splits",
        finding,
        [capital(split_title(split)) for split, _ in rows],
        [(value.value or 0.0, value.low, value.high) for _, value in rows],
        value_label=metric_title(metric),
        fmt=lambda value: measure.text(metric, value),
        reference=baseline.other_value if baseline else None,
        reference_label=f"{baseline.other}, {split_title(at)}" if baseline else "",
        highlight=[split == at for split, _ in rows],
        notes=[f"({plural(result.splits[split].labelled_rows, 'row')})" for split, _ in rows],
    )


def _baseline(result: EvaluateResult, split: str) -> Comparison | None:
    """The comparison with the baseline that comes nearest to the model."""
    known = [
        c
        for c in result.comparisons
        if c.split == split
        and c.metric == result.main_metric
        and c.other.startswith("baseline")
        and c.other_value is not None
        and c.gain.value is not None
    ]
    return min(known, key=lambda c: c.gain.value or 0.0, default=None)


def _comparisons(result: EvaluateResult, measure: Measure) -> Html | None:
    if not result.comparisons:
        return None
    main = main_metrics(result)
    first = [item for item in result.comparisons if item.metric in main]
    others = [item for item in result.comparisons if item.metric not in main]
    return join(
        [
            heading(4, "Against baselines and the model in use"),
            _compared(first, measure) if first else None,
            folded("By the other metrics", _compared(others, measure), css="card")
            if others
            else None,
        ]
    )


def main_metrics(result: EvaluateResult) -> set[str]:
    """Metrics that somebody asked for: the sweep's, the money's, and those of the criteria."""
    asked = {measured.metric.removesuffix(GAIN_SUFFIX) for measured in result.measured}
    return {result.main_metric, "value_per_row", "cost_per_row", *asked}


def _compared(comparisons: list[Comparison], measure: Measure) -> Html:
    heads: Heads = [
        "Against",
        "Rows",
        "Metric",
        num("Model"),
        num("Other"),
        num("Advantage"),
        "Verdict",
    ]
    verdicts: dict[bool | None, Html] = {
        True: badge("pass", "better"),
        False: badge("fail", "worse"),
        None: badge("unknown", "not told apart"),
    }
    rows: list[list[Content]] = [
        [
            c.other,
            capital(split_title(c.split)),
            metric_title(c.metric),
            measure.text(c.metric, c.model),
            measure.text(c.metric, c.other_value),
            _advantage(c, measure),
            verdicts[c.better],
        ]
        for c in comparisons
    ]
    return table(heads, rows, caption="Same rows, the model against others", quiet=True, most=150)


def _advantage(comparison: Comparison, measure: Measure) -> Content:
    gain, metric = comparison.gain, comparison.metric
    text = measure.difference(metric, gain.value)
    if gain.low is None:
        return text
    return join([text, tag("br"), tag("small", measure.apart(metric, gain.low, gain.high))])


def _stability(result: EvaluateResult, measure: Measure) -> Html | None:
    gaps = {gap for row in result.stability for gap in row.gaps}
    shown = {gap: title for gap, title in _GAPS.items() if gap in gaps}
    if not shown:
        return None
    main = main_metrics(result)
    first = [row for row in result.stability if row.metric in main]
    others = [row for row in result.stability if row.metric not in main]
    return join(
        [
            heading(4, "Stability"),
            _moved(first, shown, measure) if first else None,
            folded("By the other metrics", _moved(others, shown, measure), css="card")
            if others
            else None,
        ]
    )


def _moved(rows: list[StabilityRow], shown: dict[str, str], measure: Measure) -> Html:
    written: list[list[Content]] = []
    for row in rows:
        cells: list[Content] = [capital(metric_title(row.metric))]
        for gap in shown:
            value = row.gaps.get(gap)
            cells.append(_gap(row.metric, value, measure) if value else None)
        written.append(cells)
    heads: Heads = ["Metric", *map(num, shown.values())]
    caption = "Change from one set of rows to the next, with intervals"
    return table(heads, written, caption=caption)


def _gap(metric: str, value: MetricValue, measure: Measure) -> Content:
    text = measure.difference(metric, value.value)
    if value.low is None or value.high is None:
        return text
    kept = value.low <= 0 <= value.high
    span = measure.apart(metric, value.low, value.high)
    return join([text, tag("br"), tag("small", f"{span}, {'within chance' if kept else 'real'}")])


def _methods(result: EvaluateResult) -> Html:
    items = [f"{title}: {text}" for title, text in result.methods.items()]
    said = (
        f"{percent(result.confidence, 0)} confidence, {count(result.bootstrap)} resamples, "
        f"seed {result.seed}."
    )
    return folded("How the intervals were made", tag("p", said), bullets(items))
