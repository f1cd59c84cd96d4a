"""What benchmarks measure of a call: wall and CPU seconds, Spark jobs, what was read."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WALL, CPU, JOBS, READ, BYTES = range(5)


def family(pid: int) -> dict[int, list[str]]:
    """Fields of ``/proc/PID/stat`` behind the name, of a process and all below it."""
    known: dict[int, list[str]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
    mine, grown = {pid}, {pid}
    while grown:
        grown = {one for one, fields in known.items() if int(fields[1]) in mine} - mine
        mine |= grown
    return {one: known[one] for one in mine if one in known}


def cpu_seconds() -> float:
    """CPU seconds of this process and all below it (JVM, Python workers), ended ones included."""
    ticks = sum(sum(map(int, fields[11:15])) for fields in family(os.getpid()).values())
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all below it, MiB."""
    pages = sum(int(fields[21]) for fields in family(pid).values())
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def rows_and_bytes_read(context: Any, jobs: list[int]) -> tuple[int, int]:
    """Rows and bytes that the stages of some jobs read from files, or from Spark's cache."""
    scheduler = context._jsc.sc()  # noqa: SLF001
    scheduler.listenerBus().waitUntilEmpty(60_000)
    tracker, store = context.statusTracker(), scheduler.statusStore()
    stages = {stage for job in jobs for stage in tracker.getJobInfo(job).stageIds}
    # A long session forgets stages that were skipped, first of all; they read nothing.
    known = [stage for stage in stages if tracker.getStageInfo(stage) is not None]
    last = [store.lastStageAttempt(stage) for stage in known]
    return sum(int(one.inputRecords()) for one in last), sum(int(one.inputBytes()) for one in last)


@dataclass
class Runs:
    """Runs of alternatives on one Spark session.

    Attributes:
        spark: The session.
        runs: Wall seconds, CPU seconds, jobs, rows and bytes read of each run, by name.
    """

    spark: Any
    runs: dict[str, list[tuple[float, float, int, int, int]]] = field(default_factory=dict)

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        """Run ``work``, print what it took, and return what it returned."""
        context = self.spark.sparkContext
        group = f"bench-{name}-{time.monotonic_ns()}"
        context.setJobGroup(group, name)
        started, used = time.perf_counter(), cpu_seconds()
        value = work()
        wall, cpu = time.perf_counter() - started, cpu_seconds() - used
        jobs = list(context.statusTracker().getJobIdsForGroup(group))
        rows, size = rows_and_bytes_read(context, jobs)
        self.runs.setdefault(name, []).append((wall, cpu, len(jobs), rows, size))
        print(
            f"{name:<12} {wall:7.1f} s {cpu:7.1f} cpu-s {len(jobs):4d} jobs {rows:11,d} rows"
            f" {size / 2**20:7,.0f} MiB read   load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return value

    def median(self, name: str, part: int = WALL) -> float:
        """Return the median of one figure of a name's runs."""
        return statistics.median(run[part] for run in self.runs[name])

    def ratio(self, above: str, below: str, part: int = WALL) -> float:
        """Return how many times more one takes than another."""
        return round(self.median(above, part) / self.median(below, part), 2)
