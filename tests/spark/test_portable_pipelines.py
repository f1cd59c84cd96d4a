"""Whole random pipelines: what Spark answers to strange rows is what the portable model answers."""

from __future__ import annotations

import os

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from crisp_spark.deployment import portable_parity as parity
from crisp_spark.deployment.score import score_frame
from crisp_spark.errors import CrispError
from crisp_spark.modeling.labels import score_columns
from crisp_spark.run.portable import make_portable, own_answers
from crisp_spark.serving import load_bundle
from tests.spark.pipeline_cases import PROBLEMS, fitted_case

# CRISP_DIFFERENTIAL=100 tries that many pipelines; CRISP_DIFFERENTIAL_SEED is the first seed.
PIPELINES = int(os.environ.get("CRISP_DIFFERENTIAL", "0"))
FIRST = int(os.environ.get("CRISP_DIFFERENTIAL_SEED", "0"))
ROWS = 300
REFUSED, ALONE = 5, 25
_REDRAWS = 10


def drawn(spark, seed):
    """The pipeline of a seed; one that the project refuses gives way to the next of its kind."""
    for again in range(_REDRAWS):
        try:
            return fitted_case(spark, seed + 1_000_000 * again * len(PROBLEMS), rows=ROWS)
        except CrispError as error:
            refusal = error
    raise AssertionError(f"seed {seed}: {_REDRAWS} pipelines in a row were refused") from refusal


def by_spark(case, places):
    """Spark's answers; None where a stage refuses a row and so stops the whole job."""
    frame = parity.spark_frame([case.rows[at] for at in places], case.held, case.contract.inputs)
    scored = score_frame(frame, case.model, case.contract, score_columns)
    try:
        return parity.spark_answers(scored.scored, scored.rejected, len(places))
    except (PySparkException, Py4JJavaError):
        return None


def answers_of_spark(case, own):
    """Answers to all rows: at once where no row stops the job, else one by one."""
    found = {}
    for refused in (False, True):
        places = [at for at, answer in enumerate(own) if answer.refused == refused]
        answers = by_spark(case, places) if places else []
        if answers is None:
            # Refused rows may stop a job: a few of them are asked alone.
            places = places[:: max(1, len(places) // REFUSED)] if refused else places
            answers = [_alone(case, at, own[at]) for at in places]
        found |= dict(zip(places, answers, strict=True))
    return found


def _alone(case, at, own):
    """Spark's answer to one row; where it stops the job, nothing but the refusal is known."""
    answers = by_spark(case, [at])
    if answers is not None:
        return answers[0]
    return own if own.refused else parity.Answer(refused=True)


def _seeds():
    if PIPELINES:
        return range(FIRST, FIRST + PIPELINES)
    few = 3
    return [
        *range(FIRST, FIRST + few),
        *(pytest.param(FIRST + at, marks=pytest.mark.slow) for at in range(few, len(PROBLEMS))),
    ]


@pytest.mark.parametrize("seed", _seeds())
def test_a_random_pipeline_answers_as_spark_does(spark, seed):
    case = drawn(spark, seed)
    tolerance = parity.TOLERANCE
    if case.contract.problem == "recommendation":
        tolerance = parity.FLOAT_TOLERANCE
    # The gate's own comparison is kept short; the rows below are stranger than its.
    made = make_portable(case.model, case.contract, case.held, rows=30)
    bundle = load_bundle(made.packed("random", str(seed)))
    own = own_answers(bundle, case.rows)
    theirs = answers_of_spark(case, own)
    report = parity.compare(
        list(theirs.values()),
        [own[at] for at in theirs],
        threshold=case.contract.threshold,
        tolerance=tolerance,
    )
    assert report.passed, f"{report}\n{case.words}"
    # One row alone takes other ways than many rows at once.
    alone = [own_answers(bundle, [row])[0] for row in case.rows[:ALONE]]
    report = parity.compare(
        own[:ALONE], alone, threshold=case.contract.threshold, tolerance=tolerance
    )
    assert report.prediction_mismatches == 0, f"{report}\n{case.words}"
    assert report.score_mismatches == 0, f"{report}\n{case.words}"
