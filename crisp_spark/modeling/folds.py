"""Validation folds: which rows are fitted on, which are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crisp_spark.errors import DataError, MissingColumnsError, SpecError
from crisp_spark.modeling.labels import FOLD, LABEL
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


TURN = 1000
"""Distance of fold numbers between drawings; a split has at most 50 folds."""


def fold_column(turn: int) -> str:
    """Return the column of a drawing of the folds."""
    return FOLD if turn == 0 else f"{FOLD}_{turn}"


@dataclass(frozen=True)
class FoldCounts:
    """What is known of the training rows.

    Attributes:
        rows: Rows by fold.
        labels: Rows by fold and label, for classes; empty for numbers.
        sums: Sum of the label by fold.
    """

    rows: Mapping[int, int]
    labels: Mapping[int, Mapping[float, int]]
    sums: Mapping[int, float]

    @property
    def folds(self) -> tuple[int, ...]:
        """Folds of the split, in order."""
        return tuple(fold for fold in sorted(self.rows) if fold < TURN)

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.rows[fold] for fold in self.folds)

    def mean(self, folds: Sequence[int]) -> float:
        """Return the mean of the label over some folds; 0 without rows."""
        rows = sum(self.rows[fold] for fold in folds)
        return sum(self.sums[fold] for fold in folds) / rows if rows else 0.0

    def class_counts(self, folds: Sequence[int]) -> dict[float, int]:
        """Return rows by label over some folds."""
        found: dict[float, int] = {}
        for fold in folds:
            for label, count in self.labels.get(fold, {}).items():
                found[label] = found.get(label, 0) + count
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class FoldPlan:
    """One round of validation.

    Attributes:
        fold: Fold that is scored.
        training: Folds that are fitted on.
        turn: Drawing of the folds, 0 for that of the split.
    """

    fold: int
    training: tuple[int, ...]
    turn: int = 0

    @property
    def column(self) -> str:
        """Column of the folds."""
        return fold_column(self.turn)

    def train_rows(self) -> Column:
        """Return the condition of rows fitted on."""
        return F.col(self.column).isin(*self.training)

    def validation_rows(self) -> Column:
        """Return the condition of rows scored."""
        return F.col(self.column) == self.fold


def count_folds(rows: DataFrame, *, is_classes: bool, repeats: int = 1) -> FoldCounts:
    """Count rows by fold and label, in every drawing of the folds.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.

    Raises:
        MissingColumnsError: The rows have no folds.
        DataError: A row belongs to no fold, or there are no rows.
    """
    if FOLD not in rows.columns:
        raise MissingColumnsError("modeling: training rows", [FOLD], rows.columns)
    turns = F.array(*(F.col(fold_column(turn)).cast("int") for turn in range(repeats)))
    long = rows.select(F.explode(turns).alias(FOLD), LABEL) if repeats > 1 else rows
    by = [FOLD, LABEL] if is_classes else [FOLD]
    found = long.groupBy(*by).agg(F.count(F.lit(1)).alias("n"), F.sum(LABEL).alias("s")).collect()
    if not found:
        raise DataError("modeling: no training row has a label")
    counts: dict[int, int] = {}
    sums: dict[int, float] = {}
    labels: dict[int, dict[float, int]] = {}
    for row in found:
        if row[FOLD] is None:
            raise DataError(f"modeling: {row['n']} training rows have no {FOLD}")
        fold = int(row[FOLD])
        counts[fold] = counts.get(fold, 0) + row["n"]
        sums[fold] = sums.get(fold, 0.0) + (row["s"] or 0.0)
        if is_classes:
            labels.setdefault(fold, {})[float(row[LABEL])] = row["n"]
    return FoldCounts(counts, labels, sums)


def plan_folds(
    folds: Sequence[int], kind: str, *, window: int = 1, repeats: int = 1
) -> tuple[FoldPlan, ...]:
    """Return the rounds of validation.

    Args:
        folds: Numbers of the folds.
        kind: ``k_fold``, ``repeated``, ``expanding`` (fit on earlier folds only; the first fold is
            then never scored) or ``sliding`` (on the last ones before the scored one).
        window: ``sliding``: folds to fit on.
        repeats: ``repeated``: times that the folds are drawn.

    Raises:
        DataError: Too few folds.
    """
    ordered = sorted(folds)
    needed = window + 1 if kind == "sliding" else 2
    if len(ordered) < needed:
        raise DataError(
            f"modeling: {needed} or more folds are needed, got {len(ordered)}",
            hint="set preparation.split.folds",
        )
    if kind == "expanding":
        return tuple(FoldPlan(fold, tuple(ordered[:at])) for at, fold in enumerate(ordered) if at)
    if kind == "sliding":
        return tuple(
            FoldPlan(ordered[at], tuple(ordered[at - window : at]))
            for at in range(window, len(ordered))
        )
    rounds = repeats if kind == "repeated" else 1
    return tuple(
        FoldPlan(redrawn(fold, turn), tuple(redrawn(f, turn) for f in ordered if f != fold), turn)
        for turn in range(rounds)
        for fold in ordered
    )


def redrawn(fold: int, turn: int) -> int:
    """Return the number of a fold of a later drawing: none of an earlier one has it."""
    return fold + TURN * turn


def with_redrawn_folds(rows: DataFrame, unit: Sequence[str], repeats: int, seed: int) -> DataFrame:
    """Add the folds of further drawings: by hash of what must stay together.

    Where the folds keep the shares of classes, so do these, up to chance: a hash does not know
    the class.

    Args:
        rows: Training rows with ``_crisp_fold``.
        unit: Columns whose equal values share a fold.
        repeats: Drawings in all; the first is there already.
        seed: Seed of the hash.

    Rows: all. Adds: ``_crisp_fold_<n>`` for each further drawing. Drops: nothing. Jobs: one.

    Raises:
        SpecError: Nothing says what must stay together.
    """
    if not unit:
        raise SpecError(
            "modeling.validation: repeated needs a key, so that a row keeps its folds",
            hint="set preparation.split.key, or use k_fold",
        )
    found = sorted(row[0] for row in rows.select(FOLD).distinct().collect() if row[0] is not None)
    numbers = F.array(*map(F.lit, found))
    names = [F.col(quoted(name)).cast("string") for name in unit]
    for turn in range(1, repeats):
        drawn = F.pmod(F.xxhash64(F.lit(seed), F.lit(TURN + turn), *names), F.lit(len(found)))
        place = F.element_at(numbers, drawn.cast("int") + 1)
        rows = rows.withColumn(fold_column(turn), (place + TURN * turn).cast("int"))
    return rows
