"""Folded parts of the sweep's section: features, columns left out, design of the test."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html
from crisp_spark.reporting.kit import (
    Heads,
    definitions,
    folded,
    name,
    names,
    num,
    paragraph,
    prose,
    table,
)
from crisp_spark.reporting.numbers import count, duration, number, plural
from crisp_spark.results.sweep import FeatureResult, SweepResult


def lineage(result: SweepResult) -> Html:
    """Where each feature comes from and what was done to it; a recommender has none."""
    reads = paragraph("The model reads ", names(result.model_columns, most=60), ".")
    if not result.features:
        return reads
    heads: Heads = [
        "Feature",
        "From",
        "Kind",
        prose("What was done"),
        num("Places"),
        num("Missing"),
    ]
    rows = [_feature_row(feature) for feature in result.features]
    written = table(heads, rows, caption="Features in the order of the vector", most=200)
    summary = f"Where the {plural(len(result.features), 'feature')} of the model come from"
    return folded(summary, reads, written, css="card")


def _feature_row(feature: FeatureResult) -> list[Content]:
    done = ", then ".join(feature.transforms) or "taken as it is"
    return [
        name(feature.name),
        names(feature.source_columns),
        feature.kind,
        f"{done} (chosen automatically)" if feature.automatic else done,
        count(feature.slots),
        count(feature.missing + feature.not_numbers),
    ]


def excluded(result: SweepResult) -> Html | None:
    """Columns that are no features, with reasons."""
    if not result.excluded:
        return None
    rows: list[list[Content]] = [[name(item.column), item.reason] for item in result.excluded]
    written = table(
        ["Column", prose("Why")], rows, caption="Columns left out", quiet=True, most=200
    )
    return folded(
        f"{plural(len(result.excluded), 'column')} left out, and why", written, css="card"
    )


def design(result: SweepResult) -> Html:
    """How the trials were planned and validated."""
    plan = result.plan
    folds: list[list[Content]] = [
        [
            f"fold {fold.fold}",
            count(fold.train_rows),
            count(fold.validation_rows),
            count(fold.features),
            duration(fold.seconds),
        ]
        for fold in result.folds
    ]
    heads: Heads = [
        "Fold",
        num("Rows fitted on"),
        num("Rows scored"),
        num("Features"),
        num("Preparation"),
    ]
    weights = ", ".join(f"{label}: {number(value)}" for label, value in plan.class_weights.items())
    described = definitions(
        [
            ("Search", plan.search),
            ("Validation", plan.validation.replace("_", " ")),
            ("Trials planned", count(plan.planned)),
            ("Taken over from before", count(plan.resumed) if plan.resumed else ""),
            ("Left out by the budget", count(plan.left_out) if plan.left_out else ""),
            ("Stopped early", plan.stopped),
            ("Rows sampled for trials", count(plan.rows) if plan.rows else ""),
            ("Class weights", weights),
            ("Partitions", count(plan.partitions)),
        ]
    )
    return folded(
        "Design of the test", described, table(heads, folds, caption="Validation folds"), css="card"
    )
