"""Follows a run to its end: states, new log lines, through throttling and lost connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crisp_spark.aws.emr.logs import LogLine, LogSource
from crisp_spark.aws.emr.view import RemoteRun, RunView, StepView
from crisp_spark.aws.emr.waiting import Pace, patiently
from crisp_spark.errors import CrispError


@dataclass
class Watch:
    """What is told while a run is followed.

    Attributes:
        on_view: Told of the run whenever it was looked at.
        on_line: Told of each new log line.
        on_trouble: Told, in a line, why something could not be read.
    """

    on_view: Callable[[RunView], None] = lambda _view: None
    on_line: Callable[[LogLine], None] = lambda _line: None
    on_trouble: Callable[[str], None] = lambda _text: None


@dataclass
class Follower:
    """Follows one run.

    Attributes:
        run: The run.
        logs: Where log lines come from, best first: the first that has lines of a step is asked
            about it from then on, so no line is told twice.
        watch: What is told.
        pace: How often AWS is asked.
    """

    run: RemoteRun
    logs: Sequence[LogSource] = ()
    watch: Watch = field(default_factory=Watch)
    pace: Pace = field(default_factory=Pace)
    _logged: set[str] = field(default_factory=set)
    _source_of: dict[str, LogSource] = field(default_factory=dict)

    def follow(self) -> RunView:
        """Return the run once it has ended; there is no limit in time.

        Raises:
            CrispError: AWS refuses to tell (credentials ran out, say); the run itself goes on.
        """
        waits = self.pace.waits()
        before: tuple[object, ...] = ()
        while True:
            view = patiently(self.run.look, pace=self.pace, told=self.watch.on_trouble)
            self.watch.on_view(view)
            self._lines(view)
            if view.ended:
                return view
            now = (view.state, *(step.state for step in view.steps))
            if now != before:  # where something happens, more may follow soon
                waits, before = self.pace.waits(), now
            self.pace.sleep(next(waits))

    def _lines(self, view: RunView) -> None:
        for step in view.steps:
            if not step.id or step.started is None or step.id in self._logged:
                continue
            try:
                self._step_lines(step)
            except CrispError as error:
                # Logs are a service to the watcher: the run is followed without them too.
                self.watch.on_trouble(error.message)
            if step.done:
                self._logged.add(step.id)

    def _step_lines(self, step: StepView) -> None:
        known = self._source_of.get(step.id)
        for source in self.logs if known is None else (known,):
            for line in source.new_lines(step.stage, step.id):
                self._source_of[step.id] = source
                self.watch.on_line(line)
            if step.id in self._source_of:
                return
