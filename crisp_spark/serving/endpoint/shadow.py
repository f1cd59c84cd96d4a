"""A second model that scores the same requests in the shadow of the one that answers.

A sender never waits for it: requests are put aside and compared in a thread of their own, and what
does not fit there is left out. Whatever happens to the shadow is counted and logged, no more.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from queue import Queue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import CrispError
from crisp_spark.serving.endpoint.checking import checked_columns
from crisp_spark.serving.endpoint.reading import Rows
from crisp_spark.serving.endpoint.rendering import encoded, rendered_answers
from crisp_spark.serving.endpoint.signature import Identity, Model
from crisp_spark.serving.endpoint.telemetry import counter_text, fault_line, to_stdout

if TYPE_CHECKING:
    from crisp_spark.serving.endpoint.service import Holder

EVENT = "shadow"
"""What the lines of the log are known by."""

MOST_WAITING_ROWS = 20_000
MOST_WAITING_BYTES = 16 << 20
"""What waits for the shadow at most; requests beyond it are not compared."""

REST = 3
"""Times its work that the shadow rests: the champion shares the interpreter with it."""

_CHUNK = 512
CONTINUOUS = frozenset({"regression", "recommendation"})
"""Problems whose answer is a number, of no class."""

Told = Mapping[str, Any]
"""An answer to one row, as it is sent."""


@dataclass(frozen=True)
class Answered:
    """A request that was answered.

    Attributes:
        rows: Its rows, as they came.
        told: Answers, one for each row.
        champion: Which model gave them.
        request_id: Id of the request.
        size: Bytes of the request.
    """

    rows: Rows
    told: Sequence[Told]
    champion: Identity
    request_id: str = ""
    size: int = 0


@dataclass
class Difference:
    """How far two models are apart.

    Attributes:
        rows: Rows that both were asked for.
        class_changes: Rows of another class: of another decision where the champion decides.
        answerer_changes: Rows that the model answered here, and the rule or nobody there.
        scored_rows: Rows with a score of both.
        sum_abs: Sum of the absolute differences of scores.
        max_abs: The largest one.
    """

    rows: int = 0
    class_changes: int = 0
    answerer_changes: int = 0
    scored_rows: int = 0
    sum_abs: float = 0.0
    max_abs: float = 0.0

    @property
    def mean_abs(self) -> float | None:
        """Mean absolute difference of scores; None where no row has two."""
        return self.sum_abs / self.scored_rows if self.scored_rows else None

    def add(self, champion: Told, shadow: Told, *, continuous: bool) -> None:
        """Compare the answers to one row."""
        self.rows += 1
        self.answerer_changes += champion["answered_by"] != shadow["answered_by"]
        if not continuous:
            self.class_changes += class_of(champion) != class_of(shadow)
        ours, theirs = champion.get("score"), shadow.get("score")
        if ours is not None and theirs is not None and isfinite(apart := abs(ours - theirs)):
            self.merge(Difference(scored_rows=1, sum_abs=apart, max_abs=apart))

    def merge(self, other: Difference) -> None:
        """Add what was found elsewhere."""
        self.rows += other.rows
        self.class_changes += other.class_changes
        self.answerer_changes += other.answerer_changes
        self.scored_rows += other.scored_rows
        self.sum_abs += other.sum_abs
        self.max_abs = max(self.max_abs, other.max_abs)


def class_of(told: Told) -> Any:
    """Return what an answer comes down to: the decision where there is one, else the class."""
    decision = told.get("decision")
    return told["prediction"] if decision is None else decision


def key_digest(key: Mapping[str, Any]) -> str:
    """Return a digest of a row's key (24 hex digits of SHA-256).

    A log has it in the key's place: rows can be joined with their outcome, and nothing is told.
    """
    return hashlib.sha256(encoded({name: key[name] for name in sorted(key)})).hexdigest()[:24]


@dataclass
class _Sums:
    """Sums since the process began."""

    requests: int = 0
    errors: int = 0
    left_out: int = 0
    milliseconds: float = 0.0
    difference: Difference = field(default_factory=Difference)


class Shadow:
    """Scores requests by a second model and compares.

    Args:
        open_holder: Opens the second model's place. Where it raises a ``CrispError``, the requests
            are counted as errors, and it is called again after ``retry_seconds``.
        log: Takes one line for each comparison of up to 512 rows.
        retry_seconds: Time between two attempts to open it.
        clock: Seconds that only rise.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        open_holder: Callable[[], Holder],
        *,
        log: Callable[[str], Any] | None = None,
        retry_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._open, self._log = open_holder, log or to_stdout
        self._retry_seconds, self._clock = retry_seconds, clock
        self._held: Holder | None = None
        self._identity: Identity | None = None
        self._next_try = clock()
        self._trouble = ""
        self._lock = Lock()
        self._sums = _Sums()
        self._waiting_rows = self._waiting_bytes = 0
        self._queue: Queue[Answered] = Queue()
        self._thread: Thread | None = None

    def offer(self, answered: Answered) -> None:
        """Put a request aside for comparison; returns at once, also where it is left out."""
        if not answered.rows.count:
            return
        with self._lock:
            rows = self._waiting_rows + answered.rows.count
            size = self._waiting_bytes + answered.size
            if rows > MOST_WAITING_ROWS or size > MOST_WAITING_BYTES:
                self._sums.left_out += 1
                return
            self._waiting_rows, self._waiting_bytes = rows, size
            if self._thread is None:  # not before: Lambda freezes a process between its calls
                self._thread = Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()
        self._queue.put(answered)

    def wait(self) -> None:
        """Wait until everything that was put aside has been compared."""
        self._queue.join()

    def state(self) -> dict[str, Any]:
        """Return which model was compared last, and why none or no newer one can be."""
        held, identity = self._held, self._identity
        trouble = self._trouble or (held.trouble if held else "")
        return {"model": _named(identity) if identity else None, "trouble": trouble}

    def as_text(self) -> str:
        """Return the sums in Prometheus' text format."""
        with self._lock:
            sums, found = self._sums, self._sums.difference
            counters = {
                "shadow_requests": sums.requests,
                "shadow_errors": sums.errors,
                "shadow_left_out": sums.left_out,
                "shadow_rows": found.rows,
                "shadow_class_changes": found.class_changes,
                "shadow_answerer_changes": found.answerer_changes,
                "shadow_scored_rows": found.scored_rows,
                "shadow_milliseconds": round(sums.milliseconds, 3),
            }
            gauges = {
                "shadow_score_difference_mean": found.mean_abs or 0.0,
                "shadow_score_difference_max": found.max_abs,
            }
        lines = [counter_text(f"{name}_total", "counter", n) for name, n in counters.items()]
        lines += [counter_text(name, "gauge", number) for name, number in gauges.items()]
        return "".join(lines)

    def _work(self) -> None:
        while True:
            answered = self._queue.get()
            begun, busy = time.monotonic(), time.thread_time()
            try:
                found = self._compared(answered)
                with self._lock:
                    self._sums.requests += 1
                    self._sums.difference.merge(found)
                self._trouble = ""
            except Exception as error:  # noqa: BLE001 - counted and logged; the thread lives on
                self._failed(answered, error)
            finally:
                with self._lock:
                    self._sums.milliseconds += (time.monotonic() - begun) * 1000
                    self._waiting_rows -= answered.rows.count
                    self._waiting_bytes -= answered.size
                self._queue.task_done()
            self._sleep(REST * (time.thread_time() - busy))

    def _failed(self, answered: Answered, error: Exception) -> None:
        with self._lock:
            self._sums.errors += 1
        self._trouble = error.message if isinstance(error, CrispError) else type(error).__name__
        if not isinstance(error, _NotOpenError):  # told when it was tried to be opened
            self._log(fault_line(answered.request_id, event=EVENT))

    def _model(self) -> Model:
        if self._held is None:
            if self._clock() < self._next_try:
                raise _NotOpenError(self._trouble)
            self._next_try = self._clock() + self._retry_seconds
            self._held = self._open()
        model = self._held.current()
        self._identity = model.identity
        return model

    def _compared(self, answered: Answered) -> Difference:
        model = self._model()
        known = {one.name for one in model.fields}
        given = answered.rows
        # A column that only the champion reads is no fault of the sender.
        rows = Rows(
            given.count,
            {name: values for name, values in given.columns.items() if name in known},
            given.text,
            given.named,
        )
        columns = checked_columns(rows, model.fields)
        total = Difference()
        for start in range(0, rows.count, _CHUNK):
            total.merge(self._chunk(answered, model, columns, start))
        return total

    def _chunk(
        self, answered: Answered, model: Model, columns: Mapping[str, list[Any]], start: int
    ) -> Difference:
        begun = time.monotonic()
        part = {name: values[start : start + _CHUNK] for name, values in columns.items()}
        ours = answered.told[start : start + _CHUNK]
        theirs = rendered_answers(model.answers(part, len(ours)), part, model.fields)
        continuous = answered.champion.problem in CONTINUOUS
        key = [name for name in answered.champion.key if name in part]
        found = Difference()
        for one, other in zip(ours, theirs, strict=True):
            found.add(one, other, continuous=continuous)
        line = {
            "event": EVENT,
            "request": answered.request_id,
            "champion": _named(answered.champion),
            "shadow": _named(model.identity),
            "problem": answered.champion.problem,
            "rows": found.rows,
            "class_changes": found.class_changes,
            "answerer_changes": found.answerer_changes,
            "scored_rows": found.scored_rows,
            "mean_abs_score_difference": found.mean_abs,
            "max_abs_score_difference": found.max_abs if found.scored_rows else None,
            "milliseconds": round((time.monotonic() - begun) * 1000, 3),
            "key": list(key),
            "outcomes": [
                [key_digest({name: part[name][at] for name in key}), *_said(one), *_said(other)]
                for at, (one, other) in enumerate(zip(ours, theirs, strict=True))
                if key
            ],
        }
        self._log(encoded(line).decode())
        return found


class _NotOpenError(CrispError):
    """The shadow's model is not there, and it is not yet time to look again."""


def _said(told: Told) -> list[Any]:
    return [told["prediction"], told.get("decision"), told.get("score")]


def _named(identity: Identity) -> dict[str, str]:
    return {"name": identity.name, "version": identity.version, "digest": identity.digest}
