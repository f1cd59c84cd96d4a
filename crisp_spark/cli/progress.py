"""Live progress of a run, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from crisp_spark.cli.output import error_console
from crisp_spark.flow import step as step_of

if TYPE_CHECKING:
    from rich.progress import TaskID

    from crisp_spark.run.runner import StepEvent
    from crisp_spark.run.steprun import StepProgress

_MARKS = {"done": ("✓", "green"), "skipped": ("-", "dim"), "failed": ("✗", "bold red")}
_LEVELS = {"warning": "yellow", "warn": "yellow", "error": "red", "fail": "red"}


class RunProgress:
    """Shows the step that runs and, when it ends, its time and notes.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._quiet = quiet
        self._console = error_console()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: StepEvent) -> None:
        """Show an event."""
        if event.state == "running":
            if self._task is not None and event.progress is not None:
                self._progress.update(self._task, description=_words(event.step, event.progress))
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        phase = step_of(event.step).phase.value
        if event.state == "started":
            self._task = self._progress.add_task(f"{event.step} ({phase})")
        elif not self._quiet:
            self._line(event, phase)

    def _line(self, event: StepEvent, phase: str) -> None:
        from rich.text import Text

        mark, style = _MARKS[event.state]
        took = "unchanged" if event.state == "skipped" else f"{event.seconds:6.1f} s"
        line = f"{mark} {event.step:<9} {phase:<14} {took}"
        self._console.print(Text(line, style=style))
        for note in event.notes:
            self._console.print(Text(f"    {note.text}", style=_LEVELS.get(note.level, "")))


def _words(step: str, progress: StepProgress) -> str:
    words = f"{step} {progress.done}/{progress.total}"
    return f"{words} · {progress.text}" if progress.text else words
