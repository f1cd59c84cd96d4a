"""Fitted selection of features; every one that goes leaves a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.stat import ChiSquareTest, Correlation, Summarizer
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.modeling.automatic import complete_features
from crisp_spark.modeling.fitting import Feature, Fitting
from crisp_spark.modeling.statements import number
from crisp_spark.modeling.statistics import Requests, quantiles_sql
from crisp_spark.modeling.vectors import keep_slots

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.spec.features import Select

_DECILES = tuple(n / 10 for n in range(1, 10))
_VECTOR = "_crisp_selection"


@dataclass(frozen=True)
class Slot:
    """One place of the vector that is judged."""

    feature: Feature
    at: int

    @property
    def name(self) -> str:
        """Name for readers."""
        if self.feature.kind != "vector":
            return self.feature.name
        return f"{self.feature.name}={self.feature.slots[self.at]}"


Verdicts = Mapping[int, str]
"""Index of a slot that goes -> reason."""


def select_features(fitting: Fitting, op: Select, chosen: list[Feature]) -> None:
    """Drop features by one rule. Jobs: statistics of what is incomplete, and one or a few."""
    usable = [feature for feature in chosen if feature.kind != "tokens"]
    # Texts that an operation completed (merged rare ones, filled gaps) are no numbers yet.
    unfit = [f for f in usable if not f.complete or f.kind == "categorical"]
    complete_features(fitting, unfit)
    wanted = {feature.name for feature in usable}
    judged = [f for f in fitting.features.values() if f.name in wanted and _can_judge(op, f)]
    if not judged:
        return
    slots = [Slot(feature, at) for feature in judged for at in range(feature.width)]
    judge = {
        "variance": _by_variance,
        "correlation": _by_correlation,
        "chi_squared": _by_chi_squared,
        "importance": _by_importance,
    }[op.method]
    verdicts = judge(fitting, op, judged, slots)
    if len(verdicts) == len(slots):
        # A model needs at least one feature; the first is as good as any other then.
        fitting.notes.append(f"select({op.method}) would drop every feature; it was not applied")
        return
    start = 0
    for feature in judged:
        gone = {at: verdicts[start + at] for at in range(feature.width) if start + at in verdicts}
        start += feature.width
        if len(gone) == feature.width:
            fitting.drop(feature.name, f"select({op.method}): {gone[0]}")
        elif gone:
            kept = [at for at in range(feature.width) if at not in gone]
            keep_slots(fitting, feature, kept, op.method)


def _can_judge(op: Select, feature: Feature) -> bool:
    return op.method != "chi_squared" or feature.origin in ("", "one_hot")


def _vectors(fitting: Fitting, judged: Sequence[Feature], columns: Sequence[str] = ()) -> DataFrame:
    names = list(columns) or [feature.column for feature in judged]
    stage = VectorAssembler(inputCols=names, outputCol=_VECTOR, handleInvalid="error")
    label = [fitting.context.label] if fitting.context.label else []
    return stage.transform(fitting.frame).select(_VECTOR, *label)


def _by_variance(
    fitting: Fitting, op: Select, judged: Sequence[Feature], slots: Sequence[Slot]
) -> Verdicts:
    vectors = _vectors(fitting, judged)
    found = vectors.select(Summarizer.variance(F.col(_VECTOR))).collect()[0][0].toArray()
    del slots
    return {
        at: f"variance {value:.3g} is not above {op.limit:g}"
        for at, value in enumerate(found)
        if not value > op.limit
    }


def _by_correlation(
    fitting: Fitting, op: Select, judged: Sequence[Feature], slots: Sequence[Slot]
) -> Verdicts:
    """Drop each slot that repeats an earlier one that stays."""
    matrix = Correlation.corr(_vectors(fitting, judged), _VECTOR).collect()[0][0].toArray()
    strength = np.abs(np.nan_to_num(matrix))
    kept: list[int] = []
    verdicts: dict[int, str] = {}
    for at in range(len(slots)):
        twin = next((other for other in kept if strength[at, other] > op.limit), None)
        if twin is None:
            kept.append(at)
        else:
            verdicts[at] = f"correlation {matrix[at, twin]:.3f} with {slots[twin].name}"
    return verdicts


def _by_chi_squared(
    fitting: Fitting, op: Select, judged: Sequence[Feature], slots: Sequence[Slot]
) -> Verdicts:
    """Drop what is independent of the class; numbers are cut into tenths of the training rows."""
    context = fitting.context
    if not context.is_classes:
        raise SpecError(
            f"preparation.features.select: chi_squared needs classes, got {context.problem}"
        )
    requests = Requests()
    plain = [feature for feature in judged if feature.kind != "vector"]
    sqls = {f.name: requests.scalar(quantiles_sql(f.sql, _DECILES)) for f in plain}
    statistics = fitting.measure(requests)
    columns = {}
    for feature in plain:
        edges = sorted(set(statistics.numbers(sqls[feature.name]) or []))
        cuts = [f"CAST({feature.sql} > {number(edge)} AS DOUBLE)" for edge in edges]
        columns[feature.name] = fitting.define(" + ".join(cuts) or "0D")
    names = [columns.get(feature.name, feature.column) for feature in judged]
    answer = ChiSquareTest.test(_vectors(fitting, judged, names), _VECTOR, context.label)
    row = answer.collect()[0]
    p_values: NDArray[np.float64] = np.asarray(row["pValues"].toArray())
    statistic = np.asarray(list(row["statistics"]), dtype=np.float64)
    order = sorted(range(len(slots)), key=lambda at: (p_values[at], -statistic[at], at))
    ranked = {at: rank for rank, at in enumerate(order)}
    if op.top is not None:
        top = op.top
        return _judged(slots, lambda at: ranked[at] < top, lambda at: f"rank {ranked[at] + 1}")
    return _judged(
        slots,
        lambda at: bool(p_values[at] <= op.limit),
        lambda at: f"p-value {p_values[at]:.3g} is above {op.limit:g}",
    )


def _by_importance(
    fitting: Fitting, op: Select, judged: Sequence[Feature], slots: Sequence[Slot]
) -> Verdicts:
    """Drop what a small random forest hardly uses."""
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.regression import RandomForestRegressor

    context = fitting.context
    if not context.label:
        raise SpecError(f"preparation.features.select: importance needs a label: {context.problem}")
    learner = RandomForestClassifier if context.is_classes else RandomForestRegressor
    arity = max([feature.arity or 0 for feature in judged])
    forest = learner(
        featuresCol=_VECTOR,
        labelCol=context.label,
        numTrees=20,
        maxDepth=5,
        maxBins=max(32, arity),
        seed=context.seed,
    )
    shares = forest.fit(_vectors(fitting, judged)).featureImportances.toArray()
    order = sorted(range(len(slots)), key=lambda at: (-shares[at], at))
    ranked = {at: rank for rank, at in enumerate(order)}
    if op.top is not None:
        top = op.top
        return _judged(
            slots,
            lambda at: ranked[at] < top,
            lambda at: f"rank {ranked[at] + 1} of {len(slots)} by importance",
        )
    return _judged(
        slots,
        lambda at: bool(shares[at] >= op.limit),
        lambda at: f"importance {shares[at]:.4f} is below {op.limit:g}",
    )


def _judged(
    slots: Sequence[Slot], keep: Callable[[int], bool], reason: Callable[[int], str]
) -> Verdicts:
    return {at: reason(at) for at in range(len(slots)) if not keep(at)}
