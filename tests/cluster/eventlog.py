"""What Spark's own event log says about lost executors and about work done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}
_SUCCESS = "Success"


@dataclass(frozen=True)
class Loss:
    """What followed one loss, all times in seconds after it.

    Attributes:
        noticed: Spark gave the executor up; None when it never did.
        replaced: The next executor registered; None when none came.
        failed: Tasks that ended with a failure, up to the next loss.
        repeated: Tasks of repeated stage attempts, up to the next loss.
        settled: The last failed or repeated task was done with; None when there was none.
        reasons: Why executors were given up.
    """

    noticed: float | None
    replaced: float | None
    failed: int
    repeated: int
    settled: float | None
    reasons: tuple[str, ...]


def after(folder: Path, begun: float, ended: float) -> Loss:
    """Return what happened between two times (epoch seconds) in the applications of a folder."""
    gone, come, failed, repeated, times = list[float](), list[float](), 0, 0, list[float]()
    reasons = dict[str, None]()
    for event in events(folder):
        kind = event["Event"]
        if kind == "SparkListenerTaskEnd":
            at = event["Task Info"]["Finish Time"] / 1000
            if not begun <= at < ended:
                continue
            lost = event["Task End Reason"]["Reason"] != _SUCCESS
            again = event["Stage Attempt ID"] > 0 or event["Task Info"]["Attempt"] > 0
            failed += lost
            repeated += again and not lost
            times += [at - begun] if lost or again else []
        elif kind in {"SparkListenerExecutorRemoved", "SparkListenerExecutorAdded"}:
            at = event["Timestamp"] / 1000
            if begun <= at < ended:
                (gone if kind.endswith("Removed") else come).append(at - begun)
                if kind.endswith("Removed"):
                    reasons[event["Removed Reason"].split("\n")[0][:120]] = None
    return Loss(
        noticed=min(gone, default=None),
        replaced=min(come, default=None),
        failed=failed,
        repeated=repeated,
        settled=max(times, default=None),
        reasons=tuple(reasons),
    )


def tasks(folder: Path) -> int:
    """Return how many tasks ended, well or not."""
    return sum(event["Event"] == "SparkListenerTaskEnd" for event in events(folder))


def hosts(folder: Path) -> list[str]:
    """Return the hosts of the executors in the order of their coming, the driver left out."""
    return [
        event["Executor Info"]["Host"]
        for event in events(folder)
        if event["Event"] == "SparkListenerExecutorAdded"
    ]


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of every application that wrote its log into a folder."""
    for log in sorted(folder.iterdir()):
        if log.name.startswith("."):  # checksums
            continue
        for line in log.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # the driver was killed while it wrote
                continue
