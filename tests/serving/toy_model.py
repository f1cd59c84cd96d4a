"""A model of a few lines whose every answer can be worked out by hand. No pytest: Lambda loads it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

from crisp_spark.errors import ModelError
from crisp_spark.serving.endpoint.signature import Field, Identity, RowAnswer

FIELDS = (
    Field("delay", "double", required=True),
    Field("carrier", "string"),
    Field("seats", "int"),
    Field("day", "date"),
    Field("flight id", "string", use="key"),
    Field("hour", "bigint", use="fallback"),
)
CARRIERS = {"AA": 0.5, "UA": -0.5}


class ToyModel:
    """Late where a delay is long; refuses rows without one, and breaks on the carrier BUG."""

    def __init__(self, version: str = "1", *, rule: bool = True, seconds: float = 0.0) -> None:
        self._rule, self._seconds = rule, seconds
        self.identity = Identity(
            name="toy",
            version=version,
            digest="d" * 64,
            spark="4.1.1",
            problem="binary",
            classes=("false", "true"),
            threshold=0.5,
        )
        self.fields = FIELDS

    def answers(self, columns, rows):
        time.sleep(self._seconds)
        if "BUG" in columns["carrier"]:
            raise ZeroDivisionError("secret value 4711")
        return [
            self._one({name: values[i] for name, values in columns.items()}) for i in range(rows)
        ]

    def _one(self, row):
        if row["delay"] is None:
            return self._by_rule(row, "delay: missing")
        linear = 0.1 * row["delay"] - 3 + CARRIERS.get(row["carrier"], 0.0)
        linear += (row["seats"] or 0) / 100
        score = 1 / (1 + math.exp(-max(min(linear, 500), -500)))
        return RowAnswer(
            prediction="true" if score >= 0.5 else "false",
            score=score,
            decision=score >= 0.5,
            probabilities={"false": 1 - score, "true": score},
            answered_by="model",
        )

    def _by_rule(self, row, reason):
        if not self._rule or row["hour"] is None:
            return RowAnswer(reasons=(reason,))
        return RowAnswer(decision=row["hour"] >= 18, answered_by="fallback", reasons=(reason,))

    def stand_in(self, columns, rows):
        if not self._rule:
            return None
        made = [{name: values[i] for name, values in columns.items()} for i in range(rows)]
        return [self._by_rule(row, "the model failed") for row in made]

    def reference_row(self):
        return {"delay": 0.0, "carrier": None, "seats": 150}


def load_toy(folder: Path) -> ToyModel:
    """Load a bundle of the toy."""
    file = folder / "toy.json"
    if not file.is_file():
        raise ModelError(f"model: there is no bundle in {folder}")
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ModelError(f"model: {file} is no JSON") from error
    return ToyModel(content["version"], seconds=content.get("seconds", 0.0))
