"""The gate of a portable model: the same rows answered by Spark and without it, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.results.deploy import ModelInput
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROW = "_crisp_parity"
TOLERANCE = 1e-9
"""Largest difference of a score, absolute or relative: Spark's own dot products differ by JVM."""
FLOAT_TOLERANCE = 1e-5
"""The same for models that calculate in 32-bit floats (alternating least squares)."""
_EDGE = 1e-12
_SHOWN = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STRANGE: Mapping[str, tuple[Any, ...]] = {
    "string": ("", " ", "never seen \N{SNOWMAN}", "NaN"),
    "double": (float("nan"), float("inf"), -1e300, -0.0, 0.0),
    "float": (float("nan"), float("-inf"), 0.0),
    "int": (0, -1, 2**31 - 1, -(2**31)),
    "bigint": (0, -1, 2**63 - 1),
    "smallint": (0, -(2**15)),
    "tinyint": (0, -(2**7)),
    "boolean": (True, False),
}


@dataclass(frozen=True)
class Answer:
    """What became of a row.

    Attributes:
        score: Its score.
        prediction: Class, number or cluster.
        decision: Whether it gets an alert.
        probabilities: Chances of several classes.
        answered_by: ``model``, ``fallback`` or None.
        refused: Whether the model refused it.
    """

    score: float | None = None
    prediction: Any = None
    decision: bool | None = None
    probabilities: Sequence[float] | None = None
    answered_by: str | None = None
    refused: bool = False


@dataclass
class Parity:
    """Comparison of two lists of answers.

    Attributes:
        rows: Rows compared.
        refused: Rows that both refuse.
        strange_rows: How many of the rows were made up: nulls, unseen categories, extreme values.
        prediction_mismatches: Rows whose prediction, decision, refusal or answering side differs.
        score_mismatches: Rows whose score or probabilities differ by more than the tolerance.
        max_abs_difference: Largest difference of a score or probability.
        tolerance: What was allowed.
        examples: The first differences, in words.
    """

    rows: int = 0
    refused: int = 0
    strange_rows: int = 0
    prediction_mismatches: int = 0
    score_mismatches: int = 0
    max_abs_difference: float = 0.0
    tolerance: float = TOLERANCE
    examples: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether rows were compared, some were scored, and none differs."""
        return self.rows > self.refused and not (
            self.prediction_mismatches or self.score_mismatches
        )


def compare(
    spark: Sequence[Answer], own: Sequence[Answer], *, threshold: float | None, tolerance: float
) -> Parity:
    """Compare answers row by row.

    Args:
        spark: Spark's answers.
        own: Answers of the portable model to the same rows.
        threshold: Threshold of the decision; scores on its very edge may fall to either side.
        tolerance: Largest difference of a score, absolute or relative.
    """
    found = Parity(rows=len(spark), tolerance=tolerance)
    for at, (theirs, ours) in enumerate(zip(spark, own, strict=True)):
        if theirs.refused and ours.refused:
            found.refused += 1
        gap = _gap(theirs, ours)
        found.max_abs_difference = max(found.max_abs_difference, gap)
        close = _close(theirs, ours, tolerance)
        found.score_mismatches += not close
        same = _same(theirs, ours, threshold, tolerance)
        found.prediction_mismatches += not same
        if not (close and same) and len(found.examples) < _SHOWN:
            found.examples.append(f"row {at}: Spark {theirs}, portable {ours}")
    return found


def _numbers(answer: Answer) -> list[float | None]:
    return [answer.score, *(answer.probabilities or ())]


def _gap(theirs: Answer, ours: Answer) -> float:
    pairs = zip(_numbers(theirs), _numbers(ours), strict=False)
    gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None and a != b]
    return max(gaps, default=0.0)


def _near(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    both_nan = a != a and b != b  # noqa: PLR0124
    return a == b or both_nan or abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))


def _close(theirs: Answer, ours: Answer, tolerance: float) -> bool:
    first, second = _numbers(theirs), _numbers(ours)
    return len(first) == len(second) and all(
        _near(a, b, tolerance) for a, b in zip(first, second, strict=True)
    )


def _same(theirs: Answer, ours: Answer, threshold: float | None, tolerance: float) -> bool:
    edge = (
        threshold is not None
        and theirs.score is not None
        and abs(theirs.score - threshold) <= _EDGE
    )
    if isinstance(theirs.prediction, float) and isinstance(ours.prediction, float):
        equal = _near(theirs.prediction, ours.prediction, tolerance)
    else:
        equal = theirs.prediction == ours.prediction
    return (
        equal
        and (theirs.refused, theirs.answered_by) == (ours.refused, ours.answered_by)
        and (edge or theirs.decision == ours.decision)
    )


def held_rows(held: DataFrame, inputs: Sequence[ModelInput], *, most: int) -> list[dict[str, Any]]:
    """Collect rows to compare.

    Rows: at most ``most``. Adds: nothing. Drops: columns that are no inputs. Jobs:
    one.
    """
    known = dict(held.dtypes)
    names = [item.name for item in inputs if item.name in known]
    plain = held.select(*(_encoded(name, known[name]) for name in names))
    return [
        {name: _decoded(value, known[name]) for name, value in row.asDict().items()}
        for row in plain.limit(most).collect()
    ]


def _encoded(name: str, kind: str) -> Any:
    column = F.col(quoted(name))
    if kind in ("timestamp", "timestamp_ntz"):
        return F.expr(f"unix_micros(CAST({quoted(name)} AS TIMESTAMP))").alias(name)
    return column


def _decoded(value: Any, kind: str) -> Any:
    if value is not None and kind in ("timestamp", "timestamp_ntz"):
        return _EPOCH + timedelta(microseconds=value)
    return value


def strange_rows(rows: Sequence[dict[str, Any]], kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Make rows like the given ones, each with one value null, unseen or extreme."""
    if not rows:
        return []
    found: list[dict[str, Any]] = [dict.fromkeys(rows[0])]
    for name in rows[0]:
        for value in (None, *_STRANGE.get(kinds[name], ())):
            found.append({**rows[len(found) % len(rows)], name: value})
    return found


def spark_frame(
    rows: Sequence[Mapping[str, Any]], like: DataFrame, inputs: Sequence[ModelInput]
) -> DataFrame:
    """Return collected rows as a frame again, numbered by :data:`ROW`.

    Rows: as given. Adds: the row's number. Drops: nothing. Jobs: none.
    """
    wanted = [item.name for item in inputs if item.name in like.columns]
    schema = {f.name: f.dataType for f in like.schema.fields}
    moments = [n for n in wanted if isinstance(schema[n], T.TimestampType | T.TimestampNTZType)]
    plain = T.StructType(
        [
            T.StructField(ROW, T.LongType()),
            *(T.StructField(n, T.LongType() if n in moments else schema[n]) for n in wanted),
        ]
    )
    values = [
        (at, *(_micros(row[n]) if n in moments else row[n] for n in wanted))
        for at, row in enumerate(rows)
    ]
    frame = like.sparkSession.createDataFrame(values, plain)
    back = [
        F.expr(f"CAST(timestamp_micros({quoted(n)}) AS {schema[n].simpleString()})").alias(n)
        if n in moments
        else F.col(quoted(n))
        for n in wanted
    ]
    return frame.select(ROW, *back)


def _micros(value: datetime | None) -> int | None:
    return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)


def spark_answers(scored: DataFrame, rejected: DataFrame, rows: int) -> list[Answer]:
    """Collect the answers of batch scoring in the order of the rows. Jobs: two."""
    found: dict[int, Answer] = {}
    for row in scored.collect():
        found[row[ROW]] = _answer(row.asDict(), refused=False)
    for row in rejected.collect():
        found[row[ROW]] = _answer(row.asDict(), refused=True)
    return [found[at] for at in range(rows)]


def _answer(row: Mapping[str, Any], *, refused: bool) -> Answer:
    chances = row.get("_crisp_probabilities")
    return Answer(
        score=row.get("_crisp_score"),
        prediction=row.get("_crisp_prediction"),
        decision=row.get("_crisp_decision"),
        probabilities=None if chances is None else list(chances),
        answered_by=row.get("_crisp_answered_by"),
        refused=refused,
    )
