"""A portable model: loaded from one file, scores rows or columns."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crisp_spark.serving import files
from crisp_spark.serving.batch import Batch, Build, Floats, Layout
from crisp_spark.serving.columns import Frame
from crisp_spark.serving.expressions import compile_expression
from crisp_spark.serving.intake import Field, Intake
from crisp_spark.serving.learners import LEARNERS, logistic
from crisp_spark.serving.neighbours import NEIGHBOURS
from crisp_spark.serving.refusal import BundleError, RowError, RowsRefusedError, UnsupportedError
from crisp_spark.serving.stages import FEATURES
from crisp_spark.serving.trees import summed
from crisp_spark.serving.vectors import VECTORS
from crisp_spark.serving.words import WORDS

STAGES: Mapping[str, Build] = {**FEATURES, **VECTORS, **WORDS, **LEARNERS, **NEIGHBOURS}
"""Stages by the kind that a bundle names."""

_CELLS = 4_000_000
"""Most numbers of a vector column held at once."""
_MOST_ROWS = 4096


@dataclass
class Answers:
    """What a model says about rows, in their order.

    Attributes:
        model: Name and version of the model.
        score: Probability of the positive class, of the chosen class, or the predicted number.
        prediction: Class name, number, or cluster.
        decision: Whether the score reaches the threshold (binary).
        probabilities: Probability of each class (several classes).
        answered_by: ``model``, ``fallback``, or None where nobody could answer.
        reasons: Why the model refused a row; empty where it did not.
    """

    model: str
    score: list[float | None] = field(default_factory=list)
    prediction: list[Any] = field(default_factory=list)
    decision: list[bool | None] = field(default_factory=list)
    probabilities: list[list[float] | None] = field(default_factory=list)
    answered_by: list[str | None] = field(default_factory=list)
    reasons: list[list[str]] = field(default_factory=list)

    @classmethod
    def of(cls, model: str, reasons: list[list[str]]) -> Answers:
        """Return answers that are still open."""
        n = len(reasons)
        return cls(model, [None] * n, [None] * n, [None] * n, [None] * n, [None] * n, reasons)

    def __len__(self) -> int:
        return len(self.prediction)

    def row(self, at: int) -> dict[str, Any]:
        """Return one answer."""
        found: dict[str, Any] = {
            "prediction": self.prediction[at],
            "score": self.score[at],
            "decision": self.decision[at],
            "answered_by": self.answered_by[at],
            "model": self.model,
        }
        if self.probabilities[at] is not None:
            found["probabilities"] = self.probabilities[at]
        if self.reasons[at]:
            found["reasons"] = self.reasons[at]
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return all answers."""
        return [self.row(at) for at in range(len(self))]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())


class Bundle:
    """A model that answers without Spark. Safe to use from several threads.

    Args:
        model: Description, as :func:`crisp_spark.serving.files.unpack` gives it.
        arrays: Its numbers.
        parity: Report of the comparison with Spark.
        digest: SHA-256 of the file.

    Raises:
        BundleError: The description makes no sense.
        UnsupportedError: It names a stage or an expression that this version lacks.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        arrays: Mapping[str, Any],
        *,
        parity: Mapping[str, Any] | None = None,
        digest: str = "",
    ) -> None:
        self.description = model
        self.parity = parity
        self.digest = digest
        # Expressions keep common parts and lambda variables while a row is under way.
        self._lock = threading.Lock()
        try:
            self.name, self.version = str(model["name"]), str(model["version"])
            self.problem = str(model["problem"])
            self.classes: list[str] = list(model["classes"])
            self.threshold: float | None = model["threshold"]
            self.spark = str(model["spark"])
            self.signature = tuple(
                Field(item["name"], item["type"], item["use"], item["required"])
                for item in model["signature"]
            )
            self._answer: Mapping[str, str] = model["answer"]
            self._intake = Intake(self.signature)
            self._layout = Layout()
            for one in self.signature:
                self._layout.value(one.name)
            inputs = dict(self._layout.slots)
            self._stages = [
                self._stage(spec)(spec, arrays, self._layout) for spec in model["stages"]
            ]
            rule = model.get("fallback")
            self.fallback: str | None = rule["expression"] if rule else None
            self._rule = compile_expression(rule["tree"], inputs) if rule else None
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise BundleError(f"bundle: its description makes no sense ({error!r})") from error
        widest = max(self._layout.widths.values(), default=1)
        self._chunk = max(1, min(_MOST_ROWS, _CELLS // max(widest, 1)))

    @property
    def reference(self) -> Mapping[str, Mapping[str, Any]]:
        """What training rows looked like, by column; empty where the bundle does not tell."""
        found: Mapping[str, Mapping[str, Any]] = self.description.get("reference", {})
        return found

    @staticmethod
    def _stage(spec: Mapping[str, Any]) -> Build:
        found = STAGES.get(spec["kind"])
        if found is None:
            raise UnsupportedError(f"bundle: no stage {spec['kind']!r} in this version")
        return found

    @property
    def label(self) -> str:
        """Name and version, as answers carry them."""
        return f"{self.name} {self.version}"

    def score(self, data: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]) -> Answers:
        """Score rows (mappings of names to values) or columns (a mapping of names to lists).

        A row that the model refuses says why, and is answered by the fallback rule if there is one.

        Raises:
            InputError: The data is no table, or a column is missing.
        """
        read = self._intake.rows(data)
        answers = Answers.of(self.label, [list(faults) for _, faults in read])
        sound = [at for at, (_, faults) in enumerate(read) if not faults]
        for start in range(0, len(sound), self._chunk):
            with self._lock:
                self._score_chunk(read, sound[start : start + self._chunk], answers)
        if any(answers.reasons):
            self._fall_back(read, answers)
        return answers

    def stand_in(
        self, data: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]], reason: str
    ) -> Answers:
        """Answer by the fallback rule alone, as where the model itself breaks.

        Args:
            data: Rows or columns.
            reason: Why the model does not answer; every row carries it.
        """
        read = self._intake.rows(data)
        answers = Answers.of(self.label, [[*faults, reason] for _, faults in read])
        self._fall_back(read, answers)
        return answers

    def _score_chunk(
        self, read: Sequence[tuple[list[Any], list[str]]], places: list[int], answers: Answers
    ) -> None:
        batch, places = self._run(read, places, answers.reasons)
        if places:
            self._fill(batch, places, answers)

    def _run(
        self,
        read: Sequence[tuple[list[Any], list[str]]],
        places: list[int],
        reasons: list[list[str]],
    ) -> tuple[Batch, list[int]]:
        """Run the stages; return what they made, and the places of the rows that they took."""
        room = [None] * (self._layout.room - len(self.signature))
        batch = Batch(Frame([[*read[at][0], *room] for at in places]))
        while places:
            try:
                with np.errstate(all="ignore"):
                    for stage in self._stages:
                        stage(batch)
                break
            except RowsRefusedError as refusal:
                for at, reason in refusal.reasons.items():
                    reasons[places[at]].append(reason)
                places = [p for at, p in enumerate(places) if at not in refusal.reasons]
                batch = batch.without(list(refusal.reasons))
        return batch, places

    def width(self, name: str) -> int | None:
        """Return the length of a column of vectors behind the last stage; None for a number."""
        return self._layout.widths.get(name)

    def columns(
        self, data: Sequence[Mapping[str, Any]], names: Sequence[str]
    ) -> tuple[list[int], dict[str, Floats]]:
        """Return the rows that no stage refuses, and their columns as matrices, NaN where null."""
        read = self._intake.rows(data)
        sound = [at for at, (_, faults) in enumerate(read) if not faults]
        with self._lock:
            batch, places = self._run(read, sound, [[] for _ in read])
        found = {}
        for name in names:
            width = self.width(name)
            if width is None:
                found[name] = batch.frame.floats(self._layout.slots[name])[:, None]
                continue
            found[name] = np.array(batch.vectors[name]) if places else np.empty((0, width))
            found[name][list(batch.absent.get(name, ()))] = np.nan
        return places, found

    def _fill(self, batch: Batch, places: list[int], answers: Answers) -> None:
        """Turn raw outputs into answers, by the rules of batch scoring."""
        slot = self._layout.slots[self._answer["prediction"]]
        numbers = [row[slot] for row in batch.frame.settled(slot)]
        scores, shares = self._scores(batch, numbers)
        for at, place in enumerate(places):
            number, score = numbers[at], scores[at]
            score = None if score is None or score != score else score  # noqa: PLR0124
            known = number is not None and number == number  # noqa: PLR0124
            answers.score[place] = score
            answers.prediction[place] = self._named(number) if known else None
            if self.problem == "binary" and self.threshold is not None and score is not None:
                answers.decision[place] = score >= self.threshold
            if shares is not None:
                answers.probabilities[place] = shares[at]
            answers.answered_by[place] = "model" if known else None

    def _scores(
        self, batch: Batch, numbers: list[Any]
    ) -> tuple[list[Any], list[list[float]] | None]:
        chances = batch.vectors.get(self._answer.get("probability", ""))
        if self.problem in ("binary", "multiclass"):
            if chances is None:
                # No probability: the logistic of the margin keeps the order.
                chances = logistic(batch.vectors[self._answer["raw"]])
            if self.problem == "binary":
                return chances[:, 1].tolist(), None
            shares = chances / summed(chances)[:, None]
            return shares.max(axis=1).tolist(), shares.tolist()
        if chances is not None:
            return chances.max(axis=1).tolist(), None
        return [None if number is None else float(number) for number in numbers], None

    def _named(self, number: float) -> Any:
        if self.problem in ("binary", "multiclass"):
            return self.classes[int(number)] if self.classes else str(number)
        return int(number) if self.problem == "clustering" else number

    def _fall_back(self, read: Sequence[tuple[list[Any], list[str]]], answers: Answers) -> None:
        if self._rule is None:
            return
        for at, reasons in enumerate(answers.reasons):
            if not reasons:
                continue
            try:
                with self._lock:
                    found = self._rule(read[at][0])
            except RowError:
                reasons.append("fallback rule: cannot be computed")
                continue
            if found is None:
                continue
            answers.answered_by[at] = "fallback"
            if self.problem == "binary":
                answers.decision[at] = bool(found)
            else:
                answers.prediction[at] = found


def load_bundle(
    path: str | Path | bytes, *, sha256: str | None = None, unchecked: bool = False
) -> Bundle:
    """Load a portable model.

    Args:
        path: File of the bundle, or its bytes.
        sha256: Digest that the file must have.
        unchecked: Take a bundle that was never compared with Spark, or failed the comparison.

    Raises:
        BundleError: The file is missing, damaged, not the one expected, or unchecked.
        UnsupportedError: It has a stage or an expression that this version lacks.
    """
    content, place = files.read(path)
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise BundleError(f"{place}: the checksum is {digest}, expected {sha256}")
    model, arrays, parity = files.unpack(content, place=place)
    if not unchecked and not (parity or {}).get("passed"):
        raise BundleError(
            f"{place}: it has no passed comparison with Spark",
            hint="bundles that `crisp deploy` writes have one",
        )
    return Bundle(model, arrays, parity=parity, digest=digest)
