"""Answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from crisp_spark.serving.endpoint.signature import Field, Identity, RowAnswer


def rendered_answers(
    answers: Sequence[RowAnswer],
    columns: Mapping[str, Sequence[Any]],
    fields: Sequence[Field],
) -> list[dict[str, Any]]:
    """Return answers as plain data, each with the key of its row where the request has one."""
    keys = [field.name for field in fields if field.use == "key"]
    return [
        _answer(answer, {name: columns[name][number] for name in keys})
        for number, answer in enumerate(answers)
    ]


def _answer(answer: RowAnswer, key: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"prediction": answer.prediction, "answered_by": answer.answered_by}
    if answer.score is not None:
        told["score"] = answer.score
    if answer.decision is not None:
        told["decision"] = answer.decision
    if answer.probabilities is not None:
        told["probabilities"] = dict(answer.probabilities)
    if answer.reasons:
        told["reasons"] = list(answer.reasons)
    given = {name: value for name, value in key.items() if value is not None}
    return told | ({"key": given} if given else {})


def identity_of(identity: Identity) -> dict[str, Any]:
    """Return which model answers, as plain data."""
    return {
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "spark": identity.spark,
        "problem": identity.problem,
        "classes": list(identity.classes),
        "threshold": identity.threshold,
    }


def encoded(content: Any) -> bytes:
    """Return JSON in ASCII; a number that JSON does not know becomes null."""
    return json.dumps(_plain(content), separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value
