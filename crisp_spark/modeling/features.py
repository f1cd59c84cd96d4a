"""Fits the features of a model on training rows; the answer is a list of stock stages.

Scoring needs nothing of this package: row-local derived columns and fitted statistics are SQL in
stock SQLTransformers, lookups are stock indexers, and a VectorAssembler ends the list. Training
rows see out-of-fold target encodings, scored rows see those of all training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.ml import PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import types as T

from crisp_spark.errors import ModelError, SpecError
from crisp_spark.modeling.automatic import complete_features
from crisp_spark.modeling.encoding import plan_encode
from crisp_spark.modeling.fitting import Feature, FeatureContext, Fitting, needed_stages
from crisp_spark.modeling.imputing import plan_impute
from crisp_spark.modeling.outliers import plan_outliers
from crisp_spark.modeling.regression_fill import impute_by_regression
from crisp_spark.modeling.selection import select_features
from crisp_spark.modeling.shaping import plan_scale, plan_transform
from crisp_spark.modeling.statements import references, renamed
from crisp_spark.modeling.statistics import Requests, Statistics
from crisp_spark.modeling.vectors import count_words, reduce_by_pca
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted
from crisp_spark.spec.features import (
    Encode,
    FeatureOp,
    Impute,
    Outliers,
    Pca,
    Scale,
    Select,
    Text,
    Transform,
    is_pattern,
    matches,
)

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

FEATURES = "features"
"""Column of the feature vector."""


@dataclass(frozen=True)
class FeaturePlan:
    """What features are made of; the same for every fold.

    Attributes:
        ops: Fitted operations, in order.
        derived: Row-local derived columns: name and Spark SQL, each after those it uses.
        excluded: Columns that are never features, with the reason.
        optional: Columns left out unless an operation names them (parts of the key).
        patterns: Names and patterns that the project excludes, with the reason.
    """

    ops: Sequence[FeatureOp] = ()
    derived: Sequence[tuple[str, str]] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)

    def named(self) -> frozenset[str]:
        """Names that operations write out."""
        return frozenset(name for op in self.ops for name in op.columns if not is_pattern(name))


@dataclass(frozen=True)
class FittedFeatures:
    """Fitted features.

    Attributes:
        stages: Stages that turn a merged row into the feature vector.
        features: Features in the order of the vector.
        excluded: What is no feature, with the reason.
        notes: What was decided on the way.
        model_columns: Input columns that the stages read.
        rows: The training rows, with every column added.
    """

    stages: tuple[Transformer, ...]
    features: tuple[Feature, ...]
    excluded: Mapping[str, str]
    notes: tuple[str, ...]
    model_columns: tuple[str, ...]
    rows: DataFrame

    @property
    def width(self) -> int:
        """Length of the feature vector."""
        return sum(feature.width for feature in self.features)

    def training_frame(self) -> DataFrame:
        """Return the training rows with their vector, target encodings out of fold.

        Rows: all. Adds: ``features`` and working columns. Drops: nothing. Jobs: none.
        """
        return self.stages[-1].transform(self.rows)

    def transform(self, frame: DataFrame) -> DataFrame:
        """Return other rows with their vector.

        Rows: all. Adds: ``features`` and working columns. Drops: nothing. Jobs: none.
        """
        return PipelineModel(list(self.stages)).transform(frame)

    def slot_names(self) -> list[tuple[str, str]]:
        """Return (feature, name of the place) for every place of the vector."""
        return [
            (f.name, f"{f.name}={slot}" if f.kind == "vector" else f.name)
            for f in self.features
            for slot in (f.slots if f.kind == "vector" else ("",))
        ]


def fit_features(rows: DataFrame, plan: FeaturePlan, context: FeatureContext) -> FittedFeatures:
    """Fit all operations on training rows.

    Args:
        rows: Training rows with label (``context.label``), laid out and cached by the caller.
        plan: What features are made of.
        context: What is known beside the rows.

    Raises:
        SpecError: An operation does not fit its columns.
        MissingColumnsError: An operation names a column that is not there.
        ModelError: No feature is left.
    """
    inputs = tuple(name for name in rows.columns if not name.startswith(RESERVED_PREFIX))
    fitting = _take_in(rows, inputs, plan, context)
    _run(fitting, plan.ops)
    complete_features(fitting, list(fitting.features.values()), last=True)
    for feature in [f for f in fitting.features.values() if f.kind == "tokens"]:
        fitting.drop(feature.name, "an array of words; a text operation makes it a feature")
    chosen = tuple(fitting.features.values())
    if not chosen:
        raise ModelError(
            "modeling.features: no feature is left",
            hint="; ".join(f"{name}: {why}" for name, why in list(fitting.excluded.items())[:10]),
        )
    columns = [feature.column for feature in chosen]
    assembler = VectorAssembler(inputCols=columns, outputCol=FEATURES, handleInvalid="error")
    training = fitting.frame
    stages, used = needed_stages(fitting.records, columns)
    return FittedFeatures(
        stages=(*stages, assembler),
        features=chosen,
        excluded=dict(fitting.excluded),
        notes=tuple(fitting.notes),
        model_columns=tuple(name for name in inputs if name.lower() in used),
        rows=training,
    )


def _take_in(
    rows: DataFrame, inputs: Sequence[str], plan: FeaturePlan, context: FeatureContext
) -> Fitting:
    """Turn columns into features by their types."""
    fitting = Fitting(context, rows)
    late, derived = _late_columns(plan), dict(plan.derived)
    physical: dict[str, str] = {}
    for name, sql in plan.derived:
        # What comes from the outcome cannot even be computed: its inputs are not among the rows.
        if name not in late:
            known = {other.lower(): column for other, column in physical.items()}
            physical[name] = fitting.define(renamed(sql, known), letter="d")
    types = {field.name: field.dataType for field in fitting.frame.schema.fields}
    names = [*(name for name in inputs if name not in derived), *derived]
    fitting.raw = {name: quoted(physical.get(name, name)) for name in names if name not in late}
    fitting.excluded = {**late, **_exclusions(plan, [name for name in names if name not in late])}
    for name in names:
        if name not in fitting.excluded:
            _take_in_column(fitting, name, types[physical.get(name, name)], plan)
    return fitting


def _late_columns(plan: FeaturePlan) -> dict[str, str]:
    """Return excluded columns and all that is derived from them, with the reason."""
    found = dict(plan.excluded)
    for name, sql in plan.derived:
        used = references(sql) - {name.lower()}
        leak = next((other for other in found if other.lower() in used), None)
        if leak is not None and name not in found:
            found[name] = f"derived from {leak!r}: {found[leak]}"
    return found


def _exclusions(plan: FeaturePlan, names: Sequence[str]) -> dict[str, str]:
    """Return what the project excludes, and parts of the key that no operation names."""
    found: dict[str, str] = {}
    named = plan.named()
    for name in names:
        pattern = next((p for p in plan.patterns if matches(name, (p,))), None)
        if pattern is not None:
            found[name] = plan.patterns[pattern] or "excluded by the project"
        elif name in plan.optional and name not in named:
            found[name] = plan.optional[name]
    return found


def _take_in_column(fitting: Fitting, name: str, kind: T.DataType, plan: FeaturePlan) -> None:
    sql, derived = fitting.raw[name], dict(plan.derived)
    sources = _inputs_of(name, derived, frozenset(fitting.raw))
    words = (f"derived: {derived[name]}",) if name in derived else ()
    if isinstance(kind, T.NumericType | T.BooleanType):
        fractional = isinstance(kind, T.FloatType | T.DoubleType)
        # NaN and infinities break every learner: they count as missing, and are counted apart.
        value = f"CAST({sql} AS DOUBLE)"
        if fractional:
            value = f"CASE WHEN abs({value}) < double('infinity') THEN {value} END"
        fitting.intake[name] = (sql, fractional)
        feature = Feature(name, fitting.define(value), "numeric", sources, words, base=name)
    elif isinstance(kind, T.StringType):
        fitting.intake[name] = (sql, False)
        column = _unquoted(sql)
        feature = Feature(name, column, "categorical", sources, words, base=name)
    elif isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.StringType):
        feature = Feature(name, _unquoted(sql), "tokens", sources, words, base=name)
    else:
        hint = " (derive date parts)" if isinstance(kind, T.DateType | T.TimestampType) else ""
        fitting.excluded[name] = f"no feature can be made of type {kind.simpleString()}{hint}"
        return
    fitting.put(feature)


def _unquoted(sql: str) -> str:
    return sql[1:-1].replace("``", "`")


def _inputs_of(name: str, derived: Mapping[str, str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the input columns behind a column, derived ones followed to their beginning."""
    if name not in derived:
        return (name,)
    used = references(derived[name])
    found: dict[str, None] = {}
    for other in known:
        if other.lower() in used and other != name:
            found |= dict.fromkeys(_inputs_of(other, derived, known - {name}))
    return tuple(sorted(found))


_Plan = Callable[[Fitting, list[Feature], Requests], Callable[[Statistics], None]]


def _planner(op: FeatureOp) -> _Plan | None:
    """Return how an operation is planned; None when it needs jobs of its own."""
    if isinstance(op, Impute) and op.method != "regression":
        return lambda fitting, chosen, requests: plan_impute(fitting, op, chosen, requests)
    if isinstance(op, Outliers):
        return lambda fitting, chosen, requests: plan_outliers(fitting, op, chosen, requests)
    if isinstance(op, Encode):
        return lambda fitting, chosen, requests: plan_encode(fitting, op, chosen, requests)
    if isinstance(op, Scale):
        return lambda fitting, chosen, requests: plan_scale(fitting, op, chosen, requests)
    if isinstance(op, Transform):
        return lambda fitting, chosen, requests: plan_transform(fitting, op, chosen, requests)
    return None


def _run(fitting: Fitting, ops: Sequence[FeatureOp]) -> None:
    """Carry out operations in order; neighbours that touch different features share their jobs."""
    requests, waiting, touched = Requests(), list[Callable[[Statistics], None]](), set[str]()

    def flush() -> None:
        nonlocal requests
        if waiting:
            statistics = fitting.measure(requests)
            for apply in waiting:
                apply(statistics)
        requests = Requests()
        waiting.clear()
        touched.clear()

    for op in ops:
        planner = _planner(op)
        names = set(op.columns)
        alone = planner is None or any(map(is_pattern, names)) or not names <= set(fitting.features)
        if alone or names & touched:
            flush()
        chosen = fitting.selected(op)
        if planner is None:
            _run_alone(fitting, op, chosen)
        elif chosen:
            waiting.append(planner(fitting, chosen, requests))
            touched |= {feature.name for feature in chosen}
        else:
            fitting.notes.append(f"{op.op}: no feature matches {', '.join(op.columns)}")
    flush()


def _run_alone(fitting: Fitting, op: FeatureOp, chosen: list[Feature]) -> None:
    if not chosen:
        fitting.notes.append(f"{op.op}: no feature matches {', '.join(op.columns)}")
    elif isinstance(op, Impute):
        impute_by_regression(fitting, op, chosen)
    elif isinstance(op, Pca):
        reduce_by_pca(fitting, op, chosen)
    elif isinstance(op, Text):
        count_words(fitting, op, chosen)
    elif isinstance(op, Select):
        select_features(fitting, op, chosen)
    else:
        raise SpecError(f"preparation.features: {op.op} has no way to be fitted")
