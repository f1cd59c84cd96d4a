"""Shows a run at AWS while it is followed: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crisp_spark.cli.output import error_console

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from crisp_spark.aws.emr.logs import LogLine
    from crisp_spark.aws.emr.view import RunView, StepView

STATE_STYLES = {
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "FAILED": "bold red",
    "INTERRUPTED": "bold red",
    "CANCELLED": "yellow",
    "CANCEL_PENDING": "yellow",
}
_REFRESH = 4


class RunWatch:
    """Shows views and log lines, on stderr.

    Args:
        quiet: Show nothing.
        all_lines: Show Spark's own talk too.
    """

    def __init__(self, *, quiet: bool = False, all_lines: bool = False) -> None:
        self._quiet = quiet
        self._all_lines = all_lines
        self._console = error_console()
        self._live: Live | None = None
        self._told: dict[str, str] = {}
        self._view: RunView | None = None
        self._trouble = ""

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                refresh_per_second=_REFRESH,
                transient=True,
                get_renderable=self._table,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_view(self, view: RunView) -> None:
        """Show a view."""
        self._view = view
        self._change(view.place, view.state, view.message)
        for step in view.steps:
            self._change(step.stage, step.state, step.message)

    def on_line(self, line: LogLine) -> None:
        """Show a log line, unless it is Spark's everyday talk."""
        from crisp_spark.aws.emr.logs import is_telling

        if self._quiet or not (self._all_lines or is_telling(line.text)):
            return
        from rich.text import Text

        self._console.print(Text(f"{line.stage} | ", style="dim") + Text(line.text))

    def on_trouble(self, text: str) -> None:
        """Show that something could not be read; once until it changes."""
        if text != self._trouble:
            self._trouble = text
            self.say(text, style="yellow")

    def say(self, text: str, *, style: str = "") -> None:
        """Show a line with the time."""
        if not self._quiet:
            from rich.text import Text

            self._console.print(Text(f"{datetime.now(UTC):%H:%M:%S} {text}", style=style))

    def _change(self, name: str, state: str, message: str) -> None:
        if self._told.get(name) == state:
            return
        self._told[name] = state
        waits = state == "PENDING"
        if not waits:
            self.say(f"{name} {state} {message}".rstrip(), style=STATE_STYLES.get(state, ""))

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False)
        view = self._view
        if view is None:
            return table
        table.add_row(Text(f"run {view.run_id}", style="bold"), view.place, view.state, "")
        for step in view.steps:
            style = STATE_STYLES.get(step.state, "dim")
            table.add_row(f"  {step.stage}", step.id, Text(step.state, style=style), took(step))
        return table


def took(step: StepView) -> str:
    """Return how long a step took, or has taken so far, as minutes and seconds."""
    if step.started is None:
        return ""
    seconds = int(((step.ended or datetime.now(UTC)) - step.started).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"
