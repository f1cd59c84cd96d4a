"""Labels and scores: the columns that every scored frame has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import DataError, MissingColumnsError
from crisp_spark.modeling.statements import number, text
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import Column, DataFrame

    from crisp_spark.spec.business import MiningGoal

LABEL = "_crisp_label"
SCORE = "_crisp_score"
PREDICTION = "_crisp_prediction"
PROBABILITIES = "_crisp_probabilities"
FOLD = "_crisp_fold"

MODEL_COLUMNS = ("features", "rawPrediction", "probability", "prediction", "topicDistribution")
"""Columns that a fitted pipeline writes; inputs must not have these names."""

MOST_CLASSES = 200
_WORKING = re.compile(r"_crisp_[a-z]\d+")


def class_names(rows: DataFrame, goal: MiningGoal) -> tuple[str, ...]:
    """Return the classes of the target as text, numbers in numeric order; empty for no classes.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one for multiclass, else none.

    Raises:
        DataError: Fewer than two classes, or more than a model can tell apart.
    """
    if goal.problem == "binary":
        if isinstance(goal.positive, bool):
            return ("false", "true") if goal.positive else ("true", "false")
        return f"not {goal.positive}", str(goal.positive)
    if goal.problem != "multiclass" or goal.target is None:
        return ()
    target = F.col(quoted(goal.target))
    found = rows.where(target.isNotNull()).select(target.cast("string")).distinct()
    names = [row[0] for row in found.limit(MOST_CLASSES + 1).collect()]
    if not 1 < len(names) <= MOST_CLASSES:
        raise DataError(
            f"modeling: target {goal.target!r} has "
            f"{len(names) if len(names) < MOST_CLASSES else f'more than {MOST_CLASSES}'} classes, "
            f"2 to {MOST_CLASSES} are needed",
            hint="a number is predicted by problem: regression",
        )
    return tuple(sorted(names, key=_class_order))


def _class_order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def label_sql(goal: MiningGoal, kind: T.DataType, classes: Sequence[str]) -> str:
    """Return the SQL of the label: 1 for the positive class, the class's index, or the value."""
    target = quoted(goal.target or "")
    if goal.problem == "multiclass":
        names = ", ".join(text(name) for name in classes)
        place = f"array_position(array({names}), CAST({target} AS STRING))"
        return f"CAST(nullif({place}, 0) - 1 AS DOUBLE)"
    if goal.problem != "binary":
        value = f"CAST({target} AS DOUBLE)"
        return f"CASE WHEN abs({value}) < double('infinity') THEN {value} END"
    positive = goal.positive
    if isinstance(kind, T.BooleanType):
        wanted = str(positive).lower() in ("true", "1", "1.0", "yes")
        test = f"{target} = {'true' if wanted else 'false'}"
    elif isinstance(kind, T.NumericType):
        try:
            test = f"CAST({target} AS DOUBLE) = {number(float(positive or 0))}"
        except ValueError as error:
            raise DataError(
                f"business.mining_goal.positive: {goal.target!r} holds numbers, got {positive!r}"
            ) from error
    else:
        plain = str(positive).lower() if isinstance(positive, bool) else str(positive)
        test = f"CAST({target} AS STRING) = {text(plain)}"
    return f"CASE WHEN {target} IS NULL THEN NULL WHEN {test} THEN 1D ELSE 0D END"


def with_label(frame: DataFrame, goal: MiningGoal, classes: Sequence[str]) -> DataFrame:
    """Add the label; null where the target is unknown, or for clustering.

    Rows: all. Adds: ``_crisp_label`` double. Drops: nothing. Jobs: none.

    Raises:
        MissingColumnsError: The target is not there.
    """
    if goal.target is None:
        return frame.withColumn(LABEL, F.lit(None).cast("double"))
    fields = {field.name: field.dataType for field in frame.schema.fields}
    if goal.target not in fields:
        raise MissingColumnsError("modeling: target", [goal.target], list(fields))
    return frame.withColumn(LABEL, F.expr(label_sql(goal, fields[goal.target], classes)))


def score_columns(frame: DataFrame, problem: str) -> dict[str, Column]:
    """Return the score columns of a frame that a model has transformed.

    A classifier without probabilities (a support vector machine) gives the logistic of its
    margin: an order, not a probability.
    """
    names = set(frame.columns)
    if problem == "clustering" and "prediction" not in names:
        topics = vector_to_array(F.col("topicDistribution"))
        # By name: in Spark 3.5 the Python function takes no column for the element looked for.
        place = F.call_function("array_position", topics, F.array_max(topics))
        best = (place - 1).cast("double")
        return {PREDICTION: best, SCORE: F.array_max(topics)}
    prediction = F.col("prediction").cast("double")
    if problem in ("binary", "multiclass"):
        if "probability" in names:
            shares = vector_to_array(F.col("probability"))
        else:
            margins = vector_to_array(F.col("rawPrediction"))
            shares = F.transform(margins, lambda margin: 1 / (1 + F.exp(-margin)))
        if problem == "binary":
            return {SCORE: shares[1], PREDICTION: prediction}
        total = F.aggregate(shares, F.lit(0.0), lambda total, share: total + share)
        shares = F.transform(shares, lambda share: share / total)
        return {SCORE: F.array_max(shares), PREDICTION: prediction, PROBABILITIES: shares}
    if "probability" in names:
        return {SCORE: F.array_max(vector_to_array(F.col("probability"))), PREDICTION: prediction}
    return {SCORE: prediction, PREDICTION: prediction}


def score_frame(
    model: PipelineModel, frame: DataFrame, problem: str, *, keep_features: bool = False
) -> DataFrame:
    """Score rows by a fitted pipeline.

    Args:
        model: Pipeline from the merged row to the prediction.
        frame: Rows with the model's input columns; other columns stay.
        problem: binary, multiclass, regression, clustering or recommendation.
        keep_features: Whether the feature vector stays as ``features`` (for silhouettes).

    Rows: all. Adds: ``_crisp_score``, ``_crisp_prediction`` and, for several classes,
    ``_crisp_probabilities``. Drops: earlier scores. Jobs: none.
    """
    plain = frame.drop(SCORE, PREDICTION, PROBABILITIES)
    scored = model.transform(plain)
    added = score_columns(scored, problem)
    vectors = [F.col("features")] if keep_features and "features" in scored.columns else []
    kept = [F.col(quoted(name)) for name in plain.columns]
    return scored.select(*kept, *vectors, *(column.alias(name) for name, column in added.items()))


def is_working_column(name: str) -> bool:
    """Say whether a column is one that a pipeline adds on its way."""
    return _WORKING.fullmatch(name) is not None
