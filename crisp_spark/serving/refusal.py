"""What goes wrong with a row, and with a bundle."""

from __future__ import annotations

from collections.abc import Mapping

from crisp_spark.errors import CrispError, DataError, StorageError


class RowError(Exception):
    """An expression or a stage refuses one row; the message says why."""


class RowsRefusedError(Exception):
    """Some rows of a batch are refused; the others can go on.

    Args:
        reasons: Place of the row to the reason.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons)} rows refused")
        self.reasons = dict(reasons)


class UnsupportedError(CrispError):
    """A stage or an expression has no counterpart outside Spark."""


class BundleError(StorageError):
    """A bundle is missing, damaged, of another version, or was never checked against Spark."""


class InputError(DataError):
    """The input as a whole cannot be scored: a column is missing, or it is no table."""
