"""Losses of machines while a run goes on, and the table of what they cost."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.cluster import eventlog

TABLE = "CRISP_LOSS_TABLE"
"""Environment variable: file that gets one JSON line per loss."""


@dataclass
class Losses:
    """What was lost in one run, and when.

    Attributes:
        cluster: Kind of cluster.
        events: Folder of Spark's event logs.
        begun: When the run was submitted (epoch seconds).
        seen: Time, step and manner of every loss.
    """

    cluster: str
    events: Path
    begun: float = field(default_factory=time.time)
    seen: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, step: str, manner: str) -> None:
        """Note a loss that happens now."""
        self.seen.append((time.time(), step, manner))

    def report(self) -> list[eventlog.Loss]:
        """Return what followed each loss; write it down where the environment asks for it."""
        ends = [at for at, _, _ in self.seen[1:]] + [float("inf")]
        found = [
            eventlog.after(self.events, at, end)
            for (at, _, _), end in zip(self.seen, ends, strict=True)
        ]
        if os.environ.get(TABLE):
            with Path(os.environ[TABLE]).open("a", encoding="utf-8") as table:
                for (at, step, manner), loss in zip(self.seen, found, strict=True):
                    row = {
                        "cluster": self.cluster,
                        "step": step,
                        "manner": manner,
                        "at": round(at - self.begun, 1),
                        "run_seconds": round(time.time() - self.begun, 1),
                        "tasks": eventlog.tasks(self.events),
                        "load": round(os.getloadavg()[0], 1),
                        **asdict(loss),
                    }
                    table.write(json.dumps(row) + "\n")
        return found
