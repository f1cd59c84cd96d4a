"""Evaluation of the other problem types: classes, residuals, clusters, ranked lists."""

from __future__ import annotations

from crisp_spark.reporting.charts import Chart, Curve, columns, confusion_matrix, histogram, lines
from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    definitions,
    facts,
    figures,
    heading,
    note,
    num,
    paragraph,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, fixed, money, number, percent
from crisp_spark.reporting.words import Measure, capital, split_title
from crisp_spark.results.evaluate import EvaluateResult, Residuals, SplitEvaluation

_MOST_CLASSES = 20


def other_parts(result: EvaluateResult, measure: Measure) -> Html | None:
    """What multiclass, regression, clustering and recommendation models have; else None."""
    if result.problem == "binary":
        return None
    shown = [result.splits[s] for s in ("test", "later") if s in result.splits]
    parts: list[Content] = []
    for split in shown:
        if split.class_matrix:
            parts.append(_classes(result, split))
        if split.residuals:
            parts.append(_residuals(split, split.residuals))
    if result.clusters:
        parts.append(_clusters(result))
    if result.ranking:
        ranking = result.ranking
        parts += [
            heading(4, "Ranked lists"),
            facts(
                [
                    ("Length of a list (k)", count(ranking.k)),
                    ("Users", count(ranking.users)),
                    ("Relevant from", number(ranking.relevant_from)),
                ]
            ),
            paragraph(sentence(ranking.note)),
        ]
    readings = [r for r in result.readings if r.slice == "all"]
    for reading in readings:
        worth = f" ({money(reading.money, measure.currency)})" if reading.money is not None else ""
        text = reading.text or f"{count(reading.rows)} rows{worth}"
        parts.append(note("info", sentence(text)))
    return join(parts)


def _classes(result: EvaluateResult, split: SplitEvaluation) -> Html:
    labels = result.classes[:_MOST_CLASSES]
    matrix = [row[: len(labels)] for row in split.class_matrix[: len(labels)]]
    chart = confusion_matrix(
        f"Actual and predicted classes, {split_title(split.split)}",
        _confused(labels, matrix),
        labels,
        matrix,
    )
    heads: Heads = [
        "Class",
        num("Rows"),
        num("Predicted"),
        num("Precision"),
        num("Recall"),
        num("F1"),
    ]
    rows: list[list[Content]] = [
        [
            item.label,
            count(item.support),
            count(item.predicted),
            percent(item.precision.value, 1),
            percent(item.recall.value, 1),
            fixed(item.f1),
        ]
        for item in split.classes
    ]
    title = heading(4, f"Classes, {split_title(split.split)}")
    return join([title, figures(chart), table(heads, rows, caption="By class") if rows else None])


def _confused(labels: list[str], matrix: list[list[int]]) -> str:
    wrong = [
        (amount, labels[actual], labels[predicted])
        for actual, row in enumerate(matrix)
        for predicted, amount in enumerate(row)
        if actual != predicted and amount
    ]
    if not wrong:
        return "Every row got its class."
    amount, actual, predicted = max(wrong)
    return f"Most often “{actual}” is taken for “{predicted}” ({count(amount)} rows)."


def _residuals(split: SplitEvaluation, residuals: Residuals) -> Html:
    bins = residuals.histogram
    total = sum(item.rows for item in bins) or 1
    quantiles = residuals.quantiles
    charts: list[Chart | None] = []
    if bins:
        fullest = max(bins, key=lambda item: item.rows)
        charts.append(
            histogram(
                f"Prediction minus target, {split_title(split.split)}",
                f"{percent(fullest.rows / total)} of the errors lie between {number(fullest.low)} "
                f"and {number(fullest.high)}.",
                [bins[0].low, *(item.high for item in bins)],
                [item.rows for item in bins],
                x_label="error",
                marks=[(0.0, "no error")],
            )
        )
    charts += _deciles(split, residuals)
    spread = definitions(
        [
            (f"{percent(float(share), 0)} of the errors are below", number(value))
            for share, value in quantiles.items()
        ]
    )
    return join([heading(4, f"Errors, {split_title(split.split)}"), figures(*charts), spread])


def _deciles(split: SplitEvaluation, residuals: Residuals) -> list[Chart | None]:
    deciles = residuals.deciles
    if not deciles:
        return []
    worst = max(deciles, key=lambda item: item.mae)
    points = [(item.mean_prediction, item.mean_label) for item in deciles]
    low = min(min(point) for point in points)
    high = max(max(point) for point in points)
    return [
        columns(
            "Mean absolute error by decile of the prediction",
            f"Decile {worst.decile} is hardest: {number(worst.mae)} on average.",
            [str(item.decile) for item in deciles],
            [item.mae for item in deciles],
            x_label="decile, smallest predictions first",
            y_label="mean absolute error",
            fmt=number,
            highlight=[item is worst for item in deciles],
        ),
        lines(
            "Prediction and target by decile",
            "A model without bias lies on the dashed line.",
            [
                Curve(split_title(split.split), points, dots=True),
                Curve("no bias", [(low, low), (high, high)], guide=True),
            ],
            x_label="mean prediction",
            y_label="mean target",
        ),
    ]


def _clusters(result: EvaluateResult) -> Html:
    clusters = result.clusters
    largest = max(clusters, key=lambda part: part.share)
    heads: Heads = [
        "Cluster",
        num("Rows"),
        num("Share"),
        num("Silhouette"),
        num("Within-cluster sum of squares"),
    ]
    rows: list[list[Content]] = [
        [
            f"Cluster {part.cluster}",
            count(part.rows),
            percent(part.share),
            fixed(part.silhouette),
            number(part.within_ss),
        ]
        for part in clusters
    ]
    chart = columns(
        "Rows by cluster",
        capital(
            f"cluster {largest.cluster} is the largest with {percent(largest.share)} of the rows."
        ),
        [str(part.cluster) for part in clusters],
        [part.rows for part in clusters],
        x_label="cluster",
    )
    return join([heading(4, "Clusters"), figures(chart), table(heads, rows, caption="Clusters")])
