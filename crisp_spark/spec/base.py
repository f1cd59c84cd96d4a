"""The frozen base of everything a user declares."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class SpecModel(BaseModel):
    """A declared value: immutable, strict about unknown keys, described field by field.

    Validators are built on first use and the descriptions (the texts below the fields) are read
    by :mod:`crisp_spark.spec.descriptions` where they are needed: ``crisp --help`` and ``crisp
    validate`` start in half the time.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=True,
        defer_build=True,
    )


def canonical_json(value: Any) -> str:
    """Serialise a spec, or plain data, the same way every time (sorted keys, no spaces)."""
    plain = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
