"""Evaluation of a binary model: confusion matrix, curves, threshold and money."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, Curve, confusion_matrix, lines
from crisp_spark.reporting.html import Html, join
from crisp_spark.reporting.kit import bullets, figures, heading, paragraph, sentence
from crisp_spark.reporting.numbers import count, fixed, money, number, percent, short
from crisp_spark.reporting.words import Measure, capital, outcome_title, split_title
from crisp_spark.results.evaluate import EvaluateResult, Reading, SplitEvaluation, ThresholdChoice

_CURVED = ("validation", "test", "later")


def binary_part(result: EvaluateResult, measure: Measure) -> Html | None:
    """All that only a binary model has; None for other problems."""
    if result.problem != "binary":
        return None
    shown = [result.splits[split] for split in ("test", "later") if split in result.splits]
    matrices = [_confusion(result, split) for split in shown]
    return join(
        [
            heading(4, "Right and wrong decisions"),
            _threshold_words(result.threshold),
            figures(*matrices),
            _readings(result, measure),
            heading(4, "What the threshold costs and brings") if result.threshold else None,
            figures(*_threshold_charts(result, measure)),
            heading(4, "How well rows are ordered, and how honest the scores are"),
            figures(_roc(result), _precision_recall(result), _calibration(result), _gain(result)),
        ]
    )


def _labels(result: EvaluateResult) -> list[str]:
    if len(result.classes) == 2:  # noqa: PLR2004 - negative, positive
        return [plain_class(result.classes[0]), plain_class(result.classes[1])]
    return ["negative", "positive"]


def plain_class(label: str) -> str:
    """A class as it stands in the data; the truth values in words."""
    return {"true": "yes", "false": "no"}.get(label.lower(), label)


def _confusion(result: EvaluateResult, split: SplitEvaluation) -> Chart | None:
    c = split.confusion
    if c is None:
        return None
    alerts, positives = c.tp + c.fp, c.tp + c.fn
    finding = (
        f"Of {count(positives)} positives {count(c.tp)} got an alert"
        f"{_share(c.tp, positives)}; of {count(alerts)} alerts {count(c.tp)} were right"
        f"{_share(c.tp, alerts)}."
    )
    title = f"{capital(split_title(split.split))} at the threshold {number(c.threshold)}"
    return confusion_matrix(title, finding, _labels(result), [[c.tn, c.fp], [c.fn, c.tp]])


def _share(part: int, whole: int) -> str:
    return f" ({percent(part / whole, 1)})" if whole else ""


def _threshold_words(choice: ThresholdChoice | None) -> Html | None:
    return paragraph(sentence(choice.explanation)) if choice else None


def _readings(result: EvaluateResult, measure: Measure) -> Html | None:
    chosen = [r for r in result.readings if r.slice == "all" and r.split in ("test", "later")]
    if not chosen:
        return None
    parts = []
    for split in ("test", "later"):
        readings = [reading for reading in chosen if reading.split == split]
        if readings:
            parts.append(heading(5, f"Read out: {split_title(split)}"))
            parts.append(bullets(_reading(reading, measure) for reading in readings))
    return join(parts)


def _reading(reading: Reading, measure: Measure) -> str:
    if reading.text:
        return reading.text
    worth = f", worth {money(reading.money, measure.currency)}" if reading.money is not None else ""
    return f"{count(reading.rows)} {outcome_title(reading.outcome)}{worth}."


def _threshold_charts(result: EvaluateResult, measure: Measure) -> list[Chart | None]:
    choice = result.threshold
    if choice is None or not choice.curve:
        return []
    return [_value_chart(choice, measure), _trade_chart(choice)]


def _marks(choice: ThresholdChoice) -> list[tuple[float, str]]:
    marks = [(choice.value, f"chosen {number(choice.value)}")]
    if choice.capacity_binds and choice.unlimited is not None:
        marks.append((choice.unlimited, f"without limit {number(choice.unlimited)}"))
    return marks


def _over_capacity(choice: ThresholdChoice) -> tuple[float, float, str] | None:
    """Range of thresholds that would raise more alerts than can be acted on."""
    if choice.capacity_share is None:
        return None
    beyond = [p.threshold for p in choice.curve if p.alert_rate > choice.capacity_share]
    return (0.0, max(beyond), "over capacity") if beyond else None


def _value_chart(choice: ThresholdChoice, measure: Measure) -> Chart | None:
    points = [(p.threshold, p.value_per_row) for p in choice.curve if p.value_per_row is not None]
    if not points:
        return None
    currency = measure.currency
    best = max(points, key=lambda point: point[1])
    at = min(points, key=lambda point: abs(point[0] - choice.value))
    finding = (
        f"The chosen threshold is worth {money(round(at[1], 2), currency)} per row on the "
        f"{split_title(choice.chosen_on)}; the best of all would be worth "
        f"{money(round(best[1], 2), currency)}."
    )
    return lines(
        "Net value by threshold",
        finding,
        [Curve("net value per row", points)],
        x_label="threshold",
        y_label=f"{currency} per row".strip(),
        x_range=(0.0, 1.0),
        y_fmt=lambda value: number(value, 3),
        marks=_marks(choice),
        shade=_over_capacity(choice),
    )


def _trade_chart(choice: ThresholdChoice) -> Chart:
    def curve(name: str, attribute: str) -> Curve:
        values = [(p.threshold, getattr(p, attribute)) for p in choice.curve]
        return Curve(name, [(x, y) for x, y in values if y is not None])

    capacity = choice.capacity_share
    limit = f" Capacity is {percent(capacity)} of the rows." if capacity is not None else ""
    at = min(choice.curve, key=lambda point: abs(point.threshold - choice.value))
    guides = [Curve("capacity", [(0.0, capacity), (1.0, capacity)], guide=True)] if capacity else []
    return lines(
        "Precision, recall and alerts by threshold",
        f"At the chosen threshold {percent(at.alert_rate)} of the rows get an alert.{limit}",
        [
            curve("precision", "precision"),
            curve("recall", "recall"),
            curve("alert rate", "alert_rate"),
            *guides,
        ],
        x_label="threshold",
        y_label="share",
        x_range=(0.0, 1.0),
        y_range=(0.0, 1.0),
        marks=[(choice.value, f"chosen {number(choice.value)}")],
    )


def _curved(result: EvaluateResult) -> list[SplitEvaluation]:
    return [result.splits[s] for s in _CURVED if s in result.splits and result.splits[s].curves]


def _metric_words(splits: list[SplitEvaluation], metric: str) -> str:
    words = [
        f"{fixed(value.value)} on the {split_title(split.split)}"
        for split in splits
        if (value := split.metrics.get(metric)) and value.value is not None
    ]
    return ", ".join(words)


def _roc(result: EvaluateResult) -> Chart | None:
    splits = [s for s in _curved(result) if s.curves and s.curves.roc]
    if not splits:
        return None
    curves = [
        Curve(split_title(s.split), [(p.x, p.y) for p in s.curves.roc]) for s in splits if s.curves
    ]
    return lines(
        "ROC",
        f"Area under the curve: {_metric_words(splits, 'roc_auc')}; 0.5 is chance.",
        [*curves, Curve("chance", [(0, 0), (1, 1)], guide=True)],
        x_label="false positive rate",
        y_label="recall",
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _precision_recall(result: EvaluateResult) -> Chart | None:
    splits = [s for s in _curved(result) if s.curves and s.curves.pr]
    if not splits:
        return None
    curves = [
        Curve(split_title(s.split), [(p.x, p.y) for p in s.curves.pr]) for s in splits if s.curves
    ]
    last = splits[-1]
    rate = (last.positives or 0) / last.labelled_rows if last.labelled_rows else 0.0
    return lines(
        "Precision and recall",
        f"Area under the curve: {_metric_words(splits, 'pr_auc')}; chance is {percent(rate)}.",
        [*curves, Curve("chance", [(0, rate), (1, rate)], guide=True)],
        x_label="recall",
        y_label="precision",
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _calibration(result: EvaluateResult) -> Chart | None:
    splits = [s for s in _curved(result) if s.curves and s.curves.calibration][-2:]
    if not splits:
        return None
    curves = [
        Curve(
            split_title(s.split),
            [(b.mean_score, b.rate) for b in s.curves.calibration],
            band=[(b.low, b.high) for b in s.curves.calibration],
            dots=True,
        )
        for s in splits
        if s.curves
    ]
    errors = ", ".join(
        f"{percent(s.curves.calibration_error)} on the {split_title(s.split)}"
        for s in splits
        if s.curves and s.curves.calibration_error is not None
    )
    return lines(
        "Calibration",
        f"Scores miss the observed rate by {errors or 'an unknown amount'} on average.",
        [*curves, Curve("perfect", [(0, 0), (1, 1)], guide=True)],
        x_label="mean score",
        y_label="observed rate",
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _gain(result: EvaluateResult) -> Chart | None:
    splits = [s for s in _curved(result) if s.curves and s.curves.gains]
    if not splits:
        return None
    curves = [
        Curve(split_title(s.split), [(0.0, 0.0), *((p.share, p.gain) for p in s.curves.gains)])
        for s in splits
        if s.curves
    ]
    shown = next((s for s in splits if s.split == "test"), splits[-1])
    points = shown.curves.gains if shown.curves else []
    tenth = min(points, key=lambda p: abs(p.share - 0.1))
    finding = (
        f"The best-scored {percent(tenth.share)} of the rows hold {percent(tenth.gain)} of the "
        f"positives, {number(tenth.lift)} times as many as chance ({split_title(shown.split)})."
    )
    return lines(
        "Gain",
        finding,
        [*curves, Curve("chance", [(0, 0), (1, 1)], guide=True)],
        x_label="share of rows, best scores first",
        y_label="share of positives found",
        x_range=(0, 1),
        y_range=(0, 1),
        x_fmt=short,
    )
