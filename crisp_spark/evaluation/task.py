"""What to evaluate, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crisp_spark.evaluation.names import (
    BASELINE,
    FEATURES,
    FOLD,
    LABEL,
    PREDICTION,
    PROBABILITIES,
    SCORE,
)
from crisp_spark.spec.business import BusinessSpec
from crisp_spark.spec.evaluation import EvaluationSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Split:
    """One scored split.

    Attributes:
        frame: Rows with label, score, prediction, baselines and all other columns.
        rows: Number of rows, known without a job.
    """

    frame: DataFrame
    rows: int


@dataclass(frozen=True)
class Task:
    """What to evaluate.

    Attributes:
        business: The charter: goal, criteria, values.
        spec: How to evaluate.
        metric: Metric of the sweep.
        classes: Names of the classes.
        columns: Columns the model reads.
        searchable: Columns that the search for weak slices looks at, most important first; left
            out, those the model reads.
        width: Length of the feature vector (clustering).
        seed: Seed of samples and resamples.
        probabilities: Whether scores are probabilities, or an order only.
        private: Columns whose values must not be shown.
        threshold_in_use: Threshold of the model in use (binary).
    """

    business: BusinessSpec
    spec: EvaluationSpec
    metric: str
    classes: Sequence[str] = ()
    columns: Sequence[str] = ()
    searchable: Sequence[str] = ()
    width: int = 1
    seed: int = 42
    probabilities: bool = True
    private: frozenset[str] = frozenset()
    threshold_in_use: float | None = None

    @property
    def problem(self) -> str:
        """Problem type."""
        return self.business.mining_goal.problem

    @property
    def slices(self) -> list[str]:
        """Declared slice columns that may be shown."""
        return [name for name in self.spec.slices if name not in self.private]

    @property
    def searched(self) -> list[str]:
        """Columns that the search may look at."""
        if not self.spec.slice_search.enabled:
            return []
        return [name for name in self.searchable or self.columns if name not in self.private]


def slice_columns(task: Task, split: str) -> list[str]:
    """Columns by which the rows of a split are sliced."""
    asked = [c.slice_column for c in task.business.criteria if c.on == split and c.slice_column]
    if split == "test":
        asked = [*task.slices, *task.searched[: task.spec.slice_search.max_columns], *asked]
    return list(dict.fromkeys(name for name in asked if name is not None))


def needed_columns(available: Sequence[str], task: Task, split: str) -> list[str]:
    """Columns of a scored split that the evaluation looks at, in the order of the table."""
    goal = task.business.mining_goal
    wanted = {*goal.key, *slice_columns(task, split), *filter(None, (goal.user, goal.item))}
    if split == "test":
        wanted |= set(task.columns)
    if split in ("test", "later"):
        wanted |= set(task.spec.slices)
    generated = {LABEL, SCORE, PREDICTION, PROBABILITIES, FEATURES}
    if split == "validation" and goal.problem in {"clustering", "recommendation"}:
        generated.add(FOLD)
    return [
        name
        for name in available
        if name in wanted or name in generated or name.startswith(BASELINE)
    ]
