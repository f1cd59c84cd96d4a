"""What the model listens to: permutation importance, partial dependence, robustness."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from crisp_spark.errors import spark_reason
from crisp_spark.evaluation.collecting import kind_of
from crisp_spark.evaluation.dependence import draw_dependence
from crisp_spark.evaluation.estimates import Estimate, Floats, normal_quantile, standard_error
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.metrics import estimate, oriented
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.evaluation.what_if import Answered, Predict, Probe, Sample, ask, take_sample
from crisp_spark.results.evaluate import (
    Dependence,
    Importance,
    ImportanceReport,
    RobustnessPoint,
)
from crisp_spark.spec.evaluation import EvaluationSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOG = logging.getLogger(__name__)
_FALLBACK = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
_DRAWN = 4
_FEWEST_ROWS = 50
_REFUSED = (
    "Importance, partial dependence and robustness are left out: a derived column refuses rows "
    "whose columns were permuted ({reason}). Write it so that it gives null instead (try_cast, "
    "nullif and the like)."
)


@dataclass(frozen=True)
class Explanation:
    """Everything that is learnt from altered rows."""

    importance: ImportanceReport | None
    dependence: list[Dependence]
    robustness: list[RobustnessPoint]
    notes: list[str]


@dataclass(frozen=True)
class Subject:
    """What is explained.

    Attributes:
        frame: Test rows with label and the columns the model reads.
        total_rows: Rows of the frame.
        columns: Columns the model reads.
        key: Columns that name a row.
        predict: The model.
        metric: Metric that importance is about.
        private: Columns whose values must not be shown.
    """

    frame: DataFrame
    total_rows: int
    columns: Sequence[str]
    key: Sequence[str]
    predict: Predict
    metric: str
    private: frozenset[str] = frozenset()


def explain_model(subject: Subject, judge: Judge, spec: EvaluationSpec, seed: int) -> Explanation:
    """Measure importance, dependence and robustness on a sample of rows.

    Importance (Breiman 2001; Fisher, Rudin and Dominici 2019): the loss of the metric when one
    column is permuted among the rows; the permutation is a shift in the order of a hash. The
    interval is that of the paired difference on the sampled rows.

    Rows: a sample. Adds: nothing. Drops: nothing. Jobs: five, whatever the number of columns.
    """
    wanted, repeats = spec.importance, spec.importance.repeats
    room = wanted.max_scored_rows // max(1, len(subject.columns) * repeats)
    sample = take_sample(
        subject.frame,
        subject.columns,
        rows=max(_FEWEST_ROWS, min(wanted.rows, room)),
        total_rows=subject.total_rows,
        key=subject.key,
        seed=seed,
    )
    try:
        return _explained(subject, sample, judge, spec)
    except (PySparkException, Py4JJavaError) as error:
        # Permuted rows hold combinations that the data never holds; under ANSI rules an expression
        # may refuse them (31 September). The model itself was judged: only explanations are lost.
        reason = spark_reason(error, most=300)
        _LOG.warning("explanations are left out: %s", reason)
        return Explanation(None, [], [], [_REFUSED.format(reason=reason)])
    finally:
        sample.frame.unpersist()


def _explained(subject: Subject, sample: Sample, judge: Judge, spec: EvaluationSpec) -> Explanation:
    repeats = spec.importance.repeats
    shares = spec.robustness.shares if spec.robustness.enabled else []
    probes = [Probe()]
    probes += [
        Probe(target=k, offset=_shift(sample, k, turn))
        for k in range(len(sample.columns))
        for turn in range(repeats)
    ]
    swapped = [
        Probe(share=share, offset=_shift(sample, -1, turn)) for turn, share in enumerate(shares)
    ]
    answers = ask(sample, [*probes, *swapped], subject.predict)
    metric = _usable_metric(subject.metric, judge, sample, answers)
    importance = _importance(sample, answers, judge, metric, repeats)
    base = _metric_of(sample, answers, 0, judge, metric).value
    robustness = [
        RobustnessPoint(
            damage="swapped",
            share=share,
            metric=metric,
            value=_metric_of(sample, answers, len(probes) + turn, judge, metric).value,
            base=base,
        )
        for turn, share in enumerate(shares)
    ]
    robustness += _blanked(subject, sample, judge, metric, shares, base)
    drawn, notes = _drawn_columns(importance, subject, judge, spec)
    return Explanation(
        importance,
        draw_dependence(
            sample,
            drawn,
            subject.predict,
            points=spec.partial_dependence_points,
            confidence=judge.confidence,
        ),
        robustness,
        notes,
    )


def _shift(sample: Sample, column: int, turn: int) -> int:
    """A different shift for every column and turn, never 0 where there are two rows or more."""
    step = (column + 2) * 7919 + turn * 104_729
    return 1 + step % max(1, sample.rows - 1)


def _metric_of(sample: Sample, answers: Answered, copy: int, judge: Judge, metric: str) -> Estimate:
    rows = ScoredRows(
        "test",
        sample.rows,
        sample.rows,
        label=sample.label,
        score=answers.score[copy],
        prediction=answers.prediction[copy],
    )
    return estimate(rows, judge, metric)


def _usable_metric(wanted: str, judge: Judge, sample: Sample, answers: Answered) -> str:
    """The metric asked for, or one that the sample can give."""
    found = _metric_of(sample, answers, 0, judge, wanted)
    return wanted if found.value is not None else _FALLBACK[judge.problem]


def _importance(
    sample: Sample, answers: Answered, judge: Judge, metric: str, repeats: int
) -> ImportanceReport:
    base = oriented(judge.problem, metric, _metric_of(sample, answers, 0, judge, metric))
    z = normal_quantile(judge.confidence)
    items = []
    for k, column in enumerate(sample.columns):
        turns = [
            oriented(
                judge.problem,
                metric,
                _metric_of(sample, answers, 1 + k * repeats + turn, judge, metric),
            )
            for turn in range(repeats)
        ]
        drop, error = _drop(base, turns)
        if drop is not None:
            items.append(
                Importance(column=column, drop=drop, low=drop - z * error, high=drop + z * error)
            )
    plain = _metric_of(sample, answers, 0, judge, metric).value
    items.sort(key=lambda item: (-item.drop, item.column))
    return ImportanceReport(
        metric=metric, base=plain, rows=sample.rows, repeats=repeats, items=items
    )


def _drop(base: Estimate, turns: Sequence[Estimate]) -> tuple[float | None, float]:
    """Mean loss over the turns and its standard error over the sampled rows."""
    values = [turn.value for turn in turns if turn.value is not None]
    influences = [turn.influence for turn in turns if turn.influence is not None]
    if base.value is None or base.influence is None or not values:
        return None, 0.0
    paired: Floats = base.influence - np.mean(influences, axis=0)
    return base.value - float(np.mean(values)), standard_error(paired)


def _blanked(
    subject: Subject,
    sample: Sample,
    judge: Judge,
    metric: str,
    shares: Sequence[float],
    base: float | None,
) -> list[RobustnessPoint]:
    """Quality with cells blanked; a model that cannot take a null says so in the result."""
    if not shares:
        return []
    probes = [Probe(share=share, blank=True) for share in shares]
    error = ""
    values: list[float | None] = [None] * len(shares)
    try:
        answers = ask(sample, probes, subject.predict)
        values = [
            _metric_of(sample, answers, copy, judge, metric).value for copy in range(len(shares))
        ]
    except Exception as fault:  # noqa: BLE001 - the fault of a scoring job is a finding here
        _LOG.warning("the model cannot score rows with missing values: %s", type(fault).__name__)
        error = f"the model cannot score rows with missing values ({type(fault).__name__})"
    return [
        RobustnessPoint(
            damage="missing", share=share, metric=metric, value=value, base=base, error=error
        )
        for share, value in zip(shares, values, strict=True)
    ]


def _drawn_columns(
    importance: ImportanceReport, subject: Subject, judge: Judge, spec: EvaluationSpec
) -> tuple[list[str], list[str]]:
    """Columns whose dependence is drawn, and why others are not."""
    if judge.problem == "multiclass":
        why = "Partial dependence is drawn for scores of one meaning, not for many classes."
        return [], [why] if spec.partial_dependence else []
    kinds = subject.frame.schema
    asked = spec.partial_dependence
    ranked = [item.column for item in importance.items if item.drop > 0]
    wanted = ranked if asked is None else asked
    usable, notes = [], []
    for name in wanted:
        if name not in subject.columns:
            notes.append(f"Partial dependence on {name} is not drawn: the model does not read it.")
        elif name in subject.private:
            notes.append(f"Partial dependence on {name} is not drawn: it holds personal data.")
        elif kind_of(kinds[name].dataType) is not None:
            usable.append(name)
    return (usable[:_DRAWN] if asked is None else usable), notes if asked is not None else []
