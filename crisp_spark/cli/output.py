"""Results on stdout: text for people, or JSON for programs; trouble on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import CrispError, SpecError

if TYPE_CHECKING:
    from rich.console import Console

_GROUPED_FROM = 10_000  # smaller numbers, years among them, are written without commas
_PLAIN_WIDTH = 160  # of tables where stdout is no terminal


@dataclass(frozen=True)
class Output:
    """Where a command's result goes.

    Attributes:
        as_json: Whether the result is printed as JSON; texts and tables then stay away.
    """

    as_json: bool = False

    def data(self, value: Any) -> None:
        """Print the result as JSON, if JSON was asked for."""
        if self.as_json:
            sys.stdout.write(to_json(value) + "\n")

    def text(self, text: str = "", *, style: str = "") -> None:
        """Print a line for people; square brackets are taken literally."""
        if not self.as_json:
            self.console.print(text, style=style or None, markup=False, highlight=False)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = ""
    ) -> None:
        """Print a table for people."""
        if self.as_json:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title or None, title_justify="left", header_style="bold", box=None)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            cells = [cell if isinstance(cell, Text) else Text(show(cell)) for cell in row]
            table.add_row(*cells)
        self.console.print(table)

    @property
    def console(self) -> Console:
        """Console on stdout."""
        return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(file=stream, width=width, soft_wrap=not stream.isatty())


def error_console() -> Console:
    """Console on stderr, for progress."""
    return _console(stderr=True)


def failure(error: CrispError, *, as_json: bool) -> None:
    """Say what went wrong: on stderr, and with JSON on stdout as well."""
    if as_json:
        sys.stdout.write(to_json({"error": _as_data(error)}) + "\n")
    sys.stderr.write(f"crisp: {error}\n")


def _as_data(error: CrispError) -> dict[str, Any]:
    data: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
        "retryable": error.retryable,
    }
    found = getattr(error, "failure", None)
    if found is not None:
        data["failure"] = asdict(found)
    if isinstance(error, SpecError):
        data["faults"] = list(error.faults)
        details = getattr(error, "details", ())
        if details:
            from crisp_spark.spec.faults import dotted

            data["details"] = [
                {
                    "file": fault.origin.source if fault.origin else None,
                    "line": fault.origin.line if fault.origin else None,
                    "place": dotted(fault.place),
                    "what": fault.what,
                    "hint": fault.hint,
                }
                for fault in details
            ]
    return data


def to_json(value: Any) -> str:
    """Serialise a result; models, dataclasses, dates and paths included."""
    return json.dumps(value, default=_plain, ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model; importing pydantic for this is slow
        return value.model_dump(mode="json", by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


def show(value: Any) -> str:
    """Write a single value the way people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.4g}" if abs(value) < _GROUPED_FROM else f"{value:,.0f}"
        case int():
            return f"{value:,}" if abs(value) >= _GROUPED_FROM else str(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list() | tuple():
            return ", ".join(map(show, value))
        case _:
            return str(value)
