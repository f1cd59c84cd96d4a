"""Makes the input of learners from rows: vectors, or codes of users and items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark import StorageLevel
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer, StandardScaler, StringIndexer
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import ModelError
from crisp_spark.modeling.estimators import CENSOR, ITEM, RATING_SCORE, USER, WEIGHT
from crisp_spark.modeling.features import FEATURES, FeaturePlan, FittedFeatures, fit_features
from crisp_spark.modeling.fitting import FeatureContext
from crisp_spark.modeling.folds import TURN, fold_column
from crisp_spark.modeling.formatting import Ends, InputFacts
from crisp_spark.modeling.labels import FOLD, LABEL
from crisp_spark.modeling.layout import sampled
from crisp_spark.modeling.statements import Definition, number, statement
from crisp_spark.modeling.statistics import Targets
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.shared import SharedSet
    from crisp_spark.spec.business import OutcomeValues

_UNSCALED = "_crisp_v0"
_HALVES = f"CAST(pmod(xxhash64(%d, {FOLD}, %s), 2) AS INT)"
_MOST_METRIC_ROWS = 1_000_000
_MOST_CLUSTER_CELLS = 4_000_000


@dataclass(frozen=True)
class PreparationTask:
    """What preparation needs to know; the same for every fold.

    Attributes:
        problem: Kind of problem.
        classes: Class names.
        features: What features are made of.
        key: Columns that name a row.
        seed: Seed of samples and learners.
        trial_rows: Training rows sampled for the trials; None for all.
        class_weights: ``none``, ``balanced``, ``outcome_values`` or weight by class name.
        values: What outcomes are worth.
        user: Column of the user (recommendation).
        item: Column of the item (recommendation).
        standardize: Whether vectors are brought to one scale for all learners (clustering).
    """

    problem: str
    classes: tuple[str, ...]
    features: FeaturePlan
    key: tuple[str, ...] = ()
    seed: int = 42
    trial_rows: int | None = None
    class_weights: str | Mapping[str, float] = "none"
    values: OutcomeValues | None = None
    user: str | None = None
    item: str | None = None
    standardize: bool = False


@dataclass(frozen=True)
class FoldRows:
    """Rows of a fold.

    Attributes:
        train: Rows to fit on.
        validation: Rows to score.
        validation_rows: Number of them.
        folds: Folds among the training rows.
        weights: Weight by label.
        class_counts: Rows to fit on by label.
        label_mean: Mean of their label.
        shared: What is measured together with other folds.
    """

    train: DataFrame
    validation: DataFrame | None
    validation_rows: int
    folds: Sequence[int]
    weights: Mapping[float, float]
    class_counts: Mapping[float, int]
    label_mean: float
    shared: SharedSet | None = None

    def validation_share(self, task: PreparationTask, width: int) -> float:
        """Return the share of rows to score that fits the driver, 1 or more for all."""
        most = _MOST_METRIC_ROWS
        if task.problem == "clustering":
            most = max(_MOST_CLUSTER_CELLS // max(width, 1), 1000)
        return most / max(self.validation_rows, 1)

    def bounded_validation(self, task: PreparationTask, width: int) -> DataFrame | None:
        """Return as many rows to score as fit the driver, chosen by hash."""
        if self.validation is None:
            return None
        return sampled(self.validation, self.validation_share(task, width), task.key, task.seed + 2)


@dataclass(frozen=True)
class Made:
    """What one way of preparation makes."""

    stages: tuple[Transformer, ...]
    post: tuple[Transformer, ...]
    train: DataFrame
    validation: DataFrame | None
    fitted: FittedFeatures | None


def targets_of(task: PreparationTask, rows: DataFrame, folds: Sequence[int]) -> Targets:
    """Say how target encodings stay out of fold: by other folds, or by halves of the only one."""
    if task.problem == "clustering":
        return Targets()
    sqls: tuple[str, ...] = (LABEL,)
    if task.problem == "multiclass":
        sqls = tuple(f"{LABEL} = {number(float(at))}" for at in range(len(task.classes)))
        sqls = tuple(f"CAST({sql} AS DOUBLE)" for sql in sqls)
    part, parts = fold_column(min(folds, default=0) // TURN), tuple(folds)
    if len(folds) < 2:  # noqa: PLR2004
        # The hash needs no key to be the same for the same row.
        plain = [
            quoted(f.name)
            for f in rows.schema.fields
            if not isinstance(f.dataType, T.MapType | T.ArrayType | T.StructType)
        ]
        keys = [quoted(name) for name in task.key] or plain
        part, parts = _HALVES % (task.seed, ", ".join(keys)), (0, 1)
    return Targets(sqls, part, parts)


def make_vectors(asked: FoldRows, task: PreparationTask) -> Made:
    """Fit features, and turn rows into cached vectors.

    Rows: those of the fold. Adds: ``features``. Drops: all but label, weight and censor. Jobs:
    those of the fitted operations.
    """
    train = asked.train
    context = FeatureContext(
        problem=task.problem,
        targets=targets_of(task, train, asked.folds),
        label="" if task.problem == "clustering" else LABEL,
        classes=() if task.problem == "clustering" else task.classes,
        seed=task.seed,
        shared=asked.shared,
    )
    fitted = fit_features(train, task.features, context)
    extra = [name for name in (LABEL, CENSOR) if name in train.columns]
    stages, vectors = fitted.stages, fitted.training_frame()
    if task.standardize:
        # Not centred: distances do not change, and counts stay counts.
        renamed = stages[-1].copy()
        renamed.set(renamed.getParam("outputCol"), _UNSCALED)
        vectors = vectors.withColumnRenamed(FEATURES, _UNSCALED)
        scaler = StandardScaler(
            inputCol=_UNSCALED, outputCol=FEATURES, withStd=True, withMean=False
        ).fit(vectors)
        vectors, stages = scaler.transform(vectors), (*stages[:-1], renamed, scaler)
    chosen = vectors.select(FEATURES, *extra)
    if asked.weights:
        cases = " ".join(
            f"WHEN {number(label)} THEN {number(weight)}" for label, weight in asked.weights.items()
        )
        chosen = chosen.withColumn(WEIGHT, F.expr(f"CASE {LABEL} {cases} ELSE 1D END"))
    kept = asked.bounded_validation(task, fitted.width)
    if kept is not None:
        kept = _cached(PipelineModel(list(stages)).transform(kept).select(FEATURES, *extra))
    return Made(stages, (), _cached(chosen), kept, fitted)


def _cached(frame: DataFrame) -> DataFrame:
    return frame.persist(StorageLevel.MEMORY_AND_DISK)


def facts_of(
    made: Made, asked: FoldRows, task: PreparationTask, ends: Ends
) -> tuple[InputFacts, int]:
    """Say what learners may object to, and how many rows there are."""
    if made.fitted is None:
        return InputFacts(np.zeros(0), np.zeros(0), ()), ends.rows
    arity, name = max(
        ((feature.arity or 0, feature.name) for feature in made.fitted.features), default=(0, "")
    )
    is_classes = task.problem in ("binary", "multiclass")
    facts = InputFacts(
        low=ends.low,
        high=ends.high,
        slots=tuple(slot for _, slot in made.fitted.slot_names()),
        arity=arity,
        arity_of=name,
        class_counts=asked.class_counts if is_classes else None,
        class_count=len(task.classes),
        label_low=ends.label_low,
        label_high=ends.label_high,
    )
    return facts, ends.rows


def make_ratings(asked: FoldRows, task: PreparationTask) -> Made:
    """Give users and items whole numbers; unknown ones get the mean rating."""
    if task.user is None or task.item is None:
        raise ModelError("modeling: recommendation needs business.mining_goal.user and item")
    stages: list[Transformer] = []
    rows, kept = asked.train, asked.bounded_validation(task, 1)
    for name, output in ((task.user, USER), (task.item, ITEM)):
        for stage in _codes(rows, name, output):
            rows = stage.transform(rows)
            stages.append(stage)
    score = f"nanvl(CAST({RATING_SCORE} AS DOUBLE), CAST(NULL AS DOUBLE))"
    final = Definition("prediction", f"coalesce({score}, {number(asked.label_mean)})")
    post = SQLTransformer(statement=statement([final]))
    if kept is not None:
        kept = _cached(PipelineModel(stages).transform(kept).select(USER, ITEM, LABEL))
    return Made(tuple(stages), (post,), _cached(rows.select(USER, ITEM, LABEL)), kept, None)


def _codes(rows: DataFrame, name: str, output: str) -> list[Transformer]:
    kind = next(f.dataType for f in rows.schema.fields if f.name == name)
    if isinstance(kind, T.ByteType | T.ShortType | T.IntegerType):
        plain = Definition(output, f"coalesce(CAST({quoted(name)} AS INT), -1)")
        return [SQLTransformer(statement=statement([plain]))]
    text = f"{output}_text"
    as_text = Definition(text, f"coalesce(CAST({quoted(name)} AS STRING), '')")
    first: Any = SQLTransformer(statement=statement([as_text]))
    indexer = StringIndexer(
        inputCol=text, outputCol=output, handleInvalid="keep", stringOrderType="alphabetAsc"
    )
    return [first, indexer.fit(first.transform(rows))]
