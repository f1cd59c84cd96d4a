"""What a learner demands of its input, checked before fitting: a fix on record, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.feature import Binarizer, MinMaxScaler, StandardScaler
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import ModelError
from crisp_spark.modeling.labels import LABEL

if TYPE_CHECKING:
    from pyspark.ml.base import Estimator, Transformer

    from crisp_spark.modeling.search import PlannedTrial

DEFAULT_BINS = 32
_DENSE_LIMIT = 1000
"""Vectors longer than this are not centred: centring would fill every zero."""
_MOST_IRLS_FEATURES = 4096
_PREPARED = "_crisp_prepared"


@dataclass(frozen=True)
class InputFacts:
    """What a learner may object to.

    Attributes:
        low: Smallest value of each slot.
        high: Largest value of each slot.
        slots: Names of the slots.
        arity: Largest number of unordered codes of a feature.
        arity_of: The feature that has it.
        class_counts: Training rows by label; empty for numbers.
        class_count: Number of classes of the target.
        label_low: Smallest label.
        label_high: Largest label.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    slots: tuple[str, ...]
    arity: int = 0
    arity_of: str = ""
    class_counts: Mapping[float, int] | None = None
    class_count: int = 0
    label_low: float = 0.0
    label_high: float = 0.0

    @property
    def width(self) -> int:
        """Length of the vector."""
        return int(self.low.size)

    @property
    def negative(self) -> tuple[str, ...]:
        """Slots with values below 0."""
        return tuple(name for name, low in zip(self.slots, self.low, strict=True) if low < 0)

    @property
    def constant(self) -> tuple[str, ...]:
        """Slots with one value only."""
        same = self.low == self.high
        return tuple(name for name, flat in zip(self.slots, same, strict=True) if flat)


@dataclass(frozen=True)
class Formatted:
    """A trial made fit for its learner.

    Attributes:
        params: Hyperparameters, fixes included.
        stage: Stage between the vector and the learner, if one is needed.
        column: Column of the vector that the learner reads.
        notes: What was changed and why.
    """

    params: Mapping[str, Any]
    stage: Estimator[Any] | Transformer | None
    column: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Ends:
    """Ends of the values of training vectors and their labels."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    label_low: float
    label_high: float
    rows: int


def measure_vectors(frames: Sequence[DataFrame], column: str) -> list[Ends]:
    """Return smallest and largest value of each slot and of the label, and the number of rows.

    Args:
        frames: Vectors, of one fold each; they are measured together.
        column: Column of the vector.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.

    Raises:
        ModelError: A frame has no rows.
    """
    label = F.col(LABEL) if LABEL in frames[0].columns else F.lit(0.0)
    numbered = [
        frame.select(F.lit(at).alias("at"), F.col(column).alias("x"), label.alias("y"))
        for at, frame in enumerate(frames)
    ]
    ends = Summarizer.metrics("min", "max").summary(F.col("x"))
    asked = [ends.alias("s"), F.min("y").alias("lo"), F.max("y").alias("hi")]
    together = reduce(DataFrame.union, numbered)
    rows = together.groupBy("at").agg(*asked, F.count(F.lit(1)).alias("n")).collect()
    if len(rows) < len(frames):
        raise ModelError("modeling: there are no training rows")
    return [
        Ends(
            row["s"]["min"].toArray(),
            row["s"]["max"].toArray(),
            float(row["lo"] or 0.0),
            float(row["hi"] or 0.0),
            int(row["n"]),
        )
        for row in sorted(rows, key=lambda row: int(row["at"]))
    ]


def format_trial(trial: PlannedTrial, facts: InputFacts, column: str) -> Formatted:
    """Check what the learner demands.

    Args:
        trial: Learner and hyperparameters.
        facts: What its input is like.
        column: Column of the vector.

    Raises:
        ModelError: The learner cannot take this input, and no fix is safe.
    """
    place = f"modeling.{trial.family.label}"
    kinds = {trial.family.kind, trial.family.base if trial.family.kind == "one_vs_rest" else ""}
    params, notes = dict(trial.params), list[str]()
    _check_label(place, trial, facts)
    if "maxBins" in trial.info.params or kinds & {"decision_tree", "random_forest"}:
        _fit_bins(place, params, facts, notes)
    if trial.info.library and facts.arity:
        notes.append(f"the codes of {facts.arity_of} and other categories are taken as numbers")
    if "isotonic_regression" in kinds:
        _choose_slot(place, params, facts)
    if "generalized_linear_regression" in kinds and facts.width > _MOST_IRLS_FEATURES:
        raise ModelError(
            f"{place}: at most {_MOST_IRLS_FEATURES} features, got {facts.width}",
            hint="select features, or use linear_regression",
        )
    stage = _range_stage(kinds, params, facts, column, notes)
    # Clusters are compared in one space: vectors were scaled for all learners, or for none.
    clustering = "clustering" in trial.info.problems
    wanted = "no" if clustering else trial.family.standardize
    if stage is None and (wanted == "yes" or (wanted == "auto" and trial.info.standardized)):
        centre = facts.width <= _DENSE_LIMIT
        stage = StandardScaler(inputCol=column, outputCol=_PREPARED, withStd=True, withMean=centre)
        notes.append("features brought to unit variance for this learner")
    return Formatted(params, stage, _PREPARED if stage is not None else column, tuple(notes))


def _check_label(place: str, trial: PlannedTrial, facts: InputFacts) -> None:
    counts = facts.class_counts
    if counts is not None and len(counts) < 2:  # noqa: PLR2004
        raise ModelError(f"{place}: the training rows hold one class only", hint="check the split")
    if trial.family.kind == "survival_regression" and facts.label_low <= 0:
        raise ModelError(f"{place}: times must be above 0, the smallest is {facts.label_low:g}")
    if trial.family.kind == "generalized_linear_regression":
        family = str(trial.params.get("family", "gaussian"))
        low, high = facts.label_low, facts.label_high
        refused = {
            "poisson": low < 0,
            "gamma": low <= 0,
            "tweedie": low < 0,
            "binomial": low < 0 or high > 1,
        }.get(family, False)
        if refused:
            raise ModelError(
                f"{place}: family {family!r} does not allow a target from {low:g} to {high:g}",
                hint="poisson and tweedie: 0 or more; gamma: above 0; binomial: 0 to 1",
            )


def _fit_bins(place: str, params: dict[str, Any], facts: InputFacts, notes: list[str]) -> None:
    declared = params.get("maxBins")
    if facts.arity <= (declared or DEFAULT_BINS):
        return
    if declared is not None:
        raise ModelError(
            f"{place}: maxBins {declared} is below the {facts.arity} categories of "
            f"{facts.arity_of!r}",
            hint=f"set maxBins to {facts.arity} or more, or group rare categories",
        )
    params["maxBins"] = facts.arity
    notes.append(f"maxBins raised to {facts.arity}, the categories of {facts.arity_of}")


def _choose_slot(place: str, params: dict[str, Any], facts: InputFacts) -> None:
    name = params.pop("feature", None)
    if name is None:
        return
    if name not in facts.slots:
        raise ModelError(f"{place}: no feature {name!r}", hint=", ".join(facts.slots[:20]))
    params["featureIndex"] = facts.slots.index(name)


def _range_stage(
    kinds: set[str], params: Mapping[str, Any], facts: InputFacts, column: str, notes: list[str]
) -> Estimator[Any] | Transformer | None:
    """Return the stage that naive Bayes and LDA need: counts have no sign."""
    model_type = str(params.get("modelType", "multinomial"))
    if "naive_bayes" in kinds and model_type == "bernoulli":
        # Flags are cut between 0 and 1, anything else by its sign.
        flags = bool(np.isin(facts.low, (0, 1)).all() and np.isin(facts.high, (0, 1)).all())
        cut = 0.5 if flags else 0.0
        notes.append(f"bernoulli: features cut at {cut:g} (above or not)")
        return Binarizer(inputCol=column, outputCol=_PREPARED, threshold=cut)
    counts = "lda" in kinds or ("naive_bayes" in kinds and model_type != "gaussian")
    if counts and facts.negative:
        some = ", ".join(facts.negative[:3])
        notes.append(
            f"features rescaled to 0..1: {len(facts.negative)} have negative values ({some})"
        )
        return MinMaxScaler(inputCol=column, outputCol=_PREPARED)
    return None
