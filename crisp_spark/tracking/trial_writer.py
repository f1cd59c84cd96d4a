"""Writes the trials of a sweep to MLflow, in batches and from one background thread.

Every trial is in the parent's history of the deciding metric (a step each) and, at the end, with
all that is known of it in the table ``trials.json``. A run of its own costs MLflow three requests,
so only the first trials get one, and those that the sweep asks for by name. The sweep never waits:
a trial is in its journal before it comes here.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from crisp_spark.tracking.tracker import Trial

logger = logging.getLogger(__name__)

MOST_RUNS = 50
"""Trials that get a run of their own without being asked for."""
_MOST_IN_BATCH = 1000
_MOST_PARAMS = 100
_LONGEST_PARAM = 500
_LONGEST_TAG = 5000
_PARENT = "mlflow.parentRunId"
_NAME = "mlflow.runName"
TABLE = "trials.json"

Send = Callable[[Callable[[], object]], bool]
"""Carries out a call to MLflow and says whether it arrived."""


class TrialWriter:
    """The trials of one step, on their way to MLflow.

    Args:
        client: Client of the tracking server or store.
        experiment: Id of the experiment.
        parent: Id of the step's run.
        send: Carries out a call and says whether it arrived.
    """

    def __init__(self, client: MlflowClient, experiment: str, parent: str, send: Send) -> None:
        self._client = client
        self._experiment = experiment
        self._parent = parent
        self._send = send
        self._waiting: list[Trial] = []
        self._asked: list[Trial] = []
        self._live: list[Any] = []
        self._known: dict[str, Trial] = {}
        self._own_run: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, trial: Trial, *, own_run: bool = False) -> None:
        """Take a trial; ``own_run`` gives it a run of its own however many there are."""
        with self._changed:
            if trial.name not in self._known:
                self._known[trial.name] = trial
                self._waiting.append(trial)
            if own_run:
                self._asked.append(trial)
            self._wake()

    def live(self, values: Mapping[str, float], step: int) -> None:
        """Take numbers that change while the step runs."""
        with self._changed:
            self._live += batch_metrics(values, 0, step)
            self._wake()

    def close(self, timeout_s: float | None = None) -> tuple[Trial, ...]:
        """Write what waits and the table; return all trials if something did not arrive."""
        with self._changed:
            if self._thread is None:
                return ()
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        whole = not self._thread.is_alive() and not self._waiting and not self._asked
        table = whole and (not self._known or self._send(self._write_table))
        return () if table else tuple(self._known.values())

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="trials", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._asked or self._live or self._closed):
                    self._changed.wait()
                batch, live = self._waiting[:], self._live[:]
                asked, closed = self._asked[:], self._closed
            if not self._write(batch, asked, live):
                return
            with self._changed:
                del self._waiting[: len(batch)], self._live[: len(live)], self._asked[: len(asked)]
                if closed and not (self._waiting or self._asked or self._live):
                    return

    def _write(self, batch: Sequence[Trial], asked: Sequence[Trial], live: Sequence[Any]) -> bool:
        places = {name: at for at, name in enumerate(list(self._known))}
        metrics = list(live)
        for trial in batch:
            known = {trial.main: trial.metrics[trial.main]} if trial.main in trial.metrics else {}
            own = {f"trial.{name}": value for name, value in known.items()}
            metrics += batch_metrics(own, trial.ended_ms, places[trial.name])
        for start in range(0, len(metrics), _MOST_IN_BATCH):
            some = metrics[start : start + _MOST_IN_BATCH]
            if not self._send(lambda some=some: self._client.log_batch(self._parent, some)):  # type: ignore[misc]
                return False
        first = [trial for trial in batch if places[trial.name] < MOST_RUNS]
        for trial in [*first, *asked]:
            if trial.name in self._own_run:
                continue
            if not self._send(lambda trial=trial: self._write_run(trial)):  # type: ignore[misc]
                return False
            self._own_run.add(trial.name)
        return True

    def _write_run(self, trial: Trial) -> None:
        from mlflow.entities import Param

        tags = {_NAME: trial.name, _PARENT: self._parent, "crisp.level": "trial"}
        run = self._client.create_run(
            self._experiment,
            start_time=trial.started_ms or None,
            tags={**tags, **short_tags(trial.tags)},
        )
        params = [Param(key, cut(value)) for key, value in trial.params.items()]
        self._client.log_batch(
            run.info.run_id,
            params=params[:_MOST_PARAMS],
            metrics=batch_metrics(trial.metrics, trial.ended_ms, 0),
        )
        status = "FAILED" if trial.failed else "FINISHED"
        self._client.set_terminated(run.info.run_id, status, end_time=trial.ended_ms or None)

    def _write_table(self) -> None:
        trials = list(self._known.values())
        columns: dict[str, list[Any]] = {"trial": [trial.name for trial in trials]}
        for kind in ("params", "metrics", "tags"):
            for name in dict.fromkeys(name for t in trials for name in getattr(t, kind)):
                values = [getattr(trial, kind).get(name) for trial in trials]
                columns[name] = [v if isinstance(v, int | float) else plain(v) for v in values]
        self._client.log_table(self._parent, columns, TABLE)


def batch_metrics(values: Mapping[str, float], at_ms: int, step: int) -> list[Any]:
    """Return finite numbers as MLflow's metrics."""
    from mlflow.entities import Metric

    when = at_ms or int(time.time() * 1000)
    return [
        Metric(key, float(value), when, step)
        for key, value in values.items()
        if math.isfinite(value)
    ]


def plain(value: Any) -> str | None:
    """Return a value as text; None stays."""
    return None if value is None else str(value)


def cut(value: Any) -> str:
    """Return a parameter as MLflow takes it."""
    text = str(value)
    return text if len(text) <= _LONGEST_PARAM else f"{text[: _LONGEST_PARAM - 3]}..."


def short_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags as MLflow takes them."""
    return {key: str(value)[:_LONGEST_TAG] for key, value in tags.items()}
