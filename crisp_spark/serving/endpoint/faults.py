"""What is wrong with a request, as its sender is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crisp_spark.errors import DataError

MOST_FAULTS = 20
"""Faults that one answer tells of; a sender mends the first ones and asks again."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        code: Word for programs, such as ``WRONG_TYPE``.
        message: Sentence for people; it never repeats a value, which may be personal.
        column: Column, where one is at fault.
        row: Number of the row from 0, where one is at fault.
    """

    code: str
    message: str
    column: str | None = None
    row: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fault as plain data, without what is not known."""
        told: dict[str, Any] = {"error_code": self.code, "message": self.message}
        if self.column is not None:
            told["column"] = self.column
        if self.row is not None:
            told["row"] = self.row
        return told


class RequestError(DataError):
    """A request cannot be answered as it is.

    Args:
        status: HTTP status.
        faults: What is wrong, the first one first; at least one.
    """

    def __init__(self, status: int, faults: Sequence[Fault]) -> None:
        super().__init__(f"request: {faults[0].message}")
        self.status = status
        self.faults = tuple(faults[:MOST_FAULTS])

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer: the first fault, and all of them where there are more."""
        body = self.faults[0].as_json()
        if len(self.faults) > 1:
            body["faults"] = [fault.as_json() for fault in self.faults]
        return body


def refused(
    status: int, code: str, message: str, *, column: str | None = None, row: int | None = None
) -> RequestError:
    """Return the error of one fault."""
    return RequestError(status, [Fault(code, message, column, row)])
