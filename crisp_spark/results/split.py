"""How rows were divided, and the proof that nothing leaks between the parts."""

from __future__ import annotations

from typing import ClassVar

from crisp_spark.results.base import ResultPart, StepResult, Verdict


class PartSummary(ResultPart):
    """One part: train, test, later, or a fold of train."""

    name: str
    """``train``, ``test``, ``later``, ``fold 0`` ..."""
    rows: int
    """Rows; those of tables are counted from the written files."""
    share: float | None
    """Share of all rows, for a fold of the training rows (0 to 1)."""
    classes: dict[str, int] | None
    """Class of the target to rows; None where the target is a quantity or there is none."""
    target_mean: float | None
    """Mean of a numeric target."""
    time_from: str | None
    """First time, where time is declared."""
    time_to: str | None
    """Last time."""


class SplitCheck(ResultPart):
    """One line of the proof."""

    name: str
    """Short name of the check."""
    statement: str
    """What must hold."""
    value: float | str | None
    """What was found."""
    verdict: Verdict
    """Whether it holds."""


class SplitResult(StepResult):
    """How rows were divided."""

    step: ClassVar[str] = "split"

    kind: str
    """hash, stratified, group or time."""
    seed: int
    """Seed of the hash."""
    key: list[str]
    """Columns that identify a unit."""
    group: list[str]
    """Columns whose equal values stay on one side."""
    time: str | None
    """Time column."""
    test_share: float
    """Share of test rows asked for."""
    later_from: str | None
    """Start of the later period."""
    boundaries: list[str]
    """Times that divide folds and test (kind: time)."""
    rows_in: int
    """Derived rows."""
    parts: list[PartSummary]
    """Train, test, later."""
    folds: list[PartSummary]
    """Folds of the training rows."""
    checks: list[SplitCheck]
    """The proof."""
