"""Scores a batch of merged rows with a fitted pipeline; every row is scored or rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.deployment.refusals import attempted, derived_in, value_of, with_refusals
from crisp_spark.errors import DataError, MissingColumnsError
from crisp_spark.results.deploy import DeployResult, ModelInput
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.deployment import ScoreSpec
from crisp_spark.spec.sqltext import literal

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import Column, DataFrame

SCORE = "_crisp_score"
PREDICTION = "_crisp_prediction"
PROBABILITIES = "_crisp_probabilities"
DECISION = "_crisp_decision"
MODEL = "_crisp_model"
ANSWERED_BY = "_crisp_answered_by"
REASONS = "_crisp_reasons"
OUTPUTS = (SCORE, PREDICTION, PROBABILITIES, DECISION, MODEL, ANSWERED_BY, REASONS)
"""Columns that scoring adds; a batch that has some of them already loses them."""

Scores = Callable[["DataFrame", str], Mapping[str, "Column"]]
"""Score columns of a transformed frame, for a class of problem."""

_BATCH, _RULE = "_crisp_batch", "_crisp_rule"
_WHOLE = {"tinyint", "smallint", "int", "bigint"}


@dataclass(frozen=True)
class ScoringContract:
    """What scoring needs to know beside the pipeline.

    Attributes:
        inputs: Columns of a batch with their types.
        problem: Class of the problem.
        model: Name and version, written beside every answer.
        classes: Class names in the order of their labels.
        threshold: A row scored at least this high gets an alert (binary).
        fallback: Spark SQL of the rule that answers for rejected rows.
        keep: Whether all columns of the batch are written, or only the key.
    """

    inputs: Sequence[ModelInput]
    problem: str
    model: str
    classes: Sequence[str] = ()
    threshold: float | None = None
    fallback: str | None = None
    keep: Literal["all", "key"] = "all"


@dataclass(frozen=True)
class Scored:
    """A scored batch.

    Attributes:
        scored: Rows with the model's answer.
        rejected: Rows that the model cannot take, with the reasons.
        ignored: Columns of the batch that neither model nor rule reads.
    """

    scored: DataFrame
    rejected: DataFrame
    ignored: tuple[str, ...]


def contract_of(deployed: DeployResult, score: ScoreSpec) -> ScoringContract:
    """Take the contract from the result of ``deploy`` and the project's settings."""
    return ScoringContract(
        inputs=tuple(deployed.inputs),
        problem=deployed.problem,
        model=deployed.model_label,
        classes=tuple(deployed.classes),
        threshold=deployed.threshold if score.threshold is None else score.threshold,
        fallback=deployed.fallback if score.fallback else None,
        keep=score.keep,
    )


def score_frame(
    batch: DataFrame, model: PipelineModel, contract: ScoringContract, scores: Scores
) -> Scored:
    """Score a batch lazily.

    Columns of another type than in training are cast where nothing is lost. A row is rejected
    where that fails, where a required value is missing, or where a derived column cannot be
    computed; the fallback rule answers for it where the rule can be computed.

    Args:
        batch: Merged rows.
        model: Pipeline from the merged row to the prediction.
        contract: What to know beside the pipeline.
        scores: Gives score, prediction and probabilities of a frame that the pipeline has
            transformed: the same as when the threshold was chosen.

    Rows: each is in scored or in rejected. Adds: score, prediction, decision, model, origin of
    the answer; reasons. Drops: columns that are not kept. Jobs: none.

    Raises:
        MissingColumnsError: The batch lacks columns.
        DataError: A column has a type that cannot be cast, or two differ by case only.
    """
    _check_columns(batch, contract.inputs)
    typed = with_refusals(_typed(batch, contract.inputs), derived_in(model), REASONS)
    sound = F.size(REASONS) == 0
    answered = model.transform(typed.where(sound).drop(REASONS))
    kept = _kept(batch, contract)
    known = {item.name for item in contract.inputs}
    return Scored(
        scored=answered.select(*kept, *_answers(scores(answered, contract.problem), contract)),
        rejected=_rejected(typed.where(~sound), kept, contract),
        ignored=tuple(name for name in batch.columns if name not in known | set(OUTPUTS)),
    )


def _check_columns(batch: DataFrame, inputs: Sequence[ModelInput]) -> None:
    needed = [item.name for item in inputs if item.use != "fallback"]
    missing = [name for name in needed if name not in batch.columns]
    if missing:
        raise MissingColumnsError("score", missing, batch.columns)
    folded = Counter(name.lower() for name in batch.columns)
    twice = sorted(name for name in batch.columns if folded[name.lower()] > 1)
    if twice:
        raise DataError(
            f"score: Spark cannot tell these columns apart, got {', '.join(map(repr, twice))}",
            hint="rename them: names must differ by more than case",
        )


def _typed(batch: DataFrame, inputs: Sequence[ModelInput]) -> DataFrame:
    """Cast the inputs, keep the batch as it came, and say what is wrong with each row."""
    have = {field.name: field.dataType.simpleString() for field in batch.schema}
    plain = [F.col(quoted(name)).alias(name) for name in batch.columns if name not in OUTPUTS]
    columns = [F.struct(*plain).alias(_BATCH)]
    reasons = []
    for item in inputs:
        if item.name not in have:
            columns.append(F.expr(f"CAST(NULL AS {item.type})").alias(item.name))
            continue
        value = _cast(item, have[item.name])
        columns.append(F.expr(value).alias(item.name))
        if item.use != "fallback":
            reasons += _faults(item, have[item.name], value)
    columns.append(F.array_compact(F.array(*(F.expr(sql) for sql in reasons))).alias(REASONS))
    try:
        return batch.select(*columns)
    except AnalysisException as error:
        raise _wrong_type(batch, inputs, have) from error


def _cast(item: ModelInput, have: str) -> str:
    """SQL of the value in its declared type, null where that would lose something."""
    name = quoted(item.name)
    if have == item.type:
        return name
    text = f"nullif(trim({name}), '')" if have == "string" else name
    if item.type in _WHOLE and have not in _WHOLE | {"boolean"}:
        # 3.0 is a whole number, 3.5 is none: a plain cast would take both.
        whole = f"try_cast({text} AS DECIMAL(20, 0))"
        same = f"try_cast({text} AS DECIMAL(38, 18)) = {whole}"
        return f"CASE WHEN {same} THEN try_cast({whole} AS {item.type}) END"
    return f"try_cast({text} AS {item.type})"


def _faults(item: ModelInput, have: str, value: str) -> list[str]:
    name = quoted(item.name)
    given = f"nullif(trim({name}), '')" if have == "string" else name
    faults = []
    if have != item.type:
        wrong = literal(f"{item.name}: not a {item.type}")
        faults.append(f"CASE WHEN {given} IS NOT NULL AND ({value}) IS NULL THEN {wrong} END")
    if item.required:
        faults.append(f"CASE WHEN {given} IS NULL THEN {literal(f'{item.name}: missing')} END")
    return faults or ["CAST(NULL AS STRING)"]


def _wrong_type(batch: DataFrame, inputs: Sequence[ModelInput], have: dict[str, str]) -> DataError:
    wrong = []
    for item in inputs:
        if item.name in have and have[item.name] != item.type:
            try:
                batch.select(F.expr(_cast(item, have[item.name])))
            except AnalysisException:
                wrong.append(f"{item.name!r} needs {item.type}, got {have[item.name]}")
    return DataError(
        f"score: columns of a wrong type: {'; '.join(wrong) or 'see the cause'}",
        hint="a batch holds rows as the step `merge` publishes them",
    )


def _kept(batch: DataFrame, contract: ScoringContract) -> list[Column]:
    keys = {item.name for item in contract.inputs if item.required}
    names = [name for name in batch.columns if name not in OUTPUTS]
    if contract.keep == "key":
        names = [name for name in names if name in keys]
    return [F.col(_BATCH).getField(name).alias(name) for name in names]


def _answers(columns: Mapping[str, Column], contract: ScoringContract) -> list[Column]:
    number, score = columns[PREDICTION], columns[SCORE]
    known = number.isNotNull() & ~F.isnan(number)
    score = F.when(~F.isnan(score), score)
    prediction = F.when(known, number)
    extra: list[Column] = []
    if contract.problem in {"binary", "multiclass"}:
        prediction = _class_name(number, contract.classes)
    if contract.problem == "binary":
        extra.append(_decision(score, contract.threshold))
    if contract.problem == "clustering":
        prediction = prediction.cast("int")
    if PROBABILITIES in columns:
        extra.append(columns[PROBABILITIES].alias(PROBABILITIES))
    return [
        score.alias(SCORE),
        prediction.alias(PREDICTION),
        *extra,
        F.lit(contract.model).alias(MODEL),
        F.when(known, F.lit("model")).alias(ANSWERED_BY),
    ]


def _class_name(number: Column, classes: Sequence[str]) -> Column:
    if not classes:
        return number.cast("string")
    names = F.array(*(F.lit(name) for name in classes))
    return F.element_at(names, (number + 1).cast("int"))


def _decision(score: Column, threshold: float | None) -> Column:
    if threshold is None:
        return F.lit(None).cast("boolean").alias(DECISION)
    return (score >= F.lit(threshold)).alias(DECISION)


def _rejected(rows: DataFrame, kept: Sequence[Column], contract: ScoringContract) -> DataFrame:
    """Rejected rows with the rule's answer; null where its inputs are missing or refused."""
    if contract.fallback is None:
        return rows.select(*kept, F.col(REASONS))
    kinds = {"binary": T.BooleanType(), "multiclass": T.StringType()}
    kind = kinds.get(contract.problem, T.DoubleType())
    tried = rows.withColumn(
        _RULE, attempted(f"CAST(({contract.fallback}) AS {kind.simpleString()})")
    )
    answer = value_of(_RULE, kind)
    refused = F.when(F.col(_RULE).isNull(), F.lit("fallback rule: cannot be computed"))
    return tried.select(
        *kept,
        F.concat(F.col(REASONS), F.array_compact(F.array(refused))).alias(REASONS),
        answer.alias(DECISION if contract.problem == "binary" else PREDICTION),
        F.when(answer.isNotNull(), F.lit("fallback")).alias(ANSWERED_BY),
    )
