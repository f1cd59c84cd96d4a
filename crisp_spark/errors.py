"""Every error this package raises on purpose, grouped by who must act on it.

A message reads ``place: what is wrong, got X``; the hint says what is valid or what to do. The
exit codes follow sysexits: 64 usage, 65 data, 70 bug, 71 set-up of a cluster's machines, 75 try
again (throttled, no capacity), 77 permission, 78 project file; 130 is a cancelled run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

EX_OK = 0
EX_USAGE = 64
EX_DATA = 65
EX_BUG = 70
EX_NODE = 71
EX_TRY_AGAIN = 75
EX_PERMISSION = 77
EX_SPEC = 78
EX_CANCELLED = 130


class CrispError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: ``place: what is wrong, got X``.
        hint: What is valid, or what to do about it.
    """

    exit_code: int = EX_BUG
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(CrispError):
    """The command was called with arguments that cannot be served."""

    exit_code = EX_USAGE


class SpecError(CrispError):
    """The project file is wrong; ``faults`` holds one printable line per fault."""

    exit_code = EX_SPEC

    def __init__(self, message: str, *, hint: str = "", faults: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {fault}" for fault in self.faults)])


class DataError(CrispError):
    """The data cannot be used as it is."""

    exit_code = EX_DATA


class MissingColumnsError(DataError):
    """Columns that the project names are not there.

    Args:
        place: Table or operation that needs the columns.
        missing: Names not found.
        available: Names that are there.
    """

    def __init__(self, place: str, missing: Iterable[str], available: Iterable[str]) -> None:
        self.missing = sorted(missing)
        self.available = sorted(available)
        near = {name: suggest(name, self.available) for name in self.missing}
        hints = [f"did you mean {found!r} for {name!r}?" for name, found in near.items() if found]
        super().__init__(
            f"{place}: no such column {', '.join(map(repr, self.missing))}",
            hint=" ".join([*hints, f"available: {', '.join(self.available)}"]),
        )


class QualityGateError(DataError):
    """A quality rule of severity ``fail`` did not hold; ``result`` holds what was found."""

    def __init__(self, message: str, *, hint: str = "", result: object = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class ModelError(DataError):
    """No usable model could be fitted, loaded or scored."""


class StorageError(CrispError):
    """A published table, commit or file is missing, damaged or unreachable."""

    exit_code = EX_DATA


class TrackingError(CrispError):
    """The MLflow server did not take or return what was asked."""

    exit_code = EX_TRY_AGAIN
    retryable = True


class EnvironmentFaultError(CrispError):
    """Java, Spark or an optional package that is needed is not installed."""

    exit_code = EX_USAGE


class AccessError(EnvironmentFaultError):
    """Credentials are missing or bad, or do not allow what is asked."""


class UnavailableError(CrispError):
    """A service or the network did not answer as it should; trying again can help."""

    exit_code = EX_TRY_AGAIN
    retryable = True


def suggest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name nearest to ``name``, or None when nothing is near."""
    found = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return found[0] if found else None


def spark_reason(error: Exception, *, most: int = 500) -> str:
    """Return the first line of what Spark says went wrong, at most ``most`` characters.

    A job that was aborted tells the cause of its last task at the end of its own first line, and
    the innermost cause of the JVM is what the user can act on.
    """
    cause = getattr(error, "java_exception", None)
    text = str(error)
    while cause is not None:
        text = str(cause.getMessage() or cause.toString())
        cause = cause.getCause()
    return text.split("\n", 1)[0][:most]
