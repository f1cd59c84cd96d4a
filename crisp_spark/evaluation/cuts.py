"""How a column cuts the rows into slices: by its values, its commonest values, or quartiles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crisp_spark.evaluation.estimates import Flags, Floats
from crisp_spark.evaluation.rows import MISSING, ScoredRows, SliceColumn
from crisp_spark.spec.evaluation import SliceSearchSpec

QUARTILES = 4
_IDENTIFIER_VALUES = 500


@dataclass(frozen=True)
class Cut:
    """Slices by one or two columns.

    Attributes:
        columns: The columns.
        codes: Slice of every row, -1 for none; shape (rows,).
        parts: Names of the single slices that meet in each slice, such as ``("origin=EWR",)``.
        declared: Whether the project named every column.
    """

    columns: tuple[str, ...]
    codes: NDArray[np.intp]
    parts: tuple[tuple[str, ...], ...]
    declared: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each slice."""
        return tuple(" & ".join(part) for part in self.parts)

    def sizes(self) -> NDArray[np.intp]:
        """Rows in each slice; shape (slices,)."""
        return self._sum(None).astype(np.intp)

    def sums(self, values: Floats) -> Floats:
        """Sum of ``values`` in each slice; shape (slices,)."""
        return self._sum(values)

    def _sum(self, values: Floats | None) -> Floats:
        inside = self.codes >= 0
        weights = None if values is None else values[inside]
        found = np.bincount(self.codes[inside], weights=weights, minlength=len(self.parts))
        return found.astype(np.float64)

    def members(self, index: int) -> Flags:
        """Say for every row whether it is in slice ``index``."""
        return np.equal(self.codes, index)


def cut_by(column: SliceColumn, spec: SliceSearchSpec, *, declared: bool) -> Cut | str:
    """Cut rows by a column; the reason, in words, where that makes no sense."""
    if column.numbers is not None:
        return _cut_numbers(column.name, column.numbers, spec, declared=declared)
    if not declared and len(column.names) > _IDENTIFIER_VALUES:
        return f"{len(column.names)} values: more like an identifier"
    # Code 0 stands for missing from here on.
    counts = np.bincount(column.codes + 1, minlength=len(column.names) + 1)
    ranked = np.lexsort((np.arange(counts.size), -counts))
    kept = np.sort(ranked[counts[ranked] > 0][: spec.max_values])
    if kept.size < 2 and not declared:  # noqa: PLR2004
        return "one value"
    place = np.full(counts.size, -1, dtype=np.intp)
    place[kept] = np.arange(kept.size)
    texts = (MISSING, *column.names)
    parts = tuple((f"{column.name}={texts[code]}",) for code in kept)
    return Cut((column.name,), place[column.codes + 1], parts, declared)


def _cut_numbers(name: str, numbers: Floats, spec: SliceSearchSpec, *, declared: bool) -> Cut | str:
    known = ~np.isnan(numbers)
    values = np.unique(numbers[known])
    if values.size < 2 and known.all() and not declared:  # noqa: PLR2004
        return "one value"
    if values.size <= spec.max_values:
        codes = np.searchsorted(values, numbers).astype(np.intp)
        names = [f"{name}={value:.15g}" for value in values]
    else:
        edges = np.unique(np.quantile(numbers[known], np.arange(1, QUARTILES) / QUARTILES))
        codes = np.searchsorted(edges, numbers, side="right").astype(np.intp)
        texts = [f"{edge:.4g}" for edge in edges]
        names = [f"{name} < {texts[0]}"]
        names += [f"{low} <= {name} < {high}" for low, high in pairwise(texts)]
        names.append(f"{name} >= {texts[-1]}")
    codes[~known] = len(names)
    parts = tuple((text,) for text in (*names, f"{name}={MISSING}"))
    return Cut((name,), codes, parts, declared)


def pair_of(first: Cut, second: Cut) -> Cut:
    """Cut rows by two columns at once."""
    width = len(second.parts)
    inside = (first.codes >= 0) & (second.codes >= 0)
    codes = np.where(inside, first.codes * width + second.codes, -1).astype(np.intp)
    parts = tuple((*a, *b) for a in first.parts for b in second.parts)
    declared = first.declared and second.declared
    return Cut((*first.columns, *second.columns), codes, parts, declared)


def cuts_of(
    rows: ScoredRows, declared: list[str], searched: list[str], spec: SliceSearchSpec
) -> tuple[list[Cut], dict[str, str]]:
    """Cut rows by each declared and each searched column.

    Returns:
        The cuts, and, for columns that could not be used, the reason.
    """
    cuts: list[Cut] = []
    skipped: dict[str, str] = {}
    automatic = [name for name in searched if name not in declared] if spec.enabled else []
    for name in [*declared, *automatic]:
        if name not in rows.columns:
            skipped[name] = "neither text nor number"
            continue
        found = cut_by(rows.columns[name], spec, declared=name in declared)
        if isinstance(found, str):
            skipped[name] = found
        else:
            cuts.append(found)
    return cuts, skipped
