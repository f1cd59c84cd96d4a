"""Wires the step that watches a model in use."""

from __future__ import annotations

from datetime import date, datetime

from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.run.steprun import Note, Outcome, StepRun


def monitor(run: StepRun) -> Outcome:
    """Compare the newest labelled rows with what the model was made from and accepted on."""
    from pyspark.sql import functions as F

    from crisp_spark.deployment.monitor import SCORE, Times, Watched, measure_monitoring

    sweep = run.result(SweepResult)
    current = "later" if run.has("later") and run.rows("later") else "test"
    train, now = run.read("train"), run.read(current)
    columns = [
        name for name in sweep.model_columns if name in train.columns and name in now.columns
    ]
    validation, predictions = run.read("validation"), run.read("predictions")
    scores = None
    if SCORE in validation.columns and SCORE in predictions.columns:
        newest = predictions.filter(F.col("_crisp_split") == current)
        scores = Watched(
            ("validation", current), validation, newest, [SCORE], run.rows("validation")
        )
    result = measure_monitoring(
        Watched(("train", current), train, now, columns, run.rows("train")),
        scores,
        run.result(EvaluateResult),
        run.spec.deployment.monitoring,
        times=Times(run.started.date(), _made_on(run)),
        pii=frozenset(
            name
            for source in run.spec.data.sources.values()
            for name, column in source.columns.items()
            if column.pii
        ),
    )
    level = "warning" if result.alarms else "info"
    note = f"{len(result.columns)} columns compared, {len(result.alarms)} alarms"
    return Outcome(result, [Note(note, level)], {"alarms": float(len(result.alarms))})


def _made_on(run: StepRun) -> date:
    """Day of the sweep's commit that this step reads."""
    key = run.lineage().get("sweep")
    for commit in run.commits("sweep"):
        created = commit["created"]
        if commit["stage_key"] == key and isinstance(created, datetime):
            return created.date()
    return run.started.date()
