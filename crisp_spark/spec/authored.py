"""What people write, with its author: who answers for it, since when, how settled it is."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from crisp_spark.spec.base import SpecModel

Status = Literal["draft", "agreed", "waived"]


class Authored(SpecModel):
    """Something a person wrote: who answers for it, since when, and how settled it is."""

    owner: str = ""
    """Who answers for it."""
    date: dt.date | None = None
    """Day it was written or agreed."""
    status: Status = "draft"
    """``draft`` until somebody agreed; ``waived`` when it was left out on purpose."""
    expires: dt.date | None = None
    """Last day on which it holds; afterwards the charter marks it as expired."""


class Statement(Authored):
    """A text with its author."""

    text: str = Field(min_length=1)
    """The text itself."""


def _as_statement(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


Prose = Annotated[Statement, BeforeValidator(_as_statement, json_schema_input_type=str | Statement)]
"""A statement that may also be written as plain text."""
