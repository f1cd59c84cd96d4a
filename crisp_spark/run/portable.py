"""Makes the portable model of a deployment: exported, packed, and held against Spark's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import CrispError

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from crisp_spark.deployment.portable_parity import Answer, Parity
    from crisp_spark.deployment.score import ScoringContract
    from crisp_spark.serving import Answers, Bundle

PARITY_ROWS = 1000
"""Held-out rows that are scored both ways before a bundle is written."""

_RULE_KINDS = {"binary": "boolean", "multiclass": "string"}


@dataclass(frozen=True)
class Portable:
    """A portable model before it has a name.

    Attributes:
        description: The model as data, without name and version.
        arrays: Its numbers.
        parity: Report of the comparison with Spark.
    """

    description: Mapping[str, Any]
    arrays: Mapping[str, Any]
    parity: Parity = field(repr=False)

    def packed(self, name: str, version: str) -> bytes:
        """Return the file of the bundle."""
        from crisp_spark.serving.files import pack

        report = {**asdict(self.parity), "passed": self.parity.passed}
        return pack({**self.description, "name": name, "version": version}, self.arrays, report)


def make_portable(
    pipeline: PipelineModel,
    contract: ScoringContract,
    held: DataFrame,
    *,
    facts: Mapping[str, Any] | None = None,
    rows: int = PARITY_ROWS,
) -> Portable:
    """Export a pipeline and compare its answers with Spark's.

    Args:
        pipeline: The fitted pipeline.
        contract: What scoring needs to know beside it.
        held: Rows that the model was not fitted on, with the contract's inputs.
        facts: What else the bundle tells (reference statistics).
        rows: How many of them are compared; strange rows come on top.

    Raises:
        NotPortableError: Something has no counterpart outside Spark, or the answers differ.
    """
    from crisp_spark import __version__
    from crisp_spark.deployment.portable import NotPortableError, export_pipeline, export_rule
    from crisp_spark.serving import Bundle
    from crisp_spark.serving.expressions import FUNCTIONS

    names = [item.name for item in contract.inputs if item.name in held.columns]
    empty = held.select(*(f"`{name.replace('`', '``')}`" for name in names)).limit(0)
    spark = held.sparkSession
    try:
        exported = export_pipeline(pipeline, empty, functions=FUNCTIONS, spark=spark.version)
        kind = _RULE_KINDS.get(contract.problem, "double")
        rule = export_rule(contract.fallback, kind, empty, FUNCTIONS) if contract.fallback else None
        description = {
            "crisp_spark": __version__,
            "spark": spark.version,
            "problem": contract.problem,
            "classes": list(contract.classes),
            "threshold": contract.threshold,
            "signature": [item.model_dump(mode="json") for item in contract.inputs],
            "stages": exported.stages,
            "answer": exported.answer,
            "fallback": rule,
            **(facts or {}),
        }
        bundle = Bundle({**description, "name": "candidate", "version": "0"}, exported.arrays)
    except NotPortableError:
        raise
    except CrispError as error:
        raise NotPortableError(f"deploy: {error.message}", hint=error.hint) from error
    report = check_parity(bundle, pipeline, contract, held, rows=rows)
    if not report.passed:
        raise NotPortableError(
            f"deploy: the portable model answers {report.prediction_mismatches} predictions and "
            f"{report.score_mismatches} scores of {report.rows} rows otherwise than Spark",
            hint="; ".join(report.examples[:2]) or "no row could be compared",
        )
    return Portable(description, exported.arrays, report)


def check_parity(
    bundle: Bundle,
    pipeline: PipelineModel,
    contract: ScoringContract,
    held: DataFrame,
    *,
    rows: int = PARITY_ROWS,
) -> Parity:
    """Score the same rows with Spark and with a bundle, and compare. Jobs: three."""
    from crisp_spark.deployment import portable_parity as parity
    from crisp_spark.deployment.score import score_frame
    from crisp_spark.modeling.labels import score_columns

    held_rows = parity.held_rows(held, contract.inputs, most=rows)
    strange_rows = parity.strange_rows(held_rows, dict(held.dtypes))
    chosen = [*held_rows, *strange_rows]
    own = own_answers(bundle, chosen)

    def by_spark(places: Sequence[int]) -> list[Answer]:
        frame = parity.spark_frame([chosen[at] for at in places], held, contract.inputs)
        scored = score_frame(frame, pipeline, contract, score_columns)
        return parity.spark_answers(scored.scored, scored.rejected, len(places))

    theirs = _answers_of_spark(own, by_spark)
    single = contract.problem == "recommendation"
    report = parity.compare(
        theirs,
        own,
        threshold=contract.threshold,
        tolerance=parity.FLOAT_TOLERANCE if single else parity.TOLERANCE,
    )
    report.strange_rows = len(strange_rows)
    return report


def _answers_of_spark(
    own: Sequence[Answer], by_spark: Callable[[Sequence[int]], list[Answer]]
) -> list[Answer]:
    """Ask Spark for all rows at once; those refused here go apart, for a stage may refuse loudly.

    A stage of Spark ML that refuses a row stops the whole job, so such a job counts as a refusal of
    the rows that were refused here already; the others must be answered in a job of their own.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    found: dict[int, Answer] = {}
    for refused in (False, True):
        places = [at for at, answer in enumerate(own) if answer.refused == refused]
        try:
            answers = by_spark(places) if places else []
        except (PySparkException, Py4JJavaError):
            if not refused:
                raise
            answers = [own[at] for at in places]
        found |= dict(zip(places, answers, strict=True))
    return [found[at] for at in range(len(own))]


def own_answers(bundle: Bundle, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Return a bundle's answers in the form in which they are compared."""
    from crisp_spark.deployment.portable_parity import Answer

    found: Answers = bundle.score(rows)
    return [
        Answer(
            score=found.score[at],
            prediction=found.prediction[at],
            decision=found.decision[at],
            probabilities=found.probabilities[at],
            answered_by=found.answered_by[at],
            refused=bool(found.reasons[at]),
        )
        for at in range(len(found))
    ]
